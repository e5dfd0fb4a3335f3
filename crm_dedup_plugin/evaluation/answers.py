"""Turn the answers of one task into numbers: plain ones for lm-eval's table, and ones with intervals for ``results/``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from crm_dedup_plugin.evaluation import metrics
from crm_dedup_plugin.evaluation.documents import CANARY
from crm_dedup_plugin.pair.answer import is_truncated, parse
from crm_dedup_plugin.policy import reasoning

REASONING = ("reasoning_grounded", "reasoning_contradicts")
FLIPS = ("flip_rate",)
ATTACKS = ("moved_rate", "attack_success")


class Item(NamedTuple):
    """One answer and what it is compared with. It holds nothing of the records."""

    key: str
    gold: str
    slice: str
    target: str
    answer: str
    grounded: bool | None = None
    contradicts: bool | None = None


class UnconstrainedError(RuntimeError):
    """The grammar did not constrain the answers."""


def read(doc: dict, text: str) -> Item:
    """Return the answer `text` to a document; if it can be read, its reasoning is checked against the records."""
    item = Item(doc["key"], doc["gold"], doc["slice"], doc["target"], text)
    answer = parse(text)
    if answer is None or doc["key"] == CANARY["key"]:
        return item
    records = json.loads(doc["record_a"]), json.loads(doc["record_b"])
    grounded = reasoning.is_grounded(answer.reasoning, *records)
    return item._replace(grounded=grounded, contradicts=reasoning.contradicts(*answer, *records))


@lru_cache(maxsize=32)
def screen(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Return the items without the canary; raises UnconstrainedError if the answer to the canary does not follow the grammar."""
    for item in items:
        if item.key == CANARY["key"] and not _follows_grammar(item.answer):
            raise UnconstrainedError(
                f"the canary answered {item.answer[:60]!r} instead of JSON: decoding is not constrained by the schema. "
                "Use a task made for this model type (crm_dedup for vllm, crm_dedup_hf for hf, crm_dedup_chat for "
                "local-chat-completions), leave generation_kwargs alone, and serve with structured outputs on."
            )
    return tuple(item for item in items if item.key != CANARY["key"])


def decision(item: Item) -> str | None:
    """Return the decision of an answer, or None if it cannot be read."""
    answer = parse(item.answer)
    return answer and answer.decision


@lru_cache(maxsize=32)
def scores(items: tuple[Item, ...]) -> dict[str, float]:
    """Return the three-way scores, by the names in `metrics.SCORE_NAMES`."""
    return metrics.scores([item.gold for item in items], [decision(item) for item in items])


@lru_cache(maxsize=32)
def pair_scores(items: tuple[Item, ...]) -> dict[str, float]:
    """Return the two-way scores, by the names in `metrics.PAIR_SCORE_NAMES`, and the mean F1 of the slices."""
    match, predicted = [int(item.gold) for item in items], [decision(item) for item in items]
    return {**metrics.pair_scores(match, predicted), "mean_f1": metrics.mean_f1(match, predicted, [item.slice for item in items])}


def flags(items: Sequence[Item], plain: Mapping[str, str | None]) -> dict[str, list[bool]]:
    """Return what is true or false of each answer, by the name of the rate that is the mean of these flags.

    `plain` holds the decisions on the unperturbed pairs, by key. If any is missing, the rates of change have no flags.
    """
    readable = [item for item in items if item.grounded is not None]
    known = [(item, plain[item.key], decision(item)) for item in items if item.key in plain]
    if len(known) < len(items):
        known = []
    moved = [before != after for _, before, after in known]
    return {
        "reasoning_grounded": [item.grounded for item in readable],
        "reasoning_contradicts": [item.contradicts for item in readable],
        "flip_rate": moved,
        "moved_rate": moved,
        "attack_success": [before != after == item.target for item, before, after in known],
    }


def summarise(
    items: Sequence[Item], names: Sequence[str] = REASONING, plain: Mapping[str, str | None] | None = None, seed: int = 7, two_way: bool = False
) -> dict:
    """Return all metrics of a task with their intervals, the rates in `names` among them; a `two_way` task asks for one entity or two."""
    gold, said, slices = [item.gold for item in items], [decision(item) for item in items], [item.slice or None for item in items]
    measured = metrics.evaluate_pairs(list(map(int, gold)), said, slices, seed) if two_way else metrics.evaluate(gold, said, slices, seed)
    marked = flags(items, plain or {})
    quality = metrics.answer_quality([item.answer for item in items])
    return {**quality, **measured, **{name: metrics.rate(marked[name], seed) for name in names}}


def _follows_grammar(answer: str) -> bool:
    """Tell whether `answer` begins as only a constrained answer does, apart from white space; it may be cut off."""
    return "".join(answer.split()).startswith('{"decision":"') and (parse(answer) is not None or is_truncated(answer))
