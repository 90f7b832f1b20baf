"""Words of the queue: deadlines and waiting, as a line shows them; durations as an administrator types them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from bot.console.words import NB, duration
from bot.policy.intents import PRIORITY
from bot.store.desk.queue import COUNTED, LATE, SOON, QueueRow

PRIORITIES = {
    0: "Urgence vitale",
    1: "Urgent",
    2: "Sensible",
    3: "Réclamation ou témoignage",
    4: "Demande",
    5: "Remerciements",
    9: "Sans catégorie",
}
_SPAN = re.compile(
    r"(?:(\d{1,3}) ?j(?:ours?)?)? ?(?:(\d{1,4}) ?h(?:eures?)?)? ?(?:(\d{1,5}) ?(min(?:utes?)?|mn)?)?",
    re.ASCII | re.IGNORECASE,
)


def count(number: int) -> str:
    """How many, and « 9 999+ » where counting stopped."""
    return f"{COUNTED - 1:,}+".replace(",", "\u202f") if number >= COUNTED else f"{number:,}".replace(",", "\u202f")


def several(number: int, one: str, many: str) -> str:
    """« 1 demande », « 12 demandes »."""
    return f"{count(number)}{NB}{one if number < 2 else many}"


def waits(row: QueueRow, now: datetime) -> tuple[str, str]:
    """(what is counted, for how long): since it was handed off, since our answer, since the person wrote again."""
    conversation, handoff = row.conversation, row.handoff
    if handoff.replied_at is None:
        return "Attend depuis", duration(now - handoff.opened_at)
    if conversation.wrote_again and conversation.last_person_at is not None:
        return "Attend de nouveau", duration(now - conversation.last_person_at)
    return "Répondu", f"il y a {duration(now - handoff.replied_at)}"


def due(row: QueueRow, now: datetime) -> str:
    """The deadline of a first human reply, seen from now."""
    handoff = row.handoff
    if handoff.due_at is None or handoff.priority == PRIORITY["thanks"]:
        return "aucune"
    if handoff.replied_at is not None:
        over = handoff.replied_at - handoff.due_at
        return "tenue" if over <= timedelta(0) else f"dépassée de {duration(over)}"
    if row.deadline == LATE:
        return late(handoff.due_at, now)
    return f"dans {duration(handoff.due_at - now)}"


def goes_on(row: QueueRow) -> bool:
    """Whether the last words are others than those that the line shows first."""
    if row.alarm is not None and row.alarm.evidence:
        return row.words is not None
    if row.words is None or row.opener is None:
        return False
    # Messages of one turn are shown together: the last of them says nothing new.
    return not row.words.text or not f" {row.opener.text}".endswith(f" {row.words.text}")


def late(due_at: datetime, now: datetime) -> str:
    """« en retard de 20 min », « en retard de 2 jours »: from a day on, whole days say enough."""
    span = now - due_at
    if span < timedelta(days=1):
        return f"en retard de {duration(span)}"
    return f"en retard de {several(span.days, 'jour', 'jours')}"


def mark(row: QueueRow, now: datetime) -> str | None:
    """What a pressing line says of its deadline: « En retard de 2 jours »."""
    if row.deadline == LATE and row.handoff.due_at is not None:
        words = late(row.handoff.due_at, now)
        return words[0].upper() + words[1:]
    return "Bientôt en retard" if row.deadline == SOON else None


def span(typed: str) -> timedelta | None:
    """« 30 min », « 2 h », « 1 h 30 », « 3 j 12 h » as a duration; None when it says none, or a number of what."""
    match = _SPAN.fullmatch(" ".join(typed.replace("\u202f", " ").split()))
    if match is None:
        return None
    days, hours, minutes, unit = match.groups()
    if not any((days, hours, minutes)) or (minutes and not unit and not hours and int(minutes)):
        return None
    return timedelta(days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0))


def typed(length: timedelta) -> str:
    """A duration as `span` reads it, to the minute."""
    hours, minutes = divmod(length.seconds // 60, 60)
    parts = ((length.days, "j"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"
