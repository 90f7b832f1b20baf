"""The panel « Ce qui se passe »: the ledger's words in French."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bot.core.catalogue import Question
from bot.policy.intents import CLARIFY
from bot.store.demo import Asked, Incoming, Outgoing, Story

KINDS = {
    "text": "Message",
    "quick_reply": "Réponse rapide",
    "attachment": "Pièce jointe",
    "postback": "Bouton",
    "edit": "Modification",
    "unsend": "Retrait",
    "reaction": "Réaction",
}
ATTACHMENTS = {
    "image": "photo",
    "audio": "message vocal",
    "location": "position",
    "like_heart": "cœur",
    "sticker": "autocollant",
}
DISPOSITIONS = {
    "answered": "répondu",
    "emergency": "urgence",
    "handed_off": "confié aux agents",
    "to_agent": "laissé à un agent",
    "ignored": "sans suite",
    "failed": "échec",
}
WAITING = {
    "night": "attend le matin",
    "debounce": "attend la suite",
    "retry": "nouvel essai bientôt",
    "echo": "attend un écho",
}
REASONS = {
    "unsend": "effacé",
    "unsent": "retiré par la personne",
    "lexicon": "lexique des dangers",
    "score": "score de danger",
    "engine": "moteur",
    "follow_up": "suite d’un danger",
    "window_closed": "délai de 24\u00a0h passé",
    "reaction": "",
}
CATEGORIES = {
    "emergency": "urgence",
    "urgent": "urgent",
    "sensitive": "sensible",
    "complaint": "réclamation",
    "witness": "témoignage",
    "thanks": "remerciements",
    "request": "demande",
    "none": "",
}
AUTHORS = {
    "bot": "Réponse de l’assistant",
    "night": "Message de nuit",
    "emergency": "Message d’urgence",
    "agent": "Réponse d’un agent",
    "system": "Message de service",
}
STATUSES = {"queued": "va partir", "sent": "envoyé", "failed": "échec", "cancelled": "annulé"}
_EXCERPT = 90

ClockText = Callable[[datetime], str]


def who(story: Story) -> str:
    """Who answers in this conversation."""
    category = CATEGORIES.get(story.category, story.category)
    if story.standby:
        return "une autre application de Meta"
    if story.owner == "waiting":
        return "un agent est attendu" + (f" ({category})" if category else "")
    if story.owner == "agent":
        return story.agent or "un agent"
    return {"bot": "l’assistant", "inbox": "un humain, depuis la boîte de Meta"}.get(story.owner, "conversation close")


def told(story: Story, clock_text: ClockText) -> dict[str, Any]:
    """The panel's data, the newest line first."""
    lines = [(line.at, 0, line.id, _incoming(line, clock_text)) for line in story.incoming]
    lines += [(line.at, 1, line.id, _outgoing(line, clock_text)) for line in story.outgoing]
    return {
        "conversation": story.id,
        "who": who(story),
        "owner": story.owner,
        "quiet": story.quiet,
        "lines": [line for *_, line in sorted(lines, key=lambda one: one[:3], reverse=True)[:14]],
    }


def notes(story: Story, questions: Mapping[str, Question]) -> dict[str, dict[str, Any] | None]:
    """What stands under the bot's replies, by the id of the bubble: the question that was recognised, or the nearest one, how sure
    that is (in %; None where it is not known), and what came of it; None where there is nothing to say."""
    return {
        line.mids[-1]: None if line.asked is None else _note(line.asked, questions)
        for line in story.outgoing
        if line.mids
    }


def _note(asked: Asked, questions: Mapping[str, Question]) -> dict[str, Any]:
    name = asked.question or asked.nearest
    found = questions.get(name)
    return {
        "recognised": asked.question is not None,
        "question": (found and (found.question or found.title)) or name,
        "chance": round(asked.chance * 100) if name == asked.nearest else None,
        "next": _next(asked),
    }


def _next(asked: Asked) -> str:
    if asked.question is not None:
        return "réponse exacte"
    if asked.disposition in ("emergency", "to_agent", "handed_off"):
        return DISPOSITIONS[asked.disposition]
    if asked.offers:
        return f"{len(asked.offers)} questions proposées" if len(asked.offers) > 1 else "une question proposée"
    return "reformulation demandée" if asked.route == CLARIFY else "réponse générale"


def _incoming(line: Incoming, clock_text: ClockText) -> dict[str, Any]:
    words = ATTACHMENTS.get(line.words, line.words)
    outcome = DISPOSITIONS.get(line.disposition or "") or WAITING.get(line.waiting or "", "en cours")
    reason = REASONS.get(line.reason or "", "") if line.disposition else ""
    return {
        "key": f"in-{line.id}",
        "way": "in",
        "at": clock_text(line.at),
        "title": KINDS.get(line.kind, line.kind),
        "words": words if len(words) <= _EXCERPT else words[: _EXCERPT - 1] + "…",
        "outcome": outcome,
        "tone": line.disposition or "pending",
        "reason": reason,
        "intent": line.intent,
        "confidence": None if line.confidence is None else round(line.confidence * 100),
    }


def _outgoing(line: Outgoing, clock_text: ClockText) -> dict[str, Any]:
    outcome = STATUSES.get(line.status, line.status)
    if line.status == "sent":
        outcome = "vu" if line.read else "reçu" if line.delivered else outcome
    return {
        "key": f"out-{line.id}",
        "way": "out",
        "at": clock_text(line.at),
        "title": "Envoi",
        "words": f"Réponse de {line.user}" if line.user else AUTHORS.get(line.author, line.author),
        "outcome": outcome,
        "tone": line.author if line.status in ("queued", "sent") else line.status,
        "reason": line.remedy or "",
        "intent": None,
        "confidence": None,
    }
