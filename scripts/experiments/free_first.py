"""Measure what it saves to ask for whole answers without the grammar first: ``.venv/bin/python scripts/experiments/free_first.py embedded``.

Decoding is greedy, so an answer that the grammar accepts is the one that it would have led to. The same pairs are asked both ways,
in turn; in 16 bits, answers that are nearly as probable as another change with the batches, so two runs under the grammar are compared
too. Keeps ``results/free_first.json``, one entry a model and machine.
"""

import itertools
import json
import statistics
import sys
from pathlib import Path

import result_entries
from tabulate import tabulate

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import engine, models, pool
from crm_dedup_plugin.inference.batch import Batch
from crm_dedup_plugin.inference.engine import FULL
from crm_dedup_plugin.pair.files import read_pairs

RESULTS = Path("results/free_first.json")


def measure(model: str, data: Path, count: int, repeats: int) -> dict:
    """Return the pairs a second of both ways, how many answers fit freely, and how many are the same."""
    pairs = [pair.records for pair in read_pairs(data, count)]
    runs: dict[str, list[Batch]] = {"free_first": [], "grammar": []}
    with pool.start(models.resolve(model)) as asked:
        asked.ask(FULL, pairs[: engine.TRIAL])  # compiles the grammar, and shows what the model can do by itself
        fluent = asked.fluent
        for _ in range(repeats):
            for way, batches in runs.items():
                asked.fluent = fluent and way == "free_first"
                asked.reset_cache()
                batches.append(asked.ask(FULL, pairs))
    (free, *_), (grammar, *_) = runs.values()
    return {
        "fluent": fluent,
        "pairs": len(pairs),
        "asked_again": free.again,
        "valid": {way: sum(reply.answer is not None for reply in batches[0].answers) for way, batches in runs.items()},
        "same_answer": _same(free, grammar),
        "same_answer_twice_under_the_grammar": min((_same(*two) for two in itertools.pairwise(runs["grammar"])), default=None),
        "pairs_per_second": {way: [len(pairs) / batch.seconds for batch in batches] for way, batches in runs.items()},
    }


def _same(one: Batch, other: Batch) -> int:
    return sum(mine.answer == its.answer for mine, its in zip(one.answers, other.answers, strict=True))


def table(results: Path) -> str:
    """Return what was found of each model and machine."""
    rows = []
    for one in result_entries.read(results):
        free, grammar = (statistics.median(one["pairs_per_second"][way]) for way in ("free_first", "grammar"))
        twice = one["same_answer_twice_under_the_grammar"]
        rows.append([one["model"], one["hardware"]["name"], f"{one['pairs']:,}", f"{one['asked_again']:,}", f"{grammar:,.1f}", f"{free:,.1f}"])
        rows[-1] += [f"{one['same_answer'] / one['pairs']:.1%}", f"{twice / one['pairs']:.1%}" if twice is not None else "-"]
    heads = ["model", "machine", "pairs", "asked again", "grammar, pairs/s", "free first, pairs/s", "same answers", "grammar twice"]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def main() -> None:
    """Read the options, measure, and keep the entry."""
    options = result_entries.asked_options(__doc__.split("\n")[0], 5001)
    found = measure(options.model, options.data, options.pairs, options.repeats)
    result_entries.keep_asked(RESULTS, Path(__file__).name, options, found)
    print(json.dumps(found))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(str(error))
