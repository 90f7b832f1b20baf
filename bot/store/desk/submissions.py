"""Drafts that wait for a validator, and what became of them: how they are read, and how they end undecided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import SettingsError
from bot.policy import window
from bot.policy.rights import Capability
from bot.policy.validation import LAST, SOON, Bar, bar, decidable
from bot.store import audit, news
from bot.store.accounts import User
from bot.store.desk.access import CONVERSATION, HANDOFF, SPOKEN, Conversation, Desk
from bot.store.desk.errors import NoSuchConversation

TOPIC = "validation"  # what open pages listen for
OVER = ("bot", "closed")  # owners of a conversation in which no agent speaks any longer
BODY, BEFORE, WORD = "submissions.body", "validations.before", "validations.word"

PAGE = 30
RECENT = timedelta(days=7)  # how long what became of one's drafts is shown

DECIDE, WRITTEN, ALL = "a-decider", "ecrites", "toutes"
FILTERS = (DECIDE, WRITTEN, ALL)


class NoSuchSubmission(NoSuchConversation):
    """There is no draft of that number."""

    def __init__(self) -> None:
        super().__init__()
        self.what = "Cette réponse à valider n’existe pas."
        self.remedy = "Revenez à la liste pour en choisir une autre."


@dataclass(frozen=True)
class Decision:
    """What one validator decided. `before`: the text that was amended; `word`: to the author."""

    step: int
    user_id: int
    user: str
    level: str | None
    decision: str  # approved, amended, refused
    at: datetime
    before: str | None
    word: str


@dataclass(frozen=True)
class Submission:
    """A draft that was submitted. `text`: as it would leave now; `last`: the last thing that the person did."""

    id: int
    conversation: Conversation
    author_id: int
    author: str
    text: str
    seen: int
    last: int
    category: str
    priority: int
    steps: tuple[str, ...]
    step: int
    status: str  # waiting, approved, refused, withdrawn, expired
    created_at: datetime
    decided_at: datetime | None
    raised_at: datetime | None
    outbox_id: int | None
    ended_by: str | None
    ended_why: str | None
    to_review: bool  # it asks something of its author, or of who has the conversation
    decisions: tuple[Decision, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether somebody has to decide on it."""
        return self.status == "waiting"

    @property
    def stale(self) -> bool:
        """Whether the person wrote since the text was last held against what they say."""
        return self.waits and self.last > self.seen

    @property
    def waits_for(self) -> str | None:
        """The level whose decision is waited for."""
        return self.steps[self.step] if self.waits and self.step < len(self.steps) else None

    def bar(self, user: User) -> Bar | None:
        """Why this user may not decide on it now, None when they may."""
        step = self.waits_for or self.steps[-1]
        return bar(user.role, user.level, user.id, self.author_id, [d.user_id for d in self.decisions], step)


# What asks something of who wrote it or has the conversation: stale, or sent back and nothing was done about it since.
_TO_REVIEW = """
    (s.status = 'waiting' AND EXISTS (SELECT FROM events e WHERE e.conversation_id = s.conversation_id AND e.id > s.seen
         AND (e.kind = ANY(:spoken) OR e.kind = 'echo' AND e.reason = 'inbox_reply'))
     OR s.status IN ('refused', 'expired') AND c.owner = 'agent' AND coalesce(c.last_agent_at, '-infinity') <= s.decided_at
         AND NOT EXISTS (SELECT FROM submissions n WHERE n.conversation_id = s.conversation_id AND n.id > s.id))
"""
_AUTHOR_TO_REVIEW = f"({_TO_REVIEW} AND (s.status = 'waiting' OR c.agent_id = s.user_id))"
_PRIORITY = "least(s.priority, CASE WHEN h.closed_at IS NULL THEN h.priority END)"
_BOUNDARY = "c.last_person_at + CASE WHEN c.last_person_at > :standard THEN :in_standard ELSE :in_human END"
_PRESSING = """(c.last_person_at IS NULL OR c.last_person_at <= :standard_soon AND c.last_person_at > :standard
    OR c.last_person_at <= :human_soon)"""

_FROM = """
    FROM submissions s JOIN conversations c ON c.id = s.conversation_id JOIN users a ON a.id = s.user_id
    LEFT JOIN handoffs h ON h.id = s.handoff_id
"""
_MINE = """
    s.status = 'waiting' AND s.user_id <> :user AND s.steps[s.step + 1] = ANY(:decidable)
    AND NOT EXISTS (SELECT FROM validations v WHERE v.submission_id = s.id AND v.user_id = :user)
"""
_WHERE = {
    DECIDE: _MINE,
    WRITTEN: "s.user_id = :user AND (s.status = 'waiting' OR s.decided_at > :recent)",
    ALL: "s.status = 'waiting'",
}
_WAITING_ORDER = f"{_PRIORITY} = 0 DESC, {_PRESSING} DESC, {_PRIORITY}, {_BOUNDARY}, s.id"
_ORDER = {
    DECIDE: _WAITING_ORDER,
    WRITTEN: f"{_AUTHOR_TO_REVIEW} DESC, s.status = 'waiting' DESC, coalesce(s.decided_at, s.created_at) DESC, s.id DESC",
    ALL: _WAITING_ORDER,
}
_COLUMNS = f"""
    SELECT {CONVERSATION}, {HANDOFF}, s.id AS sub_id, s.user_id AS author_id, a.name AS author, s.body, s.seen,
        s.category AS sub_category, {_PRIORITY} AS sub_priority, s.steps, s.step, s.status,
        s.created_at AS sub_created, s.decided_at, s.raised_at AS sub_raised, s.outbox_id, s.ended_why,
        (SELECT name FROM users WHERE id = s.ended_by) AS ended_by, {_TO_REVIEW} AS to_review,
        (SELECT coalesce(max(id), 0) FROM events e WHERE e.conversation_id = c.id
             AND (e.kind = ANY(:spoken) OR e.kind = 'echo' AND e.reason = 'inbox_reply')) AS last
    {_FROM} LEFT JOIN users u ON u.id = c.agent_id
"""  # noqa: S608
_COUNTS = f"""
    SELECT count(*) FILTER (WHERE {_MINE}) AS decide, count(*) FILTER (WHERE {_MINE} AND {_PRESSING}) AS decide_pressing,
        count(*) FILTER (WHERE s.status = 'waiting') AS waiting,
        count(*) FILTER (WHERE s.user_id = :user AND s.status = 'waiting') AS written,
        count(*) FILTER (WHERE s.user_id = :user AND {_AUTHOR_TO_REVIEW}) AS review
    {_FROM} WHERE s.status = 'waiting' OR s.user_id = :user AND s.decided_at > :recent
"""
_DECISIONS = text("""
    SELECT v.submission_id, v.step, v.user_id, u.name AS "user", u.validation_level AS level, v.decision, v.at, v.before, v.word
    FROM validations v JOIN users u ON u.id = v.user_id WHERE v.submission_id = ANY(:ids) ORDER BY v.step
""")


@dataclass(frozen=True)
class Counts:
    """How many drafts wait. `review`: of one's own, those that ask something of their author."""

    decide: int
    pressing: int
    written: int
    review: int
    waiting: int


@dataclass(frozen=True)
class Listing:
    """A page of the list. `more`: whether another follows."""

    rows: tuple[Submission, ...]
    counts: Counts
    more: bool


def _values(user: User, now: datetime) -> dict[str, Any]:
    return {
        "user": user.id,
        "decidable": list(decidable(user.role, user.level)),
        "spoken": list(SPOKEN),
        "recent": now - RECENT,
        "standard": now - window.STANDARD,
        "standard_soon": now - window.STANDARD + SOON,
        "human_soon": now - window.HUMAN + LAST,
        "in_standard": window.STANDARD,
        "in_human": window.HUMAN,
    }


async def _rows(
    connection: AsyncConnection, desk: Desk, clauses: str, values: Mapping[str, Any]
) -> tuple[Submission, ...]:
    rows = (await connection.execute(text(_COLUMNS + clauses), {"spoken": list(SPOKEN), **values})).all()
    found: dict[int, list[Decision]] = {row.sub_id: [] for row in rows}
    for row in await connection.execute(_DECISIONS, {"ids": list(found)}):
        found[row.submission_id].append(_decision(desk, row))
    return tuple(one for row in rows if (one := _readable(desk, row, found[row.sub_id])) is not None)


def _readable(desk: Desk, row: Row[Any], decisions: Sequence[Decision]) -> Submission | None:
    """None where its text cannot be read: nobody agrees to that, and the others wait for their word."""
    try:
        return _submission(desk, row, decisions)
    except SettingsError:
        return None


def _decision(desk: Desk, row: Row[Any]) -> Decision:
    before = (
        None
        if row.before is None
        else str(desk.codec.readable_json(row.before, BEFORE, row.submission_id, row.step) or "")
    )
    word = "" if row.word is None else str(desk.codec.readable_json(row.word, WORD, row.submission_id, row.step) or "")
    return Decision(row.step, row.user_id, row.user, row.level, row.decision, row.at, before, word)


def _submission(desk: Desk, row: Row[Any], decisions: Sequence[Decision]) -> Submission:
    return Submission(
        id=row.sub_id,
        conversation=desk.conversation(row),
        author_id=row.author_id,
        author=row.author,
        text=str(desk.codec.open_json(row.body, BODY, row.id, row.sub_id)),
        seen=row.seen,
        last=row.last,
        category=row.sub_category,
        priority=row.sub_priority,
        steps=tuple(row.steps),
        step=row.step,
        status=row.status,
        created_at=row.sub_created,
        decided_at=row.decided_at,
        raised_at=row.sub_raised,
        outbox_id=row.outbox_id,
        ended_by=row.ended_by,
        ended_why=row.ended_why,
        to_review=row.to_review,
        decisions=tuple(decisions),
    )


async def read(connection: AsyncConnection, desk: Desk, submission_id: int) -> Submission:
    """The draft, as it stands in the caller's transaction. Raises NoSuchSubmission."""
    found = await _rows(connection, desk, "WHERE s.id = :id", {"id": submission_id})
    if not found:
        raise NoSuchSubmission
    return found[0]


class Submissions:
    """Lists of drafts, and one at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def listing(self, user: User, which: str, now: datetime, page: int = 1, size: int = PAGE) -> Listing:
        """A page of the list: what presses first, then by priority and what is left of the window.

        That it was shown is recorded.
        """
        values = {**_values(user, now), "limit": size + 1, "offset": (page - 1) * size}
        clauses = f"WHERE {_WHERE[which]} ORDER BY {_ORDER[which]} LIMIT :limit OFFSET :offset"
        async with self._desk.database.begin() as connection:
            rows = await _rows(connection, self._desk, clauses, values)
            counts = await self._counts(connection, user, now)
        shown = rows[:size]
        await self._desk.sightings.record(user.id, "drafts_viewed", now, (row.conversation.id for row in shown))
        return Listing(shown, counts, len(rows) > size)

    async def counts(self, user: User, now: datetime) -> Counts:
        """How many drafts wait for what."""
        async with self._desk.database.begin() as connection:
            return await self._counts(connection, user, now)

    async def _counts(self, connection: AsyncConnection, user: User, now: datetime) -> Counts:
        row = (await connection.execute(text(_COUNTS), _values(user, now))).one()
        return Counts(row.decide, row.decide_pressing, row.written, row.review, row.waiting)

    async def one(self, user: User, submission_id: int) -> Submission:
        """A draft, for who may read its conversation. Raises NotAllowed, NoSuchSubmission."""
        async with self._desk.database.begin() as connection:
            number = await conversation_of(connection, submission_id)
            await self._desk.access(connection, user, number or 0, Capability.READ)
            return await read(connection, self._desk, submission_id)

    async def of_conversation(self, conversation_id: int) -> Submission | None:
        """The newest draft of a conversation that the caller has reached through the door."""
        clauses = "WHERE s.conversation_id = :id ORDER BY s.id DESC LIMIT 1"
        async with self._desk.database.begin() as connection:
            found = await _rows(connection, self._desk, clauses, {"id": conversation_id})
        return found[0] if found else None


async def conversation_of(connection: AsyncConnection, submission_id: int) -> int:
    """The conversation of a draft. Raises NoSuchSubmission."""
    number = await connection.scalar(
        text("SELECT conversation_id FROM submissions WHERE id = :id"), {"id": submission_id}
    )
    if number is None:
        raise NoSuchSubmission
    return int(number)


async def end(
    connection: AsyncConnection, submission_id: int, status: str, why: str, user_id: int | None, now: datetime
) -> None:
    """The draft no longer waits, and nobody decided. `status`: withdrawn, expired."""
    await connection.execute(
        text("""
            UPDATE submissions SET status = :status, decided_at = :now, ended_by = :user, ended_why = :why
            WHERE id = :id AND status = 'waiting'
        """),
        {"status": status, "now": now, "user": user_id, "why": why, "id": submission_id},
    )


async def conversation_over(
    connection: AsyncConnection, conversation_id: int, user_id: int | None, why: str, now: datetime
) -> None:
    """Withdraw the draft that still waits in a conversation that nobody follows any longer, or was answered otherwise.

    `why`: closed, given_back, spam, replied. The caller holds the conversation's lock.
    """
    number = await connection.scalar(
        text("SELECT id FROM submissions WHERE conversation_id = :id AND status = 'waiting'"), {"id": conversation_id}
    )
    if number is not None:
        await end(connection, number, "withdrawn", why, user_id, now)
        await audit.record(connection, now, user_id, "withdraw", conversation_id, submission=number, why=why)
        await tell(connection, conversation_id)


async def tell(connection: AsyncConnection, conversation_id: int) -> None:
    """Open pages look again."""
    await news.conversation(connection, conversation_id)
    await news.topic(connection, TOPIC)
