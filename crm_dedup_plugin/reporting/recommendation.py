"""The selection rule, and what it recommends in the words of ``recommendation.jinja``, with `code` in backticks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from crm_dedup_plugin.reporting.comparison import Comparison, Row, describe
from crm_dedup_plugin.reporting.comparison_table import cell
from crm_dedup_plugin.reporting.results import Interval
from crm_dedup_plugin.reporting.speed_figures import machines
from crm_dedup_plugin.reporting.templates import clean, environment

PRECISION = 0.99
FEW = 300  # fewer merges than this cannot prove 99% precision even if all are right (exact 95% bound)


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


def texts(found: Comparison) -> dict[str, list[str]]:
    """Return what was compared ("subject"), "how" to read it, the "recommendation" and the "rule", each as lines."""
    choice, measured = choose(found.rows), found.measured
    best = choose([row for row in found.rows if not row.baseline]).winner
    facts = {
        "models": [row for row in measured if not row.baseline],
        "baselines": [row for row in measured if row.baseline],
        "data": describe(measured[0].data) if measured else "",
        "machines": list(machines(found.rows)),
        "best_model": best,
        "others": [clean(row.name) for row in choice.ties if row is not best or not choice.winner.baseline],
        "linker": _better_linker(choice.winner, measured),
    }
    settings = {"precision": PRECISION, "few": FEW, "cell": cell}
    module = environment().get_template("recommendation.jinja").make_module({**choice._asdict(), **facts, **settings})
    return {name: getattr(module, name)().splitlines() for name in ("subject", "how", "recommendation", "rule")}


def _better_linker(winner: Row | None, rows: Sequence[Row]) -> Row | None:
    """Return the row that links public lists best, if it is certainly not the winner."""
    linking = [row for row in rows if row.metrics.linking]
    if not winner or not winner.metrics.linking:
        return None
    best = max(linking, key=lambda row: row.metrics.linking.mean_f1.value)
    return None if winner.metrics.linking.mean_f1.overlaps(best.metrics.linking.mean_f1) else best


def _unfit(row: Row) -> str | None:
    if not row.metrics:
        return "its quality was not measured"
    if not row.baseline and row.metrics.valid_json != 1:
        return (
            "not all of its answers are valid JSON" if row.metrics.valid_json is not None else "whether its answers are valid JSON was not measured"
        )
    return None
