"""Gradient-boosted trees on string similarities of concept-aligned columns: what a good engineer builds in an afternoon.

Every feature is the same whichever record comes first.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from nicknames import NickNamer
from rapidfuzz import fuzz, process
from rapidfuzz.distance import JaroWinkler, Postfix
from sklearn.ensemble import HistGradientBoostingClassifier

from baselines.columns import CODES, WORDS, columns, whole
from baselines.pairs import Fitted, Pairs, Verdicts
from crm_dedup_plugin.evaluation import metrics
from crm_dedup_plugin.pair.answer import LABELS

LIBRARIES = ("scikit-learn", "rapidfuzz", "anyascii", "nicknames", "numpy")
GRID = {"max_leaf_nodes": (8, 16, 32), "l2_regularization": (0.0, 1.0)}
GROWTH = {"learning_rate": 0.1, "max_iter": 400, "early_stopping": True, "n_iter_no_change": 20, "tol": 1e-4}

RATIO, WINKLER, TOKEN_SET = fuzz.ratio, JaroWinkler.normalized_similarity, fuzz.token_set_ratio
WORD_SCORERS = (RATIO, WINKLER, fuzz.token_sort_ratio, TOKEN_SET, fuzz.partial_ratio)
CODE_SCORERS = (RATIO, WINKLER, Postfix.similarity)
# Columns that may hold the same thing under another name; each is compared crosswise, the better way round counts.
CROSSWISE = (
    ("phone", "mobile", Postfix.similarity),
    ("domain", "site", RATIO),
    ("person", "local", fuzz.partial_token_sort_ratio),
    ("org", "site", fuzz.partial_ratio),
    ("org", "domain", fuzz.partial_ratio),
    ("org", "person", fuzz.token_sort_ratio),
)


def fit(train: Pairs, val: Pairs, seed: int) -> Fitted:
    """Grow trees on `train` until the loss on `val` stops falling, and keep the grid point with its best macro F1."""
    inputs = features(train)
    known = np.flatnonzero(~np.isnan(inputs).all(axis=0))
    inputs, checks = inputs[:, known], features(val)[:, known]
    best, best_f1, choice = None, -1.0, {}
    for values in product(*GRID.values()):
        options = dict(zip(GRID, values, strict=True))
        model = HistGradientBoostingClassifier(**options, **GROWTH, random_state=seed)
        model.fit(inputs, train.gold, X_val=checks, y_val=val.gold)
        f1 = metrics.scores(val.gold, model.predict(checks).tolist())["macro_f1"]
        if f1 > best_f1:
            best, best_f1, choice = model, f1, {**options, "iterations": model.n_iter_, "features": inputs.shape[1]}

    def decide(pairs: Pairs) -> Verdicts:
        chances = dict(zip(best.classes_, best.predict_proba(features(pairs)[:, known]).T, strict=True))
        table = np.column_stack([chances.get(label, np.zeros(len(pairs.gold))) for label in LABELS])
        return Verdicts([LABELS[row] for row in table.argmax(axis=1)], table[:, LABELS.index("DUPLICATE")], table)

    return Fitted(decide, choice)


def features(pairs: Pairs) -> np.ndarray:
    """Return one row of numbers a pair, NaN where a column is empty on either side."""
    left, right = ([columns(record) for record in side] for side in (pairs.left, pairs.right))
    parts = []
    for names, scorers in ((WORDS, WORD_SCORERS), (CODES, CODE_SCORERS)):
        for name in names:
            parts.append(np.array([(name in a) + (name in b) for a, b in zip(left, right, strict=True)], dtype=float))
            parts += [_similarity(left, right, name, name, scorer) for scorer in scorers]
    for one, other, scorer in CROSSWISE:
        parts.append(np.fmax(_similarity(left, right, one, other, scorer), _similarity(left, right, other, one, scorer)))
    # First and last name in each other's place: both must fit.
    parts.append(np.minimum(_similarity(left, right, "first", "last", RATIO), _similarity(left, right, "last", "first", RATIO)))
    texts = [[whole(record) for record in side] for side in (pairs.left, pairs.right)]
    parts += [process.cpdist(*texts, scorer=scorer, workers=-1) for scorer in WORD_SCORERS]
    rest = [_counts(a, b) + _first_names(a, b) + _dates(a, b) + _numbers(a, b) for a, b in zip(left, right, strict=True)]
    return np.column_stack([*parts, np.array(rest, dtype=float)])


def _similarity(left: list[dict], right: list[dict], one: str, other: str, scorer) -> np.ndarray:
    """Return the similarity of column `one` on the left and `other` on the right."""
    rows = [row for row, (a, b) in enumerate(zip(left, right, strict=True)) if one in a and other in b]
    result = np.full(len(left), np.nan)
    if rows:
        result[rows] = process.cpdist([left[row][one] for row in rows], [right[row][other] for row in rows], scorer=scorer, workers=-1)
    return result


def _counts(a: dict, b: dict) -> list[float]:
    """Return how many columns both have, one has, agree and disagree, and how full each record is."""
    both = a.keys() & b.keys()
    alike = sum(a[name] == b[name] for name in both)
    return [len(both), len(a.keys() ^ b.keys()), alike, len(both) - alike, min(len(a), len(b)), max(len(a), len(b))]


def _first_names(a: dict, b: dict) -> list[float]:
    """Return whether the first names are nicknames of each other, share the initial, and whether one is only an initial."""
    if "first" not in a or "first" not in b:
        return [np.nan] * 3
    one, other = (row["first"].replace(".", " ").split() or [""] for row in (a, b))
    return [bool(_family(one[0]) & _family(other[0])), one[0][:1] == other[0][:1], min(len(one[0]), len(other[0])) == 1]


def _dates(a: dict, b: dict) -> list[float]:
    """Return whether two dates of birth share the year, the day, and the same parts in another order."""
    if "birth" not in a or "birth" not in b:
        return [np.nan] * 3
    one, other = a["birth"].split("-"), b["birth"].split("-")
    return [one[0] == other[0], one[1:] == other[1:], sorted(one) == sorted(other)]


def _numbers(a: dict, b: dict) -> list[float]:
    """Return for organisations and house numbers whether the numbers in them agree; NaN where neither has any."""
    found = [({word for word in row.get(name, "").split() if word.isdigit()} for row in (a, b)) for name in ("org", "house")]
    return [float(one == other) if one | other else np.nan for one, other in found]


_NICKNAMES = NickNamer()
_FAMILIES: dict[str, set[str]] = {}


def _family(name: str) -> set[str]:
    """Return a first name with the full names that it may stand for."""
    if name not in _FAMILIES:
        _FAMILIES[name] = {name, *_NICKNAMES.canonicals_of(name)}
    return _FAMILIES[name]
