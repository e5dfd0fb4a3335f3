"""Child processes that never outlive the benchmark, and what their logs say when they fail."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from crm_dedup_plugin.errors import UserError

GRACE = 20  # seconds between asking a process to stop and killing it
TAIL = 12  # lines of a log that an error shows
REASON = "Error: "  # what starts the line in which a benchmark says what it failed of
_PR_SET_PDEATHSIG = 1
CURES = {  # what a log says: what to change
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
    """Run a command in a session of its own, with what it prints in `log`; leave no process of it behind."""
    with log.open("wb") as sink:
        streams = {"stdin": subprocess.DEVNULL, "stdout": sink, "stderr": subprocess.STDOUT}
        child = subprocess.Popen(command, env=env, start_new_session=True, preexec_fn=end_with_parent, **streams)
    try:
        yield child
    finally:
        stop(child)


def stop(child: subprocess.Popen) -> None:
    """End a process and all that it started: politely first, after `GRACE` seconds by force."""
    _signal(child, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
    _signal(child, signal.SIGKILL)
    child.wait()


def wait(child: subprocess.Popen, log: Path, what: str, timeout: float, also: Callable[[], None] = lambda: None) -> None:
    """Wait until a child has ended well, calling `also` twice a second; raises UserError where it fails or takes `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while child.poll() is None:
        also()
        if time.monotonic() > deadline:
            raise UserError(f"{what} was not ready after {timeout:.0f} seconds: give it longer with --timeout, or ask for less.\n{tail(log)}")
        time.sleep(0.5)
    if child.returncode:
        raise failure(what, child.returncode, log)


def failure(what: str, code: int, log: Path) -> UserError:
    """Return the error for a child that ended by itself: how, its last lines, and what to change where that is known."""
    hint = cure(log) or ("the machine may be out of memory: ask for less at once" if code == -signal.SIGKILL else "")
    found = ": ".join(part for part in (f"{what} {how(code)}", reason(log), hint) if part)
    return UserError(f"{found}. The last lines of {log}:\n{tail(log)}")


def how(code: int) -> str:
    """Return in words how a process ended."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def reason(log: Path) -> str:
    """Return what a benchmark said it failed of, or nothing; what it had started may have printed more since."""
    return next((line.removeprefix(REASON) for line in reversed(lines(log)) if line.startswith(REASON)), "")


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    return "\n".join(f"  {line[:300]}" for line in lines(log)[-TAIL:])


def lines(log: Path) -> list[str]:
    """Return the lines of a log, each state of a progress bar as one, without what a library says of itself at the end."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return [line for line in re.split(r"[\r\n]+", text) if line.strip() and not _NOISE.match(line)]


def follow(log: Path) -> Iterator[list[str]]:
    """Yield each time the whole lines that a log has got since the last time, without end."""
    at, rest = 0, b""
    while True:
        with log.open("rb") as source:
            source.seek(at)
            new = source.read()
        at += len(new)
        *whole, rest = re.split(rb"[\r\n]+", rest + new)
        yield [line.decode("utf-8", "replace") for line in whole if line.strip()]


def cure(log: Path) -> str:
    """Return what to change where the log names a failure that is known, or nothing."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    return next((advice for pattern, advice in CURES.items() if re.search(pattern, text)), "")


def _signal(child: subprocess.Popen, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)  # a session's group has the number of its first process


def end_with_parent() -> None:
    """Have this process asked to end as soon as the one that started it is gone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def end_on_request() -> None:
    """Let a polite request end this process the way ``sys.exit`` does, so that it takes along what it has started."""

    def leave(number: int, _) -> None:
        signal.signal(number, signal.SIG_IGN)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
