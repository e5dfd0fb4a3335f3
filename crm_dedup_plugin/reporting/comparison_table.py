"""The table of the comparison: its columns, and the cells of each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from crm_dedup_plugin.reporting import metric_names, tables
from crm_dedup_plugin.reporting.comparison import Row, marks
from crm_dedup_plugin.reporting.results import Interval, find
from crm_dedup_plugin.reporting.speed_figures import machines

DASH = "–"


class Cell(NamedTuple):
    """A number as it is shown, the value to sort by (None: not measured), and the caveat of a speed."""

    text: str
    interval: str = ""
    order: float | None = None
    mark: str = ""

    def __str__(self) -> str:
        return self.text + (f" ({self.interval})" if self.interval else "")


def cell(found: Interval | float | None, write: Callable[[float], str] = tables.share, mark: str = "") -> Cell:
    """Return a number, with its interval if it has one."""
    if found is None:
        return Cell(DASH)
    if not isinstance(found, Interval):
        return Cell(write(found), order=found, mark=mark)
    return Cell(write(found.value), f"{write(found.low)}{DASH}{write(found.high)}", found.value, mark)


class Column(NamedTuple):
    """A metric, where a row has it (a path of attributes), and how it is written."""

    metric: metric_names.Metric
    path: str
    write: Callable[[float], str]

    @property
    def speed(self) -> bool:
        return self.path.startswith("benchmark.")

    def cell(self, row: Row) -> Cell:
        return cell(find(row, self.path), self.write, marks(row) if self.speed else "")


def _column(metric: str, path: str, write: str) -> Column:
    return Column(find(metric_names.METRICS, metric), path, getattr(tables, write))


COLUMNS = [_column(**column) for column in metric_names.COLUMNS]


def present(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """Return the columns in which any row has a number."""
    return [column for column in columns if any(find(row, column.path) is not None for row in rows)]


def lines(rows: Sequence[Row], columns: Sequence[Column], notes: Sequence[str]) -> list[dict]:
    """Return what the table shows of each row: name, kind, numbers of notes, cells, and the machine of its speeds."""
    groups = list(machines(rows).items())
    place = {row.name: (number, machine) for number, (machine, part) in enumerate(groups) for row in part}
    return [
        {
            "name": row.name,
            "kind": "baseline" if row.baseline else "model",
            "labels": ["baseline"] * row.baseline + ["reference"] * row.reference,
            "notes": [notes.index(note) + 1 for note in row.notes],
            "cells": [column.cell(row) for column in columns],
            "group": place.get(row.name, (len(groups), ""))[0],
            "machine": place.get(row.name, (len(groups), ""))[1],
        }
        for row in rows
    ]


def by_slice(rows: Sequence[Row]) -> list[dict]:
    """Return the accuracy of each row in each slice, the slices that are hardest on average first."""
    found = []
    for name in sorted({name for row in rows for name in row.metrics.slices}):
        parts = [row.metrics.slices.get(name) for row in rows]
        known = [part.accuracy.value for part in parts if part]
        cells = [cell(part and part.accuracy) for part in parts]
        found.append({"name": name, "pairs": max(part.pairs for part in parts if part), "mean": sum(known) / len(known), "cells": cells})
    return sorted(found, key=lambda line: (line["mean"], line["name"]))
