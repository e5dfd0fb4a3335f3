"""Turn ``results/*/metrics.json`` into what people look at: tables and confusion matrices."""

from __future__ import annotations

import json
from pathlib import Path

from crm_dedup_plugin.errors import UserError, advise
from crm_dedup_plugin.evaluation.metrics import COLUMNS
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.storage import results_of, save_figure

ROWS = {
    "macro_f1": "macro F1",
    "accuracy": "accuracy",
    **{f"f1_{label.lower()}": f"F1 {label}" for label in LABELS},
    "precision_duplicate": "precision DUPLICATE",
}
ROBUSTNESS = {  # shown where one of the models was measured for it
    "flip_rate": "flips, records swapped",
    "shuffle_flip_rate": "flips, fields shuffled",
    "injection_moved": "moved by injections",
    "injection_success": "injections obeyed",
    "reasoning_grounded": "reasoning grounded",
}


def load(name: str) -> dict:
    """Return the metrics of one model; raises UserError where there are none."""
    path = results_of(name) / "metrics.json"
    if not path.is_file():
        raise UserError(f"{path} does not exist: run {advise('kpi', name)} first")
    return json.loads(path.read_text(encoding="utf-8"))


def table(results: dict[str, dict], form: str = "github") -> str:
    """Return one table, a column a model, every share with its 95% interval; "-" where a model was not measured."""
    from tabulate import tabulate

    measured = {key: title for key, title in ROBUSTNESS.items() if any(result.get(key) for result in results.values())}
    rows = [[title, *(share(result.get(key)) for result in results.values())] for key, title in {**ROWS, **measured}.items()]
    rows.append(["valid JSON", *(_percent(result.get("valid_json")) for result in results.values())])
    rows.append(["truncated answers", *(_percent(result.get("truncated")) for result in results.values())])
    rows.append(["pairs", *(result["pairs"] for result in results.values())])
    return tabulate(rows, headers=["", *results], tablefmt=form, disable_numparse=True)


def slices(result: dict, form: str = "github") -> str:
    """Return the accuracy of each slice, the weakest first."""
    from tabulate import tabulate

    parts = sorted(result.get("slices", {}).items(), key=lambda item: item[1]["accuracy"]["value"])
    rows = [[name, part["pairs"], share(part["accuracy"]), share(part["macro_f1"])] for name, part in parts]
    return tabulate(rows, headers=["slice", "pairs", "accuracy", "macro F1"], tablefmt=form, disable_numparse=True)


def tasks(result: dict, form: str = "github") -> str:
    """Return the macro F1 of the other tasks, or the F1 of merges and links of the two-way ones, and of each of their slices."""
    from tabulate import tabulate

    rows = []
    for task, part in result.get("tasks", {}).items():
        linked = (task == "crm_dedup_public" and result.get("linking")) or {"slices": {}}
        merges, means = (share(part.get(key)) for key in ("f1", "mean_f1"))
        rows.append([task, part["pairs"], share(part.get("macro_f1")), merges, means, *(share(linked.get(key)) for key in ("f1", "mean_f1"))])
        for name, one in part["slices"].items() if "f1" in part else ():
            rows.append([f"- {name}", one["pairs"], "-", share(one["f1"]), "-", share(linked["slices"].get(name, {}).get("f1")), "-"])
    heads = ["task", "pairs", "macro F1", "F1 of merges", "mean of files", "F1 of links", "mean of files"]
    return tabulate(rows, headers=heads, tablefmt=form, disable_numparse=True)


def pictures(result: dict, folder: Path, title: str) -> list[Path]:
    """Draw what there is of a result into `folder`; return the files."""
    drawn = [folder / "confusion.png"]
    confusion_png(result, drawn[0], title)
    if result.get("calibration"):
        drawn.append(folder / "reliability.png")
        reliability_png(result["calibration"], drawn[1], title)
    return drawn


def confusion_png(result: dict, path: Path, title: str) -> None:
    """Draw the confusion matrix (rows: label, columns: decision) with counts and row shares."""
    from matplotlib.figure import Figure

    columns = [name for name in COLUMNS if name in LABELS or any(result["confusion"][label][name] for label in LABELS)]
    counts = [[result["confusion"][label][name] for name in columns] for label in LABELS]
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    figure = Figure(figsize=(1.4 * len(columns) + 1.6, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for y, row in enumerate(counts):
        for x, count in enumerate(row):
            color = "white" if shares[y][x] > 0.55 else "black"
            axes.text(x, y, f"{count}\n{shares[y][x]:.0%}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(LABELS)), LABELS)
    axes.set(xlabel="decision of the model", ylabel="label", title=f"{title}: macro F1 {result['macro_f1']['value']:.2f}")
    save_figure(figure, path)


def reliability_png(calibration: dict, path: Path, title: str) -> None:
    """Draw how often decisions are right against how sure the model was, as it is and at the fitted temperature."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 4.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    kinds = (("as_is", "ece", "as it is"), ("calibrated", "ece_calibrated", f"temperature {calibration['temperature']:.2f}"))
    for key, error, name in kinds:
        bins = calibration["reliability"][key]
        x, y, sizes = ([part[column] for part in bins] for column in ("confidence", "accuracy", "pairs"))
        (line,) = axes.plot(x, y, label=f"{name}: ECE {calibration[error]['value']:.3f}")
        axes.scatter(x, y, [10 + 200 * size / calibration["pairs"] for size in sizes], color=line.get_color())
    axes.set(xlim=(0.3, 1.02), ylim=(0, 1.02), xlabel="probability of the decision", ylabel="share that is right", title=title)
    axes.legend(loc="lower right")
    save_figure(figure, path)


def share(metric: dict | None, digits: int = 2) -> str:
    """Return a share with its interval, "-" where there is none."""
    return f"{metric['value']:.{digits}f} ({metric['low']:.{digits}f}-{metric['high']:.{digits}f})" if metric else "-"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
