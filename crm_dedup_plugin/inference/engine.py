"""How vLLM is started on this machine, and one engine that answers batches of pairs.

The evaluation, the benchmark and every other use of a model take their settings from here. To ask a model, open a `pool`.
"""

import functools
import gc
import itertools
import json
import math
import os
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import devices
from crm_dedup_plugin.inference.batch import Batch, Reply
from crm_dedup_plugin.pair import answer, tokens

CONTEXT = 8192
SEED = 7
FULL, FREE, DECISION = "full", "free", "decision"  # what an engine can be asked for
SLICE = 512  # prompts that are sent together, while the next ones are tokenised
TRIAL = 64  # the first answers, which show whether a model keeps to the schema by itself
FREE_TOKENS = 192  # of an answer without the grammar; the answers of trained models have about 27

Pair = tuple[dict, dict]


def settings() -> dict:
    """Return the arguments of vLLM's engine; every prompt fits its context."""
    import torch

    # Without a GPU, compiling takes longer than the whole evaluation.
    machine = {} if torch.cuda.is_available() else {"enforce_eager": True, "dtype": devices.precision()}
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


def softmax(logprobs: Sequence[float]) -> list[float]:
    """Return probabilities that sum to 1, given the logits or log-probabilities of all choices."""
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


class Engine:
    """One vLLM engine in this process; `options` are arguments of vLLM's engine that replace or extend `settings`."""

    def __init__(self, model: str, options: dict | None = None, schema: dict = answer.GRAMMAR, gpus: int = 0):
        from vllm import LLM
        from vllm.sampling_params import StructuredOutputsParams

        allow_another_engine()
        gc.freeze()  # vLLM collects garbage three times while it starts, half a second each among all that was imported
        self.llm = LLM(model=model, enable_prefix_caching=True, **settings() | (options or {}))
        self.grammar = StructuredOutputsParams(json=schema)
        self.tokenizer = self.llm.get_tokenizer()
        self.start, self.firsts = tokens.decision_ids(self.tokenizer)
        config = self.llm.llm_engine.vllm_config
        self.schema, self.vocabulary = schema, config.model_config.get_vocab_size()
        self.fluent: bool | None = None  # whether most answers fit the schema without the grammar; None until the first are there
        self.facts = {
            "dtype": str(config.model_config.dtype).removeprefix("torch."),
            "block_size": config.cache_config.block_size,
            "max_num_seqs": config.scheduler_config.max_num_seqs,
            "engines": 1,
            "gpus": gpus,
        }

    def ask(self, kind: str, pairs: Iterable[Pair], limits: int | Sequence[int] = answer.MAX_ANSWER_TOKENS, read_cache: bool = True) -> Batch:
        """Return the answers to `pairs`, of which the first are being answered while the last are still read.

        FULL asks for answers under the grammar of at most `limits` tokens; FREE for answers without it, of exactly `limits`
        tokens (one number a pair); DECISION for the probabilities of the labels, at the one token where answers differ.
        `read_cache=False` computes every prompt afresh.
        """
        began, sent = time.perf_counter(), []
        slices = self._prompts(pairs, self.start if kind == DECISION else [], sent)
        if not (first := next(slices, None)):
            return Batch([], [], 0, 0, 0.0, 0.0)
        started = time.perf_counter()
        slices = itertools.chain([first], slices)
        if kind == FULL:
            requests, again = self._whole(slices, sent, limits, read_cache)
        else:
            requests, again = self._generate(slices, self._sampling(kind, limits, read_cache)), 0
        received = time.perf_counter()
        outputs = [request.outputs[0] for request in requests]
        answers = [self._probabilities(output) if kind == DECISION else _reply(output) for output in outputs]
        ended = time.perf_counter()
        return Batch(
            answers,
            lengths=[len(output.token_ids) for output in outputs],
            prompt_tokens=sum(len(prompt["prompt_token_ids"]) for prompt in sent),
            cached_tokens=sum(request.num_cached_tokens or 0 for request in requests),
            seconds=ended - began,
            engine_seconds=received - started,
            again=again,
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

    def _prompts(self, pairs: Iterable[Pair], start: list[int], made: list[dict]) -> Iterator[list[dict]]:
        """Yield the prompts in slices, and add them to `made`; the first slice is a trial where nothing is known of the model."""
        pairs, size = iter(pairs), TRIAL if self.fluent is None else SLICE
        while read := list(itertools.islice(pairs, size)):
            part = [{"prompt_token_ids": ids + start} for ids in tokens.batch_prompt_ids(self.tokenizer, read)]
            made += part
            yield part
            size = SLICE

    def _generate(self, slices: Iterable[list[dict]], params) -> list:
        """Return vLLM's outputs for all prompts; it works on the first slices while the next ones are made."""
        import torch

        ids = []
        try:
            for part in slices:
                ids += self.llm.enqueue(part, params[len(ids) :][: len(part)] if isinstance(params, list) else params, use_tqdm=False)
        except Exception:  # what was sent must not turn up among the answers to the next question
            self.llm.llm_engine.abort_request(ids, internal=True)
            raise
        # vLLM compiles a function of its own for probabilities even where `settings` ask it not to: two seconds.
        with torch.compiler.set_stance("default" if torch.cuda.is_available() else "force_eager"):
            return self.llm.wait_for_completion(use_tqdm=False)

    def _whole(self, slices: Iterator[list[dict]], sent: list[dict], limit: int, read_cache: bool) -> tuple[list, int]:
        """Return the outputs under the grammar, most of which are written without it, and how many had to be asked again.

        Decoding is greedy: an answer that the grammar accepts is the one that it would have led to, and filling its masks takes half
        of the time. What it does not accept is asked again under it, as is everything where a model needs it for most answers.
        """
        strict, free = (self._sampling(FULL, tokens, read_cache) for tokens in (limit, min(limit, FREE_TOKENS)))
        free.structured_outputs = None
        found = []
        if self.fluent is None:
            found = self._generate([next(slices)], free)
            self.fluent = sum(map(self._accepted, found)) * 2 >= len(found)
        tried = len(found)
        found += self._generate(slices, free if self.fluent else strict)
        failed = [at for at, request in enumerate(found) if (self.fluent or at < tried) and not self._accepted(request)]
        for at, request in zip(failed, self._generate([[sent[at] for at in failed]], strict) if failed else [], strict=True):
            found[at] = request
        return found, len(failed)

    @functools.cached_property
    def checker(self):
        """Made for the first whole answer: it takes a second, and one token needs none."""
        from crm_dedup_plugin.inference.grammar import Checker, known_tokens

        return Checker(known_tokens(self.tokenizer, self.vocabulary), self.schema)

    def _accepted(self, request) -> bool:
        output = request.outputs[0]
        return output.finish_reason == "stop" and self.checker.accepts(output.token_ids)

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
        return softmax([output.logprobs[0][token].logprob for token in self.firsts])


def _reply(output) -> Reply:
    return Reply(answer.parse(output.text), output.finish_reason == "length")


def gpu_memory(gpus: int) -> int:
    """Return the bytes that are reserved on the first `gpus` GPUs."""
    import torch

    return sum(total - free for free, total in map(torch.cuda.mem_get_info, range(gpus)))
