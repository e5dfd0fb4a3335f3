"""The columns of the table: where each number comes from, how it is written, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from crm_dedup_plugin.reporting.comparison import Row
from crm_dedup_plugin.reporting.results import Interval, Latency

DASH = "–"


class Cell(NamedTuple):
    """A number as it is shown, what it is sorted by (None: not measured), and what it must not be read without."""

    text: str
    interval: str = ""
    order: float | None = None
    mark: str = ""


class Column(NamedTuple):
    title: str
    help: str
    get: Callable[[Row], Interval | float | None]
    write: Callable[[float], str]
    speed: bool = False
    better: str = "higher"

    def cell(self, row: Row) -> Cell:
        found, mark = self.get(row), marks(row) if self.speed else ""
        if found is None:
            return Cell(DASH)
        if not isinstance(found, Interval):
            return Cell(self.write(found), order=found, mark=mark)
        return Cell(self.write(found.value), f"{self.write(found.low)}{DASH}{self.write(found.high)}", found.value, mark)


def marks(row: Row) -> str:
    """Return how a speed was measured where that is not the usual way."""
    speed = row.benchmark
    if not speed:
        return ""
    words = ["random weights"] * speed.random_weights + ["quick"] * speed.quick + ([speed.quantization] if speed.quantization else [])
    return ", ".join(words)


def share(value: float) -> str:
    return f"{value:.2f}"


def percent(value: float) -> str:
    """Return a share in percent; 100% only where it is all of them.

    >>> percent(1.0), percent(0.99999), percent(0.5)
    ('100%', '99.9%', '50.0%')
    """
    return "100%" if value == 1 else "99.9%" if 0.999 < value < 1 else f"{value:.1%}"


def rate(value: float) -> str:
    """Return three significant digits, never an exponent.

    >>> rate(0.01234), rate(1.234), rate(1234.5), rate(0.0)
    ('0.0123', '1.23', '1,234', '0')
    """
    if value < 1e-6 or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{2 - math.floor(math.log10(value))}f}"


def _metric(name: str) -> Callable[[Row], Interval | None]:
    return lambda row: getattr(row.metrics, name) if row.metrics else None


def _ece(row: Row) -> Interval | None:
    return row.metrics.calibration.ece if row.metrics and row.metrics.calibration else None


def _linked(row: Row) -> Interval | None:
    return row.metrics.linking.mean_f1 if row.metrics and row.metrics.linking else None


def precision_reached(row: Row) -> Interval | None:
    merges = row.metrics and row.metrics.calibration and row.metrics.calibration.merge_at_99
    return merges.precision if merges else None


def _arm(name: str, key: str) -> Callable[[Row], Interval | float | None]:
    return lambda row: getattr(row.benchmark.arm(name), key) if row.benchmark else None


def _alone(latency: str, quantile: str) -> Callable[[Row], Interval | None]:
    def get(row: Row) -> Interval | None:
        load = row.benchmark.alone() if row.benchmark else None
        return getattr((load and getattr(load, latency)) or Latency(), quantile)

    return get


QUALITY = (
    Column("macro F1", "mean of the F1 of the three decisions", _metric("macro_f1"), share),
    Column("coverage at 99%", "share of duplicates above the threshold that gave 99% precision on validation pairs", lambda row: row.coverage, share),
    Column("precision reached", "how many of those merges were right on the test pairs", precision_reached, share),
    Column("F1 DUPLICATE", "F1 of the decision DUPLICATE", _metric("f1_duplicate"), share),
    Column("precision DUPLICATE", "how many of all pairs called DUPLICATE are duplicates", _metric("precision_duplicate"), share),
    Column("accuracy", "share of right decisions", _metric("accuracy"), share),
    Column("F1 of public links", "pairwise F1 on public lists, the mean of the files, from a threshold that held-out lists gave", _linked, share),
    Column("flips, swapped", "decisions that change when the two records change places", _metric("flip_rate"), share, better="lower"),
    Column("flips, shuffled", "decisions that change when fields are reordered", _metric("shuffle_flip_rate"), share, better="lower"),
    Column("moved by injections", "decisions that change when a record hides an instruction", _metric("injection_moved"), share, better="lower"),
    Column("injections obeyed", "decisions that become what the hidden instruction asks for", _metric("injection_success"), share, better="lower"),
    Column("reasoning grounded", "answers whose reasoning names what the records show", _metric("reasoning_grounded"), share),
    Column("valid JSON", "answers that fit the schema", _metric("valid_json"), percent),
    Column("ECE", "expected calibration error: how far confidence is from accuracy, before calibration", _ece, share, better="lower"),
)
SPEED = (
    Column("pairs/s", "pairs a second, offline, whole JSON answers", _arm("full", "pairs_per_second"), rate, True),
    Column("pairs/s, decision", "pairs a second, offline, the decision alone (one token)", _arm("decision", "pairs_per_second"), rate, True),
    Column("p50 latency, ms", "median time of one request, one at a time", _alone("e2el_ms", "p50"), rate, True, "lower"),
    Column("p50 first token, ms", "median time to the first token, one request at a time", _alone("ttft_ms", "p50"), rate, True, "lower"),
    Column("share of limit", "pairs a second against what the hardware allows at most", _arm("full", "share_of_limit"), percent, True),
    Column(
        "cost per million",
        "price of a million pairs, whole answers, at the stated price an hour",
        _arm("full", "cost_per_million_pairs"),
        rate,
        True,
        "lower",
    ),
)


def present(columns: tuple[Column, ...], rows: list[Row]) -> list[Column]:
    """Return the columns in which any row has a number."""
    return [column for column in columns if any(column.get(row) is not None for row in rows)]
