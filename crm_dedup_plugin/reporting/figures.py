"""What all figures share: one style, one look for each row, and a figure that becomes a PNG file or an SVG in a page.

A page is read on a phone too, so that a figure has one pair of axes and is `WIDTH` inches wide; its text then stays legible.
The same numbers give the same bytes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import matplotlib.figure
import matplotlib.style

from crm_dedup_plugin.reporting.comparison import Row
from crm_dedup_plugin.reporting.results import Interval
from crm_dedup_plugin.storage import save_figure

WIDTH, SMALL = 4.3, 3.4  # inches
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#4a9cc9", "#6a3d9a", "#a6401b")  # told apart by the colour-blind
GREYS = ("#333333", "#777777", "#a0a0a0", "#555555")
MARKERS = "osD^vP*X"
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
INK, PALE, SOFT = "#1d2733", "#c3cbd5", "#5b6775"
LONGEST = 26  # characters of a name


class Figure(NamedTuple):
    """A figure, the text for those who do not see it, and the names that stand out in it."""

    figure: matplotlib.figure.Figure
    alt: str
    names: str = ""

    def svg(self) -> str:
        """Return the figure as a data URI, without dates and with a transparent background, so that a page can darken it."""
        out = io.BytesIO()
        with style():
            self.figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()

    def png(self, path: Path) -> Path:
        """Write the figure to `path` and return it."""
        with style():
            return save_figure(self.figure, path)


class Look(NamedTuple):
    color: str
    marker: str
    dashes: str | tuple


@contextmanager
def style():
    """Draw in the common style, whatever the user's own settings are; also a decorator of functions that draw."""
    with matplotlib.style.context(["default", Path(__file__).with_name("style.mplstyle")]):
        yield


def axes_of(width: float, height: float, rows: int = 1, columns: int = 1):
    """Return (figure, axes) of this size in inches."""
    figure = matplotlib.figure.Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns)


def looks(rows: Sequence[Row]) -> dict[str, Look]:
    """Return the look of each row, the same in all figures: models in colours, baselines grey and dashed."""
    result, numbers = {}, {True: 0, False: 0}
    for row in rows:
        number = numbers[row.baseline]
        numbers[row.baseline] += 1
        colors = GREYS if row.baseline else COLORS
        turned = number + number // len(colors)
        dashes = DASHES[1:][turned % 4] if row.baseline else DASHES[number // len(colors) % len(DASHES)]
        result[row.name] = Look(colors[number % len(colors)], MARKERS[turned % len(MARKERS)], dashes)
    return result


def shown(text: str, longest: int = LONGEST) -> str:
    """Return a name that is safe to draw and print: no control characters, not too long; names often differ at the end."""
    text = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return text if len(text) <= longest else f"{text[: longest // 2]}…{text[-longest // 2 + 1 :]}"


def dots(axes, rows: Sequence[Row], values: Sequence[Interval | None], look: dict[str, Look], offset: float = 0, **options) -> None:
    """Draw one dot with its interval for each row, the first row on top."""
    for place, (row, found) in enumerate(zip(rows, values, strict=True)):
        if found:
            axes.errorbar([found.value], [place + offset], xerr=bars([found]), color=look[row.name].color, capsize=2.5, markersize=5.5, **options)
    axes.set_yticks(range(len(rows)), [shown(row.name) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)


def bars(found: Sequence[Interval]) -> list[list[float]]:
    """Return how far each interval reaches below and above its value, as error bars take it; never less than nothing."""
    return [[max(one.value - one.low, 0.0) for one in found], [max(one.high - one.value, 0.0) for one in found]]


def legend_below(figure: matplotlib.figure.Figure, axes) -> None:
    """Put the legend under the axes, where it hides nothing, and make the figure higher by as much."""
    handles, names = axes.get_legend_handles_labels()
    if handles:
        columns = 2 if len(names) > 1 and max(map(len, names)) <= 0.55 * figure.get_figwidth() * 10 else 1
        figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(names) // columns))
        figure.legend(handles, names, loc="outside lower center", ncols=columns)
