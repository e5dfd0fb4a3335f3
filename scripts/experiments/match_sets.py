"""The files on which matching is measured, each in a folder: ``export.csv`` as users have it, ``truth.csv``, and ``tidy.csv`` for peers.

``tidy.csv`` has the telling columns under common names, cleaned as the manuals of linkage packages advise: small letters, digits of
numbers, dates in one form, blanks instead of placeholders. Nothing in it comes from the truth.
"""

import contextlib
import csv
import datetime
import random
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import match_peers
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from sources.registry import FOLDER, Source, files

from crm_dedup_plugin.dataset.synth import export

_TABLES = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
SETS = tuple(_TABLES["columns"])
FAMILIES = _TABLES["families"] | {name: one["source"]["family"] for name, one in _TABLES["published"].items()}
_DIGITS = 8  # of a telephone number that every format has
_ID, _ENTITY = "unique_id", "cluster"  # columns of the published files: what names a record, and the truth


def make(name: str, rows: int, seed: int, root: Path, sources: Path = FOLDER, download: bool = False) -> Path:
    """Return the folder of a set, made if need be; `rows` and `seed` are those of a generated export.

    A published file is taken from the folder `sources`, or downloaded into it if wanted; raises UserError where it is missing or wrong.
    """
    generated = name in export.CRMS
    folder = root / (f"{name}-{rows}-{seed}" if generated else name)
    if (folder / "tidy.csv").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if generated:
        export.write(rows, seed, folder / "export.csv", name, force=True)
        export.truth_of(folder / "export.csv").replace(folder / "truth.csv")
    elif name in _TABLES["published"]:
        _published(name, folder, sources, download)
    else:
        match_peers.run("febrl", root, [name, folder / "export.csv", folder / "truth.csv"])
    _tidy(folder, _TABLES["columns"][name])
    return folder


def truth(folder: Path) -> dict[str, str]:
    """Return the entity of each record by its id, in the order of the file."""
    with (folder / "truth.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["entity"] for row in csv.DictReader(file)}


def _published(name: str, folder: Path, sources: Path, download: bool) -> None:
    """Write the rows and the truth of a published file.

    Such a file lists the records of an entity one after another, and its ids may name the entity: rows are shuffled and numbered anew.
    """
    told = _TABLES["published"][name]
    source = Source(name, **told["source"])
    (path,) = files(source, sources, None, download).values()
    rows = _READERS[source.reader](path)
    entities = set(list(dict.fromkeys(row[_ENTITY] for row in rows))[: told.get("entities")])
    rows = [row for row in rows if row[_ENTITY] in entities]
    random.Random(name).shuffle(rows)
    ids = [f"{number:05d}" for number in range(len(rows))]
    columns = [column for column in rows[0] if column not in (_ID, _ENTITY)]
    _write(folder / "export.csv", ["id", *columns], ([one, *(row[column] for column in columns)] for one, row in zip(ids, rows, strict=True)))
    _write(folder / "truth.csv", ["id", "entity"], ([one, row[_ENTITY]] for one, row in zip(ids, rows, strict=True)))


def _write(path: Path, header: list[str], rows: Iterable[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _parquet(path: Path) -> list[dict[str, str]]:
    import pyarrow.parquet

    return [{column: cell or "" for column, cell in row.items()} for row in pyarrow.parquet.read_table(path).to_pylist()]


_READERS: dict[str, Callable[[Path], list[dict[str, str]]]] = {"csv": _csv, "parquet": _parquet}


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
