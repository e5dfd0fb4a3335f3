"""The quality of groups: who is who by the truth and by a grouping go in, numbers with intervals come out.

    >>> measure(["ann", "ann", "bob"], [0, 0, 0])["pairs"]["precision"]["value"]
    0.3333333333333333

A row is a record; `truth` and `groups` give each row's entity and group, as text or numbers. Intervals are of 95%, by a seeded percentile
bootstrap over the entities, because the pairs of one entity are right or wrong together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

RESAMPLES = 1000

Pairs = Iterable[tuple[int, int]]  # of rows
Sums = dict[str, np.ndarray]  # by name: a number an entity, or a number a resample
Score = Callable[[Sums], np.ndarray]


def measure(truth: Sequence, groups: Sequence, review: Pairs = (), seed: int = 7) -> dict:
    """Return the quality of a grouping; every score is `{"value": x, "low": l, "high": h}`.

    `pairs` and `b_cubed` hold precision, recall and F1. A group of n records takes n - 1 merges; `wrong_merges_per_1000` are those among them
    that join two entities. `merged_or_in_review` is the share of the pairs of one entity that are in one group, or would be if a person
    said yes to the right ones of the pairs under `review`. Raises ValueError where the lists are empty or differ in length.
    """
    entity, group = _codes(truth, groups)
    parts = _parts(entity, group) | {"found": _pairs_of(entity, _joined(entity, group, review))}
    scores = _intervals(parts, _SCORES, seed)
    return {
        **{kind: {name: scores[f"{kind} {name}"] for name in ("precision", "recall", "f1")} for kind in ("pairs", "b_cubed")},
        **{name: scores[name] for name in ("wrong_merges_per_1000", "merged_or_in_review")},
        "counts": {
            **{"records": len(entity), "entities": int(entity.max()) + 1, "groups": len(np.unique(group))},
            **{name: round(float(parts[name].sum())) for name in ("same", "grouped", "right", "merges", "wrong")},
        },
    }


def completeness(truth: Sequence, candidates: Pairs, seed: int = 7) -> dict:
    """Return the share of the pairs of one entity that are among the candidate pairs, and how many candidates there are a record."""
    entity, _ = _codes(truth, truth)
    pairs = _array(candidates)
    found = entity[pairs[:, 0]][entity[pairs[:, 0]] == entity[pairs[:, 1]]]
    parts = {"same": _pairs_of(entity, entity), "found": np.bincount(found, minlength=entity.max() + 1).astype(float)}
    score = _intervals(parts, {"completeness": lambda sums: _share(sums["found"], sums["same"])}, seed)["completeness"]
    return {"completeness": score, "candidates": len(pairs), "per_record": len(pairs) / len(entity)}


def _codes(truth: Sequence, groups: Sequence) -> tuple[np.ndarray, np.ndarray]:
    if len(truth) != len(groups) or not len(truth):
        raise ValueError(f"{len(truth)} entities and {len(groups)} groups: give each record one of each, and some records")
    return tuple(np.unique(np.asarray(names), return_inverse=True)[1] for names in (truth, groups))


def _parts(entity: np.ndarray, group: np.ndarray) -> Sums:
    """Return by entity what the scores are made of; what concerns several entities is shared out among their records."""
    # A cell holds the records of one entity in one group.
    cell, size = np.unique(np.stack((entity, group)), axis=1, return_counts=True)
    of_entity, of_group = cell
    grouped, owned = np.bincount(group), np.bincount(entity)
    inside = np.bincount(of_group)  # entities in a group

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(of_entity, values, minlength=len(owned))

    return {
        "same": owned * (owned - 1) / 2,
        "right": summed(size * (size - 1) / 2),
        "grouped": summed(size * (grouped[of_group] - 1) / 2),
        "merges": summed(size * (1 - 1 / grouped[of_group])),
        "wrong": summed(1 - 1 / inside[of_group]),
        "records": owned.astype(float),
        "pure": summed(size * size / grouped[of_group]),
        "complete": summed(size * size / owned[of_entity]),
    }


def _joined(entity: np.ndarray, group: np.ndarray, review: Pairs) -> np.ndarray:
    """Return which records of one entity are together once the right ones of the pairs under review are joined."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    cells, cell = np.unique(np.stack((entity, group)), axis=1, return_inverse=True)
    pairs = _array(review)
    pairs = cell.reshape(-1)[pairs[entity[pairs[:, 0]] == entity[pairs[:, 1]]]]
    size = cells.shape[1]
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    return connected_components(links, directed=False)[1][cell.reshape(-1)]


def _pairs_of(entity: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return for each entity how many pairs of its records are in one group."""
    cell, size = np.unique(np.stack((entity, group)), axis=1, return_counts=True)
    return np.bincount(cell[0], size * (size - 1) / 2, minlength=entity.max() + 1)


def _array(pairs: Pairs) -> np.ndarray:
    made = pairs if isinstance(pairs, np.ndarray) else np.array(list(pairs), dtype=np.int64)
    return made.reshape(-1, 2)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, 1 where there is nothing to find: nothing was missed, nothing was wrong."""
    return np.divide(part, whole, out=np.ones_like(part), where=whole > 0)


def _mean(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """Return the harmonic mean; precision and recall of B-cubed are never 0."""
    return 2 * precision * recall / (precision + recall)


_SCORES: dict[str, Score] = {
    "pairs precision": lambda sums: _share(sums["right"], sums["grouped"]),
    "pairs recall": lambda sums: _share(sums["right"], sums["same"]),
    "pairs f1": lambda sums: _share(2 * sums["right"], sums["grouped"] + sums["same"]),
    "b_cubed precision": lambda sums: sums["pure"] / sums["records"],
    "b_cubed recall": lambda sums: sums["complete"] / sums["records"],
    "b_cubed f1": lambda sums: _mean(sums["pure"] / sums["records"], sums["complete"] / sums["records"]),
    "wrong_merges_per_1000": lambda sums: 1000 * sums["wrong"] / np.maximum(sums["merges"], 1e-12),
    "merged_or_in_review": lambda sums: _share(sums["found"], sums["same"]),
}


def _intervals(parts: Sums, scores: dict[str, Score], seed: int) -> dict[str, dict[str, float]]:
    """Return each score with its interval; a resample draws as many entities as there are, with replacement.

    Entities that count alike are one kind, so only how often each kind is drawn has to be drawn.
    """
    kinds, sizes = np.unique(np.stack(list(parts.values())), axis=1, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(sizes.sum(), sizes / sizes.sum(), size=RESAMPLES)
    sums = kinds @ np.vstack((sizes, drawn)).T.astype(float)  # the first column is no resample
    found = {}
    for name, score in scores.items():
        value, *resampled = score(dict(zip(parts, sums, strict=True)))
        low, high = np.quantile(resampled, (0.025, 0.975))
        found[name] = {"value": float(value), "low": float(low), "high": float(high)}
    return found
