"""vLLM over all pairs at once, with the schema and without, one token or a whole answer, the prefix cache cold and warm.

``python -m crm_dedup_plugin.benchmark.offline WORKLOAD.json OUT.json``. Every time counts from the records to the decisions:
prompts are built, tokenised, answered and read back within it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from crm_dedup_plugin import process
from crm_dedup_plugin.benchmark.hardware import mps
from crm_dedup_plugin.benchmark.plan import Workload
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import engine, pool
from crm_dedup_plugin.inference.batch import DECISION, FULL, WITHOUT_SCHEMA, Alone
from crm_dedup_plugin.inference.devices import used_gpus
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.storage import write_atomically

CACHES = ("", "_cold", "_uncached")  # warm, empty at the start, never read
# In the order in which they run: the one without a schema needs the lengths of the full answers.
ARMS = (*((FULL, cache) for cache in CACHES), (WITHOUT_SCHEMA, ""), *((DECISION, cache) for cache in CACHES))
TIE = 0.02  # probabilities of two decisions that are closer than this are a tie: batching alone may turn it


def measure(asked: Alone | pool.Crew, work: Workload, report: Callable[[str], None] = print) -> dict:
    """Return for each arm its runs, and how the decisions of full answers and of one token agree (counts)."""
    arms: dict[str, list[dict]] = {}
    answers: dict[str, list] = {}
    for kind, cache in ARMS:
        arm = kind + cache
        if work.arms and arm not in (FULL, *work.arms):
            continue
        arms[arm] = []
        for repeat in range(work.repeats):
            run = asked.ask(kind, cache)
            answers[kind] = run.pop("answers")
            arms[arm].append(run | (_shares(answers[kind]) if kind == FULL else {}))
            report(f"offline, {arm} {repeat + 1}/{work.repeats}: {run['pairs'] / run['seconds']:.1f} pairs/s")
    return {"arms": arms, "agreement": agreement(answers[FULL], answers.get(DECISION, [])), "peak_memory_bytes": asked.peak_memory()}


def _shares(answers: Sequence[tuple[str | None, bool]]) -> dict[str, float]:
    return {
        "valid_json": sum(decision is not None for decision, _ in answers) / len(answers),
        "truncated": sum(cut for _, cut in answers) / len(answers),
    }


def agreement(full: Sequence[tuple[str | None, bool]], probabilities: Sequence[Sequence[float]]) -> dict:
    """Return how often both arms decided alike, over the pairs on which the probabilities were no tie."""
    ranked = [(LABELS[row.index(max(row))], sorted(row)) for row in probabilities]
    clear = [at for at, (_, row) in enumerate(ranked) if row[-1] - row[-2] >= TIE]
    return {"pairs": len(clear), "agree": sum(ranked[at][0] == full[at][0] for at in clear), "ties": len(ranked) - len(clear)}


def _measure(work: Workload, out: Path) -> None:
    """Write the runs to `out` as soon as they are made: many engines take a while to end."""
    used, began = used_gpus(work), time.perf_counter()

    def write(asked: Alone | pool.Crew) -> None:
        loaded = time.perf_counter() - began
        found = {"load_seconds": loaded, "mps": mps(), **asked.facts, **measure(asked, work, lambda line: print(line, flush=True))}
        write_atomically(out, json.dumps(found))

    if work.engines == 1:
        write(Alone(work, len(used)))
    else:
        with pool.crew(work, used) as several:
            write(several)


def main() -> None:
    """Measure the workload of the first file, and write the runs to the second."""
    work, out = Workload.read(sys.argv[1]), Path(sys.argv[2])
    os.environ.update({**engine.environment(work.model), **os.environ})
    process.end_on_request()
    try:
        _measure(work, out)
    except UserError as error:
        sys.exit(f"\n{process.REASON}{error}")  # on a line of its own: an engine may have left a progress bar unfinished


if __name__ == "__main__":
    main()
