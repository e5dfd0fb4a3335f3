"""The files on which matching is measured, each in a folder: ``export.csv`` as users have it, ``truth.csv``, and ``tidy.csv`` for peers.

``tidy.csv`` has the telling columns under common names, cleaned as the manuals of linkage packages advise: small letters, digits of
numbers, dates in one form, blanks instead of placeholders. Nothing in it comes from the truth.
"""

import contextlib
import csv
import datetime
import re
from pathlib import Path

import match_peers
import yaml

from crm_dedup_plugin.dataset.synth import export

_TABLES = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
SETS = tuple(_TABLES["columns"])
_DIGITS = 8  # of a telephone number that every format has


def make(name: str, rows: int, seed: int, root: Path) -> Path:
    """Return the folder of a set, made if need be; `rows` and `seed` are those of a generated export."""
    generated = name in export.CRMS
    folder = root / (f"{name}-{rows}-{seed}" if generated else name)
    if (folder / "tidy.csv").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if generated:
        export.write(rows, seed, folder / "export.csv", name, force=True)
        export.truth_of(folder / "export.csv").replace(folder / "truth.csv")
    else:
        match_peers.run("febrl", root, [name, folder / "export.csv", folder / "truth.csv"])
    _tidy(folder, _TABLES["columns"][name])
    return folder


def truth(folder: Path) -> dict[str, str]:
    """Return the entity of each record by its id, in the order of the file."""
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["entity"] for row in csv.DictReader(file)}


def _tidy(folder: Path, columns: dict[str, str]) -> None:
    partial = folder / "tidy.csv.part"
    with (folder / "export.csv").open(encoding="utf-8", newline="") as source, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(columns))
        writer.writeheader()
        for row in csv.DictReader(source):
            writer.writerow({name: _clean(name, _cell(row, columns[name])) for name in columns})
    partial.replace(folder / "tidy.csv")


def _cell(row: dict[str, str], told: str) -> str:
    if "|" in told:
        return next((row[name.strip()] for name in told.split("|") if row[name.strip()]), "")
    return " ".join(row[name.strip()] for name in told.split("+")).strip()


def _clean(name: str, text: str) -> str:
    text = " ".join(text.lower().split())
    if text in _TABLES["nothing"]:
        return ""
    if name in ("phone", "mobile"):
        digits = re.sub(r"\D", "", re.split("[,;]", text)[0])
        return digits[-_DIGITS:] if digits.strip("0") else ""
    return _date(text) if name == "birth" else text


def _date(text: str) -> str:
    for form in _TABLES["dates"]:
        with contextlib.suppress(ValueError):
            return datetime.datetime.strptime(text, form).strftime("%Y-%m-%d")
    return ""
