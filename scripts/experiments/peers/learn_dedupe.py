"""dedupe learns from as many labels as others: ``python learn_dedupe.py ASKED OUT``, both JSON, as `learning_rivals.py` writes and reads them.

"dedupe" gets the labels that the others get. "dedupe, its own questions" chooses them with its active learner among all pairs that may be
labelled, which take the place of the pairs that it would sample. Both compare the columns as strings, fit the classifier that dedupe brings
(logistic regression, its regularisation by cross-validation), and decide at 0.5. `Dedupe.train` learns rules of blocking too: these take
minutes and change no score, so only its classifier is fitted.
"""

import json
import random
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import dedupe
import numpy
from dedupe import api, labeler, variables

EVEN = 0.5


def learner(names: Sequence[str]) -> dedupe.Dedupe:
    """Return a deduper without labels for records with these columns."""
    deduper = dedupe.Dedupe([variables.String(name, has_missing=True) for name in names], num_cores=0)
    deduper.classifier.n_jobs = 1
    return deduper


def mark(deduper: dedupe.Dedupe, pairs: Sequence[tuple[dict, dict]], same: Sequence[bool]) -> None:
    """Tell it the labels of some pairs."""
    sides = {"match": True, "distinct": False}
    deduper.mark_pairs({side: [pair for pair, label in zip(pairs, same, strict=True) if label == kind] for side, kind in sides.items()})


def decisions(deduper: dedupe.Dedupe, pairs: Sequence[tuple[dict, dict]]) -> list[bool] | None:
    """Return whether each pair is of one entity; None where its labels are all of one kind."""
    if not all(deduper.training_pairs.values()):
        return None
    examples, y = api.flatten_training(deduper.training_pairs)
    deduper.classifier.fit(deduper.data_model.distances(examples), y)
    return (deduper.classifier.predict_proba(deduper.data_model.distances(pairs))[:, 1] >= EVEN).tolist()


def asking(deduper: dedupe.Dedupe, pairs: Sequence[tuple[dict, dict]], same: Sequence[bool], most: int, seed: Sequence[int]) -> Iterator[int]:
    """Answer its questions about these pairs, and yield after each how many there were."""
    random.seed(str(seed))
    answers = {id(pair): label for pair, label in zip(pairs, same, strict=True)}
    records = {tuple(record.values()): record for pair in pairs for record in pair}
    labeler.DedupeBlockLearner._sample = lambda *_: list(pairs)
    deduper.prepare_training(dict(enumerate(records.values())))
    deduper.active_learner.rng = numpy.random.default_rng(seed)
    for number in range(1, most + 1):
        (pair,) = deduper.uncertain_pairs()
        mark(deduper, [pair], [answers[id(pair)]])
        yield number


def told(asked: dict) -> Iterator[dict]:
    """Yield the decisions on the tested pairs after each number of labels in each draw."""
    names, seed = asked["columns"], asked["seed"]
    pairs = [tuple({name: record.get(name) or None for name in names} for record in pair) for pair in asked["pairs"]]
    for draw, one in enumerate(asked["draws"]):
        label, test = dict(zip(one["pool"], one["same"], strict=True)), [pairs[at] for at in one["test"]]
        labelled = {int(count): chosen for count, chosen in one["labels"].items()}
        for count, chosen in labelled.items():
            given = learner(names)
            mark(given, [pairs[at] for at in chosen], [label[at] for at in chosen])
            yield {"draw": draw, "labels": count, "who": "dedupe", "same": decisions(given, test)}
        curious = learner(names)
        for count in asking(curious, [pairs[at] for at in one["pool"]], one["same"], max(labelled, default=0), [seed, draw]):
            if count in labelled:
                yield {"draw": draw, "labels": count, "who": "dedupe, its own questions", "same": decisions(curious, test)}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    result = [one for one in told(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))) if one["same"] is not None]
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")
