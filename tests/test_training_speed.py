"""The benchmark of training: what it counts in a batch, what it makes of it, and the weights of a shape."""

import json
import sys
from pathlib import Path

import pytest
import torch
from axolotl.utils.collators.batching import DataCollatorForSeq2Seq, V2BatchSamplerDataCollatorForSeq2Seq

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.training import formatter

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts" / "experiments"))

import model_shape  # noqa: E402
import training_meter  # noqa: E402
import training_speed  # noqa: E402


@pytest.fixture(scope="module")
def examples(tokenizer):
    """Five examples of different lengths, as the formatter makes them."""
    strategy = formatter.CrmDedupStrategy(None, tokenizer, False, 2048)
    records = [({"name": "Ann Lee" * (1 + index)}, {"name": "Anne Lee"}) for index in range(5)]
    output = {"decision": "POSSIBLE", "reasoning": "x"}
    rows = [{"input": {"record_a": a, "record_b": b}, "output": output} for a, b in records]
    made = strategy.tokenize_prompt({"text": [json.dumps(row) for row in rows]})
    return [dict(zip(made, one, strict=True)) for one in zip(*made.values(), strict=True)]


def without_mask(examples):
    return [{key: value for key, value in one.items() if key != "attention_mask"} for one in examples]


@pytest.mark.parametrize("change", [list, without_mask])
@pytest.mark.parametrize("packed", [False, True])
def test_tokens_without_padding_are_counted_in_packed_and_plain_batches(tokenizer, examples, packed, change):
    assert tokenizer.pad_token_id in examples[0]["input_ids"]  # the trap: it also ends a turn
    rows, width = [dict(one) for one in change(examples)], 3000 if packed else 600
    kind = V2BatchSamplerDataCollatorForSeq2Seq if packed else DataCollatorForSeq2Seq
    collate = kind(tokenizer, padding=True, pad_to_multiple_of=width)
    batch = collate([rows[:3], rows[3:]] if packed else rows)
    positions = batch["input_ids"].numel()
    total = sum(len(one["input_ids"]) for one in examples)
    assert positions == (2 * 3000 if packed else 5 * 600) > total
    assert training_meter.count(batch).tolist() == [total, 5, positions]


def rank(seconds: list[float], tokens: list[int], reserved: int) -> dict:
    peak = {"reserved_bytes": reserved, "allocated_bytes": reserved // 2}
    counts = {"tokens": tokens, "examples": [2] * len(tokens), "positions": [200] * len(tokens)}
    rest = {"losses": [1.0], "settings": {}, "hardware": {"name": "H"}, "processes": 2}
    return {"seconds": seconds, **counts, "peak": peak, "loading_peak": {"reserved_bytes": 30, "allocated_bytes": 7}, **rest}


def test_rates_are_those_of_all_processes_after_the_warm_up():
    found = training_speed.summary([rank([9, 9, 9, 1, 1], [1, 1, 1, 100, 100], 20), rank([9, 9, 9, 2, 1], [1, 1, 1, 150, 150], 40)])
    assert found["tokens_per_second"] == pytest.approx(500 / 3)
    assert found["examples_per_second"] == pytest.approx(8 / 3)
    assert (found["step_seconds"], found["tokens_per_step"], found["tokens_per_example"]) == (1.5, 250, 62.5)
    assert found["padding"] == pytest.approx(1 - 500 / 800)
    assert (found["peak_reserved_bytes"], found["peak_allocated_bytes"], found["loading_reserved_bytes"]) == (40, 20, 30)
    with pytest.raises(UserError, match="3 steps are too few"):
        training_speed.summary([rank([1, 1, 1], [1, 1, 1], 1)])


def entry(gpus: int, tokens: float, label: str = "as it is", name: str = "H100", weights: str = "random", data: str = "a") -> dict:
    rates = {"tokens_per_second": tokens, "examples_per_second": 5.0, "step_seconds": 0.5, "peak_reserved_bytes": 2**30 if gpus else None}
    rest = {"weights": weights, "label": label, "gpus": gpus, "data_sha256": data, "tokens_per_step": 77.0}
    return {"model": "qwen3-4b", "hardware": {"name": name}, **rest, **rates}


def test_the_table_compares_several_gpus_with_one_of_the_same_setting(tmp_path):
    path = tmp_path / "speed.json"
    path.write_text(
        json.dumps(
            [
                entry(2, 1900),
                entry(1, 1000),
                entry(2, 1500, "fsdp"),
                entry(2, 9, name="H200"),
                entry(1, 5, weights="its own"),
                entry(2, 9, data="b", name="A100"),
                entry(1, 5, name="A100"),
            ]
        )
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in training_speed.table(path).splitlines()[2:]]
    cells = {(row[1], row[2], row[3]): row[6] for row in rows}
    assert {row[5] for row in rows} == {"154"}
    assert cells[("random", "2 x A100", "`as it is`")] == "-", "other pairs"
    assert cells[("random", "2 x H100", "`as it is`")] == "1.90"
    assert (
        cells[("random", "2 x H100", "`fsdp`")] == cells[("random", "2 x H200", "`as it is`")] == cells[("its own", "1 x H100", "`as it is`")] == "-"
    )


def test_a_measured_run_neither_evaluates_nor_saves(tmp_path):
    base = tmp_path / "base"
    settings = training_speed.settings_for("llama32-3b", base, True, "other.jsonl", 12, tmp_path)
    assert not set(settings) & {"test_datasets", "evals_per_epoch", "saves_per_epoch", "chat_template"}
    assert settings["plugins"][-1] == training_speed.METER and len(settings["plugins"]) == 2
    assert (settings["max_steps"], settings["save_strategy"], settings["base_model"]) == (12, "no", str(base))
    assert [one["path"] for one in settings["datasets"]] == ["other.jsonl"]
    assert settings["output_dir"].startswith(str(tmp_path)) and settings["dataset_prepared_path"].startswith(str(tmp_path))


@pytest.mark.parametrize("arguments", [["qwen3-4b", "--steps", "3"], ["qwen3-4b", "oops"], ["smollm2-135m", "--gpus", "99"], ["nothing"]])
def test_what_cannot_work_is_refused_before_anything_starts(arguments, tmp_path, monkeypatch):
    monkeypatch.setattr(training_speed.training, "preflight", lambda *_: None)
    with pytest.raises(UserError):
        training_speed.main([*arguments, "--results", str(tmp_path / "speed.json")])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["qwen3-4b", "mistral7b", "phi4mini"])
def test_the_random_weights_of_a_shape_load(name, tmp_path, base_model, monkeypatch):
    from transformers import AutoModelForCausalLM

    kind, _, vocabulary, tied = model_shape.SIZES[name]
    small = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 8}
    monkeypatch.setitem(model_shape.SIZES, name, (kind, small, vocabulary, tied))
    monkeypatch.setattr(model_shape, "TARGET", base_model)
    model_shape.write(name, tmp_path)
    model_shape.fill(tmp_path)
    model, report = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="auto", output_loading_info=True)
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert model.dtype == torch.bfloat16 and model.get_input_embeddings().num_embeddings == vocabulary
    assert (model.lm_head.weight is model.get_input_embeddings().weight) is tied
    assert model.model.norm.weight.eq(1).all() and 0.01 < model.model.layers[0].mlp.down_proj.weight.float().std() < 0.03
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    model_shape.fill(tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
