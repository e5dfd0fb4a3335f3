"""The figures of quality: overview, precision and recall, reliability, confusion, robustness.

``draw(row, folder)`` writes those of one model beside its ``metrics.json``; the comparison page shows those of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.reporting.comparison import Row
from crm_dedup_plugin.reporting.figures import INK, PALE, SMALL, SOFT, WIDTH, Figure, Look, axes_of, dots, legend_below, looks, shown, style
from crm_dedup_plugin.reporting.metric_names import MERGING, QUALITY, ROBUSTNESS
from crm_dedup_plugin.reporting.results import Interval, Metrics

UNREADABLE = "UNREADABLE"  # the decision of an answer that is no valid JSON
ATTACKS = {name: ROBUSTNESS[name].title for name in ("flip_rate", "shuffle_flip_rate", "injection_moved", "injection_success")}


def draw(result: dict, folder: Path, name: str) -> list[Path]:
    """Draw what there is of the metrics of one model into `folder`; return the files."""
    row = Row(name, Metrics.model_validate(result))
    drawn = [confusion(row).png(folder / "confusion.png")]
    if found := reliability(row, looks([row])):
        drawn.append(found.png(folder / "reliability.png"))
    return drawn


@style()
def overview(rows: Sequence[Row], look: dict[str, Look]) -> list[Figure]:
    """Draw macro F1, and the coverage at 99% precision, of each row with their intervals."""

    def drawn(title: str, get: Callable[[Row], Interval | None]) -> Figure:
        figure, axes = axes_of(WIDTH, 0.7 + 0.3 * len(rows))
        dots(axes, rows, [get(row) for row in rows], look, fmt="o")
        for place, row in enumerate(rows):
            if not get(row):
                axes.text(0.02, place, "not measured", va="center", fontsize=8.5, color=SOFT)
        axes.set(xlim=(-0.02, 1.02), xlabel=title)
        values = "; ".join(f"{shown(row.name)}: {found.value:.2f}" for row in rows if (found := get(row)))
        return Figure(figure, f"{title} with intervals. {values}.")

    return [
        drawn(QUALITY["macro_f1"].title, lambda row: row.metrics.macro_f1),
        drawn(f"{MERGING['coverage'].title} precision", lambda row: row.coverage),
    ]


@style()
def precision_recall(rows: Sequence[Row], look: dict[str, Look]) -> Figure | None:
    """Draw precision against recall of automatic merges, one curve for each row."""
    drawn = [row for row in rows if row.metrics.calibration and row.metrics.calibration.precision_recall]
    if not drawn:
        return None
    figure, axes = axes_of(WIDTH, 3.2)
    axes.axhline(0.99, color=PALE, linewidth=1.2)
    axes.text(1.025, 0.99, "99%", fontsize=8.5, va="center", color=SOFT)
    for row in drawn:
        curve, style_of = row.metrics.calibration.precision_recall, look[row.name]
        marker = style_of.marker if len(curve.recall) == 1 else None
        options = {"color": style_of.color, "linestyle": style_of.dashes, "marker": marker, "linewidth": 1.8}
        axes.plot(curve.recall, curve.precision, label=shown(row.name), **options)
    axes.set(xlim=(-0.01, 1.02), ylim=(0, 1.03), xlabel="recall: share of duplicates merged", ylabel="precision: share of merges right")
    legend_below(figure, axes)
    return Figure(figure, f"Precision-recall curves of automatic merges: {', '.join(shown(row.name) for row in drawn)}.")


@style()
def reliability(row: Row, look: dict[str, Look]) -> Figure | None:
    """Draw accuracy against confidence of one row, before and after calibration."""
    bins = row.metrics.calibration and row.metrics.calibration.reliability
    if not bins or not any(bins.values()):
        return None
    calibration, color = row.metrics.calibration, look[row.name].color
    figure, axes = axes_of(SMALL, 3.2)
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=1.2)
    temperature = f" (temperature {calibration.temperature:.2f})" if calibration.temperature else ""
    texts = []
    for part, error, name, line, fill in (
        (bins.get("as_is"), calibration.ece, "as it is", "-", color),
        (bins.get("calibrated"), calibration.ece_calibrated, f"calibrated{temperature}", "--", "white"),
    ):
        if part:
            x, y = [one.confidence for one in part], [one.accuracy for one in part]
            texts.append(name + (f": ECE {error.value:.3f}" if error else ""))
            sizes = [12 + 90 * one.pairs / max(sum(each.pairs for each in part), 1) for one in part]
            axes.plot(x, y, line, color=color, linewidth=1.2, zorder=2)
            axes.scatter(x, y, sizes, color=fill, edgecolors=color, zorder=3, label=texts[-1])
    axes.set(xlim=(0.3, 1.03), ylim=(-0.03, 1.03), xlabel="confidence of the decision", ylabel="share that is right", title=shown(row.name))
    legend_below(figure, axes)
    return Figure(figure, f"Reliability of {shown(row.name)}: {'; '.join(texts)}.")


@style()
def confusion(row: Row) -> Figure:
    """Draw the confusion matrix of one row: labels down, decisions across, counts with shares of the label."""
    counts = row.metrics.confusion
    columns = [*LABELS, *([UNREADABLE] if any(counts.get(label, {}).get(UNREADABLE) for label in LABELS) else [])]
    table = [[counts.get(label, {}).get(name, 0) for name in columns] for label in LABELS]
    shares = [[count / max(sum(line), 1) for count in line] for line in table]
    figure, axes = axes_of(SMALL + 0.8 * (len(columns) - len(LABELS)), 3.2)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.grid(False)
    for y, line in enumerate(table):
        for x, count in enumerate(line):
            axes.text(x, y, f"{count}\n{shares[y][x]:.0%}", ha="center", va="center", color="white" if shares[y][x] > 0.55 else INK)
    names = ["no JSON" if name == UNREADABLE else name.replace("_", "\n") for name in columns]
    axes.set_xticks(range(len(columns)), names, fontsize=8)
    axes.set_yticks(range(len(LABELS)), names[: len(LABELS)], fontsize=8, rotation=90, va="center", multialignment="center")
    axes.set(xlabel="decision", ylabel="label", title=f"{shown(row.name)}\nmacro F1 {row.metrics.macro_f1.value:.2f}")
    told = "; ".join(
        f"{label}: " + ", ".join(f"{count} {name}" for count, name in zip(line, columns, strict=True))
        for label, line in zip(LABELS, table, strict=True)
    )
    return Figure(figure, f"Confusion matrix of {shown(row.name)}, label: decisions. {told}.")


@style()
def robustness(rows: Sequence[Row], look: dict[str, Look]) -> Figure | None:
    """Draw the rates of flips and of injections with their intervals, a group of dots for each row."""
    rates = [name for name in ATTACKS if any(getattr(row.metrics, name) for row in rows)]
    drawn = [row for row in rows if any(getattr(row.metrics, name) for name in rates)]
    if not drawn:
        return None
    figure, axes = axes_of(WIDTH, 0.8 + 0.13 * len(drawn) * (len(rates) + 1))
    for number, name in enumerate(rates):
        marker, offset = "osD^"[list(ATTACKS).index(name)], (number - (len(rates) - 1) / 2) * 0.7 / len(rates)
        dots(axes, drawn, [getattr(row.metrics, name) for row in drawn], look, offset, fmt=marker)
        axes.plot([], [], marker, color=SOFT, label=ATTACKS[name], linestyle="none")
    highest = max(found.high for row in drawn for name in rates if (found := getattr(row.metrics, name)))
    axes.set(xlim=(-0.01, max(0.1, highest * 1.08)), xlabel="share of the decisions")
    legend_below(figure, axes)
    told = "; ".join(
        f"{shown(row.name)}: " + ", ".join(f"{ATTACKS[name]} {found.value:.2f}" for name in rates if (found := getattr(row.metrics, name)))
        for row in drawn
    )
    return Figure(figure, f"Rates of flips and injections with intervals. {told}.")
