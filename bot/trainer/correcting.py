"""A change of examples from end to end: the files and who did it, both or neither.

The files are changed inside the transaction that keeps the rows: if they refuse, no row stays; if the rows or the commit fail, the
files are changed back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime

from bot.store import audit
from bot.store.db import Database
from bot.store.user import User
from bot.store.workbench.corrections import Correction, Corrections
from bot.trainer.corpus import Applied, Kind, Operation, apply
from bot.trainer.errors import Changed, TrainerError
from bot.trainer.intents import Created, Wanted, create, take_back
from bot.trainer.project import Project


async def correct(
    project: Project,
    database: Database,
    user: User,
    at: datetime,
    operations: Sequence[Operation],
    events: Sequence[int] = (),
) -> list[int]:
    """Apply operations to the files as they are now; the numbers of their corrections. Raises TrainerError, as `apply`."""
    applied: Applied | None = None
    try:
        async with database.begin() as connection:
            applied = await asyncio.to_thread(apply, project, operations)
            backs = reversed(applied.undoing)
            numbers = [
                await Corrections.record(connection, at, user, operation, events, back.after)
                for operation, back in zip(applied.operations, backs, strict=True)
            ]
        return numbers
    except BaseException:
        if applied is not None:
            await _back(project, applied)
        raise


async def add_intent(project: Project, database: Database, user: User, at: datetime, wanted: Wanted) -> None:
    """Create an intent in all files, with a correction for each of its examples. Raises TrainerError, as `intents.create`."""
    created: Created | None = None
    try:
        async with database.begin() as connection:
            created = await asyncio.to_thread(create, project, wanted)
            backs = reversed(created.applied.undoing)
            for operation, back in zip(created.applied.operations, backs, strict=True):
                await Corrections.record(connection, at, user, operation, (), back.after)
            await audit.record(connection, at, user.id, "intent_added", intent=wanted.name)
    except BaseException:
        if created is not None:
            await asyncio.to_thread(take_back, project, created)
        raise


async def undo(project: Project, database: Database, user: User, at: datetime, number: int) -> Correction:
    """Take a correction back, on the files as they are now. Raises Changed when its line has changed since, TrainerError."""
    applied: Applied | None = None
    try:
        async with database.begin() as connection:
            found = await Corrections.get(connection, number, lock=True)
            if found is None:
                raise TrainerError("Cette correction n’existe pas.", "Rechargez la page.")
            if found.undone_at is not None:
                raise Changed(f"Cette correction a déjà été annulée par {found.undone_by}.", "Il n’y a rien à faire.")
            applied = await asyncio.to_thread(apply, project, [inverse(found)])
            await Corrections.undone(connection, at, user, number)
        return found
    except BaseException:
        if applied is not None:
            await _back(project, applied)
        raise


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


async def _back(project: Project, applied: Applied) -> None:
    """As far as the files still allow it: what somebody else changed meanwhile is theirs."""
    with contextlib.suppress(TrainerError):
        await asyncio.to_thread(apply, project, applied.undoing)
