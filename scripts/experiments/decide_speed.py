"""Measure `crm-dedup decide` beside vLLM, the benchmark's arm of one token: ``.venv/bin/python scripts/experiments/decide_speed.py embedded``.

Both answer the same pairs, in turn, several times, when all is loaded and compiled. The arm is given records in memory; the command reads
the pairs from a file and writes its answers to another. Also counts the pairs about which both decide alike. Keeps
``results/decide_speed.json``, one entry a model and machine.
"""

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import result_entries
from tabulate import tabulate

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference.engine import DECISION
from crm_dedup_plugin.matching import Matcher, pair_file
from crm_dedup_plugin.pair.files import read_pairs

RESULTS = Path("results/decide_speed.json")
SHAPES = Path("outputs/shapes")  # where `model_shape.py` puts models with random weights


def measure(model: str, data: Path, count: int, repeats: int) -> dict:
    """Return the pairs a second of the arm and of the command, each as often as `repeats` says, and how much their answers differ."""
    with data.open("rb") as source:
        lines = [next(source) for _ in range(count)]
    pairs = [pair.records for pair in read_pairs(data, count)]
    rates: dict[str, list[float]] = {"arm": [], "decide": []}
    with Matcher(model) as matcher, Matcher(model, backend="vllm") as vllm, tempfile.TemporaryDirectory() as folder:
        ours = np.array(matcher.probabilities(pairs))  # before vLLM, which takes the memory that is left
        theirs = np.array(vllm.probabilities(pairs))
        arm = vllm.engine(DECISION)
        source, out = Path(folder) / "pairs.jsonl", Path(folder) / "decisions.jsonl"
        source.write_bytes(b"".join(lines))
        for _ in range(repeats):
            arm.reset_cache()
            rates["arm"].append(count / arm.ask(DECISION, pairs).seconds)
            began = time.perf_counter()
            with source.open("rb") as file:
                pair_file.answer_file(matcher, file, source.name, "none", out)
            rates["decide"].append(count / (time.perf_counter() - began))
    alike = {"same_decisions": float((ours.argmax(1) == theirs.argmax(1)).mean()), "largest_difference": float(np.abs(ours - theirs).max())}
    return {"pairs": count, "pairs_per_second": rates, **alike}


def table(results: Path) -> str:
    """Return the medians of each machine."""
    rows = []
    for one in result_entries.read(results):
        arm, decide = (statistics.median(one["pairs_per_second"][way]) for way in ("arm", "decide"))
        alike = f"{one['same_decisions']:.2%}" if "same_decisions" in one else "-"
        machine = one["hardware"]["name"]
        name = f"{Path(one['model']).name}, random weights" if Path(one["model"]).parent == SHAPES else one["model"]
        rows.append([name, machine, f"{one['pairs']:,}", f"{arm:,.1f}", f"{decide:,.1f}", f"{one['decide_of_arm']:.1f}", alike])
    heads = ["model", "machine", "pairs", "vLLM, pairs/s", "decide, pairs/s", "times as fast", "same decisions"]
    return tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True)


def main() -> None:
    """Read the options, measure, and keep the entry."""
    options = result_entries.asked_options(__doc__.split("\n")[0], 5000)
    found = measure(options.model, options.data, options.pairs, options.repeats)
    middle = {way: statistics.median(rates) for way, rates in found["pairs_per_second"].items()}
    found["decide_of_arm"] = middle["decide"] / middle["arm"]
    result_entries.keep_asked(RESULTS, Path(__file__).name, options, found)
    print(
        json.dumps(middle), f"decide is {found['decide_of_arm']:.2f} times as fast as the arm, with {found['same_decisions']:.2%} the same decisions"
    )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"decide_speed: {error}")
