"""The files that grouping writes: groups, the pairs that hold or separate them, and what waits for a person."""

from typing import TYPE_CHECKING

import numpy as np

from crm_dedup_plugin.matching.grouping.constrained import AGREES, CUT
from crm_dedup_plugin.matching.grouping.decided import DUPLICATE, POSSIBLE, Decided, Reviewed
from crm_dedup_plugin.matching.grouping.missing import keys
from crm_dedup_plugin.matching.grouping.resolve import Resolved
from crm_dedup_plugin.pair.answer import LABELS

if TYPE_CHECKING:
    import pyarrow

# What a pair does: it joins its group; it agrees inside a group, and is not needed; it would join two groups but a no is in the way; it is that no.
KINDS = ("holds", "agrees", "cut", "forbids")
FORBIDS = KINDS.index("forbids")
WHY = ("POSSIBLE", "below the threshold", "contradiction")


def groups(of: np.ndarray) -> "pyarrow.Table":
    """Return the group of every row."""
    import pyarrow as pa

    return pa.table({"row": np.arange(len(of)), "group": of})


def edges(found: Resolved, decided: Decided, reviewed: Reviewed) -> "pyarrow.Table":
    """Return the pairs that hold groups together or apart; `by` is "person" where one answered, and the probability may be unknown there."""
    import pyarrow as pa

    size = len(found.groups)
    joins = decided.pairs[found.joins]
    between = np.unique(_sides(np.concatenate([reviewed.yes[found.people == CUT], joins[found.kinds == CUT]]), found.groups))
    forbids = found.no[np.isin(_sides(found.no, found.groups), between) | (np.arange(len(found.no)) < len(reviewed.no))]
    unsure = decided.pairs[decided.labels == DUPLICATE]
    unsure = unsure[_together(unsure, found.groups) & ~np.isin(keys(unsure, size), keys(np.concatenate([reviewed.pairs, joins]), size))]
    pairs = np.concatenate([reviewed.yes, joins, forbids, unsure])
    kinds = np.concatenate([found.people, found.kinds, np.full(len(forbids), FORBIDS, np.int8), np.full(len(unsure), AGREES, np.int8)])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs, kinds = pairs[order], kinds[order]
    by_person = np.isin(keys(pairs, size), keys(reviewed.pairs, size))
    return pa.table(
        {
            "a": pairs[:, 0],
            "b": pairs[:, 1],
            "duplicate": _looked_up(keys(pairs, size), decided, size),
            "kind": pa.array(np.array(KINDS)[kinds]),
            "by": pa.array(np.where(by_person, "person", "model")),
        }
    )


def review(found: Resolved, decided: Decided, reviewed: Reviewed, threshold: float, order: np.ndarray) -> "pyarrow.Table":
    """Return the pairs that `waiting` finds, the most probable first; `again` marks those of two groups that stand further up already."""
    import pyarrow as pa

    at, why, again = waiting(found.groups, decided, reviewed, threshold, order)
    columns = {label.lower(): decided.probabilities[at, number] for number, label in enumerate(LABELS)}
    return pa.table(
        {
            "a": decided.pairs[at, 0],
            "b": decided.pairs[at, 1],
            **columns,
            "decision": pa.array(np.array(LABELS)[decided.labels[at]]),
            "why": pa.array(np.array(WHY)[why]),
            "again": again,
        }
    )


def waiting(
    groups: np.ndarray, decided: Decided, reviewed: Reviewed, threshold: float, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the positions in `decided` of the pairs that wait for a person, the most probable first; of each an index of `WHY`, and whether
    a pair of the same two `groups` (rows,) stands further up.

    Left out are pairs inside a group, and pairs of two groups that a person's no keeps apart. A yes that a no has refused waits again.
    """
    size = len(groups)
    codes = keys(decided.pairs, size)
    refused = np.isin(codes, keys(reviewed.yes[~_together(reviewed.yes, groups)], size))
    settled = np.isin(codes, keys(reviewed.pairs, size)) | np.isin(_sides(decided.pairs, groups), _sides(reviewed.no, groups))
    unsure = (decided.labels == DUPLICATE) | (decided.labels == POSSIBLE)
    at = np.flatnonzero(refused | (unsure & ~settled & ~_together(decided.pairs, groups)))
    ranks = np.sort(order[decided.pairs[at]], axis=1)
    at = at[np.lexsort((ranks[:, 1], ranks[:, 0], -decided.probabilities[at, DUPLICATE]))]
    first = np.unique(_sides(decided.pairs[at], groups), return_index=True)[1]
    joined = (decided.labels[at] == DUPLICATE) & (decided.probabilities[at, DUPLICATE] >= threshold)
    why = np.where(refused[at] | joined, 2, np.where(decided.labels[at] == DUPLICATE, 1, 0))
    return at, why, ~np.isin(np.arange(len(at)), first)


def _sides(pairs: np.ndarray, of: np.ndarray) -> np.ndarray:
    """Return one number for the two groups of each pair."""
    return keys(of[pairs], len(of))


def _together(pairs: np.ndarray, of: np.ndarray) -> np.ndarray:
    return of[pairs[:, 0]] == of[pairs[:, 1]]


def _looked_up(wanted: np.ndarray, decided: Decided, size: int) -> "pyarrow.Array":
    """Return the probability of DUPLICATE of pairs, given as keys; null where the model was not asked."""
    import pyarrow as pa

    codes = np.append(keys(decided.pairs, size), -1)
    order = np.argsort(codes)
    at = order[np.searchsorted(codes, wanted, sorter=order).clip(0, len(order) - 1)]
    return pa.array(np.append(decided.probabilities[:, DUPLICATE], 0)[at], pa.float32(), mask=codes[at] != wanted)
