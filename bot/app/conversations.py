"""Conversations of two or three messages (`tests/gold/conversations.yml`): whether each turn gets the answer to its question.

They are played as the chains are (`bot.app.chains`), dialogue's state included.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from bot.app.chains import Chain, Step, play
from bot.app.places import PROJECT
from bot.core import catalogue
from bot.core.catalogue import Catalogue
from bot.trainer import gold_conversations
from bot.trainer.candidates import Model
from bot.trainer.gold_conversations import FILE, Conversation, Expected


def read(path: Path) -> list[Conversation]:
    """The conversations of a file, on the questions of the project. Raises SetupError naming the one that is wrong."""
    return gold_conversations.read(path, catalogue.read(PROJECT).questions)


def judge(
    conversations: Sequence[Conversation],
    model: Model | None = None,
    started: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> list[TurnJudged]:
    """Play them; every turn of each, in order, those behind an emergency reply included. `model`: another one than that in service;
    `started` is given the engine's process. Raises SetupError."""
    chains = [Chain(one.name, False, 0, tuple(turn.text for turn in one.turns)) for one in conversations]
    book = catalogue.read(model.files if model else PROJECT)
    return [
        _judged(one.name, number, turn, step, book)
        for one, played in zip(conversations, play(chains, model, started=started), strict=True)
        for number, (turn, step) in enumerate(zip_longest(one.turns, played.steps), 1)
    ]


def figures(conversations: Sequence[Conversation], model: Model | None = None) -> dict[str, Any]:
    """Play them. `right`: turns whose question is answered; `reachable`: those and what is one tap away; `wrong`: the answer to
    another question; `lines`: the turns that are not right. Raises SetupError."""
    judged = judge(conversations, model)
    return {
        "turns": len(judged),
        "right": sum(one.right for one in judged),
        "reachable": sum(one.reachable for one in judged),
        "wrong": sum(one.wrong for one in judged),
        "lines": [{"name": one.name, "turn": one.number, "answered": one.answered} for one in judged if not one.right],
    }


@dataclass(frozen=True)
class TurnJudged:
    """Turn `number` (from 1) of a conversation, with what Planton does."""

    name: str
    number: int
    answered: str | None = None
    right: bool = False
    reachable: bool = False
    wrong: bool = False


def _judged(name: str, number: int, turn: Expected, step: Step | None, book: Catalogue) -> TurnJudged:
    """`step`: None for a turn that was not played, as an emergency reply had gone out."""
    if step is None:
        return TurnJudged(name, number)
    right = _right(turn, step, book)
    wrong = not right and step.question is not None and step.question not in turn.questions
    return TurnJudged(name, number, step.question, right, right or _near(turn, step, book), wrong)


def _right(turn: Expected, step: Step, book: Catalogue) -> bool:
    if not turn.questions:
        return step.question is None
    if turn.every:
        return all(_answers(book, question, step.said) for question in turn.questions)
    return step.question in turn.questions


def _answers(book: Catalogue, question: str, said: str) -> bool:
    """Whether a reply holds the answer; never where this catalogue has no such question."""
    found = book.questions.get(question)
    return found is not None and any(variant.text.strip() in said for variant in found.variants)


def _near(turn: Expected, step: Step, book: Catalogue) -> bool:
    """Whether a button leads to a question, or to each of those that are not answered where every one is asked."""
    offered = [question for question in turn.questions if f"/{question}" in step.offers]
    if turn.every:
        return all(one in offered or _answers(book, one, step.said) for one in turn.questions)
    return bool(offered)


def table(now: Mapping[str, Any]) -> str:
    """The figures for people."""
    of = now["turns"]
    return "\n".join(
        (
            f"{FILE} ({of} tours)",
            f"  réponse exacte : {now['right']} sur {of}",
            f"  exacte, ou à un bouton : {now['reachable']} sur {of}",
            f"  réponse à une autre question : {now['wrong']} sur {of}",
        )
    )
