"""The table of the comparison: its columns, and the cells of each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from crm_dedup_plugin.reporting.comparison import Row, marks
from crm_dedup_plugin.reporting.metric_names import CALIBRATION, FORMAT, LINKING, MERGING, QUALITY, ROBUSTNESS, SPEED, Metric
from crm_dedup_plugin.reporting.results import Interval
from crm_dedup_plugin.reporting.speed_figures import machines
from crm_dedup_plugin.reporting.tables import percent, rate, share

DASH = "–"


class Cell(NamedTuple):
    """A number as it is shown, the value to sort by (None: not measured), and the caveat of a speed."""

    text: str
    interval: str = ""
    order: float | None = None
    mark: str = ""


class Column(NamedTuple):
    """A metric, where a row has it (a path of attributes), and how it is written."""

    metric: Metric
    path: str
    write: Callable[[float], str] = share
    speed: bool = False

    def get(self, row: Row) -> Interval | float | None:
        found = row
        for part in self.path.split("."):
            found = found and getattr(found, part)
        return found

    def cell(self, row: Row) -> Cell:
        found, mark = self.get(row), marks(row) if self.speed else ""
        if found is None:
            return Cell(DASH)
        if not isinstance(found, Interval):
            return Cell(self.write(found), order=found, mark=mark)
        return Cell(self.write(found.value), f"{self.write(found.low)}{DASH}{self.write(found.high)}", found.value, mark)


COLUMNS = (
    Column(QUALITY["macro_f1"], "metrics.macro_f1"),
    Column(MERGING["coverage"], "metrics.calibration.merge_at_99.coverage"),
    Column(MERGING["precision"], "metrics.calibration.merge_at_99.precision"),
    *(Column(QUALITY[name], f"metrics.{name}") for name in ("f1_duplicate", "precision_duplicate", "accuracy")),
    Column(LINKING["mean_f1"], "metrics.linking.mean_f1"),
    *(Column(ROBUSTNESS[name], f"metrics.{name}") for name in ROBUSTNESS if name != "reasoning_contradicts"),
    Column(FORMAT["valid_json"], "metrics.valid_json", percent),
    Column(CALIBRATION["ece"], "metrics.calibration.ece"),
    Column(SPEED["full"], "benchmark.full.pairs_per_second", rate, True),
    Column(SPEED["decision"], "benchmark.decision.pairs_per_second", rate, True),
    Column(SPEED["e2el_ms"], "benchmark.alone.e2el_ms.p50", rate, True),
    Column(SPEED["ttft_ms"], "benchmark.alone.ttft_ms.p50", rate, True),
    Column(SPEED["share_of_limit"], "benchmark.full.share_of_limit", percent, True),
    Column(SPEED["cost_per_million_pairs"], "benchmark.full.cost_per_million_pairs", rate, True),
)


def present(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """Return the columns in which any row has a number."""
    return [column for column in columns if any(column.get(row) is not None for row in rows)]


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
        cells = [
            Cell(share(part.accuracy.value), f"{share(part.accuracy.low)}{DASH}{share(part.accuracy.high)}", part.accuracy.value)
            if part
            else Cell(DASH)
            for part in parts
        ]
        found.append({"name": name, "pairs": max(part.pairs for part in parts if part), "mean": sum(known) / len(known), "cells": cells})
    return sorted(found, key=lambda line: (line["mean"], line["name"]))
