"""What a change of the catalogue would spoil: the rules of `planton check`, over the questions that it is about."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from datetime import date
from typing import Any, Optional

from bot.core import catalogue, yaml_text
from bot.core.catalogue import AnswersFile, Question
from bot.core.yaml_text import Damaged
from bot.trainer.checks import answer_examples, answers
from bot.trainer.checks.context import Context
from bot.trainer.checks.files import Domain
from bot.trainer.checks.finding import Finding
from bot.trainer.corpus import DOMAIN
from bot.trainer.errors import TrainerError
from bot.trainer.project import Project
from bot.trainer.questions import Allow, Book
from bot.trainer.reply_checks import BadReply

_MOVES = re.compile(r"(?<=:)\d+(?=\))|(?<=ligne )\d+|\d+ de ses \d+|\d+(?= exemples?)")


def of_answers(project: Project, book: Book, today: date, ids: Optional[Collection[str]] = None) -> list[Finding]:
    """What is wrong with the answers of all questions, or of some, examples aside. Half a second for a thousand; blocks."""
    files = [catalogue.parse(name, file.text) for name, file in book.files.items()]
    return list(answers.check(files, _domain(project), today, ids))


def of_typed(project: Project, book: Book, typed: Question, today: date) -> list[Finding]:
    """What is wrong with an answer as it is typed, among the others as they stand: nothing is written. Blocks."""
    known = book.get(typed.id)
    typed = typed if known is None else replace(known, variants=typed.variants, **_fields(typed))
    files = []
    for name, file in book.files.items():
        ones = (typed if one.id == typed.id else one for one in file.questions.values())
        files.append(AnswersFile(name, tuple(ones)))
    if known is None:
        files.append(AnswersFile(typed.file, (typed,)))
    return about(list(answers.check(files, _domain(project), today, {typed.id})), typed.id)


def _fields(typed: Question) -> dict[str, Any]:
    """What its wordings say, place and examples apart."""
    kept = ("id", "intent", "examples", "variants", "file", "line", "first", "answer_line")
    return {one.name: getattr(typed, one.name) for one in fields(typed) if one.name not in kept}


def of_questions(project: Project, book: Book, ids: Collection[str], today: date) -> list[Finding]:
    """What is wrong with some questions, examples included, and what they spoil elsewhere. Blocks. Raises BadFile."""
    context = Context.of(project)
    questions = list(book.questions.values())
    found = of_answers(project, book, today, ids)
    return [*found, *answer_examples.of_some(questions, ids, context.neighbours, context.gold)]


def about(found: Sequence[Finding], id_: str) -> list[Finding]:
    """Those that name a question, errors first."""
    return sorted((one for one in found if one.what.startswith(f"{id_} : ")), key=lambda one: not one.is_error)


def gate(project: Project, ids: Collection[str], today: date) -> Allow:
    """For `questions.change`: refuses, by BadReply, a change that makes an error which was not there. What was wrong before (a
    day of review that passed) keeps nobody from putting something else right."""

    def allow(before: Book, after: Book) -> None:
        old = Counter(map(_key, of_questions(project, before, ids, today)))
        new = []
        for one in of_questions(project, after, ids, today):
            old[_key(one)] -= 1
            if one.is_error and old[_key(one)] < 0:
                new.append(one)
        if new:
            raise BadReply(new)

    return allow


def _key(one: Finding) -> tuple[str, str]:
    """A finding without lines and counts, which move when something else changes."""
    return one.code, _MOVES.sub("", one.what)


def intents(project: Project) -> Collection[str]:
    """The intents of domain.yml."""
    domain = _domain(project)
    return domain.intents if domain else ()


def _domain(project: Project) -> Optional[Domain]:
    try:
        return _read(project.read(DOMAIN))
    except TrainerError:  # `planton check` and the page of replies say what is wrong with it
        return None


@functools.lru_cache(maxsize=2)
def _read(text: str) -> Optional[Domain]:
    try:
        root = yaml_text.read(text)
    except Damaged:
        return None
    return Domain.of(root) if isinstance(root, yaml_text.Mapping) else None
