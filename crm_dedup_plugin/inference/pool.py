"""One or several engines that answer as one: ``with pool.start(model, engines=2) as engines: engines.ask(DECISION, pairs).answers``.

A single engine runs in this process. Several have a process each: while one fills masks and schedules, which leaves its GPU
idle, another uses the GPU. Over several GPUs the engines are dealt out in turn, which is data parallelism.
"""

import contextlib
import gc
import multiprocessing
import os
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from crm_dedup_plugin import process
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import devices
from crm_dedup_plugin.inference.batch import Batch
from crm_dedup_plugin.inference.engine import Engine, Pair, environment, gpu_memory
from crm_dedup_plugin.pair.answer import GRAMMAR, MAX_ANSWER_TOKENS


@contextlib.contextmanager
def start(model: str, options: dict | None = None, engines: int = 1, schema: dict = GRAMMAR) -> Iterator["Engine | Pool"]:
    """Load `model` into so many engines and leave no process of them behind.

    `options` are arguments of vLLM's engine. Sets the environment variables that vLLM needs, unless they are set already.
    Raises UserError as soon as one of several engines fails.
    """
    os.environ.update({**environment(model), **os.environ})
    gpus = devices.used_gpus(engines, options or {})
    options = (options or {}) | devices.memory(engines, options or {}, gpus)
    found = Engine(model, options, schema, len(gpus)) if engines == 1 else Pool(gpus)
    try:
        if engines > 1:
            found.launch(engines)
            found.load(model, options, schema)
        gc.freeze()  # the garbage collector takes half a second to look through what the libraries hold, each time
        yield found
    finally:
        gc.unfreeze()
        if engines > 1:
            found.end()


def share(items: Sequence, at: int, engines: int) -> list:
    """Return the items of engine number `at`, counted from 0."""
    return list(items[at::engines])


def merge(batches: Sequence[Batch], seconds: float) -> Batch:
    """Return the batch of all engines, which took `seconds`, from the batches of their shares, in the order of the pairs."""
    size = sum(len(batch.answers) for batch in batches)
    answers, lengths = [None] * size, [0] * size
    for at, batch in enumerate(batches):
        answers[at :: len(batches)] = batch.answers
        lengths[at :: len(batches)] = batch.lengths
    return Batch(
        answers,
        lengths,
        prompt_tokens=sum(batch.prompt_tokens for batch in batches),
        cached_tokens=sum(batch.cached_tokens for batch in batches),
        seconds=seconds,
        engine_seconds=statistics.mean(batch.engine_seconds for batch in batches),
        again=sum(batch.again for batch in batches),
    )


class Failure(NamedTuple):
    """What an engine's process sends instead of a result."""

    reason: str


class Pool:
    """Several engines, each in a process of its own, with the interface of one `Engine`."""

    def __init__(self, gpus: Sequence[str] = ()):
        self.gpus = gpus
        self.pipes: list[Connection] = []
        self.workers: list[multiprocessing.Process] = []

    def launch(self, engines: int, target: Callable[[Connection], None] | None = None) -> None:
        """Start so many processes, each with its share of the GPUs and cores; they run `target`, or an engine."""
        context, cores = multiprocessing.get_context("spawn"), len(os.sched_getaffinity(0))
        for at in range(engines):
            ours, theirs = context.Pipe()
            arguments = (target or _serve, theirs, devices.variables(at, engines, self.gpus, cores))
            worker = context.Process(target=_run, args=arguments, name=f"engine {at + 1} of {engines}")
            worker.start()
            theirs.close()
            self.workers.append(worker)
            self.pipes.append(ours)

    def load(self, model: str, options: dict, schema: dict) -> None:
        """Load all engines: the first alone, which compiles and finds how much cache fits its share of memory, then the others.

        vLLM finds it by watching how much memory is free, and would mistake what another engine allocates meanwhile for its own.
        Where the options name the size, ``kv_cache_memory_bytes``, there is nothing to find, and all engines load at once.
        """
        engines = len(self.workers)
        first = engines if "kv_cache_memory_bytes" in options else 1
        self._send(range(first), [(model, options, schema)] * first)
        (facts, room), *_ = [self._receive(at) for at in range(first)]
        others = options | ({"kv_cache_memory_bytes": room} if room else {})
        self._send(range(first, engines), [(model, others, schema)] * (engines - first))
        for at in range(first, engines):
            self._receive(at)
        self.facts = {**facts, "engines": engines, "gpus": len(self.gpus)}

    def ask(self, kind: str, pairs: Iterable[Pair], limits: int | Sequence[int] = MAX_ANSWER_TOKENS, read_cache: bool = True) -> Batch:
        """Return what `Engine.ask` returns, timed from when all engines have their pairs until all answers are here."""
        pairs, count = list(pairs), len(self.workers)

        def own(at: int) -> tuple:
            return kind, share(pairs, at, count), limits if isinstance(limits, int) else share(limits, at, count), read_cache

        batches, seconds = self._call("ask", [own(at) for at in range(count)])
        return merge(batches, seconds)

    def reset_cache(self, pair: Pair | None = None) -> None:
        """Empty the prefix cache of each engine, then fill it with the prompt of `pair` if one is given."""
        self._call("reset_cache", [(pair,)] * len(self.workers))

    def peak_memory(self) -> int:
        """Return the bytes in use by all engines."""
        return gpu_memory(len(self.gpus)) or sum(self._call("peak_memory", [()] * len(self.workers))[0])

    def end(self) -> None:
        """End all processes: politely first, then by force, all after the same wait."""
        for worker in self.workers:
            worker.terminate()
        deadline = time.monotonic() + process.GRACE
        for worker in self.workers:
            worker.join(max(0.0, deadline - time.monotonic()))
            worker.kill()
            worker.join()

    def _call(self, method: str, arguments: Sequence[tuple]) -> tuple[list, float]:
        """Return what a method of each engine returns, and the seconds from when all have their arguments."""
        everyone = range(len(self.workers))
        self._send(everyone, [(method, own) for own in arguments])
        for at in everyone:
            self._receive(at)
        began = time.perf_counter()
        self._send(everyone, [True] * len(everyone))
        return [self._receive(at) for at in everyone], time.perf_counter() - began

    def _send(self, engines: Sequence[int], messages: Sequence[Any]) -> None:
        for at, message in zip(engines, messages, strict=True):
            with contextlib.suppress(BrokenPipeError):  # the next `_receive` tells why
                self.pipes[at].send(message)

    def _receive(self, at: int) -> Any:
        """Return the next message of an engine; raises UserError as soon as any engine has ended."""
        sentinels = [worker.sentinel for worker in self.workers]
        ready = wait([self.pipes[at], *sentinels])
        which = at if self.pipes[at] in ready else next(one for one, sentinel in enumerate(sentinels) if sentinel in ready)
        found = None
        with contextlib.suppress(EOFError, ConnectionResetError):
            found = self.pipes[which].recv()
            if which == at and not isinstance(found, Failure):
                return found
        self.workers[which].join(process.GRACE)
        reason = found.reason if isinstance(found, Failure) else process.how_it_ended(self.workers[which].exitcode or 0)
        raise UserError(f"{self.workers[which].name} {reason}")


def _run(target, pipe: Connection, variables: dict[str, str]) -> None:
    process.end_with_parent()
    process.end_on_request()
    process.rarely_look_for_garbage()
    os.environ.update(variables)
    try:
        target(pipe)
    except EOFError:  # the pool is gone
        return
    except Exception as error:
        traceback.print_exc()
        pipe.send(Failure(f"failed: {type(error).__name__}: {error}"))
        sys.exit(1)


def _serve(pipe: Connection) -> None:
    """Load an engine once its settings have come, then run its methods as they are called, each when told to begin."""
    import vllm  # noqa: F401 (takes seconds, while the first engine is loaded)

    model, options, schema = pipe.recv()
    engine = Engine(model, options, schema)
    gc.freeze()
    pipe.send((engine.facts, engine.kv_cache_room() if "worker_extension_cls" in options else None))
    while True:
        method, arguments = pipe.recv()
        pipe.send(True)
        pipe.recv()
        pipe.send(getattr(engine, method)(*arguments))
