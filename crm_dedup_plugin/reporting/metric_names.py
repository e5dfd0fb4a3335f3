"""The one vocabulary of what is measured: keys of ``metrics.json`` and ``benchmark.json``, with the names that people read.

The names are in ``metric_names.yml``, and so is the order of the columns of the comparison.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml


class Metric(NamedTuple):
    """The name of a number, what it says, and whether "higher" or "lower" is better."""

    title: str
    help: str
    better: str = "higher"


_NAMES = yaml.safe_load(Path(__file__).with_suffix(".yml").read_text(encoding="utf-8"))
LATENCIES, ARMS, COLUMNS = (_NAMES.pop(key) for key in ("latencies", "arms", "columns"))
METRICS = {group: {key: Metric(**metric) for key, metric in metrics.items()} for group, metrics in _NAMES.items()}
QUALITY, ROBUSTNESS, FORMAT, CALIBRATION, MERGING = (METRICS[group] for group in ("quality", "robustness", "format", "calibration", "merging"))


def titles() -> list[str]:
    """Return every name in this vocabulary."""
    return [*(metric.title for metrics in METRICS.values() for metric in metrics.values()), *LATENCIES.values(), *ARMS.values()]
