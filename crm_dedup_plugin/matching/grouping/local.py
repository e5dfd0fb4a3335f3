"""Groups again after an answer: only the records that it can touch are resolved anew, and the groups are those of a full run."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from crm_dedup_plugin.matching.grouping.constrained import connected
from crm_dedup_plugin.matching.grouping.decided import DUPLICATE, Decided, Reviewed
from crm_dedup_plugin.matching.grouping.missing import keys
from crm_dedup_plugin.matching.grouping.resolve import Resolved, complete


class Part(NamedTuple):
    """Records of a run whose groups depend on no others. Rows in `decided`, `reviewed` and `resolved` are positions in `rows`."""

    rows: np.ndarray  # (n,) rows of the run, ascending
    decided: Decided
    reviewed: Reviewed
    resolved: Resolved

    @property
    def groups(self) -> np.ndarray:
        """Return for each of `rows` the smallest row of its group."""
        return self.rows[self.resolved.groups]


class Local:
    """What the model says of the pairs of a run, ready to be resolved in part."""

    def __init__(self, decided: Decided, inside: Decided, threshold: float, order: np.ndarray):
        """Take the decisions about the candidates, those about pairs `inside` groups, and what `resolve` takes."""
        self.decided, self.inside, self.threshold, self.order = decided, inside, threshold, order
        size = len(order)
        joins = (decided.labels == DUPLICATE) & (decided.probabilities[:, DUPLICATE] >= threshold)
        self._component = connected(size, decided.pairs[joins])
        self._members = np.argsort(self._component, kind="stable")
        self._starts = np.searchsorted(self._component[self._members], np.arange(self._component.max(initial=-1) + 2))
        self._by_row = np.argsort(decided.pairs[:, 0], kind="stable")
        self._first = np.searchsorted(decided.pairs[self._by_row, 0], np.arange(size + 1))
        codes = keys(inside.pairs, size)
        self._inside_order = np.argsort(codes)
        self._inside_codes = codes[self._inside_order]

    def everything(self, reviewed: Reviewed) -> Part:
        """Return the groups of all rows."""
        return self._resolved(np.arange(len(self.order)), self.decided, reviewed)

    def around(self, touched: Iterable[int], reviewed: Reviewed) -> Part:
        """Return the groups of all rows whose group can depend on an answer about the rows `touched`, by all answers that hold now."""
        rows = self._reachable(touched, reviewed.yes)
        at = np.concatenate([self._by_row[self._first[row] : self._first[row + 1]] for row in rows.tolist()])
        at = at[_within(rows, self.decided.pairs[at, 1])]
        inner = Decided(np.searchsorted(rows, self.decided.pairs[at]), self.decided.probabilities[at], self.decided.labels[at])
        yes, no = (np.searchsorted(rows, pairs[_within(rows, pairs).all(axis=1)]) for pairs in (reviewed.yes, reviewed.no))
        return self._resolved(rows, inner, Reviewed(yes, no, 0))

    def _resolved(self, rows: np.ndarray, decided: Decided, reviewed: Reviewed) -> Part:
        def known(pairs: np.ndarray) -> Decided:
            codes = keys(rows[pairs], len(self.order))
            there = np.flatnonzero(_within(self._inside_codes, codes))
            at = self._inside_order[np.searchsorted(self._inside_codes, codes[there])]
            return Decided(pairs[there], self.inside.probabilities[at], self.inside.labels[at])

        resolved, decided = complete(decided, reviewed, self.threshold, self.order[rows], known)
        return Part(rows, decided, reviewed, resolved)

    def _reachable(self, touched: Iterable[int], yes: np.ndarray) -> np.ndarray:
        """Return the rows of all components that a yes of a person connects with those of `touched`, in any number of steps."""
        links: dict[int, set[int]] = {}
        for a, b in self._component[yes].tolist():
            links.setdefault(a, set()).add(b)
            links.setdefault(b, set()).add(a)
        found: set[int] = set()
        waiting = {int(self._component[row]) for row in touched}
        while waiting:
            found.add(one := waiting.pop())
            waiting |= links.get(one, set()) - found
        return np.sort(np.concatenate([self._members[self._starts[one] : self._starts[one + 1]] for one in found]))


def _within(values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return which of `wanted` are among the sorted `values`."""
    if not len(values):
        return np.zeros(wanted.shape, bool)
    return values[np.searchsorted(values, wanted).clip(max=len(values) - 1)] == wanted
