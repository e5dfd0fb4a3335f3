"""The benchmark without an engine: limits, summaries, plans, options, logs."""

import copy
import csv
import io
import json
import math
import os
import signal
import time
import types
from collections import Counter
from unittest import mock

import deaf_engine
import pytest
from compact_pairs import generate
from hypothesis import given
from hypothesis import strategies as st

from crm_dedup_plugin import process
from crm_dedup_plugin.benchmark import offline, online, roofline, run, summarise
from crm_dedup_plugin.benchmark.plan import Workload
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.inference import devices, engine, pool, server
from crm_dedup_plugin.inference.batch import Batch, Reply
from crm_dedup_plugin.pair import prompt, tokens
from crm_dedup_plugin.pair.answer import GRAMMAR, Answer, dump
from crm_dedup_plugin.reporting import speed_figures, speed_tables

H100 = roofline.Hardware("NVIDIA H100 80GB HBM3", "cuda", *roofline.SHEETS["H100"], "data sheet")
QWEN = types.SimpleNamespace(
    hidden_size=2560, intermediate_size=9728, num_hidden_layers=36, num_attention_heads=32, num_key_value_heads=8, head_dim=128, vocab_size=151936
)
SHAPE = roofline.Shape.of(QWEN, 2)
rates = st.floats(0.01, 1e6)


def raw(**changes) -> dict:
    """What ``vllm bench serve`` saves, as far as it is read."""
    latencies = {
        f"{point}_{name}_ms": 10.0 + at for at, (point, name) in enumerate((p, n) for p in summarise.PERCENTILES for n in summarise.LATENCIES)
    }
    texts = [dump("DUPLICATE", "Email same."), '{"decision":"POSS', "no JSON", ""]
    rest = {"request_throughput": 2.0, "request_goodput": 1.5, "output_throughput": 99.0, "completed": 3, "failed": 1, "num_prompts": 4}
    details = {"generated_texts": texts, "errors": ["", "", "", "Traceback\nConnectionError: lost"], "itls": [[1.0]], "ttfts": [0.1]}
    return {**latencies, **rest, **details, "date": "20260101-000000", **changes}


def one_run(**changes) -> dict:
    return online.summary(
        raw(**changes), ["--base-url", "http://127.0.0.1:9", "--dataset-path", "/secret/pairs.jsonl"], True, Counter(sum=0.04, count=4)
    )


def test_the_sizes_of_a_real_model_are_counted():
    assert SHAPE.body == pytest.approx(3.63e9, rel=0.01)
    assert SHAPE.head == pytest.approx(0.389e9, rel=0.01)


def test_the_limit_of_a_4b_on_an_h100_is_what_pen_and_paper_say():
    assert roofline.pairs_per_second(SHAPE, H100, 400, 250, 60, 1024) == pytest.approx(615, rel=0.05)
    assert roofline.pairs_per_second(SHAPE, H100, 400, 250, 1, 1024) == pytest.approx(884, rel=0.05)
    assert 1000 / roofline.pairs_per_second(SHAPE, H100, 400, 250, 60, 1) == pytest.approx(144, rel=0.05)


@given(prompt=st.integers(10, 4000), cached=st.integers(0, 9), output=st.integers(1, 400), seats=st.integers(1, 1024))
def test_more_work_never_raises_the_limit(prompt, cached, output, seats):
    limit = roofline.pairs_per_second(SHAPE, H100, prompt, cached, output, seats)
    assert 0 < roofline.pairs_per_second(SHAPE, H100, prompt + 1, cached, output, seats) <= limit
    assert roofline.pairs_per_second(SHAPE, H100, prompt, cached, output + 1, seats) <= limit
    assert roofline.pairs_per_second(SHAPE, H100, prompt, cached, output, seats + 1) >= limit
    assert roofline.pairs_per_second(SHAPE, H100, prompt, cached + 1, output, seats) >= limit


def test_a_processor_is_measured():
    machine = roofline.detect("float32")
    assert machine.kind == "cpu" and machine.source == "measured" and "cores" in machine.name
    assert machine.flops > 1e9 and machine.bandwidth > 1e8


def test_a_service_that_shares_the_gpu_is_found_where_its_daemon_listens(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert not roofline.mps()
    (tmp_path / "control").touch()
    assert roofline.mps()


@given(st.lists(rates, min_size=1, max_size=5))
def test_a_spread_holds_its_median(values):
    found = summarise.spread(values)
    assert min(values) == found["low"] <= found["value"] <= found["high"] == max(values)


@given(price=st.floats(0.01, 1000), rate=rates)
def test_the_cost_is_that_of_the_seconds(price, rate):
    assert summarise.cost(price, rate) * rate * 3600 / 1e6 == pytest.approx(price)
    assert summarise.cost(None, rate) is None


@given(st.floats(0, 1e9, allow_nan=False), st.floats(0, 1e9))
def test_what_vllm_says_is_passed_on_unaltered(latency, throughput):
    given_by_vllm = raw(p99_e2el_ms=latency, request_throughput=throughput)
    found = one_run(p99_e2el_ms=latency, request_throughput=throughput)
    assert found["vllm"] == {key: value for key, value in given_by_vllm.items() if key not in online.DETAILS}
    (level,) = summarise.online({"4/0": found}, None)
    assert level["e2el_ms"]["p99"]["value"] == latency and level["pairs_per_second"]["value"] == throughput
    rows = list(csv.DictReader(io.StringIO(summarise.latency_csv([level]))))
    assert {row["metric"]: float(row["p99"]) for row in rows}["e2el"] == latency


def test_a_run_counts_what_only_the_answers_show_and_keeps_none_of_them():
    found = one_run()
    assert (found["valid"], found["truncated"], found["failed"], found["error"]) == (1, 1, 1, "ConnectionError: lost")
    assert "Email same" not in json.dumps(found) and "/secret" not in found["command"] and "127.0.0.1" not in found["command"]
    (level,) = summarise.online({"4/0": found, "4/1": found}, 3.6)
    assert (level["concurrency"], level["repeats"], level["failed"]) == (4, 2, 2)
    assert level["valid_json"] == level["truncated"] == pytest.approx(1 / 3)
    assert level["client_overhead"] == pytest.approx(raw()["mean_e2el_ms"] / 10 - 1)
    assert level["cost_per_million_pairs"] == pytest.approx(500)


def test_no_pair_is_asked_twice_in_a_run():
    work = Workload("m", "d")
    assert online.levels(work, 5000) == [1, 4, 16, 64, 256]
    assert online.levels(work, 150) == [1, 4, 16, 64]
    assert online.levels(work, 1) == [1]
    assert all(online.requests(level, 150) <= 150 for level in work.concurrency)
    assert online.requests(256, 5000) == 2048 and online.requests(1, 5000) == 16
    assert online.planned(work, 3) == ["1/0", "1/1", "1/2"]


def test_the_client_gets_the_schema_and_the_deadline():
    words = online.arguments(Workload("m", "d", deadline_ms=1234), "http://x", "served", 16, 128, "pairs.jsonl", "folder/out.json")
    assert json.loads(words[words.index("--extra-body") + 1])["response_format"]["json_schema"]["schema"] == GRAMMAR
    assert words[words.index("--goodput") + 1] == "e2el:1234" and words[words.index("--max-concurrency") + 1] == "16"


def test_settings_become_flags_of_the_server():
    words = server.command("m", {"max_model_len": 8, "enforce_eager": True, "async_scheduling": False, "compilation_config": {"a": 1}}, 80)
    assert words[2:5] == ["vllm.entrypoints.cli.main", "serve", "m"]
    flags = " ".join(words[5:])
    assert "--max-model-len 8 --enforce-eager --no-async-scheduling --compilation-config" in flags and '{"a": 1}' in words


@given(st.dictionaries(st.sampled_from(["a", "b_c"]), st.integers() | st.booleans() | st.dictionaries(st.just("k"), st.integers())))
def test_engine_arguments_are_read_back(values):
    assert engine.arguments([f"{key}={json.dumps(value)}" for key, value in values.items()]) == values


def test_engine_arguments_may_be_text_or_wrong():
    assert engine.arguments(["kv_cache_dtype=fp8"]) == {"kv_cache_dtype": "fp8"}
    for word in ("max_num_seqs", "=3", "--x=1"):
        with pytest.raises(UserError, match="write KEY=VALUE"):
            engine.arguments([word])


def test_a_workload_survives_its_file(tmp_path):
    work = Workload("m", "d", pairs=3, concurrency=(2,), engine={"max_num_seqs": 4}, arms=("decision",))
    assert Workload.read(str(work.write(tmp_path / "w.json"))) == work


@given(pairs=st.integers(1, 60), count=st.integers(1, 70))
def test_shares_come_back_in_the_order_of_the_pairs(pairs, count):
    count = min(count, pairs)
    shares = [pool.share(range(pairs), at, count) for at in range(count)]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1 <= min(map(len, shares))
    batches = [Batch(one, one, 3 * len(one), len(one), seconds=at, engine_seconds=at) for at, one in enumerate(shares)]
    found = pool.merge(batches, 9.0)
    assert found.answers == found.lengths == list(range(pairs))
    assert found.counts() == {
        "pairs": pairs,
        "seconds": 9.0,
        "engine_seconds": pytest.approx((count - 1) / 2),
        "prompt_tokens": 3 * pairs,
        "output_tokens": sum(range(pairs)),
        "cached_tokens": pairs,
    }


@given(count=st.integers(1, 40), gpus=st.integers(0, 8), cores=st.integers(1, 128))
def test_engines_are_spread_over_what_there_is(count, gpus, cores):
    names = [f"GPU-{at}" for at in range(gpus)]
    found = [devices.variables(at, count, names, cores) for at in range(count)]
    assert all(1 <= int(one["RAYON_NUM_THREADS"]) == int(one["OMP_NUM_THREADS"]) <= max(cores / count, 1) for one in found)
    settings = devices.memory(count, {"gpu_memory_utilization": 0.8}, names)
    for name in names:
        there = [one for one in found if one["CUDA_VISIBLE_DEVICES"] == name]
        assert len(there) * settings["gpu_memory_utilization"] <= 0.8 + 1e-9
    usual = devices.memory(count, {}, names).get("gpu_memory_utilization", 0.0)
    assert 0 <= math.ceil(count / max(gpus, 1)) * usual <= devices.MEMORY + 1e-9, "engines take memory beyond their shares"
    assert gpus or (settings == {} and not any("CUDA_VISIBLE_DEVICES" in one for one in found))


@pytest.mark.parametrize(("free", "share"), [(1.0, 0.9), (0.5, 0.47)])
def test_one_engine_leaves_the_memory_that_another_model_of_this_process_holds(monkeypatch, free, share):
    given = []
    monkeypatch.setattr(pool, "Engine", lambda model, options, schema, gpus: given.append(options))
    monkeypatch.setattr(devices, "visible_gpus", lambda: ["0"])
    monkeypatch.setattr(devices, "_free", lambda: free)
    for options in ({}, {"gpu_memory_utilization": 0.3}):
        with mock.patch.dict(os.environ), pool.start("some-model", options):
            pass
    assert [one["gpu_memory_utilization"] for one in given] == [pytest.approx(share), 0.3]


def test_only_the_gpus_that_are_visible_are_used(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.used_gpus(1, {}) == ["0"]
    assert devices.used_gpus(1, {"tensor_parallel_size": 2}) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, GPU-7,2")
    assert devices.used_gpus(2, {}) == ["5", "GPU-7"]
    assert [devices.replicas(count) for count in (1, 2, 8)] == [1, 2, 3]


def test_another_engine_leaves_room_for_what_cuda_takes():
    worker = type("Worker", (devices.Room,), {"init_snapshot": types.SimpleNamespace(total_memory=80, free_memory=79)})()
    assert worker.kv_cache_room() is None, "the settings name the size"
    worker.available_kv_cache_memory_bytes = 30
    assert worker.kv_cache_room() == 29
    worker.available_kv_cache_memory_bytes = 0.5
    assert worker.kv_cache_room() == 1, "too little is an error of vLLM's, not a new measurement"


@pytest.mark.parametrize(("several", "words"), [({"engines": 3}, "3: there are only 2 pairs: give at most 2"), ({}, "leave either out")])
def test_engines_that_cannot_be_are_refused(tmp_path, several, words):
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in generate(3)))
    work = Workload("m", str(tmp_path / "pairs.jsonl"), **{"engines": 2, "engine": {"tensor_parallel_size": 2}, **several})
    with pytest.raises(UserError, match=words):
        run.check("x", work)


@given(count=st.integers(1, 8), seats=st.integers(1, 64))
def test_gpus_raise_the_limit_and_engines_only_what_is_in_flight(count, seats):
    one = {"pairs": 64, "seconds": 2.0, "engine_seconds": 1.0, "prompt_tokens": 64 * 400, "cached_tokens": 0, "output_tokens": 64 * 50}
    found = {"arms": {"decision": [one]}, "max_num_seqs": seats}

    def limit(engines: int, gpus: int) -> float:
        return summarise.offline({**found, "engines": engines, "gpus": gpus}, SHAPE, H100, None)["decision"]["limit_pairs_per_second"]

    assert limit(count, 1) == pytest.approx(roofline.pairs_per_second(SHAPE, H100, 400, 0, 50, min(64, seats * count)))
    assert limit(count, 0) == limit(count, 1) >= limit(1, 1)
    assert limit(1, 1) <= limit(count, count) <= count * limit(1, 1) * (1 + 1e-9)
    assert limit(1, count) == pytest.approx(count * limit(1, 1)), "one engine over several GPUs"


def test_answers_agree_where_they_are_no_tie():
    full = [Reply(Answer("DUPLICATE", ""), False), Reply(None, True), Reply(Answer("POSSIBLE", ""), False)]
    assert offline.agreement(full, [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.4, 0.4, 0.2]]) == {"pairs": 2, "agree": 1, "ties": 1}
    assert offline.agreement(full, []) == {"pairs": 0, "agree": 0, "ties": 0}
    assert offline.shares(full) == {"valid_json": pytest.approx(2 / 3), "truncated": pytest.approx(1 / 3)}


def test_a_log_is_followed_by_whole_lines(tmp_path):
    log = tmp_path / "a.log"
    log.write_bytes(b"one\ntw")
    added = process.follow(log)
    assert next(added) == ["one"] and next(added) == []
    with log.open("ab") as more:
        more.write(b"o \xc5")
        more.flush()
        assert next(added) == []
        more.write(b"\x81\r\n\nthree\n")
    assert next(added) == ["two Ł", "three"]


def test_the_time_of_all_engines_of_a_server_counts(monkeypatch):
    name = "vllm:e2e_request_latency_seconds"
    text = f"# TYPE {name} histogram\n" + "".join(f'{name}_{what}{{engine="{at}"}} {at + 2}\n' for at in (0, 1) for what in ("sum", "count"))
    monkeypatch.setattr(online.httpx, "get", lambda *_, **__: online.httpx.Response(200, text=text))
    assert online.server_seconds("http://x") == {"sum": 5, "count": 5}
    monkeypatch.setattr(online.httpx, "get", lambda *_, **__: online.httpx.Response(404, text="<html>"))
    assert online.server_seconds("http://x") == {}


def test_the_table_names_several_engines():
    level = {"batch_size": 1, "pairs_per_second": summarise.spread([2.0])}
    rest = {"offline": None, "transformers": {"batch_1": level}, "online": None, "agreement": None, "schema_cost": None, "speedup": None}
    result = {"model": "m", "random_weights": False, "pairs": 4, "hardware": H100._asdict(), "dtype": "bfloat16", **rest}
    assert speed_tables.benchmark(result).startswith("m, 4 pairs, NVIDIA H100 80GB HBM3, bfloat16\n")
    assert speed_tables.benchmark({**result, "engines": 1, "gpus": 1}) == speed_tables.benchmark(result)
    assert ", 2 x NVIDIA H100 80GB HBM3, bfloat16, 4 engines side by side\n" in speed_tables.benchmark({**result, "engines": 4, "gpus": 2})
    assert ", fp8 weights, bfloat16, 3 engines side by side under MPS\n" in speed_tables.benchmark(
        {**result, "engines": 3, "mps": True, "quantization": "fp8"}
    )


def test_a_baseline_that_does_not_fit_is_none():
    alone = {"batch_size": 1, "pairs": 4, "seconds": 2.0, "valid_json": 1.0}
    found = summarise.transformers({"batch_1": [alone], "batch_largest": None})
    assert found["batch_largest"] is None and found["batch_1"]["pairs_per_second"]["value"] == 2.0
    arms = {name: {"pairs_per_second": summarise.spread([rate])} for name, rate in (("full", 20.0), ("decision", 80.0))}
    assert summarise.speedup(arms, found) == {"full": 10.0, "decision": 40.0}


def test_ties_do_not_count_as_disagreement():
    assert summarise.agreement({"pairs": 0, "agree": 0, "ties": 9}) is None
    found = summarise.agreement({"pairs": 10, "agree": 9, "ties": 2})
    assert found["value"] == 0.9 and found["low"] < 0.9 < found["high"] and found["ties"] == 2


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "max_num_seqs"),
        ("ValueError: No available memory for the cache blocks.", "max_model_len"),
        ("OSError: [Errno 98] Address already in use", "--port"),
        ("something else", ""),
    ],
)
def test_a_failure_shows_the_last_lines_and_what_to_change(tmp_path, line, hint):
    log = tmp_path / "server.log"
    log.write_text("first\n" + "filler\n" * 50 + f"progress 1%\rprogress 2%\r{line}\n")
    error = str(process.failure("the vLLM server", 1, log))
    assert line in error and hint in error and "first" not in error
    assert "was killed by SIGKILL: the machine may be out of memory" in str(process.failure("x", -9, tmp_path / "none.log"))


def test_a_failure_says_its_reason_first_whatever_was_printed_since(tmp_path):
    log = tmp_path / "offline.log"
    log.write_text("Error: engine 2 of 2 failed: KeyError: 'a'\n" + "\rloading 9%" * 50)
    assert str(process.failure("the offline benchmark", 1, log)).startswith(
        "the offline benchmark ended with code 1: engine 2 of 2 failed: KeyError: 'a'. The last lines of "
    )


def test_a_template_that_changes_the_question_is_refused(tokenizer):
    loud = copy.deepcopy(tokenizer)
    loud.chat_template = "{{ messages[0]['content'] | upper }}"
    with pytest.raises(ValueError, match="repeats it word for word"):
        tokens.batch_prompt_ids(loud, [({"Name": "a"}, {"Name": "b"})])


@given(st.lists(st.floats(-50, 0), min_size=3, max_size=3))
def test_probabilities_sum_to_one_and_keep_their_order(logprobs):
    found = engine.softmax(logprobs)
    assert sum(found) == pytest.approx(1)
    assert found[logprobs.index(max(logprobs))] == max(found)


def test_plots_are_drawn_of_what_there_is(tmp_path):
    (level,) = summarise.online({"4/0": one_run()}, None)
    found = {"arms": {"full": [{"pairs": 4, "seconds": 2.0, "engine_seconds": 1.9, **dict.fromkeys(("prompt_tokens", "output_tokens"), 400)}]}}
    found["arms"]["full"][0] |= {"cached_tokens": 0, "valid_json": 1.0, "truncated": 0.0}
    arms = summarise.offline(found | {"max_num_seqs": 8, "engines": 1, "gpus": 1}, SHAPE, H100, 2.5)
    drawn_of = {"inputs": {"data_sha256": "d"}, "random_weights": True, "quick": True, "hardware": H100._asdict(), "online": [level], "offline": arms}
    drawn = speed_figures.draw(drawn_of, tmp_path, "a model")
    assert [path.name for path in drawn] == ["throughput.png", "latency.png", "limit.png"]
    assert all(path.stat().st_size > 5000 for path in drawn)
    assert speed_figures.draw(drawn_of | {"online": None, "offline": None}, tmp_path, "x") == []


def test_the_question_over_the_wire_is_the_one_of_training(tmp_path):
    pair = ({"Name": "Ann Ł \ud800"}, {"Name": "dated 2020-01-01"})
    online.write_requests([pair], 9, tmp_path / "pairs.jsonl")
    assert json.loads((tmp_path / "pairs.jsonl").read_text(encoding="utf-8")) == {"prompt": prompt.build(*pair), "output_tokens": 9}


def test_engines_that_do_not_end_when_asked_are_all_ended_after_one_wait(monkeypatch):
    monkeypatch.setattr(process, "GRACE", 1)
    engines = pool.Pool()
    engines.launch(4, deaf_engine.serve)
    assert [pipe.recv() for pipe in engines.pipes] == ["ready"] * 4
    began = time.monotonic()
    engines.end()
    assert time.monotonic() - began < 3
    assert {worker.exitcode for worker in engines.workers} == {-signal.SIGKILL}
