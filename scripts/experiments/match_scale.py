"""Measure how `crm-dedup match` grows with the file: ``.venv/bin/python scripts/experiments/match_scale.py 10000 100000 1000000``.

Generates an export of each size, reads it and finds its candidates, each stage in a process of its own, and keeps seconds, memory and how
many of the true pairs are among the candidates: ``results/match_scale.json``, one entry a size, CRM, limit and machine.
"""

import argparse
import csv
import importlib.metadata
import json
import math
import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import group_scores
import numpy as np
import psutil
import result_entries

from crm_dedup_plugin.benchmark.roofline import processor
from crm_dedup_plugin.dataset.synth import export
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.deciding import candidates
from crm_dedup_plugin.matching.records import Records
from crm_dedup_plugin.provenance import digest

RESULTS = Path("results/match_scale.json")
LIBRARIES = ("splink", "duckdb", "pyarrow", "rapidfuzz", "anyascii")
STAGES = {
    "read": "from crm_dedup_plugin.matching.read import read; read(Path(sys.argv[1]), [Path(sys.argv[2])])",
    "candidates": "from crm_dedup_plugin.matching.candidates import find; find(Path(sys.argv[1]), int(sys.argv[3]))",
}
SECONDS_BETWEEN = 0.25  # two looks at the memory


def run_stage(stage: str, *arguments: object) -> dict[str, float]:
    """Run a stage in a process of its own; returns what `watch` does."""
    return watch(
        [sys.executable, "-c", f"import sys\nfrom pathlib import Path\nif __name__ == '__main__':\n    {STAGES[stage]}", *map(str, arguments)]
    )


def watch(command: Sequence[str]) -> dict[str, float]:
    """Run a command; returns its seconds, those of all its processors, and the most megabytes that its processes held together."""
    began, peak, processor = time.monotonic(), 0, defaultdict(float)
    with subprocess.Popen(command) as child:
        while child.poll() is None:
            held = 0
            for process in family(child.pid):
                try:
                    held += process.memory_info().rss
                    processor[process.pid] = sum(process.cpu_times()[:2])
                except psutil.Error:  # it has just ended
                    continue
            peak = max(peak, held)
            time.sleep(SECONDS_BETWEEN)
    if child.returncode:
        raise UserError(f"{' '.join(command[:4])} failed with {child.returncode}: see above")
    return {"seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(sum(processor.values()), 1), "peak_mb": round(peak / 2**20)}


def family(number: int) -> list[psutil.Process]:
    """Return a process and all that it started."""
    try:
        first = psutil.Process(number)
        return [first, *first.children(recursive=True)]
    except psutil.Error:
        return []


def completeness(run: Path, truth: Path, seed: int) -> dict[str, float]:
    """Return how many pairs of one entity there are, and which share of them are candidates."""
    with truth.open(encoding="utf-8", newline="") as file:
        entity = {row["id"]: row["entity"] for row in csv.DictReader(file)}
    who = [entity[name] for name in Records(run).ids]
    found = group_scores.completeness(who, np.array(candidates(run), dtype=np.int64), seed)["completeness"]["value"]
    return {"true_pairs": sum(size * (size - 1) // 2 for size in Counter(who).values()), "completeness": round(found, 5)}


def made(rows: int, folder: Path, options: argparse.Namespace) -> Path:
    """Return an export of so many rows, which is made in `folder` if it is not there."""
    file = folder / f"{options.crm}-{rows}-{options.seed}.{export.ending(options.crm)}"
    if not export.truth_of(file).is_file() or not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        export.write(rows, options.seed, file, options.crm, force=True)
    return file


def measure(rows: int, folder: Path, options: argparse.Namespace) -> dict:
    """Return what is measured with an export of so many rows."""
    file = made(rows, folder, options)
    run = folder / f"run-{options.crm}-{rows}"
    subprocess.run(["rm", "-rf", str(run)], check=True)
    stages = {stage: run_stage(stage, run, file, options.limit) for stage in STAGES}
    report = run_folder.report(run, "candidates")
    found = {name: report[name] for name in ("records", "pairs", "per_record", "left_out")}
    seconds = sum(one["seconds"] for one in stages.values())
    growth = {"seconds": round(seconds, 1), "microseconds_a_row_and_doubling": round(1e6 * seconds / (rows * math.log2(rows)), 2)}
    return {"rows": rows, **stages, **growth, **found, **completeness(run, export.truth_of(file), options.seed), "data_sha256": digest([file])}


def parser_of(description: str) -> argparse.ArgumentParser:
    """Return a parser that knows which export `made` makes, and where."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--crm", default="hubspot", choices=export.CRMS)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=Path("outputs/match_scale"), help="for exports and runs")
    return parser


def main() -> None:
    """Read the options, measure each size, and keep its entry."""
    parser = parser_of(__doc__.split("\n")[0])
    parser.add_argument("rows", type=int, nargs="+")
    parser.add_argument("--limit", type=int, default=10, help="candidates a record")
    options = parser.parse_args()
    for rows in options.rows:
        entry = {"crm": options.crm, "limit": options.limit, **measure(rows, options.folder, options), "seed": options.seed, "machine": processor()}
        entry |= {"load_average": round(os.getloadavg()[1], 1), "versions": {name: importlib.metadata.version(name) for name in LIBRARIES}}
        entry |= {"command": f"scripts/experiments/match_scale.py {rows} --crm {options.crm} --seed {options.seed} --limit {options.limit}"}
        result_entries.keep(RESULTS, entry, lambda one: (one["rows"], one["crm"], one["limit"], one["machine"]))
        print(json.dumps(entry), flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"match_scale: {error}")
