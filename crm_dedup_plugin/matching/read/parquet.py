"""Parquet files, a batch of rows at a time."""

import contextlib
import datetime
import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

from crm_dedup_plugin.errors import UserError
from crm_dedup_plugin.matching.read.tables import Row, Table

BATCH = 10_000  # rows


def parquet_table(path: Path) -> Table:
    """Return a Parquet file as a table; raises UserError where it is cut off or protected, now or while it is read."""
    import pyarrow.parquet as pq

    with _explained(path), pq.ParquetFile(path) as file:
        names, types = file.schema_arrow.names, file.schema_arrow.types
    notes: list[str] = []
    writers = [_writer(kind, notes) for kind in types]

    def rows(width: int) -> Iterator[Row]:
        number = 0
        with _explained(path), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH):
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield Row(number, ["" if value is None else write(value) for write, value in zip(writers, values, strict=True)])

    return Table(path, "parquet", rows, names, notes)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UserError(f"{path} is cut off, damaged or protected ({said}): write or copy it again") from None


def _writer(kind, notes: list[str]) -> Callable[[object], str]:
    """Return what makes text of the values of a column of a type of Arrow."""
    import pyarrow.types as types

    if types.is_string(kind) or types.is_large_string(kind):
        return str
    if types.is_list(kind) or types.is_large_list(kind) or types.is_struct(kind) or types.is_map(kind):
        notes.append("some values are lists or objects: they are kept as JSON")
        return lambda value: json.dumps(value, ensure_ascii=False, default=_text)
    return _text


def _text(value: object) -> str:
    """Return a value as a person writes it: 2116.0 as 2116, dates as ISO 8601."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if value != value else str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        return value.date().isoformat() if value.time() == datetime.time() else value.isoformat()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)
