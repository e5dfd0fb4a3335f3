"""Measure one model on the test split: ``crm-dedup kpi smollm2-135m``, or ``make kpi-smollm2-135m``.

The work is lm-evaluation-harness's, with its stock `vllm` model; here its answers become
``results/MODEL/metrics.json``, with intervals and with what is needed to repeat them, a picture and a table.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crm_dedup_plugin import metrics, prompt, records, schema
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation import task
from crm_dedup_plugin.files import write_atomically

CONTEXT = 8192
SEED = 7
PACKAGES = ("axolotl", "bitsandbytes", "llguidance", "lm_eval", "peft", "torch", "transformers", "vllm")


def evaluate(name: str, model: str | None = None, extra: list[str] = (), force: bool = False, data: Path = task.TEST_SPLIT) -> dict:
    """Run the task `crm_dedup` on `model` (default ``outputs/NAME-merged``) and write ``results/NAME/``.

    `extra` goes to lm_eval. Does nothing where the numbers were made from the same model, data, task and options.
    """
    model = model or f"outputs/{name}-merged"
    if not data.is_file():
        raise UserError(f"{data} does not exist: run `make prep` first")
    if model.startswith("outputs/") and not (Path(model) / "config.json").is_file():
        raise UserError(f"{model} does not exist: run `make train-{name}` first")
    target = Path("results") / name / "metrics.json"
    inputs = _inputs(model, list(extra), data)
    if not force and target.is_file() and json.loads(target.read_text())["inputs"] == inputs:
        print(f"{target} is up to date")
        return json.loads(target.read_text())

    with tempfile.TemporaryDirectory(prefix="crm-dedup-") as folder:
        command, began = lm_eval_command(model, folder, data, list(extra)), time.monotonic()
        if subprocess.run(command, env={**environment(model), **os.environ}).returncode:
            raise UserError(f"the evaluation of {model} failed: its last lines are above")
        answers, seconds = _answers(Path(folder)), round(time.monotonic() - began, 1)
    result = summarise(answers) | {
        "model": model,
        "inputs": inputs,
        "seed": SEED,
        "seconds": seconds,
        "command": "lm_eval " + shlex.join(lm_eval_command(model, "FOLDER", data, list(extra))[3:]),
        "versions": {package: _version(package) for package in PACKAGES},
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, json.dumps(result, indent=2) + "\n")
    return result


def lm_eval_command(model: str, output: str, data: Path, extra: list[str]) -> list[str]:
    """Return the command line of the harness, with the engine's settings for this machine."""
    arguments = {"pretrained": model, "max_model_len": CONTEXT, "seed": SEED, **_engine()}
    return [
        *(sys.executable, "-m", "lm_eval", "--include_path", "lm_eval_tasks", "--tasks", "crm_dedup"),
        *("--model", "vllm", "--model_args", json.dumps(arguments), "--apply_chat_template", "--batch_size", "auto"),
        *("--metadata", json.dumps({"data": os.path.relpath(data)}), "--output_path", output, "--log_samples", *extra),
    ]


def summarise(answers: list[dict]) -> dict:
    """Return all metrics of `answers`: objects with gold, answer and slice."""
    gold, texts = [row["gold"] for row in answers], [row["answer"] for row in answers]
    slices = [row["slice"] or None for row in answers]
    return {**metrics.answer_quality(texts), **metrics.evaluate(gold, task.decisions(texts), slices, SEED)}


def environment(model: str) -> dict[str, str]:
    """Return the variables that vLLM wants on a machine without a GPU, and none that it does not."""
    import torch

    variables = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if Path(model).is_dir():
        variables["HF_HUB_OFFLINE"] = "1"
    if not torch.cuda.is_available():
        variables |= {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "OMP_NUM_THREADS": str(os.cpu_count())}
    return variables


def _engine() -> dict:
    import torch

    # Without a GPU, compiling takes longer than the whole evaluation, and bfloat16 is slow on most processors.
    return {} if torch.cuda.is_available() else {"enforce_eager": True, "dtype": "float32"}


def _answers(folder: Path) -> list[dict]:
    (path,) = folder.rglob("samples_crm_dedup_*.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    docs = [(row["doc"], row["filtered_resps"][0]) for row in sorted(rows, key=lambda row: row["doc_id"])]
    return [{"gold": doc["gold"], "slice": doc["slice"], "answer": answer} for doc, answer in docs if doc["id"] != task.CANARY["id"]]


def _inputs(model: str, extra: list[str], data: Path) -> dict[str, str]:
    code = hashlib.sha256()
    for module in (metrics, prompt, records, schema, task):
        code.update(Path(module.__file__).read_bytes())
    weights = hashlib.sha256()
    for path in sorted(Path(model).glob("*")) if Path(model).is_dir() else []:
        if path.suffix in (".safetensors", ".json", ".jinja"):
            with path.open("rb") as file:
                weights.update(hashlib.file_digest(file, "sha256").digest())
    return {
        "model_sha256": weights.hexdigest() if Path(model).is_dir() else model,
        "data_sha256": hashlib.sha256(data.read_bytes()).hexdigest(),
        "task_sha256": code.hexdigest(),
        "options": shlex.join(extra),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
