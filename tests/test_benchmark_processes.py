"""The benchmark when its processes are killed, interrupted, endless or in the way of others; a stub takes the place of vLLM."""

import json
import signal
import socket
from pathlib import Path

import pytest
from bench_workspace import await_server, bench, build, left_behind, start, stubbed, workers_of

from crm_dedup_plugin.inference import server


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, tokenizer) -> Path:
    """A folder with a test split and a merged model."""
    return build(tmp_path_factory.mktemp("bench"), tokenizer)


def test_an_engine_that_is_killed_ends_the_others(workspace):
    child = start(workspace, "--parts", "offline", "--engines", "2", "--pairs", "6", "--force", **stubbed(delay=60))
    workers_of(child, 2)[1].kill()
    out, err = child.communicate(timeout=50)  # before the first engine is loaded, on a busy machine too
    assert child.returncode == 1, out
    assert "benchmark ended with code 1: engine 2 of 2 was killed by SIGKILL: the machine may be out of memory: give fewer --engines." in err
    assert left_behind(workspace) == []


def test_engines_end_with_a_benchmark_that_is_killed(workspace):
    child = start(workspace, "--parts", "offline", "--engines", "2", "--pairs", "6", "--force", **stubbed(delay=60))
    workers_of(child, 2)
    child.kill()
    child.communicate(timeout=60)
    assert left_behind(workspace) == []


def test_a_server_that_is_killed_ends_the_benchmark_and_a_second_run_completes_it(workspace):
    words = ("--parts", "online", "--concurrency", "1", "--repeats", "1", "--force")
    child = start(workspace, *words, **stubbed(delay=0.3))
    victim = await_server(child, workspace)
    victim.kill()
    out, err = child.communicate(timeout=120)
    assert child.returncode == 1, out
    assert "error: the vLLM server was killed by SIGKILL" in err and "server.log" in err
    assert "Traceback" not in err.partition("The last lines")[0]
    assert left_behind(workspace) == []
    assert bench(workspace, *words[:-1], **stubbed())[0] == 0
    assert left_behind(workspace) == []


@pytest.mark.parametrize(("number", "code", "at_work"), [(signal.SIGINT, 130, True), (signal.SIGTERM, 130, False), (signal.SIGKILL, -9, True)])
def test_an_interrupted_benchmark_takes_its_server_along(workspace, number, code, at_work):
    child = start(workspace, "--parts", "online", "--concurrency", "1", "--repeats", "99", "--force", **stubbed(delay=0.3))
    await_server(child, workspace, at_work)
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == code
    assert number == signal.SIGKILL or "interrupted: run the same command again to continue" in err
    assert left_behind(workspace) == []


def test_a_port_that_is_taken_is_named_before_anything_starts(workspace):
    with socket.socket() as taken:
        taken.bind((server.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = bench(workspace, "--parts", "online", "--port", str(port), "--force", **stubbed())
    assert (code, err.strip()) == (1, f"error: port {port} is taken: name another one with --port, or leave it out for a free one")
    assert left_behind(workspace) == []


def test_a_model_that_never_ends_its_answer_has_no_speed(workspace):
    words = ("--parts", "offline", "--pairs", "4", "--repeats", "1", "--max-tokens", "24", "--force")
    code, _, err = bench(workspace, *words, **stubbed(failure="endless"))
    assert code == 1
    assert "none of 4 answers was valid JSON within 24 tokens: the model does not end its answers" in err and "--max-tokens" in err
    assert left_behind(workspace) == []


def test_a_server_that_fails_to_start_shows_why(workspace):
    code, _, err = bench(workspace, "--parts", "online", "--force", "--engine", "max_model_len=100000000", **stubbed(failure="context"))
    assert code == 1
    assert err.startswith("error: the vLLM server ended with code 1: the model is made for shorter texts: give --engine max_model_len=4096")
    assert left_behind(workspace) == []


def test_a_server_that_answers_nothing_has_no_speed_and_is_asked_again(workspace):
    words = ("--parts", "online", "--concurrency", "1", "--repeats", "1", "--pairs", "3")
    code, _, err = bench(workspace, *words, "--force", **stubbed(failure="answers"))
    assert code == 1 and "online, 1 at a time: all 3 requests failed (HTTP Error 500" in err
    assert bench(workspace, *words, **stubbed())[0] == 0


def test_few_arms_on_two_engines_that_load_at_once(workspace):
    words = ("--parts", "offline", "--engines", "2", "--pairs", "5", "--repeats", "1", "--arms", "decision")
    code, out, err = bench(workspace, *words, "--engine", "kv_cache_memory_bytes=100000000", **stubbed())
    assert code == 0, err
    result = json.loads((workspace / "outputs" / "results" / "tiny" / "benchmark.json").read_text())
    assert (set(result["offline"]), result["schema_cost"], result["engines"]) == ({"full", "decision"}, None, 2)
    assert (result["gpus"], result["pairs"]) == (0, 5)
    assert "2 engines side by side" in out and "offline, decision 1/1" in out
    assert left_behind(workspace) == []


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--data", "none.jsonl"), "none.jsonl does not exist: run `crm-dedup prepare` first"),
        (("--model", "outputs/none"), "outputs/none does not exist: run `crm-dedup train MODEL --name tiny` first"),
        (("--base-url", "http://127.0.0.1:9", "--parts", "online", "--force"), "no OpenAI server answers at http://127.0.0.1:9"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(workspace, words, error):
    code, _, err = bench(workspace, *words)
    assert code == 1 and err.startswith("error: ") and error in err
