"""The recommendation and what was compared, in sentences with `code` in backticks."""

from __future__ import annotations

from collections.abc import Sequence

from crm_dedup_plugin.reporting.comparison import Comparison, Row, describe
from crm_dedup_plugin.reporting.comparison_table import DASH
from crm_dedup_plugin.reporting.results import Interval
from crm_dedup_plugin.reporting.selection_rule import PRECISION, choose
from crm_dedup_plugin.reporting.speed_figures import machines
from crm_dedup_plugin.reporting.tables import share

HOW = (
    "How to read it: each model decides whether two CRM records are a DUPLICATE, a POSSIBLE one (a person looks) or NO_MATCH. "
    "Every number comes with its 95% bootstrap interval or, for a speed, with the range of the runs. "
    "Where two intervals overlap, these pairs do not show which is better. Baselines are methods without a language model."
)
FEW = 300  # fewer merges than this cannot prove 99% precision even if all are right (exact 95% bound)


def subject(found: Comparison) -> list[str]:
    """Say what was compared, and on which data."""
    measured = found.measured
    models, baselines = [row for row in measured if not row.baseline], [row for row in measured if row.baseline]
    speeds = machines(found.rows)
    lines = []
    if measured:
        who = " and ".join([_count(len(models), "language model")] * bool(models) + [_count(len(baselines), "baseline")] * bool(baselines))
        lines.append(f"{who} decided the same {describe(measured[0].data)} (the first digits of its SHA-256).")
    else:
        lines.append("No quality has been measured yet: the rows below have only a speed.")
    if models and models[0].task:
        lines.append(f"All models answered the same prompt, measured with the same code (task {models[0].task[:8]}).")
    if speeds:
        lines.append(f"Speed was measured on: {'; '.join(speeds)}." + (" Compare speeds only on the same machine." if len(speeds) > 1 else ""))
    else:
        lines.append("Speed has not been measured yet: `make bench-MODEL` does.")
    return lines


def recommend(found: Comparison) -> list[str]:
    """Say which row the rule selects, how certain that is, and which language model is best."""
    choice = choose(found.rows)
    if not choice.winner:
        return ["No recommendation: no row qualifies.", *(f"{row.name}: {reason}." for row, reason in choice.out)]
    winner, best = choice.winner, choose([row for row in found.rows if not row.baseline]).winner
    if not winner.baseline:
        lines = [f"Take {winner.name}.", f"{figures(winner)}."]
    elif not best:
        lines = [f"Take {winner.name}: a baseline, because no language model here qualifies.", f"{figures(winner)}."]
    elif best in choice.ties:
        lines = [f"Take {winner.name}, a baseline, or {best.name}: these pairs do not show which of the two is better."]
        lines += [f"{row.name}: {figures(row)}." for row in (winner, best)]
    else:
        lines = [f"Take {winner.name}: it is a baseline, and no language model here does as well."]
        lines += [f"{winner.name}: {figures(winner)}.", f"The best language model, {best.name}: {figures(best)}."]
    if ties := [row.name for row in choice.ties if row is not best or not winner.baseline]:
        lines.append(f"These pairs do not show whether {winner.name} is better than {_listed(ties)}: their intervals overlap in both numbers.")
    return lines + _doubts(winner) + _elsewhere(winner, found.measured)


def figures(row: Row) -> str:
    """Return the two numbers that the rule looks at."""
    f1 = f"macro F1 {interval(row.metrics.macro_f1)}"
    if not row.coverage:
        return f"{f1}; how many duplicates could be merged automatically is not known"
    merges = row.metrics.calibration.merge_at_99
    if not merges.merged:
        return f"{f1}; no threshold is safe enough to merge anything without a person"
    right = f", and {interval(merges.precision)} of these {merges.merged} merges were right" if merges.precision else ""
    short = f" (the goal was {share(PRECISION)})" if merges.precision and merges.precision.value < PRECISION else ""
    return f"{f1}; at its threshold, {interval(row.coverage)} of the duplicates are merged without a person{right}{short}"


def interval(found: Interval) -> str:
    return f"{share(found.value)} ({share(found.low)}{DASH}{share(found.high)})"


def _doubts(winner: Row) -> list[str]:
    """Say so if there were too few merges to trust their precision."""
    merges = winner.metrics.calibration and winner.metrics.calibration.merge_at_99
    if not merges or not 0 < merges.merged < FEW:
        return []
    bound = f" (exact 95% bound: {share(merges.precision_exact_low)})" if merges.precision_exact_low is not None else ""
    doubt = f"{merges.merged} merges on test pairs are too few to prove 99% precision{bound}"
    return [f"{doubt}: test it on more of your own pairs before merging anything without a person."]


def _elsewhere(winner: Row, rows: Sequence[Row]) -> list[str]:
    """Say which row links public lists best, if it is certainly not the winner."""
    mine, linking = winner.metrics.linking, [row for row in rows if row.metrics.linking]
    best = max(linking, key=lambda row: row.metrics.linking.mean_f1.value, default=winner)
    if not mine or best.name == winner.name or mine.mean_f1.overlaps(best.metrics.linking.mean_f1):
        return []
    found = f"an F1 of {interval(best.metrics.linking.mean_f1)} against {interval(mine.mean_f1)} on public ones"
    return [f"For lists that do not come from a CRM, {best.name} links better, with {found}."]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
