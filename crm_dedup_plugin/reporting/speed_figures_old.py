"""What a benchmark looks like: throughput and latency against concurrency, and how near the arms come to the physical limit."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from crm_dedup_plugin.storage import save_figure

TITLES = {"ttft": "time to first token", "tpot": "time per output token", "itl": "between tokens", "e2el": "whole answer"}
ARMS = {
    "full": "full answer",
    "full_cold": "full, cold cache",
    "full_uncached": "full, no cache",
    "full_without_schema": "full, no schema",
    "decision": "one token",
    "decision_cold": "one token, cold",
    "decision_uncached": "one token, no cache",
}


def draw(result: dict, folder: Path, name: str) -> list[Path]:
    """Draw what there is of a benchmark into `folder`; return the files."""
    title = f"{name}{', random weights' if result['random_weights'] else ''}{', quick' if result['quick'] else ''}\n{result['hardware']['name']}"
    drawn = []
    if result["online"]:
        drawn += [_throughput(result["online"], folder / "throughput.png", title), _latency(result["online"], folder / "latency.png", title)]
    if result["offline"]:
        drawn.append(_limit(result["offline"], folder / "limit.png", title))
    return drawn


def _throughput(levels: list[dict], path: Path, title: str) -> Path:
    figure, axes = _axes(title)
    x = [level["concurrency"] for level in levels]
    for key, label in (("pairs_per_second", "pairs/s"), ("goodput", "pairs/s within the deadline")):
        values = [level[key] for level in levels]
        axes.errorbar(x, [value["value"] for value in values], _bars(values), marker="o", capsize=3, label=label)
    _concurrency(axes, x)
    axes.set(ylabel="pairs a second (median, least and most)", ylim=(0, None))
    axes.legend()
    return save_figure(figure, path)


def _latency(levels: list[dict], path: Path, title: str) -> Path:
    figure = Figure(figsize=(8.4, 6.4), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True)
    x = [level["concurrency"] for level in levels]
    for axes, (name, heading) in zip(grid.flat, TITLES.items(), strict=True):
        for point in ("p50", "p95", "p99"):
            values = [level[f"{name}_ms"][point] for level in levels]
            axes.errorbar(x, [value["value"] for value in values], _bars(values), marker="o", capsize=3, label=point)
        _concurrency(axes, x)
        axes.set(ylabel="ms", title=f"{heading} ({name.upper()})", ylim=(0, None))
    grid.flat[0].legend()
    figure.suptitle(title, fontsize=10)
    return save_figure(figure, path)


def _limit(arms: dict[str, dict], path: Path, title: str) -> Path:
    figure, axes = _axes(title, height=0.5 * len(arms) + 2.1)
    names = [arm for arm in ARMS if arm in arms]
    rates = [arms[arm]["pairs_per_second"] for arm in names]
    axes.barh(range(len(names)), [arms[arm]["limit_pairs_per_second"] for arm in names], color="#dddddd", label="physical limit")
    axes.barh(range(len(names)), [rate["value"] for rate in rates], xerr=_bars(rates), capsize=3, height=0.5, label="measured")
    for at, arm in enumerate(names):
        text = f" {arms[arm]['pairs_per_second']['value']:,.3g} pairs/s = {arms[arm]['share_of_limit']:.0%}"
        axes.annotate(text, (arms[arm]["limit_pairs_per_second"], at), va="center", fontsize=8)
    axes.set_yticks(range(len(names)), [ARMS[arm] for arm in names])
    axes.margins(x=0.3)
    axes.invert_yaxis()
    axes.set(xlabel="pairs a second", xlim=(0, None))
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return save_figure(figure, path)


def _axes(title: str, height: float = 4.4):
    figure = Figure(figsize=(7.2, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    return figure, axes


def _concurrency(axes, levels: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(levels, [str(level) for level in levels])
    axes.minorticks_off()
    axes.set_xlabel("requests at a time")
    axes.grid(alpha=0.3)


def _bars(values: list[dict]) -> list[list[float]]:
    return [[value["value"] - value["low"] for value in values], [value["high"] - value["value"] for value in values]]
