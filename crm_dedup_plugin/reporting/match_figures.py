"""The pictures of the report of a match, as numbers for its template: they are drawn with its own colours, light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from crm_dedup_plugin.reporting.match_tables import Point

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 420, 280, 52, 14, 30, 46  # of the curve, in pixels
LEAST = 0.8  # percent of a bar's width: what is there can be seen


class Part(NamedTuple):
    """A part of a bar, in percent of its width."""

    name: str
    kind: str  # its colour
    count: int
    share: float
    x: float
    width: float


class Bar(NamedTuple):
    """A bar that shows how a whole is divided."""

    title: str
    about: str
    whole: int
    parts: list[Part]


class Curve(NamedTuple):
    """Precision over pairs: a line, its ticks as (position, text), and the threshold in use as (x, y), or None."""

    line: str
    area: str
    xs: list[tuple[float, str]]
    ys: list[tuple[float, str]]
    mark: tuple[float, float] | None


class Said(NamedTuple):
    """What values of a column do to the odds of one entity: the factor in words, and a bar from the middle as (x, width) in percent."""

    factor: str
    x: float
    width: float


def bar(title: str, about: str, parts: Sequence[tuple[str, str, int]]) -> Bar:
    """Return a bar from (name, kind, count) of its parts."""
    whole = sum(count for *_, count in parts)
    widths = [max(100 * count / whole, LEAST) if count else 0.0 for *_, count in parts]
    scale, drawn, x = 100 / (sum(widths) or 1), [], 0.0
    for (name, kind, count), width in zip(parts, widths, strict=True):
        drawn.append(Part(name, kind, count, count / whole if whole else 0.0, round(x, 3), round(width * scale, 3)))
        x += width * scale
    return Bar(title, about, whole, drawn)


def curve(points: Sequence[Point], used: Point | None) -> Curve:
    """Return the picture of what `match_tables.curve` found; `used` is the point of the threshold in use."""
    most, lowest = points[-1].pairs, min(point.precision for point in points)
    ys = ticks(min(lowest, 0.99), 1.0)
    low, right = ys[0], WIDTH - RIGHT

    def x(pairs: int) -> float:
        return round(LEFT + (right - LEFT) * pairs / most, 1)

    def y(precision: float) -> float:
        return round(TOP + (HEIGHT - BOTTOM - TOP) * (1 - precision) / (1 - low), 1)

    places = list(dict.fromkeys([(x(0), y(points[0].precision)), *((x(point.pairs), y(point.precision)) for point in points)]))
    line = "M" + " L".join(f"{one} {other}" for one, other in places)
    area = f"{line} L{places[-1][0]} {HEIGHT - BOTTOM} L{LEFT} {HEIGHT - BOTTOM} Z"
    digits = max(0, -math.floor(math.log10((ys[1] - ys[0]) * 100) + 1e-9))
    across = [(x(round(tick)), f"{tick:,.0f}") for tick in ticks(0, most) if tick <= most and float(tick).is_integer()]
    upward = [(y(tick), f"{tick:.{digits}%}") for tick in ys]
    return Curve(line, area, across, upward, (x(used.pairs), y(used.precision)) if used else None)


def columns(weights: Mapping[str, Sequence[float]]) -> list[tuple[str, Said, Said]]:
    """Return each column with what values that are the same say, and the least alike: `weights` are the log-odds of its levels of agreement.

    Those that say most come first. A level that no pair has weighs 0.

    >>> columns({"Email": [0.0, -0.5, 0.0, 0.0, 1.0]})
    [('Email', Said(factor='× 2.7', x=50.0, width=50.0), Said(factor='÷ 1.6', x=25.0, width=25.0))]
    """
    ends = {name: (row[-1], next((one for one in row[:-1] if one), 0.0)) for name, row in weights.items()}
    most = max((abs(one) for pair in ends.values() for one in pair), default=0.0) or 1.0
    order = sorted(ends, key=lambda name: (min(ends[name]) - max(ends[name]), name))
    return [(name, *(_said(one, 50 * one / most) for one in ends[name])) for name in order]


def _said(weight: float, length: float) -> Said:
    factor = math.exp(abs(weight))
    told = f"{'÷' if weight < 0 else '×'} {factor:,.{int(factor < 9.95)}f}"
    return Said(told, round(50 + min(length, 0.0), 2), round(abs(length), 2))


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return round numbers from at most `low` to at least `high`.

    >>> ticks(0, 12034), ticks(0.93, 1.0)
    ([0.0, 5000.0, 10000.0, 15000.0], [0.92, 0.94, 0.96, 0.98, 1.0])
    """
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * one for one in (1, 2, 5, 10) if power * one >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def sizes(found: dict[str, int]) -> list[tuple[str, int, float]]:
    """Return (size, number of groups, percent of the widest bar) for each size of groups, large ones together.

    >>> sizes({"2": 40, "3": 10, "12": 1})
    [('2', 40, 100.0), ('3', 10, 25.0), ('10 to 19', 1, 2.5)]
    """
    counts: dict[str, int] = {}
    for size, count in sorted((int(size), count) for size, count in found.items()):
        counts[_size(size)] = counts.get(_size(size), 0) + count
    most = max(counts.values(), default=1)
    return [(name, count, round(max(100 * count / most, LEAST), 2)) for name, count in counts.items()]


def _size(size: int) -> str:
    for low, high in ((10, 19), (20, 49), (50, 99)):
        if low <= size <= high:
            return f"{low} to {high}"
    return f"{size:,}" if size < 10 else "100 and more"
