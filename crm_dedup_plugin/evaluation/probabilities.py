"""How sure a model is: the probability of each decision, before it writes one.

``python -m crm_dedup_plugin.evaluation.probabilities MODEL OUT.json data/splits/val.jsonl`` writes, for each file,
one row of three probabilities a pair, in the order of `schema.LABELS`; no record. Files of labelled pairs will do, too.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from crm_dedup_plugin.evaluation import documents
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.pair import tokens
from crm_dedup_plugin.storage import write_atomically


def probabilities(model: str, pairs: Sequence[tuple[dict, dict]]) -> list[list[float]]:
    """Return (pairs, 3) probabilities that sum to 1: of the tokens with which the decisions begin, after the start of the answer."""
    os.environ.update({**engine.environment(model), **os.environ})
    from vllm import LLM, SamplingParams

    llm = LLM(model=model, enable_prefix_caching=True, **engine.settings())
    tokenizer = llm.get_tokenizer()
    start, firsts = tokens.decision_ids(tokenizer)
    prompts = [{"prompt_token_ids": ids + start} for ids in tokens.batch_prompt_ids(tokenizer, pairs)]
    one = SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=firsts, detokenize=False)
    outputs = llm.generate(prompts, one, use_tqdm=False)
    return [engine.normalised([output.outputs[0].logprobs[0][token].logprob for token in firsts]) for output in outputs]


def main(argv: list[str] | None = None) -> None:
    """Measure the pairs of some files."""
    parser = argparse.ArgumentParser(description="Write the probability of each decision for the pairs of some files.")
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, help="the first pairs of each file only")
    options = parser.parse_args(argv)
    rows = {str(path): documents.read_rows(path, "run `make prep` first")[: options.limit] for path in options.files}
    inputs = [row.get("input", row) for part in rows.values() for row in part]
    found = iter(probabilities(options.model, [(pair["record_a"], pair["record_b"]) for pair in inputs]))
    write_atomically(options.out, json.dumps({path: [next(found) for _ in part] for path, part in rows.items()}))


if __name__ == "__main__":
    main()
