"""A file given up: it goes back to its last commit, and whatever was done to it since counts as taken back, both or neither.

Which rows those are is read from the two texts, not from dates: somebody may have committed by hand. From the newest to the
oldest, each change that the file still shows is taken out of it in thought, until what is left is what the commit holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from bot.store import audit, news
from bot.store.db import Database
from bot.store.user import User
from bot.store.workbench import reply_changes
from bot.store.workbench.corrections import Correction, Corrections
from bot.store.workbench.talks import MadeStore
from bot.trainer.both import both
from bot.trainer.changes import discard, put_back
from bot.trainer.corpus import BACKGROUND, DOMAIN, NLU
from bot.trainer.project import Project
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
        shown = present is None or all(_written(name, after) in present for name, _, after in one.moves)
        if not shown or all(_written(name, after) in committed for name, _, after in one.moves):
            continue
        lost.append(one.id)
        for name, before, after in one.moves:
            if present is not None:
                present = present.replace(_written(name, after), _written(name, before), 1)
    return lost


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
