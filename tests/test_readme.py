"""README.md says what results/ says, and results/ was measured with the code and the configuration that are here."""

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

from crm_dedup_plugin.dataset.prepare import prepare

ROOT = Path(__file__).resolve().parents[1]


def update_readme():
    sys.path.insert(0, str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location("update_readme", ROOT / "scripts" / "update_readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def result(name: str, file: str = "metrics.json") -> dict:
    return json.loads((ROOT / "results" / name / file).read_text(encoding="utf-8"))


def test_the_tables_come_from_the_results():
    script = update_readme()
    documents = script.blocks(ROOT)
    assert [path.relative_to(ROOT).as_posix() for path in documents] == ["README.md", "data/README.md", "results/quality.md", "results/tuning.md"]
    for path, sections in documents.items():
        text = path.read_text(encoding="utf-8")
        assert all(section in text for section in sections.values())
        assert script.update(text, sections) == text


def test_the_intervals_shown_span_all_trainings_and_the_values_stay():
    quality = update_readme().quality
    shown = result("smollm2-135m")
    others = [result(name) for name in quality.SEEDS.values()]
    assert {one["inputs"]["task_sha256"] for one in others} == {shown["inputs"]["task_sha256"]}
    spanned = quality._spanned(shown, others)
    for get in map(quality.NUMBERS.get, quality.REPEATED):
        here, there, wide = get(shown), [get(one) for one in others], get(spanned)
        assert wide["value"] == here["value"] and all(wide["low"] <= one["value"] <= wide["high"] for one in there)
        assert wide["low"] == min(one["low"] for one in (here, *there)) and wide["high"] == max(one["high"] for one in (here, *there))


def test_the_generated_set_is_hard_for_similarity():
    strings, boosting = (result(f"baseline-{name}")["macro_f1"]["value"] for name in ("strings", "boosting"))
    assert strings < 0.75
    assert boosting < 0.90


def test_the_card_is_of_the_set_that_the_baselines_saw():
    card = json.loads((ROOT / "results" / "data" / "all.card.json").read_text(encoding="utf-8"))
    assert card["pairs"] == 50_000
    assert len({key.split()[0] for key in card["slice"]}) >= 15
    assert len(card["locale"]) >= 15
    assert card["negatives_that_share_something"] >= 0.5


def test_the_results_belong_to_the_demo_set_of_this_code(tmp_path):
    prepare(tmp_path / "all.jsonl", tmp_path / "splits")
    digest = {name: hashlib.sha256((tmp_path / "splits" / f"{name}.jsonl").read_bytes()).hexdigest() for name in ("train", "test")}
    assert result("demo/smollm2-135m", "training.json")["train_sha256"] == digest["train"]
    for name in ("demo/smollm2-135m-base", "demo/smollm2-135m"):
        assert result(name)["inputs"]["data_sha256"] == digest["test"]


def test_the_demo_keeps_its_promise():
    base, tuned = result("demo/smollm2-135m-base"), result("demo/smollm2-135m")
    assert tuned["macro_f1"]["value"] - base["macro_f1"]["value"] >= 0.35
    assert tuned["valid_json"] == 1.0


def test_the_model_beats_the_baselines_on_the_pairs_that_all_were_asked():
    tuned = result("smollm2-135m")
    for name in ("strings", "boosting", "splink"):
        baseline = result(f"baseline-{name}")
        assert baseline["inputs"]["data_sha256"] == tuned["inputs"]["data_sha256"] and baseline["pairs"] == tuned["pairs"]
        assert tuned["macro_f1"]["low"] > baseline["macro_f1"]["high"]
    assert result("smollm2-135m", "training.json")["train_sha256"] != result("demo/smollm2-135m", "training.json")["train_sha256"]
