"""Tune a model on few labels of each public set, again and again, and keep its log-odds: ``.venv/bin/python scripts/experiments/learning_curve.py``.

Needs the public sets (CRM_DEDUP_BENCHMARKS) and takes hours of one GPU's process: `--part 2/6` does every sixth training, so that several
processes share them. Writes ``outputs/learning/odds/NAME.json``, one file a training; `learning_curve_summary.py` makes
``results/learning.json`` of them. `--sets outputs/learning/sets --settings` compares settings instead, on sets that no result is about.
"""

import argparse
import gc
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import learning_data
import numpy as np

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.evaluation.documents import BENCHMARKS
from crm_dedup_plugin.inference import embedded
from crm_dedup_plugin.learning import Tuning, tune
from crm_dedup_plugin.matching.probability import log_odds
from crm_dedup_plugin.pair.files import Pair
from crm_dedup_plugin.provenance import versions
from crm_dedup_plugin.storage import write_atomically

OUT = Path("outputs/learning/odds")
ENVIRONMENT = "environment.json"  # beside the log-odds: where they come from
BATCH = 64
CROSS_VALIDATED = (50,)
SETTINGS = {
    "4 passes at 1e-4": Tuning(learning_rate=1e-4),
    "4 passes at 5e-5": Tuning(learning_rate=5e-5),
    "4 passes at 2e-4": Tuning(learning_rate=2e-4),
    "8 passes at 5e-5": Tuning(passes=8, learning_rate=5e-5),
    "12 passes at 3e-5": Tuning(passes=12, learning_rate=3e-5),
    "12 passes at 1e-4": Tuning(passes=12, learning_rate=1e-4),
    "4 passes at 1e-4, no generated pairs": Tuning(learning_rate=1e-4, share=0),
    "4 passes at 1e-4, twice as many generated pairs": Tuning(learning_rate=1e-4, share=2 / 3),
}


def odds(model: str | Path, pairs: Sequence[Pair]) -> np.ndarray:
    """Return the log-odds (pairs,) of one entity, in batches that are padded on the right."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from crm_dedup_plugin.pair import tokens

    tokenizer = AutoTokenizer.from_pretrained(model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype="auto").to(device).eval()
    start, firsts = tokens.decision_ids(tokenizer)
    prompts = [ids + start for ids in tokens.batch_prompt_ids(tokenizer, [pair.records for pair in pairs])]
    found = np.empty((len(pairs), len(firsts)))
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    with torch.inference_mode():
        for part in (order[at : at + BATCH] for at in range(0, len(order), BATCH)):
            longest = len(prompts[part[-1]])
            ids = torch.tensor([prompts[at] + [0] * (longest - len(prompts[at])) for at in part], device=device)
            mask = torch.tensor([[1] * len(prompts[at]) + [0] * (longest - len(prompts[at])) for at in part], device=device)
            hidden = loaded.model(input_ids=ids, attention_mask=mask).last_hidden_state
            last = hidden[torch.arange(len(part), device=device), mask.sum(dim=1) - 1]
            found[part] = loaded.lm_head(last)[:, firsts].float().softmax(dim=1).cpu().numpy()
    return log_odds(found)


def plan(files: Sequence[Path], settings: bool, usual: str) -> list[tuple]:
    """Return all trainings as (file, draw, labels, fold or None, settings), the most important ones first; `usual` names the settings."""
    if settings:
        return [(path, draw, 50, None, name) for name in SETTINGS for path in files for draw in range(3)]
    draws = range(learning_data.DRAWS)
    whole = [(path, draw, count, None, usual) for count in (50, 300, 100, 20) for path in files for draw in draws]
    parts = [(path, draw, count, fold, usual) for count in CROSS_VALIDATED for path in files for draw in draws for fold in range(3)]
    return whole + parts


def machine() -> str:
    """Return the name of the GPU, or how many cores there are without one."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} cores without a GPU"


def train(model: Path, pairs: Sequence[Pair], chosen: np.ndarray, asked: np.ndarray, tuning: Tuning) -> np.ndarray:
    """Return the log-odds of the pairs `asked` after a tuning on the pairs `chosen`."""
    with tempfile.TemporaryDirectory(prefix="curve-") as work:
        tuned = tune(str(model), [(*pairs[at].records, pairs[at].label == 1) for at in chosen], Path(work), tuning, run=in_this_process)
        return odds(tuned, [pairs[at] for at in asked])


def in_this_process(what: str, config: Path, settings: dict, target: Path, processes: int) -> dict:
    """Do as `training.train.run` does, but without a new process, whose start takes 20 seconds."""
    import torch
    from axolotl.cli.train import do_cli

    from crm_dedup_plugin.training.merge import adopt
    from crm_dedup_plugin.training.plugin import DONE
    from crm_dedup_plugin.training.train import QUIET

    os.environ.update({**QUIET, **os.environ})
    if settings["adapter"]:
        raise UserError(f"{what}: an adapter is trained in a process of its own")
    before = sys.argv
    sys.argv = ["axolotl", str(config)]
    try:
        do_cli(str(config))
    finally:
        sys.argv = before
    adopt(Path(settings["output_dir"]), target)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    done = json.loads((Path(settings["output_dir"]) / DONE).read_text(encoding="utf-8"))
    return {"seconds": done["seconds"], "machine": done["machine"]}


def base_odds(model: Path, path: Path, pairs: Sequence[Pair]) -> np.ndarray:
    """Return what the model says of all pairs of a file before any label; kept."""
    target = OUT / f"{path.stem}-before.json"
    if not target.is_file():
        write_atomically(target, json.dumps({"z": odds(model, pairs).tolist()}))
    return np.array(json.loads(target.read_text(encoding="utf-8"))["z"])


def main() -> None:
    """Do the trainings of a part that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", type=Path, default=os.environ.get(BENCHMARKS), help=f"a folder of labelled pairs; or set {BENCHMARKS}")
    parser.add_argument("--settings", action="store_true", help="compare settings")
    parser.add_argument("--setting", type=int, default=2, help="which of the settings, from 0: " + ", ".join(SETTINGS))
    parser.add_argument("--part", default="1/1", help="which part of how many")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no training after so many minutes")
    options = parser.parse_args()
    own, parts = map(int, options.part.split("/"))
    OUT.mkdir(parents=True, exist_ok=True)
    model, began = embedded.folder(), time.monotonic()
    write_atomically(OUT / ENVIRONMENT, json.dumps({"machine": machine(), "versions": versions()}, indent=1) + "\n")
    files = sorted(options.sets.glob("*.jsonl") if options.sets else [])
    known = {path: learning_data.load(path) for path in files}
    before = {path: base_odds(model, path, pairs) for path, pairs in known.items()}
    for number, (path, draw, count, fold, name) in enumerate(plan(files, options.settings, list(SETTINGS)[options.setting])):
        pairs, z = known[path], before[path]
        mark = "-".join(map(str, (path.stem, draw, count, *(["fold", fold] if fold is not None else []))))
        mark += f"-settings{list(SETTINGS).index(name)}" if options.settings else ""
        target = OUT / f"{mark}.json"
        late = time.monotonic() - began > 60 * options.minutes
        if number % parts != own - 1 or target.is_file() or late:
            continue
        divided = learning_data.divide(path.stem, pairs, draw)
        chosen = learning_data.labelled(path.stem, divided, z, draw, count)
        if chosen is None:
            continue
        asked = divided.test
        if fold is not None:
            of = learning_data.folds_of(pairs, chosen)
            if of is None or fold > of.max():
                continue
            chosen, asked = chosen[of != fold], chosen[of == fold]
        at_work = time.monotonic()
        found = train(model, pairs, chosen, asked, SETTINGS[name])
        told = {"labels": chosen.tolist(), "asked": asked.tolist(), "z": found.tolist(), "tuning": SETTINGS[name]._asdict()}
        write_atomically(target, json.dumps(told | {"seconds": round(time.monotonic() - at_work, 1)}))
        print(f"{mark}: {time.monotonic() - at_work:.0f} s", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as prepared:
        os.environ.setdefault("HF_DATASETS_CACHE", prepared)
        main()
        shutil.rmtree(prepared, ignore_errors=True)
