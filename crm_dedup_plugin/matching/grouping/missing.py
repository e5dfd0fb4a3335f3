"""Pairs inside a group that nobody has asked about yet."""

import numpy as np

WHOLE = 64  # records of a group in which every pair is asked; in a larger one, as many pairs as that makes, evenly spread
MOST = WHOLE * (WHOLE - 1) // 2


def keys(pairs: np.ndarray, size: int) -> np.ndarray:
    """Return one number for each of (n, 2) pairs, whichever side comes first; `size` is the number of rows."""
    return np.minimum(pairs[:, 0], pairs[:, 1]) * size + np.maximum(pairs[:, 0], pairs[:, 1])


def missing(groups: np.ndarray, known: np.ndarray, asked: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the (n, 2) pairs to ask inside groups, in the order of their rows.

    `groups` (rows,) names the group of each row, `known` holds the `keys` of pairs that need no question, `asked` (m, 2) the pairs
    that were asked as missing before, and `order` (rows,) ranks the rows, whatever their numbers.
    """
    size = len(groups)
    rows = np.lexsort((order, groups))
    starts = np.flatnonzero(np.diff(groups[rows], prepend=-1))
    lengths = np.diff(starts, append=size)
    found = [_every(rows, starts[lengths == length], length) for length in np.unique(lengths) if 1 < length <= WHOLE]
    spent = np.bincount(groups[asked[:, 0]][groups[asked[:, 0]] == groups[asked[:, 1]]], minlength=size)
    large = [rows[start : start + length] for start, length in zip(starts, lengths, strict=True) if length > WHOLE]
    whole = _unknown(np.concatenate(found or [np.empty(0, np.int64)]), known)
    some = [_unknown(_spread(members, size), known)[: MOST - spent[groups[members[0]]]] for members in large]
    chosen = np.sort(np.concatenate([whole, *some]))
    return np.stack([chosen // size, chosen % size], axis=1)


def _every(rows: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """Return the keys of all pairs inside the groups of `length` that begin at `starts`."""
    members = rows[starts[:, None] + np.arange(length)]
    left, right = np.triu_indices(length, 1)
    return keys(np.stack([members[:, left].ravel(), members[:, right].ravel()], axis=1), len(rows))


def _spread(members: np.ndarray, size: int) -> np.ndarray:
    """Return the keys of some pairs of a large group, in the order in which they are to be asked; the same ones in any order of the rows."""
    drawn = np.random.default_rng(len(members)).integers(0, len(members), (4 * MOST, 2))
    drawn = drawn[drawn[:, 0] != drawn[:, 1]]
    found = keys(members[drawn], size)
    return found[np.sort(np.unique(found, return_index=True)[1])]


def _unknown(found: np.ndarray, known: np.ndarray) -> np.ndarray:
    return found[~np.isin(found, known)]
