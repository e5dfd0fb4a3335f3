"""Calibration: is a model as sure as it should be, and which pairs could it merge without a person?

The temperature and the threshold are chosen on the validation split, and every number is measured on the test split:
``measure(gold, probabilities, val_gold, val_probabilities)``. Probabilities have the shape (pairs, 3), in the order of `LABELS`.
What takes long to import is imported where it is used: a review or a match, which measures nothing, starts a second sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import log_softmax, softmax

from crm_dedup_plugin.evaluation.metrics import RESAMPLES
from crm_dedup_plugin.pair.answer import LABELS

BINS = 15
CURVE = 200  # points of the precision-recall curve
PRECISION = 0.99  # of automatic merges
COST_RATIOS = (10, 100, 1000)  # the cost of a wrong merge, where a review and a missed duplicate cost 1
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, None)  # None: nothing is merged
DUPLICATE, POSSIBLE, NO_MATCH = range(len(LABELS))


def measure(
    gold: Sequence[str], probs: np.ndarray, val_gold: Sequence[str], val_probs: np.ndarray, seed: int = 7, resamples: int | None = None
) -> dict:
    """Return the part "calibration" of `results/NAME/metrics.json`; a number that is undefined is None."""
    truth, val_truth = _indices(gold, probs), _indices(val_gold, val_probs)
    raw = np.asarray(probs, dtype=float)
    temperature = fit_temperature(val_truth, val_probs)
    cool, val_cool = scaled(raw, temperature), scaled(val_probs, temperature)
    is_duplicate, merge = truth == DUPLICATE, cool[:, DUPLICATE]
    threshold = merge_threshold(val_truth == DUPLICATE, val_cool[:, DUPLICATE])

    def over(statistic: Callable, *columns: np.ndarray) -> dict[str, float] | None:
        return interval(lambda at: statistic(*(column[at] for column in columns)), len(truth), seed, resamples)

    return {
        "pairs": len(truth),
        "validation_pairs": len(val_truth),
        "auroc": over(auroc, is_duplicate, raw[:, DUPLICATE]),
        "temperature": temperature,
        "ece": over(calibration_error, truth, raw),
        "ece_calibrated": over(calibration_error, truth, cool),
        "review_load": over(lambda p: np.mean(p.argmax(axis=1) == POSSIBLE), cool),
        "merge_at_99": {"threshold": threshold, **_merges(is_duplicate, merge, threshold, over)},
        "merge_cost": {
            "threshold": list(THRESHOLDS),
            **{f"ratio_{ratio}": [merge_cost(truth, cool, limit, ratio) for limit in THRESHOLDS] for ratio in COST_RATIOS},
        },
        "precision_recall": precision_recall(is_duplicate, merge),
        "reliability": {"as_is": reliability(truth, raw), "calibrated": reliability(truth, cool)},
    }


def fit_temperature(truth: np.ndarray, probs: np.ndarray) -> float:
    """Return the temperature, between 0.05 and 20, that makes the labels `truth` most likely."""
    from scipy.optimize import minimize_scalar

    logits, rows = _log(probs), np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, truth].mean()

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


def scaled(probs: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities at another temperature, which never changes the most probable decision."""
    return softmax(_log(probs) / temperature, axis=1)


def auroc(is_duplicate: np.ndarray, score: np.ndarray) -> float:
    """Return the probability that a duplicate scores above another pair; nan if either kind is missing."""
    from scipy.stats import rankdata

    count = int(np.sum(is_duplicate))
    others = len(is_duplicate) - count
    if not count or not others:
        return np.nan
    # By ranks: a bootstrap asks a thousand times, and Scikit-learn takes thirty times as long for its checks.
    return float((rankdata(score)[np.asarray(is_duplicate)].sum() - count * (count + 1) / 2) / (count * others))


def calibration_error(truth: np.ndarray, probs: np.ndarray) -> float:
    """Return the expected calibration error of the top decision, over `BINS` bins of equal width."""
    return sum(abs(part["confidence"] - part["accuracy"]) * part["pairs"] for part in reliability(truth, probs)) / len(truth)


def reliability(truth: np.ndarray, probs: np.ndarray) -> list[dict]:
    """Return the mean confidence, the accuracy and the number of pairs of each bin that is not empty."""
    top, right = probs.max(axis=1), probs.argmax(axis=1) == truth
    bins = np.minimum((top * BINS).astype(int), BINS - 1)
    parts = [bins == number for number in np.unique(bins)]
    return [{"confidence": float(top[part].mean()), "accuracy": float(right[part].mean()), "pairs": int(part.sum())} for part in parts]


def merge_threshold(is_duplicate: np.ndarray, score: np.ndarray, precision: float = PRECISION) -> float | None:
    """Return the lowest threshold at which merges reach `precision`, or None if no threshold does."""
    order = np.argsort(-score, kind="stable")
    ranked, reached = score[order], np.cumsum(is_duplicate[order]) / np.arange(1, len(score) + 1) >= precision
    reached &= np.append(ranked[:-1] != ranked[1:], True)  # equal scores are merged together
    return float(ranked[reached].min()) if reached.any() else None


def precision_recall(is_duplicate: np.ndarray, score: np.ndarray) -> dict[str, list[float]] | None:
    """Return the precision and recall of merges at up to `CURVE` thresholds, or None if there is no duplicate."""
    from sklearn.metrics import precision_recall_curve

    if not is_duplicate.any():
        return None
    precision, recall, threshold = precision_recall_curve(is_duplicate, score, drop_intermediate=True)
    at = np.unique(np.linspace(0, len(threshold) - 1, CURVE).astype(int))
    return {name: values[at].tolist() for name, values in (("threshold", threshold), ("precision", precision), ("recall", recall))}


def merge_cost(truth: np.ndarray, probs: np.ndarray, threshold: float | None, ratio: float) -> float:
    """Return the mean cost of a pair: `ratio` for a wrong merge, 1 for a review and 1 for a missed duplicate.

    Pairs that reach `threshold` are merged. The other pairs decided as DUPLICATE or POSSIBLE are reviewed.
    """
    merged, top = _merged(probs[:, DUPLICATE], threshold), probs.argmax(axis=1)
    reviewed = ~merged & (top != NO_MATCH)
    missed = ~merged & (top == NO_MATCH) & (truth == DUPLICATE)
    return float(np.mean(ratio * (merged & (truth != DUPLICATE)) + reviewed + missed))


def interval(statistic: Callable[[np.ndarray], float], pairs: int, seed: int, resamples: int | None = None) -> dict[str, float] | None:
    """Return a statistic of the rows with these indices, with the 95% interval of a seeded bootstrap, or None if it is undefined."""
    rng, value = np.random.default_rng(seed), float(statistic(np.arange(pairs)))
    if np.isnan(value):
        return None
    drawn = [statistic(rng.integers(0, pairs, pairs)) for _ in range(resamples or RESAMPLES)]
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    # Resampling raises a calibration error, so its interval may lie above the value.
    return {"value": value, "low": float(min(low, value)), "high": float(max(high, value))}


def _merges(is_duplicate: np.ndarray, score: np.ndarray, threshold: float | None, over: Callable) -> dict:
    """Return the precision and coverage of the merges at `threshold`; the exact bound also holds for few merges."""
    from scipy.stats import binomtest

    merged = _merged(score, threshold)
    right, count = int((merged & is_duplicate).sum()), int(merged.sum())
    return {
        "merged": count,
        "precision": over(lambda m, d: d[m].mean() if m.any() else np.nan, merged, is_duplicate),
        "precision_exact_low": float(binomtest(right, count).proportion_ci(method="exact").low) if count else None,
        "coverage": over(lambda m, d: m[d].mean() if d.any() else np.nan, merged, is_duplicate),
    }


def _merged(score: np.ndarray, threshold: float | None) -> np.ndarray:
    return score >= (np.inf if threshold is None else threshold)


def _indices(gold: Sequence[str], probs: np.ndarray) -> np.ndarray:
    shape = np.shape(probs)
    if not len(gold) or shape != (len(gold), len(LABELS)):
        raise ValueError(f"{len(gold)} labels and probabilities of shape {shape}: give one row of {len(LABELS)} a pair, and some pairs")
    return np.array([LABELS.index(label) for label in gold])


def _log(probs: np.ndarray) -> np.ndarray:
    return np.log(np.clip(probs, 1e-12, 1))
