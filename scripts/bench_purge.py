"""How fast the purge erases, and what a running claim loop feels of it: `python -m scripts.bench_purge [conversations]`.

A database of its own, made and thrown away; ten messages and four replies a conversation. Prints one table.
"""

from __future__ import annotations

import asyncio
import base64
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import text

from bot.core.messages import Message, body_to_json
from bot.policy.retention import DEFAULT
from bot.store.codec import Codec
from bot.store.conversations import BODY, Conversations, Finish, Settlement
from bot.store.db import Database
from bot.store.embedded import Embedded
from bot.store.purge import Origin, Purge, Report
from bot.store.volumes import RollUp
from bot.store.workbench.drift import Drift

OLD = timedelta(days=400)
LIVE = 400  # conversations that the claim loop works on
LOOP = 0.01  # seconds between two claims

FILL = (
    """INSERT INTO conversations (platform, account, person, created_at, last_person_at)
        SELECT 'messenger', '1', :prefix || n, :at, :at FROM generate_series(1, :n) AS n""",
    """INSERT INTO deliveries (received_at, raw) SELECT :at, :raw FROM generate_series(1, :n * 10)""",
    """INSERT INTO events (delivery_id, conversation_id, platform, account, key, kind, channel, mid, at, received_at, body,
            disposition, settled_at, intent, route)
        SELECT (row_number() OVER ()) + :offset, c.id, 'messenger', '1', :prefix || c.id || '-' || k, 'text', 'messaging',
            c.id || '-' || k, CAST(:at AS timestamptz) + k * interval '1 minute',
            CAST(:at AS timestamptz) + k * interval '1 minute',
            :body, 'answered', :at, 'plainte_comment', 'answer'
        FROM conversations c, generate_series(1, 10) AS k WHERE c.person LIKE :prefix || '%'""",
    """INSERT INTO outbox (conversation_id, lane, author, message, status, created_at, due_at, sent_at)
        SELECT c.id, 'reply', 'bot', :body, 'sent', :at, :at, :at
        FROM conversations c, generate_series(1, 4) AS k WHERE c.person LIKE :prefix || '%'""",
    """INSERT INTO search_documents (kind, ref, conversation_id, at, tokens)
        SELECT 'event', e.id, e.conversation_id, e.at,
            ARRAY(SELECT (e.id * 7919 + k * 104729) % 20011 FROM generate_series(1, 8) k)
        FROM events e JOIN conversations c ON c.id = e.conversation_id WHERE c.person LIKE :prefix || '%'""",
    """INSERT INTO handoffs (conversation_id, category, priority, reason, opened_at, raised_at, closed_at, outcome, platform,
            due_at)
        SELECT id, CASE WHEN id % 4 = 0 THEN 'complaint' ELSE 'request' END, 4, 'parler_humain', :at, :at, :at, 'answered',
            'messenger', :at FROM conversations WHERE person LIKE :prefix || '%' AND id % 2 = 0""",
)


async def fill(database: Database, codec: Codec, prefix: str, n: int, at: datetime) -> None:
    async with database.begin() as connection:
        offset = await connection.scalar(text("SELECT coalesce(max(id), 0) FROM deliveries"))
        body = codec.seal_json(body_to_json(Message("Bonjour, je voudrais porter plainte. " * 3)), BODY)
        raw = codec.seal(b"{}" * 300, "deliveries.raw")
        given = {"prefix": prefix, "n": n, "at": at, "body": body, "raw": raw, "offset": offset}
        for statement in FILL:
            used = {name: value for name, value in given.items() if f":{name}" in statement}
            await connection.execute(text(statement), used)
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))


async def claim_loop(database: Database, codec: Codec, stop: asyncio.Event) -> list[float]:
    """One person writes, is claimed and settled, again and again; milliseconds of each turn's two transactions."""
    conversations, took = Conversations(database, codec), []
    body = codec.seal_json(body_to_json(Message("Bonjour")), BODY)
    n = 0
    while not stop.is_set():
        n += 1
        now = datetime.now(UTC)
        async with database.begin() as connection:
            await connection.execute(
                text("""
                    WITH c AS (UPDATE conversations SET due_at = :now, wake = wake + 1
                        WHERE person = 'live' || :who RETURNING id)
                    INSERT INTO events (conversation_id, platform, account, key, kind, channel, at, received_at, body)
                    SELECT id, 'messenger', '1', 'live-' || :n, 'text', 'messaging', :now, :now, :body FROM c
                """),
                {"now": now, "who": n % LIVE + 1, "n": str(time.time_ns()), "body": body},
            )
        began = time.perf_counter()
        for one in await conversations.claim(now, 8, timedelta(seconds=30)):
            done = Settlement(tuple(event.id for event in one.pending), "ignored", "bench")
            await conversations.finish(one, Finish(settlements=(done,)), now)
        took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(LOOP)
    return took


async def looped(database: Database, codec: Codec, seconds: float) -> list[float]:
    stop = asyncio.Event()
    loop = asyncio.create_task(claim_loop(database, codec, stop))
    await asyncio.sleep(seconds)
    stop.set()
    return await loop


async def measure(url: str, n: int) -> None:
    codec = Codec(base64.b64encode(os.urandom(32)).decode())
    database, other = Database(url, size=4, name="bench"), Database(url, size=4, name="bench-purge")
    await database.migrate()
    counting = (RollUp(database), Drift(database, ZoneInfo("Europe/Paris")))
    now = datetime.now(UTC)
    await fill(database, codec, "live", LIVE, now)
    await fill(database, codec, "a", n, now - OLD)
    for one in counting:
        await one.catch_up(now)
    quiet = await looped(database, codec, 8)
    fast = await Purge(other, codec, DEFAULT, counting, share=0).run(now, Origin("command"))
    say("sans pause", fast)
    await fill(database, codec, "b", n // 4, now - OLD)
    stop = asyncio.Event()
    loop = asyncio.create_task(claim_loop(database, codec, stop))
    began = time.monotonic()
    nightly = await Purge(other, codec, DEFAULT, counting).run(now, Origin("nightly"))
    elapsed = time.monotonic() - began
    stop.set()
    busy = await loop
    say("comme la nuit, pauses comprises", nightly, elapsed)
    for name, took in (("seul", quiet), ("pendant la purge de nuit", busy)):
        cuts = statistics.quantiles(took, n=100)
        print(
            f"tour de worker {name} : {len(took)} tours, médiane {cuts[49]:.1f} ms, p95 {cuts[94]:.1f} ms, p99 {cuts[98]:.1f} ms"
        )
    await database.close()
    await other.close()


def say(name: str, report: Report, elapsed: float | None = None) -> None:
    seconds = elapsed or report.seconds
    print(
        f"purge {name} : {sum(report.people.values())} conversations, {report.rows} lignes en {seconds:.1f} s, "
        f"{report.rows / seconds:.0f} lignes/s, {report.batches} lots, le plus long {report.slowest * 1000:.0f} ms"
    )


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder, Embedded(Path(folder)) as server:
        asyncio.run(measure(server.url, n))


if __name__ == "__main__":
    main()
