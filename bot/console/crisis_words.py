"""The words of the crisis pages."""

from __future__ import annotations

from datetime import datetime

from bot.console import labels
from bot.console.words import NB, plain
from bot.store.desk.groups import Counts, Group, Member
from bot.store.desk.said import Said

NNB = "\u202f"

# Which members a page shows: the address's word → (label, statuses).
FILTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "tous": ("Tous", ("waiting", "held", "queued", "sent", "failed", "withdrawn", "skipped", "removed")),
    "prets": ("Prêts", ("waiting", "withdrawn")),
    "a-examiner": ("À examiner", ("held",)),
    "envoyes": ("Envoyés", ("queued", "sent")),
    "echecs": ("Échecs", ("failed",)),
    "laisses": ("Laissés à la file", ("skipped",)),
    "retires": ("Retirés", ("removed",)),
}
STATUSES = {
    "waiting": "prêt à recevoir la réponse",
    "held": "à examiner avant tout envoi",
    "queued": "en cours d’envoi",
    "sent": "a reçu la réponse",
    "failed": "n’a pas pu recevoir la réponse",
    "withdrawn": "réponse retirée avant son envoi",
    "skipped": "laissé à la file",
    "removed": "retiré du groupe",
}
REASONS = {
    "sensitive": "message sensible",
    "attachments": "contient autre chose que du texte",
    "edited": "message modifié ou retiré",
    "window_closed": f"délai de 24{NB}h dépassé",
    "wrote_since": "a écrit depuis",
    "taken": "suivi par un agent",
    "answered": "a déjà reçu une réponse",
    "closed": "demande close",
    "blocked": "personne bloquée",
    "needs_validation": "sa catégorie demande une validation plus élevée",
    "crisis_closed": "mode crise fermé",
}
STATES = {
    "new": ("À répondre", "todo"),
    "written": ("À valider", "todo"),
    "validated": ("Prête à partir", "ready"),
    "running": ("Envoi en cours", "running"),
    "stopped": ("Envoi arrêté", "stopped"),
    "done": ("Envoyée", "done"),
}


def number(value: int) -> str:
    """« 12 345 »."""
    return f"{value:,}".replace(",", NNB)


def people(value: int) -> str:
    """« 1 personne », « 12 345 personnes »."""
    return f"{number(value)}{NB}personne{'s' if value > 1 else ''}"


def conversations(value: int) -> str:
    """« 1 conversation », « 12 345 conversations »."""
    return f"{number(value)}{NB}conversation{'s' if value > 1 else ''}"


def why(slug: str | None) -> str:
    """A reason in words."""
    return REASONS.get(slug or "") or labels.REASONS.get(slug or "", "raison technique")


def title(group: Group) -> str:
    """What the group says, in one line."""
    if group.kind == "same_intent":
        words = labels.intent(group.intent) or "même demande"
        return words[:1].upper() + words[1:]
    return f"«{NB}{excerpt(group.words)}{NB}»"


def excerpt(said: Said | None, most: int = 160) -> str:
    """The beginning of a message."""
    line = plain(said.text) if said is not None else ""
    if not line:
        return "message retiré"
    return line if len(line) <= most else line[:most].rstrip() + "…"


def member(of: Member) -> str:
    """The person's name, or a number of ours."""
    return plain(of.name or "") or f"Personne{NB}{of.conversation_id}"


def breakdown(counts: Counts) -> list[tuple[str, str, int]]:
    """(status, words, how many) of each status, and of each reason where there are several."""
    lines: list[tuple[str, str, int]] = []
    for status, words in STATUSES.items():
        reasons = [(slug, n) for (of, slug), n in sorted(counts.by_why.items()) if of == status]
        if status in ("held", "skipped", "failed"):
            lines += [(status, f"{words}\u00a0: {why(slug)}", n) for slug, n in reasons]
            rest = counts[status] - sum(n for _, n in reasons)
        else:
            rest = counts[status]
        if rest:
            lines.append((status, words, rest))
    return [(status, words[:1].upper() + words[1:], n) for status, words, n in lines]


def shown_moment(value: datetime | None) -> str:
    """A moment as a form carries it."""
    return "" if value is None else value.isoformat()


def moment(given: str) -> datetime | None:
    """A moment that a form carried; None when it is none."""
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
