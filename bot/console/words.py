"""Times, sizes and states in French, for the templates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.console import labels, work_words
from bot.core.messages import Attachment, Platform
from bot.meta.limits import INSTAGRAM_TEXT_BYTES, MESSENGER_TEXT_CHARACTERS
from bot.meta.split import truncate
from bot.meta.template import Shape, shape
from bot.policy import window
from bot.store.desk.access import Conversation, Handoff
from bot.store.desk.said import Said
from bot.store.desk.thread import Entry

NB = "\u00a0"
EXCERPT = 140
LONG = 1_000  # characters of a message that are shown at once
_DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre",
)  # fmt: skip
# Direction marks would leak out of a title or an attribute, where no element isolates them.
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# These two turn even Latin letters round: what is read is not what was written.
_TURNED = re.compile("[\u202d\u202e]")
# What has no width of its own: a message of these alone looks empty.
_INVISIBLE = re.compile(
    "[\\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]*"
)


def plain(text: str) -> str:
    """Text for a title or an attribute: one line, without direction marks."""
    return " ".join(_DIRECTION.sub("", text).split())


def invisible(text: str) -> bool:
    """Whether nothing of it can be seen."""
    return _INVISIBLE.fullmatch(text) is not None


def turned(text: str) -> bool:
    """Whether invisible marks turn the reading of some of it round."""
    return _TURNED.search(text) is not None


def shown(entry: Entry, platform: str) -> Shape:
    """A message as the person has it: the page that it names is a button where the platform shows one."""
    return shape(entry.said.text, entry.links, Platform(platform))


def duration(span: timedelta) -> str:
    """« 12 min », « 3 h 05 », « 2 j 4 h »."""
    minutes = max(0, int(span.total_seconds() // 60))
    if minutes < 1:
        return f"moins d’1{NB}min"
    if minutes < 60:
        return f"{minutes}{NB}min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}{NB}h{NB}{minutes:02d}" if minutes else f"{hours}{NB}h"
    days, hours = divmod(hours, 24)
    return f"{days}{NB}j{NB}{hours}{NB}h" if hours else f"{days}{NB}j"


def clock_time(at: datetime, zone: ZoneInfo) -> str:
    """« 14:05 » on the local wall clock."""
    return at.astimezone(zone).strftime("%H:%M")


def day(at: datetime, now: datetime, zone: ZoneInfo) -> str:
    """« Aujourd’hui », « Hier », « mardi 3 mars 2026 »."""
    local, today = at.astimezone(zone).date(), now.astimezone(zone).date()
    if local == today:
        return "Aujourd’hui"
    if local == today - timedelta(days=1):
        return "Hier"
    number = "1er" if local.day == 1 else str(local.day)
    return f"{_DAYS[local.weekday()].capitalize()} {number}{NB}{_MONTHS[local.month - 1]} {local.year}"


def full_time(at: datetime, zone: ZoneInfo) -> str:
    """« 03/03/2026 à 14:05 »."""
    return at.astimezone(zone).strftime(f"%d/%m/%Y à{NB}%H:%M")


@dataclass(frozen=True)
class Left:
    """What is left of Meta's window. `level`: open, soon, human, closed."""

    level: str
    short: str
    long: str

    @property
    def can_write(self) -> bool:
        """Whether an agent may still write."""
        return self.level != "closed"


def window_left(last_person_at: datetime | None, now: datetime) -> Left:
    """The window as an agent sees it."""
    if last_person_at is None or now - last_person_at >= window.HUMAN:
        return Left(
            "closed",
            "fenêtre fermée",
            "Meta n’accepte plus de message\u00a0: la personne n’a pas écrit depuis plus de 7\u00a0jours. Vous pouvez "
            "lire, noter, clore la conversation ou la rendre à l’assistant\u202f; répondre redeviendra possible dès que la "
            "personne écrira de nouveau.",
        )
    standard = last_person_at + window.STANDARD - now
    if standard > timedelta(0):
        left = duration(standard)
        return Left(
            "soon" if standard < timedelta(hours=2) else "open",
            f"{left} sur 24{NB}h",
            f"Il reste {left} pour répondre dans le délai ordinaire de 24{NB}h, puis jusqu’à 7{NB}jours pour un agent.",
        )
    left = duration(last_person_at + window.HUMAN - now)
    return Left(
        "human",
        f"{left} sur 7{NB}j",
        f"Le délai de 24{NB}h est passé\u00a0: seul un agent peut encore écrire, pendant {left}. L’assistant ne le peut plus.",
    )


def who(conversation: Conversation) -> str:
    """The person's name, or a number of our own."""
    return plain(conversation.name or "") or f"Personne{NB}{conversation.id}"


def has_it(conversation: Conversation) -> str:
    """Who has the conversation."""
    if conversation.owner == "agent" and conversation.agent:
        return f"Suivie par {conversation.agent}"
    return labels.OWNERS[conversation.owner]


def ending(handoff: Handoff) -> str:
    """How a closed request ended, after « Close » and the time; "" when that says it all."""
    if handoff.outcome == "closed":
        why = work_words.ENDED.get(handoff.close_reason or "", "")
        return why[:1].lower() + why[1:]
    return labels.OUTCOMES.get(handoff.outcome or "", "")


def attachment(item: Attachment) -> str:
    """« Photo », « Position : 48.85660, 2.35220 », « Fichier : facture.pdf »."""
    word = labels.ATTACHMENTS.get("sticker" if item.sticker_id else item.type, "Pièce jointe")
    if item.lat is not None and item.long is not None:
        return f"{word}\u00a0: {item.lat:.5f}, {item.long:.5f}"
    title = plain(item.title or "")
    return f"{word}\u00a0: {truncate(title, 120)}" if title else word


_WORDLESS = {
    "unsupported": "Message d’un type que Meta ne transmet pas",
    "unreadable": "Message illisible\u00a0: prévenez l’exploitant",
}


def summary(said: Said | None) -> str:
    """The last words, in one short line."""
    if said is None:
        return "Aucun message"
    if said.withdrawn:
        return "Message retiré"
    parts = [attachment(item) for item in said.attachments]
    line = " ".join(said.text.split())
    if len(line) > EXCERPT:
        line = truncate(line, EXCERPT).rstrip() + "…"
    if line and not invisible(line):
        parts.insert(0, line)
    if parts:
        return " · ".join(parts)
    return _WORDLESS.get(said.kind, "Message vide")


def limit(platform: Platform) -> tuple[int, str]:
    """(how much one message takes, the unit for the script: chars or bytes)."""
    return (INSTAGRAM_TEXT_BYTES, "bytes") if platform is Platform.INSTAGRAM else (MESSENGER_TEXT_CHARACTERS, "chars")
