"""A file, whatever its format, as rows of text."""

from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import NamedTuple

SAVE_AS = "open it where it was made and save it as CSV (UTF-8) or XLSX"


class Row(NamedTuple):
    """One row of a file."""

    line: int  # where it begins, from 1
    cells: list[str]
    problem: str = ""  # why the cells cannot be used; then there are none


def numbered(name: str, taken: Container[str]) -> str:
    """Return a name that is not `taken`: a second "Phone" is "Phone (2)"."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name} ({number})"
    return found


class Table(NamedTuple):
    """A file as rows of text. Each call of ``rows(width)`` reads the file from its beginning, in constant memory.

    `width` is the number of columns, with which broken rows are repaired; 0 where it is not known yet.
    """

    path: Path
    format: str  # "csv", "xlsx", "parquet", "jsonl"
    rows: Callable[[int], Iterator[Row]]
    names: list[str] | None  # the columns, where the format knows them; None: they are in one of the rows
    notes: list[str]  # sentences for a person; what a reading finds is added while it reads
    encoding: str | None = None
    delimiter: str | None = None
