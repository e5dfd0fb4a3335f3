"""Tables for people: CSV and XLSX in which no cell is a formula. Programs read the exact values elsewhere."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from crm_dedup_plugin.storage import whole

Table = Iterable[Sequence[object]]  # a header first
XLSX_ROWS = 20_000  # of one sheet: more takes minutes to write, and to open
MARKED = 2  # cells of a row that get its colour
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_ILLEGAL = {code: None for code in range(32) if chr(code) not in "\t\n\r"}


def escaped(value: object) -> object:
    """Return a value as a cell that no spreadsheet takes for a formula.

    >>> escaped("+49 30 5550"), escaped("Ann"), escaped(7)
    ("'+49 30 5550", 'Ann', 7)
    """
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA) else value


def write_csv(path: Path, rows: Table) -> None:
    """Write rows as CSV for programs: exact."""
    with whole(path) as partial, partial.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        csv.writer(file).writerows(rows)


def with_csv(path: Path, rows: Table) -> Iterator[Sequence[object]]:
    """Yield rows and write them as CSV for people, with formulas escaped; the file is there once all of them were taken."""
    encoding = "utf-8-sig"  # by the mark, Excel knows UTF-8
    with whole(path) as partial, partial.open("w", encoding=encoding, errors="surrogatepass", newline="") as file:
        writer = csv.writer(file)
        for row in rows:
            writer.writerow([escaped(cell) for cell in row])
            yield row


def write_xlsx(path: Path, sheets: dict[str, Table], marked: dict[str, str]) -> dict[str, int]:
    """Write sheets and return how many rows of each did not fit; `marked` gives rows a colour by their second cell."""
    from openpyxl import Workbook
    from openpyxl.styles import PatternFill

    book, left = Workbook(write_only=True), {}
    fills = {word: PatternFill("solid", fgColor=colour) for word, colour in marked.items()}
    for title, rows in sheets.items():
        sheet, count = book.create_sheet(title), 0
        sheet.freeze_panes = "A2"
        for count, row in enumerate(rows):
            if count <= XLSX_ROWS:
                sheet.append([_cell(sheet, value, bold=count == 0, fill=fills.get(row[1]) if at < MARKED else None) for at, value in enumerate(row)])
        left[title] = max(count - XLSX_ROWS, 0)
    with whole(path) as partial:
        book.save(partial)
    return left


def _cell(sheet, value: object, bold: bool, fill):
    """Return a value as a cell that Excel does not take for a formula, not even after it was edited, within what XLSX can hold."""
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    value = value.translate(_ILLEGAL)[:32_000] or None if isinstance(value, str) else value
    formula = escaped(value) != value
    if not (formula or bold or fill):
        return value
    cell = WriteOnlyCell(sheet, value=value)
    if formula:
        cell.data_type, cell.quotePrefix = "s", True
    if bold:
        cell.font = Font(bold=True)
    elif fill:
        cell.fill = fill
    return cell
