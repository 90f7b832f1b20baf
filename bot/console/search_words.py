"""Words of the search page."""

from __future__ import annotations

import re

from bot.console.words import NB
from bot.store.desk.search import Found, Results

AUTHORS = {
    "": "Tous, sauf l’assistant",
    "citoyen": "Les citoyens",
    "agent": "Les agents",
    "note": "Les notes privées",
    "nom": "Les noms",
    "assistant": "L’assistant",
}
STATES = {
    "open": "En attente ou en cours",
    "snoozed": "Reportée",
    "closed": "Close",
    "spam": "Indésirable",
    "none": "Sans demande",
}
WRITERS = {
    "person": "Citoyen",
    "inbox": "Boîte de réception Meta",
    "agent": "Agent",
    "note": "Note privée",
    "name": "Nom",
    "bot": "Assistant",
    "night": "Message de nuit",
    "emergency": "Réponse d’urgence",
    "system": "Message automatique",
}

# They would turn the pieces of an excerpt around, and are not worth seeing.
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def piece(text: str) -> str:
    """A piece of an excerpt."""
    return _DIRECTION.sub("", text)


def writer(found: Found) -> str:
    """Who wrote it: « Citoyen », « Note privée de Claire »."""
    word = WRITERS.get(found.author, "Message")
    if not found.agent:
        return word
    return f"{word} de {found.agent}" if found.kind == "note" else found.agent


def count(results: Results, further: bool, near: bool) -> str:
    """How much was found, in a sentence for eyes and screen readers."""
    order = "du plus proche au plus éloigné" if near else "du plus récent au plus ancien"
    n = len(results.found)
    if not n:
        return "Rien de plus." if further else "Aucun message trouvé."
    if results.following is None:
        first = "dernier" if further else ""
        if n == 1:
            return f"1 {first} résultat.".replace("  ", NB)
        return f"{n}{NB}{first}{'s ' if first else ''}résultats, {order}."
    return f"{n}{NB}résultats, {order}. Il y en a d’autres."
