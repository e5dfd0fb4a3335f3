"""The recommendation in plain language, and the sentences about what was compared: text with `code` in backticks."""

from __future__ import annotations

from collections.abc import Sequence

from crm_dedup_plugin.reporting.columns import DASH, share
from crm_dedup_plugin.reporting.comparison import Comparison, Row, describe
from crm_dedup_plugin.reporting.results import Interval
from crm_dedup_plugin.reporting.selection_rule import PRECISION, choose
from crm_dedup_plugin.reporting.speed_figures import machines

HOW = (
    "How to read it: each model decides whether two CRM records are a DUPLICATE, a POSSIBLE one (a person looks) or NO_MATCH. "
    "Every number has its 95% bootstrap interval beside it, or, if it is a speed, the range of the runs. "
    "Where two intervals overlap, these pairs do not tell which is better. Baselines are what you would try before a language model."
)
FEW = 300  # merges that are all right show 99% precision (exact, one in twenty wrong) from about here on


def subject(found: Comparison) -> list[str]:
    """Say what was compared, on what."""
    measured = found.measured
    models, baselines = [row for row in measured if not row.baseline], [row for row in measured if row.baseline]
    speeds = machines(found.rows)
    lines = []
    if measured:
        who = " and ".join([_count(len(models), "language model")] * bool(models) + [_count(len(baselines), "baseline")] * bool(baselines))
        lines.append(f"{who} decided about the same {describe(measured[0].data)} (the first digits of its SHA-256).")
    else:
        lines.append("No quality has been measured yet: the rows below have speed alone.")
    if models and models[0].task:
        lines.append(f"All models answered the same prompt, measured with the same code (task {models[0].task[:8]}).")
    if speeds:
        lines.append(f"Speed was measured on: {'; '.join(speeds)}." + (" Compare speeds only on the same machine." if len(speeds) > 1 else ""))
    else:
        lines.append("Speed has not been measured yet: `make bench-MODEL` does.")
    return lines


def recommend(found: Comparison) -> list[str]:
    """Say which row the rule takes, how sure that is, and which is the best language model."""
    choice = choose(found.rows)
    if not choice.winner:
        return ["No recommendation: no row qualifies.", *(f"{row.name}: {reason}." for row, reason in choice.out)]
    winner, best = choice.winner, choose([row for row in found.rows if not row.baseline]).winner
    if not winner.baseline:
        lines = [f"Take {winner.name}.", f"{figures(winner)}."]
    elif not best:
        lines = [f"Take {winner.name}: a baseline, for no language model here qualifies.", f"{figures(winner)}."]
    elif best in choice.ties:
        lines = [f"Take {winner.name}, a baseline, or {best.name}: these pairs cannot tell it from the best language model."]
        lines += [f"{row.name}: {figures(row)}." for row in (winner, best)]
    else:
        lines = [f"Take {winner.name}: it is a baseline, and no language model here does as well."]
        lines += [f"{winner.name}: {figures(winner)}.", f"The best language model, {best.name}: {figures(best)}."]
    if ties := [row.name for row in choice.ties if row is not best or not winner.baseline]:
        lines.append(f"These pairs cannot tell {winner.name} from {_listed(ties)}: their intervals overlap in both numbers.")
    return lines + _doubts(winner) + _elsewhere(winner, found.measured)


def figures(row: Row) -> str:
    """Return the two numbers that the rule looks at."""
    f1 = f"macro F1 {interval(row.metrics.macro_f1)}"
    if not row.coverage:
        return f"{f1}; how much it could merge by itself is not known"
    merges = row.metrics.calibration.merge_at_99
    if not merges.merged:
        return f"{f1}; no threshold is safe enough, so that nothing can be merged without a person"
    right = f", and {interval(merges.precision)} of these {merges.merged} merges were right" if merges.precision else ""
    short = f" ({share(PRECISION)} was the aim)" if merges.precision and merges.precision.value < PRECISION else ""
    return f"{f1}; at its threshold {interval(row.coverage)} of the duplicates are merged without a person{right}{short}"


def interval(found: Interval) -> str:
    return f"{share(found.value)} ({share(found.low)}{DASH}{share(found.high)})"


def _doubts(winner: Row) -> list[str]:
    """Say so where too few merges were seen to trust their precision."""
    merges = winner.metrics.calibration and winner.metrics.calibration.merge_at_99
    if not merges or not 0 < merges.merged < FEW:
        return []
    bound = f" (exact 95% bound: {share(merges.precision_exact_low)})" if merges.precision_exact_low is not None else ""
    doubt = f"{merges.merged} merges on test pairs are too few to prove 99% precision{bound}"
    return [f"{doubt}: check on more of your own pairs before anything is merged unseen."]


def _elsewhere(winner: Row, rows: Sequence[Row]) -> list[str]:
    """Say which row links public lists best, where that is certainly not the winner."""
    mine, linking = winner.metrics.linking, [row for row in rows if row.metrics.linking]
    best = max(linking, key=lambda row: row.metrics.linking.mean_f1.value, default=winner)
    if not mine or best.name == winner.name or mine.mean_f1.overlaps(best.metrics.linking.mean_f1):
        return []
    found = f"an F1 of {interval(best.metrics.linking.mean_f1)} against {interval(mine.mean_f1)} on public ones"
    return [f"Not for lists that are no CRM: there {best.name} links better, with {found}."]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
