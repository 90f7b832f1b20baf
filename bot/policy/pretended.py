"""Whether a film, an exercise or a joke was spoken of: what follows then sounds like a danger, and mostly is none. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from bot.policy.lexicon import Lexicon

LONGEST = 600  # characters of one message: a longer one speaks of many things
_WORDS = [
    "(tournage|tournages|scénario|polar|roman|nouvelle policière|pièce de théâtre|court métrage|clip|figurant|figurants)",
    "(tourne|tourner|tournons|filme|filmer) .. (film|série|court métrage|clip|scène|documentaire)",
    "(jeu vidéo|jeu de rôle|escape game|murder party|cosplay|airsoft|paintball|fausse arme|fausses armes|maison hantée)",
    "(exercice|exercices|simulation|entraînement) .. (attentat|intrusion|évacuation|incendie|alerte|confinement|secours)",
    "(teste|tester|testons|test) .. (robot|bot|chatbot|ia|assistant)",
    "(ptdr|mdrr|blague|canular|poisson d'avril)",
]


@functools.cache
def _lexicon() -> Lexicon:
    entry = {"nom": "feinte", "genre": "danger", "motifs": _WORDS}
    return Lexicon.from_mapping({"mots": {}, "reperes": {}, "entrees": [entry]})


def pretended(said: Iterable[str]) -> bool:
    """Whether one of the last messages speaks of something that is not so."""
    return any(len(words) <= LONGEST and _lexicon().find(words) is not None for words in said)
