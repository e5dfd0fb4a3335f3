"""The file of a benchmark: a list of entries, one a key; shared by the scripts that keep one."""

import json
from collections.abc import Callable
from pathlib import Path

from crm_dedup_plugin.storage import write_atomically


def read(path: Path) -> list[dict]:
    """Return the entries of a file, none where there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def keep(path: Path, entry: dict, key: Callable[[dict], tuple]) -> None:
    """Put `entry` in place of one with the same key; the file is read anew, because another process may have added its own."""
    entries = [one for one in read(path) if key(one) != key(entry)] + [entry]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(entries, indent=2) + "\n")
