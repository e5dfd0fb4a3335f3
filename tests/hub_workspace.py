"""A folder with all that a push reads: a tiny merged model, its results, its configuration and generated splits."""

import functools
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from crm_dedup_plugin.dataset.prepare import prepare
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation import metrics
from crm_dedup_plugin.hub.push import push
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.provenance import model_digest

REPO = "ann/crm-dedup-tiny"
BASE = "HuggingFaceTB/SmolLM2-135M-Instruct"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
SECRETS = {  # in the folder of the merged model, and never to be sent
    "optimizer.pt": b"\x80\x04state",
    "pytorch_model.bin": b"\x80\x04weights",
    "adapter_model.safetensors": b"adapter",
    "debug.log": b"/home/ann/crm",
    "train.jsonl": b"{}",
    ".env": b"HF_TOKEN=1",
}


def enter(folder: Path, monkeypatch) -> Path:
    """Copy the workspace to `folder`/work, go there and return it."""
    shutil.copytree(_built().name, folder / "work")
    monkeypatch.chdir(folder / "work")
    return folder / "work"


def dry(**options) -> str:
    """Push without uploading and return the card of the model."""
    push("tiny", **{"repo": REPO, "dry_run": True, **options})
    return Path("outputs/tiny-hub/README.md").read_text()


def refused(match: str, **options) -> str:
    """Return why a push is refused; nothing is put together then."""
    with pytest.raises(UserError, match=match) as caught:
        dry(**options)
    assert not Path("outputs/tiny-hub").exists()
    return str(caught.value)


@functools.cache
def _built() -> tempfile.TemporaryDirectory:
    folder = tempfile.TemporaryDirectory(prefix="crm-dedup-")
    build(Path(folder.name))
    return folder


def build(root: Path) -> None:
    """Write the workspace to `root`."""
    write(root / "axolotl_configs/tiny.yml", "base_model: outputs/tiny-base\nlearning_rate: 2e-3\n")
    prepare(root / "none.jsonl", root / "data/splits", demo_pairs=90)
    merged = root / "outputs/tiny-merged"
    texts = {
        "config.json": '{"model_type": "llama"}',
        "generation_config.json": "{}",
        "tokenizer.json": '{"vocab": {}}',
        "tokenizer_config.json": "{}",
    }
    texts |= {"chat_template.jinja": "{{ messages }}", "SOURCE.json": json.dumps({"model": BASE, "weights": "as published"})}
    for name, text in texts.items():
        write(merged / name, text)
    for number, shard in enumerate(SHARDS):
        save_file({f"weight{number}": np.full((64, 64), number, dtype=np.float32)}, merged / shard)
    write(merged / "model.safetensors.index.json", json.dumps({"weight_map": {f"weight{n}": shard for n, shard in enumerate(SHARDS)}}))
    for name, data in SECRETS.items():
        (merged / name).write_bytes(data)
    train = {"base_model": "outputs/tiny-base", "overrides": [], "seconds": 12.3, "train_sha256": sha256(root / "data/splits/train.jsonl")}
    write(merged / "crm_dedup.json", json.dumps(train))
    write(root / "outputs/results/tiny/training.json", json.dumps(train))
    write(root / "outputs/results/tiny/debug.log", "not a result")
    (root / "outputs/results/tiny/confusion.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    measure(root)


def measure(root: Path, **changes) -> None:
    """Write metrics.json of the model and the splits as they are, with `changes`."""
    gold = [label for label in LABELS for _ in range(10)]
    predicted = ["NO_MATCH" if number < 4 else label for number, label in enumerate(gold)]
    result = metrics.evaluate(gold, predicted, ["easy" if number % 2 else "hard" for number in range(30)])
    result |= {"valid_json": 1.0, "truncated": 0.0, "tasks": {}, "calibration": None, "seed": 7, "versions": {"vllm": "1.2.3"}}
    result |= {name: metrics.rate([True, False, False, False]) for name in ("flip_rate", "injection_moved", "injection_success")}
    hashes = {"model_sha256": model_digest(str(root / "outputs/tiny-merged")), "data_sha256": sha256(root / "data/splits/test.jsonl")}
    result["inputs"] = {**hashes, "task_sha256": "0" * 64, "options": ""}
    write(root / "outputs/results/tiny/metrics.json", json.dumps({**result, **changes}, indent=2))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
