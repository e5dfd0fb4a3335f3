"""Other packages, each in an environment of its own, made from ``peers/NAME.txt`` and thrown away when that file changes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.errors import UserError

FOLDER = Path(__file__).parent / "peers"
PEERS = ("splink", "dedupe", "goldenmatch")


def groups(name: str, folder: Path, root: Path, seed: int) -> dict:
    """Return what a peer makes of a set: "run" (version, seconds, labels) and "groups", the group of each row by variant."""
    out = folder / f"{name}.json"
    out.unlink(missing_ok=True)
    run(name, root, [folder, out, seed])
    return json.loads(out.read_text(encoding="utf-8"))


def run(name: str, root: Path, words: Sequence, task: str = "run") -> None:
    """Run ``peers/TASK_NAME.py`` in its environment; raises UserError where it fails."""
    command = [_python(name, root), FOLDER / f"{task}_{name}.py", *words]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"PYTHONHASHSEED": "0"}  # the same every time
    if subprocess.run(list(map(str, command)), env=environment, stdout=sys.stderr).returncode:
        raise UserError(f"{name} failed: its own words stand above")


def version(name: str) -> str:
    """Return the version of a package, as ``peers/NAME.txt`` pins it."""
    return dict(line.split("==") for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines() if "==" in line)[name]


def _python(name: str, root: Path) -> Path:
    """Return the Python of an environment with the packages that ``peers/NAME.txt`` names."""
    wanted, environment = FOLDER / f"{name}.txt", root / "environments" / name
    made = environment / "made-from.txt"
    if not made.is_file() or made.read_bytes() != wanted.read_bytes():
        shutil.rmtree(environment, ignore_errors=True)
        for command in (["-m", "venv", environment], ["-m", "pip", "--python", environment, "install", "--quiet", "-r", wanted]):
            if subprocess.run([sys.executable, *map(str, command)]).returncode:
                raise UserError(f"the environment of {name} could not be made: is there a network?")
        shutil.copy(wanted, made)
    return environment / "bin" / "python"
