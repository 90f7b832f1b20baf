"""The pages of replies in French: filters, what uses a reply."""

from __future__ import annotations

from datetime import date

from bot.console import labels
from bot.trainer.reply_rules import typeset
from bot.trainer.reply_uses import Use

# In the order of the filter.
FILTERS = {
    "toutes": "Toutes",
    "a-verifier": "À vérifier",
    "anciennes": "Vérifiées il y a plus de six mois",
    "longues": "Trop longues",
    "sans-source": "Sans page officielle",
    "erreurs": "Avec une erreur",
}
_ACTIONS = {
    "accueil": "l’accueil et le menu",
    "clarify": "la demande de précision",
    "commissariat": "la recherche d’un commissariat",
    "cost": "la question du coût",
    "documents": "les papiers perdus ou volés",
    "handoff": "le passage à un agent",
    "plainte": "la plainte",
    "precise": "une précision",
    "recrutement": "le recrutement",
    "registered": "les réponses simples",
    "relance": "la relance d’une question",
    "resume": "la reprise du fil",
    "said": "ce qui a déjà été dit",
}

__all__ = ["FILTERS", "day", "typeset", "use", "use_short"]


def use(one: Use) -> str:
    """« Sujet « Procuration » (règle : action_repondre) »."""
    if one.kind == "intent":
        rule = f" (règle\u00a0: {one.by})" if one.by else " (aucune règle)"
        return f"Sujet «\u00a0{labels.INTENTS.get(one.what, one.what)}\u00a0»{rule}"
    if one.kind == "precision":
        return f"À la place de {one.what}, selon les mots du message (data/precisions.yml)"
    if one.kind == "system":
        return "Envoyée par le service lui-même\u00a0: son nom ne change pas"
    return f"Envoyée par {_ACTIONS.get(one.what, one.what)} (actions/{one.what}.py)"


def use_short(one: Use) -> str:
    """A few words for a row."""
    if one.kind == "intent":
        return labels.INTENTS.get(one.what, one.what)
    if one.kind == "precision":
        return f"au lieu de {one.what}"
    return "texte du service" if one.kind == "system" else _ACTIONS.get(one.what, one.what)


def day(at: date) -> str:
    """« 31/01/2026 »."""
    return at.strftime("%d/%m/%Y")
