"""The geometry of our charts: shares of a width and a height, for SVG without a fixed size.

Coordinates are percentages, so that a chart fills whatever width there is while its texts and patterns keep their size.
The templates draw it; colours and patterns come from the style, since the CSP lets no style stand in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Rect:
    """Percentages of the drawing; `series`: which of the stacked series it belongs to."""

    series: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Bar:
    """One stack. `label`, `short`: what it stands for; `values` by series; `before`: the total to compare with."""

    label: str
    short: str
    values: dict[str, int]
    before: int | None = None

    @property
    def total(self) -> int:
        return sum(self.values.values())


@dataclass(frozen=True)
class Column:
    """A bar with its place: the rectangles, where the mark of `before` stands, and whether its label is drawn."""

    bar: Bar
    x: float
    width: float
    middle: float
    rects: tuple[Rect, ...]
    mark: float | None  # height of `before`
    labelled: bool


@dataclass(frozen=True)
class Tick:
    """A line across, and its value."""

    y: float
    value: int


@dataclass(frozen=True)
class Chart:
    """Stacked columns."""

    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    top: int


def stacked(bars: Sequence[Bar], series: Sequence[str], labels: int = 8) -> Chart:
    """Stack each bar's series from the bottom; about `labels` of the bars' labels are drawn, evenly."""
    highest = max((max(bar.total, bar.before or 0) for bar in bars), default=0)
    top = ceiling(highest)
    slot = 100 / max(1, len(bars))
    every = max(1, math.ceil(len(bars) / labels))
    columns = tuple(_column(bar, i, slot, series, top, i % every == 0) for i, bar in enumerate(bars))
    ticks = tuple(Tick(_round(100 - 100 * part / 4), top * part // 4) for part in range(5) if top * part % 4 == 0)
    return Chart(columns, ticks, top)


def ceiling(highest: int) -> int:
    """A round number at or above, divisible by four from 4 on: the axis ends there."""
    if highest <= 4:
        return 4
    quarter = highest / 4
    power = 10 ** math.floor(math.log10(quarter))
    step = next(s * power for s in _STEPS if s * power >= quarter)
    return int(4 * math.ceil(step))


def _column(bar: Bar, i: int, slot: float, series: Sequence[str], top: int, labelled: bool) -> Column:
    gap = slot * 0.16
    x, width = i * slot + gap / 2, slot - gap
    rects, floor = [], 100.0
    for name in series:
        height = 100 * bar.values.get(name, 0) / top
        if height:
            floor -= height
            rects.append(Rect(name, _round(x), _round(floor), _round(width), _round(height)))
    mark = None if bar.before is None else _round(100 - 100 * bar.before / top)
    return Column(bar, _round(x), _round(width), _round(x + width / 2), tuple(rects), mark, labelled)


def _round(value: float) -> float:
    return round(value, 3)
