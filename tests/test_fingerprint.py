"""The cache keys follow what the code makes of the probe pairs, on every machine alike, and nothing else."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lm_eval.tasks._yaml_loader import load_yaml

from crm_dedup_plugin.evaluation import fingerprint, metrics
from crm_dedup_plugin.pair import answer, probe, prompt
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.policy import reasoning
from crm_dedup_plugin.provenance import PROMPT_VERSION, TASK_VERSION

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def computed_anew():
    """Forget hashes of earlier tests, and leave none of changed code."""
    for function in (probe.fingerprint, fingerprint.fingerprint):
        function.cache_clear()
    yield
    for function in (probe.fingerprint, fingerprint.fingerprint):
        function.cache_clear()


def test_the_probe_pairs_are_of_every_kind():
    rows = probe.rows()
    assert 24 <= len(rows) <= 60 and {row["output"]["decision"] for row in rows} == set(LABELS)
    text = "".join(json.dumps(row["input"], ensure_ascii=False) for row in rows)
    assert all(word in text for word in ("<|im_end|>", "[INST]", "李安", "Анна", "سارة", "\\u0000", "v" * 301))
    read = [answer.parse(row["answer"]) for row in rows]
    assert {one and one.decision for one in read} == {*LABELS, None} and any(answer.is_truncated(row["answer"]) for row in rows)


@pytest.mark.parametrize("seed", ["1", "2"])
def test_every_process_computes_the_same_hashes(seed):
    code = "from crm_dedup_plugin.evaluation import fingerprint; from crm_dedup_plugin.pair import probe\n"
    code += "print(probe.fingerprint(), fingerprint.fingerprint())"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == [probe.fingerprint(), fingerprint.fingerprint()], done.stderr


def test_another_prompt_is_another_question_and_another_task(monkeypatch):
    before = probe.fingerprint(), fingerprint.fingerprint()
    monkeypatch.setattr(prompt, "SHARED_PREFIX", prompt.SHARED_PREFIX.replace("data steward", "clerk"))
    probe.fingerprint.cache_clear(), fingerprint.fingerprint.cache_clear()
    assert probe.fingerprint() != before[0] and fingerprint.fingerprint() != before[1]


CHANGES = [(metrics, "rate", lambda flags, seed=7: {"value": 0.5}), (metrics, "RESAMPLES", 500), (reasoning, "is_grounded", lambda *_: False)]


@pytest.mark.parametrize(("module", "name", "changed"), CHANGES, ids=["metric", "intervals", "reasoning"])
def test_another_way_of_scoring_is_another_task_but_the_same_question(monkeypatch, module, name, changed):
    before = probe.fingerprint(), fingerprint.fingerprint()
    monkeypatch.setattr(module, name, changed)
    fingerprint.fingerprint.cache_clear()
    assert probe.fingerprint() == before[0] and fingerprint.fingerprint() != before[1]


def test_a_corrected_docstring_changes_no_key(monkeypatch):
    before = probe.fingerprint(), fingerprint.fingerprint()
    for module in (prompt, answer, metrics, reasoning):
        monkeypatch.setattr(module, "__doc__", "Corrected.")
        monkeypatch.setattr(module, "__file__", "/elsewhere.py")
    probe.fingerprint.cache_clear(), fingerprint.fingerprint.cache_clear()
    assert (probe.fingerprint(), fingerprint.fingerprint()) == before


def test_rounding_hides_the_last_digits_only():
    assert probe.sha256({"x": [0.1 + 0.2, -0.0]}) == probe.sha256({"x": [0.3, 0.0]}) != probe.sha256({"x": [0.3001, 0.0]})


def test_the_tasks_name_their_version():
    for path in sorted((ROOT / "lm_eval_tasks").rglob("*.yaml")):
        assert load_yaml(path)["metadata"] == {"version": TASK_VERSION}, path.name
    assert f"| {TASK_VERSION} |" in (ROOT / "lm_eval_tasks" / "README.md").read_text(encoding="utf-8")
    assert PROMPT_VERSION


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("metrics", ["evaluate", "evaluate_pairs"]),
        ("prompt", ["messages", "build"]),
        ("schema", ["MAX_ANSWER_TOKENS", "RESPONSE_FORMAT", "parse"]),
    ],
)
def test_published_paths_lead_to_where_the_code_lives(path, names):
    homes = {"metrics": metrics, "prompt": prompt, "schema": answer}
    published = importlib.import_module(f"crm_dedup_plugin.{path}")
    assert all(getattr(published, name) is getattr(homes[path], name) for name in names)


def test_the_committed_results_are_of_the_present_task_and_prompt():
    found = {path: json.loads(path.read_text(encoding="utf-8"))["inputs"] for path in (ROOT / "results").rglob("metrics.json")}
    hashes = {path: inputs["task_sha256"] for path, inputs in found.items() if inputs.get("task_version") == TASK_VERSION}
    shown = ("smollm2-135m", "smollm2-135m-base", "smollm2-135m-mean", "embedded", "demo/smollm2-135m", "demo/smollm2-135m-base")
    assert {ROOT / "results" / name / "metrics.json" for name in shown} <= set(hashes)
    assert set(hashes.values()) == {fingerprint.fingerprint()}
    files = [json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "results").rglob("*.json")]
    asked = [one["inputs"]["prompt_sha256"] for one in files if isinstance(one, dict) and "prompt_sha256" in (one.get("inputs") or {})]
    assert len(asked) >= 13 and set(asked) == {probe.fingerprint()}
