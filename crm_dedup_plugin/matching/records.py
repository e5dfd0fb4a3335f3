"""The records of a run, as its first stage wrote them: one row each in ``1-read/records.parquet``."""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.pair.record import Record, normalise

if TYPE_CHECKING:
    import pyarrow

FILE = "records.parquet"
KEPT = 300_000  # records that stay in memory once read: each is needed for several pairs
# Of a column: the record's id; evidence about the entity; never evidence (owner, source, sync, merge fields); when the row was made or
# changed; the same in every row; without any value.
ID, EVIDENCE, NEVER, CREATED, CHANGED, CONSTANT, EMPTY = ROLES = ("id", "evidence", "never", "created", "changed", "constant", "empty")


class Column(NamedTuple):
    """What was understood of a column of a file."""

    name: str  # unique in its file; where two columns have one name, the second is "Name (2)"
    role: str  # one of `ROLES`
    concept: str | None  # a key of `policy.fields.CONCEPTS`
    separator: str | None  # between several values in one cell


class Source(NamedTuple):
    """What was understood of a file."""

    path: str
    profile: str  # name of a profile
    crm: str  # whose merge the plan speaks of: "hubspot", "salesforce", "dynamics", "pipedrive", "zoho", or "" for a cleaned file
    kind: str  # "contact" or "account"
    columns: list[Column]

    @property
    def column_of_ids(self) -> str | None:
        """The column of the records' ids; None where the file has none, and its records are numbered."""
        return next((column.name for column in self.columns if column.role == ID), None)


def schema() -> "pyarrow.Schema":
    """Return the columns of ``records.parquet``."""
    import pyarrow as pa

    return pa.schema(
        [
            ("row", pa.int64()),  # the record's number in the run, from 0, in the order of the files
            ("source", pa.int16()),  # which file, from 0
            ("line", pa.int64()),  # where it begins in its file, from 1
            ("id", pa.large_string()),  # unique in its file
            ("created", pa.large_string()),  # as ISO 8601, or None
            ("changed", pa.large_string()),
            ("values", pa.large_string()),  # a JSON object: column name to the cell's exact text, blank cells left out
            ("evidence", pa.large_string()),  # the same of the columns that are evidence: what a model reads
        ]
    )


class Records:
    """The records of a run whose first stage is done. Row numbers are those of the column ``row``."""

    def __init__(self, run: Path):
        self.path = run_folder.folder(run, "read") / FILE
        self._read: dict[int, Record] = {}
        found = run_folder.report(run, "read")
        self.sources = [Source(**{**one, "columns": [Column(**column) for column in one["columns"]]}) for one in found["sources"]]

    def table(self, *columns: str) -> "pyarrow.Table":
        """Return some columns of all records, in the order of the rows."""
        import pyarrow.parquet

        return pyarrow.parquet.read_table(self.path, columns=list(columns))

    @cached_property
    def source_of(self) -> list[int]:
        """Return for each row the number of its file."""
        return self.table("source")["source"].to_pylist()

    @cached_property
    def ids(self) -> list[str]:
        """Return for each row the id of its record."""
        return self.table("id")["id"].to_pylist()

    @cached_property
    def _evidence(self) -> "pyarrow.ChunkedArray":
        return self.table("evidence")["evidence"].combine_chunks()

    @cached_property
    def _values(self) -> "pyarrow.ChunkedArray":
        return self.table("values")["values"].combine_chunks()

    def evidence(self, row: int) -> Record:
        """Return what a model may read of a record, possibly nothing."""
        if len(self._read) > KEPT:
            self._read.clear()
        if row not in self._read:
            self._read[row] = normalise(json.loads(self._evidence[row].as_py()))[0]
        return self._read[row]

    def pairs(self, rows: Iterable[tuple[int, int]]) -> Iterator[tuple[Record, Record]]:
        """Yield what a model may read of each pair of rows."""
        return ((self.evidence(a), self.evidence(b)) for a, b in rows)

    def values(self, row: int) -> dict[str, str]:
        """Return all cells of a record that are not blank, by column."""
        return json.loads(self._values[row].as_py())
