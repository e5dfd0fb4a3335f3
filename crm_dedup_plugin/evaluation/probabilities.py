"""How sure a model is: the probability of each decision, before it writes one.

``python -m crm_dedup_plugin.evaluation.probabilities MODEL OUT.json data/splits/val.jsonl`` writes, for each file, one row of
three probabilities per pair, in the order of `pair.answer.LABELS`, and no record. Files of labelled pairs work too.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.evaluation import documents
from crm_dedup_plugin.inference import pool
from crm_dedup_plugin.inference.engine import DECISION, Pair
from crm_dedup_plugin.storage import write_atomically


def probabilities(model: str, pairs: Sequence[Pair], engines: int = 1) -> list[list[float]]:
    """Return (pairs, 3) probabilities, each row summing to 1."""
    with pool.start(model, engines=engines) as opened:
        return opened.ask(DECISION, pairs).answers


def main(argv: list[str] | None = None) -> None:
    """Measure the pairs of some files."""
    parser = argparse.ArgumentParser(description="Write the probability of each decision for the pairs of some files.")
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, help="measure only this many pairs of each file, the first ones")
    parser.add_argument("--engines", type=int, default=1, help="engines that share the pairs (default: 1)")
    options = parser.parse_args(argv)
    rows = {str(path): documents.read_rows(path, "run `make prep` first")[: options.limit] for path in options.files}
    inputs = [row.get("input", row) for part in rows.values() for row in part]
    found = iter(probabilities(options.model, [(pair["record_a"], pair["record_b"]) for pair in inputs], options.engines))
    write_atomically(options.out, json.dumps({path: [next(found) for _ in part] for path, part in rows.items()}))


if __name__ == "__main__":
    main()
