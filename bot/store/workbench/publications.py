"""Publications: who asked to put which model into service, what the gate said, how far it is, what became of it.

One at a time: the database refuses a second one. The role `trainer` does them (`bot/trainer/publishing.py`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import Explained
from bot.policy.rights import Capability
from bot.store import audit, facts, news
from bot.store.db import TRAINER, Database, notify
from bot.store.user import User

MODELS = "planton_models"  # channel: what a policy is made from changed, read it again
RELOADED = "policy"  # fact: the last reading that was asked for; a role that missed the news sees it there
NEWS = "models"  # token for open pages
PUBLISH, ROLLBACK = "publish", "rollback"
WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
MESSAGE_AT_MOST, REASON_AT_MOST = 500, 1_000  # characters


class PublicationError(Explained):
    """A publication cannot be asked for; `what` and `remedy` are French."""


@dataclass(frozen=True)
class Asked:
    """What somebody asks for. `verdict`: the gate's reasons; `reason`: why to go on although it is shut."""

    kind: str
    model: str
    previous: str
    message: str
    reason: str = ""
    verdict: Sequence[Mapping[str, Any]] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Publication:
    """One of them, as it stands. Models are hashes (`models/<hash>.tar.gz`); `commit`: forty hex digits or empty."""

    id: int
    kind: str
    model: str
    previous: str
    user_id: int | None
    author: str
    message: str
    reason: str
    verdict: Sequence[Mapping[str, Any]]
    figures: Mapping[str, Any]
    state: str
    step: str
    failure: str
    remedy: str
    warning: str
    commit: str
    undone_by: int | None
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def open(self) -> bool:
        """Whether it is still to be done, or being done."""
        return self.state in (WAITING, RUNNING)


@dataclass(frozen=True)
class Reload:
    """With what a role on a machine decides. `model`: hash; `fault`: in French, empty when all is well."""

    role: str
    host: str
    at: datetime
    model: str
    fault: str


_COLUMNS = """id, kind, model, previous, user_id, author, message, reason, verdict, figures, state, step, failure, remedy,
    warning, commit_id, undone_by, asked_at, started_at, finished_at"""


class Publications:
    """The publications of this installation."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def ask(self, now: datetime, user: User, asked: Asked) -> int:
        """Keep a wish; its number. Raises PublicationError when another one is under way, or when a shut gate may not be
        overridden by this person."""
        must_be_able(user, asked)
        try:
            async with self._db.begin() as connection:
                return await insert(connection, now, user.id, user.name, asked)
        except IntegrityError:
            raise busy() from None

    async def take(self, now: datetime) -> Publication | None:
        """The one that waits, which is running from now on."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text(f"""
                        UPDATE publications SET state = 'running', started_at = :now
                        WHERE id = (SELECT id FROM publications WHERE state = 'waiting' FOR UPDATE SKIP LOCKED LIMIT 1)
                        RETURNING {_COLUMNS}
                    """),  # noqa: S608 (names of ours)
                    {"now": now},
                )
            ).first()
            if row is not None:
                await news.topic(connection, NEWS)
        return None if row is None else _publication(row)

    async def seconded(self, number: int) -> bool:
        """Whether somebody else than its author read what it changes, and agreed to this very model in place of that very one."""
        async with self._db.begin() as connection:
            return bool(
                await connection.scalar(
                    text("""
                        SELECT EXISTS (SELECT FROM publications b JOIN proposals p ON p.id = b.proposal_id
                            WHERE b.id = :number AND p.state = 'approved' AND p.decided_by <> p.user_id
                              AND p.user_id = b.user_id AND p.model = b.model AND p.previous = b.previous)
                    """),
                    {"number": number},
                )
            )

    async def awaited(self) -> frozenset[str]:
        """The models that wait for a second person or to be published, by their hashes."""
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text("""
                    SELECT model FROM proposals WHERE state = 'open'
                    UNION SELECT model FROM publications WHERE state IN ('waiting', 'running')
                """)
            )
            return frozenset(row.model for row in rows)

    async def running(self) -> Publication | None:
        """The one that is being done, or that whoever did it left half-done."""
        return await self._one("state = 'running'")

    async def open(self) -> Publication | None:
        """The one that waits or is being done."""
        return await self._one("state IN ('waiting', 'running')")

    async def get(self, number: int) -> Publication | None:
        """One of them."""
        return await self._one("id = :number", number=number)

    async def last(self) -> Publication | None:
        """The last one that ended, well or not."""
        return await self._one("state IN ('done', 'failed') ORDER BY finished_at DESC, id DESC LIMIT 1")

    async def done(self, limit: int = 200) -> list[Publication]:
        """Those that put a model into service, the newest first."""
        query = f"SELECT {_COLUMNS} FROM publications WHERE state = 'done' ORDER BY finished_at DESC, id DESC LIMIT :n"  # noqa: S608
        async with self._db.begin() as connection:
            rows = await connection.execute(text(query), {"n": limit})
            return [_publication(row) for row in rows]

    async def step(self, number: int, step: str, **kept: str) -> None:
        """Say what is being done now; `kept`: columns that are known by now (commit_id, previous, warning)."""
        given: dict[str, Any] = {name: kept[name] for name in ("commit_id", "previous", "warning") if name in kept}
        sets = ", ".join(f"{name} = :{name}" for name in ("step", *given))
        async with self._db.begin() as connection:
            await connection.execute(
                text(f"UPDATE publications SET {sets} WHERE id = :number"),  # noqa: S608 (names of ours)
                {"number": number, "step": step, **given},
            )
            await news.topic(connection, NEWS)

    async def reload(self, model: str) -> None:
        """Tell every role to read the files again: `model` serves."""
        async with self._db.begin() as connection:
            await facts.put(connection, RELOADED, f"{model} {uuid.uuid4().hex}")
            await notify(connection, MODELS, model)

    async def succeed(self, now: datetime, publication: Publication, commit: str, undone: Sequence[int] = ()) -> None:
        """It serves. `undone`: the publications that a roll-back took back."""
        async with self._db.begin() as connection:
            await connection.execute(
                text("""UPDATE publications SET state = 'done', step = '', finished_at = :now, commit_id = :commit
                        WHERE id = :id"""),
                {"id": publication.id, "now": now, "commit": commit},
            )
            await connection.execute(
                text("UPDATE publications SET undone_by = :id WHERE id = ANY(:undone)"),
                {"id": publication.id, "undone": list(undone)},
            )
            # A roll-back that is taken back: both are as if they had not been, and what it had taken back stands again.
            await connection.execute(
                text("""UPDATE publications SET undone_by = CASE WHEN id = :id THEN id END
                        WHERE (id = :id OR undone_by = ANY(:rollbacks)) AND cardinality(CAST(:rollbacks AS bigint[])) > 0"""),
                {"id": publication.id, "rollbacks": await _rollbacks(connection, undone)},
            )
            action = "model_published" if publication.kind == PUBLISH else "model_rolled_back"
            await audit.record(
                connection,
                now,
                publication.user_id,
                action,
                model=publication.model,
                previous=publication.previous,
                commit=commit[:12],
            )
            await news.topic(connection, NEWS)

    async def fail(self, now: datetime, number: int, failure: str, remedy: str) -> None:
        """It does not serve; the words are for people."""
        async with self._db.begin() as connection:
            await connection.execute(
                text("""UPDATE publications SET state = 'failed', finished_at = :now, failure = :failure, remedy = :remedy
                        WHERE id = :id"""),
                {"id": number, "now": now, "failure": failure, "remedy": remedy},
            )
            await news.topic(connection, NEWS)

    async def reloads(self) -> list[Reload]:
        """With what each role decides, in alphabetical order."""
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text("SELECT role, host, at, model, fault FROM reloads ORDER BY role, host")
            )
            return [Reload(row.role, row.host, row.at, row.model, row.fault) for row in rows]

    async def _one(self, where: str, **values: Any) -> Publication | None:
        async with self._db.begin() as connection:
            row = (
                await connection.execute(text(f"SELECT {_COLUMNS} FROM publications WHERE {where}"), values)  # noqa: S608
            ).first()
        return None if row is None else _publication(row)


def must_be_able(user: User, asked: Asked) -> None:
    """Raises PublicationError when a shut gate may not be overridden by this person."""
    if asked.reason and not user.may(Capability.OVERRIDE_GATE):
        raise PublicationError("Seul un administrateur passe outre au contrôle.", "Demandez-lui de publier.")


def busy() -> PublicationError:
    """The database knows one open publication at most."""
    return PublicationError("Une publication est déjà en cours.", "Attendez qu’elle se termine, puis recommencez.")


async def insert(
    connection: AsyncConnection, now: datetime, user_id: int, author: str, asked: Asked, proposal: int | None = None
) -> int:
    """A publication that waits to be done; its number. `proposal`: where a second person agreed. Raises IntegrityError when
    another one is open."""
    number = await connection.scalar(
        text("""
            INSERT INTO publications
                (kind, model, previous, user_id, author, message, reason, verdict, figures, asked_at, proposal_id)
            VALUES (:kind, :model, :previous, :user, :author, :message, :reason, CAST(:verdict AS jsonb),
                CAST(:figures AS jsonb), :now, :proposal) RETURNING id
        """),
        {**kept(asked), "kind": asked.kind, "user": user_id, "author": author, "now": now, "proposal": proposal},
    )
    if asked.reason:
        # The reason's words stay in the row: an audit line is for ever, and holds no free text.
        intents = [row["intent"] for row in asked.verdict if row.get("intent")]
        await audit.record(connection, now, user_id, "gate_overridden", model=asked.model, intents=intents)
    await notify(connection, TRAINER)
    await news.topic(connection, NEWS)
    return int(number or 0)


def kept(asked: Asked) -> dict[str, Any]:
    """What of a wish is stored, as columns."""
    return {
        "model": asked.model,
        "previous": asked.previous,
        "message": asked.message[:MESSAGE_AT_MOST],
        "reason": asked.reason[:REASON_AT_MOST],
        "verdict": json.dumps(list(asked.verdict)),
        "figures": json.dumps(dict(asked.figures)),
    }


async def reloaded(connection: AsyncConnection, role: str, host: str, now: datetime, model: str, fault: str) -> None:
    """A role read the files: what it decides with now, or why it goes on as before (`model` then keeps its older value)."""
    await connection.execute(
        text("""
            INSERT INTO reloads (role, host, at, model, fault) VALUES (:role, :host, :now, :model, :fault)
            ON CONFLICT (role, host) DO UPDATE SET at = :now, fault = :fault,
                model = CASE WHEN :fault = '' THEN :model ELSE reloads.model END
        """),
        {"role": role, "host": host, "now": now, "model": model, "fault": fault},
    )
    await news.topic(connection, NEWS)


async def _rollbacks(connection: AsyncConnection, numbers: Sequence[int]) -> list[int]:
    rows = await connection.execute(
        text("SELECT id FROM publications WHERE id = ANY(:numbers) AND kind = 'rollback'"), {"numbers": list(numbers)}
    )
    return [row.id for row in rows]


def _publication(row: Row[Any]) -> Publication:
    return Publication(
        row.id,
        row.kind,
        row.model,
        row.previous,
        row.user_id,
        row.author,
        row.message,
        row.reason,
        row.verdict,
        row.figures,
        row.state,
        row.step,
        row.failure,
        row.remedy,
        row.warning,
        row.commit_id,
        row.undone_by,
        row.asked_at,
        row.started_at,
        row.finished_at,
    )
