"""Records to ``records.parquet``, whole or not at all."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from crm_dedup_plugin.matching.read import dates
from crm_dedup_plugin.matching.read.columns import empty
from crm_dedup_plugin.matching.read.profiles import Profile
from crm_dedup_plugin.matching.read.rows import Skipped
from crm_dedup_plugin.matching.records import CHANGED, CREATED, EVIDENCE, FILE, ID, Column, schema
from crm_dedup_plugin.storage import whole

BATCH = 20_000  # rows
SAME, OTHER = "its id came before, with the same cells", "its id came before, with other cells"
_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_MARKS = dict.fromkeys([0x200B, 0x200E, 0x200F, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])  # unseen: of direction and order


class Writer:
    """Makes rows of ``records.parquet`` of the records of one file. It holds the ids of the file: the only memory that grows."""

    def __init__(self, source: int, columns: Sequence[Column], profile: Profile, order: str | None):
        self.source, self.profile, self.order = source, profile, order
        self.names = [column.name for column in columns]
        self.at = {role: next((at for at, column in enumerate(columns) if column.role == role), None) for role in (ID, CREATED, CHANGED)}
        evidence = [(at, column) for at, column in enumerate(columns) if column.role == EVIDENCE]
        # What the policy knows comes first: a model reads a record of many columns only in part.
        self.evidence = [(at, column.name, column.concept == "birth") for at, column in sorted(evidence, key=lambda one: one[1].concept is None)]
        self.seen: dict[str, int] = {}
        self.records = self.without_id = self.no_dates = self.serials = 0
        self.skipped = Skipped()

    def rows(self, records: Iterable[tuple[int, list[str]]]) -> Iterator[tuple]:
        """Yield what `schema` has after the number of the row."""
        for line, cells in records:
            if (name := self._id(line, cells)) is None:
                continue
            self.records += 1
            values = {column: cell for column, cell in zip(self.names, cells, strict=True) if cell and not cell.isspace()}
            yield (
                *(self.source, line, name, self._moment(cells, CREATED), self._moment(cells, CHANGED)),
                *(_ENCODE(values), _ENCODE(self._evidence(cells))),
            )

    def _id(self, line: int, cells: list[str]) -> str | None:
        """Return the id of a record, or None where a record with this id was there already."""
        if self.at[ID] is None:
            return str(self.records + 1)
        name = cells[self.at[ID]].strip()
        if not name:
            self.without_id += 1
            name = f"line {line}"
        cells_hash = hash(tuple(cells))
        if name in self.seen:
            self.skipped.add(SAME if self.seen[name] == cells_hash else OTHER, line)
            return None
        self.seen[name] = cells_hash
        return name

    def _moment(self, cells: list[str], role: str) -> str | None:
        if self.at[role] is None or empty(value := cells[self.at[role]], self.profile):
            return None
        moment = dates.to_iso(value, self.order)
        self.no_dates += moment is None
        return moment

    def _evidence(self, cells: list[str]) -> dict[str, str]:
        found = {}
        for at, name, birth in self.evidence:
            value = cells[at]
            if not value or empty(value, self.profile):
                continue
            if birth and (date := dates.serial(value.strip())):
                self.serials += 1
                value = date
            found[name] = value.strip() if value.isascii() else value.translate(_MARKS).strip()
        return {name: value for name, value in found.items() if value}

    def notes(self) -> list[str]:
        """Return what a person should know about the ids and dates of the file."""
        counted = [
            (self.at[ID] is None, "no column holds an id: the records are numbered in the order of the file, from 1"),
            (self.without_id, f"records without an id, which get their line ('line 17') and which no CRM can merge: {self.without_id:,}"),
            (self.no_dates, f"dates of creation or change that could not be read and count as unknown: {self.no_dates:,}"),
            (self.serials, f"dates of birth that were numbers of a spreadsheet and were read as dates: {self.serials:,}"),
        ]
        return [note for count, note in counted if count]


def write_records(folder: Path, files: Sequence[tuple[Iterable[tuple[int, list[str]]], Writer]]) -> None:
    """Write the records of all files, numbered from 0; raises UserError where the disk is full."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = schema()
    rows = ((number, *row) for number, row in enumerate(row for records, writer in files for row in writer.rows(records)))
    with whole(folder / FILE) as partial:
        with pq.ParquetWriter(partial, columns, compression="zstd") as writer:
            while batch := list(islice(rows, BATCH)):
                writer.write_batch(
                    pa.record_batch([_array(cells, field) for cells, field in zip(zip(*batch, strict=True), columns, strict=True)], schema=columns)
                )
        with partial.open("rb") as file:
            os.fsync(file.fileno())


def _array(cells: Sequence, field):
    import pyarrow as pa

    try:
        return pa.array(cells, field.type)
    except UnicodeEncodeError:  # half a character, as JSON can write it
        return pa.array([cell and cell.encode("utf-8", "replace").decode() for cell in cells], field.type)
