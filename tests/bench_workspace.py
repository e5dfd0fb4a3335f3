"""A folder in which benchmarks of a tiny model run, with vLLM or with the stub in its place, and what they leave behind."""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import psutil
import tiny_models
from compact_pairs import generate

from crm_dedup_plugin.cli import main

STUBS = Path(__file__).resolve().parent / "stubs"
# 40 pairs for 40 requests: long enough to be killed in the middle.
PAIRS = 40


def build(folder: Path, tokenizer) -> Path:
    """Write a test split and a merged model to `folder`, as `make prep` and `make train-tiny` leave them."""
    (folder / "data" / "splits").mkdir(parents=True)
    (folder / "data" / "splits" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in generate(PAIRS + 1)))
    write_model(folder / "outputs" / "tiny-merged", tokenizer, {'"}': 2, '"': 1})
    return folder


def write_model(folder: Path, tokenizer, favourites: dict[str, int]) -> None:
    """Write a model that always likes the same tokens best: with quotation marks, its reasonings are over at once."""
    from transformers import AutoModelForCausalLM

    # SmolLM2's own architecture: vLLM takes as long to look into another one, once on each machine, as to start.
    tiny_models.build("mistral7b", folder, tokenizer, head_dim=64, kind="LlamaConfig")
    model = AutoModelForCausalLM.from_pretrained(folder)
    for name, weights in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight", "lm_head.weight")):
            weights.data.zero_()
    model.model.embed_tokens.weight.data.fill_(1)
    for text, liking in favourites.items():
        model.lm_head.weight.data[tokenizer.convert_tokens_to_ids(text)] = liking
    model.save_pretrained(folder)


def stubbed(delay: float = 0, failure: str = "") -> dict[str, str]:
    """Return the variables that put the stub in the place of vLLM."""
    path = os.pathsep.join(filter(None, (str(STUBS), str(STUBS.parent), os.environ.get("PYTHONPATH", ""))))
    return {"PYTHONPATH": path, "STUB_DELAY": str(delay), "STUB_FAILURE": failure}


def command(words: Sequence[str]) -> list[str]:
    return ["bench", "tiny", *words, *(() if "--engine" in words else ("--engine", "max_model_len=4096"))]


def start(folder: Path, *words: str, **variables: str) -> subprocess.Popen:
    """Start a benchmark of the tiny model in a process that a test may kill."""
    (folder / "outputs" / "tiny-bench" / "online.log").unlink(missing_ok=True)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", **variables}
    return subprocess.Popen([sys.executable, "-m", "crm_dedup_plugin", *command(words)], cwd=folder, env=variables, **streams)


def bench(folder: Path, *words: str, **variables: str) -> tuple[int, str, str]:
    """Run a benchmark of the tiny model; return its exit status, and what it printed to both streams.

    The command itself runs in this process, which measures the processor only once; its engines have processes of their own.
    """
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, variables),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        code = main(command(words))
    return code, out.getvalue(), err.getvalue()


def left_behind(folder: Path) -> list[str]:
    """Return the command lines of processes that work in `folder` still, waiting a little for those about to end."""
    for _ in range(40):
        found = []
        for one in psutil.process_iter(["cwd", "cmdline", "status"]):
            if one.info["cwd"] == str(folder) and one.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(" ".join(one.info["cmdline"] or []))
        if not found:
            return []
        time.sleep(0.5)
    return found


def await_server(child: subprocess.Popen, folder: Path, at_work: bool = True) -> psutil.Process:
    """Return the server that a benchmark has started, as soon as it is there or once the client is at work."""
    log = folder / "outputs" / "tiny-bench" / "online.log"
    until, started = time.monotonic() + 240, []
    while time.monotonic() < until and child.poll() is None:
        with contextlib.suppress(psutil.Error):
            started = [one for one in psutil.Process(child.pid).children() if "serve" in one.cmdline()]
        if started and (not at_work or (log.is_file() and "Starting main benchmark run" in log.read_text(errors="replace"))):
            return started[0]
        time.sleep(0.2)
    raise AssertionError(f"no server: {child.communicate(timeout=9) if child.poll() is not None else log.read_text()}")


def workers_of(child: subprocess.Popen, count: int) -> list[psutil.Process]:
    """Return the processes of the engines that a benchmark has started, once there are so many."""
    until = time.monotonic() + 180
    while time.monotonic() < until and child.poll() is None:
        with contextlib.suppress(psutil.Error):
            found = [one for one in psutil.Process(child.pid).children(recursive=True) if "spawn_main" in " ".join(one.cmdline())]
            if len(found) == count:
                return sorted(found, key=lambda one: one.create_time())  # numbers of processes start again at 32,768
        time.sleep(0.2)
    raise AssertionError(f"no engines: {child.communicate(timeout=9) if child.poll() is not None else ''}")
