"""Conversations of two or three messages (`tests/gold/conversations.yml`): whether each turn gets the answer to its question.

They are played as the chains are (`bot.app.chains`), dialogue's state included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from bot.app.chains import Chain, Step, play
from bot.app.places import PROJECT
from bot.core import catalogue
from bot.core.catalogue import Catalogue
from bot.core.clean import clean
from bot.core.errors import SetupError
from bot.dialogue.texts import read_yaml
from bot.trainer.candidates import Model

FILE = "conversations.yml"


@dataclass(frozen=True)
class Expected:
    """A turn: what is written, and the questions that answer it, any of them or `every` one; () where none does."""

    text: str
    questions: tuple[str, ...]
    every: bool = False


@dataclass(frozen=True)
class Conversation:
    """A name, and the person's turns."""

    name: str
    turns: tuple[Expected, ...]


def read(path: Path) -> list[Conversation]:
    """The conversations of a file. Raises SetupError naming the one that is wrong."""
    data = read_yaml(path)
    rows = data.get("conversations") if isinstance(data, Mapping) else None
    if not isinstance(rows, Sequence) or not rows:
        raise SetupError(
            f"{path} : la liste « conversations » manque ou est vide.", "Rétablissez le fichier depuis git."
        )
    known = catalogue.read(PROJECT).questions
    return [_conversation(row, f"{path}, n° {number}", known) for number, row in enumerate(rows, 1)]


def _conversation(row: Any, where: str, known: Mapping[str, Any]) -> Conversation:
    body = row if isinstance(row, Mapping) else {}
    turns = body.get("tours")
    if not isinstance(body.get("nom"), str) or not isinstance(turns, Sequence) or not turns:
        raise SetupError(f"{where} : attendu « nom » et « tours ».", "Corrigez cette conversation.")
    return Conversation(body["nom"], tuple(_turn(turn, f"{where} ({body['nom']})", known) for turn in turns))


def _turn(row: Any, where: str, known: Mapping[str, Any]) -> Expected:
    body = row if isinstance(row, Mapping) else {}
    text, questions = body.get("texte"), body.get("questions")
    names = tuple(questions) if isinstance(questions, list) else (None,)
    if not isinstance(text, str) or not clean(text) or not all(isinstance(name, str) for name in names):
        raise SetupError(f"{where} : un tour a « texte » et « questions » (une liste).", "Corrigez ce tour.")
    if strange := [name for name in names if name not in known]:
        raise SetupError(f"{where} : question inconnue « {strange[0]} ».", "Les questions sont celles de data/answers.")
    return Expected(text, names, body.get("toutes") is True)


def figures(conversations: Sequence[Conversation], model: Model | None = None) -> dict[str, Any]:
    """Play them. `right`: turns whose question is answered; `reachable`: those and what is one tap away; `wrong`: the answer to
    another question; `lines`: the turns that are not right, those behind an emergency reply included. Raises SetupError."""
    chains = [Chain(one.name, False, 0, tuple(turn.text for turn in one.turns)) for one in conversations]
    book = catalogue.read(PROJECT)
    judged = [
        _judged(one.name, number, turn, step, book)
        for one, played in zip(conversations, play(chains, model), strict=True)
        for number, (turn, step) in enumerate(zip_longest(one.turns, played.steps), 1)
    ]
    return {
        "turns": len(judged),
        "right": sum(one.right for one in judged),
        "reachable": sum(one.reachable for one in judged),
        "wrong": sum(one.wrong for one in judged),
        "lines": [{"name": one.name, "turn": one.number, "answered": one.answered} for one in judged if not one.right],
    }


@dataclass(frozen=True)
class _Judged:
    """Turn `number` (from 1) of a conversation."""

    name: str
    number: int
    answered: str | None = None
    right: bool = False
    reachable: bool = False
    wrong: bool = False


def _judged(name: str, number: int, turn: Expected, step: Step | None, book: Catalogue) -> _Judged:
    """`step`: None for a turn that was not played, as an emergency reply had gone out."""
    if step is None:
        return _Judged(name, number)
    right = _right(turn, step, book)
    wrong = not right and step.question is not None and step.question not in turn.questions
    return _Judged(name, number, step.question, right, right or _near(turn, step, book), wrong)


def _right(turn: Expected, step: Step, book: Catalogue) -> bool:
    if not turn.questions:
        return step.question is None
    if turn.every:
        return all(_answers(book, question, step.said) for question in turn.questions)
    return step.question in turn.questions


def _answers(book: Catalogue, question: str, said: str) -> bool:
    return any(variant.text.strip() in said for variant in book.questions[question].variants)


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
