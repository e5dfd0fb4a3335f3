"""The figures of quality: overview, precision and recall, reliability, confusion, robustness."""

from __future__ import annotations

from collections.abc import Sequence

from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.reporting.canvas import INK, PALE, Figure, Look, canvas, dots, finish, legend_below, shown
from crm_dedup_plugin.reporting.comparison import Row

ROBUSTNESS = {  # attribute: name in the figure
    "flip_rate": "flips, records swapped",
    "shuffle_flip_rate": "flips, fields shuffled",
    "injection_moved": "moved by injections",
    "injection_success": "injections obeyed",
}


def overview(rows: Sequence[Row], look: dict[str, Look]) -> Figure:
    """Draw macro F1 and coverage of each row with their intervals."""
    with canvas(5.2, 1.0 + 0.3 * len(rows), 2) as (figure, (left, right)):
        dots(left, rows, [row.metrics.macro_f1 for row in rows], look, fmt="o")
        dots(right, rows, [row.coverage for row in rows], look, fmt="o")
        right.set_yticks(range(len(rows)), [])
        for place, row in enumerate(rows):
            if not row.coverage:
                right.text(0.02, place, "not measured", va="center", fontsize=8, color="#6b7785")
        for axes, name in ((left, "macro F1"), (right, "coverage at 99% precision")):
            axes.set(xlim=(-0.02, 1.02), xlabel=name)
        values = "; ".join(f"{shown(row.name)}: macro F1 {row.metrics.macro_f1.value:.2f}" + _covers(row) for row in rows)
        caption = "Further right is better; a bar is the 95% interval. Bars that overlap: these test pairs cannot tell the two apart."
        return finish(figure, f"Macro F1 and coverage with intervals. {values}.", caption)


def precision_recall(rows: Sequence[Row], look: dict[str, Look]) -> Figure | None:
    """Draw precision against recall of automatic merges, a curve a row."""
    drawn = [row for row in rows if row.metrics.calibration and row.metrics.calibration.precision_recall]
    if not drawn:
        return None
    with canvas(5.0, 3.5 + 0.1 * len(drawn)) as (figure, axes):
        axes.axhline(0.99, color=PALE, linewidth=1.2)
        axes.text(1.015, 0.99, "99%", fontsize=8, va="center", color="#5b6775")
        for row in drawn:
            curve, style = row.metrics.calibration.precision_recall, look[row.name]
            marker = style.marker if len(curve.recall) == 1 else None
            options = {"color": style.color, "linestyle": style.dashes, "marker": marker, "linewidth": 1.8}
            axes.plot(curve.recall, curve.precision, label=shown(row.name), **options)
        axes.set(
            xlim=(-0.01, 1.02),
            ylim=(0, 1.03),
            xlabel="recall: share of the duplicates that are merged",
            ylabel="precision: share of merges that are right",
        )
        legend_below(figure, axes)
        caption = (
            "Each point is a threshold on the score of DUPLICATE: what is above it is merged. "
            "Up and right is better; only what stays near the 99% line can be merged without a person."
        )
        return finish(figure, f"Precision-recall curves of automatic merges: {_names(drawn)}.", caption)


def reliability(row: Row, look: dict[str, Look]) -> Figure | None:
    """Draw accuracy against confidence of one row, as it is and calibrated."""
    bins = row.metrics.calibration and row.metrics.calibration.reliability
    if not bins or not (bins.as_is or bins.calibrated):
        return None
    calibration, color = row.metrics.calibration, look[row.name].color
    with canvas(3.3, 3.5) as (figure, axes):
        axes.plot([0, 1], [0, 1], color="#9aa5b1", linewidth=1)
        texts = []
        for part, error, name, line, fill in (
            (bins.as_is, calibration.ece, "as it is", "-", color),
            (bins.calibrated, calibration.ece_calibrated, "calibrated", "--", "white"),
        ):
            if part:
                x, y = [one.confidence for one in part], [one.accuracy for one in part]
                text = name + (f", ECE {error.value:.2f}" if error else "")
                texts.append(text)
                sizes = [12 + 90 * one.pairs / max(sum(each.pairs for each in part), 1) for one in part]
                axes.plot(x, y, line, color=color, linewidth=1.2, zorder=2)
                axes.scatter(x, y, sizes, color=fill, edgecolors=color, zorder=3, label=text)
        axes.set(xlim=(0.3, 1.03), ylim=(-0.03, 1.03), xlabel="confidence of the decision", ylabel="share that is right")
        axes.set_title(shown(row.name), fontsize=10)
        legend_below(figure, axes, 1)
        return finish(figure, f"Reliability of {shown(row.name)}: {'; '.join(texts)}.", "")


def confusion(row: Row) -> Figure:
    """Draw the confusion matrix of one row: labels down, decisions across."""
    counts = row.metrics.confusion
    columns = [*LABELS, *(["UNREADABLE"] if any(counts.get(label, {}).get("UNREADABLE") for label in LABELS) else [])]
    table = [[counts.get(label, {}).get(name, 0) for name in columns] for label in LABELS]
    shares = [[count / max(sum(line), 1) for count in line] for line in table]
    with canvas(3.3, 2.9) as (figure, axes):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.grid(False)
        for y, line in enumerate(table):
            for x, count in enumerate(line):
                ink = "white" if shares[y][x] > 0.55 else INK
                axes.text(x, y, f"{count}\n{shares[y][x]:.0%}", ha="center", va="center", color=ink, fontsize=9)
        short = [name.replace("_", "\n") if name != "UNREADABLE" else "no JSON" for name in columns]
        axes.set_xticks(range(len(columns)), short, fontsize=7.5)
        axes.set_yticks(range(len(LABELS)), short[: len(LABELS)], fontsize=7.5, rotation=90, va="center")
        axes.set(xlabel="decision", ylabel="label")
        axes.set_title(shown(row.name), fontsize=10)
        told = "; ".join(
            f"{label}: " + ", ".join(f"{count} {name}" for count, name in zip(line, columns, strict=True))
            for label, line in zip(LABELS, table, strict=True)
        )
        return finish(figure, f"Confusion matrix of {shown(row.name)}, label: decisions. {told}.", "")


def robustness(rows: Sequence[Row], look: dict[str, Look]) -> Figure | None:
    """Draw the rates of flips and of injections with their intervals, a group of dots a row."""
    rates = [name for name in ROBUSTNESS if any(getattr(row.metrics, name) for row in rows)]
    drawn = [row for row in rows if any(getattr(row.metrics, name) for name in rates)]
    if not drawn:
        return None
    with canvas(5.2, 1.2 + 0.13 * len(drawn) * (len(rates) + 1)) as (figure, axes):
        for number, name in enumerate(rates):
            offset = (number - (len(rates) - 1) / 2) * 0.7 / len(rates)
            values = [getattr(row.metrics, name) for row in drawn]
            dots(axes, drawn, values, look, offset, fmt="osD^"[list(ROBUSTNESS).index(name)])
            axes.plot([], [], "osD^"[list(ROBUSTNESS).index(name)], color="#5b6775", label=ROBUSTNESS[name], linestyle="none")
        highest = max(found.high for row in drawn for name in rates if (found := getattr(row.metrics, name)))
        axes.set(xlim=(-0.01, max(0.1, highest * 1.08)), xlabel="share of decisions")
        legend_below(figure, axes)
        caption = "Further left is better; a bar is the 95% interval. A model that always answers the same never flips: read this beside macro F1."
        told = "; ".join(
            f"{shown(row.name)}: " + ", ".join(f"{ROBUSTNESS[name]} {found.value:.2f}" for name in rates if (found := getattr(row.metrics, name)))
            for row in drawn
        )
        return finish(figure, f"Rates of flips and injections with intervals. {told}.", caption)


def _names(rows: Sequence[Row]) -> str:
    return ", ".join(shown(row.name) for row in rows)


def _covers(row: Row) -> str:
    return f", coverage {row.coverage.value:.2f}" if row.coverage else ""
