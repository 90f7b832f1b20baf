"""What the person told, as the dialogue's state keeps it, for a hand-off that opens later.

The state has `slots` (see domain.yml) and `told`: {field: [what was written, when it was told (seconds since 1970)]}.
It comes back from a database: what is not of that shape is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.policy.fields import LONGEST, MOST, NAMES, fields

A_DAY = 24 * 3600.0  # seconds
# Slots that go with a hand-off; those that last are true of the person for longer than a day.
KEPT = ("sujet", "ville", "corps", "diplome", "age", "document", "circonstance", "pays", "infraction")
LASTING = ("ville", "corps", "diplome")
OTHER = "autre"  # the value of a button that takes back what was said
_LONGEST = MOST * (LONGEST + 2)

Told = dict[str, list[Any]]


def keep(state: Any, words: str, now: float) -> Told:
    """The `told` of the next state: the fields of these words and those of the last day."""
    return {**_of_the_day(state, now), **{name: [value, now] for name, value in fields(words).items()}}


def values(told: Told) -> dict[str, str]:
    """Field → what was written."""
    return {name: row[0] for name, row in told.items()}


def known(state: Any, now: float) -> dict[str, str]:
    """What a hand-off is told of a state: its slots and fields, a day old at most unless they last."""
    if not isinstance(state, Mapping):
        return {}
    slots = state.get("slots")
    rows = slots.items() if isinstance(slots, Mapping) else ()
    names = KEPT if _is_fresh(state.get("at"), now) else LASTING
    kept = {name: value for name, value in rows if name in names and isinstance(value, str) and value != OTHER}
    return {**kept, **values(_of_the_day(state, now))}


def _of_the_day(state: Any, now: float) -> Told:
    told = state.get("told") if isinstance(state, Mapping) else None
    rows = told.items() if isinstance(told, Mapping) else ()
    return {
        name: [row[0][:_LONGEST], row[1]]
        for name, row in rows
        if name in NAMES
        and isinstance(row, list)
        and len(row) == 2
        and isinstance(row[0], str)
        and _is_fresh(row[1], now)
    }


def _is_fresh(at: Any, now: float) -> bool:
    return isinstance(at, (int, float)) and not isinstance(at, bool) and now - at <= A_DAY
