"""Measure how fast a model answers: ``crm-dedup bench smollm2-135m``, or ``make bench-smollm2-135m``.

The load generator and the engines are vLLM's and Transformers'; here they are started one after the other on the same pairs,
watched and stopped, and what they say becomes ``outputs/results/MODEL/benchmark.json``, ``latency.csv`` and plots.
Each part keeps its runs in ``outputs/NAME-bench/``: a second call goes on where the first was cut off.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from crm_dedup_plugin import process
from crm_dedup_plugin.benchmark.online import planned
from crm_dedup_plugin.benchmark.plan import Workload
from crm_dedup_plugin.benchmark.result import assemble, inputs, write
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import engine
from crm_dedup_plugin.inference.devices import replicas
from crm_dedup_plugin.inference.server import at, serve
from crm_dedup_plugin.provenance import versions
from crm_dedup_plugin.storage import RESULTS, write_atomically

MODULES = {"offline": "offline", "online": "online", "transformers": "baseline"}  # the slowest last: each part is kept when it is done
PARTS = tuple(MODULES)
QUICK = {"pairs": 8, "concurrency": (1, 4), "baseline_pairs": 4, "batches": (4,)}
TIMEOUT = 4 * 3600  # seconds for one part
ENDLESS = (
    "the model does not end its answers, or the server ignores the schema. Raise --max-tokens, check the model's end-of-turn token, or train it first"
)


def bench(
    name: str,
    work: Workload,
    parts: Sequence[str] = PARTS,
    base_url: str | None = None,
    port: int = 0,
    price: float | None = None,
    quick: bool = False,
    force: bool = False,
    command: str = "",
    timeout: float = TIMEOUT,
) -> dict:
    """Measure `work` and return what is written to ``outputs/results/NAME/benchmark.json``.

    `base_url` takes a server that runs already instead of starting one; `price` is that of the machine an hour.
    Raises UserError on what the user can mend.
    """
    _check(name, work)
    folder, used = Path("outputs") / f"{name}-bench", inputs(work)
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "inputs.json"
    asked = json.dumps([used, base_url, versions()], sort_keys=True)
    same = state.is_file() and state.read_text(encoding="utf-8") == asked
    for part in PARTS if not same else parts if force else ():
        (folder / f"{part}.json").unlink(missing_ok=True)
    write_atomically(state, asked)
    spec, found, result = work.write(folder / "workload.json"), {}, {}
    with _ended_as_if_interrupted():
        for part in (one for one in PARTS if one in parts or _is_done(one, work, folder / f"{one}.json")):
            found[part] = _run(part, work, spec, folder, base_url, port, timeout)
            result = assemble(work, found, used, price) | {"quick": quick, "command": command}
            write(result, RESULTS / name, name)
    return result


@contextlib.contextmanager
def _ended_as_if_interrupted() -> Iterator[None]:
    """Let a polite request to end go the way of Ctrl-C, so that no server is left behind."""

    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check(name: str, work: Workload) -> None:
    """Refuse before anything is started what cannot work."""
    if not Path(work.data).is_file():
        raise UserError(f"{work.data} does not exist: run `make prep` first")
    if work.model.startswith("outputs/") and not (Path(work.model) / "config.json").is_file():
        raise UserError(f"{work.model} does not exist: run `make train-{name}` first, or give --random-weights with --model for its speed alone")
    pairs, each = len(work.load()[0]), work.gpus_each()
    if work.engines > pairs:
        raise UserError(f"--engines {work.engines}: there are {pairs} pairs only: give at most {pairs}")
    if work.engines > 1 < each:
        raise UserError(f"--engines {work.engines}: each takes one GPU, but the settings spread one over {each}: leave either out")


def _run(part: str, work: Workload, spec: Path, folder: Path, base_url: str | None, port: int, timeout: float) -> dict:
    """Return the runs of one part, made now where they are not there yet."""
    out, log = folder / f"{part}.json", folder / f"{part}.log"
    if not _is_done(part, work, out):
        if part == "online":
            _online(work, spec, out, log, base_url, port, timeout)
        else:
            _child(part, work, (str(spec), str(out)), log, timeout)
    found = json.loads(out.read_text(encoding="utf-8"))
    (_refuse_failures if part == "online" else _refuse_endless)(part, work, found)
    return found


def _is_done(part: str, work: Workload, out: Path) -> bool:
    """Tell whether all runs of a part are there; those in which requests failed are not."""
    if part != "online" or not out.is_file():
        return out.is_file()
    runs = json.loads(out.read_text(encoding="utf-8"))
    return all(runs.get(key, {}).get("failed") == 0 for key in planned(work, len(work.load()[0])))


def _online(work: Workload, spec: Path, out: Path, log: Path, base_url: str | None, port: int, timeout: float) -> None:
    several = 1 if base_url else replicas(work)
    settings = work.settings() | ({"data_parallel_size": several} if several > 1 else {})
    with at(base_url) if base_url else serve(work.model, settings, port, out.with_name("server.log")) as server:
        try:
            _child("online", work, (str(spec), str(out), server.url, server.model, str(several)), log, timeout, server.check)
        except UserError:
            time.sleep(2)
            server.check()  # a server that died says more than the client that lost it
            raise
        server.check()


def _child(part: str, work: Workload, arguments: Sequence[str], log: Path, timeout: float, check: Callable[[], None] = lambda: None) -> None:
    """Run the module of one part, showing the lines of its log that tell how far it is."""
    print(f"{part}: loading (details: {log})", flush=True)
    added = process.follow(log)

    def watch() -> None:
        for line in next(added):
            if line.startswith(f"{part}, "):
                print(line, flush=True)
        check()

    with process.running([sys.executable, "-m", f"crm_dedup_plugin.benchmark.{MODULES[part]}", *arguments], log, _environment(work)) as child:
        process.wait(child, log, f"the {part} benchmark", timeout, watch)
    watch()


def _environment(work: Workload) -> dict[str, str]:
    return {**engine.environment(work.model), **os.environ, "PYTHONUNBUFFERED": "1"}


def _refuse_endless(part: str, work: Workload, found: dict) -> None:
    """Refuse the speed of a model that never ends an answer: it would be that of the limit of tokens."""
    runs = found["arms"]["full"] if part == "offline" else found["batch_1"]
    if not any(run["valid_json"] for run in runs):
        raise UserError(f"{part}: none of {runs[0]['pairs']} answers was valid JSON within {work.max_tokens} tokens: {ENDLESS}")


def _refuse_failures(part: str, work: Workload, runs: dict[str, dict]) -> None:
    """Refuse runs in which nothing was answered, or nothing as the schema asks."""
    for key, run in runs.items():
        answered, level = run["vllm"]["completed"], f"{part}, {key.partition('/')[0]} at a time"
        if not answered:
            raise UserError(
                f"{level}: all {run['failed']} requests failed ({run['error'] or 'no reason given'}): check the server, then run this again"
            )
        if not run["valid"]:
            raise UserError(f"{level}: none of {answered} answers was valid JSON within {work.max_tokens} tokens: {ENDLESS}")
