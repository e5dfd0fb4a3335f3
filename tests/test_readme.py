"""README.md says what results/ says, and results/ was measured with the code and the configuration that are here."""

import hashlib
import importlib.util
import json
from pathlib import Path

from crm_dedup_plugin.prepare import prepare

ROOT = Path(__file__).resolve().parents[1]


def update_readme():
    spec = importlib.util.spec_from_file_location("update_readme", ROOT / "scripts" / "update_readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def result(name: str, file: str = "metrics.json") -> dict:
    return json.loads((ROOT / "results" / name / file).read_text(encoding="utf-8"))


def test_the_table_comes_from_the_results():
    script, readme = update_readme(), (ROOT / "README.md").read_text(encoding="utf-8")
    assert script.update(readme, script.render(ROOT / "results")) == readme


def test_the_results_belong_to_the_demo_set_of_this_code(tmp_path):
    prepare(tmp_path / "all.jsonl", tmp_path / "splits")
    digest = {name: hashlib.sha256((tmp_path / "splits" / f"{name}.jsonl").read_bytes()).hexdigest() for name in ("train", "test")}
    assert result("smollm2-135m", "training.json")["train_sha256"] == digest["train"]
    for name in ("smollm2-135m-base", "smollm2-135m"):
        assert result(name)["inputs"]["data_sha256"] == digest["test"]


def test_the_demo_keeps_its_promise():
    base, tuned = result("smollm2-135m-base"), result("smollm2-135m")
    assert tuned["macro_f1"]["value"] - base["macro_f1"]["value"] >= 0.35
    assert tuned["valid_json"] == 1.0
