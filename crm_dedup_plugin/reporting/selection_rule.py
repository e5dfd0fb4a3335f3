"""The selection rule, which ``recommendation.jinja`` says in words, and the Pareto front of speed and quality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from crm_dedup_plugin.reporting.comparison import Row
from crm_dedup_plugin.reporting.results import Interval

PRECISION = 0.99


class Choice(NamedTuple):
    """The winner, the rows that tie with it, and why others could not win (row, reason)."""

    winner: Row | None
    ties: list[Row]
    out: list[tuple[Row, str]]


def choose(rows: Sequence[Row]) -> Choice:
    """Apply the rule to comparable rows."""
    out = [(row, reason) for row in rows if (reason := _unfit(row))]
    fit = [row for row in rows if not _unfit(row)]
    if not fit:
        return Choice(None, [], out)
    if known := [row for row in fit if row.coverage]:
        out += [(row, "no probabilities or scores, so no coverage") for row in fit if not row.coverage]
        best = max(known, key=lambda row: (coverage(row).value, row.metrics.macro_f1.value))
        fit = [row for row in known if coverage(row).overlaps(coverage(best))]
    winner = max(fit, key=lambda row: row.metrics.macro_f1.value)
    return Choice(winner, [row for row in fit if row is not winner and row.metrics.macro_f1.overlaps(winner.metrics.macro_f1)], out)


def coverage(row: Row) -> Interval:
    """Return the coverage that counts: 0 if the merges on the test pairs were certainly less precise than `PRECISION`."""
    reached = row.metrics.calibration.merge_at_99.precision
    return Interval(value=0.0, low=0.0, high=0.0) if reached and reached.high < PRECISION else row.coverage


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the points (speed, quality) that no other point dominates, the slowest first."""
    front, best = [], float("-inf")
    for number in sorted(range(len(points)), key=lambda at: (-points[at][0], -points[at][1])):
        if points[number][1] > best or (front and points[number] == points[front[-1]]):
            front.append(number)
            best = points[number][1]
    return front[::-1]


def _unfit(row: Row) -> str | None:
    if not row.metrics:
        return "its quality was not measured"
    if not row.baseline and row.metrics.valid_json != 1:
        return (
            "not all of its answers are valid JSON" if row.metrics.valid_json is not None else "whether its answers are valid JSON was not measured"
        )
    return None
