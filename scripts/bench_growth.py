"""What the common operations cost as the database grows: `python -m scripts.bench_growth [--to 1000000] [--only 1] [--write]`.

Four series, each in a database of its own that is made and thrown away: conversations, messages in one conversation,
conversations that wait for the morning, open hand-offs. The median of some thirty runs of each operation, one at a time, on the
store's own functions (no HTTP, no engine). `--write` puts the tables into docs/croissance.md.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import text

from bot.core.dialogue import Reply
from bot.core.messages import Message, Platform, body_to_json
from bot.meta.payloads import parse
from bot.policy import search
from bot.store import search as found
from bot.store.accounts import Accounts
from bot.store.codec import Codec
from bot.store.conversations import BODY, Conversations, Finish, OutgoingReply, Settlement
from bot.store.db import DUE, EMERGENCY, OUTBOX, Database, Listener
from bot.store.desk.access import Desk
from bot.store.desk.queue import ALL, QueueStore, Wanted
from bot.store.desk.search import Filters, SearchStore
from bot.store.desk.thread import ThreadStore
from bot.store.embedded import Embedded
from bot.store.inbox import Inbox, InboxRules
from bot.store.outbox import OutboxStore
from bot.store.receipts import GAP
from bot.store.user import User
from scripts.marks import around

PAGE, RUNS = "100200300", 31
OPERATIONS = {
    "store": "recevoir un message (webhook, engagé)",
    "turn": "tour de worker (réclamer, répondre)",
    "send": "envoi (réclamer, noter l’envoi)",
    "queue": "première page de la file",
    "thread": "page d’une conversation",
    "rare": "chercher un mot rare",
    "common": "chercher un mot fréquent",
}
MARKS = "<!-- mesures -->", "<!-- fin des mesures -->"
PAGE_MD = Path(__file__).resolve().parents[1] / "docs" / "croissance.md"

# The tokens of who wrote and when, for an hour since 1970.
AUTHOR, HOUR, DAY, MONTH = found.facets(datetime.fromtimestamp(0, UTC), "person")
WHEN = f"ARRAY[{AUTHOR}, {HOUR} + h, {DAY} + h / 24, {MONTH} + h / 24 / {found.DAYS_A_MONTH}]"
# A finished past: two messages and an answer a conversation, found again by a search.
PAST = (
    """INSERT INTO conversations (platform, account, person, created_at, last_person_at, introduced_at)
        SELECT 'messenger', :page, :prefix || n, :at, :at, :at FROM generate_series(1, :n) AS n""",
    """INSERT INTO outbox (conversation_id, lane, author, message, status, created_at, due_at, sent_at, parts_sent)
        SELECT id, 'reply', 'bot', :message, 'sent', :at, :at, :at, 1 FROM conversations WHERE person LIKE :prefix || '%'""",
    """INSERT INTO events (conversation_id, platform, account, key, kind, channel, mid, at, received_at, body,
            disposition, settled_at, intent, route)
        SELECT c.id, 'messenger', :page, c.id || '-' || k, 'text', 'messaging', c.id || '-' || k,
            CAST(:at AS timestamptz) - c.id * interval '1 second', CAST(:at AS timestamptz) - c.id * interval '1 second', :body,
            'answered', :at, 'plainte_comment', 'answer'
        FROM conversations c, generate_series(1, 2) AS k WHERE c.person LIKE :prefix || '%'""",
    f"""INSERT INTO search_documents (kind, ref, conversation_id, at, tokens)
        SELECT 'event', e.id, e.conversation_id, e.at, CAST(:common AS bigint[]) || CASE WHEN e.id % 20000 = 7
            THEN CAST(:rare AS bigint[]) ELSE ARRAY[e.id % 20011, (e.id * 7919) % 20011] END || {WHEN}
        FROM events e JOIN conversations c ON c.id = e.conversation_id,
            CAST(floor(extract(epoch FROM e.at) / 3600) AS bigint) AS f(h)
        WHERE c.person LIKE :prefix || '%'""",
)
LONG = (
    """INSERT INTO conversations (platform, account, person, created_at, last_person_at, introduced_at)
        SELECT 'messenger', :page, :prefix, :at, :at, :at ON CONFLICT DO NOTHING""",
    """INSERT INTO events (conversation_id, platform, account, key, kind, channel, mid, at, received_at, body,
            disposition, settled_at, intent, route)
        SELECT c.id, 'messenger', :page, gen_random_uuid(), 'text', 'messaging', gen_random_uuid(),
            CAST(:at AS timestamptz) - k * interval '1 second', CAST(:at AS timestamptz) - k * interval '1 second', :body,
            'answered', :at, 'plainte_comment', 'answer'
        FROM conversations c, generate_series(1, :n) AS k WHERE c.person = :prefix""",
    """INSERT INTO outbox (conversation_id, lane, author, message, status, created_at, due_at, sent_at, parts_sent)
        SELECT c.id, 'reply', 'bot', :message, 'sent', CAST(:at AS timestamptz) - k * interval '1 second', :at, :at, 1
        FROM conversations c, generate_series(1, :n) AS k WHERE c.person = :prefix""",
)
WAITING = (
    """INSERT INTO conversations (platform, account, person, created_at, last_person_at, due_at, due_priority)
        SELECT 'messenger', :page, :prefix || n, :at, :at, CAST(:at AS timestamptz) + interval '6 hours', 7
        FROM generate_series(1, :n) AS n""",
    """INSERT INTO events (conversation_id, platform, account, key, kind, channel, mid, at, received_at, body, waiting)
        SELECT c.id, 'messenger', :page, 'w' || c.id, 'text', 'messaging', 'w' || c.id, :at, :at, :body, 'night'
        FROM conversations c WHERE c.person LIKE :prefix || '%'""",
)
OPEN = (
    """INSERT INTO conversations (platform, account, person, created_at, last_person_at, owner, category)
        SELECT 'messenger', :page, :prefix || n, :at, :at, 'waiting', 'request' FROM generate_series(1, :n) AS n""",
    """INSERT INTO events (conversation_id, platform, account, key, kind, channel, mid, at, received_at, body,
            disposition, settled_at, intent, route)
        SELECT c.id, 'messenger', :page, 'o' || c.id, 'text', 'messaging', 'o' || c.id, :at, :at, :body, 'handed_off', :at,
            'parler_humain', 'handoff' FROM conversations c WHERE c.person LIKE :prefix || '%'""",
    """INSERT INTO handoffs (conversation_id, category, priority, reason, opened_at, raised_at, platform, due_at)
        SELECT id, 'request', 4, 'parler_humain', :at, :at, 'messenger', CAST(:at AS timestamptz) + interval '1 hour'
        FROM conversations WHERE person LIKE :prefix || '%'""",
)


@dataclass
class Bench:
    """One database, and what is done in it. `person`: who writes, each time another unless a series sets it."""

    database: Database
    codec: Codec
    user: User
    listener: Listener
    person: str | None = None
    number: int = 0
    filled: int = 0
    seen: list[int] = field(default_factory=list)  # conversations, newest last

    def __post_init__(self) -> None:
        rules = InboxRules(
            frozenset({PAGE}), None, timedelta(0), lambda words: None, lambda *given: None, lambda mark: None
        )
        self.inbox = Inbox(self.database, self.codec, rules)
        self.conversations = Conversations(self.database, self.codec)
        self.outbox = OutboxStore(self.database, self.codec, self.listener, 1_000_000)
        desk = Desk(self.database, self.codec, {})
        self.queue, self.threads = QueueStore(desk), ThreadStore(desk)
        self.search = SearchStore(desk, ZoneInfo("Europe/Paris"))

    async def fill(self, statements: Sequence[str], n: int) -> None:
        """Bring a series to `n`."""
        body = self.codec.seal_json(body_to_json(Message("Bonjour, je voudrais porter plainte. " * 3)), BODY)
        past = datetime.now(UTC) - timedelta(hours=1)
        message = self.codec.seal_json({"text": "Voici comment porter plainte.", "quick_replies": []}, "outbox.message")
        given = {
            "page": PAGE,
            "prefix": self.person or f"f{n}-",
            "n": n - self.filled,
            "at": past,
            "body": body,
            "message": message,
            "common": self._tokens("plainte"),
            "rare": self._tokens("introuvable"),
        }
        async with self.database.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement), {k: v for k, v in given.items() if f":{k}" in statement})
        async with self.database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("VACUUM ANALYZE"))
        self.filled = n

    def _tokens(self, word: str) -> list[int]:
        return [found.fingerprint(self.codec, stem) for stem in sorted(search.stems(word))]

    # -- operations ----------------------------------------------------------------------------------------------

    async def store(self) -> None:
        """A webhook with one message."""
        self.number += 1
        now = datetime.now(UTC)
        person = self.person or f"9{self.number:09d}"
        raw = (
            f'{{"object":"page","entry":[{{"id":"{PAGE}","time":1,"messaging":[{{"sender":{{"id":"{person}"}},"recipient":'
            f'{{"id":"{PAGE}"}},"timestamp":{int(now.timestamp() * 1000)},"message":{{"mid":"m{self.number}","text":'
            f'"comment porter plainte ?"}}}}]}}]}}'
        ).encode()
        await self.inbox.take(raw, [(event, None) for event in parse(raw, now)], now)

    async def turn(self) -> None:
        """What is due is claimed and answered."""
        now = datetime.now(UTC)
        [one] = await self.conversations.claim(now, 1, timedelta(seconds=30))
        assert one.platform is Platform.MESSENGER
        settled = Settlement(tuple(event.id for event in one.pending), "answered", reply=0, route="answer")
        replies = (OutgoingReply(Reply("Voici comment porter plainte.")),)
        await self.conversations.finish(one, Finish(settlements=(settled,), replies=replies, state={"turns": 1}), now)
        self.seen.append(one.id)

    async def send(self) -> None:
        """The reply is claimed and noted as sent."""
        now = datetime.now(UTC)
        [row] = await self.outbox.claim(now, 1, ["reply"], timedelta(seconds=30))
        assert await self.outbox.sent(row, f"mid{row.id}", now)

    async def look_at_queue(self) -> None:
        """The agents' first page."""
        await self.queue.page(self.user, Wanted(ALL), datetime.now(UTC))

    async def look_at_thread(self) -> None:
        """The page of the conversation that was answered last."""
        await self.threads.thread(self.user, self.seen[-1], datetime.now(UTC))

    async def find(self, words: str) -> None:
        """A search."""
        await self.search.find(self.user, search.parse(words), Filters(), datetime.now(UTC))


async def measured(bench: Bench) -> dict[str, float]:
    """Operation → median, in milliseconds."""
    took: dict[str, list[float]] = {name: [] for name in OPERATIONS}

    async def timed(name: str, work: Callable[[], Awaitable[None]]) -> None:
        start = time.perf_counter()
        await work()
        took[name].append((time.perf_counter() - start) * 1000)

    for _ in range(RUNS):
        await timed("store", bench.store)
        await timed("turn", bench.turn)
        await asyncio.sleep(GAP)  # a send that follows another closely waits for company; how long is no cost
        await timed("send", bench.send)
        await timed("queue", bench.look_at_queue)
        await timed("thread", bench.look_at_thread)
        await timed("rare", lambda: bench.find("introuvable"))
        await timed("common", lambda: bench.find("plainte"))
    return {name: statistics.median(values) for name, values in took.items()}


async def series(url: str, name: str, statements: Sequence[str], sizes: Sequence[int], person: str | None) -> str:
    """A Markdown table of one series."""
    print(f"{name}…", flush=True)
    codec = Codec(base64.b64encode(os.urandom(32)).decode())
    database, listener = Database(url, size=4, name="bench"), Listener(url, (DUE, OUTBOX, EMERGENCY))
    await database.migrate()
    await Accounts(database, "mesure").add("mesure", "agent", None)
    async with database.begin() as connection:
        number = await connection.scalar(text("SELECT id FROM users WHERE name = 'mesure'"))
    bench = Bench(database, codec, User(int(number or 0), "mesure", "agent"), listener, person)
    columns: list[dict[str, float]] = []
    try:
        for size in sizes:
            await bench.fill(statements, size)
            columns.append(await measured(bench))
            print(f"  {size:>9,}  " + "  ".join(f"{k} {v:.1f}" for k, v in columns[-1].items()), flush=True)
    finally:
        await database.close()
    return table(name, sizes, columns)


def table(name: str, sizes: Sequence[int], columns: Sequence[dict[str, float]]) -> str:
    """One line an operation: milliseconds by size, and how much the largest costs beside the smallest."""
    head = [name, *(french(size) for size in sizes), "rapport"]
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(sizes) + 1)]
    for operation, words in OPERATIONS.items():
        values = [column[operation] for column in columns]
        cells = [f"{value:.1f}".replace(".", ",") for value in values]
        lines.append(f"| {words} | " + " | ".join(cells) + f" | × {values[-1] / values[0]:.1f} |".replace(".", ","))
    return "\n".join(lines) + "\n"


def french(number: int) -> str:
    """1 000 000, with no-break spaces."""
    return f"{number:,}".replace(",", "\u202f")


async def run(most: int, only: int | None = None) -> list[str]:
    """The table of each series, or of that one (from 1)."""
    small = tuple(n for n in (100, 1_000, 10_000, 100_000) if n <= most)
    plan = (
        ("conversations en base", PAST, tuple(n for n in (1_000, 10_000, 100_000, 1_000_000) if n <= most), None),
        ("messages dans une conversation", LONG, tuple(n for n in (10, 100, 1_000, 10_000) if n <= most), "long"),
        ("conversations qui attendent le matin", WAITING, small, None),
        ("prises en charge ouvertes", OPEN, small, None),
    )
    tables = []
    for name, statements, sizes, person in plan if only is None else plan[only - 1 : only]:
        with tempfile.TemporaryDirectory() as folder, Embedded(Path(folder)) as server:
            tables.append(await series(server.url, name, statements, sizes, person))
    return tables


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=int, default=1_000_000, help="the largest size of the first series")
    parser.add_argument("--only", type=int, choices=range(1, 5), help="one of the four series")
    parser.add_argument("--write", action="store_true", help="into docs/croissance.md")
    options = parser.parse_args()
    tables = asyncio.run(run(options.to, options.only))
    print("\n".join(tables))
    if options.write:
        before, old, after = around(PAGE_MD.read_text(encoding="utf-8"), *MARKS)
        if options.only is not None:
            kept = [f"{one.strip()}\n" for one in old.strip().split("\n\n")]
            kept[options.only - 1 : options.only] = tables
            tables = kept
        PAGE_MD.write_text(before + "\n" + "\n".join(tables) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
