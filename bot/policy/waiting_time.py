"""How long a person waits for a first human reply, from those who were answered and those who wait still.

Who still waits has waited that long at least: left out, a desk that answers the newest in four minutes and two hundred others
never would tell « environ 4 minutes ». Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Waits:
    """What is known of a window of time. `answered`: how long each waited who got a first human reply; `waiting`: how long each
    has waited who has none (still waits, or was closed without one); `late`: how many of those who wait are past their deadline;
    `whole`: False where more wait than were read."""

    answered: Sequence[timedelta] = ()
    waiting: Sequence[timedelta] = ()
    late: int = 0
    whole: bool = True


def median(waits: Waits) -> timedelta | None:
    """The Kaplan-Meier estimate of the median wait: the shortest one by which half are answered.

    None where nothing honest can be said: nobody was answered, more are late than were answered, half are not reached, or not all
    were read.
    """
    if not waits.whole or not waits.answered or waits.late > len(waits.answered):
        return None
    # Answers come before what ends without one at the same moment, as is usual.
    ends = sorted([(wait, 0) for wait in waits.answered] + [(wait, 1) for wait in waits.waiting])
    unanswered = 1.0  # the share that waits longer
    for at_risk, (wait, censored) in zip(range(len(ends), 0, -1), ends, strict=True):
        if censored:
            continue
        unanswered *= (at_risk - 1) / at_risk
        if unanswered <= 0.5 + 1e-9:  # products of fractions
            return wait
    return None
