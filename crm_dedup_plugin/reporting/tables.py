"""Tables of quality, as text in GitHub's Markdown, and the one way to write a share, a rate and an interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from crm_dedup_plugin.reporting.metric_names import FORMAT, QUALITY, ROBUSTNESS

MISSING = "-"


def share(value: float) -> str:
    """Return a share with two digits."""
    return f"{value:.2f}"


def percent(value: float) -> str:
    """Return a share in percent; 100% only if it is all of them.

    >>> percent(1.0), percent(0.99999), percent(0.5)
    ('100%', '99.9%', '50.0%')
    """
    return "100%" if value == 1 else "99.9%" if 0.999 < value < 1 else f"{value:.1%}"


def rate(value: float) -> str:
    """Return three significant digits, never an exponent.

    >>> rate(0.01234), rate(1.234), rate(1234.5), rate(0.0)
    ('0.0123', '1.23', '1,234', '0')
    """
    if value < 1e-6 or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 - math.floor(math.log10(value))}f}"


def interval(metric: dict | None, write: Callable[[float], str] = share) -> str:
    """Return a number with its interval, or with the range of its repeats; "-" if it was not measured.

    >>> interval({"value": 0.871, "low": 0.722, "high": 0.95})
    '0.87 (0.72-0.95)'
    """
    if not metric or metric.get("value") is None:
        return MISSING
    return f"{write(metric['value'])} ({write(metric['low'])}-{write(metric['high'])})"


def precise(metric: dict | None) -> str:
    """Return a share with three digits and its interval: rare events differ in thousandths."""
    return interval(metric, lambda value: f"{value:.3f}")


def optional(value: float | None, write: Callable[[float], str] = percent) -> str:
    """Return a number without an interval; "-" if it was not measured."""
    return MISSING if value is None else write(value)


def table(heads: Sequence, rows: Iterable[Sequence]) -> str:
    """Return a table whose cells are written as they are."""
    from tabulate import tabulate

    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def quality(results: dict[str, dict]) -> str:
    """Return one column for each model, by its name; what none of them was measured for is left out."""
    measured = {key: metric for key, metric in {**QUALITY, **ROBUSTNESS}.items() if any(one.get(key) for one in results.values())}
    rows = [[metric.title, *(interval(one.get(key)) for one in results.values())] for key, metric in measured.items()]
    rows += [[metric.title, *(optional(one.get(key)) for one in results.values())] for key, metric in FORMAT.items()]
    return table(["", *results], [*rows, ["pairs", *(one["pairs"] for one in results.values())]])


def slices(result: dict) -> str:
    """Return the accuracy and the macro F1 of each slice, the weakest first."""
    parts = sorted(result.get("slices", {}).items(), key=lambda item: item[1]["accuracy"]["value"])
    rows = [[name, part["pairs"], interval(part["accuracy"]), interval(part["macro_f1"])] for name, part in parts]
    return table(["slice", "pairs", "accuracy", "macro F1"], rows)


def tasks(result: dict) -> str:
    """Return the other tasks: macro F1, or the F1 of merges and links for those with two answers, also by slice."""
    rows = []
    for task, part in result.get("tasks", {}).items():
        linked = (task == "crm_dedup_public" and result.get("linking")) or {"slices": {}}
        found = [part.get("macro_f1"), part.get("f1"), part.get("mean_f1"), linked.get("f1"), linked.get("mean_f1")]
        rows.append([task, part["pairs"], *map(interval, found)])
        for name, one in part["slices"].items() if "f1" in part else ():
            found = [None, one["f1"], None, linked["slices"].get(name, {}).get("f1"), None]
            rows.append([f"- {name}", one["pairs"], *map(interval, found)])
    return table(["task", "pairs", "macro F1", "F1 of merges", "mean of files", "F1 of links", "mean of files"], rows)
