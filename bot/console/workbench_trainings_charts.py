"""The pictures of a comparison: confusion matrix and reliability curves, as shares of a width and a height."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.trainer.comparison import Bin, Figures

CELL = 18  # units a cell
SHADES = 5


@dataclass(frozen=True)
class Cell:
    """`shade`: 1 to SHADES; `right`: on the diagonal; `changed`: against the other model, in messages."""

    x: int
    y: int
    n: int
    meant: str
    read: str
    shade: int
    right: bool
    changed: int


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix. `labels`: rows and columns; `size`: units on each side."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    size: int

    @property
    def room(self) -> int:
        """Units that the longest label takes, on the left and above."""
        return 14 + round(5.8 * max(map(len, self.labels), default=0))


def matrix(figures: Figures, other: Figures | None) -> Matrix:
    """The matrix of one model, each cell with what changed against the other's."""
    before = _counts(other) if other else None
    labels = figures.labels
    cells = []
    for y, (meant, row) in enumerate(zip(labels, figures.counts, strict=True)):
        total = sum(row)
        for x, n in enumerate(row):
            if n:
                shade = max(1, round(SHADES * n / total))
                changed = 0 if before is None else n - before.get((meant, labels[x]), 0)
                cells.append(Cell(x * CELL, y * CELL, n, meant, labels[x], shade, x == y, changed))
    return Matrix(labels, tuple(cells), len(labels) * CELL)


def confusions(before: Figures | None, after: Figures) -> list[tuple[str, str, int, int]]:
    """(meant, read as, how often before, how often now) of each confusion of either model, the most changed first."""
    theirs, ours = _counts(before) if before else {}, _counts(after)
    rows = [(*pair, theirs.get(pair, 0), ours.get(pair, 0)) for pair in {*theirs, *ours} if pair[0] != pair[1]]
    return sorted(rows, key=lambda row: (-abs(row[3] - row[2]), -row[3], row[0], row[1]))


def _counts(figures: Figures) -> Mapping[tuple[str, str], int]:
    return {
        (meant, read): n
        for meant, row in zip(figures.labels, figures.counts, strict=True)
        for read, n in zip(figures.labels, row, strict=True)
        if n
    }


@dataclass(frozen=True)
class Point:
    """Percentages of the drawing; `radius` grows with the number of messages."""

    x: float
    y: float
    radius: float
    bin: Bin


@dataclass(frozen=True)
class Curve:
    """One model's reliability: points and the line through them (an SVG `points` list of a 100 by 100 drawing)."""

    points: tuple[Point, ...]
    line: str


def curve(bins: Sequence[Bin]) -> Curve:
    """The curve of a reliability table."""
    most = max((each.n for each in bins), default=1)
    points = tuple(
        Point(
            round(100 * each.confidence, 2),
            round(100 - 100 * each.accuracy, 2),
            round(2.5 + 4 * (each.n / most) ** 0.5, 2),
            each,
        )
        for each in bins
    )
    return Curve(points, " ".join(f"{point.x},{point.y}" for point in points))
