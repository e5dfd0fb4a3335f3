"""vLLM over all pairs at once: with and without the schema, whole answers and one token, the prefix cache warm and cold.

``python -m crm_dedup_plugin.benchmark.offline WORKLOAD.json OUT.json``. All times run from the records to the decisions:
building prompts, tokenising, answering and parsing are included.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from crm_dedup_plugin import process
from crm_dedup_plugin.benchmark.plan import ARMS, Workload
from crm_dedup_plugin.benchmark.roofline import mps
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import pool
from crm_dedup_plugin.inference.batch import Batch, Reply
from crm_dedup_plugin.inference.engine import DECISION, FREE, FULL, Engine
from crm_dedup_plugin.pair.answer import GRAMMAR, LABELS, SCHEMA
from crm_dedup_plugin.storage import write_atomically

TIE = 0.02  # two decisions whose probabilities are closer than this are a tie: batching alone may turn it


def measure(engines: Engine | pool.Pool, work: Workload, report: Callable[[str], None] = print) -> dict:
    """Return the runs of each arm, and how often the decisions of full answers and of one token agree (counts)."""
    pairs, other = work.load()
    runs: dict[str, list[dict]] = {}
    last: dict[str, Batch] = {}
    for name, arm in ARMS.items():
        if work.arms and name not in ("full", *work.arms):
            continue
        limits = last[FULL].lengths if arm.kind == FREE else work.max_tokens  # as many tokens without the schema as with it
        runs[name] = []
        for repeat in range(work.repeats):
            engines.reset_cache(other if arm.cache == "warm" else None)
            last[arm.kind] = batch = engines.ask(arm.kind, pairs, limits, read_cache=arm.cache != "uncached")
            run = batch.counts()
            runs[name].append(run | (shares(batch.answers) if arm.kind == FULL else {}))
            report(f"offline, {name} {repeat + 1}/{work.repeats}: {run['pairs'] / run['seconds']:.1f} pairs/s")
    likeliest = last[DECISION].answers if DECISION in last else []
    return {"arms": runs, "agreement": agreement(last[FULL].answers, likeliest), "peak_memory_bytes": engines.peak_memory()}


def shares(replies: Sequence[Reply]) -> dict[str, float]:
    """Return the shares of valid and of truncated answers."""
    return {
        "valid_json": sum(reply.answer is not None for reply in replies) / len(replies),
        "truncated": sum(reply.truncated for reply in replies) / len(replies),
    }


def agreement(full: Sequence[Reply], probabilities: Sequence[Sequence[float]]) -> dict:
    """Return how often both ways to ask decide alike, among the pairs whose probabilities are no tie."""
    ranked = [(LABELS[row.index(max(row))], sorted(row)) for row in probabilities]
    clear = [at for at, (_, row) in enumerate(ranked) if row[-1] - row[-2] >= TIE]
    written = [reply.answer and reply.answer.decision for reply in full]
    return {"pairs": len(clear), "agree": sum(ranked[at][0] == written[at] for at in clear), "ties": len(ranked) - len(clear)}


def run(work: Workload, out: Path) -> None:
    """Load the engines, measure all arms and write the runs to `out` at once: several engines take a while to end."""
    pairs, _ = work.load()
    began = time.perf_counter()
    with pool.start(work.model, work.options(), work.engines, SCHEMA if work.plain_schema else GRAMMAR) as engines:
        for kind in (FULL, DECISION):  # compiles the grammar, and what else each kind of question needs
            engines.ask(kind, pairs[: 2 * work.engines], work.max_tokens)
        loaded = {"load_seconds": time.perf_counter() - began, "mps": mps(), **engines.facts}
        write_atomically(out, json.dumps(loaded | measure(engines, work, lambda line: print(line, flush=True))))


def main() -> None:
    """Measure the workload of the first file, and write the runs to the second."""
    process.end_on_request()
    process.rarely_look_for_garbage()
    try:
        run(Workload.read(sys.argv[1]), Path(sys.argv[2]))
    except UserError as error:
        sys.exit(f"\n{process.REASON}{error}")  # on a line of its own: an engine may have left a progress bar unfinished


if __name__ == "__main__":
    main()
