"""Which rows of a file are records: every other row is skipped for a reason, and counted."""

import re
from collections.abc import Iterator, Sequence

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.read import profiles
from crm_dedup_plugin.matching.read.profiles import Profile
from crm_dedup_plugin.matching.read.tables import Row, Table

SHOWN = 20  # lines of skipped rows that a report names
HELD = 50  # rows of one cell at the end of a file that may be a footer
BLANK, BEFORE, AGAIN = "it is blank", "it stands before the header", "it repeats the header"
FOOTER, LONG = "it is a footer or a caption", "it has more cells than the header"
_FOOTER = re.compile(
    r"copyright|©|all rights reserved|^confidential information|do not distribute|^generated (by|on|at)\b|^exported (by|on|at|from)\b|"
    r"^(grand |sub ?)totals?\b|^totals?( records| rows)?\s*[:(\d]|^\d[\d,.]* (records|rows|contacts|accounts|results)\b|"
    r"^(summe|gesamt(summe)?|total g[ée]n[ée]ral|totale|suma|totaal)\s*([:(=\d]|$)|^(page|seite)\s*:?\s*\d+",
    re.IGNORECASE,
)


class Skipped(dict[str, list]):
    """Rows that are no records, by reason: how many, and the lines of the first."""

    def add(self, reason: str, line: int) -> None:
        count = self.setdefault(reason, [0, []])
        count[0] += 1
        if len(count[1]) < SHOWN:
            count[1].append(line)

    def total(self) -> int:
        return sum(count for count, _ in self.values())

    def report(self) -> list[dict]:
        return [{"reason": reason, "count": count, "lines": lines} for reason, (count, lines) in self.items()]


class Reading:
    """One pass over the records of a table: iterate once, then look at what was counted."""

    def __init__(self, table: Table, header: tuple[int, Sequence[str]], names: Sequence[str], profile: Profile):
        self.table, self.header_line, self.names = table, header[0], names
        self.header = [cell.strip() for cell in header[1]]
        self.inactive = [
            (at, column, {value.casefold() for value in values})
            for column, values in profile.skip.items()
            for at, name in enumerate(names)
            if profiles.matches(name, column)
        ]
        self.rows, self.short, self.skipped = 0, 0, Skipped()

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line and the cells of each record, one cell for each column; raises UserError where the header does not fit."""
        held: list[Row] = []
        blank = False
        for row in self.table.rows(len(self.names)):
            if row.line == self.header_line:
                continue
            self.rows += 1
            reason = self._reason(row)
            if reason:
                blank = reason == BLANK
                self.skipped.add(reason, row.line)
                self._require_few_long(row)
            elif self._alone(row, blank) and len(held) < HELD:
                held.append(row)
            else:
                yield from map(self._record, held)
                held.clear()
                blank = False
                yield self._record(row)
        for row in held:
            self.skipped.add(FOOTER, row.line)

    def _reason(self, row: Row) -> str:
        """Return why a row is no record, or ""."""
        cells = row.cells
        if row.problem:
            return row.problem
        if not any(cells) or not any(map(str.strip, cells)):
            return BLANK
        if row.line < self.header_line:
            return BEFORE
        if len(cells) > len(self.names):
            if any(map(str.strip, cells[len(self.names) :])):
                return LONG
            del cells[len(self.names) :]
        if self.header_line and cells[0].strip() == self.header[0] and [cell.strip() for cell in cells[: len(self.header)]] == self.header:
            return AGAIN
        for at, column, values in self.inactive:
            if at < len(cells) and cells[at].strip().casefold() in values:
                return f"{column} is {cells[at].strip()}"
        return FOOTER if len(self.names) > 1 and _only(cells) and _FOOTER.search(cells[0].strip()) else ""

    def _alone(self, row: Row, blank: bool) -> bool:
        """Tell whether a row may be the beginning of a footer: writers of CSV pad their records, so one cell alone is none."""
        if len(self.names) < 3 or not self.header_line or not _only(row.cells):
            return False
        return blank or (self.table.format == "csv" and len(row.cells) == 1)

    def _record(self, row: Row) -> tuple[int, list[str]]:
        missing = len(self.names) - len(row.cells)
        if missing:
            self.short += self.table.format == "csv"
            row.cells.extend([""] * missing)
        return row.line, row.cells

    def _require_few_long(self, row: Row) -> None:
        long = self.skipped.get(LONG, [0])[0]
        if long > 100 and 2 * long > self.rows:
            raise UserError(
                f"{self.table.path}, line {row.line}: {len(row.cells)} cells under a header of {len(self.names)} columns, as in most rows: "
                "name every column, and put cells that contain the delimiter in quotes"
            )


def _only(cells: Sequence[str]) -> bool:
    """Tell whether the first cell is the only one with text."""
    return not (len(cells) > 1 and cells[1]) and bool(cells[0].strip()) and not any(map(str.strip, cells[1:]))
