"""What all figures share: one style, one colour a row, and SVG that is the same bytes for the same numbers."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from contextlib import contextmanager
from typing import NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from crm_dedup_plugin.reporting.comparison import Row
from crm_dedup_plugin.reporting.results import Interval

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#4a9cc9", "#6a3d9a", "#a6401b")  # told apart by the colour-blind
GREYS = ("#333333", "#777777", "#a0a0a0", "#555555")
MARKERS = "osD^vP*X"
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
INK, PALE = "#1d2733", "#d5dbe3"
LONGEST = 26
STYLE = {
    "svg.hashsalt": "crm-dedup",
    "svg.fonttype": "path",  # looks the same wherever it is opened
    "text.parse_math": False,  # a name may hold dollars
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8d99a8",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6eaef",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.constrained_layout.use": True,
}


class Figure(NamedTuple):
    """A picture as a data URI, with the text for those who do not see it and how to read it."""

    source: str
    alt: str
    caption: str


class Look(NamedTuple):
    color: str
    marker: str
    dashes: str | tuple


@contextmanager
def canvas(width: float, height: float, columns: int = 1):
    """Yield (figure, axes) of so many inches in the common style."""
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **STYLE}):
        figure, axes = plt.subplots(1, columns, figsize=(width, height))
        try:
            yield figure, axes
        finally:
            plt.close(figure)


def finish(figure, alt: str, caption: str) -> Figure:
    """Return the figure as SVG without dates; call it inside `canvas`."""
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return Figure("data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode(), alt, caption)


def looks(rows: Sequence[Row]) -> dict[str, Look]:
    """Return the look of each row, the same in all figures: models in colours, baselines in grey and dashed."""
    result, numbers = {}, {True: 0, False: 0}
    for row in rows:
        number = numbers[row.baseline]
        numbers[row.baseline] += 1
        colors = GREYS if row.baseline else COLORS
        dashes = DASHES[1:][number % 4] if row.baseline else DASHES[number // len(colors) % len(DASHES)]
        result[row.name] = Look(colors[number % len(colors)], MARKERS[(number + number // len(colors)) % len(MARKERS)], dashes)
    return result


def shown(text: str) -> str:
    """Return a name that is safe to draw and print: no control characters, not too long."""
    text = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}…{text[-LONGEST // 2 + 1 :]}"  # names often differ at the end


def dots(axes, rows: Sequence[Row], values: Sequence[Interval | None], look: dict[str, Look], offset: float = 0, **options) -> None:
    """Draw one dot with its interval a row, the first row on top."""
    for place, (row, found) in enumerate(zip(rows, values, strict=True)):
        if found:
            axes.errorbar([found.value], [place + offset], xerr=bars(found), color=look[row.name].color, capsize=2.5, markersize=5.5, **options)
    axes.set_yticks(range(len(rows)), [shown(row.name) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)


def bars(found: Interval) -> list[list[float]]:
    """Return how far the interval reaches below and above its value, as error bars take it; never less than nothing."""
    return [[max(found.value - found.low, 0.0)], [max(found.high - found.value, 0.0)]]


def legend_below(figure, axes, columns: int = 2) -> None:
    """Put the legend under the axes, where it hides nothing."""
    handles, names = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, names, loc="outside lower center", ncols=min(columns, len(handles)))
