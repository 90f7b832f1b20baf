"""A file given up: it goes back to its last commit, and whatever was done to it since counts as taken back, both or neither.

Which rows those are is read from the two texts, not from dates: somebody may have committed by hand. From the newest to the
oldest, each change that the file still shows is taken out of it in thought, until what is left is what the commit holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from bot.core import catalogue
from bot.store import audit, news
from bot.store.db import Database
from bot.store.user import User
from bot.store.workbench import reply_changes
from bot.store.workbench.corrections import Correction, Corrections
from bot.store.workbench.talks import MadeStore
from bot.trainer.both import both
from bot.trainer.changes import discard, put_back
from bot.trainer.corpus import BACKGROUND, DOMAIN, NLU
from bot.trainer.errors import BadFile
from bot.trainer.project import Project
from bot.trainer.questions import Book, file_of
from bot.trainer.stories import STORIES

_HEAD = re.compile(r"\s*- (intent|synonym|lookup|regex): *(.*?)\s*")
_ITEM = re.compile(r"\s*-(.*)")


async def give_up(project: Project, database: Database, user: User, at: datetime, name: str, seen: str) -> None:
    """Put a file back to its last commit, and mark what was done to it. Raises TrainerError, as `changes.discard`."""
    async with both(database) as doing:
        done = await doing.files(lambda: discard(project, name, seen), lambda given: put_back(project, given))
        now = None if done.before is None else done.before.decode("utf-8", "replace")
        committed, connection = done.after.decode("utf-8", "replace"), doing.connection
        lost: list[int] = []
        if name == NLU or name.startswith(BACKGROUND + "/"):
            lost = corrections(await Corrections.standing(connection, name), now, committed)
            await Corrections.discarded(connection, at, user, lost)
        elif name == DOMAIN:
            lost = replies(await reply_changes.standing(connection), now, committed)
            await reply_changes.discarded(connection, at, user, lost)
        elif name.startswith(f"{catalogue.FOLDER}/"):
            lost = answers(await reply_changes.standing(connection), name, now, committed)
            await reply_changes.discarded(connection, at, user, lost)
        elif name == STORIES:
            made = await MadeStore.standing(connection, name)
            lost = [one.id for one in made if (now is None or one.text in now) and one.text not in committed]
            await MadeStore.discarded(connection, user, at, lost)
        await audit.record(connection, at, user.id, "file_discarded", file=name, count=len(lost), kept=done.kept)
        await news.topic(connection, "workbench")


def corrections(standing: Iterable[Correction], now: str | None, committed: str) -> list[int]:
    """Which of a file's standing corrections (newest first) the commit does not have. `now`: None of a deleted file."""
    recorded = _examples(committed)
    present = None if now is None else _examples(now)
    lost = []
    for one in standing:
        old, new = (one.intent, one.marked), (one.target, one.result)
        came = one.kind != "remove" and (present is None or new in present) and new not in recorded
        went = one.kind != "add" and (present is None or old not in present) and old in recorded
        if came or went:
            lost.append(one.id)
            if present is not None:  # an older correction of the same example sees what it had made of it
                present -= {new} if one.kind != "remove" else set()
                present |= {old} if one.kind != "add" else set()
    return lost


def replies(standing: Iterable[reply_changes.Change], now: str | None, committed: str) -> list[int]:
    """Which standing changes of replies (newest first) the commit does not have."""
    lost, present = [], now
    for one in standing:
        if any("/" in name for name, _, _ in one.moves):  # of the catalogue
            continue
        shown = present is None or all(_written(name, after) in present for name, _, after in one.moves)
        if not shown or all(_written(name, after) in committed for name, _, after in one.moves):
            continue
        lost.append(one.id)
        for name, before, after in one.moves:
            if present is not None:
                present = present.replace(_written(name, after), _written(name, before), 1)
    return lost


def answers(standing: Iterable[reply_changes.Change], file: str, now: str | None, committed: str) -> list[int]:
    """Which standing changes of questions of a file (newest first) the commit does not have."""
    recorded, present = _book(file, committed), None if now is None else _book(file, now)
    if recorded is None or (present is None and now is not None):  # damaged: nobody can say
        return []
    lost, undone = [], dict[str, str]()
    for one in standing:
        mine = [move for move in one.moves if file_of(move[0]) == file]  # a move between files is lost with either
        shown = all(present is None or undone.get(name, present.said(name)) == _lines(after) for name, _, after in mine)
        if shown and any(recorded.said(name) != _lines(after) for name, _, after in mine):
            lost.append(one.id)
            undone |= {name: before for name, before, _ in mine}
    return lost


def _lines(after: str) -> str:
    """A question's lines after a change; none where it was taken away."""
    return "" if after.startswith("#") else after


def _book(file: str, text: str) -> Book | None:
    try:
        return Book.of({file: text})
    except BadFile:
        return None


def _written(name: str, block: str) -> str:
    """A reply as it stands in domain.yml."""
    return f" {name}:\n{block}"


def _examples(text: str) -> set[tuple[str, str]]:
    """(intent, example) of a file of examples, be it damaged."""
    found: set[tuple[str, str]] = set()
    intent = ""
    for line in text.split("\n"):
        head = _HEAD.fullmatch(line)
        item = _ITEM.fullmatch(line)
        if head:
            intent = head[2].strip("'\"") if head[1] == "intent" else ""
        elif item and intent:
            found.add((intent, item[1].strip(" ")))
    return found
