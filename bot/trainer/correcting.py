"""A change of examples from end to end: the files and who did it, both or neither.

The files are changed inside the transaction that keeps the rows: if they refuse, no row stays; if the rows or the commit fail, the
files are changed back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.store import audit, news
from bot.store.db import Database
from bot.store.user import User
from bot.store.workbench import reply_changes
from bot.store.workbench.corrections import Correction, Corrections
from bot.trainer.both import both
from bot.trainer.corpus import Applied, Kind, Operation, apply
from bot.trainer.errors import Changed, TrainerError
from bot.trainer.intent_removal import origin_of, remove
from bot.trainer.intents import Wanted, create, take_back
from bot.trainer.project import Project

MOST_REPLY_CHANGES = 10_000


async def correct(
    project: Project,
    database: Database,
    user: User,
    at: datetime,
    operations: Sequence[Operation],
    events: Sequence[int] = (),
) -> list[int]:
    """Apply operations to the files as they are now; the numbers of their corrections. Raises TrainerError, as `apply`."""
    async with both(database) as doing:
        applied = await doing.files(lambda: apply(project, operations), lambda done: _back(project, done))
        backs = reversed(applied.undoing)
        return [
            await Corrections.record(doing.connection, at, user, operation, events, back.after)
            for operation, back in zip(applied.operations, backs, strict=True)
        ]


async def add_intent(project: Project, database: Database, user: User, at: datetime, wanted: Wanted) -> None:
    """Create an intent in all files, with a correction for each of its examples. Raises TrainerError, as `intents.create`."""
    async with both(database) as doing:
        created = await doing.files(lambda: create(project, wanted), lambda done: take_back(project, done))
        backs = reversed(created.applied.undoing)
        for operation, back in zip(created.applied.operations, backs, strict=True):
            await Corrections.record(doing.connection, at, user, operation, (), back.after)
        await audit.record(doing.connection, at, user.id, "intent_added", intent=wanted.name)


async def remove_intent(project: Project, database: Database, user: User, at: datetime, name: str, seen: str) -> None:
    """Take a new intent back as a whole, with what was done to it since. Raises TrainerError, as `intent_removal.remove`."""
    async with both(database) as doing:
        connection = doing.connection
        standing = await Corrections.of_intent(connection, name)
        done = await doing.files(
            lambda: remove(project, name, seen, lambda marked: origin_of(standing, name, marked)),
            lambda removed: take_back(project, removed),
        )
        # One that left for another intent stands there.
        await Corrections.discarded(connection, at, user, [one.id for one in standing if one.target == name])
        replies = await reply_changes.of(connection, f"utter_{name}", MOST_REPLY_CHANGES)
        lost = [one.id for one in replies if {move[0] for move in one.moves} == {f"utter_{name}"}]
        await reply_changes.discarded(connection, at, user, lost)
        await audit.record(connection, at, user.id, "intent_removed", intent=name, kept=done.kept)
        await news.topic(connection, "workbench")


async def undo(project: Project, database: Database, user: User, at: datetime, number: int) -> Correction:
    """Take a correction back, on the files as they are now. Raises Changed when its line has changed since, TrainerError."""
    async with both(database) as doing:
        found = await Corrections.get(doing.connection, number, lock=True)
        if found is None:
            raise TrainerError("Cette correction n’existe pas.", "Rechargez la page.")
        if found.undone_at is not None:
            raise Changed(f"Cette correction a déjà été annulée par {found.undone_by}.", "Il n’y a rien à faire.")
        operation = inverse(found)
        await doing.files(lambda: apply(project, [operation]), lambda done: _back(project, done))
        await Corrections.undone(doing.connection, at, user, number)
        return found


def inverse(done: Correction) -> Operation:
    """The operation that takes a correction back."""
    if done.kind == "add":
        return Operation("remove", done.intent, done.marked, file=done.file)
    if done.kind == "remove":
        return Operation("add", done.intent, done.marked, file=done.file, after=done.before or "")
    if done.kind == "edit":
        return Operation("edit", done.intent, done.result, to_marked=done.marked, file=done.file)
    kind: Kind = "move"
    return Operation(kind, done.target, done.result, done.intent, done.marked, done.file, done.before)


def _back(project: Project, applied: Applied) -> None:
    apply(project, applied.undoing)
