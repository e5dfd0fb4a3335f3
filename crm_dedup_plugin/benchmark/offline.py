"""vLLM over all pairs at once, with the schema and without, one token or a whole answer, the prefix cache cold and warm.

``python -m crm_dedup_plugin.benchmark.offline WORKLOAD.json OUT.json``. Every time counts from the records to the decisions:
prompts are built, tokenised, answered and read back within it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from crm_dedup_plugin import engine, schema, tokens
from crm_dedup_plugin.benchmark.workload import Pair, Workload
from crm_dedup_plugin.files import write_atomically

FULL, DECISION = "full", "decision"
CACHES = ("", "_cold", "_uncached")  # warm, empty at the start, never read
TIE = 0.02  # probabilities of two decisions that are closer than this are a tie: batching alone may turn it


def measure(llm, work: Workload, report: Callable[[str], None] = print) -> dict:
    """Return for each arm its runs, and how the decisions of full answers and of one token agree (counts)."""
    pairs, other = work.load()
    ask = _Asker(llm, work, other)
    arms: dict[str, list[dict]] = {}
    ask.full(pairs[:2])  # compiles the grammar, and what the two kinds of question need
    ask.decision(pairs[:2])
    for arm, run in _arms(ask, pairs):
        if work.arms and arm not in (FULL, *work.arms):
            continue
        arms[arm] = []
        for repeat in range(work.repeats):
            arms[arm].append(run())
            report(f"offline, {arm} {repeat + 1}/{work.repeats}: {arms[arm][-1]['pairs'] / arms[arm][-1]['seconds']:.1f} pairs/s")
    return {"arms": arms, "agreement": ask.agreement(), "peak_memory_bytes": _peak_memory()}


def _arms(ask: _Asker, pairs: Sequence[Pair]) -> list[tuple[str, Callable[[], dict]]]:
    """Return the arms in the order in which they run; the one without a schema needs the lengths of the full answers."""
    full = [(FULL + cache, lambda cache=cache: ask.full(pairs, cache)) for cache in CACHES]
    decision = [(DECISION + cache, lambda cache=cache: ask.decision(pairs, cache)) for cache in CACHES]
    return [*full, (f"{FULL}_without_schema", lambda: ask.without_schema(pairs)), *decision]


class _Asker:
    """Asks one engine, and remembers the last answers of each kind."""

    def __init__(self, llm, work: Workload, other: Pair):
        from vllm.sampling_params import StructuredOutputsParams

        self.llm, self.work, self.other = llm, work, other
        self.tokenizer = llm.get_tokenizer()
        self.start, self.firsts = tokens.decision_ids(self.tokenizer)
        self.grammar = StructuredOutputsParams(json=schema.SCHEMA if work.plain_schema else schema.GRAMMAR)
        self.decisions: list[str | None] = []
        self.lengths: list[int] = []
        self.probabilities: list[list[float]] = []

    def full(self, pairs: Sequence[Pair], cache: str = "") -> dict:
        """Return a run of whole answers under the schema."""
        params = self._params(cache, max_tokens=self.work.max_tokens, structured_outputs=self.grammar)
        run, outputs = self._timed(pairs, params, cache, lambda output: schema.parse(output.text))
        self.decisions = [answer and answer.decision for answer in run.pop("read")]
        self.lengths = [len(output.token_ids) for output in outputs]
        cut = [output.finish_reason == "length" for output in outputs]
        return run | {"valid_json": sum(map(bool, self.decisions)) / len(pairs), "truncated": sum(cut) / len(pairs)}

    def without_schema(self, pairs: Sequence[Pair]) -> dict:
        """Return a run without a grammar in which each answer has exactly as many tokens as the last one with it had."""
        params = [self._params("", max_tokens=length, ignore_eos=True) for length in self.lengths]
        run, _ = self._timed(pairs, params, "", lambda output: schema.parse(output.text))
        run.pop("read")
        return run

    def decision(self, pairs: Sequence[Pair], cache: str = "") -> dict:
        """Return a run of one token a pair, from which the decision and its probability come."""
        params = self._params(cache, max_tokens=1, logprob_token_ids=self.firsts, detokenize=False)
        run, _ = self._timed(pairs, params, cache, self._read, self.start)
        self.probabilities = run.pop("read")
        return run

    def agreement(self) -> dict:
        """Return how often both arms decided alike, over the pairs on which the probabilities were no tie."""
        ranked = [(schema.LABELS[row.index(max(row))], sorted(row)) for row in self.probabilities]
        clear = [at for at, (_, row) in enumerate(ranked) if row[-1] - row[-2] >= TIE]
        return {"pairs": len(clear), "agree": sum(ranked[at][0] == self.decisions[at] for at in clear), "ties": len(ranked) - len(clear)}

    def _timed(self, pairs: Sequence[Pair], params, cache: str, read: Callable, start: Sequence[int] = ()) -> tuple[dict, list]:
        self.llm.reset_prefix_cache()
        if not cache:
            warm = {"prompt_token_ids": tokens.prompt_ids(self.tokenizer, *self.other)}
            self.llm.generate([warm], self._params("", max_tokens=1), use_tqdm=False)
        began = time.perf_counter()
        prompts = [{"prompt_token_ids": ids + list(start)} for ids in tokens.batch_prompt_ids(self.tokenizer, pairs)]
        sent = time.perf_counter()
        answers = self.llm.generate(prompts, params, use_tqdm=False)
        received = time.perf_counter()
        outputs = [answer.outputs[0] for answer in answers]
        found = [read(output) for output in outputs]
        ended = time.perf_counter()
        run = {
            "pairs": len(pairs),
            "seconds": ended - began,
            "engine_seconds": received - sent,
            "prompt_tokens": sum(len(prompt["prompt_token_ids"]) for prompt in prompts),
            "output_tokens": sum(len(output.token_ids) for output in outputs),
            "cached_tokens": sum(answer.num_cached_tokens or 0 for answer in answers),
            "read": found,
        }
        return run, outputs

    def _params(self, cache: str, **given):
        from vllm import SamplingParams

        return SamplingParams(temperature=0.0, skip_reading_prefix_cache=cache == "_uncached", **given)

    def _read(self, output) -> list[float]:
        return engine.normalised([output.logprobs[0][token].logprob for token in self.firsts])


def _peak_memory() -> int:
    """Return the bytes in use: of the GPU, all that vLLM has reserved; without one, the most that this process ever held."""
    import torch

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return total - free
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Measure the workload of the first file, and write the runs to the second."""
    work, out = Workload.read(sys.argv[1]), Path(sys.argv[2])
    os.environ.update({**engine.environment(work.model), **os.environ})
    from vllm import LLM

    began = time.perf_counter()
    llm = LLM(model=work.model, enable_prefix_caching=True, **work.settings())
    found = {"load_seconds": time.perf_counter() - began, **measure(llm, work, lambda line: print(line, flush=True))}
    found["dtype"] = str(llm.llm_engine.vllm_config.model_config.dtype).removeprefix("torch.")
    found["block_size"] = llm.llm_engine.vllm_config.cache_config.block_size
    found["max_num_seqs"] = llm.llm_engine.vllm_config.scheduler_config.max_num_seqs
    write_atomically(out, json.dumps(found))


if __name__ == "__main__":
    main()
