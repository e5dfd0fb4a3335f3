"""The probability of each decision, read before the model writes one.

``python -m crm_dedup_plugin.evaluation.probabilities MODEL OUT.json data/splits/val.jsonl`` writes three probabilities a pair for
each file, in the order of `pair.answer.LABELS`, and nothing of the records. Files of labelled pairs work too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.inference import pool
from crm_dedup_plugin.inference.engine import DECISION, Pair
from crm_dedup_plugin.pair.files import read_pairs
from crm_dedup_plugin.storage import write_atomically


def probabilities(model: str, pairs: Sequence[Pair]) -> list[list[float]]:
    """Return (pairs, 3) probabilities, each row summing to 1."""
    with pool.start(model) as engine:
        return engine.ask(DECISION, pairs).answers


def main(argv: list[str] | None = None) -> None:
    """Measure the pairs of some files."""
    parser = argparse.ArgumentParser(description="Write the probability of each decision for the pairs of some files.")
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, help="measure only this many pairs of each file, the first ones")
    options = parser.parse_args(argv)
    pairs = {str(path): read_pairs(path, options.limit, "run `crm-dedup prepare` first") for path in options.files}
    found = iter(probabilities(options.model, [pair.records for part in pairs.values() for pair in part]))
    write_atomically(options.out, json.dumps({path: [next(found) for _ in part] for path, part in pairs.items()}))


if __name__ == "__main__":
    main()
