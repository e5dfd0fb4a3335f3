"""XLSX files: each cell as the text that a person sees, dates as ISO 8601."""

import contextlib
import datetime
import json
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.progress import tell
from crm_dedup_plugin.matching.read.tables import SAVE_AS, Row, Table

LOOKED_AT = 200  # rows of a sheet, to see whether there are any
EXACT = 10**15  # Excel keeps 15 digits of a number
LOST = "numbers of more than 15 digits lost their last digits when Excel stored them: import such columns as text"
FORMULAS = "some formulas were never computed and are kept as formulas: open the file in Excel and save it"


def spreadsheet_table(path: Path) -> Table:
    """Return the first visible sheet with rows as a table; raises UserError where none has any, or the file is damaged.

    Its cells are unpacked once, to a temporary file that vanishes with the process: unpacking is slow.
    """
    notes: list[str] = []
    unpacked = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 -- closed with the table
    with _explained(path), contextlib.ExitStack() as opened:
        book = opened.enter_context(_workbook(path, values=True))
        sheets = [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible" and any(map(_filled, _rows(sheet, LOOKED_AT)))]
        if not sheets:
            raise UserError(f"{path} has no rows in any sheet that is shown: export it again")
        if sheets[1:]:
            notes.append(f"only the sheet {sheets[0]!r} was read, not {', '.join(map(repr, sheets[1:]))}: save those as files of their own")
        formulas = _rows(opened.enter_context(_workbook(path, values=False))[sheets[0]]) if _has_formulas(path) else None
        for number, row in enumerate(_rows(book[sheets[0]]), start=1):
            cells = [_text(cell, notes) for cell in row]
            if formulas:
                _add_formulas(cells, next(formulas, ()), notes)
            while cells and not cells[-1]:
                cells.pop()
            print(json.dumps(cells), file=unpacked)
            if number % 100_000 == 0:
                tell(f"read: {number:,} rows of {path.name} unpacked")

    def rows(width: int) -> Iterator[Row]:
        unpacked.seek(0)
        for number, line in enumerate(unpacked, start=1):
            yield Row(number, json.loads(line))

    return Table(path, "xlsx", rows, None, notes)


def _add_formulas(cells: list[str], row: tuple, notes: list[str]) -> None:
    """Put the formula where a cell shows nothing because it was never computed."""
    for at, cell in enumerate(row[: len(cells)]):
        if cell.data_type == "f" and not cells[at]:
            cells[at] = str(getattr(cell.value, "text", cell.value) or "")
            _add(notes, FORMULAS)


@contextlib.contextmanager
def _workbook(path: Path, values: bool) -> Iterator:
    """Yield a workbook, with the values of formulas or the formulas themselves."""
    import openpyxl

    with warnings.catch_warnings(action="ignore"):
        book = openpyxl.load_workbook(path, read_only=True, data_only=values)
    try:
        yield book
    finally:
        book.close()


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # openpyxl and its parsers raise whatever they meet
        raise UserError(f"{path} is damaged ({type(error).__name__}): {SAVE_AS}") from None


def _has_formulas(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("xl/worksheets/"):
                with archive.open(name) as sheet:
                    before = b""
                    while data := sheet.read(1 << 20):
                        if re.search(rb"<(\w+:)?f[ >/]", before + data):
                            return True
                        before = data[-20:]
    return False


def _rows(sheet, count: int | None = None) -> Iterator[tuple]:
    sheet.reset_dimensions()  # which some programs write wrongly
    return islice(sheet.iter_rows(), count)


def _filled(row: tuple) -> bool:
    return any(cell.value is not None for cell in row)


def _add(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def _text(cell, notes: list[str]) -> str:
    value = cell.value
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat(timespec="seconds")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if not isinstance(value, (int, float)):
        return str(value)
    if abs(value) >= EXACT:
        _add(notes, LOST)
    whole = value if isinstance(value, int) else int(value) if value == value and abs(value) < 1e21 and value == int(value) else None
    if whole is None:
        return repr(value)
    return _masked(whole, cell.number_format) if whole >= 0 else str(whole)


def _masked(number: int, form: str | None) -> str:
    """Return a whole number as a format of digits shows it: 2116 as 00000 is 02116, and 2025550123 as (000) 000-0000 is (202) 555-0123."""
    for section in (form or "").split(";"):
        condition = re.match(r"\[(<=?|>=?|=)(\d+)\]", section)
        if condition and not _holds(number, condition[1], int(condition[2])):
            continue
        mask = re.sub(r'\\(.)|"([^"]*)"|_.|\*.', lambda found: found[1] or found[2] or "", section[condition.end() if condition else 0 :])
        if not re.fullmatch(r"[0#() +/-]*0[0#() +/-]*|[0#() +/-]*#[() +/-]+[0#() +/-]*", mask):
            break
        return _fill(mask, str(number))
    return str(number)


def _holds(number: int, sign: str, limit: int) -> bool:
    return {"<": number < limit, "<=": number <= limit, ">": number > limit, ">=": number >= limit, "=": number == limit}[sign]


def _fill(mask: str, digits: str) -> str:
    shown, rest, first = [], list(digits), min(mask.find(sign) for sign in "0#" if sign in mask)
    for at in range(len(mask) - 1, -1, -1):
        if mask[at] not in "0#":
            shown.append(mask[at])
            continue
        shown.append(rest.pop() if rest else "0" if mask[at] == "0" else "")
        if at == first:
            shown.extend(reversed(rest))
            rest = []
    return "".join(reversed(shown))
