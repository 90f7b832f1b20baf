"""The words of the conversations of the workbench."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.console import labels
from bot.core.messages import Attachment
from bot.store.desk.said import Said

NB = "\u00a0"

SHOW = {
    "": "Toutes",
    "answer": "Répondues par l’assistant",
    "clarify": "Reformulées",
    "twice": "Reformulées deux fois",
    "handoff": "Remises à un agent",
    "emergency": "Danger reconnu",
}
ROUTES = {
    "answer": "l’assistant répond",
    "handoff": "remise à un agent",
    "clarify": "demande de reformuler",
    "emergency": "réponse d’urgence",
}
SHORT = {"answer": "répondu", "handoff": "agent", "clarify": "reformulé", "emergency": "urgence"}
DISPOSITIONS = {
    "answered": "réponse envoyée",
    "emergency": "réponse d’urgence",
    "handed_off": "remis à un agent",
    "to_agent": "laissé à l’agent",
    "ignored": "sans réponse",
    "failed": "non traité",
}
KINDS = {"story": "Histoire", "test": "Test"}
NAMES = {"story": "histoire", "test": "test"}


def intent(name: str | None) -> str:
    """« porter plainte »; the name itself for an intent that the console does not know."""
    return (labels.intent(name) or name) if name else "rien de reconnu"


def percent(share: float | None) -> str:
    """« 83 % »."""
    return "" if share is None else f"{round(share * 100)}{NB}%"


def slot(name: str) -> str:
    """The French name of a slot or an entity."""
    return labels.SLOTS.get(name, name)


def value(name: str, found: Any) -> str:
    """What a slot holds, in French where we wrote it."""
    known = labels.VALUES.get(name, {})
    return ", ".join(known.get(part, part) for part in str(found).split(", "))


def asked(question: Any) -> str:
    """The open question of a dialogue state: one subject, or a choice of two."""
    given = question.get("slot") if isinstance(question, dict) else None
    return " ou ".join(intent(part) for part in str(given).split("|")) if given else ""


def told(state: Mapping[str, Any]) -> dict[str, str]:
    """Places, dates … that were written, by kind."""
    found = state.get("told")
    if not isinstance(found, dict):
        return {}
    return {
        str(kind): str(pair[0]) for kind, pair in found.items() if isinstance(pair, (list, tuple)) and pair and pair[0]
    }


def attachment(item: Attachment) -> str:
    """The kind of an attachment, nothing of what it holds."""
    return labels.ATTACHMENTS.get("sticker" if item.sticker_id else item.type, "Pièce jointe")


def author(name: str) -> str:
    """Who answered. Agents are not named."""
    return labels.AUTHORS.get(name, name)


def shown(said: Said) -> str:
    """What stands in the place of words that are not there."""
    if said.withdrawn:
        return "Message retiré par la personne"
    if said.kind == "unsupported":
        return "Message d’un type que Meta ne transmet pas"
    return "" if said.text or said.attachments else "Message vide"
