"""Messages too short to be classified: a number, emoji, bare thanks, « laisse tomber », an answer to a choice of ours.

A classifier always names some intent; for these it would be a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

from bot.engine.clauses import fold, is_courtesy, word_set
from bot.policy.intents import FALLBACK, is_grave
from bot.policy.normalise import squeeze

NUMBER, EMOJI, ABANDON, BARE = "nombre", "emoji", "abandon", "precision"
NOISE, UNKNOWN = "charabia", "inconnu"  # keys pressed at random; words that nobody has taught us
CHOICE = "|"  # parts the two intents in the slot `question` when they were offered
OFFER = "offre_agent"  # in the slot `question`: we asked whether an agent should take over
NEITHER, BOTH = "neither", "both"

_WORD = re.compile(r"[^\W_]+")
_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")
_GREETING = word_set("bonjour bjr bonsoir bsr salut slt hello hey coucou yo")
_THANKS = re.compile(r"merc?ii*$|mrc$|remercie$|thx$")

_RUDE = "🖕💩🐷🐖🐽🤮🤡🐔👎"
_WAVES = "👋"
_GLAD = "👍👌🙏❤♥💙💚💛🧡💜🤍🖤😊🙂😀😃😄😁☺🥰😍😘🤗👏💪🎉✌🤝✅😉🌹💐🫶🇫🇷👮"
_JOINERS = re.compile("[\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff♀♂\\s!?.,;:…-]")

# Whoever writes nothing but these gives up what was being talked about.
_GIVING_UP = re.compile(
    r"(?:(?:non|bon|ok|ah|mais|nan|finalement|en fait|alors)\s+)*"
    r"(?:laisse[zs]?(?: moi)? (?:tomber|tombe)|laissez? beton|non merci|nan merci|tant pis|oublie[zs]?(?: ca| tout)?|pas grave|"
    r"c est pas grave|cest pas grave|ce n est pas grave|ca ira|ca va aller|c est bon|cest bon|non rien|rien|rien d autre|"
    r"plus besoin|pas besoin|plus la peine|pas la peine|c est plus la peine|j ai plus besoin|annule[rz]?|stop|"
    r"je me debrouille|je vais me debrouiller|non c est tout|c est tout|cest tout|une autre fois|je verrai (?:plus tard|ca)|"
    r"je laisse tomber|j abandonne|on oublie|non)"
    r"(?:\s+(?:merci|mrc|beaucoup|quand meme|alors|pour l instant|svp|stp|bonne|journee|soiree|c est bon|au revoir|tant pis|ca))*"
)
_LONGEST_GIVING_UP = 60
LONGEST_NOISE = 7  # words
_YES = re.compile(
    r"(?:oui+|ouais|ouai|yes|ok|okay|d accord|dac|volontiers|je veux bien|avec plaisir|bien sur|svp|s il vous plait|ce serait"
    r"|bien|super|merci|oui oui)(?:\s+(?:oui|svp|stp|merci|je veux bien|s il vous plait|volontiers|avec plaisir|bien|sur))*"
)

# Neighbouring keys, five or more consonants, or one letter held down (`squeeze` leaves one of it).
_NOISE = re.compile(
    r"qsdf|azert|wxcv|asdf|qwert|zxcv|hjkl|jklm|dfgh|fghj|uiop|ytrew|trewq|treza|mlkj|lkjh|kjhg|poiu|nbvc|vcxw|fdsq|gfds|fdsa"
    r"|[bcdfghjklmnpqrstvwxz]{5}|^.$"
)

# Words that may stand around a value and mean nothing by themselves.
_AROUND = word_set(
    "ah alors bah ben c ca ce cest d de des dire du en enfin est et euh excusez fait finalement j je l la le les ma mais mon non "
    "on ou oui pardon plutot que qu s sorry un une voulais voulait desole dsl m ai"
)

_FIRST = word_set("premier premiere 1 1er 1ere un une")
_SECOND = word_set("deuxieme second seconde 2 2eme 2e deux dernier derniere")
_NEITHER = re.compile(
    r"(?:non )?(?:plutot )?(?:non|autre|autre chose|aucune?|aucune? des (?:deux|2)|ni l une? ni l autre|rien de tout ca|non plus)"
)
_BOTH = re.compile(r"(?:les|tous les|toutes les) (?:deux|2)(?: svp| merci| s il vous plait)*")
_FILLER = word_set(
    """
    a au aux c ce celle celui cest ci d de des du en est et euh je j l la le les mon ma mes moi n non numero option oui ok ou par
    plutot pour proposition question que reponse s serait svp stp sur veux voudrais choix ca cela s agit il concerne parle merci
    """
)


def words(text: str) -> list[str]:
    """Folded words."""
    return [fold(word) for word in _WORD.findall(text)]


def kind(text: str, knows: Callable[[str], bool] = bool) -> Optional[str]:
    """What a short message is: an intent or one of the kinds above; None for what must be understood.

    `knows`: whether a word is one that we know.
    """
    if not _LETTER.search(text):
        return NUMBER if _DIGIT.search(text) else _emoji(text)
    if gives_up(text):
        return ABANDON
    said = words(text)
    strange = _strange(said, knows)
    if strange:
        return strange
    if is_courtesy(text) and any(_THANKS.match(word) for word in said) and _GREETING.isdisjoint(said):
        return "au_revoir"
    return None


def is_bare_value(parsed: Mapping[str, Any], text: str) -> bool:
    """A grave meaning was read into « je voulais dire volé », which names a value and says nothing else."""
    telling = ("ville", "infraction")  # « on m'a menacé » says all that there is to say
    spans = [
        (row["start"], row["end"]) for row in parsed["entities"] if "start" in row and row["entity"] not in telling
    ]
    if not spans or not is_grave(str(parsed["intent"]["name"])):
        return False
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + " " + text[end:]
    return all(word in _AROUND for word in words(text))


def gives_up(text: str) -> bool:
    """« laisse tomber », « non merci »: nothing else is said."""
    return len(text) <= _LONGEST_GIVING_UP and bool(_GIVING_UP.fullmatch(" ".join(words(text))))


def agrees(text: str) -> bool:
    """« oui », « je veux bien »."""
    return len(text) <= _LONGEST_GIVING_UP and bool(_YES.fullmatch(" ".join(words(text))))


def _strange(said: Sequence[str], knows: Callable[[str], bool]) -> Optional[str]:
    """No word in Latin letters is one of any language: noise if at least half of them are keys pressed at random."""
    long = [word for word in said if len(word) >= 4]
    if not long or len(said) > LONGEST_NOISE or not all(word.isascii() for word in long):
        return None
    noise = [word for word in long if _NOISE.search(squeeze(word))]
    if any(knows(word) for word in long if word not in noise):
        return None
    return NOISE if 2 * len(noise) >= len(long) else UNKNOWN


def _emoji(text: str) -> str:
    signs = set(_JOINERS.sub("", text))
    if signs & set(_RUDE):
        return "insulte_troll"
    if signs and signs <= set(_WAVES + _GLAD):
        return "salutation" if signs & set(_WAVES) else "au_revoir"
    return EMOJI


def settled(kind: str, whole: dict[str, Any]) -> dict[str, Any]:
    """The parse of a message of this kind. What looks grave to the classifier stays as it is, and so does a trace of it."""
    if kind in (BARE, NOISE):
        weak = {"name": FALLBACK, "confidence": 0.0}
        harmless = [row for row in whole.get("intent_ranking") or [] if not is_grave(row["name"])]
        return {**whole, "intent": weak, "intent_ranking": [weak, *harmless], "kind": kind}
    if is_grave(str(whole["intent"]["name"])):
        return whole
    if kind in (NUMBER, EMOJI, UNKNOWN):
        weak = {"name": FALLBACK, "confidence": 0.0}
        named = [row for row in whole.get("intent_ranking") or [] if row["name"] != FALLBACK]
        return {**whole, "intent": weak, "intent_ranking": [weak, *named], "kind": kind}
    sure = {"name": "au_revoir" if kind == ABANDON else kind, "confidence": 1.0}
    grave = [row for row in whole.get("intent_ranking") or [] if is_grave(row["name"])]
    return {**whole, "intent": sure, "intent_ranking": [sure, *grave], "kind": kind}


def picked(text: str, offered: Sequence[str], titles: Mapping[str, str]) -> Optional[str]:
    """Which of two offered intents a typed answer means; `neither`, `both`, or None if it is no answer."""
    said = words(text)
    if not said or len(text) > _LONGEST_GIVING_UP:
        return None
    line = " ".join(said)
    if _NEITHER.fullmatch(line):
        return NEITHER
    if _BOTH.fullmatch(line):
        return BOTH
    telling = [word for word in said if word not in _FILLER]
    for index, ordinals in enumerate((_FIRST, _SECOND)):
        if telling and all(word in ordinals for word in telling):
            return offered[index]
    matches = [intent for intent in offered if telling and _is_about(telling, intent, titles.get(intent, ""))]
    return matches[0] if len(matches) == 1 else None


def _is_about(telling: Sequence[str], intent: str, title: str) -> bool:
    """Every word stands in the title or the intent's name, by its first letters."""
    known = [word for word in [*words(title), *intent.split("_")] if word not in _FILLER]
    return all(any(_alike(word, other) for other in known) for word in telling)


def _alike(word: str, other: str) -> bool:
    length = min(len(word), len(other), 6)
    return word == other or (length >= 4 and word[:length] == other[:length])
