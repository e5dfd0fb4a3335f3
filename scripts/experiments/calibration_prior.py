"""How wide should the prior of a calibration from few answers be?  ``python scripts/experiments/calibration_prior.py``

Sources are simulated: a matcher whose log-odds would be right (normal, an AUROC of 0.92 or 0.98), seen through a wrong slope and bias that are
drawn for each source. Answers are drawn evenly over the deciles of what the model says, as `crm-dedup review` draws them. For each width of the
prior, the excess log-loss over the true probabilities is averaged over sources of a kind; the width is best whose worst kind loses least,
relative to the best width for that kind.
"""

import itertools
import json

import numpy as np
from scipy.special import expit

from crm_dedup_plugin.learning.calibrate import Prior, calibrate, probabilities
from crm_dedup_plugin.learning.compare import log_loss
from crm_dedup_plugin.matching.probability import log_odds

SEED, SOURCES, PAIRS, ANSWERS = 7, 150, 4000, (20, 50)
SLOPES, BIASES = (0.125, 0.25, 0.5, 1.0), (0.5, 1.0, 2.0, 4.0)  # widths that are tried
TRUE = ((0.0, 0.0), (0.25, 0.5), (0.25, 1.0), (0.5, 2.0), (0.25, 3.0), (0.75, 3.0))  # standard deviations of log slope and bias between sources


def source(rng: np.random.Generator, spread: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return what the model says (pairs,) and the true probabilities."""
    apart = rng.choice([2.0, 3.0])
    y = rng.random(PAIRS) < 0.5
    true = rng.normal(np.where(y, 1, -1) * apart**2 / 2, apart)
    slope, bias = np.exp(rng.normal(0, spread[0])), rng.normal(0, spread[1])
    said = expit((true - bias) / slope)
    return log_odds(np.stack([said, np.zeros(PAIRS), 1 - said], axis=1)), expit(true)


def excess(z: np.ndarray, p: np.ndarray, estimate: np.ndarray) -> float:
    """Return the expected log-loss of an estimate over that of the true probabilities."""
    return float(np.mean(p * (log_loss(True, estimate) - log_loss(True, p)) + (1 - p) * (log_loss(False, estimate) - log_loss(False, p))))


def main() -> None:
    rng, lost, nothing = np.random.default_rng(SEED), {}, {}
    for spread, answers in itertools.product(TRUE, ANSWERS):
        found = []
        for _ in range(SOURCES):
            z, p = source(rng, spread)
            deciles = np.array_split(np.argsort(z), 10)
            drawn = np.concatenate([rng.choice(part, answers // 10, replace=False) for part in deciles])
            y = rng.random(len(drawn)) < p[drawn]
            fits = [calibrate(z[drawn], y, Prior(slope_width=slope, bias_width=bias)) for slope, bias in itertools.product(SLOPES, BIASES)]
            found.append([excess(z, p, probabilities(z, fit)) for fit in (Prior(), *fits)])
        nothing[spread, answers], *lost[spread, answers] = np.mean(found, axis=0)
    table = np.array(list(lost.values()))
    regret = (table - table.min(axis=1, keepdims=True)).max(axis=0)
    widths = list(itertools.product(SLOPES, BIASES))
    for at in np.argsort(regret):
        print(json.dumps({"slope": widths[at][0], "bias": widths[at][1], "worst_regret": round(float(regret[at]), 4)}))
    best = int(np.argmin(regret))
    for (spread, answers), row in lost.items():
        print(
            json.dumps(
                {
                    "true": spread,
                    "answers": answers,
                    "uncalibrated": round(float(nothing[spread, answers]), 4),
                    "calibrated": round(float(row[best]), 4),
                }
            )
        )


if __name__ == "__main__":
    main()
