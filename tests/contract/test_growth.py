"""What docs/croissance.md counts with: how many rows one message leaves behind, in a real PostgreSQL."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from bot.core.clock import FrozenClock
from bot.core.dialogue import Reply, Understanding
from bot.meta import metadata
from bot.meta.payloads import parse
from bot.store.codec import Codec
from bot.store.conversations import Conversations, Finish, OutgoingReply, Settlement
from bot.store.db import OUTBOX, Database, Listener
from bot.store.inbox import Inbox, InboxRules
from bot.store.outbox import OutboxStore
from bot.store.retention import TABLES
from bot.store.workbench.readings import NewReading
from tests.conftest import of_part

CROISSANCE = Path(__file__).resolve().parents[2] / "docs" / "croissance.md"
PAGE, PERSON, KEY = "104090000000001", "7001", b"k" * 32


async def rows(database: Database) -> Counter[str]:
    """Table → rows, of all tables that hold something of a person."""
    counts = " UNION ALL ".join(f"SELECT '{table}' AS name, count(*) AS n FROM {table}" for table in TABLES)
    async with database.begin() as connection:
        return +Counter({row.name: row.n for row in await connection.execute(text(counts))})


def echo_of(given: str) -> tuple[int, int] | None:
    """The row and part that a signed metadata names."""
    mark = metadata.verify(KEY, given)
    return None if mark is None or mark.outbox_id is None else (mark.outbox_id, mark.part)


async def test_a_message_its_reply_and_what_meta_tells_of_it_leave_the_rows_that_the_page_says(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock
) -> None:
    now = frozen_clock.now()
    rules = InboxRules(frozenset({PAGE}), None, timedelta(0), lambda words: None, lambda *given: None, echo_of)
    inbox, conversations = (
        Inbox(of_part(database, "gateway"), codec, rules),
        Conversations(of_part(database, "worker"), codec),
    )
    outbox = OutboxStore(of_part(database, "sender"), codec, Listener(database_url, (OUTBOX,)), 40)

    async def webhook(sender: str, recipient: str, **what: Any) -> None:
        item = {
            "sender": {"id": sender},
            "recipient": {"id": recipient},
            "timestamp": int(now.timestamp() * 1000),
            **what,
        }
        raw = json.dumps({"object": "page", "entry": [{"id": PAGE, "time": 1, "messaging": [item]}]}).encode()
        await inbox.take(raw, [(event, None) for event in parse(raw, now)], now)

    await webhook(PERSON, PAGE, message={"mid": "m1", "text": "comment porter plainte ?"})
    [one] = await conversations.claim(now, 1, timedelta(seconds=9))
    ids = tuple(event.id for event in one.pending)
    found = Understanding("plainte_comment", 0.9, (("plainte_comment", 0.9),), {}, model="m")
    read = NewReading(ids, now, "comment porter plainte", found, "answer")
    settled = Settlement(ids, "answered", None, 0, "answer", found)
    replies = (OutgoingReply(Reply("Allez au commissariat.")),)
    await conversations.finish(one, Finish(settlements=(settled,), replies=replies, readings=(read,)), now)
    [row] = await outbox.claim(now, 1, ["reply"], timedelta(seconds=9))
    assert await outbox.sent(row, "m2", now)
    ours = await rows(database)
    await webhook(
        PAGE,
        PERSON,
        message={"mid": "m2", "is_echo": True, "text": "Allez", "metadata": metadata.make(KEY, row.id, 0)},
    )
    await webhook(PERSON, PAGE, delivery={"mids": ["m2"], "watermark": 1})
    await webhook(PERSON, PAGE, read={"watermark": int(now.timestamp() * 1000)})
    left = await rows(database)

    assert left == {
        "conversations": 1,
        "deliveries": 4,
        "events": 4,
        "outbox": 1,
        "readings": 1,
        "search_documents": 2,
    }
    page = " ".join(CROISSANCE.read_text(encoding="utf-8").split())
    each = left.total() - left["conversations"]
    assert f"{each} lignes avec sa réponse" in page
    assert f"{each - (left - ours).total()} sans les trois derniers webhooks" in page
