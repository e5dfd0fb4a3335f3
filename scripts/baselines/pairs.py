"""What every baseline shares: labelled pairs, what a fitted baseline says about them, and thresholds chosen on validation pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.record import normalise

MAX_CUTS = 400


class Pairs(NamedTuple):
    """Pairs of records as a model reads them; `gold` holds decisions, or 1 and 0 where only matches are labelled."""

    left: list[dict[str, str]]
    right: list[dict[str, str]]
    gold: list
    slices: list[str | None]

    def swapped(self) -> Pairs:
        """Return the same pairs with both records exchanged."""
        return self._replace(left=self.right, right=self.left)

    def first(self, count: int | None) -> Pairs:
        """Return the first pairs; all where no count is given."""
        return Pairs(*(column[:count] for column in self))

    def drawn(self, count: int | None, name: str) -> Pairs:
        """Return the pairs that the task of public benchmarks draws from the file `name`, with its ``per_file``."""
        order = list(range(len(self.gold)))
        Random(name).shuffle(order)
        return Pairs(*([column[at] for at in order[:count]] for column in self))


class Verdicts(NamedTuple):
    """A decision a pair; `scores` rise with DUPLICATE; `probabilities` (pairs, 3), in the order of `schema.LABELS`, where there are any."""

    decisions: list[str]
    scores: np.ndarray | None = None
    probabilities: np.ndarray | None = None


class Fitted(NamedTuple):
    """A baseline that is ready to decide, and the parameters that it chose."""

    decide: Callable[[Pairs], Verdicts]
    parameters: dict


def label(row: dict) -> str | int:
    """Return the decision of a row of a split, or the label of a public pair."""
    return row["output"]["decision"] if "output" in row else row["label"]


def load(path: Path, cure: str = "run `make prep` first", gold: Callable[[dict], str | int] = label) -> Pairs:
    """Return the pairs of a split, or of a benchmark with the labels 0 and 1; raises UserError where it cannot."""
    if not path.is_file():
        raise UserError(f"{path} does not exist: {cure}")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        try:
            rows += [_row(json.loads(line), gold)] if line.strip() else []
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"{path}, line {number}: not a labelled pair: {cure}") from None
    if not rows:
        raise UserError(f"{path} holds no pairs: {cure}")
    return Pairs(*map(list, zip(*rows, strict=True)))


def join(parts: dict[str, Pairs]) -> Pairs:
    """Return all pairs as one list, with the names of the parts as slices."""
    named = [part._replace(slices=[name] * len(part.gold)) for name, part in parts.items()]
    return Pairs(*(list(chain.from_iterable(column)) for column in zip(*named, strict=True)))


def thresholds(scores: np.ndarray, gold: Sequence[str]) -> tuple[float, float]:
    """Return the low <= high with the best macro F1: NO_MATCH below `low`, POSSIBLE below `high`, then DUPLICATE."""
    values = np.unique(np.quantile(scores, np.linspace(0, 1, MAX_CUTS), method="nearest"))
    cuts = np.concatenate([values[:1], (values[:-1] + values[1:]) / 2, values[-1:] + 1])
    total, seen = 0.0, 0
    for label in LABELS:
        own = scores[np.asarray(gold) == label]
        right, size = _called(label, own, cuts), _called(label, scores, cuts) + len(own)
        total, seen = total + 2 * right / np.maximum(size, 1), seen + (size > 0)
    low, high = np.unravel_index(np.argmax(np.triu(total / seen)), total.shape)
    return float(cuts[low]), float(cuts[high])


def by_thresholds(scores: np.ndarray, low: float, high: float) -> list[str]:
    """Return the decisions for scores."""
    return np.where(scores >= high, "DUPLICATE", np.where(scores >= low, "POSSIBLE", "NO_MATCH")).tolist()


def _called(label: str, scores: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """Return how many scores are decided as `label`, for each low (rows) and each high (columns) among the cuts."""
    below = np.searchsorted(np.sort(scores), cuts)
    low, high = np.meshgrid(below, below, indexing="ij")
    return {"NO_MATCH": low, "POSSIBLE": high - low, "DUPLICATE": len(scores) - high}[label]


def _row(row: dict, gold: Callable[[dict], str | int]) -> tuple:
    pair, found = row.get("input", row), gold(row)
    if found not in (*LABELS, 0, 1):
        raise ValueError(found)
    return normalise(pair["record_a"])[0], normalise(pair["record_b"])[0], found, row.get("slice")
