"""The figures of speed, a group a machine: numbers of different hardware, or of different pairs, never share an axis."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.ticker import LogLocator

from crm_dedup_plugin.reporting.canvas import Figure, Look, bars, canvas, finish, legend_below, shown
from crm_dedup_plugin.reporting.columns import marks
from crm_dedup_plugin.reporting.comparison import Row
from crm_dedup_plugin.reporting.selection_rule import pareto


def machines(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows with speed by the machine, and by the pairs where these are not the same for all."""
    measured = [row for row in rows if row.benchmark]
    several = len({row.benchmark.inputs.data_sha256 for row in measured}) > 1
    groups: dict[str, list[Row]] = {}
    for row in measured:
        data = f", data {row.benchmark.inputs.data_sha256[:8]}" if several else ""
        groups.setdefault(row.benchmark.hardware.name + data, []).append(row)
    return dict(sorted(groups.items()))


def label(row: Row) -> str:
    """Return the name of a row with what its speed must not be read without."""
    return shown(row.name) + (f" ({shown(marks(row))})" if marks(row) else "")


def front(name: str, rows: Sequence[Row], look: dict[str, Look]) -> Figure | None:
    """Draw macro F1 against pairs a second with the Pareto front; rows with random weights have no quality."""
    drawn = [row for row in rows if row.metrics and not row.benchmark.random_weights and row.benchmark.arm("full").pairs_per_second]
    if not drawn:
        return None
    speeds, scores = [row.benchmark.arm("full").pairs_per_second for row in drawn], [row.metrics.macro_f1 for row in drawn]
    best = pareto([(speed.value, score.value) for speed, score in zip(speeds, scores, strict=True)])
    with canvas(5.0, 3.2 + 0.1 * len(drawn)) as (figure, axes):
        axes.plot([speeds[at].value for at in best], [scores[at].value for at in best], color="#b8c2cd", linewidth=3, label="Pareto front", zorder=1)
        for row, speed, score in zip(drawn, speeds, scores, strict=True):
            style, options = look[row.name], {"capsize": 2.5, "label": label(row)}
            axes.errorbar([speed.value], [score.value], bars(score), bars(speed), fmt=style.marker, color=style.color, **options)
        _logarithmic(axes, [speed.value for speed in speeds])
        axes.set(ylim=(0, 1.02), xlabel="pairs a second, whole JSON answers (logarithmic)", ylabel="macro F1")
        axes.set_title(shown_machine(name), fontsize=9)
        legend_below(figure, axes)
        names = ", ".join(shown(drawn[at].name) for at in best)
        caption = f"Up and right is better. On the front (no other is faster and better): {names}. Bars: range of the runs, 95% interval of macro F1."
        return finish(figure, f"Macro F1 against pairs a second on {name}. On the Pareto front: {names}.", caption)


def load(name: str, rows: Sequence[Row], look: dict[str, Look]) -> Figure | None:
    """Draw throughput and latency against the number of requests at a time."""
    drawn = [row for row in rows if row.benchmark.online]
    if not drawn:
        return None
    with canvas(5.2, 2.9 + 0.1 * len(drawn), 2) as (figure, (left, right)):
        for row in drawn:
            loads, style = sorted(row.benchmark.online, key=lambda one: one.concurrency), look[row.name]
            options = {"color": style.color, "marker": style.marker, "markersize": 4.5, "linewidth": 1.5}
            done = [(one.concurrency, one.pairs_per_second.value) for one in loads if one.pairs_per_second]
            left.plot(*zip(*done, strict=True) if done else ([], []), linestyle=style.dashes, label=label(row), **options)
            for quantile, dashes in (("p50", "-"), ("p95", ":")):
                points = [(one.concurrency, found.value) for one in loads if one.e2el_ms and (found := getattr(one.e2el_ms, quantile))]
                right.plot(*zip(*points, strict=True) if points else ([], []), linestyle=dashes, **options)
        everything = sorted({one.concurrency for row in drawn for one in row.benchmark.online})
        for axes, what in ((left, "pairs a second"), (right, "latency, ms: p50 (line), p95 (dots)")):
            axes.set_xscale("log", base=2)
            axes.set_xticks(everything, [str(number) for number in everything])
            axes.minorticks_off()
            axes.set(xlabel="requests at a time")
            axes.set_title(what, fontsize=8.5)
            axes.set_ylim(bottom=0)
        figure.suptitle(shown_machine(name), fontsize=9)
        legend_below(figure, left)
        caption = "Left: higher is better; where the curve goes flat, the machine is full. Right: lower is better; waiting grows where it is full."
        return finish(figure, f"Throughput and latency against concurrency on {name}: {', '.join(shown(row.name) for row in drawn)}.", caption)


def shown_machine(name: str) -> str:
    text = "".join(one if one.isprintable() else " " for one in name)
    return text if len(text) <= 80 else text[:79] + "…"


def _logarithmic(axes, values: Sequence[float]) -> None:
    if min(values) > 0:
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 2, max(values) * 2)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
