"""One vLLM engine that answers many pairs at once: loaded, warmed up, asked and timed from the records to the decisions."""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence

from crm_dedup_plugin.benchmark.plan import Pair, Workload
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.pair import tokens
from crm_dedup_plugin.pair.answer import GRAMMAR, SCHEMA, parse

FULL, WITHOUT_SCHEMA, DECISION = "full", "full_without_schema", "decision"


def load(work: Workload, **settings):
    """Return vLLM's engine with the workload's settings, these before them, and what it made of them (type, sizes)."""
    from vllm import LLM

    llm = LLM(model=work.model, enable_prefix_caching=True, **work.settings() | settings)
    config = llm.llm_engine.vllm_config
    sizes = {"block_size": config.cache_config.block_size, "max_num_seqs": config.scheduler_config.max_num_seqs}
    return llm, {"dtype": str(config.model_config.dtype).removeprefix("torch."), **sizes}


def peak_memory(gpus: int) -> int:
    """Return the bytes in use: of the first so many GPUs, all that is reserved; without one, the most that this process ever held."""
    import torch

    if gpus:
        return sum(total - free for free, total in map(torch.cuda.mem_get_info, range(gpus)))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Alone:
    """The one engine of a workload, in this process."""

    def __init__(self, work: Workload, gpus: int):
        self.pairs, other = work.load()
        llm, facts = load(work)
        self.facts = {**facts, "engines": 1, "gpus": gpus}
        self.asker = Asker(llm, work, other)
        self.asker.warm_up(self.pairs)

    def ask(self, kind: str, cache: str) -> dict:
        """Return one run over all pairs."""
        self.asker.prepare(kind, cache)
        return self.asker.run(self.pairs)

    def peak_memory(self) -> int:
        """Return the bytes in use."""
        return peak_memory(self.facts["gpus"])


class Asker:
    """Asks one engine: `prepare` a kind of question, then `run` it over some pairs."""

    def __init__(self, llm, work: Workload, other: Pair):
        from vllm.sampling_params import StructuredOutputsParams

        self.llm, self.work, self.other = llm, work, other
        self.tokenizer = llm.get_tokenizer()
        self.start, self.firsts = tokens.decision_ids(self.tokenizer)
        self.grammar = StructuredOutputsParams(json=SCHEMA if work.plain_schema else GRAMMAR)
        self.lengths: list[int] = []

    def warm_up(self, pairs: Sequence[Pair]) -> None:
        """Compile the grammar, and what the two kinds of question need."""
        for kind in (FULL, DECISION):
            self.prepare(kind)
            self.run(pairs[:2])

    def prepare(self, kind: str, cache: str = "") -> None:
        """Empty the prefix cache, and where it is to be warm, ask a pair that is not timed."""
        self.llm.reset_prefix_cache()
        if not cache:
            warm = {"prompt_token_ids": tokens.prompt_ids(self.tokenizer, *self.other)}
            self.llm.generate([warm], _sampling("", max_tokens=1), use_tqdm=False)
        self.kind, self.params = kind, self._params(kind, cache)

    def run(self, pairs: Sequence[Pair]) -> dict:
        """Return one run: counts, seconds, and under "answers" what `_read` makes of each answer, in the order of the pairs."""
        start = self.start if self.kind == DECISION else []
        began = time.perf_counter()
        prompts = [{"prompt_token_ids": ids + start} for ids in tokens.batch_prompt_ids(self.tokenizer, pairs)]
        sent = time.perf_counter()
        answers = self.llm.generate(prompts, self.params, use_tqdm=False)
        received = time.perf_counter()
        outputs = [answer.outputs[0] for answer in answers]
        found = [self._read(output) for output in outputs]
        ended = time.perf_counter()
        if self.kind == FULL:
            self.lengths = [len(output.token_ids) for output in outputs]
        return {
            "pairs": len(pairs),
            "seconds": ended - began,
            "engine_seconds": received - sent,
            "prompt_tokens": sum(len(prompt["prompt_token_ids"]) for prompt in prompts),
            "output_tokens": sum(len(output.token_ids) for output in outputs),
            "cached_tokens": sum(answer.num_cached_tokens or 0 for answer in answers),
            "answers": found,
        }

    def _params(self, kind: str, cache: str):
        if kind == DECISION:
            return _sampling(cache, max_tokens=1, logprob_token_ids=self.firsts, detokenize=False)
        if kind == WITHOUT_SCHEMA:  # exactly as many tokens as the last answers with it had
            return [_sampling(cache, max_tokens=length, ignore_eos=True) for length in self.lengths]
        return _sampling(cache, max_tokens=self.work.max_tokens, structured_outputs=self.grammar)

    def _read(self, output) -> list[float] | tuple[str | None, bool]:
        """Return the probabilities of the decisions, or the decision (None: no valid answer) and whether the answer was cut off."""
        if self.kind == DECISION:
            return engine.normalised([output.logprobs[0][token].logprob for token in self.firsts])
        answer = parse(output.text)
        return answer and answer.decision, output.finish_reason == "length"


def _sampling(cache: str, **given):
    from vllm import SamplingParams

    return SamplingParams(temperature=0.0, skip_reading_prefix_cache=cache == "_uncached", **given)
