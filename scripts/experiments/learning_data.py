"""Labelled pairs divided for the learning curve: some entities may be labelled, the others are for measuring.

Entities are what labels of 1 connect, and records that are the same. Half of the entities go to each side at random, of a small set more to
the side that may be labelled, and pairs between the sides are left out. That leaves fewer pairs of different entities, but not of one: their
weight makes up for it.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.learning.folds import entities as connected
from crm_dedup_plugin.learning.folds import folds
from crm_dedup_plugin.pair.files import Pair, read_pairs
from crm_dedup_plugin.pair.record import identity

COUNTS, DRAWS, STRATIFIED, DECILES = (20, 50, 100, 300), 5, 50, 10
SMALL = 200  # pairs of a set
LEAST = 20  # pairs of each side: a set that has fewer left for measuring is left out


class Divided(NamedTuple):
    """Positions of pairs in their file."""

    pool: np.ndarray  # may be labelled
    test: np.ndarray
    weight: float  # of a tested pair of two entities; one of a single entity has 1


def load(path: Path) -> list[Pair]:
    """Return the pairs of a file with the labels 1 and 0."""
    return read_pairs(path, labels=(0, 1))


def divide(name: str, pairs: Sequence[Pair], draw: int) -> Divided:
    """Return the sides of one draw."""
    ends = entities(pairs)
    rng = random.Random(f"{name} {draw}")
    share = 0.5 if len(pairs) >= SMALL else 0.65
    side = {entity: rng.random() < share for entity in sorted({one for both in ends for one in both})}
    inside = [[at for at, (a, b) in enumerate(ends) if side[a] == side[b] == chosen] for chosen in (True, False)]
    pool, test = (np.array(one, int) for one in inside)
    labels = np.array([pair.label for pair in pairs])
    rest = labels[test]
    return Divided(pool, test, float((1 - labels).sum() / labels.sum() * rest.sum() / max((1 - rest).sum(), 1)))


def folds_of(pairs: Sequence[Pair], chosen: np.ndarray) -> np.ndarray | None:
    """Return the fold of each chosen pair, as `crm-dedup learn` makes them; None where the pairs are of too few entities."""
    ends = entities(pairs)
    number = {entity: at for at, entity in enumerate(dict.fromkeys(one for both in ends for one in both))}
    rows = [(number[ends[at][0]], number[ends[at][1]]) for at in chosen]
    try:
        return folds(connected(rows), np.array([pairs[at].label for at in chosen]))
    except UserError:
        return None


def labelled(name: str, divided: Divided, z: np.ndarray, draw: int, count: int) -> np.ndarray | None:
    """Return the positions that get labels, the first `STRATIFIED` spread over the deciles of `z` (pairs,); None where too few are there.

    More labels include fewer: those of 100 begin with those of 50.
    """
    rng = np.random.default_rng([draw, *name.encode()])
    if count > len(divided.pool) or len(divided.test) < LEAST:
        return None
    order = divided.pool[np.argsort(z[divided.pool], kind="stable")]
    parts = [list(rng.permutation(part)) for part in np.array_split(order, DECILES)]
    first = [part[at] for at in range(max(map(len, parts))) for part in parts if at < len(part)][: min(STRATIFIED, len(order))]
    rest = rng.permutation(np.setdiff1d(divided.pool, first))
    return np.concatenate([first, rest])[:count].astype(int)


def f1(y: np.ndarray, said: np.ndarray, weight: float) -> float:
    """Return F1 where a wrong match counts `weight`."""
    right, missed, wrong = (y & said).sum(), (y & ~said).sum(), (~y & said).sum() * weight
    return float(2 * right / (2 * right + missed + wrong)) if right + missed + wrong else 1.0


def entities(pairs: Sequence[Pair]) -> list[tuple[str, str]]:
    """Return the two entities of each pair, each by the smallest of its records."""
    parent: dict[str, str] = {}

    def find(one: str) -> str:
        parent.setdefault(one, one)
        while parent[one] != one:
            parent[one] = one = parent[parent[one]]
        return one

    keys = [(identity(pair.record_a), identity(pair.record_b)) for pair in pairs]
    for (a, b), pair in zip(keys, pairs, strict=True):
        a, b = sorted((find(a), find(b)))
        if pair.label == 1:
            parent[b] = a
    return [(find(a), find(b)) for a, b in keys]
