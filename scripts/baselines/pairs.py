"""What every baseline shares: labelled pairs, what a fitted baseline says about them, and thresholds chosen on validation pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np

from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.files import Pair, read_pairs

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
    """A baseline that is ready to decide, the parameters that it chose, and what readers of its scores have to know."""

    decide: Callable[[Pairs], Verdicts]
    parameters: dict
    note: str | None = None


def load(path: Path, cure: str = "run `make prep` first", gold: Callable[[Pair], str | int] = lambda pair: pair.label) -> Pairs:
    """Return the pairs of a split, or of a benchmark with the labels 0 and 1; raises UserError if it cannot."""
    found = read_pairs(path, cure=cure, labels=(*LABELS, 0, 1))
    return Pairs([pair.record_a for pair in found], [pair.record_b for pair in found], list(map(gold, found)), [pair.slice for pair in found])


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
