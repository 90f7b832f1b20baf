"""When a reply names the 3114, which listens to whoever thinks of dying and advises those around them, though no distress is sure.

The line costs a reader little; whoever needed it and did not read it may lose everything. Pure.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Optional

from bot.core.dialogue import Understanding
from bot.policy.degree import family_of
from bot.policy.lexicon import Lexicon
from bot.policy.scripts import DISTRESS, NONE, WITNESS

NUMBER = "3114"
LINE = "utter_nuit_detresse"  # the reply that names it, day and night

# Beside an alarm a small chance is enough: of the scripts of a distress, of the score, of the engine (docs/decisions/scripts.md).
SCRIPTS_LEAST = 0.04
SCORE_LEAST = 0.1
ENGINE_LEAST = 0.02
# Beside an ordinary reply: some of both, or a little of the engine's where the scripts hardly know anything but a distress.
FAINT_ENGINE, FAINT_SCRIPTS = 0.1, 0.1
ORDINARY_ENGINE, MOST_SCRIPTS, MOST_NONE = 0.03, 0.6, 0.1
LONGEST = 400  # characters: a longer message has room for other people's tears

_SORROW = [
    # Tears, and who is unwell.
    "(pleure|pleures|pleurent|pleurait|pleurer|pleurs|sanglote|larmes)",
    "(va|vais|vas|vont|allait|allais) (vraiment|très|trop|si|tellement)? mal",
    "(va|vais|vas|vont|suis|est|sens|sent) (vraiment|plus|trop)? pas (vraiment|trop|très|du tout)? bien",
    "(déprime|déprimé|déprimée|dépressif|dépressive|désespéré|désespérée|désespoir)",
    # Harm that somebody does to himself.
    "(se|s|me|m) (fait|fais|faire|faisait|fasse) (encore|souvent)? (du|un peu de)? mal",
    "(scarifie|scarifier|mutile|mutiler|automutile|suicide|suicider|suicidaire|suicidaires)",
    "(fait|faire|après|depuis) (une|sa|deux|plusieurs)? (tentative|tentatives)",
    "(failli|voulu|voulais|voulait|veut|allais|allait) (sauter|mourir|en finir|disparaître|se tuer|me tuer)",
    # That life is over, or weighs.
    "(idées|pensées|choses|mots|propos) (très|trop|si)? (noires|noirs|sombres)",
    "(plus|pas) (la force|de force|l'envie|envie|le goût|le courage) (de vivre|de continuer|de rien|à rien|de (me|se) lever)",
    "(fait|faire) (mon|son) temps",
    "(plus|pas) rien à perdre",
    "(mieux|bien) sans (moi|lui|elle)",
    "(suis|est|être) (un poids|une charge|de trop|à bout)",
    "(tout|en) (arrêter|finir) (avec la vie|pour de bon|une fois pour toutes)",
]
# « Pleurer de rire », a baby's tears, an animal's.
_ELSE = [
    "(rire|joie|fierté|honte|ennui|bonheur|bébé|bébés|nourrisson|nouveau né|chien|chiens|chat|chiot|film|série|chanson|oignons)",
    "(mdr|lol|ptdr)",
]


@functools.cache
def _sorrow() -> Lexicon:
    return Lexicon.from_mapping(
        {
            "mots": {},
            "reperes": {"autre": {"motifs": _ELSE, "portee": "message"}},
            "entrees": [{"nom": "chagrin", "genre": "detresse", "motifs": _SORROW}],
        }
    )


def engines(understanding: Understanding) -> float:
    """The engine's chance of a distress."""
    ranking = understanding.ranking or ((understanding.intent, understanding.confidence),)
    return sum(chance for name, chance in ranking if family_of(name or "") == "detresse_suicide")


def of_scripts(chances: Mapping[str, float]) -> float:
    """The chance that the words call for those of a distress."""
    return sum(chances.get(name, 0.0) for name in DISTRESS)


def beside_alarm(script: Optional[str], chances: Mapping[str, float], score: float, engine: float) -> bool:
    """Whether the words of an alarm are to name the 3114, whichever they are. `score`, `engine`: their chances of a distress.

    A witness hardly ever knows whether who lies there did it to himself.
    """
    trace = of_scripts(chances) >= SCRIPTS_LEAST or score >= SCORE_LEAST or engine >= ENGINE_LEAST
    return trace or script == WITNESS


def beside_ordinary(words: str, chances: Mapping[str, float], engine: float) -> bool:
    """Whether the reply to a message that is no alarm is to name the 3114. `chances`: needed from `ORDINARY_ENGINE` on."""
    scripts, none = of_scripts(chances), chances.get(NONE, 0.0)
    traced = engine >= ORDINARY_ENGINE and scripts >= MOST_SCRIPTS and none <= MOST_NONE
    return traced or (engine >= FAINT_ENGINE and scripts >= FAINT_SCRIPTS) or speaks_of_sorrow(words)


def speaks_of_sorrow(words: str) -> bool:
    """Whether a short message says that somebody is very unhappy."""
    return len(words) <= LONGEST and _sorrow().find(words) is not None
