"""What is compared: the results of your own runs, the committed ones for reference, and which of them are comparable.

Numbers are comparable where they were measured on the same pairs (the hash of the data, and the number of pairs) and, for
models, with the same task and prompt. Baselines have no prompt. Of two results with the same name, your own counts.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from crm_dedup_plugin.errors import CONFIGS, UserError, advise
from crm_dedup_plugin.reporting.results import Benchmark, Metrics, Share, find, read

METRICS, BENCHMARK = "metrics.json", "benchmark.json"


@dataclass(frozen=True)
class Row:
    """One model or baseline; `notes` are the caveats of its numbers, `reference` marks a committed result among your own."""

    name: str
    metrics: Metrics | None = None
    benchmark: Benchmark | None = None
    notes: list[str] = field(default_factory=list)
    reference: bool = False

    @property
    def baseline(self) -> bool:
        return self.metrics is not None and self.metrics.inputs.model_sha256 is None

    @property
    def coverage(self) -> Share | None:
        return find(self, "metrics.calibration.merge_at_99.coverage")

    @property
    def data(self) -> tuple[str, int] | None:
        return (self.metrics.inputs.data_sha256, self.metrics.pairs) if self.metrics else None

    @property
    def task(self) -> str | None:
        return self.metrics.inputs.task_sha256 or "unknown" if self.metrics and not self.baseline else None

    @property
    def command(self) -> str:
        """Return what measures this row again, in backticks."""
        if self.baseline:
            return "`.venv/bin/python scripts/measure_baselines.py`"
        if self.metrics and self.metrics.model != f"outputs/{self.name}-merged":
            return f"`crm-dedup kpi {shlex.quote(self.name)} --model {shlex.quote(self.metrics.model)}`"
        return advise("kpi", self.name)


@dataclass(frozen=True)
class Comparison:
    """What is ranked (`rows`), what is not and why (`others`: row, reason), and what has no results yet (names)."""

    rows: list[Row]
    others: list[tuple[Row, str]]
    missing: list[str]
    elsewhere: dict[str, Comparison] = field(default_factory=dict)

    @property
    def measured(self) -> list[Row]:
        """Return the rows with quality, not speed alone."""
        return [row for row in self.rows if row.metrics]


def load(names: Sequence[str], places: Sequence[Path]) -> Comparison:
    """Return all results under `places` (your own first, then the committed), or those of `names`.

    Raises UserError where there are none, where a file is broken and where `names` cannot be compared.
    """
    if names:
        rows = _rows([_named(name, places) for name in dict.fromkeys(names)], places[0])
        _check_one_group(rows)
        return compare_rows(rows)
    rows = _rows(_folders(places), places[0])
    if not rows:
        raise UserError(f"{' and '.join(map(str, places))} hold{'s' * (len(places) == 1)} no results: run `crm-dedup kpi NAME` first")
    found = compare_rows(rows)
    missing = [path.stem for path in sorted(CONFIGS.glob("*.yml")) if path.stem not in {row.name for row in rows}]
    elsewhere = {name: compare_rows(_rows(_folders([place / name for place in places]), places[0] / name)) for name in _nested(places)}
    if others := [row for row, _ in found.others if row.reference]:  # measured on other pairs than your own
        elsewhere[str(places[-1])] = compare_rows(others)
    kept = [(row, reason) for row, reason in found.others if not row.reference]
    return Comparison(found.rows, kept, missing, {name: part for name, part in elsewhere.items() if part.rows})


def compare_rows(rows: Sequence[Row]) -> Comparison:
    """Set aside what was measured on other pairs, or with another task, than most of your models; note other versions.

    What counts is the largest group of your models (of all your rows if there is no model, of the committed ones if you
    have none); among groups of one size the one with more pairs, then the first hash. Rows that have only a speed stay.
    """
    own = [row for row in rows if not row.reference] or rows
    models = [row for row in own if row.metrics and not row.baseline]
    data = _most([row.data for row in models or own if row.data])
    task = _most([(row.task, 0) for row in models if row.data == data])
    kept, others = [], []
    for row in rows:
        if row.data and row.data != data:
            others.append((row, f"measured on {describe(row.data)}, the others on {describe(data)}"))
        elif row.task and (row.task, 0) != task:
            others.append((row, f"measured with other code or another prompt (task {row.task[:8]}, the others {task[0][:8]})"))
        else:
            kept.append(row)
    _mark_versions(kept)
    return Comparison(kept, others, [])


def marks(row: Row) -> str:
    """Return how the speed of a row was measured, if not in the usual way."""
    speed = row.benchmark
    if not speed:
        return ""
    return ", ".join(["random weights"] * speed.random_weights + ["quick"] * speed.quick + ([speed.quantization] if speed.quantization else []))


def describe(data: tuple[str, int]) -> str:
    return f"{data[1]} pairs of the data {data[0][:8]}"


def _folders(places: Sequence[Path]) -> list[Path]:
    """Return the folders with results, one for each name: that of the first place which has it."""
    found = {folder.name: folder for place in reversed(places) for folder in place.glob("*/") if _has_results(folder)}
    return [found[name] for name in sorted(found)]


def _nested(places: Sequence[Path]) -> list[str]:
    """Return the names of the folders that hold results in folders of their own, as demo/ does."""
    return sorted({folder.name for place in places for folder in place.glob("*/") if not _has_results(folder)})


def _named(name: str, places: Sequence[Path]) -> Path:
    for folder in (place / name for place in places):
        if _has_results(folder):
            return folder
    raise UserError(f"{places[0] / name / METRICS} does not exist: run {advise('kpi', name)} first, or name another")


def _has_results(folder: Path) -> bool:
    return (folder / METRICS).is_file() or (folder / BENCHMARK).is_file()


def _rows(folders: Sequence[Path], own: Path) -> list[Row]:
    """Return models before baselines, by name, and last those that have only a speed; what is not under `own` is for reference."""
    rows = [replace(_row(folder), reference=not folder.is_relative_to(own)) for folder in folders]
    return sorted(rows, key=lambda row: (not row.metrics, row.baseline, row.name))


def _row(folder: Path) -> Row:
    name, metrics, benchmark, notes = folder.name, None, None, []
    if (folder / METRICS).is_file():
        metrics = read(
            folder / METRICS, Metrics, f"run {advise('kpi', name)} (of a baseline `scripts/measure_baselines.py`) again, or remove the folder"
        )
        notes += [metrics.note] if metrics.note else []
    if (folder / BENCHMARK).is_file():
        benchmark = read(folder / BENCHMARK, Benchmark, f"run {advise('bench', name)} again, or remove the file")
    if benchmark and metrics and not benchmark.random_weights:
        other = "another model" if benchmark.inputs.model_sha256 != metrics.inputs.model_sha256 else "other pairs"
        if (benchmark.inputs.model_sha256, benchmark.inputs.data_sha256) != (metrics.inputs.model_sha256, metrics.inputs.data_sha256):
            notes.append(f"its speed is not shown: {BENCHMARK} is of {other} than {METRICS} (run {advise('bench', name)} again)")
            benchmark = None
    if benchmark and benchmark.random_weights:
        notes.append("speed with random weights: it says how fast a model of this shape is, nothing about quality")
    if benchmark and benchmark.quick:
        notes.append("speed from a quick run" + (f" on {benchmark.pairs} pairs" if benchmark.pairs else "") + ": a first impression")
    if not metrics:
        model = _configured(name, benchmark)
        notes.append(f"quality not measured: run {advise('train', model)}, then {advise('kpi', model)}")
    return Row(name, metrics, benchmark, notes)


def _configured(name: str, benchmark: Benchmark | None) -> str:
    """Return the name of the configuration that trains what was benchmarked under `name`, perhaps with other settings."""
    named = (name, Path(benchmark.model).name.removesuffix("-merged") if benchmark else "")
    return next((one for one in named if (CONFIGS / f"{one}.yml").is_file()), name)


def _check_one_group(rows: Sequence[Row]) -> None:
    for kind, of in (("pairs", lambda row: row.data and describe(row.data)), ("code or prompts", lambda row: row.task and f"task {row.task[:8]}")):
        groups: dict[str, list[str]] = {}
        for row in rows:
            if of(row):
                groups.setdefault(of(row), []).append(row.name)
        if len(groups) > 1:
            listed = "; ".join(f"{group}: {', '.join(names)}" for group, names in groups.items())
            raise UserError(f"these were measured on different {kind} ({listed}): name those of one group, or measure the rest again")


def _mark_versions(rows: Sequence[Row]) -> None:
    """Note where a model was measured with other versions of packages, or its speed with another prompt, than most."""
    for kind, part in (("quality", "metrics"), ("speed", "benchmark")):
        owners = [row for row in rows if getattr(row, part) and not (part == "metrics" and row.baseline)]
        used = [_versions(getattr(row, part)) for row in owners]
        usual = dict(_most([tuple(sorted(own.items())) for own in used]) or ())
        for row, own in zip(owners, used, strict=True):
            other = [f"{name} {own.get(name, 'unknown')}" for name in sorted(usual.keys() | own.keys()) if own.get(name) != usual.get(name)]
            if other:
                row.notes.append(f"{kind} measured with other versions than most: {', '.join(other)}")


def _versions(part: Metrics | Benchmark) -> dict[str, str]:
    prompt = part.inputs.prompt_sha256
    return {**(part.versions or {}), **({"prompt": prompt[:8]} if prompt else {})}


def _most(keys: list):
    """Return the most frequent key; of equally frequent ones that with more pairs, then the first."""
    counts = Counter(keys)
    return min(counts, key=lambda key: (-counts[key], -key[-1] if key and isinstance(key[-1], int) else 0, key), default=None)
