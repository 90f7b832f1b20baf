"""Which question of the catalogue a message is taken to ask, from the engine's nearest ones. Pure.

`SURE`, `LIKELY` and `NEAR` were chosen on tests/gold/answers.tsv (docs/reponses.md): the share of wrong answers and what they cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from bot.core.dialogue import Reply
from bot.core.examples import QUESTION
from bot.policy.intents import ANSWER, FALLBACK, STATEMENT, policy_of

SURE = 0.6  # chance from which a question is answered
LIKELY = 0.45  # chance from which it is answered as the one that may be meant, if it is AHEAD times likelier than the next one
AHEAD = 4.0
BESIDE = 0.2  # chance from which the second one is told behind the answer to the first: two questions, or the one that was meant
NEAR = 0.03  # chance from which it is offered
WORTH = 0.1  # chance of the nearest one from which questions are offered to a message that no intent fits, or shown in the reply
FIRST = 0.25  # chance from which those that are shown come before a narrower text, a greeting, a fainter trace of something grave
MOST_OFFERED = 3
OPENING = "utter_question_proches"  # the response that opens those that are shown
GRAVE = (
    0.1  # chance of something grave from which what no intent surely fits, or no question, is asked about, not answered
)
# Small talk, answered where it surely is some, neither guessed nor offered: what was not understood, and what
# is told in half-words, resembles it.
CHITCHAT = frozenset({"hors_perimetre/absurde", "salutation/blague"})
# Intents that ask nothing: a general reply is all that there is to say to them. Who greets may ask about us besides.
ASKS_NOTHING = frozenset({"au_revoir", "insulte_troll", STATEMENT})
GREETING = "salutation"
# Chance of the nearest question from which a message of this intent is taken to ask something.
_LEAST = {FALLBACK: WORTH, GREETING: FIRST}


@dataclass(frozen=True)
class Asked:
    """`sure`: the question to be answered, `beside`: the one to be told behind its answer; `likely`: that to be answered as the one
    that may be meant; `near`: those to be offered instead or beside it, the likeliest first; `shown`: the first of these is likely
    enough, and nothing grave is likelier, to show them with what answers them in place of a general text; `first`: also in place of
    a narrower one."""

    sure: Optional[str] = None
    near: tuple[str, ...] = ()
    likely: Optional[str] = None
    shown: bool = False
    first: bool = False
    beside: Optional[str] = None


NOTHING = Asked()


def sure(ranked: Any) -> Optional[str]:
    """The question that is surely asked, whatever the intent; None if there is none."""
    rows = _rows(ranked)
    return rows[0][0] if rows and rows[0][1] >= SURE else None


def go_on(answered: str, alone: Any, both: Any) -> Any:
    """The nearest questions of a few words behind the answer to `answered`, from those of the words `alone` and those of `both`,
    the answered question and the words.

    Together they may surely ask something else. Else what the words alone surely ask stands, unless it is near the answered
    question and fits the two of them less well than another: then nothing is sure. Where the words alone surely ask nothing, what
    the two of them surely ask besides the answered question does.
    """
    found, said = sure(both), sure(alone)
    if found and found != answered:
        return both
    others = [row for row in both or () if row["name"] != answered]
    if said and _theme(said) == _theme(answered) and _fits(alone, others) != said:
        return others
    return others if not said and sure(others) else alone


def _theme(question: str) -> str:
    """What several intents are about: « recrutement », « plainte »."""
    return question.split("_", 1)[0].split("/", 1)[0]


def _fits(alone: Any, both: Any) -> Optional[str]:
    """The question that is likeliest in both readings."""
    chances = dict(_rows(alone))
    shared = [(chances[name] * chance, name) for name, chance in _rows(both) if name in chances]
    return max(shared)[1] if shared else None


def intent_of(question: str) -> str:
    """`intent/question` → its intent."""
    return question.split("/", 1)[0]


def offered(replies: Sequence[Reply]) -> tuple[str, ...]:
    """The questions that the buttons of replies lead to, in order."""
    taps = [button.payload.removeprefix("/") for reply in replies for button in reply.quick_replies]
    return tuple(tap for tap in taps if QUESTION.fullmatch(tap))


def asked(intent: str, ranked: Any, grave: float = 0.0) -> Asked:
    """From the intent that is acted on and the nearest questions (`[{"name": …, "confidence": …}]`, the likeliest first).

    `grave`: the chance of something grave. Only intents that the bot answers alone have questions that it answers: what an
    agent reads keeps its own words.
    """
    rows = _rows(ranked)
    if not rows or policy_of(intent).route != ANSWER:
        return NOTHING
    best, chance = rows[0]
    doubtful = grave >= GRAVE and (intent == FALLBACK or best in CHITCHAT)
    if chance >= SURE and not doubtful:
        beside = (
            name for name, share in rows[1:2] if share >= BESIDE and name not in CHITCHAT and best not in CHITCHAT
        )
        return Asked(best, beside=next(beside, None))
    if intent in ASKS_NOTHING - {STATEMENT} or chance < _LEAST.get(intent, 0.0):
        return NOTHING
    near = tuple(name for name, share in rows if share >= NEAR and name not in CHITCHAT)[:MOST_OFFERED]
    leads = (
        best not in CHITCHAT
        and chance >= LIKELY
        and chance >= AHEAD * max((share for _, share in rows[1:]), default=0.0)
    )
    if leads and intent != STATEMENT and grave < GRAVE:
        return Asked(None, near[1:], best)
    share = dict(rows)[near[0]] if near else 0.0
    calm = grave < GRAVE or (share >= FIRST and share > grave)
    shown = share >= WORTH and intent != STATEMENT and calm
    return Asked(None, near, shown=shown, first=shown and share >= FIRST)


def _rows(ranked: Any) -> list[tuple[str, float]]:
    if not isinstance(ranked, Sequence):
        return []
    found = [(str(row["name"]), float(row["confidence"])) for row in ranked if isinstance(row, Mapping)]
    return [row for row in found if policy_of(intent_of(row[0])).route == ANSWER]
