"""The measured tables reach the documents that name them, and results/ holds what the project promises."""

import fnmatch
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crm_dedup_plugin.dataset.prepare import prepare
from crm_dedup_plugin.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import quality  # noqa: E402
import update_documents  # noqa: E402


def result(name: str, file: str = "metrics.json") -> dict:
    return json.loads((ROOT / "results" / name / file).read_text(encoding="utf-8"))


@pytest.fixture
def copy(tmp_path) -> Path:
    """A repository with documents that name blocks, and results of which one was changed."""
    for name in ("demo/smollm2-135m-base", "demo/smollm2-135m", "demo/baseline-strings", "demo/baseline-boosting", "demo/baseline-splink"):
        shutil.copytree(ROOT / "results" / name, tmp_path / "results" / name)
    changed = {**result("demo/smollm2-135m"), "macro_f1": {"value": 0.123, "low": 0.111, "high": 0.134}}
    (tmp_path / "results/demo/smollm2-135m/metrics.json").write_text(json.dumps(changed))
    for document in ("README.md", "docs/results.md", "data/README.md"):
        (tmp_path / document).parent.mkdir(exist_ok=True)
        (tmp_path / document).write_text("before\n<!-- demo: begin -->\nold\n<!-- demo: end -->\nafter\n<!-- speed: begin -->\n<!-- speed: end -->\n")
    (tmp_path / "docs/other.md").write_text("nothing measured\n")
    return tmp_path


def test_each_document_gets_the_blocks_that_it_names(copy):
    names = ["README.md", "data/README.md", "docs/results.md"]
    assert [path.relative_to(copy).as_posix() for path in update_documents.update_all(copy, check=True)] == names
    assert "\nold\n" in (copy / "README.md").read_text()
    assert [path.relative_to(copy).as_posix() for path in update_documents.update_all(copy)] == names
    for name in names:
        text = (copy / name).read_text()
        assert "0.12 (0.11-0.13)" in text and "\nold\n" not in text and text.startswith("before\n") and "\nafter\n" in text
        assert "| offline, full" in text
    assert update_documents.update_all(copy) == []


def test_a_block_that_nobody_writes_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no block named 'demos': use one of headline, quickstart, results, demo"):
        update_documents.update("<!-- demos: begin -->\n<!-- demos: end -->", tmp_path)


def test_every_block_can_be_written_and_the_headline_is_small():
    blocks = {name: write(ROOT / "results") for name, write in update_documents.BLOCKS.items()}
    assert not any("None" in text for text in blocks.values())
    assert [name for name, text in blocks.items() if "| " not in text] == ["learned"], "all others are tables"
    lines = blocks["headline"].splitlines()
    assert len(lines) == 2 + len(quality.MODELS | quality.BASELINES) and max(map(len, lines)) < 200


def test_the_intervals_shown_span_all_trainings_and_the_values_stay():
    one = {"a": {"value": 0.5, "low": 0.4, "high": 0.6}, "b": {"c": {"value": 1, "low": 1, "high": 1}}, "name": "first"}
    two = {"a": {"value": 0.3, "low": 0.2, "high": 0.35}, "b": {"c": {"value": 1, "low": 0, "high": 2}}, "name": "second"}
    wide = {"a": {"value": 0.5, "low": 0.2, "high": 0.6}, "b": {"c": {"value": 1, "low": 0, "high": 2}}, "name": "first"}
    assert quality.spanned(one, [two]) == wide and quality.spanned(one, []) == one


def written_paths(text: str, folders: set[str]) -> set[str]:
    """Return what a document says of files in `folders`, with "*" for a name in capitals; also names of programs alone, as in `train.py`."""
    names = "|".join(sorted(folders))
    found = re.findall(rf"(?<![\w./-])(?:{names})/[\w./*-]*[\w/*]", text) + re.findall(r"`(\w+\.(?:py|sh|yml|yaml))`", text)
    return {re.sub(r"\b[A-Z]+\b", "*", name) for name in found}


@pytest.mark.parametrize("document", ["README.md", *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("[dlrs]*/*.md"))])
def test_every_path_that_a_document_names_is_there(document):
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    inside = [name.removeprefix("crm_dedup_plugin/") for name in tracked if name.startswith("crm_dedup_plugin/")]
    folders = {name.partition("/")[0] for name in [*tracked, *inside] if "/" in name} - {"data"}  # its files are yours: git ignores them
    there = {*tracked, *inside, *(f"{parent}/" for name in [*tracked, *inside] for parent in Path(name).parents)}
    there |= {name.removesuffix("/") for name in there} | {Path(name).name for name in tracked}
    text = update_documents.MARKS.sub("", (ROOT / document).read_text(encoding="utf-8"))  # commands in results are as they were run
    missing = {name for name in written_paths(text, folders) if not fnmatch.filter(there, name)}
    assert missing == set()


@pytest.fixture
def measured(tmp_path) -> Path:
    """A copy of what was measured, to be changed."""
    for path in (ROOT / "results").rglob("metrics.json"):
        copy = tmp_path / path.relative_to(ROOT / "results")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "change", "lost"),
    [
        ("baseline-boosting", lambda found: found["macro_f1"].update(high=0.999), "the fine-tuned model is better than similarity"),
        ("baseline-splink", lambda found: found["inputs"].update(data_sha256="other pairs"), "the fine-tuned model is better than similarity"),
        ("baseline-policy", lambda found: found["accuracy"].update(low=0.9), "the policy is right by construction"),
        ("baseline-policy", lambda found: found["linking"]["slices"].clear(), "on some public sets the rules of the policy link best"),
    ],
)
def test_a_sentence_that_the_results_do_not_show_is_named(measured, name, change, lost):
    path = measured / name / "metrics.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    change(found)
    path.write_text(json.dumps(found), encoding="utf-8")
    assert [claim.startswith(lost) for claim, holds in update_documents.CLAIMS.items() if not holds(measured)] == [True]


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_results_belong_to_the_demo_set_of_this_code(tmp_path):
    prepare(tmp_path / "all.jsonl", tmp_path / "splits", demo_pairs=1500)
    digest = {name: hashlib.sha256((tmp_path / "splits" / f"{name}.jsonl").read_bytes()).hexdigest() for name in ("train", "test")}
    assert result("demo/smollm2-135m", "training.json")["train_sha256"] == digest["train"]
    for name in ("demo/smollm2-135m-base", "demo/smollm2-135m"):
        assert result(name)["inputs"]["data_sha256"] == digest["test"]
