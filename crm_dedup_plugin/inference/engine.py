"""How vLLM is started on this machine, and one engine that answers batches of pairs.

The evaluation, the benchmark and every other use of a model take their settings from here. To ask a model, open a `pool`.
"""

import json
import math
import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair import answer, tokens

CONTEXT = 8192
SEED = 7
FULL, FREE, DECISION = "full", "free", "decision"  # what an engine can be asked for

Pair = tuple[dict, dict]


def settings() -> dict:
    """Return the arguments of vLLM's engine; every prompt fits its context."""
    import torch

    # Without a GPU, compiling takes longer than the whole evaluation, and bfloat16 is slow on most processors.
    machine = {} if torch.cuda.is_available() else {"enforce_eager": True, "dtype": "float32"}
    return {"max_model_len": CONTEXT, "seed": SEED, **machine}


def arguments(words: Sequence[str]) -> dict:
    """Return the arguments of vLLM's engine in words ``KEY=VALUE``, where a value may be JSON; raises UserError."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise UserError(f"--engine {word}: write KEY=VALUE, as in max_num_seqs=512")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def environment(model: str) -> dict[str, str]:
    """Return the environment variables that vLLM needs on this machine for `model`."""
    import torch

    variables = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if Path(model).is_dir():
        variables["HF_HUB_OFFLINE"] = "1"
    if torch.cuda.is_available():  # the check has initialised CUDA, which a forked engine could not use any more
        return variables | {"VLLM_WORKER_MULTIPROC_METHOD": "spawn", "TOKENIZERS_PARALLELISM": "true"}
    return variables | {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": str(os.cpu_count())}


def normalised(logprobs: Sequence[float]) -> list[float]:
    """Return probabilities that sum to 1, given the log-probabilities of all choices."""
    highest = max(logprobs)
    weights = [math.exp(value - highest) for value in logprobs]
    return [weight / sum(weights) for weight in weights]


def allow_another_engine() -> None:
    """Prepare this process for an engine that is not its first.

    Without a GPU, vLLM looks for its kernels in all that any module holds, and takes an object of llvmlite (loaded with the first engine)
    for one with attributes, because that object answers to every name.
    """
    if ffi := sys.modules.get("llvmlite.binding.ffi"):
        ffi.lib._fntab["__dict__"] = {}


class Reply(NamedTuple):
    """A whole answer (None if it does not fit the schema), and whether it was cut off at its limit of tokens."""

    answer: answer.Answer | None
    truncated: bool


@dataclass(frozen=True)
class Batch:
    """The answers to some pairs, in the order of the pairs, with what they cost."""

    answers: list  # for DECISION, three probabilities in the order of `LABELS`; otherwise a `Reply`
    lengths: list[int]  # output tokens of each answer
    prompt_tokens: int
    cached_tokens: int  # prompt tokens that came from the prefix cache
    seconds: float  # from the records to the answers, tokenising and parsing included
    engine_seconds: float  # those in which vLLM was at work

    def counts(self) -> dict:
        """Return the sums over all pairs and the times, without the answers."""
        return {
            "pairs": len(self.answers),
            "seconds": self.seconds,
            "engine_seconds": self.engine_seconds,
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": sum(self.lengths),
            "cached_tokens": self.cached_tokens,
        }


class Engine:
    """One vLLM engine in this process; `options` are arguments of vLLM's engine that replace or extend `settings`."""

    def __init__(self, model: str, options: dict | None = None, schema: dict = answer.GRAMMAR, gpus: int = 0):
        from vllm import LLM
        from vllm.sampling_params import StructuredOutputsParams

        allow_another_engine()
        self.llm = LLM(model=model, enable_prefix_caching=True, **settings() | (options or {}))
        self.grammar = StructuredOutputsParams(json=schema)
        self.tokenizer = self.llm.get_tokenizer()
        self.start, self.firsts = tokens.decision_ids(self.tokenizer)
        config = self.llm.llm_engine.vllm_config
        self.facts = {
            "dtype": str(config.model_config.dtype).removeprefix("torch."),
            "block_size": config.cache_config.block_size,
            "max_num_seqs": config.scheduler_config.max_num_seqs,
            "engines": 1,
            "gpus": gpus,
        }

    def ask(self, kind: str, pairs: Sequence[Pair], limits: int | Sequence[int] = answer.MAX_ANSWER_TOKENS, read_cache: bool = True) -> Batch:
        """Return the answers to `pairs`.

        FULL asks for answers under the grammar of at most `limits` tokens; FREE for answers without it, of exactly `limits`
        tokens (one number a pair); DECISION for the probabilities of the labels, at the one token where answers differ.
        `read_cache=False` computes every prompt afresh.
        """
        if not pairs:
            return Batch([], [], 0, 0, 0.0, 0.0)
        params, start = self._sampling(kind, limits, read_cache), self.start if kind == DECISION else []
        began = time.perf_counter()
        prompts = [{"prompt_token_ids": ids + start} for ids in tokens.batch_prompt_ids(self.tokenizer, pairs)]
        sent = time.perf_counter()
        requests = self.llm.generate(prompts, params, use_tqdm=False)
        received = time.perf_counter()
        outputs = [request.outputs[0] for request in requests]
        answers = [self._probabilities(output) if kind == DECISION else _reply(output) for output in outputs]
        ended = time.perf_counter()
        return Batch(
            answers,
            lengths=[len(output.token_ids) for output in outputs],
            prompt_tokens=sum(len(prompt["prompt_token_ids"]) for prompt in prompts),
            cached_tokens=sum(request.num_cached_tokens or 0 for request in requests),
            seconds=ended - began,
            engine_seconds=received - sent,
        )

    def reset_cache(self, pair: Pair | None = None) -> None:
        """Empty the prefix cache, then fill it with the prompt of `pair` if one is given: every prompt begins like it."""
        self.llm.reset_prefix_cache()
        if pair:
            self.ask(FREE, [pair], 1)

    def kv_cache_room(self) -> int | None:
        """Return what `devices.Room` says of the worker, or None where vLLM was started without it."""
        return self.llm.collective_rpc("kv_cache_room")[0]

    def peak_memory(self) -> int:
        """Return the bytes in use: those reserved on the GPUs, or without a GPU the most that this process has held."""
        return gpu_memory(self.facts["gpus"]) or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def _sampling(self, kind: str, limits: int | Sequence[int], read_cache: bool):
        from vllm import SamplingParams

        def params(**chosen):
            return SamplingParams(temperature=0.0, skip_reading_prefix_cache=not read_cache, **chosen)

        if kind == DECISION:
            return params(max_tokens=1, logprob_token_ids=self.firsts, detokenize=False)
        if kind == FREE:
            return [params(max_tokens=limit, ignore_eos=True) for limit in ([limits] if isinstance(limits, int) else limits)]
        return params(max_tokens=limits, structured_outputs=self.grammar)

    def _probabilities(self, output) -> list[float]:
        return normalised([output.logprobs[0][token].logprob for token in self.firsts])


def _reply(output) -> Reply:
    return Reply(answer.parse(output.text), output.finish_reason == "length")


def gpu_memory(gpus: int) -> int:
    """Return the bytes that are reserved on the first `gpus` GPUs."""
    import torch

    return sum(total - free for free, total in map(torch.cuda.mem_get_info, range(gpus)))
