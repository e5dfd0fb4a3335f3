"""CSV in every shape that programs and people write: any delimiter, encoding, and quotation marks that are not closed."""

import codecs
import csv
import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.read.tables import Row, Table

DELIMITERS = (",", ";", "\t", "|")
SAMPLE = 200  # rows in which the delimiter is found
LONGEST_CELL = 1 << 20  # characters; Salesforce allows 131,072
MOST_REPAIRS = 1000  # rows with misplaced quotation marks, after which the file is no CSV
UNCLOSED = "its quotation marks are not those of CSV"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_FALLBACK = "crm-dedup-fallback"


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    """Decode what an encoding cannot: bytes as Windows does, half a UTF-16 character as the replacement character."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.encoding.startswith("utf-16"):
        return "\ufffd", error.end
    wrong = error.object[error.start : error.end]
    return "".join(bytes([one]).decode("cp1252", "ignore") or chr(one) for one in wrong), error.end


codecs.register_error(_FALLBACK, _as_cp1252)


def text_table(path: Path, encoding: str | None, delimiter: str | None) -> Table:
    """Return a text file as a table; raises UserError where the encoding is unknown."""
    encoding, notes = (known(encoding, path), []) if encoding else find_encoding(path)
    delimiter = delimiter or _find_delimiter(path, encoding)

    def rows(width: int) -> Iterator[Row]:
        with open_text(path, encoding) as file:
            yield from split(file, delimiter, width, path, notes)

    return Table(path, "csv", rows, None, notes, encoding.removesuffix("-sig"), delimiter)


def known(encoding: str, path: Path) -> str:
    """Return the name of an encoding; raises UserError where Python has none of this name."""
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise UserError(f"{path}: the encoding {encoding!r} is unknown: write utf-8, utf-16, cp1252, shift_jis or another that Python has") from None


def open_text(path: Path, encoding: str) -> TextIO:
    """Open a text file with its line breaks as they are; bytes that its encoding does not have are read as those of Windows."""
    return path.open(encoding=encoding, errors=_FALLBACK, newline="")


def find_encoding(path: Path) -> tuple[str, list[str]]:
    """Return the encoding of a text file, and what a person should know about it. The whole file is looked at."""
    with path.open("rb") as file:
        start = file.read(4096)
        for mark, encoding in _BOMS:
            if start.startswith(mark):
                return encoding, []
        even, odd = start[::2].count(0), start[1::2].count(0)
        if even + odd > len(start) // 4:
            return "utf-16-le" if odd > even else "utf-16-be", []
        file.seek(0)
        wrong, right = _count_bytes(file)
    if not wrong:
        return "utf-8", []
    if wrong < right:
        return "utf-8", [f"{wrong:,} letters are not UTF-8 and were read as cp1252: the file was put together from two"]
    return "cp1252", ["read as cp1252 (Western European Windows): if letters are wrong, put `encoding:` into a profile"]


def _count_bytes(file) -> tuple[int, int]:
    """Return how many bytes of a binary file are not UTF-8, and how many letters of several bytes are."""
    wrong = right = 0
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    while True:
        data = file.read(1 << 20)
        text = decoder.decode(data, final=not data)
        if not text.isascii():
            escaped = len(text) - len(text.encode("utf-8", "ignore").decode())
            wrong += escaped
            right += len(text) - len(text.encode("ascii", "ignore")) - escaped
        if not data:
            return wrong, right


def _find_delimiter(path: Path, encoding: str) -> str:
    """Return the delimiter that splits the first rows into many columns, all alike; a comma where none does."""
    with open_text(path, encoding) as file:
        sample = file.read(1 << 18)
    lines = sample.splitlines(keepends=True)
    if lines and lines[0].strip().lower().strip('"').startswith("sep=") and len(lines[0].strip().strip('"')) == 5:
        return lines[0].strip().strip('"')[4]  # what Excel writes for itself
    lines = lines[:-1] if len(lines) > 1 and len(sample) == 1 << 18 else lines

    def score(delimiter: str) -> float:
        widths = Counter(len(row.cells) for row, _ in zip(split(lines, delimiter, 0, path), range(SAMPLE), strict=False) if any(row.cells))
        width, count = max(widths.items(), key=lambda item: (item[0] > 1, item[1] * math.log(item[0]), item[0]), default=(1, 0))
        return count / max(1, widths.total()) * math.log(width)

    return max(DELIMITERS, key=score)


def split(lines: Iterable[str], delimiter: str, width: int, path: Path, notes: list[str] | None = None) -> Iterator[Row]:
    """Yield the rows of CSV. A row whose quotation marks are wrong is read by itself, line by line: it never swallows those after it.

    It is kept if it has `width` cells (any number, if `width` is 0), and otherwise has a problem instead of cells. `notes` gets a
    sentence about the first.
    """
    csv.field_size_limit(LONGEST_CELL)
    source, waiting, taken = iter(lines), deque(), []

    def feed() -> Iterator[str]:
        while True:
            line = waiting.popleft() if waiting else next(source, None)
            if line is None:
                return
            taken.append(line)
            yield line

    reader, number, repairs = csv.reader(feed(), delimiter=delimiter, strict=True), 1, 0
    while True:
        taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            repairs += 1
            if width and notes is not None and not any(UNCLOSED in note for note in notes):
                notes.append(f"line {number}: {UNCLOSED}; this line, and others like it, were read by themselves")
            if repairs > MOST_REPAIRS:
                raise UserError(f"{path}, line {number}: {UNCLOSED}, as in {MOST_REPAIRS:,} rows before: export it again with quoted text") from None
            waiting.extendleft(reversed(taken[1:]))
            del taken[1:]
            cells = _repaired(taken[0], delimiter, width)
            reader = csv.reader(feed(), delimiter=delimiter, strict=True)
        yield Row(number, cells) if cells is not None else Row(number, [], UNCLOSED)
        number += len(taken)


def _repaired(line: str, delimiter: str, width: int) -> list[str] | None:
    """Return the cells of one line, read in the way that gives `width` of them: quotation marks as text, escaped, or as far as they go."""
    ways = ({"quoting": csv.QUOTE_NONE}, {"escapechar": "\\"}, {})
    for way in ways:
        try:
            cells = next(csv.reader([line], delimiter=delimiter, **way), [])
        except csv.Error:
            continue
        if len(cells) == width or not width:
            return cells
    return None
