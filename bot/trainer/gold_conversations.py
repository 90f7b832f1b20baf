"""Conversations of two or three messages that measure the catalogue (`tests/gold/conversations.yml`): read and checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.core.clean import clean
from bot.core.errors import SetupError
from bot.dialogue.texts import read_yaml

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


def read(path: Path, known: Collection[str] | None) -> list[Conversation]:
    """The conversations of a file. `known`: the catalogue's questions; None: any name will do. Raises SetupError naming the
    one that is wrong."""
    data = read_yaml(path)
    rows = data.get("conversations") if isinstance(data, Mapping) else None
    if not isinstance(rows, Sequence) or not rows:
        raise SetupError(
            f"{path} : la liste « conversations » manque ou est vide.", "Rétablissez le fichier depuis git."
        )
    return [_conversation(row, f"{path}, n° {number}", known) for number, row in enumerate(rows, 1)]


def _conversation(row: Any, where: str, known: Collection[str] | None) -> Conversation:
    body = row if isinstance(row, Mapping) else {}
    turns = body.get("tours")
    if not isinstance(body.get("nom"), str) or not isinstance(turns, Sequence) or not turns:
        raise SetupError(f"{where} : attendu « nom » et « tours ».", "Corrigez cette conversation.")
    return Conversation(body["nom"], tuple(_turn(turn, f"{where} ({body['nom']})", known) for turn in turns))


def _turn(row: Any, where: str, known: Collection[str] | None) -> Expected:
    body = row if isinstance(row, Mapping) else {}
    text, questions = body.get("texte"), body.get("questions")
    names = tuple(questions) if isinstance(questions, list) else (None,)
    if not isinstance(text, str) or not clean(text) or not all(isinstance(name, str) for name in names):
        raise SetupError(f"{where} : un tour a « texte » et « questions » (une liste).", "Corrigez ce tour.")
    if known is not None and (strange := [name for name in names if name not in known]):
        raise SetupError(f"{where} : question inconnue « {strange[0]} ».", "Les questions sont celles de data/answers.")
    return Expected(text, names, body.get("toutes") is True)
