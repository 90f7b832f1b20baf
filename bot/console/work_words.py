"""The words of an agent's actions, and the moments that a conversation can be put off to."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.console.suggestion import ASSISTANT, CATALOGUE
from bot.store.desk.moves import Target

CLOSE = {
    "repondu": "Réponse donnée",
    "transmis": "Transmise à un service",
    "sans_suite": "Sans suite",
    "hors_perimetre": "Hors de notre domaine",
    "doublon": "Doublon",
    "autre": "Autre motif",
}

# Why a closed request ended, those included that no form offers.
ENDED = {**CLOSE, "fausse_alerte": "Fausse alerte"}

BLOCK = {
    "injures": "Injures",
    "menaces": "Menaces",
    "envois_repetes": "Envois répétés",
    "publicite": "Publicité",
    "autre": "Autre motif",
}

SNOOZE = {
    "1h": "Dans 1\u00a0heure",
    "3h": "Dans 3\u00a0heures",
    "demain": "Demain à 8\u00a0h",
    "lundi": "Lundi à 8\u00a0h",
}
_MORNING = 8


def snoozed_until(choice: str, given: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    """The moment that a choice of SNOOZE, or else a date and time as the browser writes it, stands for; None: neither."""
    local = now.astimezone(zone)
    if choice in ("1h", "3h"):
        return now + timedelta(hours=int(choice[0]))
    if choice in ("demain", "lundi"):
        days = 1 if choice == "demain" else 7 - local.weekday()
        return (local + timedelta(days=days)).replace(hour=_MORNING, minute=0, second=0, microsecond=0)
    try:
        return datetime.fromisoformat(given).replace(tzinfo=zone) if given else None
    except ValueError:
        return None


def source(kind: str, chance: float) -> str:
    """Where a suggestion is from, and how surely its question was asked."""
    if kind == ASSISTANT:
        return "réponse de l’assistant"
    if kind == CATALOGUE:
        return "réponse du catalogue" + (f" ({round(chance * 100)}\u00a0%)" if chance else "")
    return f"réponse type «\u00a0{kind}\u00a0»"


def name(kind: str) -> str:
    """What a button calls a suggestion that is none of the catalogue's."""
    return "Réponse de l’assistant" if kind == ASSISTANT else kind


def target(given: str) -> Target | None:
    """« u12 », « t3 » of the form: a colleague, a team; None when it is neither."""
    kind, number = {"u": "user", "t": "team"}.get(given[:1]), given[1:]
    if kind is None or not (number.isascii() and number.isdigit() and len(number) <= 18):
        return None
    return Target(kind, int(number))
