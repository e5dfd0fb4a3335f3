"""Child processes that never outlive the command that started them, and what their logs say when they fail."""

import contextlib
import ctypes
import gc
import logging
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from crm_dedup_plugin.errors import UserError

GRACE = 20  # seconds between asking a process to stop and killing it
TAIL = 12  # lines of a log that an error shows
REASON = "Error: "  # begins the line in which a child names the reason for its failure
_PR_SET_PDEATHSIG = 1
_STARTER = "CRM_DEDUP_STARTER"  # the process whose `run` started this one, perhaps through a launcher
CURES = {  # pattern in a log: what to change
    r"out of memory|OutOfMemory|Cannot allocate memory": "out of memory: give --engine max_num_seqs=64 max_num_batched_tokens=4096, "
    "or fewer --engines",
    r"engine \d+ of \d+ was killed by SIGKILL": "the machine may be out of memory: give fewer --engines",
    r"No available memory for the cache blocks|KV cache.*(larger|is needed)": "no room for the KV cache: give --engine "
    "max_model_len=2048, or gpu_memory_utilization=0.95, or fewer --engines; without a GPU, set VLLM_CPU_KVCACHE_SPACE to more GiB",
    r"greater than the derived max_model_len": "the model is made for shorter texts: give --engine max_model_len=4096, or less",
    r"[Aa]ddress already in use": "the port is taken: name another one with --port, or leave it out",
    r"does not appear to have|is not a valid model identifier|Repository Not Found": "name a folder or a Hub id with --model",
}

_NOISE = re.compile(r"nanobind:| - leaked | - \.\.\. skipped|See https://nanobind")


@contextlib.contextmanager
def running(command: Sequence[str], log: Path, env: dict[str, str]) -> Iterator[subprocess.Popen]:
    """Run a command in a session of its own, write its output to `log`, and leave no process of it behind."""
    with log.open("wb") as sink:
        streams = {"stdin": subprocess.DEVNULL, "stdout": sink, "stderr": subprocess.STDOUT}
        child = subprocess.Popen(command, env=env, start_new_session=True, preexec_fn=end_with_parent, **streams)
    try:
        yield child
    finally:
        stop(child)


def spread(work: Callable, tasks: Iterable[tuple]) -> Iterator:
    """Yield what ``work(*task)`` returns, in the order of the tasks, from one process a core.

    `work` is a function of a module. A single task is done here: other processes would take longer to start.
    """
    from concurrent.futures import ProcessPoolExecutor  # every command imports this module, and few need the pool
    from multiprocessing import get_context

    tasks = iter(tasks)
    first = list(islice(tasks, 2))
    if len(first) < 2:
        yield from (work(*task) for task in first)
        return
    workers = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(workers, get_context("spawn"), _begin) as pool:
        waiting = [pool.submit(work, *task) for task in (*first, *islice(tasks, workers))]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(work, *task) for task in islice(tasks, 1)]


def _begin() -> None:
    """Leave an interruption to the process that started this one, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def stop(child: subprocess.Popen) -> None:
    """End a process and all that it started: politely first, then, after `GRACE` seconds, by force."""
    _signal(child, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
    _signal(child, signal.SIGKILL)
    child.wait()


def run(command: Sequence[str], log: Path, prefix: str | None = None) -> int:
    """Run a command to its end with its output in `log`, show the lines that begin with `prefix`, and return its exit code."""
    log.parent.mkdir(parents=True, exist_ok=True)
    show = progress(log, prefix)
    with running(command, log, {**os.environ, "PYTHONUNBUFFERED": "1", _STARTER: str(os.getpid())}) as child:
        while child.poll() is None:
            show()
            time.sleep(0.5)
    show()
    return child.returncode


def progress(log: Path, prefix: str | None) -> Callable[[], None]:
    """Return what prints the lines added to a log since its last call: those that begin with `prefix`, or all with --verbose."""
    added, verbose = follow(log), bool(os.environ.get("CRM_DEDUP_VERBOSE"))

    def show() -> None:
        for line in next(added):
            if verbose or (prefix and line.startswith(prefix)):
                print(line, flush=True)

    return show


def wait(child: subprocess.Popen, log: Path, what: str, timeout: float, watch: Callable[[], None] = lambda: None) -> None:
    """Wait for a child to succeed, calling `watch` twice a second; raises UserError if it fails or takes longer than `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while child.poll() is None:
        watch()
        if time.monotonic() > deadline:
            raise UserError(f"{what} was not ready after {timeout:.0f} seconds: give it longer with --timeout, or ask for less.\n{tail(log)}")
        time.sleep(0.5)
    if child.returncode:
        raise failure(what, child.returncode, log)


def failure(what: str, code: int, log: Path) -> UserError:
    """Return the error for a child that ended: how, why, what to change where that is known, and the last lines of its log."""
    hint = cure(log) or ("the machine may be out of memory: ask for less at once" if code == -signal.SIGKILL else "")
    found = ": ".join(part for part in (f"{what} {how_it_ended(code)}", reason(log), hint) if part)
    return UserError(f"{found}. The last lines of {log}:\n{tail(log)}")


def how_it_ended(code: int) -> str:
    """Return in words how a process ended."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def reason(log: Path) -> str:
    """Return the reason that a child gave for its failure, or nothing; processes that it started may have printed more since."""
    return next((line.removeprefix(REASON) for line in reversed(lines(log)) if line.startswith(REASON)), "")


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    return "\n".join(f"  {line[:300]}" for line in lines(log)[-TAIL:])


def lines(log: Path) -> list[str]:
    """Return the lines of a log, each state of a progress bar as one, without the leak reports that a library prints at exit."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return [line for line in re.split(r"[\r\n]+", text) if line.strip() and not _NOISE.match(line)]


def follow(log: Path) -> Iterator[list[str]]:
    """Yield, each time it is asked, the complete lines that were added to a log since the last time; never ends."""
    at, rest = 0, b""
    while True:
        with log.open("rb") as source:
            source.seek(at)
            new = source.read()
        at += len(new)
        *whole, rest = re.split(rb"[\r\n]+", rest + new)
        yield [line.decode("utf-8", "replace") for line in whole if line.strip()]


def cure(log: Path) -> str:
    """Return what to change if the log shows a known failure, or nothing."""
    return advice(log.read_text(encoding="utf-8", errors="replace") if log.is_file() else "")


def advice(text: str) -> str:
    """Return what to change if a text, such as that of an error, shows a known failure, or nothing."""
    return next((cure for pattern, cure in CURES.items() if re.search(pattern, text)), "")


def _signal(child: subprocess.Popen, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)  # a session's group has the number of its first process


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Suppress the warnings and log lines of libraries."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)


def rarely_look_for_garbage() -> None:
    """Have Python look for cycles of garbage after 50,000 new objects, not 700: it would take a fifth of the time to import a library."""
    gc.set_threshold(50_000)


def end_with_parent() -> None:
    """Have the kernel ask this process to end as soon as its parent is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end_with_starter() -> None:
    """Have this process end with its parent, such as a launcher, and at once if the command that started that one is gone already."""
    end_with_parent()
    if (starter := os.environ.get(_STARTER)) and not Path("/proc", starter).exists():
        sys.exit(f"the command that started this process ({starter}) is gone")


def end_on_request() -> None:
    """Make SIGTERM end this process as ``sys.exit`` does, so that its own children are ended too."""

    def leave(number: int, _) -> None:
        signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
