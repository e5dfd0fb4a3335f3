"""The comparison page: ``crm-dedup compare``, or ``make compare``, writes all results to one page, as HTML and as Markdown.

The same results give the same bytes. Whatever comes from a file is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crm_dedup_plugin.reporting import quality_figures, speed_figures
from crm_dedup_plugin.reporting.comparison import Comparison, describe, load
from crm_dedup_plugin.reporting.comparison_table import COLUMNS, DASH, Cell, Column, by_slice, lines, present
from crm_dedup_plugin.reporting.figures import looks
from crm_dedup_plugin.reporting.recommendation import choose, texts
from crm_dedup_plugin.reporting.tables import table
from crm_dedup_plugin.reporting.templates import markdown, pages
from crm_dedup_plugin.storage import EVIDENCE, RESULTS, write_atomically

PAGE = "model_comparison"
MOST_SLICES, WEAKEST = 200, 12


def compare(names: Sequence[str] = (), places: Sequence[Path] = (RESULTS, EVIDENCE)) -> list[Path]:
    """Write the page of these results, or of all, to the first of `places`; return the files.

    Raises UserError on broken files, and where the named results cannot be compared.
    """
    made = pages("page", _context(load(names, tuple(dict.fromkeys(places)))))
    written = [places[0] / f"{PAGE}.{form}" for form in made]
    for path, text in zip(written, made.values(), strict=True):
        write_atomically(path, text)
    return written


def _by_model(rows: Sequence[dict], columns: Sequence[Column]) -> str:
    """Return a Markdown table with one column for each row of the comparison: there are many numbers and few models."""
    heads = [_head(row) for row in rows]
    cells = [[markdown(column.metric.title), *(_plain(row["cells"][at]) for row in rows)] for at, column in enumerate(columns)]
    if any(row["machine"] for row in rows):
        cells.append(["speed on", *(markdown(row["machine"]) or DASH for row in rows)])
    return table(["", *heads], cells)


def _head(row: dict) -> str:
    return markdown(row["name"]) + " (reference)" * ("reference" in row["labels"]) + "".join(f" [{number}]" for number in row["notes"])


def _by_slice(slices: Sequence[dict], names: Sequence[str]) -> str:
    cells = [[markdown(line["name"]), line["pairs"], *map(_plain, line["cells"])] for line in slices]
    return table(["slice", "pairs", *map(markdown, names)], cells)


def _plain(cell: Cell) -> str:
    return str(cell) + (f", {markdown(cell.mark)}" if cell.mark else "")


def _context(found: Comparison) -> dict[str, Any]:
    notes = list(dict.fromkeys(note for row in found.rows for note in row.notes))
    look, measured = looks(found.rows), found.measured
    columns, slices = present(COLUMNS, found.rows), by_slice(measured)
    choice = choose(found.rows)
    return {
        **texts(found),
        "by_model": _by_model,
        "by_slice": _by_slice,
        "out": [(row.name, reason) for row, reason in choice.out] if choice.winner else [],
        "columns": columns,
        "absent": [column.metric.title for column in COLUMNS if column not in columns],
        "rows": lines(found.rows, columns, notes),
        "notes": notes,
        "machines": list(speed_figures.machines(found.rows)),
        "missing": [(name, f"make train-{name} kpi-{name} bench-{name}") for name in found.missing],
        "others": [(row.name, reason, row.command) for row, reason in found.others],
        "elsewhere": [_elsewhere(name, part, measured[0].data if measured else None) for name, part in found.elsewhere.items()],
        "overview": quality_figures.overview(measured, look) if measured else [],
        "curves": quality_figures.precision_recall(measured, look),
        "reliability": [one for row in measured if (one := quality_figures.reliability(row, look))],
        "confusion": [quality_figures.confusion(row) for row in measured],
        "robustness": quality_figures.robustness(measured, look),
        "heat": {"lines": slices[:MOST_SLICES], "all": len(slices)},
        "speed": [
            {
                "front": speed_figures.front(name, rows, look),
                "load": [one for draw in (speed_figures.throughput, speed_figures.latency) if (one := draw(name, rows, look))],
            }
            for name, rows in speed_figures.machines(found.rows).items()
        ],
        "names": [row.name for row in measured],
        "weakest": WEAKEST,
        "dash": DASH,
    }


def _elsewhere(name: str, found: Comparison, above: tuple[str, int] | None) -> dict:
    columns = present([column for column in COLUMNS if not column.speed], found.rows)
    notes = list(dict.fromkeys(note for row in found.rows for note in row.notes))
    data = next((row.data for row in found.measured), None)
    about = f"{describe(data) if data else 'No quality'}: " + ("the same as above, " if data == above else "other pairs than above, ")
    about += "so not ranked with the rest."
    others = [(row.name, reason) for row, reason in found.others]
    return {"name": name, "about": about, "columns": columns, "rows": lines(found.rows, columns, notes), "notes": notes, "others": others}
