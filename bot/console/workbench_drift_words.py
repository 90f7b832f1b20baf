"""The page of drift in French."""

from __future__ import annotations

from datetime import date, timedelta

from bot.console import labels
from bot.console.steering_words import NB, change, number, percent, points, share

__all__ = [
    "MEASURES",
    "NB",
    "SPANS",
    "WHY",
    "change",
    "number",
    "percent",
    "points",
    "share",
    "short",
    "subject",
    "week",
]

# What is followed week by week; the key is `Week.part`'s.
MEASURES = {
    "answered": "Répondus par l’assistant",
    "clarified": "Fait reformuler",
    "handed_off": "Passés à un agent",
    "outside": "Hors sujet",
    "low": "Lus sans certitude",
}
WHY = {
    "answered": "part des messages reçus que l’assistant a compris et auxquels il a répondu seul",
    "clarified": "part des messages reçus que l’assistant a fait reformuler",
    "handed_off": "part des messages reçus qui ouvrent une demande auprès des agents",
    "outside": "part des messages reçus qui relèvent d’un autre service, ou de personne ici",
    "low": "part des messages lus par le moteur avec moins de 60\u00a0% de confiance",
}
SPANS = {"12": "12 semaines", "26": "6 mois", "52": "un an"}


def week(first: date) -> str:
    """« semaine du 05/01/2026 »."""
    return f"semaine du {first:%d/%m/%Y}"


def short(first: date) -> str:
    """« 05/01 »."""
    return f"{first:%d/%m}"


def subject(intent: str) -> str:
    """A subject's words with a capital."""
    words = (labels.intent(intent) or intent) if intent else "aucun sujet reconnu"
    return words[:1].upper() + words[1:]


def last_day(first: date) -> date:
    """The Sunday of a week."""
    return first + timedelta(days=6)
