"""The documents of the lm-eval tasks: pairs from files, as they are or perturbed, with the prompt and what is right.

A perturbation is drawn from the name of the task and the id of the row, so every run asks the same questions.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

from crm_dedup_plugin.dataset import perturb
from crm_dedup_plugin.pair import prompt
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.record import check, normalise
from crm_dedup_plugin.policy import attacks

ROOT = Path(__file__).resolve().parents[2]
TEST_SPLIT = ROOT / "data" / "splits" / "test.jsonl"
UNSEEN = ROOT / "data" / "unseen.jsonl"
LISTS = ROOT / "data" / "lists-held-out.jsonl"
BENCHMARKS = "CRM_DEDUP_BENCHMARKS"

CANARY = {
    "id": "",
    "key": "",
    "prompt": "Count from 1 to 30. Write only the numbers, with commas between them.",
    "gen_prefix": "1, 2, 3, 4, 5, 6, 7, 8, 9, 10,",
    "gold": "",
    "slice": "",
    "target": "",
    "record_a": "{}",
    "record_b": "{}",
}


def split(data: str | None = None, perturbation: str = "", **_) -> list[dict]:
    """Return the test split, or the file `data` in the same format; `perturbation`: swapped, shuffled or injected."""
    path = Path(data) if data else TEST_SPLIT
    rows = read_rows(path, 'run `make prep` or give --metadata \'{"data": "FILE"}\'')
    return [_split_doc(path, number, row, perturbation) for number, row in enumerate(rows)]


def unseen(unseen: str | None = None, **_) -> list[dict]:
    """Return pairs of kinds that no model was trained on, from the file `unseen` in the format of a split."""
    path = Path(unseen) if unseen else UNSEEN
    rows = read_rows(path, 'run `crm-dedup synth --unseen --out data/unseen.jsonl` or give --metadata \'{"unseen": "FILE"}\'')
    return [_split_doc(path, number, row) for number, row in enumerate(rows)]


def pairs(pairs: str | None = None, **_) -> list[dict]:
    """Return labelled pairs from the file `pairs`: ``{"label": 0 | 1, "record_a": {...}, "record_b": {...}}`` a line."""
    cure = 'give a file of labelled pairs with --metadata \'{"pairs": "FILE"}\''
    if not pairs:
        raise ValueError(f"no pairs to evaluate: {cure}")
    return [_labelled_doc(Path(pairs), *row) for row in enumerate(read_rows(Path(pairs), cure))]


def public(benchmarks: str | None = None, per_file: int | None = None, **_) -> list[dict]:
    """Return the labelled pairs of all files in the folder `benchmarks`, a slice a file, at most `per_file` of each."""
    documents = []
    for path in benchmark_files(benchmarks):
        rows = list(enumerate(read_rows(path, "")))
        Random(path.stem).shuffle(rows)
        documents += [_labelled_doc(path, number, row, slice=path.stem) for number, row in rows[:per_file]]
    return documents


def benchmark_files(folder: str | None = None) -> list[Path]:
    """Return the files of labelled pairs in `folder`, or in that of the environment; raises ValueError if there are none."""
    folder = folder or os.environ.get(BENCHMARKS)
    paths = sorted(Path(folder).glob("*.jsonl")) if folder else []
    if not paths:
        raise ValueError(
            f'no benchmarks in {str(folder)!r}: give a folder of *.jsonl files with {BENCHMARKS}=FOLDER or --metadata \'{{"benchmarks": "FOLDER"}}\''
        )
    return paths


def read_rows(path: Path, cure: str) -> list[dict]:
    """Return the JSON objects of a file, one a line; raises where there is no file or no line."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: {cure}")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    if not rows:
        raise ValueError(f"no pairs in the file {path}: it has no lines")
    return rows


def _split_doc(path: Path, number: int, row: dict, perturbation: str = "") -> dict:
    pair, gold, name = tuple(_records(row["input"])), row["output"]["decision"], _name(row.get("id"), number)
    rng, target = Random(f"{perturbation} {name}"), ""
    if perturbation == "swapped":
        pair = perturb.swap(pair)
    elif perturbation == "shuffled":
        pair = perturb.shuffle(pair, rng)
    elif perturbation == "injected":
        target = rng.choice(LABELS)  # the right one too: a model could have learnt that whatever is asked for is wrong
        pair = perturb.inject(pair, rng, attacks.EVAL, target)
    elif perturbation:
        raise ValueError(f"unknown perturbation {perturbation!r}: use swapped, shuffled or injected")
    return _doc(path, number, name, pair, gold, str(row.get("slice") or ""), target)


def _labelled_doc(path: Path, number: int, row: dict, slice: str = "") -> dict:
    if row.get("label") not in (0, 1):
        raise ValueError(f"{path.name}, pair {number + 1}: label {row.get('label')!r} must be 1 (the same entity) or 0 (different ones)")
    return _doc(path, number, _name(row.get("pair_id"), number), tuple(_records(row)), str(int(row["label"])), slice)


def _doc(path: Path, number: int, name: str, pair: tuple[dict, dict], gold: str, slice: str, target: str = "") -> dict:
    """Return one document, its records as the prompt names them; `key` tells which line of which file it is, whatever was done to them."""
    text, record_a, record_b = prompt.ask(*pair)
    return {
        "id": name,
        "key": f"{path.resolve()}:{number}",
        "prompt": text,
        "gen_prefix": "",
        "gold": gold,
        "slice": slice,
        "target": target,
        "record_a": json.dumps(record_a),
        "record_b": json.dumps(record_b),
    }


def _records(row: dict) -> Iterator[dict[str, str]]:
    return (normalise(check(row[name]))[0] for name in ("record_a", "record_b"))


def _name(given: object, number: int) -> str:
    return str(given) if given not in (None, "") else f"line {number + 1}"
