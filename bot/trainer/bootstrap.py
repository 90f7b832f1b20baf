"""Bootstrap intervals: between which bounds a share lies, and whether a change on the same lines is more than chance.

Pure and seeded: the same lines give the same bounds, on any machine. A resample draws how often each line counts from a Poisson law
of mean 1 (the Poisson bootstrap: for ratios of sums it gives the bounds that drawing lines with replacement gives). Lines that are
alike are drawn together, by the Poisson law of their number, so that a thousand resamples of a thousand lines take milliseconds.
A share of 0 or 1 has no width: no resample can show what no line shows.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

RESAMPLES = 1000
COVERED = 0.95
_SEED = 19
_ROUNDING = 1e-9

Mark = bool | None  # whether a line is right; None: it does not count for this figure
Tally = tuple[int, int]  # of the readings of one line, how many are right and how many count


@dataclass(frozen=True)
class Interval:
    """Bounds of a share (0 to 1), or of a change of a share (−1 to 1), at 95 %; `low` ≤ `high`."""

    low: float
    high: float

    @property
    def half(self) -> float:
        """Half of its width."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Change:
    """By how much a share changed (0.02: two points more), and the bounds of that change."""

    by: float
    bounds: Interval

    @property
    def fell(self) -> bool:
        """Whether it is lower, and chance does not explain it."""
        return self.bounds.high < -_ROUNDING

    @property
    def rose(self) -> bool:
        """Whether it is higher, and chance does not explain it."""
        return self.bounds.low > _ROUNDING


def tally(mark: Mark) -> Tally:
    """A single reading of a line as counts."""
    return (0, 0) if mark is None else (int(mark), 1)


def interval(marks: Iterable[Mark]) -> Interval | None:
    """The bounds of the share of right lines among those that count; None where none counts."""
    lines = Counter(mark for mark in marks if mark is not None)
    if not lines:
        return None
    kinds = list(lines)
    shares = []
    for drawn in _resamples([lines[kind] for kind in kinds]):
        if total := sum(drawn):
            shares.append(sum(n for kind, n in zip(kinds, drawn, strict=True) if kind) / total)
    return _bounds(shares)


def paired(before: Iterable[Mark], after: Iterable[Mark]) -> Change | None:
    """The change of a share over the same lines, in the same order. Each side counts its own lines (what one model answers another
    may not); None where a side counts none. Raises ValueError for sides of different lengths."""
    return paired_tallies(map(tally, before), map(tally, after))


def paired_tallies(before: Iterable[Tally], after: Iterable[Tally]) -> Change | None:
    """As `paired`, where a line was read several times (under several noises): its readings are drawn together, since they are not
    independent."""
    lines = Counter(zip(before, after, strict=True))
    kinds = list(lines)
    by = _change(kinds, [lines[kind] for kind in kinds])
    if by is None:
        return None
    drawn = (_change(kinds, counts) for counts in _resamples([lines[kind] for kind in kinds]))
    return Change(by, _bounds([one for one in drawn if one is not None]))


def lines_of(tallies: Iterable[Tally]) -> str:
    """A character for each line, as a reference keeps it: how many of its readings are right, « - » where none counts."""
    return "".join(str(right) if counted else "-" for right, counted in tallies)


def since(lines: str | None, of: int, now: str | None) -> Change | None:
    """The change between two such records of the same lines, each read `of` times; None where one is missing, or of other lines."""
    if not lines or not now or len(lines) != len(now):
        return None
    return paired_tallies(*([(0, 0) if c == "-" else (int(c), of) for c in record] for record in (lines, now)))


def _change(kinds: Sequence[tuple[Tally, Tally]], counts: Sequence[int]) -> float | None:
    right, counted, right_now, counted_now = (
        sum(n * kind[side][place] for kind, n in zip(kinds, counts, strict=True)) for side in (0, 1) for place in (0, 1)
    )
    return right_now / counted_now - right / counted if counted and counted_now else None


def _resamples(counts: Sequence[int]) -> Iterator[Sequence[int]]:
    """RESAMPLES draws of how often each kind of line occurs, that occurs so often."""
    chance = random.Random(_SEED)  # noqa: S311 (a figure, no secret)
    columns = [_poisson(count, chance) for count in counts]
    return zip(*columns, strict=True)


def _poisson(mean: int, chance: random.Random) -> list[int]:
    """RESAMPLES draws of a Poisson law, by its distribution's inverse."""
    most = mean + int(10 * math.sqrt(mean)) + 10  # what lies above is rarer than one in 10^15
    law = list(accumulate(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(most + 1)))
    return [min(bisect_right(law, chance.random()), most) for _ in range(RESAMPLES)]


def _bounds(values: Sequence[float]) -> Interval:
    ordered = sorted(values)
    cut = (1 - COVERED) / 2 * (len(ordered) - 1)
    return Interval(round(ordered[math.floor(cut)], 6), round(ordered[math.ceil(len(ordered) - 1 - cut)], 6))
