"""The words of a conversation's page: what became of a message, what the window still permits, what was understood."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.console import labels, words, work_words
from bot.meta.limits import REMEDIES
from bot.policy import window
from bot.store.desk.access import Handoff
from bot.store.desk.thread import Entry, Past, Thread, mark

NB = "\u00a0"
_LED_TO_IT = timedelta(minutes=15)
_UNSAID = "Signalez-le à l’exploitant, avec l’heure du message."
_WHY = {
    "outside_window": "délai de Meta dépassé",
    "window_closed": "délai de Meta dépassé",
    "too_old": "n’a pas pu partir à temps",
    "emergency_old": "n’a pas pu partir à temps",
    "unreadable": "message illisible",
    "person_unavailable": "personne injoignable",
    "no_such_user": "compte inconnu de Meta",
    "page_blocked": "page bloquée par Meta",
    "instagram_unlinked": "compte Instagram délié",
    "permission": "autorisation refusée par Meta",
    "media": "pièce jointe refusée",
    "bad_message": "message refusé par Meta",
    "other_owner": "une autre application a la main",
    "token": "accès de la page à renouveler",
    "rate_limit": "Meta demande de ralentir",
    "rate_limit_app": "Meta demande de ralentir",
    "rate_limit_user": "Meta demande de ralentir",
    "volume": "Meta demande de ralentir",
    "tag_abuse": "Meta demande de ralentir",
    "policy_block": "page bloquée par Meta",
    "app_secret": "secret de l’application refusé par Meta",
    "temporary": "panne passagère chez Meta",
    "graph_down": "Meta ne répond pas",
    "timeout": "réponse de Meta perdue",
    "unknown_account": "page inconnue de Planton",
    "internal": "erreur de Planton",
    "empty": "message vide",
    "unknown": "raison inconnue",
}


@dataclass(frozen=True)
class Delivery:
    """What became of a message of ours. `level`: queued, sent, delivered, read, failed, cancelled; `remedy`: what to do."""

    level: str
    state: str
    remedy: str = ""


def delivery(entry: Entry, zone: ZoneInfo) -> Delivery:
    """The state of a message of ours, when it was reached, why it failed and what to do."""
    slug = entry.error_slug or ""
    if entry.status == "failed":
        why = _WHY.get(slug) or _lower(labels.REASONS.get(slug, "")) or "raison inconnue"
        remedy = entry.error_remedy or REMEDIES.get(slug, _UNSAID)
        return Delivery("failed", f"échec{NB}: {why}", _spaced(remedy))
    if entry.status == "cancelled":
        why = _WHY.get(slug) or _lower(labels.REASONS.get(slug, ""))
        return Delivery("cancelled", f"non envoyé{NB}: {why}" if why else "non envoyé", _spaced(entry.error_remedy))
    if entry.status == "queued":
        if not slug:
            return Delivery("queued", "en attente d’envoi")
        why = _WHY.get(slug, "premier essai manqué")
        return Delivery("queued", f"en attente d’un nouvel essai{NB}: {why}", _spaced(REMEDIES.get(slug)))
    if entry.read_at:
        return Delivery("read", f"lu à{NB}{words.clock_time(entry.read_at, zone)}")
    if entry.delivered_at:
        return Delivery("delivered", f"remis à{NB}{words.clock_time(entry.delivered_at, zone)}")
    return Delivery("sent", f"envoyé à{NB}{words.clock_time(entry.sent_at, zone)}" if entry.sent_at else "envoyé")


def _spaced(text: str | None) -> str:
    """The sentence with French spaces that do not break."""
    return (
        (text or "")
        .replace(" :", f"{NB}:")
        .replace(" ;", "\u202f;")
        .replace(" ?", "\u202f?")
        .replace(" !", "\u202f!")
        .replace("« ", f"«{NB}")
        .replace(" »", f"{NB}»")
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


@dataclass(frozen=True)
class Step:
    """A stage of Meta's window. `state`: past, present, coming."""

    state: str
    until: str
    what: str


def window_steps(last_person_at: datetime | None, now: datetime, zone: ZoneInfo) -> tuple[Step, ...]:
    """The window's three stages: until when, and who may write. Nothing when the person never wrote."""
    if last_person_at is None:
        return ()
    standard, human = last_person_at + window.STANDARD, last_person_at + window.HUMAN
    present = 0 if now < standard else 1 if now < human else 2
    stages = (
        (
            f"Jusqu’au {words.full_time(standard, zone)}",
            f"Réponse ordinaire (24{NB}h)\u00a0: l’assistant et les agents.",
        ),
        (
            f"Jusqu’au {words.full_time(human, zone)}",
            f"Réponse d’un agent seulement (7{NB}jours), avec l’étiquette «{NB}agent humain{NB}» que Planton pose.",
        ),
        ("Ensuite", "Plus aucun message, tant que la personne n’écrit pas de nouveau."),
    )
    states = ("past", "present", "coming")
    return tuple(Step(states[(i >= present) + (i > present)], until, what) for i, (until, what) in enumerate(stages))


def place(past: Past) -> int:
    """Where an earlier request begins in the thread: a little before it was handed over, with what led to it."""
    return mark(past.opened_at - _LED_TO_IT)


def outcome(past: Past) -> str:
    """How an earlier request ended, by whom and why."""
    if past.closed_at is None:
        return "Encore ouverte"
    ended = labels.OUTCOMES.get(past.outcome or "", "close")
    ended = ended[:1].upper() + ended[1:] + (f" par {past.agent}" if past.agent else "")
    why = work_words.ENDED.get(past.close_reason or "")
    return f"{ended}{NB}: {_lower(why)}" if why else ended


def subject(request: Past | Handoff) -> str:
    """What a request is about, as far as the assistant understood it."""
    about = labels.intent(request.intent) if request.intent else None
    return about[:1].upper() + about[1:] if about else labels.reason(request.reason)


def number(value: int) -> str:
    """« 10 000 »."""
    return f"{value:,}".replace(",", "\u202f")


def confidence(thread: Thread, handoff: Handoff) -> int | None:
    """How sure the assistant was of the request's subject, in percent; None when its message is not in this part."""
    for entry in reversed(thread.entries):
        if entry.intent == handoff.intent and entry.confidence is not None:
            return round(entry.confidence * 100)
    return None
