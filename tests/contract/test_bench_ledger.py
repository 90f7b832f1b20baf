"""What the benchmarks read in Planton's database: whom a reply overtook, whose silence is meant, who was told to wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from bot.meta import metadata
from bot.store import overload
from scripts.benchmark.accounting import Fate, account
from scripts.benchmark.ledger import ROW, SILENT, Ledger

NOW = datetime(2026, 1, 15, 11, 0, tzinfo=UTC)
KEY = b"key"


class Desk:
    """Writes what a turn, the gateway and the sender would have written."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.later = 0

    def _add(self, query: str, *values: object) -> int:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(query, values).fetchone()  # type: ignore[call-overload]
        assert row is not None
        return int(row[0])

    def person(self, person: str) -> int:
        return self._add(
            "INSERT INTO conversations (platform, account, person) VALUES ('messenger', '1', %s) RETURNING id", person
        )

    def row(
        self,
        conversation: int,
        lane: str = "reply",
        author: str = "bot",
        status: str = "sent",
        dedup: str | None = None,
    ) -> int:
        self.later += 1
        at = NOW + timedelta(seconds=self.later)
        return self._add(
            """INSERT INTO outbox (conversation_id, account, lane, author, message, status, created_at, due_at, dedup)
               VALUES (%s, '1', %s, %s, '', %s, %s, %s, %s) RETURNING id""",
            *(conversation, lane, author, status, at, at, dedup),
        )

    def event(self, conversation: int, person: str, number: int, disposition: str, row: int | None) -> None:
        self._add(
            """INSERT INTO events (conversation_id, platform, account, key, kind, channel, mid, at, received_at, body,
                   disposition, outbox_id)
               VALUES (%s, 'messenger', '1', %s, 'text', 'messaging', %s, %s, %s, '', %s, %s) RETURNING id""",
            *(conversation, f"{person}-{number}", f"m_{person}_{number}", NOW, NOW, disposition, row),
        )


@pytest.fixture
def desk(database_url: str) -> Desk:
    return Desk(database_url)


def mark(row: int) -> str:
    return metadata.make(KEY, row)


DOOR = metadata.make_ref(KEY, metadata.unrowed_ref("m_90010001_1"))


@pytest.mark.parametrize(
    ("before", "wrong"),
    [("emergency", 0), ("door", 0), ("reply", 1)],
    ids=["the emergency lane's", "sent without the database", "an ordinary one"],
)
def test_only_two_ordinary_replies_at_once_are_out_of_order(desk: Desk, before: str, wrong: int) -> None:
    """A person's first message is answered while the reply to the second, begun before, is on its way."""
    person = "90010001"
    conversation = desk.person(person)
    first = desk.row(conversation)
    desk.event(conversation, person, 0, "answered", first)
    if before == "door":
        other = DOOR
        desk.event(conversation, person, 1, "emergency", None)
    else:
        row = desk.row(conversation, lane=before, author="emergency" if before == "emergency" else "bot")
        other = mark(row)
        desk.event(conversation, person, 1, "emergency" if before == "emergency" else "answered", row)
    ledger = Ledger(desk.url)
    sent = [(person, mark(first), "", 1.2, [other]), (person, other, "", 1.3, [])]
    found = account([(person, 0), (person, 1)], ledger.fates("9001"), ledger.arrivals("9001", sent))
    assert (found.lost, found.doubled, found.disordered) == (0, 0, wrong)


@pytest.mark.parametrize("disposition", [*SILENT, "answered", "failed"])
def test_only_a_meant_silence_is_no_loss(desk: Desk, disposition: str) -> None:
    conversation = desk.person("90010001")
    desk.event(conversation, "90010001", 0, disposition, desk.row(conversation, status="cancelled"))
    fates = Ledger(desk.url).fates("9001")
    silent = disposition in SILENT
    assert fates == {("90010001", 0): Fate(silent=silent, why=disposition)}
    found = account(fates, fates, [])
    assert (found.lost, found.silent, dict(found.silences)) == (not silent, silent, {disposition: 1} if silent else {})


def test_a_reply_is_told_by_its_row(desk: Desk) -> None:
    conversation = desk.person("90010001")
    row = desk.row(conversation)
    desk.event(conversation, "90010001", 0, "answered", row)
    assert Ledger(desk.url).fates("9001") == {("90010001", 0): Fate(row * ROW)}


def test_who_was_told_to_wait_is_counted_and_who_was_told_twice(desk: Desk) -> None:
    once, twice, never, others = (desk.person(person) for person in ("90010001", "90010002", "90020001", "80000001"))
    for conversation, wait, status in (
        (once, "a", "sent"),
        (once, "b", "cancelled"),  # the answer overtook it
        (twice, "a", "sent"),
        (twice, "b", "sent"),
        (never, "a", "queued"),
        (others, "a", "sent"),
    ):
        desk.row(conversation, author="system", status=status, dedup=f"{overload.NAME}{wait}")
    desk.row(never, author="system")  # another notice: the engine is away
    ledger = Ledger(desk.url)
    assert ledger.told("9001", "9002") == (2, 1)
    assert ledger.told("9002") == (0, 0)
