"""Several engines side by side, each in a process of its own with its share of the pairs and of a GPU.

The process of one engine leaves a GPU idle while it fills masks and schedules; another engine uses the GPU meanwhile.
Over several GPUs the engines are dealt out in turn, which is data parallelism.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import statistics
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from crm_dedup_plugin import process
from crm_dedup_plugin.benchmark.plan import Workload
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference.batch import Asker, load, peak_memory
from crm_dedup_plugin.inference.devices import memory, variables

COUNTS = ("pairs", "prompt_tokens", "output_tokens", "cached_tokens")


def share(pairs: Sequence, at: int, engines: int) -> list:
    """Return the pairs of one engine, counted from 0."""
    return list(pairs[at::engines])


def merged(runs: Sequence[dict], seconds: float) -> dict:
    """Return the run of all engines, which took `seconds`, from those of their shares; answers are in the order of the pairs."""
    counts = {key: sum(run[key] for run in runs) for key in COUNTS}
    answers = [None] * counts["pairs"]
    for at, run in enumerate(runs):
        answers[at :: len(runs)] = run["answers"]
    return {**counts, "seconds": seconds, "engine_seconds": statistics.mean(run["engine_seconds"] for run in runs), "answers": answers}


class Failed(NamedTuple):
    """What a process says instead of an answer."""

    reason: str


class Crew:
    """The engines of a workload, asked as one."""

    def __init__(self, work: Workload, gpus: Sequence[str]):
        self.work, self.gpus = work, gpus
        self.workers: list[Any] = []
        self.pipes: list[Connection] = []

    def start(self) -> None:
        """Load all engines: one alone, which compiles and finds how much cache its share of memory holds, then the others together.

        vLLM finds it by watching how much memory is free, and would take what another engine allots meanwhile for its own.
        Where the settings name the cache, ``kv_cache_memory_bytes``, there is nothing to find, and all load at once.
        """
        context, engines, cores = multiprocessing.get_context("spawn"), self.work.engines, len(os.sched_getaffinity(0))
        for at in range(engines):
            mine, its = context.Pipe()
            arguments = (its, self.work, at, variables(at, engines, self.gpus, cores))
            worker = context.Process(target=_work, args=arguments, name=f"engine {at + 1} of {engines}")
            worker.start()
            its.close()
            self.workers.append(worker)
            self.pipes.append(mine)
        settings = memory(self.work, self.gpus)
        first = engines if "kv_cache_memory_bytes" in self.work.settings() else 1
        self._send(range(first), settings)
        facts, *_ = [self._receive(at) for at in range(first)]
        if room := facts.pop("room"):
            settings["kv_cache_memory_bytes"] = room
        self._send(range(first, engines), settings)
        for at in range(first, engines):
            self._receive(at)
        self.facts = {**facts, "engines": engines, "gpus": len(self.gpus)}

    def ask(self, kind: str, cache: str) -> dict:
        """Return one run over all pairs, timed from the moment when all engines are ready until all answers are here, in order."""
        everyone = range(self.work.engines)
        self._send(everyone, (kind, cache))
        for at in everyone:
            self._receive(at)
        began = time.perf_counter()
        self._send(everyone, True)
        run = merged([self._receive(at) for at in everyone], 0.0)
        return {**run, "seconds": time.perf_counter() - began}

    def peak_memory(self) -> int:
        """Return the bytes in use by all engines."""
        if self.gpus:
            return peak_memory(len(self.gpus))
        self._send(range(self.work.engines), None)
        return sum(self._receive(at) for at in range(self.work.engines))

    def end(self) -> None:
        """End all processes: politely first, then by force, all of them after one and the same time."""
        for worker in self.workers:
            worker.terminate()
        deadline = time.monotonic() + process.GRACE
        for worker in self.workers:
            worker.join(max(0.0, deadline - time.monotonic()))
            worker.kill()
            worker.join()

    def _send(self, those: Sequence[int], message: Any) -> None:
        for at in those:
            with contextlib.suppress(BrokenPipeError):  # the next answer that is awaited tells why
                self.pipes[at].send(message)

    def _receive(self, at: int) -> Any:
        """Return what one engine says; raises UserError as soon as any has ended."""
        wait([self.pipes[at], *(worker.sentinel for worker in self.workers)])
        gone = next((one for one, worker in enumerate(self.workers) if not worker.is_alive()), at)
        which = at if self.pipes[at].poll() else gone
        found = None
        with contextlib.suppress(EOFError, ConnectionResetError):
            found = self.pipes[which].recv()
            if which == at and not isinstance(found, Failed):
                return found
        self.workers[which].join(process.GRACE)
        reason = found.reason if isinstance(found, Failed) else process.how(self.workers[which].exitcode or 0)
        raise UserError(f"{self.workers[which].name} {reason}")


@contextlib.contextmanager
def crew(work: Workload, gpus: Sequence[str]) -> Iterator[Crew]:
    """Start the engines of a workload, and leave none behind."""
    found = Crew(work, gpus)
    try:
        found.start()
        yield found
    finally:
        found.end()


def _work(pipe: Connection, work: Workload, at: int, environment: dict[str, str]) -> None:
    process.end_with_parent()
    process.end_on_request()
    os.environ.update(environment)
    try:
        _answer(pipe, work, at)
    except EOFError:  # nobody asks any more
        return
    except Exception as error:
        traceback.print_exc()
        pipe.send(Failed(f"failed: {type(error).__name__}: {error}"))
        sys.exit(1)


def _answer(pipe: Connection, work: Workload, at: int) -> None:
    """Load an engine once the settings have come, then make a run of its share each time that one is asked for."""
    import vllm  # noqa: F401 (takes seconds, while another engine is loaded)

    pairs, other = work.load()
    own, settings = share(pairs, at, work.engines), pipe.recv()
    llm, facts = load(work, **settings)
    asker = Asker(llm, work, other)
    asker.warm_up(own)
    rooms = llm.collective_rpc("kv_cache_room") if "worker_extension_cls" in settings else [None]
    pipe.send({**facts, "room": rooms[0]})
    while asked := pipe.recv():
        asker.prepare(*asked)
        pipe.send(True)
        pipe.recv()
        pipe.send(asker.run(own))
    pipe.send(peak_memory(0))
    pipe.recv()
