"""The row that names the columns, wherever it is: reports begin with a title, and spreadsheets with a note to colleagues."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import islice

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.read.tables import Row, Table, numbered
from crm_dedup_plugin.policy.fields import Kind, concept_of, kind_of

LOOKED_AT = 50  # rows at the beginning of a file
LONGEST_NAME = 100  # characters; what is longer is a value
CLEARER = 2  # known names that a later row must have to be taken for the header where the first has none
_UNSEEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")  # marks of direction, joints, byte order marks
_VALUE = re.compile(r"\S@\S+\.\S|^https?://|\d{4}|^\W*\d+\W*$")


def find(table: Table) -> tuple[int, list[str], list[str]]:
    """Return the line of a table's header (0 if its format has none), its cells, and the unique names of the columns.

    Raises UserError where there is no header, or nothing else.
    """
    if table.names is not None:
        return 0, table.names, unique(table.names)
    rows = list(islice(table.rows(0), LOOKED_AT))
    header = _header(rows, table)
    width = max([len(header.cells), *_usual_widths(rows, header)])
    names = unique([*header.cells, *[""] * (width - len(header.cells))])
    return header.line, header.cells, names


def _header(rows: Sequence[Row], table: Table) -> Row:
    filled = [row for row in rows if any(map(_clean, row.cells))]
    if not filled:
        raise UserError(f"{table.path}, line 1: the first {LOOKED_AT} rows are blank: delete them")
    width = max(Counter(_width(row) for row in filled).items(), key=lambda item: (item[1] * (item[0] > 1), item[0]))[0]
    named = [row for row in filled if _looks_like_names(row)]
    if not named:
        raise UserError(f"{table.path}, line {filled[0].line}: no line names the columns: add one above the records, such as Name, Email, Phone")
    first = next((row for row in named if 2 * _width(row) > width), named[0])
    best = max(named, key=_known)
    clearer = not _known(first) and _known(best) >= CLEARER and 2 * _known(best) >= _width(best)
    return best if clearer else first


def _usual_widths(rows: Sequence[Row], header: Row) -> list[int]:
    """Return the number of cells that most rows have, where the header has fewer: its last columns have no name."""
    widths = Counter(len(row.cells) for row in rows if row.line > header.line and any(row.cells))
    return [width for width, count in widths.most_common(1) if 2 * count > widths.total() and count > 1]


def _width(row: Row) -> int:
    return sum(1 for cell in row.cells if _clean(cell))


def _looks_like_names(row: Row) -> bool:
    cells = [cell for cell in map(_clean, row.cells) if cell]
    values = sum(1 for cell in cells if len(cell) > LONGEST_NAME or _VALUE.search(cell))
    return 4 * values < len(cells) or (values < len(cells) and _known(row) > len(cells) / 2)


def _known(row: Row) -> int:
    """Return how many cells are names that the field reader knows."""
    names = {cell for cell in map(_clean, row.cells) if cell and not _VALUE.search(cell) and len(cell) <= LONGEST_NAME}
    return sum(1 for name in names if concept_of(name) or kind_of(name) is not Kind.ATTRIBUTE)


def _clean(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", _UNSEEN.sub("", name.encode("utf-8", "replace").decode())).split())


def unique(cells: Sequence[str]) -> list[str]:
    """Return names of columns without unseen characters; a second "Phone" is "Phone (2)", and one without a name "Column 7".

    >>> unique(["Phone", " Phone ", ""])
    ['Phone', 'Phone (2)', 'Column 3']
    """
    names: dict[str, None] = {}
    for at, cell in enumerate(cells, start=1):
        names[numbered(_clean(cell) or f"Column {at}", names)] = None
    return list(names)
