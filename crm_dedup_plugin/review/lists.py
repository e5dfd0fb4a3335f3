"""Lists of pairs: what waits, what was answered, and where people and model disagree."""

import numpy as np

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.answers import ANSWERS
from crm_dedup_plugin.matching.grouping.decided import DUPLICATE
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.review.shapes import Item, Page, Rows
from crm_dedup_plugin.review.side_by_side import brief, model, says
from crm_dedup_plugin.review.state import State

WAITING, ANSWERED, MERGES, DISAGREEMENT, ALL = "waiting", "answered", "merges", "disagreement", "all"
FILTERS = (WAITING, ANSWERED, *ANSWERS, MERGES, DISAGREEMENT, *LABELS, ALL)
MOST = 500  # items of a page


def page(state: State, wanted: str, search: str, offset: int, limit: int) -> Page:
    """Return a part of the list of a filter; raises UserError where there is no such filter."""
    pairs, search = _pairs(state, wanted), search.casefold().strip()
    if search:
        pairs = [pair for pair in pairs if says(state, pair, search)]
    offset = max(offset, 0)
    return Page(len(pairs), offset, [item(state, *pair) for pair in pairs[offset : offset + min(max(limit, 0), MOST)]])


def item(state: State, a: int, b: int) -> Item:
    """Return a pair of rows in a few words."""
    found, at, given = model(state, a, b), state.position(a, b), state.answered.get((min(a, b), max(a, b)))
    told = (found.decision, found.duplicate) if found else (None, None)
    again = at in state.waiting.again
    return Item(a, b, [brief(state, a), brief(state, b)], *told, state.why(at), again, given.answer if given else "", disagrees(state, (a, b)))


def disagrees(state: State, pair: Rows) -> bool:
    """Tell whether a person answered the opposite of what the model decided."""
    given, found = state.answered.get((min(pair), max(pair))), state.said(*pair)
    return agreement(given.answer, found.label) is False if given and found else False


def agreement(answer: str, label: str) -> bool | None:
    """Tell whether an answer and a decision say the same; None where one of them says neither same nor different."""
    opposite = {"same": LABELS[2], "different": LABELS[0]}.get(answer)
    return None if opposite is None or label == LABELS[1] else label != opposite


def _pairs(state: State, wanted: str) -> list[Rows]:
    """Return the pairs of a filter: answered ones by time, the latest first, others by their probability."""
    if wanted not in FILTERS:
        raise UserError(f"the filter {wanted!r} is unknown: use one of {', '.join(FILTERS)}")
    if wanted == WAITING:
        return state.open_questions()
    if wanted in (ANSWERED, DISAGREEMENT, *ANSWERS):
        pairs = [pair for pair, given in state.answered.items() if wanted in (ANSWERED, DISAGREEMENT, given.answer)][::-1]
        return [pair for pair in pairs if disagrees(state, pair)] if wanted == DISAGREEMENT else pairs
    decided = state.material.decided
    chosen = {MERGES: state.merged, ALL: np.ones(len(decided.labels), bool)}.get(wanted)
    at = np.flatnonzero(decided.labels == LABELS.index(wanted) if chosen is None else chosen)
    at = at[np.argsort(-decided.probabilities[at, DUPLICATE], kind="stable")]
    return [tuple(pair) for pair in state.pairs[at].tolist()]
