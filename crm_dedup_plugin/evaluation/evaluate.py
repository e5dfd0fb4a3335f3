"""Measure one model: ``crm-dedup kpi smollm2-135m``, or ``make kpi-smollm2-135m``.

lm-evaluation-harness asks the questions, with its stock `vllm` model. This module turns the answers into
``outputs/results/MODEL/metrics.json``: every number with its interval, and all that is needed to repeat the run.
"""

import importlib.util
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from crm_dedup_plugin.errors import UserError, advise
from crm_dedup_plugin.evaluation import answers, calibration, documents, fingerprint, linking, metrics
from crm_dedup_plugin.evaluation.answers import ATTACKS, FLIPS, REASONING, Item
from crm_dedup_plugin.inference import engine, models
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.files import read_pairs
from crm_dedup_plugin.provenance import families, versions
from crm_dedup_plugin.storage import RESULTS, write_atomically

MAIN, PUBLIC = "crm_dedup", "crm_dedup_public"
RATES = {"crm_dedup_swapped": FLIPS, "crm_dedup_shuffled": FLIPS, "crm_dedup_injected": ATTACKS}
HEADLINES = {  # key at the top of metrics.json: the task and the rate that it repeats
    "flip_rate": ("crm_dedup_swapped", "flip_rate"),
    "shuffle_flip_rate": ("crm_dedup_shuffled", "flip_rate"),
    "injection_moved": ("crm_dedup_injected", "moved_rate"),
    "injection_success": ("crm_dedup_injected", "attack_success"),
}


def evaluate(
    name: str,
    model: str | None = None,
    extra: Sequence[str] = (),
    force: bool = False,
    tasks: Sequence[str] | None = None,
    probabilities: bool = True,
    limit: int | None = None,
    per_file: int | None = None,
    copies: int = 1,
    data: Path | None = None,
) -> dict:
    """Run the tasks on `model` (default ``outputs/NAME-merged``), write ``outputs/results/NAME/metrics.json`` and return what it holds.

    `extra` goes to lm_eval. `limit` keeps the first pairs of each task, `per_file` some pairs of each benchmark. `copies` of
    the model, one on each GPU, share the pairs. Numbers that were made from the same model, data, task and options are not
    measured again. Raises UserError on what the user can correct.
    """
    model, data = model or models.named(name), data or documents.place(documents.TEST_SPLIT)
    check_copies(copies)
    if not data.is_file():
        raise UserError(f"{data} does not exist: run `crm-dedup prepare` first")
    if model.startswith("outputs/") and not (Path(model) / "config.json").is_file():
        raise UserError(f"{model} does not exist: run {advise('train', name)} first")
    seen = families(model)
    tasks = _tasks(tasks, seen)
    linkable = probabilities and PUBLIC in tasks and not (limit or per_file)
    held_out = documents.place(documents.LISTS)
    lists = [held_out] if linkable and held_out.is_file() else []
    if linkable and not lists:
        cure = f"crm-dedup synth --lists --n 4000 --seed 9 --out data/{held_out.name}"
        print(f"the public pairs are not linked, because there are no held-out lists: run `{cure}` to make them")
    benchmarks = documents.benchmark_files(without=seen) if PUBLIC in tasks else []
    files = [*_files(tasks, data, probabilities), *benchmarks, *lists]
    metadata = {"data": os.path.relpath(data), "per_file": per_file, "without": seen}
    metadata = {key: value for key, value in metadata.items() if value}
    options = [*(("--limit", str(limit + 1)) if limit else ()), *extra]  # the canary comes first
    used = fingerprint.describe(model, tasks, data, files, [*options, *([f"per_file={per_file}"] if per_file else [])])
    target = RESULTS / name / "metrics.json"
    if not force and target.is_file() and json.loads(target.read_text())["inputs"] == used:
        print(f"{target} is up to date")
        return json.loads(target.read_text())

    command = partial(lm_eval_command, model, tasks=tasks, metadata=metadata, options=options, copies=copies)
    kept = Path("outputs") / f"{name}-kpi.json"
    items, seconds = _ask(command, model, tasks, kept, used, force)
    began = time.monotonic()
    linked = benchmarks if lists else []
    found = _probabilities(model, [data, _validation(data), *lists, *linked], limit) if probabilities else {}
    result = summarise(items) | {
        "calibration": calibrate(found[data], found[_validation(data)], _validation(data), items[MAIN]) if probabilities else None,
        "linking": link(found, held_out, linked) if lists else None,
        "model": model,
        "inputs": used,
        "seed": engine.SEED,
        "seconds": round(seconds + time.monotonic() - began, 1),
        "command": "lm_eval " + shlex.join(command("FOLDER")[3:]),
        "versions": versions(),
    }
    write_atomically(target, json.dumps(result, indent=2) + "\n")
    kept.unlink(missing_ok=True)
    return result


def summarise(items: dict[str, Sequence[Item]]) -> dict:
    """Return all metrics by task. Those of `crm_dedup` and the headlines of the other tasks are at the top level."""
    plain = {item.key: answers.decision(item) for item in items[MAIN]}
    parts = {
        task: answers.summarise(part, (*REASONING, *RATES.get(task, ())), plain, engine.SEED, two_way=task in (PUBLIC, "crm_dedup_pairs"))
        for task, part in items.items()
    }
    headlines = {key: parts[task][rate] for key, (task, rate) in HEADLINES.items() if task in parts}
    return {**parts.pop(MAIN), **headlines, "tasks": parts}


def calibrate(probs: list, val_probs: list, val: Path, items: Sequence[Item]) -> dict:
    """Return `calibration.measure` of the test split, and how often the most probable decision is the one that was written.

    `probs` and `val_probs` are (pairs, 3), for `items` and for the first pairs of the file `val`.
    """
    likeliest = [LABELS[row.index(max(row))] for row in probs]
    agree = [answers.decision(item) == label for item, label in zip(items, likeliest, strict=True)]
    val_gold = [pair.label for pair in read_pairs(val, len(val_probs), labels=LABELS)]
    measured = calibration.measure([item.gold for item in items], probs, val_gold, val_probs, engine.SEED)
    return {**measured, "agreement": metrics.rate(agree, engine.SEED)}


def link(found: dict[Path, list], lists: Path, benchmarks: Sequence[Path]) -> dict:
    """Return `linking.measure` of the public pairs, one slice per file, with the threshold from `lists`; `found` are probabilities by file."""
    match = {path: [linking.truth(pair) for pair in read_pairs(path)] for path in (lists, *benchmarks)}
    scores = {path: linking.score(found[path]) for path in match}
    slices = [path.stem for path in benchmarks for _ in match[path]]
    together = np.concatenate([scores[path] for path in benchmarks])
    return linking.measure([one for path in benchmarks for one in match[path]], together, slices, match[lists], scores[lists], engine.SEED)


def lm_eval_command(model: str, output: str, tasks: Sequence[str], metadata: dict, options: Sequence[str], copies: int = 1) -> list[str]:
    """Return the command line of the harness, with the settings of the engine for this machine."""
    arguments = {"pretrained": model, **engine.settings(), **({"data_parallel_size": copies} if copies > 1 else {})}
    return [
        *(sys.executable, "-m", "lm_eval", "--include_path", os.path.relpath(documents.TASKS), "--tasks", ",".join(tasks)),
        *("--model", "vllm", "--model_args", json.dumps(arguments), "--apply_chat_template", "--batch_size", "auto"),
        *("--metadata", json.dumps(metadata), "--output_path", output, "--log_samples", *options),
    ]


def check_copies(copies: int, there: int | None = None) -> None:
    """Raise UserError on more copies than GPUs: `there` are those of a cluster, else those of this machine count, unless RAY_ADDRESS is set."""
    if copies == 1:
        return
    if not importlib.util.find_spec("ray"):
        raise UserError(f"--data-parallel-size {copies} needs Ray: run `.venv/bin/pip install ray`, or leave the option out")
    if there is None and "RAY_ADDRESS" not in os.environ:
        import torch

        there = torch.cuda.device_count()
    if there is not None and copies > there:
        raise UserError(f"--data-parallel-size {copies}: each copy takes a GPU and there are {there}: give less, or name a --cluster that has more")


def _ask(
    command: Callable[[str], list[str]], model: str, tasks: Sequence[str], kept: Path, used: dict, force: bool
) -> tuple[dict[str, tuple[Item, ...]], float]:
    """Return the answers by task and the seconds they took.

    Both are saved in `kept`, so that an interrupted run need not ask again unless `force`; the file holds nothing of the records.
    """
    found = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() and not force else {}
    if found.get("inputs") != used:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="crm-dedup-") as folder:
            run_process(command(folder), model)
            items = {task: _items(Path(folder), task) for task in tasks}
        found = {"inputs": used, "seconds": time.monotonic() - began, "items": items}
        write_atomically(kept, json.dumps(found))
    return {task: tuple(Item(*item) for item in part) for task, part in found["items"].items()}, found["seconds"]


def _tasks(asked: Sequence[str] | None, seen: Sequence[str]) -> list[str]:
    """Return the tasks to run: `crm_dedup` and those asked for, or all that have data. `seen` holds the families that the model was trained on."""
    wanted = PUBLIC in asked if asked else bool(os.environ.get(documents.BENCHMARKS))
    unseen = wanted and bool(documents.benchmark_files(without=seen))
    if wanted and not unseen:
        said = f"the model was trained on the families of all public files ({', '.join(seen)}), so none of them can measure it"
        if asked:
            raise UserError(f"{said}: leave out --tasks {PUBLIC}")
        print(f"the public pairs are left out: {said}")
    if asked:
        if unknown := sorted(set(asked) - set(documents.TASK_NAMES)):
            raise UserError(f"no task {', '.join(unknown)}: use some of {', '.join(documents.TASK_NAMES)}")
        return list(dict.fromkeys((MAIN, *asked)))
    extra = ("crm_dedup_unseen",) * documents.place(documents.UNSEEN).is_file() + (PUBLIC,) * unseen
    return [MAIN, *RATES, *extra]


def _files(tasks: Sequence[str], data: Path, probabilities: bool) -> list[Path]:
    """Return the files that are read besides `data`."""
    needed = {_validation(data): "`crm-dedup prepare` first, or give --no-probabilities"} if probabilities else {}
    if "crm_dedup_unseen" in tasks:
        needed[documents.place(documents.UNSEEN)] = "`crm-dedup synth --unseen --out data/unseen.jsonl` first"
    for path, cure in needed.items():
        if not path.is_file():
            raise UserError(f"{path} does not exist: run {cure}")
    return list(needed)


def _validation(data: Path) -> Path:
    return data.with_name("val.jsonl")


def run_process(command: list[str], model: str) -> None:
    """Run a process that asks `model`; raises UserError where it fails."""
    if subprocess.run(command, env={**engine.environment(model), **os.environ}).returncode:
        raise UserError(f"the evaluation of {model} failed: its last lines are above")


def _items(folder: Path, task: str) -> tuple[Item, ...]:
    (path,) = folder.rglob(f"samples_{task}_[0-9]*.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    return answers.screen(tuple(Item(*row["valid_json"]) for row in sorted(rows, key=lambda row: row["doc_id"])))


def _probabilities(model: str, files: Sequence[Path], limit: int | None) -> dict[Path, list]:
    """Return the probabilities of the decisions on the first pairs of each file."""
    with tempfile.TemporaryDirectory(prefix="crm-dedup-") as folder:
        out = Path(folder) / "probabilities.json"
        command = [sys.executable, "-m", "crm_dedup_plugin.evaluation.probabilities", model, str(out), *map(str, files)]
        run_process([*command, *(("--limit", str(limit)) if limit else ())], model)
        found = json.loads(out.read_text())
    return {path: found[str(path)] for path in files}
