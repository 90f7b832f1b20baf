"""Trainings: who asked, for which files, how far it is, what came of it. The role `trainer` takes them one at a time.

A run is claimed with a lease that its heartbeat lengthens. A process that is killed lets the lease run out: the run is begun anew
once, then given up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store import audit, news
from bot.store.db import TRAINER, Database, notify
from bot.store.user import User

QUEUED, TRAINING, MEASURING, DONE, FAILED, STOPPED = "queued", "training", "measuring", "done", "failed", "stopped"
LIVING = (QUEUED, TRAINING, MEASURING)
ENDED = (DONE, FAILED, STOPPED)
NEWS = "training"  # token, with the run's number
LEASE = timedelta(seconds=20)
STALE = timedelta(minutes=5)  # ahead of now: no lease is so long, a clock that was wrong wrote it
TRIES = 2
KEPT_RESULTS = 20  # comparisons; of older runs the line stays
LEARNT_FROM = 5  # runs whose durations tell the next one's


@dataclass(frozen=True)
class Run:
    """A training as it stands. `current`, `candidate`: hashes of models, "" as long as they are not known. `stages`: seconds that
    each stage took; `stage_since`: when the present one began; `share`: of that stage, 0 to 1. `memory`: bytes at most at once."""

    id: int
    user_id: int | None
    author: str
    asked_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    state: str
    stage: str
    stage_since: datetime | None
    share: float
    attempts: int
    stop_asked: bool
    commit: str
    diff_lines: int
    current: str
    candidate: str
    unchanged: bool
    stages: Mapping[str, float]
    memory: int
    what: str
    remedy: str
    has_result: bool
    summary: Mapping[str, Any]

    @property
    def living(self) -> bool:
        """Whether it waits or is being done."""
        return self.state in LIVING


@dataclass(frozen=True)
class Step:
    """How far a run is: one heartbeat."""

    state: str
    stage: str
    share: float
    stages: Mapping[str, float]


_COLUMNS = """id, user_id, author, asked_at, started_at, ended_at, state, stage, stage_since, share, attempts, stop_asked,
    commit_id, diff_lines, current_model, candidate, unchanged, stages, memory, what, remedy,
    result IS NOT NULL AS has_result, summary"""


class Runs:
    """The trainings of this installation."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def ask(self, now: datetime, user: User) -> tuple[int, bool]:
        """Ask for a training; its number and whether it is a new one. One that waits stands for all: it takes the files as they are
        when it begins."""
        async with self._db.begin() as connection:
            await connection.execute(text("LOCK TABLE trainings IN SHARE ROW EXCLUSIVE MODE"))
            waiting = await connection.scalar(text("SELECT id FROM trainings WHERE state = 'queued' LIMIT 1"))
            if waiting is not None:
                return int(waiting), False
            number = await connection.scalar(
                text("INSERT INTO trainings (user_id, author, asked_at) VALUES (:user, :author, :now) RETURNING id"),
                {"user": user.id, "author": user.name, "now": now},
            )
            await audit.record(connection, now, user.id, "training_asked", training=number)
            await self._tell(connection, int(number or 0))
            await notify(connection, TRAINER)
        return int(number or 0), True

    async def stop(self, now: datetime, user: User, number: int) -> bool:
        """Ask for its end; False when it has ended. One that waits ends here and now."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text("""
                        UPDATE trainings SET stop_asked = true,
                            state = CASE WHEN state = 'queued' THEN 'stopped' ELSE state END,
                            ended_at = CASE WHEN state = 'queued' THEN CAST(:now AS timestamptz) END
                        WHERE id = :id AND state = ANY(:living) RETURNING id
                    """),
                    {"id": number, "now": now, "living": list(LIVING)},
                )
            ).first()
            if row is None:
                return False
            await audit.record(connection, now, user.id, "training_stopped", training=number)
            await self._tell(connection, number)
            await notify(connection, TRAINER)
        return True

    # -- the role `trainer` ----------------------------------------------------------------------------------------

    async def claim(self, now: datetime) -> Run | None:
        """The next one to do: what waits, or what a process left when it was killed. What was begun twice is given up."""
        async with self._db.begin() as connection:
            given_up = await connection.execute(
                text("""
                    UPDATE trainings SET state = 'failed', ended_at = :now, lease_until = NULL,
                        what = 'L’entraînement a été interrompu deux fois.',
                        remedy = 'Vérifiez la mémoire et la place sur le disque, puis relancez un essai.'
                    WHERE state IN ('training', 'measuring') AND (lease_until < :now OR lease_until > :stale)
                      AND attempts >= :tries RETURNING id
                """),
                {"now": now, "stale": now + STALE, "tries": TRIES},
            )
            for (number,) in given_up.all():
                await self._tell(connection, number)
            row = (
                await connection.execute(
                    text(f"""
                        UPDATE trainings SET state = 'training', attempts = attempts + 1, lease_until = :until, stage = '',
                            share = 0, stages = '{{}}', stage_since = :now, started_at = :now
                        WHERE id = (
                            SELECT id FROM trainings
                            WHERE state = 'queued'
                                OR (state IN ('training', 'measuring') AND (lease_until < :now OR lease_until > :stale))
                            ORDER BY id FOR UPDATE SKIP LOCKED LIMIT 1)
                        AND NOT EXISTS (
                            SELECT 1 FROM trainings o WHERE o.state IN ('training', 'measuring')
                                AND o.lease_until BETWEEN :now AND :stale)
                        RETURNING {_COLUMNS}
                    """),  # noqa: S608 (names of ours)
                    {"now": now, "until": now + LEASE, "stale": now + STALE},
                )
            ).first()
            if row is None:
                return None
            await self._tell(connection, row.id)
        return _run(row)

    async def stands_for(self, run: Run, commit: str, diff: str) -> None:
        """The files that it was begun with."""
        lines = sum(line.startswith(("+", "-")) and not line.startswith(("+++", "---")) for line in diff.splitlines())
        async with self._db.begin() as connection:
            await connection.execute(
                text("UPDATE trainings SET commit_id = :commit, diff = :diff, diff_lines = :lines WHERE id = :id"),
                {"id": run.id, "commit": commit, "diff": diff, "lines": lines},
            )

    async def beat(self, run: Run, now: datetime, step: Step, tell: bool) -> bool:
        """Lengthen the lease and say how far it is; whether it goes on: False once somebody asked for the end, or another process
        has it. `tell`: open pages look again."""
        async with self._db.begin(durable=False) as connection:
            row = (
                await connection.execute(
                    text("""
                        UPDATE trainings SET lease_until = :until, state = :state, share = :share,
                            stage_since = CASE WHEN stage = :stage THEN stage_since ELSE :now END, stage = :stage,
                            stages = CAST(:stages AS jsonb)
                        WHERE id = :id AND attempts = :attempts AND state IN ('training', 'measuring') RETURNING stop_asked
                    """),
                    {
                        "id": run.id,
                        "attempts": run.attempts,
                        "now": now,
                        "until": now + LEASE,
                        "state": step.state,
                        "stage": step.stage,
                        "share": step.share,
                        "stages": json.dumps(dict(step.stages)),
                    },
                )
            ).first()
            if row is not None and tell:
                await self._tell(connection, run.id)
        return row is not None and not row.stop_asked

    async def give_back(self, run: Run, now: datetime) -> None:
        """The process ends while it has the run: another begins it anew, and this does not count as a try."""
        async with self._db.begin() as connection:
            await connection.execute(
                text("""
                    UPDATE trainings SET state = 'queued', lease_until = NULL, attempts = attempts - 1, stage = '', share = 0
                    WHERE id = :id AND attempts = :attempts AND state IN ('training', 'measuring')
                      AND NOT EXISTS (SELECT 1 FROM trainings o WHERE o.state = 'queued')
                """),
                {"id": run.id, "attempts": run.attempts},
            )
            await connection.execute(
                text("""
                    UPDATE trainings SET lease_until = :now
                    WHERE id = :id AND attempts = :attempts AND state IN ('training', 'measuring')
                """),
                {"id": run.id, "attempts": run.attempts, "now": now - timedelta(seconds=1)},
            )

    async def finish(
        self,
        run: Run,
        now: datetime,
        *,
        current: str,
        candidate: str,
        result: Mapping[str, Any] | None,
        summary: Mapping[str, Any],
        stages: Mapping[str, float],
        memory: int,
    ) -> None:
        """It is done. Without `result` nothing had changed."""
        await self._end(
            run,
            now,
            DONE,
            current_model=current,
            candidate=candidate,
            unchanged=result is None,
            result=None if result is None else json.dumps(result),
            summary=json.dumps(dict(summary)),
            stages=json.dumps(dict(stages)),
            memory=memory,
        )
        async with self._db.begin() as connection:
            await connection.execute(
                text("""
                    UPDATE trainings SET result = NULL WHERE result IS NOT NULL AND id NOT IN (
                        SELECT id FROM trainings WHERE result IS NOT NULL ORDER BY id DESC LIMIT :kept)
                """),
                {"kept": KEPT_RESULTS},
            )

    async def fail(self, run: Run, now: datetime, what: str, remedy: str) -> None:
        """It failed; the words are for trainers."""
        await self._end(run, now, FAILED, what=what, remedy=remedy)

    async def stopped(self, run: Run, now: datetime) -> None:
        """It was ended on purpose."""
        await self._end(run, now, STOPPED)

    async def _end(self, run: Run, now: datetime, state: str, **values: Any) -> None:
        kinds = {"result": "jsonb", "summary": "jsonb", "stages": "jsonb"}
        sets = "".join(
            f", {name} = CAST(:{name} AS {kinds[name]})" if name in kinds else f", {name} = :{name}" for name in values
        )
        async with self._db.begin() as connection:
            await connection.execute(
                text(f"""
                    UPDATE trainings SET state = :state, ended_at = :now, lease_until = NULL, share = 1{sets}
                    WHERE id = :id AND attempts = :attempts AND state IN ('training', 'measuring')
                """),  # noqa: S608 (names of ours)
                {"id": run.id, "attempts": run.attempts, "state": state, "now": now, **values},
            )
            await self._tell(connection, run.id)

    async def _tell(self, connection: AsyncConnection, number: int) -> None:
        await news.topic(connection, NEWS, number)
        await news.topic(connection, NEWS)

    # -- pages -----------------------------------------------------------------------------------------------------

    async def recent(self, limit: int = 50) -> Sequence[Run]:
        """The newest first."""
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text(f"SELECT {_COLUMNS} FROM trainings ORDER BY id DESC LIMIT :n"),  # noqa: S608
                {"n": limit},
            )
            return [_run(row) for row in rows]

    async def get(self, number: int) -> Run | None:
        """One of them."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text(f"SELECT {_COLUMNS} FROM trainings WHERE id = :id"),  # noqa: S608
                    {"id": number},
                )
            ).first()
        return None if row is None else _run(row)

    async def result(self, number: int) -> Mapping[str, Any] | None:
        """What `Comparison.to_json` made; None when there is none, or no more."""
        async with self._db.begin() as connection:
            found = await connection.scalar(text("SELECT result FROM trainings WHERE id = :id"), {"id": number})
        return None if found is None else dict(found)

    async def of_candidate(self, candidate: str) -> Run | None:
        """The last run that ended well with that model and whose comparison is kept."""
        async with self._db.begin() as connection:
            row = (
                await connection.execute(
                    text(f"""
                        SELECT {_COLUMNS} FROM trainings
                        WHERE candidate = :candidate AND state = 'done' AND result IS NOT NULL ORDER BY id DESC LIMIT 1
                    """),  # noqa: S608
                    {"candidate": candidate},
                )
            ).first()
        return None if row is None else _run(row)

    async def diff(self, number: int) -> str:
        """The changes that it stands for, as git shows them."""
        async with self._db.begin() as connection:
            return str(await connection.scalar(text("SELECT diff FROM trainings WHERE id = :id"), {"id": number}) or "")

    async def durations(self) -> list[Mapping[str, float]]:
        """Seconds of each stage of the last runs that ended well, the newest first."""
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text("""
                    SELECT stages FROM trainings WHERE state = 'done' AND NOT unchanged ORDER BY id DESC LIMIT :n
                """),
                {"n": LEARNT_FROM},
            )
            return [dict(row.stages) for row in rows]


def _run(row: Row[Any]) -> Run:
    return Run(
        row.id,
        row.user_id,
        row.author,
        row.asked_at,
        row.started_at,
        row.ended_at,
        row.state,
        row.stage,
        row.stage_since,
        row.share,
        row.attempts,
        row.stop_asked,
        row.commit_id,
        row.diff_lines,
        row.current_model,
        row.candidate,
        row.unchanged,
        row.stages,
        row.memory,
        row.what,
        row.remedy,
        row.has_result,
        row.summary,
    )
