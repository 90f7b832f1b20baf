"""The catalogue's pages in French: filters, topics, dates, names of examples."""

from __future__ import annotations

import hashlib
from datetime import date

from bot.console.workbench_examples_words import sentence, several, short, title
from bot.policy.intents import INTENTS
from bot.trainer.reply_rules import typeset

__all__ = [
    "ABOUT",
    "FILTERS",
    "TOLD",
    "day",
    "key",
    "name",
    "order",
    "sentence",
    "several",
    "short",
    "title",
    "typeset",
]

# In the order of the filter.
FILTERS = {
    "toutes": "Toutes",
    "a-relire": "À relire",
    "a-verifier": "Jamais vérifiées",
    "erreurs": "Avec une erreur",
}
# What was done, as the page after it says.
TOLD = {
    "enregistre": "Réponse enregistrée.",
    "verifiee": "Page vérifiée aujourd’hui.",
    "cree": "Question créée.",
    "cree-deja": "Question créée. Le message, lui, avait déjà été décidé par quelqu’un d’autre.",
    "ajoute": "Exemple ajouté.",
    "ajoute-deja": "Exemple ajouté. Le message, lui, avait déjà été décidé par quelqu’un d’autre.",
    "corrige": "Exemple corrigé.",
    "retire": "Exemple retiré.",
    "deplace": "Exemple déplacé.",
    "separe": "Question séparée en deux.",
    "reuni": "Questions réunies.",
    "annule": "Modification annulée.",
    "pareil": "Rien n’avait changé.",
}
# Fields whose French name is not their own.
ABOUT = {"seen": "copie lue", "checked": "vérifiée le", "review_by": "à relire le"}


def day(at: date) -> str:
    """« 31/01/2026 »."""
    return at.strftime("%d/%m/%Y")


def key(id_: str, text: str) -> str:
    """A short name of an example, for addresses and ids: no words in them."""
    return hashlib.blake2b(f"{id_}\0{text}".encode(), digest_size=6).hexdigest()


def name(id_: str) -> str:
    """The part of an id after its topic."""
    return id_.partition("/")[2]


def order(intent: str) -> tuple[int, str]:
    """Where a topic stands in lists: as in the table of intents."""
    places = list(INTENTS)
    return (places.index(intent) if intent in places else len(places)), intent
