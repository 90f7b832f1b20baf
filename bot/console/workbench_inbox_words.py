"""Words of the inbox of understanding: reasons, decisions, what weighed."""

from __future__ import annotations

from collections.abc import Sequence

from bot.console import labels
from bot.console.words import NB
from bot.core.dialogue import Piece
from bot.store.alarms import LIKELY, Alarm
from bot.store.workbench.review import Decision, Reading
from bot.trainer.reply_rules import typeset

REASONS = {
    "danger": "Danger possible",
    "false_alarm": "Fausse alerte",
    "sensitive": "Sujet grave, pas sûr",
    "corrected": "Corrigé par un agent",
    "answered": "Répondu autrement",
    "clarified": "Reformulation demandée",
    "low": "Confiance faible",
    "close": "Deux sens proches",
    "outside": "Hors périmètre",
    "unusual": "Mots inconnus",
}
# What each means, for who reads it for the first time.
REASONS_LONG = {
    "danger": "Le message est près du seuil de la réponse d’urgence, d’un côté ou de l’autre.",
    "false_alarm": "Un agent a retiré l’alerte que ce message avait donnée.",
    "sensitive": "Violences, harcèlement ou disparition, que Planton n’a pas reconnus à coup sûr.",
    "corrected": "Un agent a donné un autre sujet à la demande.",
    "answered": "Un agent a répondu autre chose que ce qui lui était proposé.",
    "clarified": "Planton a demandé à la personne de reformuler.",
    "low": "Planton hésite\u00a0: il se trompe souvent quand sa confiance est aussi basse.",
    "close": "Deux intentions sont presque à égalité.",
    "outside": "Planton croit que cela ne relève pas de la police\u00a0: un sujet lui manque peut-être.",
    "unusual": "Plusieurs mots que personne ne nous avait encore écrits.",
}
ROUTES = {
    "answer": "réponse automatique",
    "handoff": "transmis à un agent",
    "emergency": "réponse d’urgence",
    "clarify": "reformulation demandée",
}
KINDS = {
    "words": "mot",
    "letters": "lettres",
    "sounds": "son",
}
AUTHORS = {
    "bot": "Réponse de l’assistant",
    "night": "Message de nuit",
    "emergency": "Réponse d’urgence",
    "system": "Message automatique",
}
OUTSIDE = "hors_perimetre"
__all__ = ["AUTHORS", "KINDS", "OUTSIDE", "REASONS", "REASONS_LONG", "ROUTES", "typeset"]


def intent(name: str | None) -> str:
    """« Porter plainte »."""
    said = labels.intent(name) or "aucune intention"
    return said[:1].upper() + said[1:]


def percent(chance: float) -> str:
    """« 62 % », « moins de 1 % »."""
    whole = round(100 * chance)
    return f"moins de 1{NB}%" if 0 < chance < 0.01 else f"{whole}{NB}%"


def several(number: int, one: str, many: str) -> str:
    """« 1 message », « 1 204 messages »."""
    return f"{number:,}".replace(",", "\u202f") + NB + (one if number < 2 else many)


def excerpt(words: str, most: int = 280) -> str:
    """The beginning of a message, on one line."""
    line = " ".join(words.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def pieces(found: Sequence[Piece]) -> list[tuple[str, str, int]]:
    """(text, kind, strength from 1 to 3) of what weighed; a word that weighed in several ways is told once, with all of them."""
    sums: dict[str, tuple[list[str], float]] = {}
    for piece in found:
        kinds, much = sums.get(piece.text, ([], 0.0))
        sums[piece.text] = ([*kinds, KINDS.get(piece.kind, piece.kind)], much + abs(piece.weight))
    ranked = sorted(sums.items(), key=lambda item: -item[1][1])
    return [(text, ", ".join(dict.fromkeys(kinds)), _strength(much)) for text, (kinds, much) in ranked]


def _strength(much: float) -> int:
    return 3 if much >= 1 else 2 if much >= 0.3 else 1


def share(weight: float) -> str:
    """What the vectors or the encoder add, in words."""
    if abs(weight) < 0.3:
        return "n’y change presque rien"
    degree = "beaucoup" if abs(weight) >= 2 else "nettement" if abs(weight) >= 1 else "un peu"
    return f"plaide {degree} {'pour' if weight > 0 else 'contre'}"


def decided(decision: Decision) -> str:
    """What was decided: « confirmé : Porter plainte »."""
    return {
        "confirmed": f"confirmé{NB}: {intent(decision.intent)}",
        "chosen": f"corrigé en{NB}: {intent(decision.intent)}",
        "outside": "rangé hors périmètre",
        "nothing": "écarté, sans exemple",
        "skipped": "laissé pour plus tard",
    }[decision.kind]


# What raised an alarm; the first two before the engine had read the message.
ALARMS = {
    "lexicon": "L’alarme a été donnée par le lexique des urgences, avant que le modèle ne lise le message.",
    "score": "L’alarme a été donnée par le score de danger, avant que le modèle ne lise le message.",
    "engine": "L’alarme a été donnée par le modèle.",
    "other": "L’alarme n’a été donnée par aucun détecteur.",
}
LIKELY_ALARMS = {
    "lexicon": "Le lexique des urgences a vu un danger probable.",
    "score": "Le score de danger a vu un danger probable.",
    "engine": "Le modèle a vu un danger probable.",
    "other": "Un danger probable a été vu.",
}
ALARM_REMEDY = (
    "Si elle était fausse, dites ce que le message demande\u00a0: l’exemple servira au prochain entraînement\u202f; "
    "le lexique se corrige dans data/danger.yml."
)


VERDICTS = {
    "confirmed": "Un agent a confirmé le danger.",
    "taken_back": "Un agent a retiré cette alerte\u00a0: elle était fausse.",
}


def alarm(found: Alarm) -> str:
    """What raised an alarm, or saw a likely danger."""
    return (LIKELY_ALARMS if found.degree == LIKELY else ALARMS)[found.detector]


def doubt(reading: Reading) -> str:
    """What an agent saw otherwise; "" when none did."""
    subject = f"{NB}: {intent(reading.agent_intent)}" if reading.agent_intent is not None else ""
    if "corrected" in reading.reasons:
        return f"Un agent a donné un autre sujet{subject}."
    if "answered" in reading.reasons:
        return f"Un agent a répondu autrement que ce qui lui était proposé{subject}."
    return ""
