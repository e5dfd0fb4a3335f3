"""The cards of a model and of a data set: the Hub's metadata, the numbers that were measured, and a snippet that runs."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import hub_workspace
import pytest
import yaml
from hub_workspace import REPO, SHARDS, dry, enter, measure, sha256, write
from huggingface_hub import DatasetCard, ModelCard, parse_eval_result_entries

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.hub import card
from crm_dedup_plugin.pair import prompt
from crm_dedup_plugin.pair.answer import GRAMMAR, MAX_ANSWER_TOKENS, Answer, dump
from crm_dedup_plugin.reporting.metric_names import CALIBRATION, QUALITY
from crm_dedup_plugin.reporting.tables import interval


@pytest.fixture
def root(tmp_path, monkeypatch):
    return enter(tmp_path, monkeypatch)


def test_the_cards_hold_the_metadata_of_the_hub(root):
    dry(dataset=True)
    model = ModelCard.load("outputs/tiny-hub/README.md")
    assert model.data.base_model == hub_workspace.BASE and model.data["base_model_relation"] == "finetune"
    assert (model.data.license, model.data.library_name, model.data.pipeline_tag) == ("apache-2.0", "transformers", "text-generation")
    assert model.data.datasets == [f"{REPO}-pairs"] and model.data.language == ["en"]
    measured = json.loads(Path("outputs/results/tiny/metrics.json").read_text())
    values = {result.metric_type: result.metric_value for result in model.data.eval_results}
    assert values["f1"] == measured["macro_f1"]["value"] and values["flip_rate"] == 0.25
    data = DatasetCard.load("outputs/tiny-hub-dataset/README.md").data
    assert data.size_categories == ["n<1K"] and data.license == "apache-2.0"
    files = {part["split"]: part["path"] for part in data["configs"][0]["data_files"]}
    assert files == {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"}
    (entry,) = parse_eval_result_entries(yaml.safe_load(Path("outputs/tiny-hub/.eval_results/crm-dedup.yaml").read_text()))
    assert (entry.dataset_id, entry.task_id, entry.value) == (f"{REPO}-pairs", "crm_dedup", measured["macro_f1"]["value"])


def test_the_card_shows_the_numbers_their_intervals_and_their_limits(root):
    text = dry()
    measured = json.loads(Path("outputs/results/tiny/metrics.json").read_text())
    for key, (title, *_) in QUALITY.items():
        assert re.search(rf"\| {title} +\| {re.escape(interval(measured[key]))} +\|", text), title
    assert "A demonstration, not a model to merge your CRM with" in text and "30 test pairs" in text
    assert f"the decision changes for {card.whole_percent(measured['flip_rate'])} of the pairs" in text
    assert "`hard` 0.87 (15 pairs)" in text
    assert prompt.RUBRIC in text and Path("axolotl_configs/tiny.yml").read_text().strip() in text
    assert all(sha256(root / "outputs/tiny-merged" / shard) in text for shard in SHARDS)
    assert "crm-dedup prepare --demo 90 --seed 7" in text and "vllm 1.2.3" in text
    assert "Trained and tested on generated pairs" in text and "\n\n\n" not in text and "None" not in text
    assert "{{" not in text and "{%" not in text


@pytest.mark.parametrize("families", [[], ["oar", "splink"]])
def test_the_card_of_reduced_trainings_says_what_they_were(root, families):
    reduced = {
        "base_model": hub_workspace.BASE,
        "adapters": {"one": "1" * 64, "two": "2" * 64},
        "rank": 38,
        "note": "Of 9 steps.",
        "families": families,
    }
    for path in ("outputs/tiny-merged/crm_dedup.json", "outputs/results/tiny/training.json"):
        write(root / path, json.dumps(reduced))
    measure(root)
    text = dry()
    assert "The mean of 2 trainings by Axolotl" in text and "an adapter of rank 38 in 8 bits" in text and "Of 9 steps." in text
    assert "| adapter `one` |" in text and "1" * 64 in text and "training split" not in text.partition("## How it was made")[2]
    assert ("of the families oar, splink" in text) == bool(families) == ("**Privacy.**" in text)
    assert ("Trained and tested on generated pairs" in text) != bool(families) and "crm-dedup train" not in text


def test_calibration_and_benchmark_are_shown_where_they_were_measured(root):
    assert "How sure it is" not in dry() and "How fast it is" not in dry()
    one = {"value": 0.5, "low": 0.25, "high": 0.75}
    calibration = {key: one for key in CALIBRATION} | {"pairs": 30, "temperature": 1.5}
    merges = {"threshold": 0.875, "merged": 12, "precision": one, "coverage": one}
    measure(root, calibration={**calibration, "merge_at_99": merges})
    benchmark = {
        "hardware": {"name": "a processor", "kind": "cpu"},
        **{"dtype": "float32", "quantization": None, "pairs": 24, "quick": True, "random_weights": False, "command": "crm-dedup bench tiny --quick"},
        "inputs": {"model_sha256": json.loads(Path("outputs/results/tiny/metrics.json").read_text())["inputs"]["model_sha256"]},
        "offline": {"full": {"pairs_per_second": {"value": 1234.5, "low": 1.25, "high": 2000}, "valid_json": 1.0}, "decision": {"valid_json": None}},
        "online": [{"concurrency": 4, "ttft_ms": {"p50": {"value": 12, "low": 11, "high": 13}}, "tpot_ms": None}],
    }
    write(root / "outputs/results/tiny/benchmark.json", json.dumps(benchmark))
    text = dry()
    assert "0.500 (0.250-0.750)" in text and "reaches 0.875" in text and "merged 12 of the test pairs" in text
    assert "| 1,234 (1.25-2,000) |" in text and "12.0 (11.0-13.0)" in text and "vLLM on a processor, float32" in text and "a quick run" in text
    assert "crm-dedup bench tiny --quick" in text
    measure(root, calibration={**calibration, "merge_at_99": {**merges, "threshold": None, "merged": 0, "precision": None}})
    assert "nothing should be merged without a person" in dry()
    write(root / "outputs/results/tiny/benchmark.json", json.dumps({key: benchmark[key] for key in ("inputs", "online")}))
    assert "vLLM on a machine that was not recorded" in dry() and "12.0 (11.0-13.0)" in dry()
    write(root / "outputs/results/tiny/benchmark.json", json.dumps({**dict.fromkeys(benchmark), "inputs": benchmark["inputs"]}))
    assert "How fast it is" not in dry()
    benchmark["inputs"]["model_sha256"] = "0" * 64
    write(root / "outputs/results/tiny/benchmark.json", json.dumps(benchmark))
    with pytest.raises(UserError, match=r"benchmark\.json was measured on another model"):
        dry()


def test_baselines_on_the_same_pairs_stand_beside_it_and_other_results_do_not(root):
    measured = json.loads(Path("outputs/results/tiny/metrics.json").read_text())
    better = {**measured, "macro_f1": {"value": 0.99, "low": 0.98, "high": 1.0}, "inputs": {"data_sha256": measured["inputs"]["data_sha256"]}}
    write(root / "results/baseline-rules/metrics.json", json.dumps({**better, "note": "the labels are its own"}))
    write(root / "results/baseline-boosting/metrics.json", json.dumps(better))
    write(root / "results/baseline-old/metrics.json", json.dumps({**better, "inputs": {"data_sha256": "0"}}))
    write(root / "results/some-customer/metrics.json", json.dumps(better))
    text = dry()
    assert text.index("| boosting ") < text.index("| **this model** ")
    assert "some-customer" not in text and "| old " not in text
    assert "is the better choice on these pairs. Of rules: the labels are its own.\n" in text


def test_the_snippet_runs_against_a_chat_completions_server(root):
    snippet = re.search(r"```python\n(.*?)```", dry(), re.DOTALL)[1]
    asked = {}

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))), path=self.path)
            message = {"role": "assistant", "content": dump("DUPLICATE", "E-mail same.")}
            body = json.dumps({"id": "1", "object": "chat.completion", "created": 0, "model": REPO, "choices": [{"index": 0, "message": message}]})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Chat)
    threading.Thread(target=server.handle_request, daemon=True).start()
    printed = []
    exec(snippet.replace("localhost:8000", f"127.0.0.1:{server.server_port}"), {"print": printed.append})
    server.server_close()
    assert printed == [Answer("DUPLICATE", "E-mail same.")]
    assert asked["path"] == "/v1/chat/completions" and asked["model"] == REPO and asked["temperature"] == 0
    assert asked["messages"] == prompt.messages(*card.EXAMPLE)
    assert asked["response_format"]["json_schema"]["schema"] == GRAMMAR
    assert parsed_by_vllm(asked) == (GRAMMAR, 0.0) and asked["max_tokens"] == MAX_ANSWER_TOKENS
    assert f"vllm serve {REPO} " in Path("outputs/tiny-hub/README.md").read_text()


def parsed_by_vllm(asked: dict) -> tuple[dict, float]:
    """Return the schema and the temperature that vLLM's server would decode with."""
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

    sampling = ChatCompletionRequest(**{key: value for key, value in asked.items() if key != "path"}).to_sampling_params(asked["max_tokens"], {})
    found = sampling.structured_outputs.json
    return found if isinstance(found, dict) else json.loads(found), sampling.temperature


def test_slice_names_cannot_leave_their_table():
    assert card.code("a`b|c\nd") == "`a b c d`"
