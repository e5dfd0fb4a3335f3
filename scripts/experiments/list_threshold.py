"""From which probability on a list is merged without a person: ``.venv/bin/python scripts/experiments/list_threshold.py``.

Matches the whole lists of `learning_sets.py`, which no result is about, with the embedded model and several thresholds, and measures the groups
by their truth. Runs that are there go on. Writes ``results/list_threshold.json``.
"""

import argparse
import json
import sys
from pathlib import Path

import command
import learning_sets
import match_quality
from tabulate import tabulate

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.provenance import digest, versions
from crm_dedup_plugin.reporting.tables import precise
from crm_dedup_plugin.storage import write_atomically

RESULTS = Path("results/list_threshold.json")
THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)
LISTS = learning_sets.SETS / "work"


def measure(folder: Path, threshold: float, seed: int) -> dict:
    """Return what the groups of a list are worth where merges need so much; raises UserError where the command fails."""
    run = Path("runs") / f"list-{folder.name}"
    command.run("match", str(folder / "export.csv"), "--run", run.name, "--until", "group", "--explain", "0", "--threshold", str(threshold))
    return match_quality.of_run(run, folder, seed)


def main() -> None:
    """Measure each threshold on each list."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    folders = sorted(path.parent for path in LISTS.glob("*/truth.csv"))
    if not folders:
        raise UserError(f"{LISTS} holds no list: run scripts/experiments/learning_sets.py first")
    lists = {one.name: {threshold: measure(one, threshold, options.seed) for threshold in THRESHOLDS} for one in folders}
    about = {"data": {one.name: digest([one / "export.csv", one / "truth.csv"]) for one in folders}, "seed": options.seed, "versions": versions()}
    about |= {"command": f"scripts/experiments/{Path(__file__).name} --seed {options.seed}"}
    write_atomically(RESULTS, json.dumps({"lists": lists, **about}, indent=2) + "\n")
    print(table(RESULTS))


def table(results: Path) -> str:
    """Return F1 of pairs and wrong merges by list and threshold."""
    lists = json.loads(results.read_text(encoding="utf-8"))["lists"]
    rows = []
    for threshold in map(str, THRESHOLDS):
        cells = [(one[threshold]["pairs"]["f1"], one[threshold]["wrong_merges_per_1000"]["value"]) for one in lists.values()]
        rows.append([threshold, *(f"{precise(f1)}, {wrong:.1f}" for f1, wrong in cells)])
    return tabulate(rows, headers=["threshold", *lists], tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
