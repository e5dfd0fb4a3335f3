"""What the columns of a list say, on lists that no result is about: ``.venv/bin/python scripts/experiments/list_columns.py``.

Compares the number of steps of `matching.evidence` on the sets of `learning_sets.py`, with the log-odds that `held_out_families.py` kept of
the models that were trained on real sources too, and general weights as the package has them. Writes ``results/list_columns.json``.
"""

import json
import os
import sys
from pathlib import Path

import held_out_tables
import learning_sets
import list_evidence
import numpy as np
from tabulate import tabulate

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation import documents
from crm_dedup_plugin.evaluation.calibration import auroc
from crm_dedup_plugin.matching import evidence
from crm_dedup_plugin.provenance import digest, versions
from crm_dedup_plugin.storage import write_atomically

RESULTS = Path("results/list_columns.json")
STEPS = (0, 1, 2, 3, 5)


def measure(odds: np.ndarray, one: list_evidence.Taught, fit: list_evidence.Fit, steps: int) -> dict[str, float]:
    """Return AUROC and the best F1 of a set after so many steps; after none, those of the general weights."""
    evidence.STEPS = steps
    found = list_evidence.weigh(odds, fit, one.vectors, one.levels if steps else ())
    return {"auroc": auroc(one.same, found), "best_f1": held_out_tables.best_f1(one.same, found)}


def main() -> None:
    """Measure each number of steps on each set with each model, and keep the means."""
    if not os.environ.get(documents.BENCHMARKS):
        raise UserError(f"set {documents.BENCHMARKS} to the folder of the public files, which teach the general weights")
    models = [one for one in held_out_tables.load_all(Path("results/families")) if held_out_tables.kind_of(one) == held_out_tables.OURS]
    paths = sorted(learning_sets.SETS.glob("*.jsonl"))
    if not paths:
        raise UserError(f"{learning_sets.SETS} holds no set: run scripts/experiments/learning_sets.py first")
    fit = list_evidence.teach([*held_out_tables.taught(models, documents.benchmark_files()).values(), *list_evidence.exports()])
    sets = {path.stem: list_evidence.public(path, [models[0].odds[path.stem]]) for path in paths}
    found = {stem: {steps: [measure(model.odds[stem], one, fit, steps) for model in models] for steps in STEPS} for stem, one in sets.items()}
    means = {stem: {steps: _mean(runs) for steps, runs in by_steps.items()} for stem, by_steps in found.items()}
    about = {"models": [one.about["name"] for one in models], "sets_sha256": {path.stem: digest([path]) for path in paths}, "versions": versions()}
    about |= {"command": f"scripts/experiments/{Path(__file__).name}"}
    write_atomically(RESULTS, json.dumps({"sets": means, **about}, indent=2) + "\n")
    print(table(RESULTS))


def table(results: Path) -> str:
    """Return the table of AUROC and best F1 by set and number of steps."""
    sets = json.loads(results.read_text(encoding="utf-8"))["sets"]
    rows = []
    for steps in map(str, STEPS):
        numbers = [[one[steps][what] for what in ("auroc", "best_f1")] for one in sets.values()]
        shown = [f"{auroc:.3f} / {best:.3f}" for auroc, best in [*numbers, np.mean(numbers, axis=0)]]
        rows.append([{"0": "general weights alone", "1": "1 step"}.get(steps, f"{steps} steps"), *shown])
    return tabulate(rows, headers=["AUROC / best F1", *sets, "mean"], tablefmt="github", disable_numparse=True)


def _mean(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
