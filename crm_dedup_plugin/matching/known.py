"""The pairs of a table that `crm-dedup match` would compare, for rows whose entities are known."""

import contextlib
import csv
import io
import tempfile
from pathlib import Path

from crm_dedup_plugin.matching import candidates, deciding, read
from crm_dedup_plugin.matching.records import Records

A_RECORD = 10.0  # candidate pairs for each record

Found = dict[bool, list[tuple[int, int]]]


def find(rows: list[dict], folder: Path) -> tuple[Records, Found]:
    """Return the records of a run in `folder`, and the pairs of them that blocking finds: of one entity (True) and of two (False).

    A row has an ``id``, its ``entity``, which is the truth and no evidence, and any other fields.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "export.csv"
    with source.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row if key != "entity")), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    read.read(folder / "run", [source], None)
    candidates.find(folder / "run", A_RECORD)
    records, entity = Records(folder / "run"), {row["id"]: row["entity"] for row in rows}
    found: Found = {True: [], False: []}
    for a, b in deciding.candidates(folder / "run"):
        found[entity[records.ids[a]] == entity[records.ids[b]]].append((a, b))
    return records, found


def pairs(rows: list[dict]) -> dict[bool, list[tuple[str, str]]]:
    """Return the same as pairs of ids, in order; nothing is kept or shown of the run."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        records, found = find(rows, Path(folder))
        return {same: sorted((records.ids[a], records.ids[b]) for a, b in these) for same, these in found.items()}
