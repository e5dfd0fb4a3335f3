"""What a push puts together, and what it refuses: other models' numbers, broken weights, licences not kept, hostile names."""

import json
import os
import shutil
from pathlib import Path

import pytest
from hub_workspace import SECRETS, SHARDS, contents, dry, enter, measure, refused, write
from huggingface_hub import ModelCard

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.hub import bundle, licences
from crm_dedup_plugin.hub.push import check_repo, push


@pytest.fixture
def root(tmp_path, monkeypatch):
    return enter(tmp_path, monkeypatch)


def test_only_the_allow_list_gets_in_and_weights_are_linked(root):
    dry(dataset=True)
    names = {name for folder in ("outputs/tiny-hub", "outputs/tiny-hub-dataset") for name in contents(Path(folder))}
    assert not names & (set(SECRETS) - {"train.jsonl"}) and "SOURCE.json" not in names and "crm_dedup.json" not in names
    assert "train.jsonl" not in contents(Path("outputs/tiny-hub")) and not any(name.endswith(".log") for name in names)
    assert os.path.samefile(f"outputs/tiny-hub/{SHARDS[0]}", f"outputs/tiny-merged/{SHARDS[0]}")
    assert not os.path.samefile("outputs/tiny-hub/config.json", "outputs/tiny-merged/config.json")
    assert not [path for path in Path("outputs/tiny-hub").rglob("*") if path.is_symlink()]


def test_a_dry_run_replaces_the_last_one_but_nobody_elses_folder(root):
    first = dry()
    write(root / "outputs/tiny-hub/results/old.png", "stale")
    assert dry() == first and not Path("outputs/tiny-hub/results/old.png").exists()
    write(root / "outputs/tiny-hub/adapter_model.bin", "of a model called tiny-hub")
    with pytest.raises(UserError, match=r"outputs/tiny-hub holds other files, as adapter_model\.bin"):
        dry()
    assert Path("outputs/tiny-hub/adapter_model.bin").exists() and not list(Path("outputs").glob(".*.part"))


def test_a_full_disk_is_told_and_leaves_nothing(root, monkeypatch):
    monkeypatch.setattr(bundle.shutil, "copyfile", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert "make room" in refused(r"outputs/tiny-hub could not be written \(No space left on device\)")
    assert not list(Path("outputs").glob(".*.part"))


def test_metrics_must_be_there_and_of_this_model_and_these_pairs(root):
    measure(root, valid_json=None)
    refused("how many answers were valid: run `make kpi-tiny` again")
    measure(root)
    write(root / "outputs/tiny-merged/config.json", '{"model_type": "other"}')
    refused(r"metrics\.json was measured on another model")
    measure(root)
    with Path("data/splits/test.jsonl").open("a") as file:
        file.write("\n")
    refused(r"metrics\.json was measured on other pairs")
    measure(root)
    write(root / "outputs/results/tiny/training.json", json.dumps({"base_model": "outputs/tiny-base", "seconds": 1}))
    refused(r"training\.json is not of the training")
    Path("outputs/results/tiny/metrics.json").write_text("{")
    refused(r"metrics\.json is not JSON")
    Path("outputs/results/tiny/metrics.json").unlink()
    refused("does not exist: a model is published with its results: run `make kpi-tiny` first")


def test_only_whole_merged_models_in_safetensors_are_taken(root):
    merged = Path("outputs/tiny-merged")
    (merged / "adapter_config.json").write_text("{}")
    refused("an adapter that is not merged")
    (merged / "adapter_config.json").unlink()
    (merged / SHARDS[0]).write_bytes(b"\x80\x04pickle")
    refused("is not a file of safetensors")
    (merged / SHARDS[0]).unlink()
    refused(f"lacks {SHARDS[0]}")
    (merged / SHARDS[1]).unlink()
    refused("holds no merged model in safetensors: run `make train-tiny` first")
    shutil.rmtree(merged)
    refused("outputs/tiny-merged does not exist")


def test_a_base_of_unknown_licence_or_origin_is_refused_with_a_cure(root, monkeypatch):
    write(root / "outputs/tiny-merged/SOURCE.json", json.dumps({"model": "someone/some-model"}))
    measure(root)
    refused("the licence of someone/some-model is not known here: run `hf download someone/some-model README.md`")
    monkeypatch.setattr(licences, "cached", lambda base, file: root / "README.md")
    write(root / "README.md", "---\nlicense: other\nlicense_name: theirs\nlicense_link: LICENSE\n---\n")
    assert ModelCard(dry()).data.license_name == "theirs"
    Path("outputs/tiny-merged/SOURCE.json").unlink()
    with pytest.raises(UserError, match="a folder of unknown origin"):
        dry()


def test_llamas_licence_is_kept(root, monkeypatch):
    write(root / "outputs/tiny-merged/SOURCE.json", json.dumps({"model": "meta-llama/Llama-3.2-3B-Instruct"}))
    measure(root)
    monkeypatch.setattr(licences, "cached", lambda base, file: None)
    refused("wants a name that begins with Llama: choose one, as in --repo ann/Llama-crm-dedup-tiny")
    refused("run `hf download meta-llama/Llama-3.2-3B-Instruct LICENSE.txt`", repo=None)
    write(root / "cache/LICENSE.txt", "LLAMA 3.2 COMMUNITY LICENSE AGREEMENT, https://www.llama.com, LlamaUseReport@meta.com")
    monkeypatch.setattr(licences, "cached", lambda base, file: root / "cache" / file if file == "LICENSE.txt" else None)
    text = dry(repo=None)
    held = contents(Path("outputs/tiny-hub"))
    assert "**Built with Llama.**" in text and "# Llama-crm-dedup-tiny\n" in text and ModelCard(text).data.license == "llama3.2"
    assert b"Llama 3.2 is licensed under the Llama 3.2 Community License" in held["NOTICE"] and held["LICENSE.txt"].startswith(b"LLAMA")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../tiny", "a/b/c", "a/", "a/../b", "/etc", "tiny\n", "-x", "x" * 200, "tiny\x1b[31m", "täny", "$(id)"]
)
def test_hostile_names_of_models_are_refused(root, name):
    with pytest.raises(UserError, match="is not the name of a model") as caught:
        push(name, dry_run=True)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "repo",
    [
        "",
        "tiny",
        "a/b/c",
        "ann/",
        "/tiny",
        "ann/../x",
        "ann/a--b",
        "ann/x.git",
        "ann/ä",
        "ann/x y",
        "ann/x\n",
        "ann/" + "x" * 200,
        "../../x",
        "ann/;ls",
    ],
)
def test_hostile_names_of_repositories_are_refused(repo):
    with pytest.raises(UserError, match="is not the name of a repository: write ACCOUNT/NAME"):
        check_repo(repo)


def test_other_licences_are_passed_on_too(root, monkeypatch):
    shutil.copy(Path(__file__).parents[1] / "LICENSE", "LICENSE")
    assert "Its text: `LICENSE`." in dry() and b"Apache License" in contents(Path("outputs/tiny-hub"))["LICENSE"]
    write(root / "outputs/tiny-merged/SOURCE.json", json.dumps({"model": "microsoft/Phi-4-mini-instruct"}))
    measure(root)
    monkeypatch.setattr(licences, "cached", lambda base, file: None)
    with pytest.raises(UserError, match="run `hf download microsoft/Phi-4-mini-instruct LICENSE` and push again"):
        dry()
