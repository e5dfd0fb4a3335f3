"""What others make of the same few labels: ``.venv/bin/python scripts/experiments/learning_rivals.py``, on a CPU.

Boosting and logistic regression on this project's features of similarity, from scratch and from what the other public families teach,
Splink, which learns without labels and takes its threshold from them, and dedupe in an environment of its own (``peers/learn_dedupe.py``). All
get the labels that `learning_curve.py` draws, and need its ``outputs/learning/odds/NAME-before.json``; dedupe is measured once more with the
same number of labels that it asks for itself. Writes ``outputs/learning/rivals.json``.
"""

import argparse
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import learning_data
import match_peers
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation.documents import BENCHMARKS
from crm_dedup_plugin.storage import write_atomically

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from baselines import boosting, splink
from baselines.columns import clean
from baselines.pairs import Pairs

ODDS, OUT = Path("outputs/learning/odds"), Path("outputs/learning/rivals.json")
ROOT = Path("outputs/matching")  # of the environments of peers
SEED, EVEN = 7, 0.5
FAMILIES = ("splink_",)  # sets whose names begin alike are one family


def family(name: str) -> str:
    """Return the family of a set."""
    return next((one for one in FAMILIES if name.startswith(one)), name)


def boosted() -> HistGradientBoostingClassifier:
    """Return trees that may grow on twenty labels."""
    return HistGradientBoostingClassifier(max_iter=100, min_samples_leaf=5, l2_regularization=1.0, random_state=SEED)


def regression():
    """Return logistic regression; a feature that is missing has the value of its mean, and a mark."""
    return make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))


def learned(make: Callable, inputs: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return what gives the probability of one entity, from the features that vary among these labels."""
    known = np.flatnonzero([len(np.unique(column[~np.isnan(column)])) > 1 for column in inputs.T])
    model = make().fit(inputs[:, known], y)
    return lambda asked: model.predict_proba(asked[:, known])[:, 1]


class Set:
    """A public set with what the rivals see of it."""

    def __init__(self, path: Path):
        self.name, self.pairs = path.stem, learning_data.load(path)
        self.y = np.array([pair.label for pair in self.pairs]) == 1
        self.records = Pairs(
            [pair.record_a for pair in self.pairs], [pair.record_b for pair in self.pairs], self.y.tolist(), [None] * len(self.pairs)
        )
        self.before: dict[str, np.ndarray | None] = {}  # what the other families teach, by the kind of classifier
        self.features = boosting.features(self.records)
        self.z = np.array(json.loads((ODDS / f"{path.stem}-before.json").read_text(encoding="utf-8"))["z"])
        try:
            self.weights = splink.scorer(self.records, SEED)(self.records)
        except UserError:
            self.weights = None  # it has no column that Splink could compare


def told(one: Set, others: list[Set], labels: np.ndarray, test: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each rival with its decisions (test,) after these labels, possibly none."""
    y = one.y[labels]
    taught = {"boosting": boosted, "logistic regression": regression}
    for name, make in taught.items():
        if both(y):
            yield name, learned(make, one.features[labels], y)(one.features[test]) >= EVEN
    for name, make in taught.items():
        before = one.before.setdefault(name, None)
        if before is None:
            general = learned(make, np.concatenate([other.features for other in others]), np.concatenate([other.y for other in others]))
            before = one.before[name] = np.clip(general(one.features), 1e-6, 1 - 1e-6)
        if not both(y):
            yield f"{name}, from other families", before[test] >= EVEN
        else:
            more = np.column_stack([one.features, np.log(before / (1 - before))])
            yield f"{name}, from other families", learned(make, more[labels], y)(more[test]) >= EVEN
    if one.weights is not None:
        threshold = 0.0 if not both(y) else best(one.weights[labels], y)
        yield "Splink", one.weights[test] >= threshold


def both(y: np.ndarray) -> bool:
    """Tell whether there are labels of both kinds."""
    return bool(y.any() and not y.all())


def best(scores: np.ndarray, y: np.ndarray) -> float:
    """Return the threshold with the best F1 on some labels: the middle between two scores."""
    ranked = np.unique(scores)
    cuts = np.concatenate([ranked[:1] - 1, (ranked[:-1] + ranked[1:]) / 2])
    return float(max(cuts, key=lambda cut: learning_data.f1(y, scores >= cut, 1.0)))


def measured(one: Set, others: list[Set], say: Callable[[str], None]) -> Iterator[dict]:
    """Yield the F1 of each rival after each number of labels, in each draw."""
    for draw in range(learning_data.DRAWS):
        divided = learning_data.divide(one.name, one.pairs, draw)
        for count in (0, *learning_data.COUNTS):
            labels = learning_data.labelled(one.name, divided, one.z, draw, count)
            if labels is not None:
                for who, said in told(one, others, labels, divided.test):
                    f1 = learning_data.f1(one.y[divided.test], said.astype(bool), divided.weight)
                    yield {"set": one.name, "draw": draw, "labels": count, "who": who, "f1": f1}
        say(f"{one.name}: draw {draw + 1} of {learning_data.DRAWS}")


def by_dedupe(one: Set) -> Iterator[dict]:
    """Yield the F1 of dedupe after each number of labels, given or asked for, in each draw."""
    divided = [learning_data.divide(one.name, one.pairs, draw) for draw in range(learning_data.DRAWS)]
    draws = []
    for draw, sides in enumerate(divided):
        drawn = {count: learning_data.labelled(one.name, sides, one.z, draw, count) for count in learning_data.COUNTS}
        labels = {count: chosen.tolist() for count, chosen in drawn.items() if chosen is not None}
        draws.append({"pool": sides.pool.tolist(), "same": one.y[sides.pool].tolist(), "test": sides.test.tolist(), "labels": labels})
    pairs = [[{name: clean(value) for name, value in record.items()} for record in pair.records] for pair in one.pairs]
    columns = sorted({name for pair in pairs for record in pair for name, value in record.items() if value})
    with tempfile.TemporaryDirectory() as folder:
        asked, said = Path(folder, "asked.json"), Path(folder, "said.json")
        asked.write_text(json.dumps({"seed": SEED, "columns": columns, "pairs": pairs, "draws": draws}), encoding="utf-8")
        match_peers.run("dedupe", ROOT, [asked, said], task="learn")
        for found in json.loads(said.read_text(encoding="utf-8")):
            test, same = divided[found["draw"]].test, np.array(found.pop("same"))
            yield {"set": one.name, **found, "f1": learning_data.f1(one.y[test], same, divided[found["draw"]].weight)}


def main() -> None:
    """Measure all sets."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", type=Path, default=os.environ.get(BENCHMARKS), help=f"a folder of labelled pairs; or set {BENCHMARKS}")
    options = parser.parse_args()
    sets = [Set(path) for path in sorted(options.sets.glob("*.jsonl"))]
    found = []
    for one in sets:
        others = [other for other in sets if family(other.name) != family(one.name)]
        found += measured(one, others, lambda text: print(text, file=sys.stderr, flush=True))
        found += by_dedupe(one)
    write_atomically(OUT, json.dumps(found))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
