"""Commit a run as evidence: copy it from outputs/results/ to results/ and bring the documents up to date.

    .venv/bin/python scripts/record_results.py smollm2-135m
    .venv/bin/python scripts/record_results.py demo/smollm2-135m --as demo/smollm2-135m

The commands of the workflow write to outputs/results/, which git ignores; this is the only one that writes to results/.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.storage import EVIDENCE, RESULTS

FILES = ("metrics.json", "training.json", "benchmark.json", "latency.csv", "*.png")


def record(name: str, target: str | None = None) -> list[Path]:
    """Copy the results of the run `name` to ``results/TARGET/`` and return the files written there; files of parts not run stay."""
    source, folder = RESULTS / name, EVIDENCE / (target or name)
    found = sorted(path for pattern in FILES for path in source.glob(pattern))
    if not found:
        raise UserError(f"{source} holds no results: run `make kpi-{name}` first")
    if not folder.resolve().is_relative_to(EVIDENCE.resolve()):
        raise UserError(f"{folder} is outside {EVIDENCE}/: choose another name for --as")
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copyfile(path, folder / path.name)) for path in found]


def main(argv: list[str] | None = None) -> int:
    """Record one run; return 0, or 1 after printing what went wrong."""
    parser = argparse.ArgumentParser(description="Copy the results of a run to results/ and bring the documents up to date.")
    parser.add_argument("name", help="name of the run, a folder in outputs/results/")
    parser.add_argument("--as", dest="target", metavar="NAME", help="name in results/ (default: the same)")
    options = parser.parse_args(argv)
    try:
        written = record(options.name, options.target)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("written:", ", ".join(map(str, written)))
    return subprocess.run([sys.executable, str(Path(__file__).with_name("update_documents.py"))]).returncode


if __name__ == "__main__":
    sys.exit(main())
