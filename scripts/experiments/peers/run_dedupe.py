"""dedupe as its examples set it up: ``python run_dedupe.py FOLDER OUT SEED``; it asks for labels, which the truth answers, and clusters at 0.5."""

import random
import sys
import time
from pathlib import Path

import common
import dedupe
import numpy
from dedupe import variables

LABELS = 100
THRESHOLDS = (0.5, 0.3, 0.7, 0.8, 0.9, 0.95)


def main(folder: Path, out: Path, seed: int) -> None:
    """Write the groups of a set."""
    random.seed(seed)
    numpy.random.seed(seed)
    began, table, truth = time.monotonic(), common.rows(folder), common.truth(folder)
    names = [name for name in table[0] if any(row[name] for row in table)]
    data = {number: {"row": number, **{name: row[name] or None for name in names}} for number, row in enumerate(table)}
    deduper = dedupe.Dedupe([variables.String(name, has_missing=True) for name in names], num_cores=2)
    deduper.prepare_training(data)
    matches = 0
    for _ in range(LABELS):
        ((one, other),) = pair = deduper.uncertain_pairs()
        same = truth[one["row"]] == truth[other["row"]]
        matches += same
        deduper.mark_pairs({"match": pair if same else [], "distinct": [] if same else pair})
    deduper.train()
    scores = numpy.array(deduper.score(deduper.pairs(data)))
    variants = {}
    for threshold in THRESHOLDS:
        clusters = [[int(row) for row in rows] for rows, _ in deduper.cluster(scores.copy(), threshold)]
        variants[f"at {threshold}"] = common.singletons(clusters, len(table))
    common.write(out, variants, "dedupe", time.monotonic() - began, labels=LABELS, matches_among_labels=matches, columns=names)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
