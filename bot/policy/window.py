"""Meta's messaging window: who may still write, and how.

Source: Messenger Platform and Instagram messaging policy: 24 hours from the person's last message, click or reaction;
seven days for a human agent's reply (tag HUMAN_AGENT); nothing later.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Optional

STANDARD = timedelta(hours=24)
HUMAN = timedelta(days=7)
HUMAN_AGENT = "HUMAN_AGENT"

CLOSED_BOT = "La fenêtre de 24 heures de Meta est fermée\u00a0: seul un agent peut encore répondre."
CLOSED_AGENT = (
    "La fenêtre de 7 jours de Meta est fermée\u00a0: ce message ne peut plus partir. "
    "Il faut attendre que la personne écrive de nouveau."
)

TOO_OLD_BOT = "Ce message n’a pas pu partir en 24 heures\u00a0: il n’est plus répété. Un agent a la demande."
TOO_OLD_AGENT = "Ce message n’a pas pu partir en 7 jours\u00a0: il n’est plus répété."
TOO_OLD_EMERGENCY = (
    "La réponse d’urgence n’a pas pu partir en 24 heures\u00a0: elle n’est plus répétée. "
    "Un agent doit joindre la personne."
)
UNREADABLE_EMERGENCY = (
    "La réponse d’urgence enregistrée est illisible\u00a0: elle ne part pas. Un agent doit joindre la personne."
)


class WindowClosed(ValueError):
    """The message may no longer leave; the text says why, in French."""


def tag(author: str, last_person_at: Optional[datetime], now: datetime) -> Optional[str]:
    """The tag that a message needs: None within 24 hours, HUMAN_AGENT for an agent's until 7 days.

    Raises WindowClosed beyond. A conversation in which the person never wrote is closed.
    """
    human = author == "agent"
    age = None if last_person_at is None else now - last_person_at
    if age is not None and age < STANDARD:
        return None
    if human and age is not None and age < HUMAN:
        return HUMAN_AGENT
    raise WindowClosed(CLOSED_AGENT if human else CLOSED_BOT)


def outlived(author: str, created_at: datetime, now: datetime) -> bool:
    """Whether a message has waited for as long as any window lasts: then nobody tries it any more, however often the
    person has written since, and whatever hinders it."""
    return now - created_at >= (HUMAN if author == "agent" else STANDARD)


def closes_at(author: str, last_person_at: datetime) -> datetime:
    """When the window of that author closes."""
    return last_person_at + (HUMAN if author == "agent" else STANDARD)
