"""Durations counted in buckets, so that a median over any period is a sum of small counts.

Bounds grow by an eighth of a doubling (9 %); a bucket's duration is its geometric middle, so that what is read back is
within 4.5 % of the truth. Between 5 seconds and 60 days; what lies outside counts as the end it is beyond.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Optional

STEPS = 8  # buckets a doubling
SHORTEST = 5.0  # seconds: the upper bound of bucket 0
LAST = math.ceil(STEPS * math.log2(60 * 86_400 / SHORTEST))
_SLACK = 1e-9  # a duration on a bound belongs to the bucket below, whoever computes the logarithm
# The bucket of `{seconds}` (double precision), as PostgreSQL computes it; `bucket` says the same.
SQL = (
    f"least({LAST}, greatest(0, ceil({STEPS} * ln(greatest({{seconds}}, 0.001) / {SHORTEST}) / ln(2.0::float8)"
    f" - {_SLACK})))::integer"
)


def bucket(span: timedelta) -> int:
    """The bucket of a duration, 0 … LAST."""
    seconds = max(span.total_seconds(), 0.001)
    return min(LAST, max(0, math.ceil(STEPS * math.log2(seconds / SHORTEST) - _SLACK)))


def middle(number: int) -> timedelta:
    """The duration that stands for a bucket."""
    return timedelta(seconds=SHORTEST * 2 ** ((number - 0.5) / STEPS))


def quantile(counts: Mapping[int, int], share: float) -> Optional[timedelta]:
    """The duration below which that share (0 < share ≤ 1) lies, None when nothing was counted: the nearest rank."""
    total = sum(counts.values())
    rank = max(1, math.ceil(share * total))
    for number in sorted(counts):
        rank -= counts[number]
        if rank <= 0:
            return middle(number)
    return None
