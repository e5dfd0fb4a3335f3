"""Turn ``results/*/metrics.json`` into what people look at: tables and confusion matrices."""

from __future__ import annotations

import json
import os
from pathlib import Path

from crm_dedup_plugin.metrics import COLUMNS
from crm_dedup_plugin.schema import LABELS

ROWS = {
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
    **{f"f1_{label.lower()}": f"F1 {label}" for label in LABELS},
    "precision_duplicate": "precision DUPLICATE",
}


def load(name: str) -> dict:
    """Return the metrics of one model; raises FileNotFoundError where there are none."""
    path = Path("results") / name / "metrics.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: run `make kpi-{name}` first")
    return json.loads(path.read_text(encoding="utf-8"))


def table(results: dict[str, dict], form: str = "github") -> str:
    """Return one table, a column a model, every share with its 95% interval."""
    from tabulate import tabulate

    rows = [[title, *(_share(result[key]) for result in results.values())] for key, title in ROWS.items()]
    rows.append(["valid JSON", *(f"{result['valid_json']:.1%}" for result in results.values())])
    rows.append(["truncated answers", *(f"{result['truncated']:.1%}" for result in results.values())])
    rows.append(["pairs", *(result["pairs"] for result in results.values())])
    return tabulate(rows, headers=["", *results], tablefmt=form, disable_numparse=True)


def slices(result: dict, form: str = "github") -> str:
    """Return the accuracy of each slice, the weakest first."""
    from tabulate import tabulate

    parts = sorted(result.get("slices", {}).items(), key=lambda item: item[1]["accuracy"]["value"])
    rows = [[name, part["pairs"], _share(part["accuracy"]), _share(part["macro_f1"])] for name, part in parts]
    return tabulate(rows, headers=["slice", "pairs", "accuracy", "macro F1"], tablefmt=form, disable_numparse=True)


def confusion_png(result: dict, path: Path, title: str) -> None:
    """Draw the confusion matrix (rows: label, columns: decision) with counts and row shares."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    columns = [name for name in COLUMNS if name in LABELS or any(result["confusion"][label][name] for label in LABELS)]
    counts = [[result["confusion"][label][name] for name in columns] for label in LABELS]
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    figure, axes = plt.subplots(figsize=(1.4 * len(columns) + 1.6, 4.4), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            color = "white" if shares[y][x] > 0.55 else "black"
            axes.text(x, y, f"{count}\n{shares[y][x]:.0%}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(LABELS)), LABELS)
    axes.set(xlabel="decision of the model", ylabel="label", title=f"{title}: macro F1 {result['macro_f1']['value']:.2f}")
    partial = path.with_name(f".{path.name}.part")
    figure.savefig(partial, format="png", dpi=120, metadata={"Software": None})
    plt.close(figure)
    os.replace(partial, path)


def _share(metric: dict) -> str:
    return f"{metric['value']:.2f} ({metric['low']:.2f}-{metric['high']:.2f})"
