"""The words of the steering page: numbers, shares and durations in French, and what the store's values are called."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.console import labels
from bot.console.steering_periods import MONTH, OWN, TODAY, WEEK, Period
from bot.core.catalogue import Question

NB, THIN = "\u00a0", "\u202f"
PERIODS = {TODAY: "Aujourd’hui", WEEK: "7 jours", MONTH: "30 jours", OWN: "Autre période"}
PRIORITIES = {
    0: "Urgence vitale",
    1: "Urgent",
    2: "Sensible",
    3: "Réclamation ou témoignage",
    4: "Demande",
    5: "Remerciements",
    9: "Sans catégorie",
}
ROUTES = {
    "answer": "Réponse de l’assistant",
    "clarify": "Précision demandée",
    "handoff": "Transmis à un agent",
    "emergency": "Réponse d’urgence",
    "agent": "Déjà suivi par un agent",
    "waiting": "En cours de traitement",
    "none": "Sans suite",
}
DISPOSITIONS = {
    "answered": "Répondu par l’assistant",
    "emergency": "Réponse d’urgence",
    "handed_off": "Transmis à un agent",
    "to_agent": "Reçu par un agent",
    "ignored": "Sans réponse à donner",
    "failed": "Réponse non partie",
    "waiting": "En cours de traitement",
}
OUTCOMES = {"closed": "Clos", "given_back": "Rendu à l’assistant", "spam": "Indésirable"}
MEASURES = {
    "received": "Messages reçus",
    "intent": "Messages par sujet",
    "route": "Messages par voie",
    "disposition": "Messages par suite donnée",
    "sent": "Messages envoyés",
    "failed": "Messages non partis",
    "handoff": "Demandes transmises",
    "deadline": "Délais",
    "closed": "Demandes closes",
    "alarm": "Alertes de danger",
    "alarm_confirmed": "Alertes confirmées",
    "alarm_taken_back": "Fausses alertes retirées",
    "likely": "Dangers probables",
    "likely_confirmed": "Dangers probables confirmés",
    "likely_taken_back": "Dangers probables retirés",
    "asked": "Avis demandés",
    "thumb": "Avis reçus",
    "question": "Questions du catalogue",
    "question_supposed": "Questions du catalogue, réponses probables",
    "question_up": "Questions du catalogue, avis satisfaits",
    "question_down": "Questions du catalogue, avis non satisfaits",
    "general": "Réponses générales, par sujet et question proche",
    "offered": "Réponses générales avec des questions proposées",
    "wait": "Attente avant prise en charge",
    "first_reply": "Première réponse humaine",
}
DETECTORS = {
    "lexicon": "Lexique des urgences",
    "score": "Score de danger",
    "engine": "Assistant (moteur)",
    "other": "Sans détecteur (agent, panne)",
}
_THUMBS = {"up": "Satisfait", "down": "Non satisfait"}
_KEPT = {"kept": "respecté", "late": "dépassé"}
_DAYS = ("lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim.")
GRAINS = {"hour": "par heure", "day": "par jour", "week": "par semaine"}


def number(n: int) -> str:
    """« 12 345 »."""
    return f"{n:,}".replace(",", THIN)


def share(value: float | None) -> str:
    """« 43 % »; « – » when there is nothing to share."""
    return "–" if value is None else f"{round(100 * value)}{NB}%"


def percent(part: int, whole: int) -> str:
    """The share that a part is of the whole."""
    return share(part / whole if whole else None)


def span(value: timedelta | None) -> str:
    """« 45 s », « 12 min », « 1 h 25 », « 2 j 4 h »; « – » when there is none."""
    if value is None:
        return "–"
    seconds = round(value.total_seconds())
    if seconds < 60:
        return f"{seconds}{NB}s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes}{NB}min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}{NB}h{NB}{minutes:02d}" if minutes else f"{hours}{NB}h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{days}{NB}j{NB}{hours}{NB}h" if hours else f"{days}{NB}j"


def change(now: int, before: int) -> str:
    """« + 12 % », « − 5 % », « pareil »; "" when there is nothing to compare with."""
    if not before:
        return ""
    moved = round(100 * (now - before) / before)
    if not moved:
        return "pareil"
    return f"{'+' if moved > 0 else '−'}{THIN}{number(abs(moved))}{NB}%"


def points(now: float | None, before: float | None) -> str:
    """« + 3 points »; "" when there is nothing to compare with."""
    if now is None or before is None:
        return ""
    moved = round(100 * now) - round(100 * before)
    if not moved:
        return "pareil"
    return f"{'+' if moved > 0 else '−'}{THIN}{abs(moved)}{NB}{'points' if abs(moved) > 1 else 'point'}"


def date_of(day: datetime | None, zone: ZoneInfo) -> str:
    """« 03/03/2026 »."""
    return "" if day is None else day.astimezone(zone).strftime("%d/%m/%Y")


def title(period: Period) -> str:
    """« Aujourd’hui, jeudi … » in short: what the page is about."""
    if period.name in (TODAY, WEEK, MONTH):
        return {TODAY: "Aujourd’hui", WEEK: "Les 7 derniers jours", MONTH: "Les 30 derniers jours"}[period.name]
    if period.first == period.last:
        return f"Le {period.first:%d/%m/%Y}"
    return f"Du {period.first:%d/%m/%Y} au {period.last:%d/%m/%Y}"


def before(period: Period) -> str:
    """What the figures are compared with."""
    if period.name == TODAY:
        return "hier à la même heure"
    if period.days == 1:
        return "la veille"
    return f"les {period.days} jours d’avant"


def bin_label(at: datetime, grain: str) -> tuple[str, str]:
    """(in full, in short) of a bar that begins at a local time."""
    if grain == "hour":
        return f"{at:%d/%m} de {at.hour}{NB}h à {(at.hour + 1) % 24}{NB}h", f"{at.hour}{NB}h"
    if grain == "day":
        return f"{_DAYS[at.weekday()]} {at:%d/%m/%Y}", f"{at:%d/%m}"
    return f"semaine du {at:%d/%m/%Y}", f"{at:%d/%m}"


def question(name: str, questions: Mapping[str, Question]) -> str:
    """A question of the catalogue as people ask it; its name where the catalogue has it no more."""
    found = questions.get(name)
    return (found and (found.question or found.title)) or name


def detail(measure: str, value: str) -> str:
    """What a value of a measure is called."""
    if measure == "intent":
        words = labels.intent(value or None) or "sans sujet reconnu"
        return words[:1].upper() + words[1:]
    if measure in ("general", "offered"):
        intent, _, nearest = value.partition("-")
        return f"{detail('intent', intent)} ({nearest})"
    if measure == "deadline":
        priority, _, outcome = value.partition("-")
        return f"{PRIORITIES.get(int(priority), priority)}\u00a0: {_KEPT.get(outcome, outcome)}"
    names = {
        "route": ROUTES,
        "disposition": DISPOSITIONS,
        "sent": labels.AUTHORS,
        "failed": labels.AUTHORS,
        "handoff": labels.CATEGORIES,
        "closed": OUTCOMES,
        "thumb": _THUMBS,
        "alarm": DETECTORS,
        "alarm_confirmed": DETECTORS,
        "alarm_taken_back": DETECTORS,
        "likely": DETECTORS,
        "likely_confirmed": DETECTORS,
        "likely_taken_back": DETECTORS,
    }.get(measure, {})
    return names.get(value, value)
