"""What the probabilities of the decisions say: is a model as sure as it should be, and which pairs of a list would it link?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from crm_dedup_plugin.evaluation import answers, calibration, documents, linking, metrics
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.pair.answer import LABELS

Found = Mapping[Path, list[list[float]]]  # by file, (pairs, 3) probabilities


def calibrate(found: Found, test: Path, val: Path, items: Sequence[answers.Item]) -> dict:
    """Return `calibration.measure`, and how often the most probable decision is the one that was written."""
    gold, val_gold = ([row["output"]["decision"] for row in _rows(path, found)] for path in (test, val))
    likeliest = [LABELS[row.index(max(row))] for row in found[test]]
    agree = [answers.decision(item) == label for item, label in zip(items, likeliest, strict=True)]
    return {**calibration.measure(gold, found[test], val_gold, found[val], engine.SEED), "agreement": metrics.rate(agree, engine.SEED)}


def link(found: Found, lists: Path, benchmarks: Sequence[Path]) -> dict:
    """Return `linking.measure` of the public pairs, a slice a file, with the threshold from `lists`."""
    match = [linking.truth(row) for path in benchmarks for row in _rows(path, found)]
    slices = [path.stem for path in benchmarks for _ in found[path]]
    scores = linking.score(list(chain.from_iterable(found[path] for path in benchmarks)))
    held_out = [linking.truth(row) for row in _rows(lists, found)]
    return linking.measure(match, scores, slices, held_out, linking.score(found[lists]), engine.SEED)


def _rows(path: Path, found: Found) -> list[dict]:
    return documents.read_rows(path, "")[: len(found[path])]
