"""Parts of the answers that share no entity: what is learned from some of them is measured on the others."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.grouping.constrained import connected

FEW, PARTS_OF_FEW, PARTS = 100, 3, 5  # answers up to which there are three parts


def entities(pairs: Sequence[tuple[int, int]], groups: Sequence[int] | None = None) -> np.ndarray:
    """Return a number for each pair of rows (n, 2); pairs that an answer, or a group of the run, connects have the same.

    `groups` holds the group of every row of the run.
    """
    pairs = np.asarray(pairs, int).reshape(-1, 2)
    of = np.arange(pairs.max(initial=-1) + 1) if groups is None else np.asarray(groups, int)
    _, nodes = np.unique(of[pairs], return_inverse=True)
    nodes = nodes.reshape(-1, 2)
    return connected(nodes.max(initial=-1) + 1, nodes)[nodes[:, 0]]


def folds(entity: Sequence[int], y: Sequence[bool], seed: int = 7) -> np.ndarray:
    """Return the part (n,) of each answer, from 0: no entity is in two, and each has about the same share of both answers.

    Raises UserError where the answers are about too few entities to be divided.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    entity, y = np.asarray(entity), np.asarray(y, bool)
    parts = PARTS_OF_FEW if len(y) < FEW else PARTS
    if min(len(np.unique(entity)), max(y.sum(), len(y) - y.sum())) < parts:
        raise UserError(
            "the answers are about records that all belong together, so nothing learned from them could be checked: answer about others too"
        )
    found = np.empty(len(y), int)
    with warnings.catch_warnings(action="ignore"):  # that an answer is rarer than there are parts
        split = StratifiedGroupKFold(parts, shuffle=True, random_state=seed).split(np.zeros(len(y)), y, entity)
        for number, (_, held_out) in enumerate(split):
            found[held_out] = number
    return np.unique(found, return_inverse=True)[1]  # a part may be empty
