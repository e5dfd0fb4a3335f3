"""Where the pairs in ``data/splits`` come from: from the generator, so that they may be published, or from somebody's CRM."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

from crm_dedup_plugin.dataset.splits import SPLITS
from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.pair.files import read_objects
from crm_dedup_plugin.provenance import digest

FOLDER = Path("data/splits")
_DEMO = re.compile(r"generated: (\d+) compact pairs, seed (\d+)")
_ID = re.compile(r"synth-([a-z]{2,3})_")


class Pairs(NamedTuple):
    """What is known of the splits; `commands` generate them again, and are None if the pairs were not generated."""

    summary: dict
    commands: tuple[str, ...] | None
    languages: tuple[str, ...] = ()
    card: Path | None = None


def read(folder: Path = FOLDER) -> Pairs | None:
    """Return what is known of the splits in `folder`; None without a summary, or if the summary describes other files."""
    summary_file = folder / "summary.json"
    if not summary_file.is_file() or not all((folder / f"{name}.jsonl").is_file() for name in SPLITS):
        return None
    summary = json.loads(summary_file.read_text(encoding="utf-8"))
    if any(digest([folder / f"{name}.jsonl"]) != summary["splits"][name]["sha256"] for name in SPLITS):
        return None
    commands, card = _origin(summary)
    languages = _languages(folder) if commands else None
    return Pairs(summary, commands, languages, card) if languages else Pairs(summary, None)


def require_generated() -> Pairs:
    """Return what is known of the pairs if they were generated; raises UserError if they may be of real people."""
    pairs = read()
    if pairs is None:
        raise UserError(f"{FOLDER} has no summary.json that fits its files, so nobody knows where its pairs came from: run `crm-dedup prepare` again")
    if pairs.commands is None:
        raise UserError(
            f"--dataset publishes generated pairs only, and those in {FOLDER} are not known to be: records of real people stay here. "
            "Push the model without --dataset; for pairs of `crm-dedup synth`, keep the card it wrote beside them and run `crm-dedup prepare` again"
        )
    return pairs


def _origin(summary: dict) -> tuple[tuple[str, ...] | None, Path | None]:
    """Return the commands that generate the pairs again and the generator's card, or twice None if they were not generated."""
    options = "".join(f" --{key} {' '.join(map(str, summary[key]))}" for key in ("fractions",) if summary[key] != [0.8, 0.1, 0.1])
    options += f" --augment {' '.join(summary['augmentations'])}" if summary.get("augmentations") else ""
    if demo := _DEMO.fullmatch(summary["source"]):
        return (f"crm-dedup prepare --demo {demo[1]} --seed {demo[2]}{options}",), None
    source = Path(summary["source"])
    card = source.with_name(f"{source.stem}.card.json")
    if not card.is_file() or not summary.get("source_sha256"):
        return None, None
    made = json.loads(card.read_text(encoding="utf-8"))
    if made.get("sha256") != summary["source_sha256"] or not str(made.get("command")).startswith("crm-dedup synth "):
        return None, None
    return (f"{made['command']} --out data/all.jsonl", f"crm-dedup prepare --seed {summary['seed']}{options}"), card


def _languages(folder: Path) -> tuple[str, ...] | None:
    """Return the languages in the ids of the rows, or None if any id is not one of the generator's."""
    found = set()
    for name in SPLITS:
        for row in read_objects(folder / f"{name}.jsonl"):
            if not (match := _ID.match(str(row.get("id")))):
                return None
            found.add(match[1])
    return tuple(sorted(found))
