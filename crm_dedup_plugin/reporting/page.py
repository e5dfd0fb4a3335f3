"""The comparison page: ``crm-dedup compare``, or ``make compare``, writes all results to one page, as HTML and as Markdown.

The same results give the same bytes. Whatever comes from a file is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from tabulate import tabulate

from crm_dedup_plugin.reporting import quality_figures, speed_figures
from crm_dedup_plugin.reporting.canvas import looks
from crm_dedup_plugin.reporting.columns import DASH, QUALITY, SPEED, Cell, Column, present
from crm_dedup_plugin.reporting.comparison import Comparison, Row, describe, load
from crm_dedup_plugin.reporting.recommendation import HOW, recommend, subject
from crm_dedup_plugin.reporting.selection_rule import RULE, choose
from crm_dedup_plugin.storage import EVIDENCE, RESULTS, write_atomically

PAGE = "model_comparison"
MOST_SLICES, WEAKEST = 200, 12
MARKDOWN = str.maketrans({one: f"\\{one}" for one in "\\`*_[]|~#"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def compare(names: Sequence[str] = (), places: Sequence[Path] = (RESULTS, EVIDENCE)) -> list[Path]:
    """Write the page of these results, or of all, to the first of `places`; return the files.

    Raises UserError on broken files, and where the named results cannot be compared.
    """
    pages = render(load(names, tuple(dict.fromkeys(places))))
    written = [places[0] / f"{PAGE}.{form}" for form in pages]
    places[0].mkdir(parents=True, exist_ok=True)
    for path, text in zip(written, pages.values(), strict=True):
        write_atomically(path, text)
    return written


def render(found: Comparison) -> dict[str, str]:
    """Return the pages by their endings: "html" and "md"."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=lambda name: name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"rich": rich, "md": markdown, "clean": clean}
    environment.globals |= {"by_model": _by_model, "by_slice": _by_slice}
    context = _context(found)
    return {form: environment.get_template(f"page.{form}").render(context) for form in ("html", "md")}


def clean(text: str) -> str:
    """Return text without control characters and line breaks, which names of folders may hold."""
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def rich(text: str) -> Markup:
    """Return text as HTML, with what stands in backticks as code."""
    parts = clean(text).split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts))


def markdown(text: str) -> str:
    """Return text as Markdown, in which nothing but what stands in backticks is markup.

    >>> markdown("a_b | `make kpi-a_b`")
    'a\\\\_b \\\\| `make kpi-a_b`'
    """
    parts = clean(text).split("`")
    coded = ["`" + part.replace("|", "\\|") + "`" if number % 2 else part.translate(MARKDOWN) for number, part in enumerate(parts) if part]
    return "".join(coded)  # an empty `` would open code that never ends


def _by_model(rows: Sequence[dict], columns: Sequence[Column]) -> str:
    """Return a Markdown table with a column a row of the comparison: numbers are many, models are few."""
    heads = [markdown(row["name"]) + "".join(f" [{number}]" for number in row["notes"]) for row in rows]
    lines = [[markdown(column.title), *(_plain(row["cells"][at]) for row in rows)] for at, column in enumerate(columns)]
    if any(row["machine"] for row in rows):
        lines.append(["speed on", *(markdown(row["machine"]) or DASH for row in rows)])
    return tabulate(lines, headers=["", *heads], tablefmt="github", disable_numparse=True)


def _by_slice(lines: Sequence[dict], names: Sequence[str]) -> str:
    cells = [[markdown(line["name"]), line["pairs"], *map(_plain, line["cells"])] for line in lines]
    return tabulate(cells, headers=["slice", "pairs", *map(markdown, names)], tablefmt="github", disable_numparse=True)


def _plain(cell: Cell) -> str:
    return cell.text + (f" ({cell.interval})" if cell.interval else "") + (f", {markdown(cell.mark)}" if cell.mark else "")


def _context(found: Comparison) -> dict[str, Any]:
    notes = list(dict.fromkeys(note for row in found.rows for note in row.notes))
    look, measured = looks(found.rows), found.measured
    columns = present((*QUALITY, *SPEED), found.rows)
    choice = choose(found.rows)
    return {
        "subject": subject(found),
        "how": HOW,
        "verdict": recommend(found),
        "rule": RULE,
        "out": [(row.name, reason) for row, reason in choice.out] if choice.winner else [],
        "columns": columns,
        "absent": [column.title for column in (*QUALITY, *SPEED) if column not in columns],
        "rows": table(found.rows, columns, notes),
        "notes": notes,
        "machines": list(speed_figures.machines(found.rows)),
        "missing": [(name, f"make train-{name} kpi-{name} bench-{name}") for name in found.missing],
        "others": [(row.name, reason, row.command) for row, reason in found.others],
        "elsewhere": [_elsewhere(name, part, measured[0].data if measured else None) for name, part in found.elsewhere.items()],
        "overview": quality_figures.overview(measured, look) if measured else None,
        "curves": quality_figures.precision_recall(measured, look),
        "reliability": [one for row in measured if (one := quality_figures.reliability(row, look))],
        "confusion": [quality_figures.confusion(row) for row in measured],
        "robustness": quality_figures.robustness(measured, look),
        "heat": heat(measured),
        "speed": [
            {"name": name, "front": speed_figures.front(name, rows, look), "load": speed_figures.load(name, rows, look)}
            for name, rows in speed_figures.machines(found.rows).items()
        ],
        "names": [row.name for row in measured],
        "weakest": WEAKEST,
        "dash": DASH,
    }


def table(rows: Sequence[Row], columns: Sequence[Column], notes: Sequence[str]) -> list[dict]:
    """Return what the table shows: names, numbers of notes, cells, and the machine of the speeds."""
    machines = list(speed_figures.machines(rows).items())
    place = {row.name: (number, machine) for number, (machine, part) in enumerate(machines) for row in part}
    return [
        {
            "name": row.name,
            "kind": "baseline" if row.baseline else "model",
            "notes": [notes.index(note) + 1 for note in row.notes],
            "cells": [column.cell(row) for column in columns],
            "group": place.get(row.name, (len(machines), ""))[0],
            "machine": place.get(row.name, (len(machines), ""))[1],
        }
        for row in rows
    ]


def heat(rows: Sequence[Row]) -> dict:
    """Return the accuracy of each row in each slice, the slices weakest on average first."""
    names = sorted({name for row in rows for name in row.metrics.slices})
    lines = []
    for name in names:
        parts = [row.metrics.slices.get(name) for row in rows]
        known = [part.accuracy.value for part in parts if part]
        cells = [
            Cell(f"{part.accuracy.value:.2f}", f"{part.accuracy.low:.2f}{DASH}{part.accuracy.high:.2f}", part.accuracy.value) if part else Cell(DASH)
            for part in parts
        ]
        lines.append({"name": name, "pairs": max(part.pairs for part in parts if part), "mean": sum(known) / len(known), "cells": cells})
    lines.sort(key=lambda line: (line["mean"], line["name"]))
    return {"lines": lines[:MOST_SLICES], "all": len(lines)}


def _elsewhere(name: str, found: Comparison, above: tuple[str, int] | None) -> dict:
    columns = present(QUALITY, found.rows)
    notes = list(dict.fromkeys(note for row in found.rows for note in row.notes))
    data = next((row.data for row in found.measured), None)
    about = f"{describe(data) if data else 'No quality'}: " + ("the same as above, " if data == above else "other pairs than above, ")
    about += "in a folder of its own, so not ranked with the rest."
    others = [(row.name, reason) for row, reason in found.others]
    return {"name": name, "about": about, "columns": columns, "rows": table(found.rows, columns, notes), "notes": notes, "others": others}
