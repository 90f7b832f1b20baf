"""How sure it is that somebody is in danger: sure, likely or faint, from what each detector saw and what was said before.

*sure*: the emergency reply. *likely*: a reply with the numbers, and an agent before others. *faint*: the ordinary reply and the
line with the 17 and the 114. Pure; every limit stands here, chosen on the measuring sets (docs/decisions/degrees.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Optional

from bot.core.dialogue import Understanding
from bot.policy.follow_up import Story, goes_on
from bot.policy.intents import ANSWER, INTENTS, PRIORITY, STATEMENT, policy_of

Degree = Literal["sure", "likely", "faint", "none"]

# The engine's chance of danger, where nothing but it speaks of one.
ALONE_SURE = 0.75
ALONE_LIKELY = 0.3
ALONE_FAINT = 0.2
# The same, where the lexicon met an entry that the score did not confirm, or where something grave was told before.
BACKED_SURE = 0.3
BACKED_LIKELY = 0.07
# Where engine and score each see something, and no ordinary subject is likely, a danger is.
BOTH = 0.2
UNLIKELY = 0.4
# An ordinary subject that is likelier than this, and than the danger, makes a lonely detector faint.
ORDINARY = 0.35
# An answer to what we asked, or talk about an ordinary subject: from here the engine alone is believed all the same.
VERY_SURE = 0.95
# How much a fitting answer or the ordinary subject of the talk takes off: the odds of a danger are divided by it.
CALM = 8.0
# The chance of danger in a message read together with those before it.
TOGETHER_SURE = 0.5
TOGETHER_LIKELY = 0.3
TOGETHER_HARMLESS = 0.1
# From here a message is worth reading together with those before it.
TRACE = 0.05


@dataclass(frozen=True)
class Context:
    """What was said before a message. `asked`: it gives what a question of ours asked for. `calm`: the last turns were about an
    ordinary subject. `story`: what grave matter was told here within two days. `goes_on`: the message says that it goes on or comes
    back. `together`: the engine's chance of danger in the last messages and this one read as one; None: it was read alone."""

    asked: bool = False
    calm: bool = False
    story: Optional[Story] = None
    goes_on: bool = False
    together: Optional[float] = None


ALONE = Context()


@dataclass(frozen=True)
class Signs:
    """What the detectors saw. `alarm`: lexicon or score, by their own limits; `hit`: an entry of the lexicon; `score`, `danger`:
    the chances of the danger score and of the engine; `ordinary`: the engine's chance of the likeliest harmless subject."""

    alarm: bool
    hit: bool
    score: float
    danger: float
    ordinary: float


def ordinary(understanding: Understanding) -> float:
    """The chance of the likeliest subject that is not grave, what data added to one counted with it."""
    chances: dict[str, float] = {}
    for name, chance in understanding.ranking or ((understanding.intent, understanding.confidence),):
        if name is not None and policy_of(name).priority > PRIORITY["sensitive"]:
            family = family_of(name)
            chances[family] = chances.get(family, 0.0) + chance
    return max(chances.values(), default=0.0)


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
_STORIES: dict[str, Story] = {"urgent": "missing", "sensitive": "violence", "emergency": "violence"}


def before(topics: Sequence[str], category: str, alarmed: bool, asked: bool, words: str) -> Context:
    """What was said before a message, but for reading them together.

    `topics`: the intents of the last turns, the newest first; `category`: of the hand-off that is open; `alarmed`: an emergency
    was seen here within two days; `asked`: the message gives what a question of ours asked for.
    """
    story = _story(topics, category, alarmed)
    return Context(asked, story is None and is_calm(topics), story, goes_on(words, story))


def _story(topics: Sequence[str], category: str, alarmed: bool) -> Optional[Story]:
    told = next((_STORIES[of] for name in topics if (of := policy_of(name).category) in _STORIES), None)
    return told or _STORIES.get(category) or ("violence" if alarmed else None)


def is_calm(topics: Sequence[str]) -> bool:
    """Whether the talk is about an ordinary subject: the last one that was named is, and nothing grave came before."""
    subjects = [name for name in topics if family_of(name) in INTENTS and name not in _NO_SUBJECT]
    return bool(subjects) and policy_of(subjects[0]).route == ANSWER and _story(topics, "none", False) is None


BACK = timedelta(minutes=30)  # messages of before are read together with a new one
BACK_MOST = 3  # of them


def looks_back(understanding: Understanding, context: Context) -> bool:
    """Whether a message is to be read together with those before it: most show no trace of danger, and need no second reading."""
    return understanding.danger >= TRACE or context.story is not None


def weighed(danger: float, context: Context) -> float:
    """The engine's chance of danger, less where the message is an answer or the talk is about something ordinary."""
    if context.story or not (context.asked or context.calm) or danger >= VERY_SURE:
        return danger
    return danger / (danger + CALM * (1.0 - danger))


# Why a hand-off opens for a likely danger, by its kind; such a one is pressing as an urgent one is, whatever its category.
REASONS: dict[str, str] = {"danger": "danger_probable", "distress": "detresse_probable"}


def reply_of(kind: str) -> str:
    """The name of the reply to a likely danger of a kind."""
    return f"utter_{REASONS[kind]}"


def pressing(category: str, reason: str) -> int:
    """The priority of a hand-off: a likely danger comes before other sensitive ones."""
    own = PRIORITY[category]
    return min(own, PRIORITY["urgent"]) if reason in REASONS.values() else own


def degree(signs: Signs, context: Context = ALONE) -> Degree:
    """How sure the danger is."""
    if signs.alarm or (context.goes_on and context.story == "violence"):
        return "sure"
    danger = _in_context(signs, context)
    together = context.together or 0.0
    if danger >= (BACKED_SURE if _backed(signs, context) else ALONE_SURE) or together >= TOGETHER_SURE:
        return "sure"
    if context.goes_on or (_backed(signs, context) and danger >= BACKED_LIKELY):
        return "likely"
    if min(danger, signs.score) >= BOTH and signs.ordinary < UNLIKELY:
        return "likely"
    lonely = signs.ordinary >= ORDINARY and signs.ordinary > danger
    if max(danger, together) >= ALONE_LIKELY and not lonely:
        return "likely"
    return "faint" if signs.hit or max(signs.danger, together) >= ALONE_FAINT else "none"


def _backed(signs: Signs, context: Context) -> bool:
    return signs.hit or context.story is not None


def _in_context(signs: Signs, context: Context) -> float:
    """The engine's chance of danger as what was said before leaves it."""
    if signs.hit or signs.danger >= VERY_SURE:
        return signs.danger
    danger = weighed(signs.danger, context)
    read_together = context.together is not None and context.story is None
    if read_together and context.together < TOGETHER_HARMLESS:  # type: ignore[operator]
        return min(danger, ALONE_FAINT)
    return danger
