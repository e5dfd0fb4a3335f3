"""One similarity of both whole records and two thresholds: the best that no knowledge of fields can do."""

from __future__ import annotations

import numpy as np
from rapidfuzz import fuzz, process

from baselines.columns import whole
from baselines.pairs import Fitted, Pairs, Verdicts, by_thresholds, thresholds
from crm_dedup_plugin.evaluation import metrics

LIBRARIES = ("rapidfuzz", "anyascii")
SCORERS = {"token_sort": (fuzz.token_sort_ratio,), "token_sort_or_set": (fuzz.token_sort_ratio, fuzz.token_set_ratio)}


def fit(train: Pairs, val: Pairs, seed: int) -> Fitted:
    """Choose similarity and thresholds by the macro F1 on the validation pairs; nothing is learned from `train`."""

    def decide(pairs: Pairs, scorer: str, low: float, high: float) -> Verdicts:
        scores = similarity(pairs, scorer)
        return Verdicts(by_thresholds(scores, low, high), scores)

    def quality(choice: dict) -> float:
        return metrics.scores(val.gold, decide(val, **choice).decisions)["macro_f1"]

    cuts = {scorer: thresholds(similarity(val, scorer), val.gold) for scorer in SCORERS}
    best = max(({"scorer": scorer, "low": low, "high": high} for scorer, (low, high) in cuts.items()), key=quality)
    return Fitted(lambda pairs: decide(pairs, **best), best)


def similarity(pairs: Pairs, scorer: str) -> np.ndarray:
    """Return the similarity of each pair, 0 to 100."""
    left, right = ([whole(record) for record in side] for side in (pairs.left, pairs.right))
    return np.max([process.cpdist(left, right, scorer=one, workers=-1) for one in SCORERS[scorer]], axis=0).astype(float)
