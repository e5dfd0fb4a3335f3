"""Choose how SmolLM2-135M is trained, on the validation split alone: ``.venv/bin/python scripts/search.py``.

Each arm is ``axolotl_configs/smollm2-135m.yml`` with other settings or other training pairs, trained by the command that a user runs, and
judged by the decisions of the validation split. Keeps ``results/search.json``; an arm that is there is not repeated.
Needs the generated files of the README (``data/all.jsonl``, ``more.jsonl``, ``lists.jsonl``) and a GPU, better several.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import yaml
from ablation import decide

from crm_dedup_plugin.dataset.prepare import prepare
from crm_dedup_plugin.evaluation import metrics
from crm_dedup_plugin.evaluation.documents import read_rows
from crm_dedup_plugin.provenance import digest, versions
from crm_dedup_plugin.storage import write_atomically
from crm_dedup_plugin.training.run import MANIFEST

CONFIG, RESULT, FOLDER = Path("axolotl_configs/smollm2-135m.yml"), Path("results/search.json"), Path("outputs/search")
SEED = 7
RECIPE = ("shuffled", "injected", "injected", "injected", "renamed", "brief")


class Arm(NamedTuple):
    """One way to train: the files of more training pairs, how all are augmented, and what differs from the configuration."""

    also: tuple[str, ...] = ("data/more.jsonl", "data/lists.jsonl")
    augmentations: tuple[str, ...] = RECIPE
    settings: dict = {}  # noqa: RUF012


ARMS = {
    "as it is": Arm(),
    "no lists": Arm(also=("data/more.jsonl",)),
    "no more pairs": Arm(also=("data/lists.jsonl",)),
    "plain reasonings": Arm(augmentations=(*RECIPE[:-1], "plain")),
    "reasonings as they are": Arm(augmentations=RECIPE[:-1]),
    "known field names": Arm(augmentations=tuple(kind for kind in RECIPE if kind != "renamed")),
    "no copies": Arm(augmentations=("renamed", "brief")),
    "decision counts once": Arm(settings={"crm_dedup_decision_weight": 1.0}),
    "rank 64, rate 1e-3": Arm(settings={"lora_r": 64, "lora_alpha": 128, "learning_rate": 1e-3}),
    "rate 1e-3": Arm(settings={"learning_rate": 1e-3}),
    "three epochs": Arm(settings={"num_epochs": 3}),
}


def run(only: list[str], gpus: list[str], workers: int, data: Path) -> None:
    """Train and judge the arms that are missing, `workers` at a time on each GPU, keeping each as soon as it is done."""
    found = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {"arms": {}}
    missing = [name for name in ARMS if name not in found["arms"] and (not only or name in only)]
    for folder, arm in {_splits(ARMS[name]): ARMS[name] for name in missing}.items():
        prepare(data, folder, augmentations=arm.augmentations, also=[Path(name) for name in arm.also])
    found |= {"command": f"scripts/search.py --data {data}", "versions": versions(), "seed": SEED, "data_sha256": digest([data])}
    free, lock = queue.Queue(), threading.Lock()
    for gpu in gpus * workers:
        free.put(gpu)

    def one(name: str) -> None:
        gpu = free.get()
        try:
            variables = {"CUDA_VISIBLE_DEVICES": gpu} if gpu else {}
            log = FOLDER / f"{_slug(name)}.log"
            with log.open("w") as file:
                code = subprocess.run([sys.executable, __file__, "--one", name], env={**os.environ, **variables}, stdout=file, stderr=file).returncode
            if code:
                print(f"{name}: failed, see {log}", flush=True)
                return
            with lock:
                found["arms"][name] = json.loads((FOLDER / f"{_slug(name)}.json").read_text(encoding="utf-8"))
                write_atomically(RESULT, json.dumps(found, indent=2) + "\n")
            print(f"{name}: {found['arms'][name]['macro_f1']['value']:.3f}", flush=True)
        finally:
            free.put(gpu)

    with ThreadPoolExecutor(len(gpus) * workers) as pool:
        list(pool.map(one, missing))


def train_one(name: str) -> None:
    """Train one arm with ``crm-dedup train`` and write what the validation split says of it."""
    arm, slug = ARMS[name], _slug(name)
    splits = _splits(arm)
    settings = {**yaml.safe_load(CONFIG.read_text(encoding="utf-8")), **arm.settings}
    settings["datasets"][0]["path"] = str(splits / "train.jsonl")
    config = FOLDER / f"{slug}.yml"
    write_atomically(config, yaml.safe_dump(settings))
    subprocess.run([sys.executable, "-m", "crm_dedup_plugin", "train", str(config), "--name", f"search/{slug}"], check=True)
    rows = read_rows(splits / "val.jsonl", "run this again")
    model, gold = FOLDER / f"{slug}-merged", [row["output"]["decision"] for row in rows]
    result = metrics.evaluate(gold, judge(model, rows), None, SEED)
    training = json.loads((model / MANIFEST).read_text(encoding="utf-8"))
    judged = {key: result[key] for key in ("macro_f1", "f1_duplicate", "f1_possible", "f1_no_match", "pairs")}
    details = {key: training[key] for key in ("train_sha256", "seconds", "machine")}
    written = {"also": arm.also, "augmentations": arm.augmentations, "settings": arm.settings, **judged, **details}
    write_atomically(FOLDER / f"{slug}.json", json.dumps(written))


def judge(model: Path, rows: list[dict]) -> list[str]:
    """Return the decisions of a merged model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device, dtype = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
    return decide(AutoModelForCausalLM.from_pretrained(model, dtype=dtype).to(device), AutoTokenizer.from_pretrained(model), rows, device)


def table(path: Path = RESULT) -> str:
    """Return the arms with macro F1 on the validation split, its interval, and the minutes of training."""
    from tabulate import tabulate

    from crm_dedup_plugin.reporting import quality_tables

    arms = json.loads(path.read_text(encoding="utf-8"))["arms"]
    rows = [
        [name, quality_tables.share(arms[name]["macro_f1"]), f"{arms[name]['seconds'] / 60:.1f}", arms[name]["machine"]]
        for name in ARMS
        if name in arms
    ]
    return tabulate(rows, headers=["arm", "macro F1, validation", "minutes", "on"], tablefmt="github", disable_numparse=True) + "\n"


def _splits(arm: Arm) -> Path:
    return FOLDER / "-".join(("splits", *(Path(name).stem for name in arm.also), *arm.augmentations))


def _slug(name: str) -> str:
    return "".join(char if char.isalnum() else "-" for char in name)


def main() -> None:
    """Run the arms, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data/all.jsonl"))
    parser.add_argument("--only", nargs="+", default=[], metavar="ARM")
    parser.add_argument("--gpus", nargs="+", default=[""], help="their numbers (what CUDA shows first)")
    parser.add_argument("--workers", type=int, default=1, help="arms at a time on each GPU (%(default)s)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if options.one:
        train_one(options.one)
    else:
        run(options.only, options.gpus, options.workers, options.data)


if __name__ == "__main__":
    main()
