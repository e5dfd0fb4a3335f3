"""vLLM's OpenAI server: started, waited for, and stopped whatever happens."""

import contextlib
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from crm_dedup_plugin import process
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import engine, models

HOST = "127.0.0.1"
STARTUP = 900  # seconds


class Server(NamedTuple):
    """A server that is ready: its address, the name of its model, and a check that it still runs (raises UserError)."""

    url: str
    model: str
    check: Callable[[], None]


@contextlib.contextmanager
def serve(model: str, options: dict, port: int, log: Path, resettable: bool = False) -> Iterator[Server]:
    """Start ``vllm serve`` on `port` (0: a free one) and stop it afterwards; raises UserError with its last lines if it fails.

    `options` are arguments of vLLM's engine that replace or extend `engine.settings`. `resettable` lets clients empty its caches
    between two measurements, and with that do whatever else vLLM's development mode allows.
    """
    port = _port(port)
    print(f"starting the server (details: {log})", flush=True)
    variables = {**engine.environment(model), **({"VLLM_SERVER_DEV_MODE": "1"} if resettable else {}), **os.environ}
    with process.running(command(model, engine.settings() | options, port), log, variables) as child:

        def check() -> None:
            if child.poll() is not None:
                raise process.failure("the vLLM server", child.returncode, log)

        url, began = f"http://{HOST}:{port}", time.monotonic()
        while not _is_ready(url):
            check()
            if time.monotonic() - began > STARTUP:
                raise UserError(f"the vLLM server was not ready after {STARTUP} seconds. The last lines of {log}:\n{process.tail(log)}")
            time.sleep(0.5)
        yield Server(url, model, check)


def command(model: str, settings: dict, port: int) -> list[str]:
    """Return the command line of the server for the arguments of vLLM's engine in `settings`."""
    flags = [part for key, value in settings.items() for part in _flag(key.replace("_", "-"), value)]
    quiet = ("--disable-uvicorn-access-log", "--no-enable-log-requests")
    return [sys.executable, "-m", "vllm.entrypoints.cli.main", "serve", model, "--host", HOST, "--port", str(port), *flags, *quiet]


@contextlib.contextmanager
def connect(url: str) -> Iterator[Server]:
    """Use a server that is already running, and leave it running; raises UserError if nothing answers there."""
    url = url.rstrip("/").removesuffix("/v1")
    try:
        with urllib.request.urlopen(f"{url}/v1/models", timeout=10) as answer:
            model = json.load(answer)["data"][0]["id"]
    except (OSError, ValueError, LookupError) as error:
        raise UserError(f"no OpenAI server answers at {url} ({error}): start one with `vllm serve`, or leave --base-url out") from None
    yield Server(url, model, lambda: None)


def _flag(name: str, value: object) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", json.dumps(value) if isinstance(value, dict) else str(value)]


def _port(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            raise UserError(f"port {port} is taken: name another one with --port, or leave it out for a free one") from None
        return probe.getsockname()[1]


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def run(model: str, options: dict, port: int) -> None:
    """Serve a model with vLLM until Ctrl-C, under the name that was given for it; raises UserError if the server fails.

    Clients ask with `pair.prompt.messages` and the schema `pair.answer.RESPONSE_FORMAT`: the server does not add them.
    """
    folder, log = models.resolve(model), Path("outputs/logs/serve.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with serve(folder, {"served_model_name": model, **options}, port, log) as server:
        print(f"serving {model} at {server.url}/v1, on this machine only; Ctrl-C ends it. docs/deciding.md shows a client", flush=True)
        while True:
            time.sleep(1)
            server.check()
