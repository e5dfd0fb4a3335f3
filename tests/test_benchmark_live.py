"""The benchmark against real engines and a real server, with a tiny model: whole, killed, interrupted, endless, in the way of others."""

import contextlib
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import tiny_models
from compact_pairs import generate

from crm_dedup_plugin.benchmark import summary
from crm_dedup_plugin.inference import server

ROOT = Path(__file__).resolve().parents[1]
# 40 pairs for 40 requests: long enough to be killed in the middle.
PAIRS = 40


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, tokenizer) -> Path:
    """A folder with a test split and a merged model, as `make prep` and `make train-tiny` leave it, and one that never stops."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "data" / "splits").mkdir(parents=True)
    (folder / "data" / "splits" / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in generate(PAIRS + 1)))
    write_model(folder / "outputs" / "tiny-merged", tokenizer, {'"}': 2, '"': 1})
    write_model(folder / "outputs" / "endless", tokenizer, {})
    return folder


def write_model(folder: Path, tokenizer, favourites: dict[str, int]) -> None:
    """Write a model that always likes the same tokens best: with quotation marks, its reasonings are over at once."""
    from transformers import AutoModelForCausalLM

    tiny_models.build("mistral7b", folder, tokenizer, head_dim=64)
    model = AutoModelForCausalLM.from_pretrained(folder)
    for name, weights in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight", "lm_head.weight")):
            weights.data.zero_()
    model.model.embed_tokens.weight.data.fill_(1)
    for text, liking in favourites.items():
        model.lm_head.weight.data[tokenizer.convert_tokens_to_ids(text)] = liking
    model.save_pretrained(folder)


def start(folder: Path, *words: str) -> subprocess.Popen:
    words = words if "--engine" in words else (*words, "--engine", "max_model_len=4096")
    command = [sys.executable, "-m", "crm_dedup_plugin", "bench", "tiny", *words]
    (folder / "outputs" / "tiny-bench" / "online.log").unlink(missing_ok=True)
    variables = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def bench(folder: Path, *words: str) -> tuple[int, str, str]:
    child = start(folder, *words)
    out, err = child.communicate(timeout=400)
    return child.returncode, out, err


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


def test_a_benchmark_measures_every_part_and_passes_on_what_vllm_says(workspace):
    words = ("--pairs", "4", "--repeats", "1", "--concurrency", "1", "2", "--engine", "max_model_len=4096", "max_num_seqs=8")
    code, out, err = bench(workspace, *words, "--price-per-hour", "1")
    assert code == 0, err
    folder = workspace / "outputs" / "results" / "tiny"
    result = json.loads((folder / "benchmark.json").read_text())
    kept = json.loads((workspace / "outputs" / "tiny-bench" / "online.json").read_text())
    assert {run["command"] for level in result["online"] for run in level["runs"]} == {run["command"] for run in kept.values()}
    assert [level["runs"] for level in result["online"]] == [[kept[f"{level}/0"]] for level in (1, 2)]
    for level in result["online"]:
        assert (level["valid_json"], level["truncated"], level["failed"], level["cache_was_reset"]) == (1.0, 0.0, 0, True)
        assert level["client_overhead"] is not None
    arms = result["offline"]
    assert set(arms) == {f"{arm}{cache}" for arm in ("full", "decision") for cache in ("", "_cold", "_uncached")} | {"full_without_schema"}
    assert all(0 < arm["share_of_limit"] < 1 and arm["cost_per_million_pairs"] > 0 for arm in arms.values())
    assert arms["full_without_schema"]["output_tokens"] == arms["full"]["output_tokens"]
    assert arms["decision"]["output_tokens"] == 1
    assert arms["full_uncached"]["cached_tokens"] == 0 < arms["full"]["cached_tokens"]
    assert {arm["valid_json"] for name, arm in arms.items() if "valid_json" in arm} == {1.0}
    assert result["transformers"]["batch_1"]["valid_json"] == result["transformers"]["batch_largest"]["valid_json"] == 1.0
    assert result["transformers"]["batch_largest"]["batch_size"] == 4
    assert result["agreement"] is None or result["agreement"]["pairs"] + result["agreement"]["ties"] == 4
    with (folder / "latency.csv").open() as lines:
        assert len(list(csv.reader(lines))) == 1 + 2 * len(summary.LATENCIES)
    assert {path.name for path in folder.glob("*.png")} == {"throughput.png", "latency.png", "limit.png"}
    assert "| online, 2 at a time" in out and "of the physical limit" in out
    assert str(workspace) not in (folder / "benchmark.json").read_text()
    records = {value for row in generate(PAIRS + 1) for record in row["input"].values() for value in record.values() if len(str(value)) > 6}
    written = "".join(path.read_text(errors="replace") for path in [*folder.glob("*.[jc]s*"), *(workspace / "outputs" / "tiny-bench").iterdir()])
    assert [value for value in records if str(value) in written] == []
    assert left_behind(workspace) == []

    began = time.monotonic()
    assert bench(workspace, *words)[0] == 0
    assert time.monotonic() - began < 30, "the runs that are there are not repeated"


def workers_of(child: subprocess.Popen, count: int) -> list[psutil.Process]:
    """Return the processes of the engines that a benchmark has started, once there are so many."""
    until = time.monotonic() + 180
    while time.monotonic() < until and child.poll() is None:
        with contextlib.suppress(psutil.Error):
            found = [one for one in psutil.Process(child.pid).children(recursive=True) if "spawn_main" in " ".join(one.cmdline())]
            if len(found) == count:
                return sorted(found, key=lambda one: one.pid)
        time.sleep(0.2)
    raise AssertionError(f"no engines: {child.communicate(timeout=9) if child.poll() is not None else ''}")


def test_two_engines_share_the_pairs(workspace):
    words = ("--parts", "offline", "--engines", "2", "--pairs", "5", "--repeats", "1")
    code, out, err = bench(workspace, *words, "--force")
    assert code == 0, err
    result = json.loads((workspace / "outputs" / "results" / "tiny" / "benchmark.json").read_text())
    (run,) = json.loads((workspace / "outputs" / "tiny-bench" / "offline.json").read_text())["arms"]["full"]
    assert (result["engines"], result["gpus"], result["pairs"], run["pairs"]) == (2, 0, 5, 5)
    assert "answers" not in run and 0 < run["engine_seconds"] <= run["seconds"]
    arms = result["offline"]
    assert all(0 <= arm["outside_the_engine"] < 1 and 0 < arm["share_of_limit"] < 1 for arm in arms.values())
    assert arms["full_without_schema"]["output_tokens"] == arms["full"]["output_tokens"] and arms["full"]["valid_json"] == 1.0
    assert arms["full_uncached"]["cached_tokens"] == 0 < arms["full_cold"]["cached_tokens"] <= arms["full"]["cached_tokens"]
    assert result["agreement"] is None or result["agreement"]["pairs"] + result["agreement"]["ties"] == 5
    assert "2 engines side by side" in out and "offline, decision 1/1" in out
    assert left_behind(workspace) == []

    few = ("--arms", "decision", "--engine", "max_model_len=4096", "kv_cache_memory_bytes=100000000")
    code, out, err = bench(workspace, *words, *few)
    assert code == 0, err
    result = json.loads((workspace / "outputs" / "results" / "tiny" / "benchmark.json").read_text())
    assert (set(result["offline"]), result["schema_cost"], result["engines"]) == ({"full", "decision"}, None, 2)


def test_an_engine_that_is_killed_ends_the_others(workspace):
    child = start(workspace, "--parts", "offline", "--engines", "2", "--pairs", "6", "--force")
    workers_of(child, 2)[1].kill()
    out, err = child.communicate(timeout=90)
    assert child.returncode == 1, out
    assert "benchmark ended with code 1: engine 2 of 2 was killed by SIGKILL: the machine may be out of memory: give fewer --engines." in err
    assert left_behind(workspace) == []


def test_engines_end_with_a_benchmark_that_is_killed(workspace):
    child = start(workspace, "--parts", "offline", "--engines", "2", "--pairs", "6", "--force")
    workers_of(child, 2)
    child.kill()
    child.communicate(timeout=60)
    assert left_behind(workspace) == []


def test_a_server_that_is_killed_ends_the_benchmark_and_a_second_run_completes_it(workspace):
    words = ("--parts", "online", "--concurrency", "1", "--repeats", "1", "--force")
    child = start(workspace, *words)
    victim = await_server(child, workspace)
    victim.kill()
    out, err = child.communicate(timeout=120)
    assert child.returncode == 1, out
    assert "error: the vLLM server was killed by SIGKILL" in err and "server.log" in err
    assert "Traceback" not in err.partition("The last lines")[0]
    assert left_behind(workspace) == []
    assert bench(workspace, *words[:-1])[0] == 0
    assert left_behind(workspace) == []


@pytest.mark.parametrize(("number", "code", "at_work"), [(signal.SIGINT, 130, True), (signal.SIGTERM, 130, False), (signal.SIGKILL, -9, True)])
def test_an_interrupted_benchmark_takes_its_server_along(workspace, number, code, at_work):
    child = start(workspace, "--parts", "online", "--concurrency", "1", "--repeats", "99", "--force")
    await_server(child, workspace, at_work)
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == code
    assert number == signal.SIGKILL or "interrupted: run the same command to go on" in err
    assert left_behind(workspace) == []


def test_a_port_that_is_taken_is_named_before_anything_starts(workspace):
    with socket.socket() as taken:
        taken.bind((server.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = bench(workspace, "--parts", "online", "--port", str(port), "--force")
    assert (code, err.strip()) == (1, f"error: port {port} is taken: name another one with --port, or leave it out for a free one")
    assert left_behind(workspace) == []


def test_a_model_that_never_ends_its_answer_has_no_speed(workspace):
    code, _, err = bench(
        workspace, "--model", "outputs/endless", "--parts", "offline", "--pairs", "4", "--repeats", "1", "--max-tokens", "24", "--force"
    )
    assert code == 1
    assert "none of 4 answers was valid JSON within 24 tokens: the model does not end its answers" in err and "--max-tokens" in err
    assert left_behind(workspace) == []


def test_a_server_that_fails_to_start_shows_why(workspace):
    code, _, err = bench(workspace, "--parts", "online", "--force", "--engine", "max_model_len=100000000")
    assert code == 1
    assert err.startswith("error: the vLLM server ended with code 1: the model is made for shorter texts: give --engine max_model_len=4096")
    assert left_behind(workspace) == []


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--data", "none.jsonl"), "none.jsonl does not exist: run `make prep` first"),
        (("--model", "outputs/none"), "outputs/none does not exist: run `make train-tiny` first"),
        (("--repeats", "0"), "--repeats 0: give a number above 0"),
        (("--concurrency", "0"), "--concurrency 0: give numbers from 1 on"),
        (("--arms", "full", "fast"), "--arms fast: choose among full, full_cold, full_uncached, full_without_schema, decision,"),
        (("--batches", "32", "0"), "--batches 0: give numbers from 1 on"),
        (("--base-url", "http://127.0.0.1:9", "--parts", "online", "--force"), "no OpenAI server answers at http://127.0.0.1:9"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(workspace, words, error):
    code, _, err = bench(workspace, *words)
    assert code == 1 and err.startswith("error: ") and error in err
