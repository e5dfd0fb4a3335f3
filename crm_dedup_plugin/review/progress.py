"""How far a review has come, and what the answers say of the whole run, in numbers and in words."""

from collections import Counter

import numpy as np

from crm_dedup_plugin.learning.answered import ENOUGH, LEAST
from crm_dedup_plugin.matching.answers import ANSWERS, DIFFERENT, SAME
from crm_dedup_plugin.matching.estimate import Estimate, Share, estimate, share_of
from crm_dedup_plugin.matching.progress import many
from crm_dedup_plugin.reporting.templates import share as percent
from crm_dedup_plugin.review.lists import agreement
from crm_dedup_plugin.review.shapes import Progress
from crm_dedup_plugin.review.state import State


def progress(state: State, merges: bool, can_undo: bool, can_redo: bool) -> Progress:
    """Return the progress of a review; `merges` says whether the records of a group go into one."""
    counts = Counter(given.answer for given in state.answered.values())
    waiting = len(state.waiting.why) - sum(at in state.waiting.why for at in state.sampled)
    sizes = state.sizes()
    groups, removed = int((sizes > 1).sum()), int((sizes[sizes > 1] - 1).sum()) if merges else 0
    found = estimate(state.sampler, state.sampled, int(np.sum(state.together(state.pairs) & ~state.merged)))
    agreed = _agreement(state)
    useful = counts[SAME] + counts[DIFFERENT]
    until = {name: max(needed - useful, 0) for name, needed in (("calibration", LEAST), ("tuning", ENOUGH))}
    by_answer = {answer: counts[answer] for answer in ANSWERS}
    sentences = [*_counted(by_answer, waiting), *_told(agreed, found), *_until(until)]
    changed = state.found.changed
    return Progress(
        len(state.answered), waiting, by_answer, groups, removed, agreed, *found, sentences, until, changed, can_undo=can_undo, can_redo=can_redo
    )


def _agreement(state: State) -> Share | None:
    """Return on which share of the pairs with a yes or a no from both the model and people agree."""
    told = [(given.answer, state.said(*pair)) for pair, given in state.answered.items()]
    same = [one for answer, said in told if said and (one := agreement(answer, said.label)) is not None]
    return share_of(sum(same), len(same))


def _counted(by_answer: dict[str, int], waiting: int) -> list[str]:
    said = [f"{count:,} {answer}" for answer, count in by_answer.items() if count]
    told = f"{many(sum(by_answer.values()), 'pair')} answered: {', '.join(said)}." if said else "No pair is answered yet."
    return [f"{told} {many(waiting, 'pair')} {'waits' if waiting == 1 else 'wait'} for you."]


def _told(agreed: Share | None, found: Estimate) -> list[str]:
    sentences = []
    if agreed:
        sentences.append(f"The model agrees with you on {_share(agreed)} of the pairs on which both of you say yes or no.")
    if found.precision:
        sentences.append(f"About {_share(found.precision)} of the merges that need no person are right.")
    if found.missing:
        sentences.append(f"About {_share(found.missing)} of the duplicates among the candidate pairs are not found yet.")
    return sentences


def _until(until: dict[str, int]) -> list[str]:
    if until["calibration"]:
        return [f"{many(until['calibration'], 'more answer')} of same or different until the model can learn from you."]
    if until["tuning"]:
        return [f"The model can learn from your answers now. After {many(until['tuning'], 'more answer')} of same or different it can learn more."]
    return ["The model can learn from your answers now."]


def _share(share: Share) -> str:
    return f"{percent(share.value)} ({percent(share.low)} to {percent(share.high)}, from {many(share.answers, 'answer')})"
