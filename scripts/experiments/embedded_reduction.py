"""What the embedded model lost when the mean of its trainings was reduced to a low rank.

    python -m crm_dedup_plugin.evaluation.probabilities MEAN_MODEL mean.json data/splits/test.jsonl data/unseen.jsonl --limit 700
    python -m crm_dedup_plugin.evaluation.probabilities outputs/embedded-merged reduced.json data/splits/test.jsonl data/unseen.jsonl --limit 700
    .venv/bin/python scripts/experiments/embedded_reduction.py mean.json reduced.json

Keeps ``results/embedded_reduction.json``.
"""

import json
import sys
from pathlib import Path

from sklearn.metrics import f1_score

from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.files import read_pairs
from crm_dedup_plugin.provenance import digest, versions
from crm_dedup_plugin.storage import write_atomically

RESULTS = Path("results/embedded_reduction.json")


def compare(mean: dict[str, list], reduced: dict[str, list]) -> list[dict]:
    """Return for each file the macro F1 of both models' decisions by one token, and the share of decisions that changed."""
    rows = []
    for path in mean:
        gold = [pair.label for pair in read_pairs(path, len(mean[path]), labels=LABELS)]
        before, after = ([LABELS[row.index(max(row))] for row in one[path]] for one in (mean, reduced))
        scores = {name: f1_score(gold, found, average="macro") for name, found in (("mean", before), ("reduced", after))}
        changed = sum(one != other for one, other in zip(before, after, strict=True)) / len(gold)
        rows.append({"file": Path(path).name, "pairs": len(gold), **scores, "changed": changed, "data_sha256": digest([Path(path)])})
    return rows


def table(path: Path = RESULTS) -> str:
    """Return the comparison as Markdown."""
    from tabulate import tabulate

    found = json.loads(path.read_text(encoding="utf-8"))
    rows = [[one["file"], one["pairs"], f"{one['mean']:.3f}", f"{one['reduced']:.3f}", f"{one['changed']:.1%}"] for one in found["files"]]
    heads = ["first pairs of", "pairs", "macro F1 of the mean", "after the reduction", "decisions changed"]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def main() -> None:
    """Compare the two files of probabilities that are named."""
    mean, reduced = (json.loads(Path(path).read_text(encoding="utf-8")) for path in sys.argv[1:3])
    entry = {"adapter": json.loads((embedded.FILES / "training.json").read_text(encoding="utf-8")), "files": compare(mean, reduced)}
    write_atomically(RESULTS, json.dumps(entry | {"versions": versions()}, indent=2) + "\n")
    print(table())


if __name__ == "__main__":
    main()
