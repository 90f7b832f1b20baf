"""The outbox: what is to be said, claimed by the senders in order of conversation.

Shape of a stored message (encrypted, column `outbox.message`): {"text": str, "quick_replies": [[title, payload], …]}, and
for what answers a message its trace and when it came: {"trace": str, "since": seconds since the epoch}; for emergency replies
what they answer: {"answer": as `bot.core.emergency`}; for the catalogue's answers their links: {"links": [[title, url], …]}.
The text is whole, its links included: whoever knows nothing of them, an older sender, the search or an export, loses none.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clock import plausible
from bot.core.dialogue import Link, QuickReply, Reply
from bot.core.emergency import Answer, of_stored
from bot.core.errors import Explained
from bot.core.messages import Platform
from bot.core.outbox import EMERGENCY, OutboxRow
from bot.core.trace import stored
from bot.policy import window
from bot.store import handoffs, places, search, stale
from bot.store.ceiling import Ceiling
from bot.store.claim import EMERGENCIES, REPLIES
from bot.store.codec import Codec
from bot.store.db import CONSOLE, Database, Listener, notify
from bot.store.db import EMERGENCY as EMERGENCY_CHANNEL
from bot.store.db import OUTBOX as OUTBOX_CHANNEL
from bot.store.faults import level, told
from bot.store.receipts import Receipts, as_echo

log = logging.getLogger("planton.outbox")
_COLUMN = "outbox.message"
TOO_OLD = "too_old"  # tried for as long as any window lasts
LATE = handoffs.OLD  # the same of an emergency reply: the danger is a day old, and an agent's
UNREADABLE = "unreadable"  # an emergency reply that no sender could open holds back those after it no longer than this:
_UNREADABLE_FOR = timedelta(minutes=1)
ATTEMPTS = 32_000  # counted up to here, which a smallint holds: nothing is given up for their number


@dataclass(frozen=True)
class NewRow:
    """A message to put into the outbox. `owner_version` None: it goes out whoever owns the conversation."""

    conversation_id: int
    lane: str
    author: str
    reply: Reply
    created_at: datetime
    priority: int = 4
    owner_version: int | None = None
    user_id: int | None = None
    dedup: str | None = None
    id: int | None = None  # of `places.numbers`; None: it takes one
    answer: Answer | None = None
    due_at: datetime | None = None  # not before; None: at once


_INSERT = text("""
    INSERT INTO outbox (id, conversation_id, account, lane, author, user_id, message, priority, owner_version, created_at, due_at,
        dedup) OVERRIDING SYSTEM VALUE
    VALUES (:id, :conversation_id, (SELECT account FROM conversations WHERE id = :conversation_id), :lane, :author, :user_id,
        :message, :priority, :owner_version, :created_at, :due_at, :dedup)
    ON CONFLICT (conversation_id, dedup) DO NOTHING RETURNING id
""")


def sealed(codec: Codec, reply: Reply, conversation_id: int, number: int, answer: Answer | None = None) -> bytes:
    """A message as it is stored. `number`: the row's."""
    buttons = [[q.title, q.payload] for q in reply.quick_replies]
    answers = {} if answer is None else {"answer": answer.stored()}
    links = {"links": [[link.title, link.url] for link in reply.links]} if reply.links else {}
    message = {"text": reply.text, "quick_replies": buttons, **stored(), **answers, **links}
    return codec.seal_json(message, _COLUMN, conversation_id, number)


def links_of(message: Mapping[str, Any]) -> tuple[Link, ...]:
    """The links of a stored message; none in one of before."""
    return tuple(Link(title, url) for title, url in message.get("links", ()))


async def add(connection: AsyncConnection, codec: Codec, row: NewRow) -> int | None:
    """Queue a message and wake the senders at commit. Returns its id; None when `dedup` stands there already."""
    number = row.id if row.id is not None else (await places.numbers(connection, "outbox"))[0]
    added: int | None = await connection.scalar(
        _INSERT,
        {
            "id": number,
            "conversation_id": row.conversation_id,
            "lane": row.lane,
            "author": row.author,
            "user_id": row.user_id,
            "message": sealed(codec, row.reply, row.conversation_id, number, row.answer),
            "priority": row.priority,
            "owner_version": row.owner_version,
            "created_at": row.created_at,
            "due_at": row.due_at or row.created_at,
            "dedup": row.dedup,
        },
    )
    if row.lane == EMERGENCY:  # whoever holds a word of the bot's to this person judges it again before it leaves
        await notify(connection, EMERGENCY_CHANNEL, str(row.conversation_id))
    else:
        await notify(connection, OUTBOX_CHANNEL)
    if added is not None:
        said = search.of_outbox(added, row.conversation_id, row.created_at, row.author, row.reply.text)
        await search.index(connection, codec, [said])
    return added


_SETTLE_EVENTS = text("""
    UPDATE events SET disposition = :disposition, reason = :reason, settled_at = :now
    WHERE outbox_id = ANY(:ids) AND disposition IN ('answered', 'handed_off', 'emergency') AND disposition <> :disposition
""")


async def _give_up(connection: AsyncConnection, ids: Sequence[int], reason: str, now: datetime) -> None:
    """The rows never leave: what they answered goes to an agent where one is at it, else it has failed."""
    rows = await connection.execute(
        text("""
            SELECT o.id, EXISTS (SELECT FROM handoffs h WHERE h.conversation_id = c.id AND h.closed_at IS NULL)
                OR c.owner IN ('agent', 'inbox') AS attended
            FROM outbox o JOIN conversations c ON c.id = o.conversation_id WHERE o.id = ANY(:ids)
        """),
        {"ids": list(ids)},
    )
    split: dict[str, list[int]] = {"to_agent": [], "failed": []}
    for row in rows:
        split["to_agent" if row.attended else "failed"].append(row.id)
    for disposition, some in split.items():
        if some:
            await connection.execute(
                _SETTLE_EVENTS, {"ids": some, "disposition": disposition, "reason": reason, "now": now}
            )


async def cancel_unsent(
    connection: AsyncConnection, conversation_id: int, reason: str, now: datetime, authors: Sequence[str] = ("bot",)
) -> int:
    """Cancel what those authors have not sent yet and no sender holds. Returns how many.

    What a sender does hold is bound to the owner of this moment: if it is looked at again once that has changed, it stays.
    """
    rows = await connection.execute(
        text("""
            WITH held AS (
                SELECT id FROM outbox
                WHERE conversation_id = :id AND status = 'queued' AND author = ANY(:authors) AND owner_version IS NULL
                  AND lease_until >= clock_timestamp() FOR UPDATE SKIP LOCKED),
            bound AS (
                UPDATE outbox SET owner_version = (SELECT owner_version FROM conversations WHERE id = :id)
                WHERE id IN (SELECT id FROM held))
            UPDATE outbox SET status = 'cancelled', error_slug = :reason
            WHERE conversation_id = :id AND status = 'queued' AND author = ANY(:authors)
              AND (lease_until IS NULL OR lease_until < clock_timestamp()) RETURNING id
        """),
        {"id": conversation_id, "reason": reason, "authors": list(authors)},
    )
    ids = [row.id for row in rows]
    if ids:
        await _give_up(connection, ids, reason, now)
    return len(ids)


def _remedy(why: str, human: bool) -> str | None:
    if why == "window_closed":
        return window.CLOSED_AGENT if human else window.CLOSED_BOT
    if why == TOO_OLD:
        return window.TOO_OLD_AGENT if human else window.TOO_OLD_BOT
    if why == UNREADABLE:
        return window.UNREADABLE_EMERGENCY
    return window.TOO_OLD_EMERGENCY if why == LATE else None


def _verdict(row: Any, now: datetime) -> tuple[str | None, str | None]:
    """(tag, why not): whether the row may still leave."""
    if row.owner_version is not None and row.owner_version != row.current_version:
        return None, "owner_changed"
    if window.outlived(row.author, row.created_at, now):
        return None, LATE if row.lane == EMERGENCY else TOO_OLD
    if row.lane == EMERGENCY:  # of Meta's window, Meta itself is the better judge
        return None, None
    try:
        return window.tag(row.author, row.last_person_at, now), None
    except window.WindowClosed:
        return None, "window_closed"


def _given_up(row: Any, now: datetime) -> str | None:
    """Why a row that cannot be read never leaves. A reply waits to be mended; a danger that comes after an emergency cannot."""
    at = plausible(row.created_at, now)
    old = at is None or now - at >= _UNREADABLE_FOR
    return UNREADABLE if row.lane == EMERGENCY and old else None


# What an earlier lease, which ran out, left in doubt stays in doubt: the claim alone has noticed it.
_LET_GO: LiteralString = """
    WITH free AS MATERIALIZED (
        SELECT o.id, i.maybe_sent
        FROM unnest($1::bigint[], $2::bigint[], $3::boolean[]) AS i(id, lease, maybe_sent)
        JOIN outbox o ON o.id = i.id AND o.lease = i.lease
        WHERE o.status = 'queued' AND o.lease_until IS NOT NULL FOR UPDATE OF o SKIP LOCKED)
    UPDATE outbox o SET lease_until = NULL, maybe_sent = o.maybe_sent OR free.maybe_sent
    FROM free WHERE o.id = free.id RETURNING o.id
"""


_NOT_READ = (Explained, ValueError, LookupError, TypeError)
_OURS = text("SELECT 1 FROM outbox WHERE id = :id AND lease = :lease AND status = 'queued' FOR UPDATE")


class OutboxStore(Ceiling):
    """The sender's side; keeps the rules of `bot.sender.ports`. `ceiling`: messages a second and account."""

    def __init__(self, database: Database, codec: Codec, listener: Listener, ceiling: int) -> None:
        super().__init__(database, ceiling)
        self._codec = codec
        self._listener = listener
        self._receipts = Receipts(database)

    async def claim(
        self,
        now: datetime,
        limit: int,
        lanes: Sequence[str],
        lease: timedelta,
        account: str | None = None,
        held: Collection[int] = (),
        full: Collection[str] = (),
    ) -> Sequence[OutboxRow]:
        """Lease at most `limit` due rows; rows that may no longer leave are cancelled here."""
        common = [now, list(lanes), list(held), limit, lease]
        async with self._db.plain() as connection:
            if tuple(lanes) == (EMERGENCY,):
                found = await connection.rows(EMERGENCIES, common)
                # Told by who queued them; but for whoever died right after.
                self._db.tell((EMERGENCY_CHANNEL, str(row.conversation_id)) for row in found)
            else:
                found = await connection.rows(REPLIES, [*common, list(full), account])
        found.sort(key=lambda one: (one.priority, one.due_at, one.id))
        try:
            return [one for row in found if (one := await self._judged(row, now)) is not None]
        except BaseException:
            await self._let_go(found)
            raise

    async def _judged(self, row: Any, now: datetime) -> OutboxRow | None:
        """Of a row that was just leased: None where it does not leave now."""
        tag, why = _verdict(row, now)
        try:
            if why is None:
                try:
                    return self._row(row, tag)
                except _NOT_READ as error:
                    # It holds back its own conversation, and no other.
                    log.error("row %d cannot be read: %s", row.id, type(error).__name__)
                    why = _given_up(row, now)
            if why is not None:
                await self._cancel_claimed(row, why, now)
        except (*_NOT_READ, DBAPIError, OSError, TimeoutError) as error:  # the others are leased already, and go on
            log.log(level(error), "row %d is judged again later: %s", row.id, told(error))
        return None

    async def _let_go(self, leased: Sequence[Any]) -> None:
        """Nobody came to know of these leases: no sender need wait for their end, nor for an echo of what was never sent. With
        the database away they must."""
        ids, leases = [row.id for row in leased], [row.lease for row in leased]
        with contextlib.suppress(DBAPIError, OSError, TimeoutError):
            async with self._db.plain() as connection:
                await connection.rows(_LET_GO, [ids, leases, [row.maybe_sent for row in leased]])

    def _row(self, row: Any, tag: str | None) -> OutboxRow:
        message = self._codec.open_json(row.message, _COLUMN, row.conversation_id, row.id)
        return OutboxRow(
            id=row.id,
            lease=str(row.lease),
            lane=row.lane,
            platform=Platform(row.platform),
            account=row.account,
            person=row.person,
            conversation_id=row.conversation_id,
            text=message["text"],
            created_at=row.created_at,
            quick_replies=tuple(QuickReply(t, p) for t, p in message["quick_replies"]),
            author=row.author,
            tag=tag,
            attempts=row.attempts,
            parts_sent=row.parts_sent,
            maybe_sent=row.maybe_sent,
            last_error=row.error_slug,
            priority=row.priority,
            trace=message.get("trace", ""),
            answer=of_stored(message.get("answer")),
            since=message.get("since"),
            links=links_of(message),
        )

    async def _cancel_claimed(self, row: Any, why: str, now: datetime) -> None:
        """Of a row that was just leased: if it is no longer ours, whoever has it judges it."""
        async with self._db.begin() as connection:
            ours = await connection.scalar(_OURS, {"id": row.id, "lease": row.lease})
            if ours:
                await self._cancel(connection, row, why, now)

    async def _cancel(self, connection: AsyncConnection, row: Any, why: str, now: datetime) -> None:
        human = row.author == "agent"
        await connection.execute(
            text("UPDATE outbox SET status = :status, error_slug = :why, error_remedy = :remedy WHERE id = :id"),
            {
                "id": row.id,
                "status": "failed" if human or why in (LATE, UNREADABLE) else "cancelled",
                "why": why,
                "remedy": _remedy(why, human),
            },
        )
        if why == LATE:
            await self._to_an_agent(connection, row.conversation_id, LATE, now)
        elif why == UNREADABLE:
            await self._to_an_agent(connection, row.conversation_id, handoffs.UNSENT, now)
        elif why in ("window_closed", TOO_OLD) and row.author == "bot":
            await handoffs.open_(connection, self._codec, handoffs.NewHandoff(row.conversation_id, "request", why), now)
        await _give_up(connection, [row.id], why, now)
        await notify(connection, CONSOLE, str(row.conversation_id))
        await notify(connection, EMERGENCY_CHANNEL if row.lane == EMERGENCY else OUTBOX_CHANNEL)  # the next one may go

    async def _to_an_agent(self, connection: AsyncConnection, conversation_id: int, why: str, now: datetime) -> None:
        """Whoever was in danger got no answer, and gets none from us: opened, or raised, and it rings; it says so also where the
        danger itself opened it."""
        danger = handoffs.NewHandoff(conversation_id, "emergency", why, old=why == LATE)
        number, _ = await handoffs.open_(connection, self._codec, danger, now)
        if danger.old:
            await handoffs.told_late(connection, number)

    async def _fenced(self, row: OutboxRow, assignments: str, **values: Any) -> bool:
        async with self._db.begin() as connection:
            done = await connection.execute(
                text(
                    f"UPDATE outbox SET {assignments} WHERE id = :id AND lease = :lease AND status = 'queued'"  # noqa: S608
                ),
                {"id": row.id, "lease": int(row.lease), **values},
            )
            return bool(done.rowcount == 1)

    async def renew(self, row: OutboxRow, now: datetime, lease: timedelta) -> bool:
        """Lengthen the lease and judge the row again; False: lost or cancelled, do not send."""
        async with self._db.begin() as connection:
            current = (
                await connection.execute(
                    text("""
                        SELECT o.id, o.lane, o.author, o.owner_version, o.created_at, c.id AS conversation_id,
                               c.last_person_at, c.owner_version AS current_version
                        FROM outbox o JOIN conversations c ON c.id = o.conversation_id
                        WHERE o.id = :id AND o.lease = :lease AND o.status = 'queued' FOR UPDATE OF o
                    """),
                    {"id": row.id, "lease": int(row.lease)},
                )
            ).one_or_none()
            if current is None:
                return False
            _, why = _verdict(current, now)
            if why:
                await self._cancel(connection, current, why, now)
                return False
            await connection.execute(
                text("UPDATE outbox SET lease_until = clock_timestamp() + :lease WHERE id = :id"),
                {"id": row.id, "lease": lease},
            )
            return True

    async def reworded(self, row: OutboxRow) -> bool:
        """`row.text` and `row.answer` are what leaves now: they take the place of what stands there, in the search too."""
        async with self._db.begin() as connection:
            kept = await connection.scalar(
                text("SELECT message FROM outbox WHERE id = :id AND lease = :lease AND status = 'queued' FOR UPDATE"),
                {"id": row.id, "lease": int(row.lease)},
            )
            if kept is None:
                return False
            place = row.conversation_id, row.id
            message = {**self._codec.open_json(kept, _COLUMN, *place), "text": row.text}
            if row.answer is not None:
                message["answer"] = row.answer.stored()
            await connection.execute(
                text("UPDATE outbox SET message = :message WHERE id = :id"),
                {"id": row.id, "message": self._codec.seal_json(message, _COLUMN, *place)},
            )
            said = search.of_outbox(row.id, row.conversation_id, row.created_at, row.author, row.text)
            await search.index(connection, self._codec, [said])
            await notify(connection, CONSOLE, str(row.conversation_id))
            return True

    async def too_old(self, row: OutboxRow, now: datetime) -> bool:
        """An emergency reply that comes a day late stays here: the danger is an agent's, told as an old one."""
        async with self._db.begin() as connection:
            ours = await connection.scalar(_OURS, {"id": row.id, "lease": int(row.lease)})
            if ours:
                await self._cancel(connection, row, LATE, now)
            return bool(ours)

    async def hold(self, rows: Collection[OutboxRow], lease: timedelta) -> None:
        """Lengthen the leases of rows that are being delivered; one that somebody is writing to is left for the next time."""
        async with self._db.begin() as connection:
            await connection.execute(
                text("""
                    WITH free AS MATERIALIZED (
                        SELECT o.id FROM outbox o
                        JOIN unnest(CAST(:ids AS bigint[]), CAST(:leases AS bigint[])) AS i(id, lease) ON o.id = i.id
                        WHERE o.lease = i.lease AND o.status = 'queued' AND o.lease_until IS NOT NULL
                        FOR UPDATE OF o SKIP LOCKED)
                    UPDATE outbox o SET lease_until = clock_timestamp() + :for FROM free WHERE o.id = free.id
                """),
                {"ids": [row.id for row in rows], "leases": [int(row.lease) for row in rows], "for": lease},
            )

    async def part_sent(self, row: OutboxRow, index: int, mid: str) -> bool:
        """Part `index` left as `mid`."""
        kept = await self._fenced(
            row, "parts_sent = :parts, mids = mids || CAST(:mid AS text), maybe_sent = false", parts=index + 1, mid=mid
        )
        if not kept:
            await as_echo(self._db, row, index, mid)
        return kept

    async def sent(self, row: OutboxRow, mid: str, at: datetime) -> bool:
        """The whole row left; the console hears of it."""
        return await self._receipts.write(row, mid, at)

    async def retry(self, row: OutboxRow, at: datetime, error_slug: str, maybe_sent: bool = False) -> bool:
        """Due again at `at`, one attempt more."""
        return await self._fenced(
            row,
            f"due_at = :at, attempts = least(attempts + 1, {ATTEMPTS}), error_slug = :slug, "
            "maybe_sent = maybe_sent OR :maybe, lease_until = NULL",
            at=at,
            slug=error_slug,
            maybe=maybe_sent,
        )

    async def release(self, row: OutboxRow, at: datetime) -> bool:
        """Due again at `at`, no attempt counted."""
        return await self._fenced(
            row, "due_at = :at, maybe_sent = :maybe, lease_until = NULL", at=at, maybe=row.maybe_sent
        )

    async def failed(self, row: OutboxRow, slug: str, remedy: str) -> bool:
        """It never leaves; what it answered moves on."""
        async with self._db.begin() as connection:
            done = await connection.execute(
                text("""
                    UPDATE outbox SET status = 'failed', error_slug = :slug, error_remedy = :remedy, lease_until = NULL
                    WHERE id = :id AND lease = :lease AND status = 'queued'
                """),
                {"id": row.id, "lease": int(row.lease), "slug": slug, "remedy": remedy},
            )
            if done.rowcount != 1:
                return False
            now = await connection.scalar(text("SELECT now()"))
            if row.lane == EMERGENCY:
                await self._to_an_agent(connection, row.conversation_id, handoffs.UNSENT, now)
            await _give_up(connection, [row.id], slug, now)
            await notify(connection, CONSOLE, str(row.conversation_id))
            await notify(connection, OUTBOX_CHANNEL)
            return True

    async def stop_account(self, account: str, slug: str, remedy: str) -> None:
        """Nothing leaves from this account until `resume_account`."""
        async with self._db.begin() as connection:
            await connection.execute(
                text("""
                    INSERT INTO accounts (account, stopped_slug, stopped_remedy, stopped_at)
                    VALUES (:account, :slug, :remedy, now())
                    ON CONFLICT (account) DO UPDATE SET stopped_slug = :slug, stopped_remedy = :remedy,
                        stopped_at = coalesce(accounts.stopped_at, now())
                """),
                {"account": account, "slug": slug, "remedy": remedy},
            )

    async def resume_account(self, account: str) -> None:
        """The account works again."""
        async with self._db.begin() as connection:
            await connection.execute(
                text("""
                    UPDATE accounts SET stopped_slug = NULL, stopped_remedy = NULL, stopped_at = NULL, paused_until = NULL
                    WHERE account = :account
                """),
                {"account": account},
            )
            await notify(connection, OUTBOX_CHANNEL)

    async def stopped_accounts(self) -> dict[str, str]:
        """Account → slug of what stopped it."""
        async with self._db.begin() as connection:
            rows = await connection.execute(
                text("SELECT account, stopped_slug FROM accounts WHERE stopped_at IS NOT NULL")
            )
            return {row.account: row.stopped_slug for row in rows}

    async def pause_account(self, account: str, until: datetime) -> None:
        """No claim of this account before `until`; a longer pause stays, but for one that a wrong clock wrote."""
        async with self._db.begin() as connection:
            await connection.execute(
                text("""
                    INSERT INTO accounts (account, paused_until) VALUES (:account, :until)
                    ON CONFLICT (account) DO UPDATE SET paused_until = greatest(
                        CASE WHEN accounts.paused_until <= CAST(:latest AS timestamptz) THEN accounts.paused_until END, :until)
                """),
                {"account": account, "until": until, "latest": until + stale.PAUSE},
            )

    async def echo_seen(self, outbox_id: int, part: int) -> str | None:
        """The mid of an echo that names this row and part."""
        async with self._db.begin() as connection:
            mid = await connection.scalar(
                text("SELECT echoes ->> CAST(:part AS text) FROM outbox WHERE id = :id"),
                {"id": outbox_id, "part": str(part)},
            )
            return None if mid is None else str(mid)

    async def dangers(self) -> AsyncIterator[int | None]:
        """Conversations in which an emergency reply is queued, as it happens; None: of any, nobody listened for a while."""
        with self._listener.subscribe() as queue:
            while True:
                channel, payload = await queue.get()
                if channel == EMERGENCY_CHANNEL:
                    yield int(payload) if payload.isdecimal() else None

    def hears(self) -> bool:
        """Whether `dangers` would tell at this moment."""
        return self._listener.listening

    async def wait(self, lanes: Sequence[str], timeout: float) -> None:
        """Return when a row of these lanes may be due, or after `timeout` seconds."""
        await self._listener.wait(EMERGENCY_CHANNEL if tuple(lanes) == (EMERGENCY,) else OUTBOX_CHANNEL, timeout)
