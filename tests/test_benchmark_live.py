"""The benchmark with a real engine and a real server, on a tiny model: every part. test_evaluation_probabilities.py has two engines side by side."""

import csv
import json
from pathlib import Path

import pytest
from bench_workspace import PAIRS, bench, build, left_behind
from compact_pairs import generate

from crm_dedup_plugin import process
from crm_dedup_plugin.benchmark import summarise


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, tokenizer) -> Path:
    """A folder with a test split and a merged model."""
    return build(tmp_path_factory.mktemp("bench"), tokenizer)


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
        assert len(list(csv.reader(lines))) == 1 + 2 * len(summarise.LATENCIES)
    assert {path.name for path in folder.glob("*.png")} == {"throughput.png", "latency.png", "limit.png"}
    assert "| online, 2 at a time" in out and "of the physical limit" in out
    assert str(workspace) not in (folder / "benchmark.json").read_text()
    records = {value for row in generate(PAIRS + 1) for record in row["input"].values() for value in record.values() if len(str(value)) > 6}
    written = "".join(path.read_text(errors="replace") for path in [*folder.glob("*.[jc]s*"), *(workspace / "outputs" / "tiny-bench").iterdir()])
    assert [value for value in records if str(value) in written] == []
    assert left_behind(workspace) == []

    runs = [workspace / "outputs" / "tiny-bench" / f"{part}.json" for part in ("offline", "online", "transformers")]
    before = [path.stat().st_mtime_ns for path in runs]
    assert bench(workspace, *words)[0] == 0
    assert [path.stat().st_mtime_ns for path in runs] == before, "the runs that are there are not repeated"


def test_what_vllm_says_of_a_context_that_is_too_long_has_a_cure(workspace, tmp_path):
    from vllm.engine.arg_utils import EngineArgs

    with pytest.raises(ValueError) as refused:
        EngineArgs(model=str(workspace / "outputs" / "tiny-merged"), max_model_len=100_000_000).create_model_config()
    (tmp_path / "server.log").write_text(str(refused.value))
    assert process.cure(tmp_path / "server.log").startswith("the model is made for shorter texts")
