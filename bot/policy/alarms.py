"""Where a request belongs once an agent has said that its alarm was false. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Optional

from bot.policy.intents import DANGER_INTENTS, EMERGENCY, HANDOFF, PRIORITY, policy_of

REQUEST = "request"


class Place(NamedTuple):
    """`category` as in the table of intents, never emergency; `intent`: the subject, None where none is known."""

    category: str
    intent: Optional[str]

    @property
    def priority(self) -> int:
        """1 urgent … 5 thanks."""
        return PRIORITY[self.category]


def ordinary(before: Optional[Place], read: Iterable[str]) -> Place:
    """The place of a request without its alarm: the most pressing of the one that it had, and of what its messages ask.

    `before`: where it stood when the alarm was raised, None: the alarm opened it; `read`: intents of its messages, as the engine
    read them. That the alarm was false says nothing of those: violence that is no present danger stays sensitive.
    """
    found = [] if before is None or before.category == EMERGENCY else [before]
    subjects = [name for name in read if name not in DANGER_INTENTS]
    found += [Place(policy_of(name).category, name) for name in subjects if policy_of(name).route == HANDOFF]
    if not found:
        return Place(REQUEST, next(iter(subjects), None))
    return min(found, key=lambda place: place.priority)
