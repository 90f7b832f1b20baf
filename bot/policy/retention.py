"""How long what is about a person is kept, by class, and what becomes of it then. Reasons: `docs/rgpd.md`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Optional


class Class(str, Enum):
    """A class of data with a limit of its own. The first four are of conversations, in rising order of weight."""

    EVERYDAY = "everyday"
    COMPLAINTS = "complaints"
    SENSITIVE = "sensitive"
    EMERGENCIES = "emergencies"
    RAW = "raw"
    AUDIT = "audit"
    STATISTICS = "statistics"


CONVERSATIONS = (Class.EVERYDAY, Class.COMPLAINTS, Class.SENSITIVE, Class.EMERGENCIES)
# Categories of hand-offs → class; what is not here is everyday.
OF_CATEGORY = {
    "emergency": Class.EMERGENCIES,
    "urgent": Class.SENSITIVE,
    "sensitive": Class.SENSITIVE,
    "witness": Class.SENSITIVE,
    "complaint": Class.COMPLAINTS,
}
# Whose request must stay provable (received when, answered when, by whom) after its words and its person are gone.
PSEUDONYMISED = frozenset({Class.COMPLAINTS, Class.SENSITIVE, Class.EMERGENCIES})
# Figures of the last days are still counted anew (`bot.store.volumes.FINAL`): nothing younger may go.
SHORTEST = 10  # days


@dataclass(frozen=True)
class Limits:
    """Days by class, counted from the last thing that happened; None: never (audit and statistics only)."""

    everyday: int
    complaints: int
    sensitive: int
    emergencies: int
    raw: int
    audit: Optional[int]
    statistics: Optional[int]

    def days(self, of: Class) -> Optional[int]:
        """The limit of a class."""
        value: Optional[int] = getattr(self, of.value)
        return value

    @property
    def shortest(self) -> int:
        """Days that every conversation is kept."""
        return min(self.everyday, self.complaints, self.sensitive, self.emergencies)

    def cutoff(self, of: Class, now: datetime) -> Optional[datetime]:
        """What is older goes; None: nothing does."""
        days = self.days(of)
        return None if days is None else now - timedelta(days=days)


DEFAULT = Limits(180, 730, 365, 730, 30, 1095, 1826)  # as the settings say


def class_of(categories: Collection[str], danger: bool, limits: Limits) -> Class:
    """The class of a conversation that had these hand-offs: that which is kept longest.

    `danger`: an emergency reply went out there. Of two that are kept equally long, the graver.
    """
    found = {OF_CATEGORY.get(category, Class.EVERYDAY) for category in categories} | {Class.EVERYDAY}
    if danger:
        found.add(Class.EMERGENCIES)
    return max(found, key=lambda one: (limits.days(one) or 0, CONVERSATIONS.index(one)))


def in_words(days: int) -> str:
    """A limit as people say it: « 180 jours », « 2 ans »."""
    years, rest = divmod(days, 365)
    if rest or not years:
        return f"{days}\u00a0jours"
    return f"{years}\u00a0an{'s' if years > 1 else ''}"


def told(text: str, limits: Limits) -> str:
    """A reply about what is kept, with the limits in their places: `{courantes}`, `{autres}`."""
    others = max(limits.days(of) or 0 for of in CONVERSATIONS)
    return text.replace("{courantes}", in_words(limits.everyday)).replace("{autres}", in_words(others))
