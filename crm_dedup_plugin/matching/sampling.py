"""Which pair is worth an answer most. The strata cover all candidates of a run, so that a few answers speak for the whole run.

The first answers are about pairs drawn at random, evenly over the strata. Later ones are about the pairs that are nearest to the boundary between
same and different, as the answers so far show it; every fifth is still drawn at random.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from crm_dedup_plugin.matching.grouping.missing import keys

STRATIFIED, RANDOM, UNCERTAIN, CHOSEN, GROUP = DRAWN = ("stratified", "random", "uncertain", "chosen", "group")
AT_RANDOM = (STRATIFIED, RANDOM)  # only these answers count for estimates
STRATA, FIRST, EVERY = 10, 50, 5
_BINS, _RECENT, _NEAR = 200, 10, 200
_QUANTILES = (np.arange(16) + 0.5) / 16
_MOST = 12.0  # log-odds beyond this say no more
_PRIOR, _SPREAD = np.array([0.0, 1.0]), np.array([1.5, 0.4])  # intercept and slope of the log-odds before any answer, and how far they may be off
_SAME_GROUP, _SAME_KIND = 3.0, 0.3  # log-odds that a pair of other groups, or found by other rules, may be farther from the boundary


class Answered(NamedTuple):
    """An answer about a candidate."""

    answer: str  # "same", "different", "unsure" or "skip"
    drawn: str  # one of `DRAWN`
    stratum: tuple[int, int] | None = None  # the one that it was drawn from, and its size then; None: as it is now


class Sampler:
    """The candidates of a run in strata; `next` names the one to ask about. Candidates are meant by their positions in `pairs`."""

    def __init__(self, pairs: np.ndarray, z: np.ndarray, merged: np.ndarray, kinds: np.ndarray, tickets: np.ndarray):
        """Take (n, 2) pairs of rows, and of each: the log-odds of being a duplicate, whether it is merged without a person, the number of the rules
        that found it, and its place in the order of draws (`tickets_of`).
        """
        self.pairs, self.z, self.kinds = pairs, np.clip(z, -_MOST, _MOST), kinds
        self.of, self.merges = strata(self.z, merged)
        self.sizes = np.bincount(self.of, minlength=len(self.merges))
        order = np.lexsort((tickets, self.of))
        self.orders = np.split(order, np.cumsum(self.sizes)[:-1])[: len(self.sizes)]  # each stratum in the order of draws
        self.points = np.array([np.quantile(self.z[one], _QUANTILES) for one in self.orders])  # (strata, quantiles) of the log-odds
        self._by_z = np.argsort(self.z, kind="stable")
        self._sorted_z = self.z[self._by_z]

    def sample(self, answers: Mapping[int, Answered]) -> list[list[int]]:
        """Return for each stratum the answered candidates that are a random sample of it.

        They are those that were drawn at random from this very stratum, and those whose turn in the draws has passed because they had been answered
        before. What was drawn from strata that another threshold or another file made counts only where its turn has passed here too.
        """
        found: list[dict[int, None]] = [{} for _ in self.orders]
        for at, one in answers.items():
            stratum = int(self.of[at])
            if one.drawn in AT_RANDOM and one.stratum in (None, (stratum, int(self.sizes[stratum]))):
                found[stratum][at] = None
        for stratum, order in enumerate(self.orders):
            for at in order:
                if int(at) not in answers:
                    break
                found[stratum][int(at)] = None
        return [list(one) for one in found]

    def next(self, answers: Mapping[int, Answered], groups: np.ndarray, skip: Collection[int] = ()) -> tuple[int, str] | None:
        """Return a candidate and how it was drawn; None where all were answered or are in `skip`.

        `answers` are in order of time. `groups` (rows,) names the group of each row.
        """
        taken = [len(one) for one in self.sample(answers)]
        first = sum(taken) < FIRST
        if not first and len(answers) % EVERY < EVERY - 1:
            found = self._uncertain(answers, groups, skip)
            if found is not None:
                return found, UNCERTAIN
        found = self._at_random(taken, answers, skip)
        return None if found is None else (found, STRATIFIED if first else RANDOM)

    def _at_random(self, taken: Sequence[int], answers: Mapping[int, Answered], skip: Collection[int]) -> int | None:
        """Return the next candidate of the stratum from which the fewest were drawn; of several such strata, take turns from both ends."""
        for stratum in sorted(range(len(taken)), key=lambda one: (taken[one], min(one, len(self.orders) - 1 - one))):
            found = next((int(at) for at in self.orders[stratum] if int(at) not in answers and int(at) not in skip), None)
            if found is not None:
                return found
        return None

    def _uncertain(self, answers: Mapping[int, Answered], groups: np.ndarray, skip: Collection[int]) -> int | None:
        """Return the candidate nearest to the boundary, of other groups and rules than those just answered where there are such."""
        (intercept, slope), _ = self.fitted(answers)
        center = int(np.searchsorted(self._sorted_z, -intercept / slope))
        asked = np.fromiter(answers, np.int64, len(answers))
        sides = np.unique(keys(groups[self.pairs[asked]], len(groups)))
        width = _NEAR + 2 * (len(answers) + len(skip))
        while True:
            near = self._by_z[max(center - width, 0) : center + width]
            fresh = ~np.isin(keys(groups[self.pairs[near]], len(groups)), sides)
            found = np.array([at for at in near[fresh].tolist() if at not in answers and at not in skip], np.int64)
            if len(found) or width >= len(self.z):
                break
            width *= 4
        if not len(found):
            return None
        recent = asked[-_RECENT:]
        seen = np.isin(groups[self.pairs[found]], groups[self.pairs[recent]]).any(axis=1)
        often = Counter(self.kinds[recent].tolist())
        same_kind = np.array([often[kind] for kind in self.kinds[found].tolist()])
        far = np.abs(intercept + slope * self.z[found]) + _SAME_GROUP * seen + _SAME_KIND * same_kind
        return int(found[np.argmin(far)])

    def fitted(self, answers: Mapping[int, Answered]) -> tuple[np.ndarray, np.ndarray]:
        """Return what the answers say of the log-odds: the intercept and slope that correct them (2,), and their covariance (2, 2)."""
        told = [(at, one.answer == "same") for at, one in answers.items() if one.answer in ("same", "different")]
        return fit(self.z[[at for at, _ in told]], np.array([same for _, same in told], float))


def strata(z: np.ndarray, merged: np.ndarray, count: int = STRATA) -> tuple[np.ndarray, np.ndarray]:
    """Return the stratum of each candidate, and of each stratum whether it holds those that are `merged`; no stratum holds both kinds.

    Each kind is cut where the cumulative square root of the frequency of `z` is even (Dalenius and Hodges), so that the tails have strata too.
    """
    edges = np.linspace(z.min(initial=0), z.max(initial=0) + 1e-9, _BINS + 1)
    bins = np.clip(np.searchsorted(edges, z, side="right") - 1, 0, _BINS - 1)
    roots = [np.sqrt(np.bincount(bins[merged == kind], minlength=_BINS)) for kind in (False, True)]
    share = roots[1].sum() / max(roots[0].sum() + roots[1].sum(), 1e-9)
    of_merges = int(np.clip(round(count * share), 2, count - 2))
    label = np.zeros(len(z), np.int64)
    for kind, pieces in ((0, count - of_merges), (1, of_merges)):
        upto = np.cumsum(roots[kind]) - roots[kind] / 2
        piece = np.minimum((upto * pieces / max(roots[kind].sum(), 1e-9)).astype(np.int64), pieces - 1)
        own = merged == bool(kind)
        label[own] = kind * count + piece[bins[own]]
    used, of = np.unique(label, return_inverse=True)
    return of, used >= count


def tickets_of(names: Sequence[str], pairs: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return a random number (n,) for each of (n, 2) pairs of rows, from the `names` of their records: another export draws the same pairs."""
    used, places = np.unique(pairs, return_inverse=True)
    hashed = b"".join(hashlib.blake2b(names[row].encode("utf-8", "surrogatepass"), digest_size=8).digest() for row in used.tolist())
    both = np.frombuffer(hashed, np.uint64)[places.reshape(-1, 2)]
    mixed = both[:, 0] + both[:, 1] + np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)  # the same whichever record comes first
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def fit(z: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the most probable intercept and slope of log-odds `z` (n,) given answers `same` (n,), and their covariance (Laplace's approximation).

    Before any answer the log-odds are taken as they are.
    """
    design, precision = np.stack([np.ones(len(z)), z], axis=1), np.diag(_SPREAD**-2.0)
    found, hessian = _PRIOR, precision
    for _ in range(50):
        told = expit(design @ found)
        gradient = design.T @ (same - told) - precision @ (found - _PRIOR)
        hessian = design.T @ (design * (told * (1 - told))[:, None]) + precision
        step = np.linalg.solve(hessian, gradient)
        found = found + step / max(1.0, np.abs(step).max())
        found[1] = max(found[1], 0.05)  # more probable pairs are never less often the same
        if np.abs(step).max() < 1e-6:
            break
    return found, np.linalg.inv(hessian)
