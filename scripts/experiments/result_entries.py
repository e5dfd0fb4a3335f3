"""The file of a benchmark: a list of entries, one a key; shared by the scripts that keep one."""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from crm_dedup_plugin.benchmark.roofline import detect
from crm_dedup_plugin.inference.engine import SEED
from crm_dedup_plugin.provenance import digest, versions
from crm_dedup_plugin.storage import write_atomically


def read(path: Path) -> list[dict]:
    """Return the entries of a file, none where there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def keep(path: Path, entry: dict, key: Callable[[dict], tuple]) -> None:
    """Put `entry` in place of one with the same key; the file is read anew, because another process may have added its own."""
    entries = [one for one in read(path) if key(one) != key(entry)] + [entry]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(entries, indent=2) + "\n")


def asked_options(description: str, pairs: int) -> argparse.Namespace:
    """Return the options of a script that asks a model about the first pairs of a file: model, data, pairs and repeats."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("model", help="as crm-dedup decide takes it")
    parser.add_argument("--data", type=Path, default=Path("data/splits/test.jsonl"))
    parser.add_argument("--pairs", type=int, default=pairs)
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def keep_asked(path: Path, script: str, options: argparse.Namespace, found: dict) -> None:
    """Put what was `found` with `asked_options`, and what it was found with, in place of what the same model and machine had."""
    entry = {"model": options.model, **found, "hardware": detect()._asdict(), "data_sha256": digest([options.data]), "versions": versions()}
    entry |= {"seed": SEED, "command": f"scripts/experiments/{script} {shlex.join(sys.argv[1:])}"}
    keep(path, entry, lambda one: (one["model"], one["hardware"]["name"]))
