"""The quality of decisions, in plain Python: gold labels and predictions go in, numbers with intervals come out.

    >>> from crm_dedup_plugin.evaluation.metrics import evaluate
    >>> evaluate(["DUPLICATE", "NO_MATCH"], ["DUPLICATE", None])["accuracy"]["value"]
    0.5

A prediction of None stands for an answer that could not be read. It is wrong whatever the label.
"""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from crm_dedup_plugin.pair.answer import LABELS, is_truncated, parse

UNREADABLE = "UNREADABLE"
COLUMNS = (*LABELS, UNREADABLE)
RESAMPLES = 1000

Cells = Counter  # the cells of a confusion matrix: (gold, predicted) -> number of pairs
Scores = dict[str, Callable[[Cells], float]]


def evaluate(gold: Sequence[str], predicted: Sequence[str | None], slices: Sequence[str | None] | None = None, seed: int = 7) -> dict:
    """Return accuracy, macro F1, the precision, recall and F1 of each decision, the confusion matrix and the slices.

    Every number is `{"value": x, "low": l, "high": h}`: a share between 0 and 1 with the 95% interval of a seeded
    percentile bootstrap over the pairs. Raises ValueError if the lists are empty, differ in length or hold unknown labels.
    """
    cells = _cells(gold, predicted)
    result = with_intervals(cells, _SCORES, seed) | {"pairs": len(gold), "confusion": _confusion(cells, LABELS)}
    if slices is not None:
        parts = _by_slice(gold, predicted, slices)
        result["slices"] = _measured_slices(parts, {"accuracy": accuracy, "macro_f1": macro_f1}, seed)
    return result


def evaluate_pairs(match: Sequence[int], predicted: Sequence[str | None], slices: Sequence[str] | None = None, seed: int = 7) -> dict:
    """Return two-way metrics; `match` is 1 where both records are of the same entity and 0 where they are not.

    `precision`, `recall` and `f1` count POSSIBLE as no match. `coverage` is the share of the pairs that were decided,
    and `decided_f1` is the F1 of those alone. With slices, `mean_f1` is the mean of their F1, whatever their sizes.
    """
    gold = _two_way(match)
    cells = _cells(gold, predicted)
    result = with_intervals(cells, _PAIR_SCORES, seed) | {"pairs": len(gold), "confusion": _confusion(cells, ("DUPLICATE", "NO_MATCH"))}
    if slices is not None:
        parts = _by_slice(gold, predicted, slices)
        result |= {"slices": _measured_slices(parts, _PAIR_SCORES, seed), "mean_f1": _mean_f1(list(parts.values()), seed)}
    return result


def scores(gold: Sequence[str], predicted: Sequence[str | None]) -> dict[str, float]:
    """Return the values of `evaluate` without their intervals, by the names in `SCORE_NAMES`."""
    return _values(_cells(gold, predicted), _SCORES)


def pair_scores(match: Sequence[int], predicted: Sequence[str | None]) -> dict[str, float]:
    """Return the values of `evaluate_pairs` without their intervals, by the names in `PAIR_SCORE_NAMES`."""
    return _values(_cells(_two_way(match), predicted), _PAIR_SCORES)


def mean_f1(match: Sequence[int], predicted: Sequence[str | None], slices: Sequence[str]) -> float:
    """Return the `mean_f1` of `evaluate_pairs` without its interval."""
    return statistics.fmean(f1(part, "DUPLICATE") for part in _by_slice(_two_way(match), predicted, slices).values())


def rate(flags: Sequence[bool], seed: int = 7) -> dict[str, float] | None:
    """Return the share of true flags with its 95% interval, or None if there are no flags."""
    counts = Counter(map(bool, flags))
    return with_intervals(counts, {"rate": lambda cells: _share(cells[True], cells.total())}, seed)["rate"] if counts else None


def answer_quality(answers: Sequence[str]) -> dict[str, float]:
    """Return the share of answers that fit the schema and the share that were cut off before their end."""
    return {
        "valid_json": _share(sum(parse(text) is not None for text in answers), len(answers)),
        "truncated": _share(sum(is_truncated(text) for text in answers), len(answers)),
    }


def accuracy(cells: Cells) -> float:
    """Return the share of pairs whose decision is the label."""
    return _share(_sum(cells, lambda g, p: g == p), cells.total())


def precision(cells: Cells, label: str) -> float:
    """Return the share of the pairs decided as `label` that have this label; 0 if none was decided so."""
    return _share(cells[label, label], _sum(cells, lambda _, p: p == label))


def recall(cells: Cells, label: str) -> float:
    """Return the share of the pairs labelled `label` that were decided so; 0 if there are none."""
    return _share(cells[label, label], _sum(cells, lambda g, _: g == label))


def f1(cells: Cells, label: str) -> float:
    """Return the harmonic mean of the precision and recall of `label`; 0 if it is neither a label nor a decision."""
    both = _sum(cells, lambda g, p: g == label) + _sum(cells, lambda _, p: p == label)
    return _share(2 * cells[label, label], both)


def macro_f1(cells: Cells) -> float:
    """Return the mean F1 of the decisions that occur, whether as labels or as predictions."""
    seen = {name for (g, p), count in cells.items() if count for name in (g, p)} & set(LABELS)
    return _share(sum(f1(cells, label) for label in sorted(seen)), len(seen))


def with_intervals(cells: Cells, named: Scores, seed: int) -> dict[str, dict[str, float]]:
    """Return each score of `cells` with its 95% interval."""
    samples = _resamples(cells, seed)
    return {name: _interval(score(cells), [score(sample) for sample in samples]) for name, score in named.items()}


def _values(cells: Cells, named: Scores) -> dict[str, float]:
    return {name: score(cells) for name, score in named.items()}


def _confusion(cells: Cells, labels: Sequence[str]) -> dict[str, dict[str, int]]:
    return {label: {column: cells[label, column] for column in COLUMNS} for label in labels}


def _measured_slices(parts: dict[str, Cells], named: Scores, seed: int) -> dict[str, dict]:
    return {name: {"pairs": part.total(), **with_intervals(part, named, seed)} for name, part in parts.items()}


def _resamples(cells: Cells, seed: int) -> list[Cells]:
    """Return bootstrap samples: drawing pairs with replacement changes only the counts of the cells, so cells are drawn."""
    rng = random.Random(seed)
    keys, weights, total = list(cells), list(cells.values()), cells.total()
    return [Counter(rng.choices(keys, weights, k=total)) for _ in range(RESAMPLES)]


def _interval(value: float, drawn: list[float]) -> dict[str, float]:
    drawn = sorted(drawn)
    return {"value": value, "low": drawn[int(0.025 * RESAMPLES)], "high": drawn[int(0.975 * RESAMPLES) - 1]}


def _mean_f1(parts: list[Cells], seed: int) -> dict[str, float]:
    drawn = zip(*([f1(sample, "DUPLICATE") for sample in _resamples(part, seed + at)] for at, part in enumerate(parts)), strict=True)
    return _interval(statistics.fmean(f1(part, "DUPLICATE") for part in parts), [statistics.fmean(values) for values in drawn])


def _cells(gold: Sequence[str], predicted: Sequence[str | None]) -> Cells:
    if len(gold) != len(predicted) or not gold:
        raise ValueError(f"{len(gold)} gold labels and {len(predicted)} predictions: give one prediction a pair, and some pairs")
    unknown = (set(gold) | set(predicted)) - {*LABELS, None} | ({None} & set(gold))
    if unknown:
        raise ValueError(f"unknown labels {sorted(map(str, unknown))}: use {', '.join(LABELS)}")
    return Counter((g, p or UNREADABLE) for g, p in zip(gold, predicted, strict=True))


def _two_way(match: Sequence[int]) -> list[str]:
    if any(value not in (0, 1) for value in match):
        raise ValueError("labels of pairs must be 0 or 1")
    return ["DUPLICATE" if value else "NO_MATCH" for value in match]


def _by_slice(gold: Sequence[str], predicted: Sequence[str | None], slices: Sequence[str | None]) -> dict[str, Cells]:
    """Return the cells of each slice, by name; pairs whose slice is None belong to none."""
    if len(slices) != len(gold):
        raise ValueError(f"{len(slices)} slices for {len(gold)} pairs: give one a pair, or None")
    rows: dict[str, list] = {}
    for g, p, name in zip(gold, predicted, slices, strict=True):
        rows.setdefault(name, []).append((g, p or UNREADABLE))
    return {name: Counter(rows[name]) for name in sorted(rows.keys() - {None})}


def _decided(cells: Cells) -> Cells:
    return Counter({(g, p): count for (g, p), count in cells.items() if p in ("DUPLICATE", "NO_MATCH")})


def _sum(cells: Cells, wanted: Callable[[str, str], bool]) -> int:
    return sum(count for (g, p), count in cells.items() if wanted(g, p))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


_BY_LABEL = {"precision": precision, "recall": recall, "f1": f1}
_SCORES: Scores = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    **{f"{name}_{label.lower()}": partial(score, label=label) for label in LABELS for name, score in _BY_LABEL.items()},
}
_PAIR_SCORES: Scores = {
    **{name: partial(score, label="DUPLICATE") for name, score in _BY_LABEL.items()},
    "coverage": lambda cells: _share(_decided(cells).total(), cells.total()),
    "decided_f1": lambda cells: f1(_decided(cells), "DUPLICATE"),
}
SCORE_NAMES = tuple(_SCORES)
PAIR_SCORE_NAMES = tuple(_PAIR_SCORES)
QUALITY_NAMES = ("valid_json", "truncated")
