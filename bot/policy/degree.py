"""How sure it is that somebody is in danger: sure, likely or faint, from what each detector saw and what was said before.

*sure*: the emergency reply. *likely*: a reply with the numbers, and an agent before others. *faint*: the ordinary reply and the
line with the 17 and the 114. Pure; every limit stands here, chosen on the measuring sets (docs/decisions/degrees.md).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal, Optional

from bot.core.dialogue import Understanding
from bot.policy.follow_up import Story, goes_on, tells_violence
from bot.policy.intents import ANSWER, INTENTS, PRIORITY, STATEMENT, is_grave, policy_of
from bot.policy.pretended import pretended

Degree = Literal["sure", "likely", "faint", "none"]

# The engine's chance of danger, where nothing but it speaks of one.
ALONE_SURE = 0.95
ALONE_LIKELY = 0.3
FAINT = 0.2
# The same, where the lexicon met an entry that the score did not confirm, or where violence was told before.
BACKED_SURE = 0.5
BACKED_LIKELY = 0.07
# Where engine and score both think so, each less sure alone.
AGREED_DANGER, AGREED_SCORE = 0.8, 0.6
# Where engine and score each see something, and no ordinary subject is likely, a danger is.
BOTH = 0.2
UNLIKELY = 0.4
# From here a danger is at least likely, whatever was said before.
LEAST_LIKELY = 0.8
# An ordinary subject that is likelier than this, and than the danger, makes a lonely detector faint.
ORDINARY = 0.35
# From here the engine is believed whatever was said before.
VERY_SURE = 0.95
# How much a fitting answer, the ordinary subject of the talk, or harmlessness read together takes off: the odds are divided by it.
CALM = 8.0
# The chance of danger in a message read together with those before it. A sure one needs a trace in the message itself.
TOGETHER_SURE = 0.5
TOGETHER_AGREED = 0.35
TOGETHER_LIKELY = 0.15
TOGETHER_HARMLESS = 0.05
# Below this chance in all together the engine makes nothing sure.
TOGETHER_DOUBTFUL = 0.5
# A message that by its meaning surely tells an emergency of some kind, where the engine sees a trace of something grave.
CALLED, CALLED_TRACE = 0.95, 0.05
# From here a message is worth reading together with those before it.
TRACE = 0.02


@dataclass(frozen=True)
class Context:
    """What was said before a message. `asked`: it gives what a question of ours just asked for. `calm`: the last turns, of a moment
    ago, were about an ordinary subject. `story`: what grave matter was told here within two days; `distress`: it was somebody's.
    `goes_on`: the message says that it goes on or comes back. `together`: the engine's chance of danger in the last messages and
    this one read as one; None: it was read alone. `pretended`: a film, a game, an exercise was spoken of."""

    asked: bool = False
    calm: bool = False
    story: Optional[Story] = None
    goes_on: bool = False
    together: Optional[float] = None
    distress: bool = False
    pretended: bool = False


ALONE = Context()


@dataclass(frozen=True)
class Signs:
    """What the detectors saw where neither lexicon nor score alarms by its own limits. `hit`: an entry of the lexicon; `score`,
    `danger`: the chances of the danger score and of the engine; `ordinary`: the engine's chance of the likeliest harmless subject;
    `named`: a danger is the engine's best guess; `called`: the chance that the message tells an emergency of some kind, by its
    meaning; `grave`: that of grave subjects together."""

    hit: bool
    score: float
    danger: float
    ordinary: float
    named: bool = False
    called: float = 0.0
    grave: float = 0.0


def ordinary(understanding: Understanding) -> float:
    """The chance of the likeliest subject that is not grave, what data added to one counted with it."""
    chances: dict[str, float] = {}
    for name, chance in understanding.ranking or ((understanding.intent, understanding.confidence),):
        if name is not None and not is_grave(name):
            family = family_of(name)
            chances[family] = chances.get(family, 0.0) + chance
    return max(chances.values(), default=0.0)


def grave(understanding: Understanding) -> float:
    """The chance of grave subjects together: violence, a disappearance, a danger."""
    return sum(chance for name, chance in understanding.ranking if is_grave(name))


def family_of(intent: str) -> str:
    """The intent of the table that an intent is, or is a part of; itself where there is none."""
    return max((name for name in INTENTS if intent == name or intent.startswith(f"{name}_")), key=len, default=intent)


# They say nothing about what the talk is about.
_NO_SUBJECT = (
    "salutation",
    "au_revoir",
    "insulte_troll",
    "hors_perimetre",
    STATEMENT,
    "parler_humain",
    "remerciements",
)
_STORIES: dict[str, Story] = {"urgent": "missing", "sensitive": "violence", "emergency": "danger"}


_VIOLENT: tuple[Optional[Story], ...] = ("violence", "danger")  # which a word of danger goes on with
# Sensitive, but no violence that could come back through the door.
_ONLINE = "harcelement_cyber"


def before(
    topics: Sequence[str],
    category: str,
    alarmed: bool,
    asked: bool,
    words: str,
    recent: bool = True,
    kind: Optional[str] = None,
    reason: str = "",
) -> Context:
    """What was said before a message, but for reading them together.

    `topics`: the intents of the last turns, the newest first; `category`, `reason`: of the hand-off that is open; `alarmed`: an
    emergency was seen here within two days, of this `kind`; `asked`: the message gives what a question of ours asked for;
    `recent`: the last turn is at most `BACK` old. What was told longer ago makes a story, but calms nothing.
    """
    story = _story(topics, category, alarmed, reason in REASONS.values())
    if story == "missing" and alarmed and kind == "danger" and goes_on(words, "violence"):
        story = "violence"  # an emergency writes no turn: what was told before it is not the last word
    grave = next((name for name in topics if policy_of(name).category in _STORIES), "")
    distress = (alarmed and kind == "distress") or family_of(grave) == "detresse_suicide"
    calm = recent and story is None and is_calm(topics)
    return Context(recent and asked, calm, story, goes_on(words, story), distress=distress)


def _story(topics: Sequence[str], category: str, alarmed: bool, likely: bool) -> Optional[Story]:
    """What was told. `likely`: the hand-off that is open is that of a likely danger."""
    families = [family_of(name) for name in topics]
    stories = [_STORIES[of] for name in families if name != _ONLINE and (of := _category(name)) in _STORIES]
    told = next((one for one in stories if one != "danger"), next(iter(stories), None))
    if told is None and not (category == "sensitive" and _ONLINE in families):
        told = "danger" if likely else _STORIES.get(category)
    if alarmed and told in (None, "danger"):
        return "violence"
    return told or ("online" if _ONLINE in families else None)


def _category(intent: str) -> str:
    return policy_of(intent).category


# Question of ours → what answers it.
_FITS: dict[str, tuple[str, ...]] = {
    "commissariat_contact_horaires": ("ville",),
    "perte_vol_documents": ("document", "circonstance"),
    "pays": ("pays", "ville"),
    **dict.fromkeys(("recrutement_conditions", "recrutement_concours", "recrutement_formation"), ("corps", "diplome")),
}
_AGE = re.compile(r"((oui|moi)\W+)?(j\W?\s?ai|il a|elle a|on a)?\s*[1-9]\d(\s*ans)?\W*", re.IGNORECASE)
_LONGEST_ANSWER = 10  # words
_AROUND = 3  # words beside what was asked for: « j’habite à Lyon », « celui de Lyon »


def fits(question: str, understanding: Understanding, words: str) -> bool:
    """Whether a short message holds what a question of ours asked for, whatever it sounds like."""
    if not question or len(words.split()) > _LONGEST_ANSWER:
        return False
    if question == "age":
        return _AGE.fullmatch(words) is not None
    given = [understanding.entities[name] for name in _FITS.get(question, ()) if name in understanding.entities]
    return any(len(words.split()) - len(value.split()) <= _AROUND for value in given)


def is_calm(topics: Sequence[str]) -> bool:
    """Whether the talk is about an ordinary subject: the last one that was named is, and nothing grave came before."""
    subjects = [name for name in topics if family_of(name) in INTENTS and name not in _NO_SUBJECT]
    grave = any(_category(name) in _STORIES for name in topics)
    return bool(subjects) and policy_of(subjects[0]).route == ANSWER and not grave


BACK = timedelta(minutes=30)  # messages of before are read together with a new one
BACK_MOST = 3  # of them
# The engine's encoder keeps the two ends of a text: of what was said before so many words, and a message of more than so many is
# not denied by a reading that may have lost its middle.
BACK_WORDS = 20
LONGEST_DENIED = 25
_WORD = re.compile(r"\S+\s*")


def looks_back(understanding: Understanding, context: Context, words: str) -> bool:
    """Whether a message is to be read together with those before it: most show no trace of danger, and need no second reading."""
    return understanding.danger >= TRACE or context.story is not None or goes_on(words, "violence")


def with_said(context: Context, said: Sequence[str], words: str) -> Context:
    """The same with what the last messages themselves tell, whatever subjects they were read as."""
    context = replace(context, pretended=pretended(said))
    if context.story is None and goes_on(words, "violence") and tells_violence(said):
        return replace(context, story="violence", goes_on=True, calm=False)
    return context


def joined(said: Sequence[str], words: str) -> str:
    """The last words of what was said before, and a message, as one text."""
    return "".join([*_WORD.findall("\n".join(said) + "\n")[-BACK_WORDS:], words])


def read_together(context: Context, chance: Optional[float], words: str) -> Context:
    """The same with the engine's chance of danger in all together; None, or of a long message what speaks against a danger: as if
    it had been read alone."""
    blind = chance is not None and chance < TOGETHER_DOUBTFUL and len(words.split()) > LONGEST_DENIED
    return replace(context, together=None if blind else chance)


def explained(danger: float, context: Context) -> bool:
    """Whether what was said before speaks against a danger of this chance: most of these are none, and so it is at most likely.
    Nothing does after a story of violence, nor where the engine is very sure; somebody is missing, only what reads as harmless."""
    if context.story == "violence" or context.goes_on or context.together is None:
        return False
    if max(danger, context.together) >= VERY_SURE:
        return False
    return context.pretended or context.together < (
        TOGETHER_HARMLESS if context.story == "missing" else TOGETHER_DOUBTFUL
    )


def weighed(signs: Signs, context: Context) -> float:
    """The engine's chance of danger, less where no word of a danger stands: in an answer, in talk about something ordinary, and in
    what is harmless once it is read together. Both reasons say the same: the odds are divided once."""
    if context.story in _VIOLENT or signs.danger >= VERY_SURE:
        return signs.danger
    odds = signs.danger / (1.0 - signs.danger)
    if _harmless_talk(context) and not signs.hit:
        odds /= CALM
    return odds / (1.0 + odds)


def _harmless_talk(context: Context) -> bool:
    """Whether a message goes on with talk that is harmless: it answers a question of ours, stays with an ordinary subject, or
    tells no danger once it is read together."""
    together = context.together or 0.0
    goes_with = (context.asked or context.calm) and together < TOGETHER_LIKELY
    return goes_with or (context.together is not None and together < TOGETHER_HARMLESS)


INSTEAD = 0.3  # the chance from which an ordinary subject is answered in the place of a danger that is none


def instead(understanding: Understanding) -> str:
    """The intent of which a message is read whose danger is not believed: its likeliest ordinary subject, or a statement."""
    for name, chance in understanding.ranking:
        if policy_of(name).route == ANSWER:
            return name if chance >= INSTEAD else STATEMENT
    return STATEMENT


BESIDE = 0.2  # the chance of sensitive and urgent subjects together, beside that of a danger


def beside(understanding: Understanding) -> bool:
    """Whether something grave may be meant by a message whose danger is not believed: then no ordinary subject stands for it."""
    grave, plain = [0.0], [0.0]
    for name, chance in understanding.ranking:
        policy = policy_of(name)
        if policy.category in ("sensitive", "urgent"):
            grave.append(chance)
        elif policy.route == ANSWER:
            plain.append(chance)
    return max(grave) > max(plain) or sum(grave) >= BESIDE


def as_ordinary(understanding: Understanding, name: str) -> Understanding:
    """The reading of such a message: its chance of danger stays, so that the line with the numbers goes with the reply."""
    return replace(understanding, intent=name, confidence=dict(understanding.ranking).get(name, 0.0))


# Why a hand-off opens for a likely danger, by its kind; such a one is pressing as an urgent one is, whatever its category.
REASONS: dict[str, str] = {"danger": "danger_probable", "distress": "detresse_probable"}


# « Votre vie compte » needs a clear sign; in doubt, the danger text suits both.
DISTRESS_SURE = 0.6


def is_distress(understanding: Understanding, told: Degree) -> bool:
    """Whether a danger that the engine saw is a distress; of one that is not sure, its likelier kind."""
    if told == "sure":
        return understanding.intent == "detresse_suicide" and understanding.confidence >= DISTRESS_SURE
    chances = {"danger_immediat": 0.0, "detresse_suicide": 0.0}
    for name, chance in understanding.ranking or ((understanding.intent, understanding.confidence),):
        family = family_of(name or "")
        if family in chances:
            chances[family] += chance
    return 0.0 < chances["detresse_suicide"] >= chances["danger_immediat"]


def reply_of(kind: str) -> str:
    """The name of the reply to a likely danger of a kind."""
    return f"utter_{REASONS[kind]}"


def pressing(category: str, reason: str) -> int:
    """The priority of a hand-off: a likely danger comes before other sensitive ones."""
    own = PRIORITY[category]
    return min(own, PRIORITY["urgent"]) if reason in REASONS.values() else own


def rank(category: str, reason: str) -> tuple[int, int]:
    """What one hand-off is compared by with another, the lesser before. Of two that are equally pressing, that which is so by its
    category tells more than a likely danger does."""
    return pressing(category, reason), PRIORITY[category]


NUMBERS_AGAIN = timedelta(minutes=30)  # who waits for an agent meets the numbers of a kind once in this time


# Why a message took its way to which the bot, silent otherwise, gave the numbers with the 3114: where no danger was likely, and
# where one was that is no distress for sure.
LISTENED = "ecoute"
LISTENED_LIKELY = "danger_probable_ecoute"


def given(likely: Optional[str], listens: bool) -> Optional[str]:
    """The reason by which `has_numbers` knows what was given to a message; None: that of whoever has the conversation. `likely`,
    `listens`: as there."""
    if likely is None:
        return LISTENED if listens else None
    return LISTENED_LIKELY if listens and likely == "danger" else REASONS[likely]


def has_numbers(likely: Optional[str], listens: bool, replied: Collection[str]) -> bool:
    """Whether somebody to whom the bot says nothing else was given, within `NUMBERS_AGAIN`, the numbers that are due. `likely`: the
    kind of a likely danger; None: it is faint at most. `listens`: the 3114 is due as well. `replied`: the reasons of what a reply
    went out to, a hand-off's each."""
    if listens and {LISTENED, LISTENED_LIKELY, REASONS["distress"]}.isdisjoint(replied):
        return False
    if likely is None:
        return listens or any(policy_of(reason).category != "thanks" for reason in replied)
    told = REASONS[likely] in replied
    return told or (likely == "danger" and any(_gives_a_dangers(reason) for reason in replied))


def _gives_a_dangers(reason: str) -> bool:
    return reason in ("night", LISTENED_LIKELY) or policy_of(reason).category in ("urgent", "sensitive")


def degree(signs: Signs, context: Context = ALONE) -> Degree:
    """How sure the danger is."""
    if context.goes_on and context.story in _VIOLENT:
        return "sure"
    danger, together = weighed(signs, context), context.together or 0.0
    backed = signs.hit or context.story in _VIOLENT
    sure = danger >= _sure_from(signs, backed) or (together >= TOGETHER_SURE and danger >= FAINT)
    if sure and not explained(signs.danger, context):
        return "sure"
    if _is_likely(signs, context, danger, together, backed) or _is_called(signs, context):
        return "likely"
    return "faint" if signs.hit or max(signs.danger, together) >= FAINT else "none"


def _is_called(signs: Signs, context: Context) -> bool:
    """Whether a message that is about something ordinary at first sight tells an emergency: « mes parents se battent »."""
    if context.pretended or _harmless_talk(context):
        return False
    return signs.called >= CALLED and max(signs.danger, signs.grave) >= CALLED_TRACE


def _sure_from(signs: Signs, backed: bool) -> float:
    """From which chance of the engine's a danger is sure."""
    return BACKED_SURE if backed else AGREED_DANGER if signs.score >= AGREED_SCORE else ALONE_SURE


def _is_likely(signs: Signs, context: Context, danger: float, together: float, backed: bool) -> bool:
    if (
        context.goes_on
        or signs.danger >= LEAST_LIKELY
        or ((backed or context.story == "online") and danger >= BACKED_LIKELY)
    ):
        return True
    if min(danger, signs.score) >= BOTH and signs.ordinary < UNLIKELY:
        return True
    if signs.named and danger >= FAINT:
        return True
    lonely = signs.ordinary >= ORDINARY and signs.ordinary > danger and together < TOGETHER_AGREED
    return (danger >= ALONE_LIKELY or together >= TOGETHER_LIKELY) and not lonely
