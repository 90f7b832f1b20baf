"""Whether a film, a game or an exercise was spoken of: what follows then sounds like a danger, and mostly is none. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from bot.policy.lexicon import Lexicon

LONGEST = 600  # characters of one message: a longer one speaks of many things
# What cannot well be a part of a threat: « blague », « ptdr », « fausse arme » say nothing, who is afraid writes them too.
_STAGED = (
    "tournage, tournages, polar, nouvelle policière, pièce de théâtre, court métrage, figurant, figurants, jeu de rôle, "
    "escape game, murder party, cosplay, airsoft, paintball, maison hantée"
)
_WORDS = [
    "@feinte",
    "(un|mon|notre|ce) (scénario|roman)",
    "(tourne|tourner|tournons) .. (film|série|clip|scène|documentaire)",
    "(filme|filmer|filmons) .. (clip|documentaire)",
    "(dans|sur) .. jeu vidéo",
    "(exercice|exercices|simulation|entraînement) (de|d'|à|au|aux|sur|pour) .. @alerte",
    "(teste|tester|testons|test) .. (robot|bot|chatbot|ia|assistant)",
]
_DENIED = [
    "(pas|plus|jamais|aucun|aucune|rien|sans) ... @feinte",
    "(pas|plus|jamais|aucun|aucune|rien|sans) ... (scénario|roman|film|série|clip|scène|jeu|exercice|simulation|test|teste)",
]
_GROUPS = {"feinte": _STAGED, "alerte": "attentat, intrusion, évacuation, incendie, alerte, confinement, secours"}


@functools.cache
def _lexicon() -> Lexicon:
    entry = {"nom": "feinte", "genre": "danger", "motifs": _WORDS, "sauf": _DENIED}
    return Lexicon.from_mapping({"mots": _GROUPS, "reperes": {}, "entrees": [entry]})


def pretended(said: Iterable[str]) -> bool:
    """Whether one of the last messages speaks of something that is not so."""
    return any(len(words) <= LONGEST and _lexicon().find(words) is not None for words in said)
