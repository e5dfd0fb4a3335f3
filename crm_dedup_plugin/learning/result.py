"""What a learning leaves: the folder of a model, ``outputs/learned-NAME-merged``, and ``learned.json`` in the run, which names it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.probability import LEARNED as CALIBRATION
from crm_dedup_plugin.matching.probability import Calibration
from crm_dedup_plugin.provenance import BESIDE, MANIFEST, PRIVATE
from crm_dedup_plugin.storage import link_or_copy, read_json, whole_folder, write_atomically
from crm_dedup_plugin.training.train import write_report

FILE, FOLDER = "learned.json", "learned"  # in a run: which model it learned, and how that was found
REPORT = "report.json"
LONGEST = 30  # characters of a run's name in that of its model


def of(run: Path) -> dict | None:
    """Return what a run has learned, or None: "model" is the name of the model, "from" that of the general one."""
    return read_json(run / FILE)


def model_of(run: Path) -> str | None:
    """Return the name of the model that a run has learned, or None; raises UserError where it is gone."""
    if not (learned := of(run)):
        return None
    if not merged(learned["model"]).is_dir():
        cure = f"run `crm-dedup learn {run_folder.word(run)}` again, or give --model {learned['from']}"
        raise UserError(f"{run} has learned {learned['model']}, and {merged(learned['model'])} is gone: {cure}")
    return learned["model"]


def report(run: Path) -> dict | None:
    """Return the report of the last learning of a run, or None."""
    return read_json(run / FOLDER / REPORT)


def merged(name: str) -> Path:
    """Return the folder of a model that was made here."""
    return Path(f"outputs/{name}-merged")


def name_for(run: Path) -> str:
    """Return the name of the model that a run learns: that of the last time, or one that no model has."""
    if learned := of(run):
        return learned["model"]
    name = f"learned-{re.sub(r'[^A-Za-z0-9_.]+', '-', run.resolve().name)[:LONGEST].strip('-.') or 'run'}"
    taken = (f"{name}-{number}" if number > 1 else name for number in range(1, 1000))
    return next(one for one in taken if not merged(one).exists())


def write(name: str, model: Path, calibration: Calibration, private: dict, history: dict) -> Path:
    """Write the folder of a model whole or not at all: the weights of `model`, its calibration and what it was trained on; return it.

    `history` is what its manifest says, in addition to that of `model`; where it is empty, weights and manifest stay as they are.
    """
    target = merged(name)
    with whole_folder(target) as partial:
        for path in model.iterdir():
            if path.is_file() and path.name not in BESIDE:
                link_or_copy(path.resolve(), partial / path.name)
        if history:
            write_atomically(partial / MANIFEST, json.dumps(history, indent=2) + "\n")
        write_atomically(partial / CALIBRATION, json.dumps(calibration._asdict(), indent=1) + "\n")
        write_atomically(partial / PRIVATE, json.dumps(private, indent=1) + "\n")
    if (manifest := target / MANIFEST).is_file():
        write_report(name, manifest.read_text(encoding="utf-8"))
    return target
