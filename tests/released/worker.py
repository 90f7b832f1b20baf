"""Run by the code of a released version (`test_migrations.py`): its worker, with its scripted engine, until it is told to end."""

from __future__ import annotations

import asyncio
import signal
import sys
from datetime import datetime, timedelta, timezone

from bot.app import policy as policies
from bot.core.clock import SystemClock
from bot.settings import Settings
from bot.store.codec import Codec
from bot.store.conversations import Conversations
from bot.store.db import DUE, Database, Listener
from bot.worker.turn import TurnRules, TurnTaker
from bot.worker.worker import Worker, WorkerDeps
from tests.fakes.engine import ScriptedEngine


async def main(url: str, key: str, at: str) -> None:
    """Says `ready`, then works; at SIGTERM, says how many messages it had understood."""
    clock = SystemClock(datetime.fromisoformat(at) - datetime.now(timezone.utc))
    policy = policies.build(Settings({}))
    engine = ScriptedEngine(lambda: clock.now().timestamp())
    engine.slow = 0.3  # the other one has time to take the next
    database, listener = Database(url, size=4, name="released"), Listener(url, (DUE,))
    listener.start()
    conversations = Conversations(database, Codec(key))
    rules = TurnRules(
        policy.night, policy.desk, timedelta(0), policy.texts, policy.detect, policy.plan, None, policy.facts
    )
    worker = Worker(
        WorkerDeps(conversations, TurnTaker(conversations, engine, clock, rules), listener, clock, parallel=1)
    )
    running = asyncio.create_task(worker.run())
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print("ready", flush=True)
    await ended.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await listener.close()
    await database.close()
    print(len(engine.calls), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
