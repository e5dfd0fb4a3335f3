"""Measure `crm-dedup decide` beside the benchmark's own arm of one token: ``.venv/bin/python scripts/experiments/decide_speed.py embedded``.

Both ask the same engine about the same pairs, one after the other, several times. The arm is given records in memory; the command reads
the pairs from a file and writes its answers to another. Keeps ``results/decide_speed.json``, one entry a model and machine.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import result_entries
from tabulate import tabulate

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference.engine import DECISION
from crm_dedup_plugin.matching import Matcher, pair_file
from crm_dedup_plugin.pair.files import read_pairs

RESULTS = Path("results/decide_speed.json")


def measure(model: str, data: Path, count: int, repeats: int) -> dict[str, list[float]]:
    """Return the pairs a second of the arm and of the command, each as often as `repeats` says, with an empty cache at the start."""
    with data.open("rb") as source:
        lines = [next(source) for _ in range(count)]
    pairs = [pair.records for pair in read_pairs(data, count)]
    rates: dict[str, list[float]] = {"arm": [], "decide": []}
    with Matcher(model, backend="vllm") as matcher, tempfile.TemporaryDirectory() as folder:
        asked = matcher.engine(count)
        asked.ask(DECISION, pairs[:4])
        source, out = Path(folder) / "pairs.jsonl", Path(folder) / "decisions.jsonl"
        source.write_bytes(b"".join(lines))
        for _ in range(repeats):
            asked.reset_cache()
            rates["arm"].append(count / asked.ask(DECISION, pairs).seconds)
            asked.reset_cache()
            began = time.perf_counter()
            with source.open("rb") as file:
                pair_file.answer_file(matcher, file, source.name, "none", out)
            rates["decide"].append(count / (time.perf_counter() - began))
    return rates


def table(results: Path) -> str:
    """Return the medians of each machine."""
    rows = []
    for one in result_entries.read(results):
        arm, decide = (statistics.median(one["pairs_per_second"][way]) for way in ("arm", "decide"))
        rows.append([one["model"], one["hardware"]["name"], f"{one['pairs']:,}", f"{arm:,.1f}", f"{decide:,.1f}", f"{one['decide_of_arm']:.0%}"])
    heads = ["model", "machine", "pairs", "benchmark, pairs/s", "decide, pairs/s", "of the benchmark"]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def main() -> None:
    """Read the options, measure, and keep the entry."""
    options = result_entries.asked_options(__doc__.split("\n")[0], 5000)
    rates = measure(options.model, options.data, options.pairs, options.repeats)
    middle = {way: statistics.median(found) for way, found in rates.items()}
    found = {"pairs": options.pairs, "pairs_per_second": rates, "decide_of_arm": middle["decide"] / middle["arm"]}
    result_entries.keep_asked(RESULTS, Path(__file__).name, options, found)
    print(json.dumps(middle), f"decide reaches {found['decide_of_arm']:.1%} of the arm")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"decide_speed: {error}")
