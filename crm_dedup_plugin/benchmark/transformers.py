"""The baseline for vLLM: Transformers' ``generate`` in one process, under the same schema.

``python -m crm_dedup_plugin.benchmark.transformers WORKLOAD.json OUT.json``: one pair at a time, then the largest batch that fits.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.benchmark.plan import Workload
from crm_dedup_plugin.inference import engine, grammar
from crm_dedup_plugin.inference.engine import Pair
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
            runs.append(generate(model, tokenizer, chosen, work, batch))
            rate = len(chosen) / runs[-1]["seconds"]
            print(f"transformers, batch {batch} {at + 1}/{work.repeats}: {rate:.2f} pairs/s", flush=True)
        return runs

    pairs, _ = work.load()
    generate(model, tokenizer, pairs[:1], work, 1)
    found = {"batch_1": repeat(pairs[: min(ALONE, work.baseline_pairs)], 1), "batch_largest": None}
    for batch in (size for size in work.batches if size <= len(pairs)):
        chosen = pairs[: max(batch, work.baseline_pairs // batch * batch)]
        try:
            generate(model, tokenizer, chosen[:batch], work, batch)
            return found | {"batch_largest": repeat(chosen, batch)}
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            print(f"transformers, batch {batch}: does not fit ({str(error).split('.')[0]})", flush=True)
    return found


def generate(model, tokenizer, pairs: Sequence[Pair], work: Workload, batch: int) -> dict:
    """Return one run over `pairs`, the longest first, in static batches with padding on the left."""
    import torch
    from xgrammar.contrib import hf

    began, texts, made = time.perf_counter(), [], 0
    prompts = sorted(tokens.batch_prompt_ids(tokenizer, pairs), key=len, reverse=True)
    for at in range(0, len(prompts), batch):
        asked = tokenizer.pad({"input_ids": prompts[at : at + batch]}, padding_side="left", return_tensors="pt").to(model.device)
        processors = [hf.LogitsProcessor(grammar.compiled(work.model))]
        with torch.inference_mode():
            out = model.generate(**asked, max_new_tokens=work.max_tokens, do_sample=False, logits_processor=processors)
        answers = out[:, asked["input_ids"].shape[1] :]
        texts += tokenizer.batch_decode(answers, skip_special_tokens=True)
        made += int((answers != model.generation_config.pad_token_id).sum())
    valid = sum(parse(text) is not None for text in texts)
    seconds = time.perf_counter() - began
    return {"batch_size": batch, "pairs": len(pairs), "seconds": seconds, "output_tokens": made, "valid_json": valid / len(pairs)}


def load(work: Workload):
    """Return the model, on the GPU if there is one, and its tokenizer; the weights are random if the workload says so."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    gpu = torch.cuda.is_available()
    settings = {"dtype": torch.bfloat16 if gpu else torch.float32}
    torch.manual_seed(engine.SEED)
    with torch.device("cuda" if gpu else "cpu"):
        if work.random_weights:
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(work.model), **settings)
        else:
            model = AutoModelForCausalLM.from_pretrained(work.model, **settings)
    tokenizer = AutoTokenizer.from_pretrained(work.model)
    end = tokens.end_of_turn_id(tokenizer)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = end
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=tokenizer.pad_token_id)
    return model.eval(), tokenizer


def main() -> None:
    """Measure the workload of the first file, and write the runs to the second."""
    work, out = Workload.read(sys.argv[1]), Path(sys.argv[2])
    os.environ.update({**engine.environment(work.model), **os.environ})
    write_atomically(out, json.dumps(measure(*load(work), work)))


if __name__ == "__main__":
    main()
