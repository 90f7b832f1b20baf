"""Planton in one process: gateway over HTTP, real PostgreSQL, worker and sender, a scripted engine and Graph API."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from bot.app import policy as policies
from bot.app.measured import MeasuredConversations, MeasuredTurns
from bot.app.wiring import planned, serve
from bot.app.words import EmergencyTexts
from bot.core.clock import SystemClock
from bot.dialogue.texts import load_buttons
from bot.gateway.app import create_gateway
from bot.gateway.ports import GatewayDeps
from bot.meta import direct, metadata
from bot.meta.signature import HEADER, sign
from bot.policy.patience import Patience
from bot.policy.scripts import SCRIPTS
from bot.sandbox.graph import GraphAccount
from bot.sender.deps import SenderAccount, SenderDeps, Timing
from bot.sender.service import Sender
from bot.settings import Settings
from bot.store.codec import Codec
from bot.store.conversations import Conversations
from bot.store.db import DUE, EMERGENCY, OUTBOX, Database, Listener
from bot.store.inbox import Inbox, InboxRules
from bot.store.outbox import OutboxStore
from bot.store.site import SiteLook
from bot.watch import measures
from bot.watch.engine import MeasuredEngine
from bot.watch.site import SiteMetrics
from bot.watch.worker import WorkerMetrics
from bot.worker.turn import TurnRules
from bot.worker.worker import Worker, WorkerDeps
from tests.conftest import as_part, close_parts
from tests.fakes.engine import ScriptedEngine
from tests.fakes.graph import IG, PAGE, SECRET, TOKEN, ScriptedGraph
from tests.fakes.ports import free_port

DAY = datetime(2026, 1, 15, 9, 0, 30, tzinfo=timezone.utc)  # 10:00:30 in Paris, when the payloads were written
KEY = b"key-of-tests"
PAYLOADS = Path(__file__).parents[1] / "payloads"


@dataclass
class System:
    """The running system. `say` posts a text; `settled` waits until nothing is in flight."""

    database: Database
    codec: Codec
    graph: ScriptedGraph
    engine: ScriptedEngine
    clock: SystemClock
    url: str
    session: aiohttp.ClientSession
    inbox: Inbox
    worker: Worker
    conversations: Conversations
    sender_url: str
    debounce: timedelta
    registry: CollectorRegistry  # the worker's
    texts: Mapping[str, str]  # of the model in service
    _count: int = 0
    deliveries: list[bytes] = field(default_factory=list)

    def scripted(self, reply: str) -> bool:
        """Whether a reply holds an emergency's whole words, whomever they speak to."""
        return any(self.texts[one.reply] in reply for one in SCRIPTS.values())

    async def post(self, body: Any, signed: str = SECRET) -> int:
        """Post a webhook body (JSON value or bytes), signed; returns the status."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.deliveries.append(raw)
        async with self.session.post(self.url, data=raw, headers={HEADER: sign(signed, raw)}) as response:
            return response.status

    async def payload(self, name: str) -> int:
        """Post a stored payload."""
        return await self.post((PAYLOADS / f"{name}.json").read_bytes())

    def message(
        self, person: str, words: str | None, at: datetime | None = None, mid: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """One messaging item."""
        self._count += 1
        message: dict[str, Any] = {"mid": mid or f"m_{self._count}", **more}
        if words is not None:
            message["text"] = words
        moment = at or self.clock.now()
        return {
            "sender": {"id": person},
            "recipient": {"id": PAGE},
            "timestamp": int(moment.timestamp() * 1000),
            "message": message,
        }

    def body(self, *items: dict[str, Any], channel: str = "messaging", instagram: bool = False) -> dict[str, Any]:
        """A webhook with these items."""
        account = IG if instagram else PAGE
        for item in items:
            if instagram and item.get("recipient", {}).get("id") == PAGE:
                item["recipient"] = {"id": IG}
        entry = {"id": account, "time": int(self.clock.now().timestamp() * 1000), channel: list(items)}
        return {"object": "instagram" if instagram else "page", "entry": [entry]}

    async def say(self, person: str, words: str, **more: Any) -> int:
        """A person writes a text; as Meta does, it is sent again for as long as the answer is 503."""
        self.graph.graph.person_wrote(person, self.clock.now())
        body = self.body(self.message(person, words, **more))
        for _ in range(400):
            status = await self.post(body)
            if status != 503:
                return status
            await asyncio.sleep(0.3)
        raise AssertionError("the webhook was never taken")

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """Rows of a query."""
        async with self.database.begin() as connection:
            return list((await connection.execute(text(query), values)).all())

    async def dispositions(self, person: str | None = None) -> list[tuple[str, str | None]]:
        """(kind, disposition) of a person's events, in order of arrival."""
        rows = await self.rows(
            """SELECT e.kind, e.disposition FROM events e LEFT JOIN conversations c ON c.id = e.conversation_id
               WHERE CAST(:person AS text) IS NULL OR c.person = :person ORDER BY e.id""",
            person=person,
        )
        return [(row.kind, row.disposition) for row in rows]

    async def handoffs(self, person: str) -> list[Any]:
        """The hand-offs of a person."""
        return await self.rows(
            """SELECT h.* FROM handoffs h JOIN conversations c ON c.id = h.conversation_id
               WHERE c.person = :person ORDER BY h.id""",
            person=person,
        )

    async def settled(self, timeout: float = 180.0, waiting: bool = False) -> None:
        """Wait until every event has its disposition (or waits, if `waiting`) and the outbox is empty."""
        end = asyncio.get_running_loop().time() + timeout
        while True:
            rows = await self.rows(
                """SELECT (SELECT count(*) FROM events WHERE disposition IS NULL
                               AND NOT (:waiting AND coalesce(waiting, '') <> '')) AS events,
                          (SELECT count(*) FROM outbox WHERE status = 'queued') AS outbox""",
                waiting=waiting,
            )
            if rows[0].events == 0 and rows[0].outbox == 0:
                return
            assert asyncio.get_running_loop().time() < end, f"still in flight: {rows[0]}"
            await asyncio.sleep(0.02)

    async def later(self, **delta: float) -> None:
        """Move the clock and wake everybody."""
        self.clock.offset += timedelta(**delta)
        await self.wake()

    async def wake(self) -> None:
        """Wake worker and sender."""
        async with self.database.begin() as connection:
            for channel in (DUE, OUTBOX, EMERGENCY):
                await connection.execute(text("SELECT pg_notify(:c, '')"), {"c": channel})


@contextlib.asynccontextmanager
async def running(
    url: str,
    codec: Codec,
    tmp_path: Path,
    debounce_ms: int = 0,
    at: datetime = DAY,
    app_id: str | None = "512340000000001",
    timing: Timing | None = None,
    store_timeout: float = 20.0,
    graph: ScriptedGraph | None = None,
    proxy_url: str | None = None,
    page: str = PAGE,
    ig: str = IG,
    patience: Patience | None = None,
) -> AsyncIterator[System]:
    """Start everything against the database at `url` (the gateway through `proxy_url`, if given)."""
    clock = SystemClock(at - datetime.now(timezone.utc))
    settings = Settings({"PLANTON_DEBOUNCE_MS": str(debounce_ms)})
    policy = replace(policies.build(settings), buttons=load_buttons(policies.DOMAIN))  # a model of before has others
    words = EmergencyTexts(settings)
    await words.reload()
    debounce = timedelta(milliseconds=debounce_ms)
    engine = ScriptedEngine(lambda: clock.now().timestamp())
    registry, counted = measures.registry(), measures.registry()
    metrics = WorkerMetrics(counted)
    database = Database(url, size=12, name="test")
    edge = Database(as_part(proxy_url or url, "gateway"), size=4, name="test-gateway")
    work = Database(as_part(url, "worker"), size=12, name="test-worker")
    sending = Database(as_part(url, "sender"), size=8, name="test-sender")
    listener = Listener(as_part(url, "worker"), (DUE, OUTBOX, EMERGENCY))
    listener.start()
    conversations = MeasuredConversations(work, codec, metrics)
    accounts = frozenset({page, ig})

    def echo_of(mark: str) -> tuple[int, int] | None:
        found = metadata.verify(KEY, mark)
        return None if found is None else (found.outbox_id or 0, found.part)

    taking = InboxRules(
        accounts,
        app_id,
        debounce,
        policy.triage,
        policy.plan,
        echo_of,
        suspect=policy.suspect,
        tapped=policy.tapped,
    )
    inbox = Inbox(edge, codec, taking)
    rules = TurnRules(
        policy.night,
        policy.desk,
        debounce,
        policy.texts,
        policy.detect,
        policy.plan,
        app_id,
        policy.facts,
        patience or Patience(),
        policy.instead,
        policy.listens,
    )
    turns = MeasuredTurns(metrics, conversations, MeasuredEngine(engine, metrics), clock, rules)
    worker = Worker(WorkerDeps(conversations, turns, listener, clock))
    look = SiteLook(as_part(proxy_url or url, "gateway"))

    async def engines() -> tuple[int, int]:
        return 1, 0

    site = SiteMetrics(registry, lambda: look(clock.now()), engines, edge.ping)
    gateway_port, sender_port = free_port(), free_port()
    async with contextlib.AsyncExitStack() as stack:
        graph = graph or await stack.enter_async_context(
            ScriptedGraph(clock=clock, accounts=[GraphAccount(page, TOKEN, SECRET, ig)])
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        sender_url = f"http://127.0.0.1:{sender_port}"

        async def emergency_send(event: Any, detection: Any) -> bool:
            _, asked = planned(policy.plan, event, detection, clock.now(), True)
            return asked is not None and await direct.send_emergency(session, sender_url, [KEY], asked) is not None

        deps = GatewayDeps(
            inbox=inbox,
            triage=policy.triage,
            emergency_send=emergency_send,
            clock=clock,
            app_secrets=[SECRET],
            verify_token="verify",
            metrics_token="metrics",
            spool_path=tmp_path / "emergency.log",
            registry=registry,
            refresh=site.refresh,
            store_timeout=store_timeout,
            probes={"database": edge.ping},
            recall=lambda marks: inbox.tell(marks, clock.now()),
        )
        sender = Sender(
            SenderDeps(
                accounts=tuple(SenderAccount(i, page, TOKEN, SECRET) for i in (page, ig)),
                graph_url=graph.url,
                store=OutboxStore(sending, codec, listener, 10_000),
                emergency_store=OutboxStore(sending, codec, listener, 10_000),
                secret_key=KEY,
                metadata_key=KEY,
                clock=clock,
                words=words,
                answered=tmp_path / "answered.log",
                port=sender_port,
                ceiling=10_000,
                timing=timing or Timing(),
            )
        )
        await sender.start()
        stack.push_async_callback(sender.stop)
        tasks = [
            asyncio.create_task(serve(create_gateway(deps), "127.0.0.1", gateway_port)),
            asyncio.create_task(worker.run()),
        ]
        try:
            await _listens(gateway_port)
            yield System(
                database,
                codec,
                graph,
                engine,
                clock,
                f"http://127.0.0.1:{gateway_port}/webhooks/meta",
                session,
                inbox,
                worker,
                conversations,
                sender_url,
                debounce,
                counted,
                policy.texts,
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await listener.close()
            await look.close()
    await close_parts(database)
    for opened in (database, work, sending, edge):
        await opened.close()


async def _listens(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return await writer.wait_closed()
