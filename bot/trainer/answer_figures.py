"""The figures of the catalogue's answers: exact, among the buttons, wrong. Defined for people in docs/reponses.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bot.core.labelled import AnswerCase
from bot.policy.questions import intent_of
from bot.trainer.bootstrap import Mark
from bot.trainer.figures import bounds

NONE = "(aucune)"


@dataclass(frozen=True)
class AnswerJudged:
    """A case with what Planton does. `answered`: the question whose answer goes out, or None; `offered`: those that a button
    names; `supposed`: the answer stands under its question, as the one that may be meant."""

    case: AnswerCase
    answered: str | None
    offered: tuple[str, ...]
    supposed: bool = False

    @property
    def exact(self) -> bool:
        """The very answer; where the catalogue has none, no answer of it."""
        return self.answered in self.case.questions if self.case.questions else self.answered is None

    @property
    def reachable(self) -> bool:
        """Exact, or one tap away."""
        return self.exact or not set(self.offered).isdisjoint(self.case.questions)

    @property
    def wrong(self) -> bool:
        """The answer to another question."""
        return self.answered is not None and not self.exact

    @property
    def topic(self) -> str:
        """The intent of the question that is asked."""
        return topic_of(self.case.questions)


def topic_of(questions: Sequence[str]) -> str:
    """What a message is about: the intent of the question that answers it, NONE where none does."""
    return intent_of(questions[0]) if questions else NONE


def marks(judged: Sequence[AnswerJudged]) -> dict[str, list[Mark]]:
    """The shares line by line, in the order of the lines."""
    return {
        "exact": [one.exact for one in judged],
        "reachable": [one.reachable for one in judged],
        "wrong": [one.wrong for one in judged],
    }


def measure(judged: Sequence[AnswerJudged]) -> dict[str, Any]:
    """All figures of one reading of a set; shares from 0 to 1. `intervals`: the bounds of those that `marks` names."""
    wrong = [one for one in judged if one.wrong]
    topics = sorted({one.topic for one in judged})
    return {
        "n": len(judged),
        **_shares(judged),
        "intervals": bounds(marks(judged)),
        "per_topic": {topic: _topic([one for one in judged if one.topic == topic]) for topic in topics},
        "confusion": [
            {"question": asked, "answered": answered, "n": n}
            for (asked, answered), n in Counter(
                ((one.case.questions or (NONE,))[0], one.answered) for one in wrong
            ).most_common()
        ],
        "wrong_lines": [one.case.line for one in wrong],
    }


def _topic(judged: Sequence[AnswerJudged]) -> dict[str, Any]:
    return {"n": len(judged), **_shares(judged)}


def _shares(judged: Sequence[AnswerJudged]) -> dict[str, float]:
    kinds: dict[str, Callable[[AnswerJudged], bool]] = {
        "exact": lambda one: one.exact,
        "exact_supposed": lambda one: one.exact and one.supposed,
        "reachable": lambda one: one.reachable,
        "wrong": lambda one: one.wrong,
        "wrong_supposed": lambda one: one.wrong and one.supposed,
    }
    return {name: round(sum(map(counts, judged)) / len(judged), 4) for name, counts in kinds.items()}
