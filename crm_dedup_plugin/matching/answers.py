"""What people answered about the records of a run: ``decisions.jsonl`` at its root, which outlives every stage that is redone.

One JSON object a line, in order of time, and never changed: taking an answer back is a line of its own. A record is named by its file, its
id and a hash of what it says, so that an answer about a record that has changed since is not used.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.records import CONSTANT, EVIDENCE, Records

FILE = "decisions.jsonl"
PAIR, PRIMARY, VALUE, UNDO = KINDS = ("pair", "primary", "value", "undo")
SAME, DIFFERENT, UNSURE, SKIP = ANSWERS = ("same", "different", "unsure", "skip")


def append(run: Path, entry: dict) -> dict:
    """Add an entry, and return it with its number "n" and its "time" once it is on the disk.

    Several threads and processes may do so at once. Raises UserError where it cannot be written; then nothing was added.
    """
    try:
        with _opened(run / FILE) as file:
            end, last = _end(file)
            whole = {"n": last + 1, "time": datetime.now(UTC).isoformat(timespec="seconds"), **entry}
            file.truncate(end)  # of a line that was never finished
            try:
                file.seek(end)
                file.write(json.dumps(whole, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n")
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(end)
                raise
    except OSError as error:
        raise UserError(f"the answer was not saved: {run / FILE} cannot be written ({error.strerror}): make room, or make it writable") from None
    return whole


def entries(run: Path) -> list[dict]:
    """Return all entries that nobody took back, in order of time."""
    path = run / FILE
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8", errors="surrogatepass").split("\n")[:-1]
    found, undone = [], set()
    for number, line in reversed(list(enumerate(lines, start=1))):
        try:
            entry = json.loads(line)
            number_of_entry = entry["n"]
        except (json.JSONDecodeError, KeyError, TypeError):
            raise UserError(f"{path}, line {number}, is no answer: correct it, or delete the line") from None
        if number_of_entry not in undone:
            if entry["kind"] == UNDO:
                undone.add(entry["of"])
            else:
                found.append(entry)
    return found[::-1]


def reference(records: Records, row: int) -> dict[str, str]:
    """Return what names a record for good: its file, its id, and a hash of what it says."""
    return {"file": _names(records)[records.source_of[row]], "id": records.ids[row], "sha256": said(records, row)}


def said(records: Records, row: int) -> str:
    """Return a hash of what a record says of its entity; what the CRM notes about a record (owner, dates) does not count."""
    told = {column.name for column in records.sources[records.source_of[row]].columns if column.role in (EVIDENCE, CONSTANT)}
    values = {name: value for name, value in records.values(row).items() if name in told}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]


class Answers(NamedTuple):
    """What people answered about the records of a run as they are now."""

    pairs: list[tuple[int, int, str, dict]]  # row, row, one of `ANSWERS`, and the whole entry, in order of time
    primaries: list[int]  # rows that stay, the latest choice last
    values: list[tuple[str, int]]  # column, and the row whose value survives, the latest choice last
    changed: int  # answers about records that have changed since, or are gone

    @classmethod
    def of(cls, run: Path, records: Records, row_of: "Rows | None" = None) -> Self:
        """Return the answers about a run whose files are read; who asks often keeps `row_of`."""
        found = cls([], [], [], 0)
        for entry in entries(run):
            row_of = row_of or Rows(records)
            pairs = entry["pairs"] if entry["kind"] == PAIR else [[entry["record"]]]
            for rows in ([row_of(one) for one in pair] for pair in pairs):
                if None in rows:
                    found = found._replace(changed=found.changed + 1)
                elif entry["kind"] == PAIR:
                    found.pairs.append((*rows, entry["answer"], entry))
                elif entry["kind"] == PRIMARY:
                    found.primaries.extend(rows)
                else:
                    found.values.append((entry["field"], *rows))
        return found

    @property
    def latest(self) -> dict[tuple[int, int], tuple[str, dict]]:
        """Return by pair, the smaller row first, the answer that counts and its entry, in order of time: who skips a pair takes no answer back."""
        last: dict[tuple[int, int], tuple[str, dict]] = {}
        for a, b, answer, entry in self.pairs:
            pair = (min(a, b), max(a, b))
            if answer != SKIP or pair not in last:
                last.pop(pair, None)
                last[pair] = answer, entry
        return last

    @property
    def same_or_not(self) -> list[tuple[int, int, bool]]:
        """Return what is answered with yes or no, for `grouping.group`: the last answer about a pair counts, and "unsure" takes one back."""
        return [(*pair, answer == SAME) for pair, (answer, _) in self.latest.items() if answer in (SAME, DIFFERENT)]


class Rows:
    """Finds the row of a record by its reference; None where it has changed or is gone."""

    def __init__(self, records: Records):
        self.records, self.names = records, _names(records)
        self.rows = {(self.names[source], id_): row for row, (source, id_) in enumerate(zip(records.source_of, records.ids, strict=True))}
        self.by_content: dict[tuple[str, str], int] | None = None
        self._known: dict[tuple[str, str, str], int | None] = {}

    def __call__(self, reference: dict) -> int | None:
        key = reference["file"], reference["id"], reference["sha256"]
        if key not in self._known:
            self._known[key] = self._found(reference)
        return self._known[key]

    def whatever_it_says(self, reference: dict) -> int | None:
        """Return the row of the record that has this id now, changed or not; None where it is gone."""
        return self.rows.get((reference["file"], reference["id"]))

    def _found(self, reference: dict) -> int | None:
        file, content = reference["file"], reference["sha256"]
        row = self.rows.get((file, reference["id"]))
        if row is not None and said(self.records, row) == content:
            return row
        if file in self.names and self.records.sources[self.names.index(file)].column_of_ids is None:  # its rows may have moved
            if self.by_content is None:
                self.by_content = {(self.names[source], said(self.records, row)): row for row, source in enumerate(self.records.source_of)}
            return self.by_content.get((file, content))
        return None


def _names(records: Records) -> list[str]:
    """Return a name for each file: that of the file, or its path where two have the same."""
    names = [Path(source.path).name for source in records.sources]
    return names if len(set(names)) == len(names) else [source.path for source in records.sources]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("a+b") as touched, path.open("r+b") as file:
        fcntl.flock(touched, fcntl.LOCK_EX)
        yield file


def _end(file: BinaryIO) -> tuple[int, int]:
    """Return where the last whole line of the answers ends, and its number; 0 and 0 where there is none."""
    content = file.read()
    end = content.rfind(b"\n") + 1
    last = content[:end].split(b"\n")[-2] if end else b""
    return end, json.loads(last)["n"] if last else 0
