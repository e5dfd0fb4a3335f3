"""Measure what a grammar mask costs, which the processor fills for every row and token.

    .venv/bin/python scripts/experiments/mask_cost.py [MODEL]

The answers of a split are read token by token by the matcher that vLLM uses, and by xgrammar's; the same without the limit of
characters, which a matcher has to count. Keeps ``results/mask_cost.json``. Needs no GPU.
"""

import argparse
import copy
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tabulate import tabulate

from crm_dedup_plugin.pair import tokens
from crm_dedup_plugin.pair.answer import GRAMMAR, SCHEMA, dump
from crm_dedup_plugin.pair.files import read_rows
from crm_dedup_plugin.provenance import digest, versions
from crm_dedup_plugin.storage import write_atomically
from crm_dedup_plugin.training.base_model import TARGET

RESULTS = Path("results/mask_cost.json")
REPEATS = 5

Step = tuple[Callable[[], object], Callable[[int], bool]]  # fill the mask of the next token, take a token


def llguidance_matcher(tokenizer, size: int, limited: bool) -> Callable[[], Step]:
    """Return what starts an answer with vLLM's default matcher for this schema."""
    import llguidance.hf
    import llguidance.torch
    from vllm.v1.structured_output.backend_guidance import serialize_guidance_grammar
    from vllm.v1.structured_output.backend_types import StructuredOutputOptions

    known, mask = llguidance.hf.from_tokenizer(tokenizer, size), llguidance.torch.allocate_token_bitmask(1, size)
    grammar = serialize_guidance_grammar(StructuredOutputOptions.JSON, json.dumps(_limited(GRAMMAR, limited)), False, False)

    def start() -> Step:
        matcher = llguidance.LLMatcher(known, grammar)
        return lambda: llguidance.torch.fill_next_token_bitmask(matcher, mask, 0), lambda token: matcher.consume_tokens([token])

    return start


def xgrammar_matcher(tokenizer, size: int, limited: bool) -> Callable[[], Step]:
    """Return what starts an answer with xgrammar."""
    import xgrammar

    info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=size)
    schema, written = _limited(SCHEMA, limited), {"any_whitespace": False, "separators": (",", ":")}
    compiled, mask = xgrammar.GrammarCompiler(info).compile_json_schema(schema, **written), xgrammar.allocate_token_bitmask(1, size)

    def start() -> Step:
        matcher = xgrammar.GrammarMatcher(compiled)
        return lambda: matcher.fill_next_token_bitmask(mask), matcher.accept_token

    return start


MATCHERS = {"llguidance": llguidance_matcher, "xgrammar": xgrammar_matcher}


def _limited(grammar: dict, limited: bool) -> dict:
    grammar = copy.deepcopy(grammar)
    if not limited:
        del grammar["properties"]["reasoning"]["maxLength"]
    return grammar


def measure(start: Callable[[], Step], answers: Sequence[Sequence[int]], repeats: int = REPEATS) -> dict[str, float]:
    """Return microseconds a mask, and a token taken, over all tokens of `answers`: the median of `repeats` readings."""
    masks, takings, count = [], [], sum(map(len, answers))
    for _ in range(repeats):
        filling = taking = 0.0
        for answer in answers:
            fill, take = start()
            for token in answer:
                began = time.perf_counter()
                fill()
                filled = time.perf_counter()
                if not take(token):
                    raise ValueError(f"token {token} of an answer does not fit the schema")
                filling, taking = filling + filled - began, taking + time.perf_counter() - filled
        masks.append(filling / count)
        takings.append(taking / count)
    return {"mask_us": 1e6 * statistics.median(masks), "take_us": 1e6 * statistics.median(takings)}


def table(path: Path = RESULTS) -> str:
    """Return the readings as Markdown."""
    found = json.loads(path.read_text(encoding="utf-8"))
    rows = [
        [one["matcher"], "240 characters" if one["limited"] else "none", f"{one['mask_us']:.0f}", f"{one['take_us']:.0f}"] for one in found["runs"]
    ]
    heads = ["matcher", "limit of the reasoning", "µs a mask", "µs to take a token"]
    return (
        f"{found['answers']} answers of {found['tokens_an_answer']:.0f} tokens, {found['vocabulary']:,} tokens in the vocabulary, one core\n\n"
        f"{tabulate(rows, headers=heads, tablefmt='github', disable_numparse=True)}\n"
    )


def main() -> None:
    """Read the options, measure, and keep the readings."""
    import torch
    from transformers import AutoConfig, AutoTokenizer

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="?", default=str(TARGET), help="folder or Hub id (%(default)s)")
    parser.add_argument("--data", type=Path, default=Path("data/splits/test.jsonl"))
    parser.add_argument("--answers", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tokenizer, size = AutoTokenizer.from_pretrained(options.model), AutoConfig.from_pretrained(options.model).vocab_size
    rows = read_rows(options.data, "run `make prep` first")[0][: options.answers]
    answers = [tokens.answer_ids(tokenizer, dump(**row["output"]))[:-1] for row in rows]  # without the end of the turn
    runs = [
        {"matcher": name, "limited": limited, **measure(make(tokenizer, size, limited), answers)}
        for name, make in MATCHERS.items()
        for limited in (True, False)
    ]
    found = {"model": options.model, "vocabulary": size, "answers": len(answers), "tokens_an_answer": sum(map(len, answers)) / len(answers)}
    found |= {
        "runs": runs,
        "data_sha256": digest([options.data]),
        "versions": versions(),
        "command": shlex.join(["scripts/experiments/mask_cost.py", *sys.argv[1:]]),
    }
    write_atomically(RESULTS, json.dumps(found, indent=2) + "\n")
    print(table())


if __name__ == "__main__":
    main()
