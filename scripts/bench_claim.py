"""How many conversations a second one PostgreSQL hands out and takes back: `python -m scripts.bench_claim`.

So many conversations wait, each with one message. Processes claim 16 at a time, write an answer for each (disposition, outbox,
dialogue state, next due) and give them back, as the worker does, without engine, policy or sender. Prints conversations a
second with 1, 2, … processes, the CPU of PostgreSQL and of the processes for each, and where claims meet one another.

    python -m scripts.bench_claim [--conversations 4000] [--later 0] [--processes 1,2,4]

`--later`: conversations that wait for tomorrow beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from sqlalchemy import text

from bot.core.dialogue import Reply
from bot.core.messages import Message, body_to_json
from bot.store.codec import Codec
from bot.store.conversations import BODY, Conversation, Conversations, Finish, OutgoingReply, Settlement
from bot.store.db import Database
from bot.store.embedded import Embedded

ROOT = Path(__file__).resolve().parents[1]
LEASE = timedelta(seconds=30)
AT_ONCE = 16
KEY = base64.b64encode(bytes(range(32))).decode()
FILL = (
    """INSERT INTO conversations (platform, account, person, created_at, last_person_at, due_at, due_priority)
        SELECT 'messenger', 'p', :prefix || n, now(), now(), :due, 4 FROM generate_series(1, :n) AS n""",
    """INSERT INTO events (conversation_id, platform, account, key, kind, channel, mid, at, received_at, body)
        SELECT c.id, 'messenger', 'p', 'e' || c.id, 'text', 'messaging', 'e' || c.id, now(), now(), :body
        FROM conversations c WHERE c.person LIKE :prefix || '%'""",
)


async def work(url: str) -> int:
    """Claim and give back until nothing is due; how many."""
    database, done = Database(url, size=12, name="bench-claim"), 0
    conversations = Conversations(database, Codec(KEY))

    async def answer(one: Conversation, now: datetime) -> None:
        settled = Settlement(tuple(event.id for event in one.pending), "answered", reply=0, route="answer")
        replies = (OutgoingReply(Reply("Voici comment porter plainte.")),)
        await conversations.finish(one, Finish(settlements=(settled,), replies=replies, state={"turns": 1}), now)

    while claimed := await conversations.claim(now := datetime.now(UTC), AT_ONCE, LEASE):
        await asyncio.gather(*(answer(one, now) for one in claimed))
        done += len(claimed)
    await database.close()
    return done


async def fill(url: str, n: int, later: int) -> None:
    """An empty database with `n` conversations that are due and `later` that are not."""
    database, codec = Database(url, size=1), Codec(KEY)
    body = codec.seal_json(body_to_json(Message("Bonjour, comment porter plainte pour un vol de vélo ?")), BODY)
    async with database.begin() as connection:
        await connection.execute(text("TRUNCATE conversations CASCADE"))
        for prefix, count, due in (("now", n, -1), ("later", later, 12)):
            for statement in FILL:
                values = {"prefix": prefix, "n": count, "due": datetime.now(UTC) + timedelta(hours=due), "body": body}
                await connection.execute(text(statement), {k: v for k, v in values.items() if f":{k}" in statement})
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))
    await database.close()


def cpu(server: psutil.Process) -> float:
    """Seconds that PostgreSQL has used: those of its processes that have ended are counted with the postmaster's."""
    own = server.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for one in server.children(recursive=True):
        with contextlib.suppress(psutil.Error):
            times = one.cpu_times()
            total += times.user + times.system
    return float(total)


def run(url: str, server: psutil.Process, processes: int, n: int) -> str:
    """One line of the table."""
    words = [sys.executable, "-m", "scripts.bench_claim", "_work", url]
    started = [
        subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(processes)
    ]
    for one in started:
        assert one.stdout is not None
        one.stdout.readline()  # it is ready
    before, start = cpu(server), time.monotonic()
    for one in started:
        assert one.stdin is not None
        one.stdin.write(b"\n")
        one.stdin.flush()
    said = [json.loads(one.communicate()[0]) for one in started]
    took, spent = max(one["seconds"] for one in said), cpu(server) - before
    assert sum(one["done"] for one in said) == n, said
    assert time.monotonic() - start >= took
    ours = sum(one["cpu"] for one in said)
    return f"{processes:>9}{n / took:>12.0f}{1000 * ours / n:>12.2f}{1000 * spent / n:>16.2f}"


def _work(url: str) -> int:
    print("ready", flush=True)
    sys.stdin.readline()
    start, used = time.monotonic(), time.process_time()
    done = asyncio.run(work(url))
    outcome = {"done": done, "cpu": time.process_time() - used, "seconds": time.monotonic() - start}
    print(json.dumps(outcome), flush=True)
    return 0


def main(words: Sequence[str]) -> int:
    """Read the options and run."""
    if words[:1] == ["_work"]:
        return _work(words[1])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=4000)
    parser.add_argument("--later", type=int, default=0)
    parser.add_argument("--processes", default="1,2,4")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="planton-claim-") as var, Embedded(Path(var)) as server:
        database = Database(server.url, size=1)
        asyncio.run(_migrate(database))
        assert server.pid is not None
        print(f"{'processes':>9}{'a second':>12}{'ms, worker':>12}{'ms, PostgreSQL':>16}")
        for processes in map(int, options.processes.split(",")):
            asyncio.run(fill(server.url, options.conversations, options.later))
            print(run(server.url, psutil.Process(server.pid), processes, options.conversations), flush=True)
    return 0


async def _migrate(database: Database) -> None:
    await database.migrate()
    await database.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
