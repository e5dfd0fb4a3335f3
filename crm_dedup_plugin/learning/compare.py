"""Which of several ways to tell the probability that two records are one entity is better, on answers that none of them has seen.

Of two ways the more complex one is taken only if its log-loss is lower by more than one standard error of the paired difference. Entities,
not pairs, are what varies: pairs of one entity are right or wrong together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from crm_dedup_plugin.evaluation.calibration import auroc, calibration_error, interval
from crm_dedup_plugin.learning.calibrate import EVEN, Prior, Vector, calibrate, probabilities

LEAST = 1e-12  # of a probability
ERRORS = 1.0  # standard errors by which the more complex way must be better


class Way(NamedTuple):
    """How probabilities come about, and what it says of each answered pair without having seen the answer."""

    name: str  # "before", "calibrated" or "tuned"
    p: np.ndarray  # (n,) that both records are one entity
    merged: np.ndarray  # (n,) would be merged without a person


def held_out(z: np.ndarray, y: np.ndarray, fold: np.ndarray, prior: Prior, vectors: Sequence[Vector] = ()) -> np.ndarray:
    """Return calibrated probabilities (n,), those of each fold by a calibration from the answers of all others."""
    p = np.empty(len(z))
    for number in np.unique(fold):
        own = fold == number
        taught, asked = ([vector for vector, here in zip(vectors, own, strict=False) if here == held] for held in (False, True))
        p[own] = probabilities(z[own], calibrate(z[~own], y[~own], prior, taught), asked)
    return p


def log_loss(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the loss (n,) of each answer."""
    return -np.log(np.clip(np.where(y, p, 1 - p), LEAST, 1))


def choose(y: np.ndarray, ways: Sequence[Way], entity: np.ndarray) -> tuple[Way, list[dict]]:
    """Return the way that is taken, and each comparison; `ways` are in the order of their complexity."""
    taken, told = ways[0], []
    for way in ways[1:]:
        gain = log_loss(y, taken.p) - log_loss(y, way.p)
        error = standard_error(gain, entity)
        better = bool(gain.mean() > ERRORS * error)
        told.append({"from": taken.name, "to": way.name, "gain": float(gain.mean()), "standard_error": error, "taken": better})
        taken = way if better else taken
    return taken, told


def standard_error(values: np.ndarray, entity: np.ndarray) -> float:
    """Return the standard error of the mean of values (n,) that vary by entity (n,)."""
    names, at = np.unique(entity, return_inverse=True)
    sums = np.bincount(at, values - values.mean())
    return float(np.sqrt((sums**2).sum() * len(names) / max(len(names) - 1, 1)) / len(values))


def measures(y: np.ndarray, way: Way, entity: np.ndarray, seed: int = 7) -> dict:
    """Return what a way is worth, each number with the 95% interval of a bootstrap over entities; one that is undefined is None."""
    members = [np.flatnonzero(entity == one) for one in np.unique(entity)]
    rows = np.stack([way.p, np.zeros(len(y)), 1 - way.p], axis=1)  # in the order of `LABELS`, without any doubt

    def over(statistic) -> dict | None:
        return interval(lambda drawn: statistic(np.concatenate([members[one] for one in drawn])), len(members), seed)

    return {
        "f1": over(lambda at: f1(y[at], way.p[at] >= EVEN)),
        "auroc": over(lambda at: auroc(y[at], way.p[at])),
        "log_loss": over(lambda at: log_loss(y[at], way.p[at]).mean()),
        "calibration_error": over(lambda at: calibration_error(np.where(y[at], 0, 2), rows[at])),
        "merged": over(lambda at: way.merged[at].sum()),
        "wrong_merges": over(lambda at: (way.merged[at] & ~y[at]).sum()),
    }


def f1(y: np.ndarray, said: np.ndarray) -> float:
    """Return the F1 of pairs that are said to be one entity; nan where there are none and none is said."""
    wrong, right = int((y != said).sum()), int((y & said).sum())
    return 2 * right / (2 * right + wrong) if right + wrong else float("nan")
