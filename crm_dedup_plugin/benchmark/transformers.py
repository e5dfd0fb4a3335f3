"""The baseline for vLLM: Transformers' ``generate`` in one process, under the same schema.

``python -m crm_dedup_plugin.benchmark.transformers WORKLOAD.json OUT.json``: one pair at a time, then the largest batch that fits.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin import process
from crm_dedup_plugin.benchmark.plan import Workload
from crm_dedup_plugin.inference import engine, grammar
from crm_dedup_plugin.inference.engine import Pair
from crm_dedup_plugin.inference.transformers_engine import generate, load
from crm_dedup_plugin.pair import tokens
from crm_dedup_plugin.pair.answer import parse
from crm_dedup_plugin.storage import write_atomically

ALONE = 8  # pairs that are asked one at a time, at most


def measure(model, tokenizer, work: Workload) -> dict:
    """Return the runs of ``batch_1`` and ``batch_largest``; the latter is None if no batch fits."""
    import torch

    def repeat(chosen: Sequence[Pair], batch: int) -> list[dict]:
        runs = []
        for at in range(work.repeats):
            runs.append(run(model, tokenizer, chosen, work, batch))
            rate = len(chosen) / runs[-1]["seconds"]
            print(f"transformers, batch {batch} {at + 1}/{work.repeats}: {rate:.2f} pairs/s", flush=True)
        return runs

    pairs, _ = work.load()
    run(model, tokenizer, pairs[:1], work, 1)
    found = {"batch_1": repeat(pairs[: min(ALONE, work.baseline_pairs)], 1), "batch_largest": None}
    for batch in (size for size in work.batches if size <= len(pairs)):
        chosen = pairs[: max(batch, work.baseline_pairs // batch * batch)]
        try:
            run(model, tokenizer, chosen[:batch], work, batch)
            return found | {"batch_largest": repeat(chosen, batch)}
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            print(f"transformers, batch {batch}: does not fit ({str(error).split('.')[0]})", flush=True)
    return found


def run(model, tokenizer, pairs: Sequence[Pair], work: Workload, batch: int) -> dict:
    """Return one run over `pairs`, the longest first, in static batches with padding on the left."""
    began, made = time.perf_counter(), []
    prompts = sorted(tokens.batch_prompt_ids(tokenizer, pairs), key=len, reverse=True)
    for at in range(0, len(prompts), batch):
        made += generate(model, prompts[at : at + batch], work.max_tokens, [grammar.SchemaProcessor(lambda: grammar.tokens_of(work.model))])
    valid = sum(parse(text) is not None for text in tokenizer.batch_decode(made, skip_special_tokens=True))
    seconds = time.perf_counter() - began
    return {"batch_size": batch, "pairs": len(pairs), "seconds": seconds, "output_tokens": sum(map(len, made)), "valid_json": valid / len(pairs)}


def main() -> None:
    """Measure the workload of the first file, and write the runs to the second."""
    process.rarely_look_for_garbage()
    work, out = Workload.read(sys.argv[1]), Path(sys.argv[2])
    os.environ.update({**engine.environment(work.model), **os.environ})
    write_atomically(out, json.dumps(measure(*load(work.model, work.random_weights), work)))


if __name__ == "__main__":
    main()
