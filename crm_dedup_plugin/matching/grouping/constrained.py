"""Groups from pairs, with pairs that must stay apart: Kruskal's algorithm with constraints.

Pairs join in the order given, the strongest first. A pair is refused where it would bring two forbidden rows into one group: that cuts
the weakest link of every path between them.
"""

from typing import NamedTuple

import numpy as np

HOLDS, AGREES, CUT = range(3)  # of a pair: it joined two groups; its rows were together already; it was refused


class Groups(NamedTuple):
    """The group of each row, named by the smallest row in it, and what became of each pair."""

    of: np.ndarray  # (rows,) int64
    kinds: np.ndarray  # (pairs,) int8: `HOLDS`, `AGREES` or `CUT`


def cluster(size: int, joins: np.ndarray, forbids: np.ndarray) -> Groups:
    """Return the groups of rows 0 to `size` - 1. `joins` (n, 2), the strongest first, and `forbids` (m, 2) are pairs of rows."""
    parent, weight = list(range(size)), [1] * size
    enemies = _enemies(size, joins, forbids)
    kinds = bytearray(len(joins))
    for at, (a, b) in enumerate(zip(joins[:, 0].tolist(), joins[:, 1].tolist(), strict=True)):
        while parent[a] != a:
            parent[a] = a = parent[parent[a]]
        while parent[b] != b:
            parent[b] = b = parent[parent[b]]
        if a == b:
            kinds[at] = AGREES
        elif a in enemies and b in enemies[a]:
            kinds[at] = CUT
        else:
            a, b = (a, b) if weight[a] >= weight[b] else (b, a)  # the smaller one, with its enemies, goes into the larger one
            parent[b] = a
            weight[a] += weight[b]
            if b in enemies:
                _inherit(enemies, a, b)
    return Groups(_smallest(np.array(parent, np.int64)), np.frombuffer(bytes(kinds), np.int8))


def connected(size: int, pairs: np.ndarray) -> np.ndarray:
    """Return a label for each row, the same where `pairs` (n, 2) connect two rows in any number of steps."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    return connected_components(graph, directed=False)[1]


def _enemies(size: int, joins: np.ndarray, forbids: np.ndarray) -> dict[int, set[int]]:
    """Return the forbidden partners of each row, as far as any path connects them: the others are never together anyway."""
    component = connected(size, joins)
    near = forbids[component[forbids[:, 0]] == component[forbids[:, 1]]]
    enemies: dict[int, set[int]] = {}
    for a, b in near.tolist():
        enemies.setdefault(a, set()).add(b)
        enemies.setdefault(b, set()).add(a)
    return enemies


def _inherit(enemies: dict[int, set[int]], a: int, b: int) -> None:
    """Give group `a` the enemies of group `b`, which joined it."""
    lost, kept = enemies.pop(b), enemies.setdefault(a, set())
    for one in lost:
        enemies[one].discard(b)
        enemies[one].add(a)
    kept |= lost


def _smallest(parent: np.ndarray) -> np.ndarray:
    """Return the smallest row of each row's group from a forest."""
    while not np.array_equal(root := parent[parent], parent):
        parent = root
    _, first, inverse = np.unique(parent, return_index=True, return_inverse=True)
    return first[inverse]
