"""The figures of speed, grouped by machine: numbers of different hardware, or of different pairs, never share axes.

``draw(result, folder, name)`` writes those of one benchmark beside its ``benchmark.json``; the comparison page shows those of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import LogLocator

from crm_dedup_plugin.reporting.comparison import Row, marks
from crm_dedup_plugin.reporting.figures import PALE, SOFT, WIDTH, Figure, Look, axes_of, bars, legend_below, looks, shown, style
from crm_dedup_plugin.reporting.metric_names import ARMS, LATENCIES
from crm_dedup_plugin.reporting.results import Benchmark, find
from crm_dedup_plugin.reporting.tables import rate

QUANTILES = {"p50": "-", "p95": "--", "p99": ":"}


def draw(result: dict, folder: Path, name: str) -> list[Path]:
    """Draw what there is of one benchmark into `folder`; return the files."""
    row = Row(name, benchmark=Benchmark.model_validate(result))
    machine, look = row.benchmark.hardware.name, looks([row])
    drawn = {
        "throughput.png": throughput(machine, [row], look),
        "latency.png": latency(machine, [row], look, tuple(LATENCIES)),
        "limit.png": limit(machine, row),
    }
    return [figure.png(folder / file) for file, figure in drawn.items() if figure]


def machines(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows with a speed by machine, and by the pairs if these are not the same for all."""
    measured = [row for row in rows if row.benchmark]
    several = len({row.benchmark.inputs.data_sha256 for row in measured}) > 1
    groups: dict[str, list[Row]] = {}
    for row in measured:
        data = f", data {row.benchmark.inputs.data_sha256[:8]}" if several else ""
        groups.setdefault(row.benchmark.hardware.name + data, []).append(row)
    return dict(sorted(groups.items()))


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the points (speed, quality) that no other point dominates, the slowest first."""
    front, best = [], float("-inf")
    for number in sorted(range(len(points)), key=lambda at: (-points[at][0], -points[at][1])):
        if points[number][1] > best or (front and points[number] == points[front[-1]]):
            front.append(number)
            best = points[number][1]
    return front[::-1]


@style()
def front(machine: str, rows: Sequence[Row], look: dict[str, Look]) -> Figure | None:
    """Draw macro F1 against pairs a second with the Pareto front, whose names it tells; rows with random weights have no quality."""
    drawn = [row for row in rows if row.metrics and not row.benchmark.random_weights and find(row.benchmark, "offline.full.pairs_per_second")]
    if not drawn:
        return None
    speeds, scores = [find(row.benchmark, "offline.full.pairs_per_second") for row in drawn], [row.metrics.macro_f1 for row in drawn]
    best = pareto([(speed.value, score.value) for speed, score in zip(speeds, scores, strict=True)])
    figure, axes = axes_of(WIDTH, 2.9)
    axes.plot([speeds[at].value for at in best], [scores[at].value for at in best], color=PALE, linewidth=3, label="Pareto front", zorder=1)
    for row, speed, score in zip(drawn, speeds, scores, strict=True):
        options = {"fmt": look[row.name].marker, "color": look[row.name].color, "capsize": 2.5, "label": _label(row)}
        axes.errorbar([speed.value], [score.value], bars([score]), bars([speed]), **options)
    if lowest := min(speed.value for speed in speeds):
        axes.set_xscale("log")
        axes.set_xlim(lowest / 2, max(speed.value for speed in speeds) * 2)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
    axes.set(ylim=(0, 1.02), xlabel="pairs a second, whole answers (logarithmic)", ylabel="macro F1", title=_machine(machine))
    legend_below(figure, axes)
    names = ", ".join(shown(drawn[at].name) for at in best)
    return Figure(figure, f"Macro F1 against pairs a second on {machine}. On the Pareto front: {names}.", names)


@style()
def throughput(machine: str, rows: Sequence[Row], look: dict[str, Look]) -> Figure | None:
    """Draw pairs a second against the number of concurrent requests; of a single model also those within the deadline."""
    drawn = [row for row in rows if row.benchmark.online]
    if not drawn:
        return None
    figure, axes = axes_of(WIDTH, 3.0)
    for row in drawn:
        _curve(axes, row, "pairs_per_second", look, label=_label(row), linestyle=look[row.name].dashes)
    if len(drawn) == 1:
        _curve(axes, drawn[0], "goodput", look, label="within the deadline", linestyle="--", markerfacecolor="white")
    _concurrency(axes, drawn)
    axes.set(ylabel="pairs a second", title=_machine(machine))
    legend_below(figure, axes)
    return Figure(figure, f"Throughput against concurrency on {machine}: {', '.join(shown(row.name) for row in drawn)}.")


@style()
def latency(machine: str, rows: Sequence[Row], look: dict[str, Look], kinds: Sequence[str] = ("e2el",)) -> Figure | None:
    """Draw the quantiles of each kind of latency against the number of concurrent requests."""
    drawn = [row for row in rows if row.benchmark.online]
    if not drawn:
        return None
    side = 1 if len(kinds) == 1 else 2
    figure, grid = axes_of(WIDTH * (1 if side == 1 else 1.8), 3.0 * (1 if side == 1 else 1.7), side, side)
    panels = [grid] if side == 1 else list(grid.flat)
    for axes, kind in zip(panels, kinds, strict=True):
        for row in drawn:
            for quantile, dashes in QUANTILES.items():
                label = _label(row) if quantile == "p50" else None
                _curve(axes, row, f"{kind}_ms.{quantile}", look, label=label, linestyle=dashes)
        _concurrency(axes, drawn)
        axes.set(ylabel="ms", title=LATENCIES[kind])
    for quantile, dashes in QUANTILES.items():
        panels[0].plot([], [], color=SOFT, linestyle=dashes, label=quantile)
    if side > 1:
        figure.suptitle(_machine(machine), fontsize=10)
    legend_below(figure, panels[0])
    return Figure(figure, f"Latency against concurrency on {machine}: {', '.join(shown(row.name) for row in drawn)}.")


@style()
def limit(machine: str, row: Row) -> Figure | None:
    """Draw how near each way of answering comes to what the hardware allows."""
    found = row.benchmark.offline or {}
    arms = {name: arm for name in ARMS if (arm := found.get(name)) and arm.pairs_per_second and arm.limit_pairs_per_second}
    if not arms:
        return None
    figure, axes = axes_of(WIDTH * 1.4, 1.3 + 0.42 * len(arms))
    limits, rates = [arm.limit_pairs_per_second for arm in arms.values()], [arm.pairs_per_second for arm in arms.values()]
    axes.barh(range(len(arms)), limits, color="#dfe4ea", label="physical limit")
    axes.barh(range(len(arms)), [one.value for one in rates], xerr=bars(rates), capsize=3, height=0.5, label="measured")
    for at, arm in enumerate(arms.values()):
        axes.annotate(
            f" {rate(rates[at].value)} pairs/s = {arm.share_of_limit:.0%}", (max(limits[at], rates[at].high), at), va="center", fontsize=8.5
        )
    axes.set_yticks(range(len(arms)), [ARMS[name] for name in arms])
    axes.invert_yaxis()
    axes.set(xlabel="pairs a second", xlim=(0, 1.5 * max(*limits, *(one.high for one in rates))), title=f"{_label(row)}\n{_machine(machine)}")
    legend_below(figure, axes)
    return Figure(figure, f"Throughput of {shown(row.name)} against the physical limit on {machine}.")


def _curve(axes, row: Row, path: str, look: dict[str, Look], **options) -> None:
    """Draw one number of the loads of a row, as in "pairs_per_second" or "e2el_ms.p50", against concurrency."""
    points = []
    for load in sorted(row.benchmark.online, key=lambda one: one.concurrency):
        if found := find(load, path):
            points.append((load.concurrency, found))
    if points:
        x, y = zip(*points, strict=True)
        options |= {"color": look[row.name].color, "marker": look[row.name].marker, "markersize": 4.5, "capsize": 2, "linewidth": 1.5}
        axes.errorbar(x, [one.value for one in y], bars(y), **options)


def _concurrency(axes, rows: Sequence[Row]) -> None:
    levels = sorted({one.concurrency for row in rows for one in row.benchmark.online})
    axes.set_xscale("log", base=2)
    axes.set_xticks(levels, [str(level) for level in levels])
    axes.minorticks_off()
    axes.set(xlabel="concurrent requests")
    axes.set_ylim(bottom=0)


def _label(row: Row) -> str:
    """Return the name of a row with the caveats of its speed."""
    return shown(row.name) + (f" ({shown(marks(row))})" if marks(row) else "")


def _machine(name: str) -> str:
    return shown(name, 44)
