"""From log-odds to probabilities of the user's own records: a slope, a bias and weights of evidence that a few answers can teach.

``calibrate(z, y)`` takes what a model says, z = log p(DUPLICATE) - log p(NO_MATCH), and what a person answered; with comparison vectors it
also learns what each piece of evidence is worth in this source. Few answers leave the general model's calibration nearly as it was, many
replace it (MAP: penalised maximum likelihood).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit, log_expit

from crm_dedup_plugin.matching.probability import weighed

MISSED = 0.02  # share of the run's expected duplicates that nobody looks at
EVEN = 0.5
TUNED_WIDTH = 0.1  # of the bias of a tuned model
FARTHEST = 5.0  # standard deviations of the prior that a slope may be away from its centre

Vector = Mapping[str, float]  # of `policy.comparison`
NOTHING: Vector = {}


class Prior(NamedTuple):
    """What is expected before any answer: normal distributions of log slope, bias and weights around the general model's.

    The widths of slope and bias were chosen by simulation (scripts/experiments/calibration_prior.py): over kinds of sources from one for which
    the general model is right to one that it is very wrong about, and with 20 or 50 answers, they lose the least against the best width of
    each kind. That of the weights was chosen on sources which no result is about (scripts/experiments/learning_curve_summary.py).
    """

    slope: float = 1.0  # 1 / the temperature of the general model
    bias: float = 0.0
    weights: Vector = NOTHING
    slope_width: float = 0.25  # of the natural logarithm of the slope
    bias_width: float = 2.0
    weight_width: float = 1.5


GENERAL = Prior()


def of_tuned(prior: Prior) -> Prior:
    """Return the prior of a tuned model. Its training has put the threshold at even odds; models of the folds, each tuned on fewer answers,
    put it elsewhere, and must not move it: results/learning.json shows what that costs.
    """
    return prior._replace(bias=0.0, bias_width=TUNED_WIDTH)


class Fit(NamedTuple):
    """p(the same entity) = sigmoid(slope * z + bias + weights * comparison vector)."""

    slope: float
    bias: float
    weights: Vector = NOTHING


def calibrate(
    z: Sequence[float], y: Sequence[bool], prior: Prior = GENERAL, vectors: Sequence[Vector] = (), counts: Sequence[float] | float = 1.0
) -> Fit:
    """Return the most probable slope, bias and weights, given log-odds (n,) and whether both records of each pair are one entity (n,).

    Without the comparison vectors (n,) of the pairs, the weights stay those of the prior. A pair counts as `counts` (n,) pairs.
    """
    from scipy.optimize import minimize

    names = sorted({name for vector in vectors for name in vector})
    x = np.array([[vector.get(name, 0.0) for name in names] for vector in vectors], float).reshape(len(z), len(names))
    z, sign = np.asarray(z, float), np.where(np.asarray(y, bool), 1.0, -1.0)
    centre = np.array([0.0, prior.bias, *(prior.weights.get(name, 0.0) for name in names)])
    width = np.array([prior.slope_width, prior.bias_width, *[prior.weight_width] * len(names)])

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        slope, away = prior.slope * np.exp(at[0]), (at - centre) / width
        margin = sign * (slope * z + at[1] + x @ at[2:])
        pull = -sign * expit(-margin) * counts
        return -(counts * log_expit(margin)).sum() + away @ away / 2, np.array([pull @ z * slope, pull.sum(), *(pull @ x)]) + away / width

    bounds = [(-FARTHEST * prior.slope_width, FARTHEST * prior.slope_width), *[(None, None)] * (1 + len(names))]
    found = minimize(loss, centre, jac=True, bounds=bounds, method="L-BFGS-B", options={"maxiter": 1000, "ftol": 1e-12}).x
    return Fit(float(prior.slope * np.exp(found[0])), float(found[1]), {**prior.weights, **dict(zip(names, found[2:].tolist(), strict=True))})


def probabilities(z: Sequence[float], fit: Fit | Prior, vectors: Sequence[Vector] = ()) -> np.ndarray:
    """Return the probabilities (n,) that both records of each pair are one entity."""
    return expit(fit.slope * np.asarray(z, float) + fit.bias + (weighed(fit.weights, vectors) if fit.weights else 0.0))


def review_from(p: Sequence[float], missed: float = MISSED) -> float:
    """Return the probability from which on a pair is worth a look: the largest up to even odds with at most `missed` of all duplicates below.

    How many duplicates there are is the sum of `p` (n,), the calibrated probabilities of the candidates, or of a sample of them.
    """
    ranked = np.sort(np.asarray(p, float))
    unseen = int(np.searchsorted(np.cumsum(ranked), missed * ranked.sum(), side="right"))
    return min(float(ranked[unseen]), EVEN) if unseen < len(ranked) else EVEN
