"""Measure how fast a model answers: ``crm-dedup bench smollm2-135m``, or ``make bench-smollm2-135m``.

The load generator and the engines are vLLM's and Transformers'. Here they are started one after the other on the same pairs,
watched and stopped; their runs become ``outputs/results/MODEL/benchmark.json`` and ``latency.csv``.
Each part keeps its runs in ``outputs/NAME-bench/``: a second call continues where the first was interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from crm_dedup_plugin import process
from crm_dedup_plugin.benchmark.online import planned
from crm_dedup_plugin.benchmark.plan import PARTS, Workload
from crm_dedup_plugin.benchmark.summarise import assemble, inputs, write
from crm_dedup_plugin.errors import UserError, advise
from crm_dedup_plugin.inference import devices, engine
from crm_dedup_plugin.inference.server import connect, serve
from crm_dedup_plugin.provenance import versions
from crm_dedup_plugin.storage import RESULTS, write_atomically

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
    """Measure `work`, write ``outputs/results/NAME/benchmark.json`` and ``latency.csv`` after each part, and return the former.

    `base_url` names a server that is already running, instead of starting one; `price` is that of the machine per hour; `timeout`
    is in seconds for each part. Raises UserError on what the user can correct.
    """
    check(name, work)
    folder, used = Path("outputs") / f"{name}-bench", inputs(work)
    state = folder / "inputs.json"
    asked = json.dumps([used, base_url, versions()], sort_keys=True)
    same = state.is_file() and state.read_text(encoding="utf-8") == asked
    for part in PARTS if not same else parts if force else ():
        (folder / f"{part}.json").unlink(missing_ok=True)
    write_atomically(state, asked)
    work.write(folder / "workload.json")
    found, result = {}, {}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # like Ctrl-C, so that no server is left behind
    for part in (one for one in PARTS if one in parts or _is_done(one, work, folder)):
        found[part] = _run(part, work, folder, base_url, port, timeout)
        result = assemble(work, found, used, price) | {"quick": quick, "command": command}
        write(result, RESULTS / name)
    return result


def check(name: str, work: Workload) -> None:
    """Raise UserError on a workload that cannot work, before anything is started."""
    if not Path(work.data).is_file():
        raise UserError(f"{work.data} does not exist: run `crm-dedup prepare` first")
    if work.model.startswith("outputs/") and not (Path(work.model) / "config.json").is_file():
        raise UserError(f"{work.model} does not exist: run {advise('train', name)} first, or give --random-weights with --model for its speed alone")
    pairs, gpus = len(work.load()[0]), devices.gpus_per_engine(work.engine)
    if work.engines > pairs:
        raise UserError(f"--engines {work.engines}: there are only {pairs} pairs: give at most {pairs}")
    if work.engines > 1 < gpus:
        raise UserError(f"--engines {work.engines}: each takes one GPU, but the settings spread one engine over {gpus}: leave either out")


def _run(part: str, work: Workload, folder: Path, base_url: str | None, port: int, timeout: float) -> dict:
    """Return the runs of one part, made now unless they are there already."""
    if not _is_done(part, work, folder):
        if part == "online":
            _online(work, folder, base_url, port, timeout)
        else:
            _child(part, work, folder, timeout)
    found = json.loads((folder / f"{part}.json").read_text(encoding="utf-8"))
    (_refuse_failures if part == "online" else _refuse_endless)(part, work, found)
    return found


def _is_done(part: str, work: Workload, folder: Path) -> bool:
    """Tell whether all runs of a part are there; those in which requests failed are not."""
    out = folder / f"{part}.json"
    if part != "online" or not out.is_file():
        return out.is_file()
    runs = json.loads(out.read_text(encoding="utf-8"))
    return all(runs.get(key, {}).get("failed") == 0 for key in planned(work, len(work.load()[0])))


def _online(work: Workload, folder: Path, base_url: str | None, port: int, timeout: float) -> None:
    replicas = 1 if base_url else devices.replicas(work.engines)
    options = work.options() | ({"data_parallel_size": replicas} if replicas > 1 else {})
    with connect(base_url) if base_url else serve(work.model, options, port, folder / "server.log", resettable=True) as server:
        try:
            _child("online", work, folder, timeout, (server.url, server.model, str(replicas)), server.check)
        except UserError:
            time.sleep(2)
            server.check()  # a server that died says more than the client that lost it
            raise
        server.check()


def _child(
    part: str, work: Workload, folder: Path, timeout: float, more: Sequence[str] = (), check_server: Callable[[], None] = lambda: None
) -> None:
    """Run the module of one part with `more` arguments, and print the lines of its log that show its progress."""
    out, log = folder / f"{part}.json", folder / f"{part}.log"
    print(f"{part}: loading (details: {log})", flush=True)
    show = process.progress(log, f"{part}, ")

    def watch() -> None:
        show()
        check_server()

    command = [sys.executable, "-m", f"crm_dedup_plugin.benchmark.{part}", str(folder / "workload.json"), str(out), *more]
    environment = {**engine.environment(work.model), **os.environ, "PYTHONUNBUFFERED": "1"}
    with process.running(command, log, environment) as child:
        process.wait(child, log, f"the {part} benchmark", timeout, watch)
    watch()


def _refuse_endless(part: str, work: Workload, found: dict) -> None:
    """Refuse the speed of a model that never ends an answer: it would only be the speed of reaching the limit of tokens."""
    runs = found["arms"]["full"] if part == "offline" else found["batch_1"]
    if not any(run["valid_json"] for run in runs):
        raise UserError(f"{part}: none of {runs[0]['pairs']} answers was valid JSON within {work.max_tokens} tokens: {ENDLESS}")


def _refuse_failures(part: str, work: Workload, runs: dict[str, dict]) -> None:
    """Refuse runs in which nothing was answered, or nothing as the schema demands."""
    for key, run in runs.items():
        answered, level = run["vllm"]["completed"], f"{part}, {key.partition('/')[0]} at a time"
        if not answered:
            raise UserError(
                f"{level}: all {run['failed']} requests failed ({run['error'] or 'no reason given'}): check the server, then run this again"
            )
        if not run["valid"]:
            raise UserError(f"{level}: none of {answered} answers was valid JSON within {work.max_tokens} tokens: {ENDLESS}")
