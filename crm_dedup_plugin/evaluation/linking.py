"""Links without review: a threshold on the probabilities decides whether two records are one entity, and pairwise F1 measures it.

Public benchmarks have no label POSSIBLE. The same threshold serves all of them. It is chosen on held-out generated lists
(``crm-dedup synth --lists --n 4000 --seed 9 --out data/lists-held-out.jsonl``), never on the pairs that are measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import precision_recall_curve

from crm_dedup_plugin.evaluation import metrics
from crm_dedup_plugin.evaluation.calibration import DUPLICATE, POSSIBLE, auroc
from crm_dedup_plugin.pair.files import Pair


def score(probs: Sequence[Sequence[float]]) -> np.ndarray:
    """Return a score from 0 to 1 for "one entity" from (pairs, 3) probabilities; POSSIBLE counts half."""
    table = np.asarray(probs, dtype=float)
    return table[:, DUPLICATE] + table[:, POSSIBLE] / 2


def truth(pair: Pair) -> int:
    """Return 1 for a pair of one entity and 0 otherwise: by the label of a public pair, or by the clusters of a generated pair."""
    return pair.label if pair.label in (0, 1) else int(pair.cluster_a == pair.cluster_b)


def best_threshold(match: Sequence[int], scores: np.ndarray) -> float:
    """Return the lowest score that is linked when F1 is best."""
    precision, recall, thresholds = precision_recall_curve(match, scores)
    return float(thresholds[np.argmax(2 * precision[:-1] * recall[:-1] / np.maximum(precision[:-1] + recall[:-1], 1e-12))])


def measure(
    match: Sequence[int], scores: np.ndarray, slices: Sequence[str], held_out: Sequence[int], held_out_scores: np.ndarray, seed: int = 7
) -> dict:
    """Return the part "linking" of `results/NAME/metrics.json`: that of `metrics.evaluate_pairs`, the threshold, and the AUROC of each slice."""
    match, threshold = np.asarray(match), best_threshold(held_out, held_out_scores)
    result = metrics.evaluate_pairs(match.tolist(), _decide(scores, threshold), slices, seed)
    for name, part in result["slices"].items():
        rows = np.equal(slices, name)
        part["auroc"] = auroc(match[rows] == 1, scores[rows])
    chosen = metrics.pair_scores(held_out, _decide(held_out_scores, threshold))
    return {"threshold": threshold, "held_out": {"pairs": len(held_out), "f1": chosen["f1"]}, **result}


def _decide(scores: np.ndarray, threshold: float) -> list[str]:
    return np.where(scores >= threshold, "DUPLICATE", "NO_MATCH").tolist()
