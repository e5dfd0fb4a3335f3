"""From log-odds to probabilities of the user's own records: a slope and a bias that a few answers can teach, and what follows from them.

``calibrate(z, y)`` takes what a model says, z = log p(DUPLICATE) - log p(NO_MATCH), and what a person answered. Few answers leave the general
model's calibration nearly as it was, many replace it (MAP: penalised maximum likelihood).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

MISSED = 0.02  # share of the run's expected duplicates that nobody looks at
EVEN = 0.5
TUNED_WIDTH = 0.1  # of the bias of a tuned model
FARTHEST = 5.0  # standard deviations of the prior that a slope may be away from its centre


class Prior(NamedTuple):
    """What is expected before any answer: normal distributions of log slope and bias around the general model's.

    The widths were chosen by simulation (scripts/experiments/calibration_prior.py): over kinds of sources from one for which the general model
    is right to one that it is very wrong about, and with 20 or 50 answers, they lose the least against the best width of each kind.
    """

    slope: float = 1.0  # 1 / the temperature of the general model
    bias: float = 0.0
    slope_width: float = 0.25  # of the natural logarithm of the slope
    bias_width: float = 2.0


GENERAL = Prior()


def of_tuned(prior: Prior) -> Prior:
    """Return the prior of a tuned model. Its training has put the threshold at even odds; models of the folds, each tuned on fewer answers,
    put it elsewhere, and must not move it: results/learning.json shows what that costs.
    """
    return prior._replace(bias=0.0, bias_width=TUNED_WIDTH)


class Fit(NamedTuple):
    """p(the same entity) = sigmoid(slope * z + bias)."""

    slope: float
    bias: float


def calibrate(z: Sequence[float], y: Sequence[bool], prior: Prior = GENERAL) -> Fit:
    """Return the most probable slope and bias, given log-odds (n,) and whether both records of each pair are one entity (n,)."""
    from scipy.optimize import minimize

    z, sign = np.asarray(z, float), np.where(np.asarray(y, bool), 1.0, -1.0)

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        slope = prior.slope * np.exp(at[0])
        margin = sign * (slope * z + at[1])
        pull = -sign * expit(-margin)
        value = -log_expit(margin).sum() + at[0] ** 2 / (2 * prior.slope_width**2) + (at[1] - prior.bias) ** 2 / (2 * prior.bias_width**2)
        return value, np.array([pull @ z * slope + at[0] / prior.slope_width**2, pull.sum() + (at[1] - prior.bias) / prior.bias_width**2])

    bounds = [(-FARTHEST * prior.slope_width, FARTHEST * prior.slope_width), (None, None)]
    found = minimize(loss, np.array([0.0, prior.bias]), jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 1000, "ftol": 1e-12}).x
    return Fit(float(prior.slope * np.exp(found[0])), float(found[1]))


def probabilities(z: Sequence[float], fit: Fit | Prior) -> np.ndarray:
    """Return the probabilities (n,) that both records of each pair are one entity."""
    return expit(fit.slope * np.asarray(z, float) + fit.bias)


def review_from(p: Sequence[float], missed: float = MISSED) -> float:
    """Return the probability from which on a pair is worth a look: the largest up to even odds with at most `missed` of all duplicates below.

    How many duplicates there are is the sum of `p` (n,), the calibrated probabilities of the candidates, or of a sample of them.
    """
    ranked = np.sort(np.asarray(p, float))
    unseen = int(np.searchsorted(np.cumsum(ranked), missed * ranked.sum(), side="right"))
    return min(float(ranked[unseen]), EVEN) if unseen < len(ranked) else EVEN
