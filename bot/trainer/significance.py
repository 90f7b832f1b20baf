"""McNemar's exact test: whether gains and losses on the same messages differ by more than chance explains."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bot.trainer.bootstrap import Change

LEVEL = 0.05  # below this, a difference is not taken for noise


@dataclass(frozen=True)
class McNemar:
    """`gains`: messages that only the candidate has right; `losses`: only the current model. The others say nothing.

    `p`: the two-sided exact probability of a split at least as uneven if both were equally good; 1 without any difference.
    """

    gains: int
    losses: int
    p: float

    @property
    def significant(self) -> bool:
        """Whether the difference is unlikely to be noise."""
        return self.p < LEVEL

    @property
    def verdict(self) -> str:
        """`same` (no message differs), `noise`, `progress` or `decline`."""
        if self.gains == self.losses == 0:
            return "same"
        if not self.significant:
            return "noise"
        return "progress" if self.gains > self.losses else "decline"


def mcnemar(pairs: Iterable[tuple[bool, bool]]) -> McNemar:
    """The test over (right before, right after) of each message."""
    gains = losses = 0
    for before, after in pairs:
        gains += after and not before
        losses += before and not after
    return McNemar(gains, losses, exact(gains, losses))


def exact(gains: int, losses: int) -> float:
    """Twice the smaller tail of a fair coin thrown `gains + losses` times, at most 1."""
    thrown = gains + losses
    if not thrown:
        return 1.0
    tail = ways = 1
    # Each from the one before: to count ten thousand throws anew each time takes seconds.
    for k in range(min(gains, losses)):
        ways = ways * (thrown - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << thrown))  # whole numbers divide exactly, however large


def needed(losses: int = 0) -> int:
    """How many gains it takes, against so many losses, before they count as progress."""
    gains = losses + 1
    while exact(gains, losses) >= LEVEL:
        gains += 1
    return gains


def plainly(test: McNemar, change: Change) -> str:
    """What a comparison says, in plain French: « aussi bon qu’avant, à 2 points près ». The test decides between the three, so that
    one page never says two things; the bounds of the change say how much."""
    low, high = 100 * change.bounds.low, 100 * change.bounds.high
    if test.verdict in ("same", "noise"):
        points = max(1, math.ceil(round(max(-low, high), 4)))
        return f"aussi bon qu’avant, à {points} point{'s' if points > 1 else ''} près"
    word, least, most = ("meilleur", low, high) if test.verdict == "progress" else ("moins bon", -high, -low)
    least = max(0.0, least)
    return f"{word} qu’avant, de {_points(least)} à {_points(most)} point{'s' if most >= 2 else ''}"


def _points(value: float) -> str:
    return f"{value:.1f}".replace(".", ",")
