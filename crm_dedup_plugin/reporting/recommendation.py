"""The recommendation and what was compared, in the words of ``recommendation.jinja``, with `code` in backticks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from crm_dedup_plugin.reporting.comparison import Comparison, Row, describe
from crm_dedup_plugin.reporting.comparison_table import cell
from crm_dedup_plugin.reporting.selection_rule import PRECISION, choose
from crm_dedup_plugin.reporting.speed_figures import machines

FEW = 300  # fewer merges than this cannot prove 99% precision even if all are right (exact 95% bound)


def environment(autoescape: bool = False) -> Environment:
    """Return what reads the templates of this folder."""
    found = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters["clean"] = clean
    return found


def clean(text: str) -> str:
    """Return text without control characters and line breaks, which names of folders may hold."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def texts(found: Comparison) -> dict[str, list[str]]:
    """Return what was compared ("subject"), "how" to read it, the "verdict" and the "rule", each as lines."""
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
    return {name: getattr(module, name)().splitlines() for name in ("subject", "how", "verdict", "rule")}


def _better_linker(winner: Row | None, rows: Sequence[Row]) -> Row | None:
    """Return the row that links public lists best, if it is certainly not the winner."""
    linking = [row for row in rows if row.metrics.linking]
    if not winner or not winner.metrics.linking:
        return None
    best = max(linking, key=lambda row: row.metrics.linking.mean_f1.value)
    return None if winner.metrics.linking.mean_f1.overlaps(best.metrics.linking.mean_f1) else best
