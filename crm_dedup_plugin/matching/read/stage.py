"""The stage: each file is read twice, to understand its columns and to write its records, in memory that does not grow with the file."""

import itertools
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching import run_folder
from crm_dedup_plugin.matching.progress import many, tell
from crm_dedup_plugin.matching.read import columns, formats, headers, profiles
from crm_dedup_plugin.matching.read.profiles import Profile
from crm_dedup_plugin.matching.read.rows import Reading
from crm_dedup_plugin.matching.read.tables import Table
from crm_dedup_plugin.matching.read.write import Writer, write_records
from crm_dedup_plugin.matching.records import EVIDENCE, Column, Source
from crm_dedup_plugin.provenance import digest
from crm_dedup_plugin.storage import write_atomically

VERSION = 1  # of what this stage writes: raise it where the same files give other records
BATCH = 5000  # rows
KIND_NOT_SURE = "taken for {}s: if that is wrong, put `kind:` into a profile"


class File(NamedTuple):
    """A file that was understood."""

    table: Table
    profile: Profile
    header: tuple[int, Sequence[str]]
    columns: list[Column]
    dates: str | None
    kind: str
    sure: bool  # of the kind
    rows: int
    notes: list[str]


def read(run: Path, files: Sequence[Path], profile: Path | None = None) -> dict:
    """Read files into ``1-read/records.parquet`` and return the report of what was understood, skipped and lost.

    `profile` is a YAML file or the name of a profile of the package; without it each file's is recognised by its headers.
    Raises UserError, which names the file, the line and the cure, where a file cannot be read: then nothing is left but the key.
    """
    given = check(files, profile)
    known = [given] if given else profiles.shipped()
    key = {
        "version": VERSION,
        "files": [{"path": str(file), "sha256": digest([file])} for file in files],
        "profiles": [digest([one.path]) for one in known],
        "profile": given and given.path.name,
    }
    return run_folder.stage(run, "read", key, lambda folder: _read(folder, files, given))


def check(files: Sequence[Path], profile: Path | None = None) -> Profile | None:
    """Return the profile that was named, if any; raises UserError where it or a file cannot be read, or a file was named twice."""
    if not files:
        raise UserError("no file was named: name a CSV, XLSX, Parquet or JSON Lines file")
    if again := [file for at, file in enumerate(files) if file.resolve() in {other.resolve() for other in files[:at]}]:
        raise UserError(f"{again[0]} was named twice: name each file once")
    for file in files:
        try:
            file.open("rb").close()
        except FileNotFoundError:
            raise UserError(f"{file} does not exist: check the path") from None
        except OSError as error:
            raise UserError(f"{file} cannot be read ({error.strerror}): name a file that you may read") from None
    return profiles.find(profile) if profile else None


def _read(folder: Path, files: Sequence[Path], given: Profile | None) -> dict:
    began = time.monotonic()
    understood = [_understand(file, given) for file in files]
    kind = _one_kind(understood)
    writers = [Writer(number, file.columns, file.profile, file.dates) for number, file in enumerate(understood)]
    readings = [Reading(file.table, file.header, [column.name for column in file.columns], file.profile) for file in understood]
    write_records(folder, [(_counted(file, reading), writer) for file, reading, writer in zip(understood, readings, writers, strict=True)])
    for number, file in enumerate(understood):
        write_atomically(folder / profiles.COPY_OF.format(number), file.profile.path.read_text(encoding="utf-8"))
    described = [_describe(*found) for found in zip(understood, readings, writers, strict=True)]
    sources = [Source(str(file.table.path), file.profile.name, file.profile.crm, file.kind, file.columns) for file in understood]
    return {
        "sources": [{**source._asdict(), "columns": [column._asdict() for column in source.columns]} for source in sources],
        "files": described,
        "rows": sum(one["rows"] for one in described),
        "records": sum(one["records"] for one in described),
        "kind": kind,
        "link": len(files) > 1,
        "seconds": round(time.monotonic() - began, 1),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _understand(path: Path, given: Profile | None) -> File:
    """Read a file once; raises UserError where it holds no records."""
    table = formats.open_table(path, given and given.encoding, given and given.delimiter)
    line, cells, names = headers.find(table)
    profile = given or profiles.recognise(names)
    reading = Reading(table, (line, cells), names, profile)
    repeated = _Repeated(names, profile)
    found = columns.survey(repeated.watch(_batches(reading)), len(names))
    if not found.records:
        raise UserError(f"{path}: {f'there are no records under the header in line {line}' if line else 'it holds no records'}: export it again")
    if repeated.is_no_id():
        profile = profile._replace(id=tuple(one for one in profile.id if not profiles.matches(repeated.name, one)))
    described, notes = columns.understand(names, found, profile)
    if repeated.is_no_id():
        notes.append(f"{repeated.name}: many rows share a value, so that it is no id of records")
    dates, unsure = columns.order_of_dates(described, found, profile)
    kind, sure = (profile.kind, True) if profile.kind else columns.kind(described)
    if not any(column.role == EVIDENCE for column in described):
        raise UserError(
            f"{path}: no column tells records apart: name its columns (Name, Email, Phone), or correct a profile and pass it with --profile"
        )
    return File(table, profile, (line, cells), described, dates, kind, sure, reading.rows, notes + unsure)


def _batches(reading: Reading) -> Iterator[list[list[str]]]:
    rows = (cells for _, cells in reading)
    while batch := list(itertools.islice(rows, BATCH)):
        yield batch


class _Repeated:
    """Watches whether what is called an id in a spreadsheet is one: ids of a CRM are believed."""

    def __init__(self, names: Sequence[str], profile: Profile):
        self.name = None if profile.crm else profiles.column(names, profile.id)
        self.at = names.index(self.name) if self.name else 0
        self.seen: set[str] = set()
        self.records = self.again = 0

    def watch(self, batches: Iterator[list[list[str]]]) -> Iterator[list[list[str]]]:
        for rows in batches:
            if self.name:
                values = [value for row in rows if (value := row[self.at].strip())]
                before = len(self.seen)
                self.seen.update(values)
                self.again += len(values) - (len(self.seen) - before)
                self.records += len(values)
            yield rows
        self.seen.clear()

    def is_no_id(self) -> bool:
        return self.again > 5 and 10 * self.again > self.records


def _one_kind(files: Sequence[File]) -> str:
    """Return the kind of all files, that of the surest; raises UserError where contacts meet accounts."""
    sure = {file.kind: file.table.path for file in files if file.sure}
    if len(sure) > 1:
        (one, first), (other, second) = sure.items()
        raise UserError(f"{first} holds {one}s and {second} holds {other}s: match each by itself, or say `kind:` in a profile")
    return next(iter(sure), files[0].kind)


def _counted(file: File, reading: Reading) -> Iterator[tuple[int, list[str]]]:
    """Yield the records of a file, and say how far it is; raises UserError where the file is not the one that was understood."""
    for count, record in enumerate(reading, start=1):
        if count % 100_000 == 0:
            tell(f"read: {count:,} rows of {file.table.path.name}")
        yield record
    if reading.rows != file.rows:
        raise UserError(f"{file.table.path} changed while it was read: run the command again")


def _describe(file: File, reading: Reading, writer: Writer) -> dict:
    """Return what a file held; every row is a record or skipped."""
    skipped = reading.skipped
    skipped |= writer.skipped
    assert reading.rows == writer.records + skipped.total(), f"{reading.rows} rows, {writer.records} records, {skipped.total()} skipped"
    notes = [*file.table.notes, *file.notes, *writer.notes()]
    if reading.short:
        notes.append(f"rows with fewer cells than the header, whose other cells were taken as blank: {reading.short:,}")
    if not file.sure:
        notes.append(KIND_NOT_SURE.format(file.kind))
    table = file.table
    tell(f"read: {many(reading.rows, 'row')} of {table.path.name}, {many(writer.records, 'record')}, {skipped.total():,} skipped")
    return {
        "path": str(table.path),
        "format": table.format,
        "encoding": table.encoding,
        "delimiter": table.delimiter,
        "header_line": file.header[0],
        "rows": reading.rows,
        "records": writer.records,
        "skipped": skipped.report(),
        "notes": list(dict.fromkeys(notes)),
    }
