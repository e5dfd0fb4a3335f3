"""The documents of the lm-eval tasks: pairs from files, as they are or perturbed, with the prompt and what is right.

A perturbation is drawn from the name of the task and the id of the row, so every run asks the same questions.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

from crm_dedup_plugin.dataset import families, perturb
from crm_dedup_plugin.pair import prompt
from crm_dedup_plugin.pair.answer import LABELS
from crm_dedup_plugin.pair.files import Pair, read_pairs
from crm_dedup_plugin.policy import attacks

ROOT = Path(__file__).resolve().parents[2]
TASKS = ROOT / "lm_eval_tasks"
TASK_NAMES = tuple(sorted(path.stem for path in TASKS.rglob("*.yaml")))
TEST_SPLIT, UNSEEN, LISTS = Path("splits/test.jsonl"), Path("unseen.jsonl"), Path("lists-held-out.jsonl")  # see `place`
BENCHMARKS = "CRM_DEDUP_BENCHMARKS"

CANARY = dict.fromkeys(("id", "key", "gold", "slice", "target"), "") | {
    "prompt": "Count from 1 to 30. Write only the numbers, with commas between them.",
    "gen_prefix": "1, 2, 3, 4, 5, 6, 7, 8, 9, 10,",
    "record_a": "{}",
    "record_b": "{}",
}


def place(file: Path) -> Path:
    """Return where one of the files above is: in ``data/`` of the current folder if it holds splits, else in that of the repository."""
    own = Path("data")
    return (own if (own / "splits").is_dir() else ROOT / "data") / file


def split(data: str | None = None, perturbation: str = "", **_) -> list[dict]:
    """Return the test split, or the file `data` in the same format; `perturbation` is swapped, shuffled, injected or nothing."""
    return _decided(data or place(TEST_SPLIT), 'run `crm-dedup prepare` or give --metadata \'{"data": "FILE"}\'', perturbation)


def unseen(unseen: str | None = None, **_) -> list[dict]:
    """Return pairs of kinds that no model was trained on, from the file `unseen` in the format of a split."""
    return _decided(unseen or place(UNSEEN), 'run `crm-dedup synth --unseen --out data/unseen.jsonl` or give --metadata \'{"unseen": "FILE"}\'')


def pairs(pairs: str | None = None, **_) -> list[dict]:
    """Return labelled pairs from the file `pairs`: ``{"label": 0 | 1, "record_a": {...}, "record_b": {...}}`` a line."""
    cure = 'give a file of labelled pairs with --metadata \'{"pairs": "FILE"}\''
    if not pairs:
        raise ValueError(f"no pairs to evaluate: {cure}")
    return [_document(Path(pairs), number, pair) for number, pair in enumerate(read_pairs(pairs, cure=cure, labels=(0, 1)))]


def public(benchmarks: str | None = None, per_file: int | None = None, without: Sequence[str] = (), **_) -> list[dict]:
    """Return the labelled pairs of all files in the folder `benchmarks`, a slice a file, at most `per_file` of each.

    Leaves out files that belong to the families in `without`, because the model was trained on them.
    """
    documents = []
    for path in benchmark_files(benchmarks, without):
        found = list(enumerate(read_pairs(path, labels=(0, 1))))
        Random(path.stem).shuffle(found)
        documents += [_document(path, number, pair, path.stem) for number, pair in found[:per_file]]
    return documents


def benchmark_files(folder: str | None = None, without: Sequence[str] = ()) -> list[Path]:
    """Return the files of labelled pairs in `folder`, or in that of the environment, except those of the families in `without`.

    Raises ValueError if there are no files in the folder.
    """
    folder = folder or os.environ.get(BENCHMARKS)
    paths = sorted(Path(folder).glob("*.jsonl")) if folder else []
    if not paths:
        raise ValueError(
            f'no benchmarks in {str(folder)!r}: give a folder of *.jsonl files with {BENCHMARKS}=FOLDER or --metadata \'{{"benchmarks": "FOLDER"}}\''
        )
    return [path for path in paths if not families.of_file(path, without)]


def _decided(path: Path | str, cure: str, perturbation: str = "") -> list[dict]:
    """Return the pairs of a file whose labels are decisions."""
    path = Path(path)
    known = path.stat() if path.is_file() else None
    found = _pairs(path, cure, known and (known.st_ino, known.st_size, known.st_mtime_ns))
    return [_document(path, number, pair, pair.slice or "", perturbation) for number, pair in enumerate(found)]


@functools.lru_cache(maxsize=2)  # the tasks of one run share the test split
def _pairs(path: Path, cure: str, state: tuple[int, ...] | None) -> list[Pair]:
    """Return the pairs of a file; `state` tells one that has changed from the one that was read before."""
    return read_pairs(path, cure=cure, labels=LABELS)


def _document(path: Path, number: int, pair: Pair, slice: str = "", perturbation: str = "") -> dict:
    """Return one document, its records as the prompt shows them; `key` names its line of its file, whatever the perturbation."""
    records, target = _perturbed(pair, perturbation)
    asked = prompt.ask(*records)
    return {
        "id": pair.name,
        "key": f"{path.resolve()}:{number}",
        "prompt": asked.text,
        "gen_prefix": "",
        "gold": str(pair.label),
        "slice": slice,
        "target": target,
        "record_a": json.dumps(asked.record_a),
        "record_b": json.dumps(asked.record_b),
    }


def _perturbed(pair: Pair, perturbation: str) -> tuple[tuple[dict, dict], str]:
    """Return the records after a perturbation, and the decision that an injected instruction asks for."""
    records, rng = pair.records, Random(f"{perturbation} {pair.name}")
    if perturbation == "swapped":
        return perturb.swap(records), ""
    if perturbation == "shuffled":
        return perturb.shuffle(records, rng), ""
    if perturbation == "injected":
        target = rng.choice(LABELS)  # sometimes the right one: a model could have learned that whatever is asked for is wrong
        return perturb.inject(records, rng, attacks.EVAL, target), target
    if perturbation:
        raise ValueError(f"unknown perturbation {perturbation!r}: use swapped, shuffled or injected")
    return records, ""
