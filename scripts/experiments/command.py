"""The commands of the package, for experiments that measure them."""

import shlex
import subprocess
import sys

from crm_dedup_plugin.errors import UserError


def run(*words: str, **streams) -> None:
    """Run ``crm-dedup`` with some words to its end; `streams` go to `subprocess.run`. Raises UserError where it fails."""
    if subprocess.run([sys.executable, "-m", "crm_dedup_plugin", *words], **streams).returncode:
        raise UserError(f"crm-dedup {shlex.join(words)} failed: its own words stand above")
