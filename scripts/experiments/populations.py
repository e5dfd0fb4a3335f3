"""Whether pairs out of whole lists teach more than pairs that are drawn one by one: ``scripts/experiments/populations.py --also FOLDER``.

    crm-dedup synth --populations --n 60000 --out data/populations.jsonl
    crm-dedup synth --lists --n 80000 --out data/lists.jsonl

Gradient boosting stands in for a language model, since it trains in a minute without a GPU: it is fitted on disjoint samples of each file, and
scores lists that neither file is like. The threshold comes from held-out lists. Keeps ``results/populations.json``, without any record.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from held_out_families import log_odds, sets
from held_out_tables import LISTS, NUMBERS, populations

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation import documents, linking
from crm_dedup_plugin.provenance import digest, versions
from crm_dedup_plugin.storage import write_atomically

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from baselines import boosting
from baselines.pairs import Pairs, load

RESULTS = Path("results/populations.json")
FILES = {"drawn one by one": Path("data/lists.jsonl"), "out of whole lists": Path("data/populations.jsonl")}
SAMPLES, SIZE, VALIDATION = 3, 20_000, 2_000  # of each file; pairs in a sample, and how many of them stop the growth of the trees


def samples(path: Path) -> list[Pairs]:
    """Return disjoint samples of a file, each in random order; raises UserError where it has too few pairs."""
    pairs = load(path)
    if len(pairs.gold) < SAMPLES * SIZE:
        raise UserError(f"{path} has {len(pairs.gold):,} pairs and {SAMPLES * SIZE:,} are needed: make it as the head of this script says")
    return [Pairs(*(column[at * SIZE : (at + 1) * SIZE] for column in pairs)).drawn(None, str(at)) for at in range(SAMPLES)]


def measure(sample: Pairs, known: dict[str, Pairs], seed: int) -> dict[str, dict[str, float]]:
    """Return the numbers of every set, by boosting on a sample."""
    fitted = boosting.fit(Pairs(*(column[VALIDATION:] for column in sample)), sample.first(VALIDATION), seed)
    odds = {name: log_odds(fitted.decide(pairs).probabilities) for name, pairs in known.items()}
    labels = {name: np.array(pairs.gold) == 1 for name, pairs in known.items()}
    threshold = linking.best_threshold(labels[LISTS], odds[LISTS])
    return {name: {what: number(labels[name], odds[name], threshold) for what, number in NUMBERS.items()} for name in known if name != LISTS}


def main() -> None:
    """Fit, measure and keep."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--also", type=Path, nargs="*", default=[], metavar="FOLDER", help="folders of more labelled sets")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    paths = sets(options.also)
    known = {path.stem: load(path, gold=linking.truth) for path in paths}
    runs: dict[str, list] = {}
    for way, path in FILES.items():
        for number, sample in enumerate(samples(path), 1):
            runs.setdefault(way, []).append(measure(sample, known, options.seed))
            print(f"{way}: sample {number} of {SAMPLES}", flush=True)
    about = {
        "public": [path.stem for path in documents.benchmark_files()],
        "train_sha256": {path.name: digest([path]) for path in FILES.values()},
        "sets_sha256": {path.stem: digest([path]) for path in paths},
        "pairs": SIZE,
        "seed": options.seed,
        "versions": versions(),
        "command": "scripts/experiments/populations.py --also FOLDER",
    }
    write_atomically(RESULTS, json.dumps({**about, "runs": runs}, indent=2) + "\n")
    print(populations(RESULTS))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
