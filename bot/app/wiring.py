"""Each role, wired from settings and run until it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import psycopg
from sanic import Sanic
from sqlalchemy import text as sql
from sqlalchemy.exc import DBAPIError

from bot.app import catchup as catching
from bot.app import policy as policies
from bot.app import rotation
from bot.app.connections import BoundedProtocol
from bot.app.entitled import NEEDS
from bot.app.logs import describe
from bot.app.measured import MeasuredConversations, MeasuredTurns
from bot.app.places import PROJECT
from bot.app.policy import Policy
from bot.app.reload import Live, following
from bot.app.tracing import tracing
from bot.app.words import EmergencyTexts
from bot.core.clock import MovedClock, SharedClock
from bot.core.errors import SetupError
from bot.core.messages import Event, Platform
from bot.dialogue.client import EngineClient
from bot.gateway.app import create_gateway
from bot.gateway.ports import GatewayDeps, Mark
from bot.meta import direct, metadata
from bot.policy.emergency import Detection
from bot.policy.patience import Patience
from bot.sender.deps import SenderAccount, SenderDeps
from bot.sender.service import Sender
from bot.sender.subscriptions import Subscriptions
from bot.sender.tokens import Tokens
from bot.sender.watch import Watch
from bot.settings import Account, Settings
from bot.store import binding, facts, its_clock, stale
from bot.store.codec import Codec
from bot.store.db import CONSOLE, DUE, EMERGENCY, OUTBOX, Database, Listener
from bot.store.emergencies import EmergencyPlan, EmergencyPlanner, Seen
from bot.store.faults import passes, told
from bot.store.inbox import Inbox, InboxRules
from bot.store.outbox import OutboxStore
from bot.store.overload import Late
from bot.store.people import People
from bot.store.purge import Counting, Purge
from bot.store.reindex import Reindex
from bot.store.secret_uses import SecretUses
from bot.store.site import SiteLook
from bot.store.volumes import RollUp
from bot.store.workbench.alarms import Alarms
from bot.store.workbench.drift import Drift
from bot.store.workbench.publications import MODELS
from bot.trainer.project import Project
from bot.watch import measures
from bot.watch.engine import MeasuredEngine
from bot.watch.http import telling
from bot.watch.sender import SenderMetrics
from bot.watch.site import SiteMetrics
from bot.watch.worker import WorkerMetrics
from bot.worker.alarms import AlarmReader, keep_reading
from bot.worker.names import Names
from bot.worker.overload import Notices, Words, keep_telling
from bot.worker.purge import NightPurge, keep_purging
from bot.worker.reindex import keep_indexing
from bot.worker.roll_up import keep_counting
from bot.worker.turn import TurnRules, TurnTaker
from bot.worker.worker import Worker, WorkerDeps

if TYPE_CHECKING:
    from bot.console.attachments_fetch import AttachmentRules
    from bot.console.provider import ProviderConfig

log = logging.getLogger("planton")

ROLES = ("gateway", "worker", "sender", "engine", "console", "trainer", "monitor")
CLOCK_EVERY = 1.0  # seconds between looks at the simulated hour
GATHER = timedelta(milliseconds=15)  # see docs/vitesse.md
WATCH_AGAIN = 30.0  # seconds until the catch-up that could not begin tries again


@dataclass(frozen=True)
class Store:
    """An open database with what belongs to it. `wall`: PostgreSQL's clock; `clock`: with the simulated hour."""

    database: Database
    codec: Codec
    listener: Listener
    clock: MovedClock
    wall: SharedClock = field(default_factory=SharedClock)


@contextlib.asynccontextmanager
async def store(
    settings: Settings, url: str, name: str, size: int, channels: Sequence[str], beside: Store | None = None
) -> AsyncIterator[Store]:
    """Open the database for a role. Its clock is PostgreSQL's; under the demo, it follows the simulated hour.

    `beside`: another store of this process, whose clock it shares. A database that is away is not waited for.
    """
    codec = Codec(settings.secret("DATA_KEY"))
    wall = SharedClock() if beside is None else beside.wall
    clock = MovedClock(wall) if beside is None else beside.clock
    database = Database(url, size=size, name=f"planton-{name}", clock=wall)
    listener = Listener(url, channels)
    tasks = []
    if beside is None:
        await database.ping()
        tasks.append(asyncio.create_task(its_clock.follow(database, name)))
        if os.environ.get("PLANTON_DEMO") == "1":
            tasks.append(asyncio.create_task(_follow(database, clock)))
    with contextlib.suppress(TimeoutError):  # before anything is sealed, if the database answers
        async with asyncio.timeout(2):
            await binding.look(database, codec, settings.var_dir)
    tasks.append(asyncio.create_task(binding.follow(database, codec, settings.var_dir)))
    listener.start()
    try:
        yield Store(database, codec, listener, clock, wall)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.close()
        await database.close()


async def _follow(database: Database, clock: MovedClock) -> None:
    """The sandbox's simulated hour."""
    while True:
        with contextlib.suppress(Exception):  # a database that is away leaves the hour as it is
            async with database.begin() as connection:
                value = await connection.scalar(sql("SELECT value FROM facts WHERE name = 'clock_offset'"))
            clock.offset = timedelta(seconds=float(value or 0))
        await asyncio.sleep(CLOCK_EVERY)


async def serve(app: Sanic[Any, Any], host: str, port: int) -> None:
    """Serve a Sanic application in this loop until cancelled, then let it finish what it has."""
    server: Any = await app.create_server(
        host=host,
        port=port,
        return_asyncio_server=True,
        access_log=False,
        backlog=4096,
        protocol=BoundedProtocol,
    )
    if server is None:
        raise SetupError(f"Le port {port} ne s’ouvre pas.", "Choisissez-en un autre.")
    await server.startup()
    await server.before_start()
    await server.after_start()
    try:
        await asyncio.Event().wait()
    finally:
        await server.before_stop()
        server.close()
        for connection in list(server.connections):
            connection.close_if_idle()
        await server.after_stop()


def ids_of(accounts: Sequence[Account]) -> frozenset[str]:
    """Every id that webhooks may name as ours."""
    return frozenset(i for a in accounts for i in (a.page_id, a.ig_id) if i)


def _sender_keys(settings: Settings) -> list[bytes]:
    """What opens the sender's door and marks our messages; the first makes."""
    return [key.encode() for key in settings.secrets("SENDER_KEY")]


def _echo_of(settings: Settings) -> Callable[[str], tuple[int, int] | None]:
    keys = _sender_keys(settings)

    def read(mark: str) -> tuple[int, int] | None:
        found = metadata.verify(keys, mark)
        if found is None:
            return None
        return found.outbox_id or 0, found.part

    return read


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=1)) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def _one_answers(session: aiohttp.ClientSession, urls: str) -> bool:
    """Whether one of the senders is well."""
    return any(await asyncio.gather(*(_answers(session, f"{url}/healthz") for url in urls.split(","))))


async def _accounts_work(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether Meta takes messages from every account, as far as the sender knows."""
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=0.6)) as response:
            states = (await response.json()).get("accounts", {})
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return True  # the sender's own line says it
    return all(state in ("ok", "paused") for state in states.values())


def planned(
    plan: EmergencyPlanner, event: Event, detection: Detection, now: datetime, clock_read: bool
) -> tuple[EmergencyPlan | None, direct.Asked | None]:
    """What answers a danger while the database is away, and what the sender is asked; None where nothing is to be sent.

    `clock_read`: whether `now` is PostgreSQL's; while it is the machine's, the plan is that of a message that just came, and
    whether it is too old is the sender's to judge, by the smaller of the two ages."""
    words, seen = getattr(event.body, "text", ""), Seen(None, None, None, None, event.standby)
    found = plan(detection, words, event.at, now if clock_read else event.at, seen)
    if found is None or found.answer is None or event.person is None:
        return found, None
    return found, direct.Asked(
        event.platform,
        event.account,
        event.person,
        event.key,
        detection.kind,
        event.at,
        now - event.at,
        found.answer.french,
        found.answer.script,
        found.answer.listens,
    )


async def gateway(settings: Settings, url: str) -> None:
    """The part that faces the internet."""
    policy = Live(settings)
    accounts = settings.accounts()
    async with (
        store(settings, url, "gateway", 8, (MODELS,)) as opened,
        aiohttp.ClientSession() as session,
        following(policy, "gateway", opened.database, opened.listener, opened.clock),
    ):
        rules = InboxRules(
            ids_of(accounts),
            settings.app_id,
            timedelta(milliseconds=settings.debounce_ms),
            policy.triage,
            policy.plan,
            _echo_of(settings),
            suspect=policy.suspect,
            tapped=policy.tapped,
            gather=GATHER,
        )
        inbox = Inbox(opened.database, opened.codec, rules)
        keys, sender_url = _sender_keys(settings), settings.sender_url

        async def emergency_send(event: Event, detection: Detection) -> bool:
            plan, asked = planned(policy.plan, event, detection, opened.clock.now(), opened.wall.read)
            if plan is None or asked is None:
                return False
            mid = await direct.send_emergency(session, sender_url, keys, asked, text=plan.text)
            return mid is not None

        async def tell(marks: Sequence[Mark]) -> None:
            await inbox.tell(marks, opened.clock.now())

        async def erased(marks: Sequence[Mark]) -> Collection[Mark]:
            return await inbox.answered_to_nobody(marks, opened.clock.now())

        engines = settings.engine_urls
        registry, look = measures.registry(opened.wall), SiteLook(url)

        async def engines_by_state() -> tuple[int, int]:
            ready = sum(await asyncio.gather(*(_answers(session, f"{engine}/healthz") for engine in engines)))
            return ready, len(engines) - ready

        site = SiteMetrics(registry, lambda: look(opened.clock.now()), engines_by_state, opened.database.ping)
        uses = SecretUses(opened.database, "META_APP_SECRET", settings.app_secrets)

        async def engine_ready() -> bool:
            return any(await asyncio.gather(*(_answers(session, f"{engine}/healthz") for engine in engines)))

        deps = GatewayDeps(
            inbox=inbox,
            triage=policy.triage,
            emergency_send=emergency_send,
            clock=opened.clock,
            app_secrets=settings.app_secrets,
            verify_token=settings.verify_token,
            metrics_token=settings.secrets("METRICS_TOKEN")[0],
            older_metrics_token="".join(settings.secrets("METRICS_TOKEN")[1:]),
            spool_path=settings.var_dir / "emergency.log",
            probes={
                "database": opened.database.ping,
                "engine": engine_ready,
                "sender": lambda: _one_answers(session, sender_url),
                "meta": lambda: _accounts_work(session, f"{sender_url.split(',')[0]}/healthz"),
            },
            recall=tell,
            erased=erased,
            signed=uses.used,
            registry=registry,
            refresh=site.refresh,
            clock_read=lambda: opened.wall.read,
        )
        noting = asyncio.create_task(rotation.keep_noting(uses, opened.clock))
        try:
            await serve(create_gateway(deps), settings.host("GATEWAY_HOST"), settings.port("GATEWAY_PORT"))
        finally:
            noting.cancel()
            await look.close()


async def worker(settings: Settings, url: str) -> None:
    """Takes conversations that are due."""
    live = Live(settings)
    async with (
        store(settings, url, "worker", 12, (DUE, MODELS)) as opened,
        following(live, "worker", opened.database, opened.listener, opened.clock),
    ):
        registry = measures.registry(opened.wall)
        metrics = WorkerMetrics(registry)
        client = EngineClient(settings.engine_urls, now=lambda: opened.clock.now().timestamp())
        engine = MeasuredEngine(client, metrics)
        conversations = MeasuredConversations(opened.database, opened.codec, metrics)
        notice, handoff = settings.engine_patience

        def turns(policy: Policy) -> TurnTaker:
            rules = TurnRules(
                policy.night,
                policy.desk,
                timedelta(milliseconds=settings.debounce_ms),
                policy.texts,
                policy.detect,
                policy.plan,
                settings.app_id,
                policy.facts,
                Patience(timedelta(seconds=notice), timedelta(seconds=handoff)),
                policy.instead,
                policy.listens,
            )
            return MeasuredTurns(metrics, conversations, engine, opened.clock, rules)

        work = Worker(WorkerDeps(conversations, turns(live.policy), opened.listener, opened.clock))
        live.tell(lambda policy: work.use(turns(policy)))
        keys, sender_url = _sender_keys(settings), settings.sender_url
        async with (
            aiohttp.ClientSession() as session,
            telling(registry, settings.host("METRICS_HOST"), settings.metrics_port("worker")),
        ):

            async def ask(platform: Platform, account: str, person: str) -> str | None:
                return await direct.ask_name(session, sender_url, keys, platform, account, person)

            names = asyncio.create_task(Names(People(opened.database, opened.codec), ask).run())
            counters = (RollUp(opened.database), Drift(opened.database, settings.zone))
            counting = asyncio.create_task(keep_counting(counters, opened.clock))
            indexing = asyncio.create_task(keep_indexing(Reindex(opened.database, opened.codec)))
            alarms = AlarmReader(
                Alarms(opened.database, opened.codec),
                engine,
                opened.clock,
                lambda words: live.policy.triage(words) is not None,
            )
            reading = asyncio.create_task(keep_reading(alarms))
            purge = asyncio.create_task(purging(settings, opened, counters))
            late = Notices(
                Late(opened.database, opened.codec),
                opened.clock,
                timedelta(seconds=settings.overload_notice),
                lambda: Words(live.policy.night, live.policy.texts["utter_affluence"]),
            )
            noticing = asyncio.create_task(keep_telling(late))
            righting = asyncio.create_task(stale.keep_setting_right(stale.turns, opened.database, opened.clock))
            try:
                await its_clock.first(opened.wall)
                await work.run()
            finally:
                righting.cancel()
                noticing.cancel()
                purge.cancel()
                reading.cancel()
                indexing.cancel()
                counting.cancel()
                names.cancel()
                await client.close()


async def purging(settings: Settings, opened: Store, counters: Sequence[Counting]) -> None:
    """The purge of each night, if the site has one."""
    hours = settings.purge_hours
    if hours is not None:
        purge = Purge(opened.database, opened.codec, settings.retention, counters)
        await keep_purging(NightPurge(purge, opened.clock, hours, settings.zone))


async def sender(settings: Settings, url: str) -> None:
    """Empties the outbox; alone in holding page tokens."""
    secret, *older = _sender_keys(settings)
    words = EmergencyTexts(settings)
    accounts = catching.sender_accounts(settings)
    async with (
        store(settings, url, "sender", 8, (OUTBOX, MODELS)) as opened,
        store(settings, url, "sender-emergency", 4, (EMERGENCY,), beside=opened) as lane,
    ):
        ceiling = settings.send_ceiling
        service = Sender(
            SenderDeps(
                accounts=accounts,
                graph_url=settings.graph_url,
                store=OutboxStore(opened.database, opened.codec, opened.listener, ceiling),
                emergency_store=OutboxStore(lane.database, lane.codec, lane.listener, ceiling),
                secret_key=secret,
                metadata_key=secret,
                older_keys=tuple(older),
                clock=opened.clock,
                sure=lambda: its_clock.first(opened.wall),
                words=words,
                answered=settings.var_dir / "answered.log",
                host=settings.host("SENDER_HOST"),
                port=settings.port("SENDER_PORT"),
                ceiling=ceiling,
                concurrency=max(64, min(256, ceiling // 2)),  # keeps up with the ceiling at half a second a call
                metrics=SenderMetrics(measures.registry(opened.wall)),
            )
        )
        await service.start()
        pages = {a.access for a in accounts if a.access is not None}
        beside = [
            asyncio.create_task(_watching(settings, url, opened, accounts)),
            asyncio.create_task(stale.keep_setting_right(stale.replies, opened.database, opened.clock)),
            asyncio.create_task(rotation.keep_telling(opened.database, tuple(pages), opened.clock)),
        ]
        try:
            await words.begin()
            async with following(words, "sender", opened.database, opened.listener, opened.clock):
                await asyncio.Event().wait()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await service.stop()


async def _watching(settings: Settings, url: str, opened: Store, accounts: Sequence[SenderAccount]) -> None:
    """Webhooks that stop, messages that never came: on connections of its own, so that no send waits."""
    while True:
        try:
            await _watch(settings, url, opened, accounts)
        except Exception as error:  # ended for good, it would be missed only when a webhook is
            log.error("catch-up waits: %s", describe(error))
        await asyncio.sleep(WATCH_AGAIN)


async def _watch(settings: Settings, url: str, opened: Store, accounts: Sequence[SenderAccount]) -> None:
    """Until cancelled. Raises what hinders it from beginning."""
    database = Database(url, size=4, name="planton-catchup", clock=opened.wall)
    try:
        async with catching.clients(settings, accounts) as apis:
            walks = catching.catch_up(settings, database, opened.codec, opened.clock)
            asked = Subscriptions(database, opened.clock, settings.graph_url, settings.app_id)
            tokens = Tokens(database, opened.clock)
            await Watch(apis, database, walks, asked, opened.clock, tokens=tokens).run()
    finally:
        await database.close()


def provider_of(settings: Settings) -> ProviderConfig | None:
    """The identity provider as the console wants it, if the site has one."""
    from bot.console.provider import ProviderConfig

    site = settings.oidc
    if site is None:
        return None
    return ProviderConfig(
        site.issuer, site.client_id, site.secret, site.name, site.scopes, site.acr, site.amr, site.new_role
    )


def _secure(settings: Settings, host: str) -> bool:
    """Whether the console's cookies travel over https alone."""
    if settings.console_url is not None:
        return settings.console_url.startswith("https://")
    return host not in ("127.0.0.1", "localhost", "::1")


def _attachments(settings: Settings) -> AttachmentRules:
    """From where the console fetches what people attach; the demonstration's come from the sandbox."""
    from bot.console.attachments_fetch import AttachmentRules

    demo = os.environ.get("PLANTON_DEMO") == "1"
    sandbox = (f"http://127.0.0.1:{settings.port('SANDBOX_PORT')}",) if demo else ()
    return AttachmentRules(hosts=settings.attachment_hosts, origins=sandbox)


async def console(settings: Settings, url: str) -> None:
    """Where agents work."""
    from bot.app import asked
    from bot.app import trial as trials
    from bot.console.app import create_console
    from bot.console.deps import ConsoleDeps
    from bot.watch.console import measure

    policy = Live(settings, functools.partial(policies.build, with_catalogue=True))
    host = settings.host("CONSOLE_HOST")
    async with (
        store(settings, url, "console", 8, (CONSOLE, MODELS)) as opened,
        following(policy, "console", opened.database, opened.listener, opened.clock),
    ):
        engine = EngineClient(settings.engine_urls, timeout=3.0)  # suggests replies to agents
        trial, candidate = trials.trial(settings, opened.database, opened.clock, lambda: policy.policy)
        deps = ConsoleDeps(
            database=opened.database,
            codec=opened.codec,
            listener=opened.listener,
            clock=opened.clock,
            wall=opened.wall,
            secret_key=settings.secrets("SECRET_KEY")[0],
            older_key="".join(settings.secrets("SECRET_KEY")[1:]),
            secure_cookies=_secure(settings, host),
            texts=policy.texts,
            demo=os.environ.get("PLANTON_DEMO") == "1",
            buttons=policy.buttons,
            zone=settings.zone,
            pace=max(1, settings.send_ceiling // 2),  # the other half is for agents, the bot and emergencies
            engine=engine,
            engine_ready=engine.ready,
            url=settings.console_url,
            proxies=settings.console_proxies,
            provider=provider_of(settings),
            attachments=_attachments(settings),
            dsfr=settings.var_dir / "theme-dsfr",
            project=Project(PROJECT),
            var=settings.engines_dir,
            trial=trial,
            engine_wall=settings.engine_wall,
            retention=settings.retention,
            second=settings.publication_second,
            catalogue=lambda: policy.policy.catalogue,
            question_counts=functools.partial(asked.counts, opened.database),
        )
        try:
            registry = measures.registry(opened.wall)
            app = create_console(deps)
            measure(app, registry)
            async with telling(registry, settings.host("METRICS_HOST"), settings.metrics_port("console")):
                await serve(app, host, settings.port("CONSOLE_PORT"))
        finally:
            await candidate.close()
            await engine.close()


async def sandbox(settings: Settings, url: str) -> None:
    """The citizen's two phones and the simulated Graph API; only `planton demo` starts it. Raises SetupError elsewhere."""
    if os.environ.get("PLANTON_DEMO") != "1":
        raise SetupError("Le bac à sable ne s’ouvre que dans la démonstration.", "Lancez-le par « planton demo ».")
    from bot.app.demo import sandbox_app

    async with store(settings, url, "sandbox", 4, (CONSOLE,)) as opened:
        app = sandbox_app(settings, opened.database, opened.codec, opened.clock)
        await serve(app, "127.0.0.1", settings.port("SANDBOX_PORT"))


async def trainer(settings: Settings, url: str) -> None:
    """Trains and publishes what trainers ask for."""
    from bot.app.workbench import trainer as run  # late: it wires parts of this module

    await run(settings, url)


async def monitor(settings: Settings, url: str) -> None:
    """Looks at everything and tells people."""
    from bot.app.monitor import monitor as run  # late: only this role tells anybody

    await run(settings, url)


_RUN: dict[str, Callable[[Settings, str], Awaitable[None]]] = {
    "gateway": gateway,
    "worker": worker,
    "sender": sender,
    "console": console,
    "trainer": trainer,
    "monitor": monitor,
    "sandbox": sandbox,
}


async def run_role(name: str, settings: Settings) -> None:
    """Run one role until cancelled; the launcher gives the database's address. Raises SettingsError or SetupError at start."""
    async with tracing(settings, name):
        await _run(name, settings, settings.require("DATABASE_URL"))


async def _run(name: str, settings: Settings, url: str) -> None:
    work = asyncio.ensure_future(_RUN[name](settings, url))
    key = asyncio.ensure_future(_key_fits(settings, url) if "DATA_KEY" in NEEDS[name] else _nothing())
    try:
        await asyncio.wait({work, key}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await key  # the wrong key ends the role before it writes what nobody could read
        await work
    finally:
        for task in (work, key):
            task.cancel()
        await asyncio.gather(work, key, return_exceptions=True)


async def _nothing() -> None:
    """This role opens nothing that is sealed."""


async def _key_fits(settings: Settings, url: str) -> None:
    """Hold DATA_KEY against the database, as soon as it answers. Raises SettingsError, and SetupError while a restoration
    is unfinished."""
    codec = Codec(settings.secret("DATA_KEY"))
    database = Database(url, size=1, name="planton-key")
    try:
        while True:
            try:
                async with database.begin() as connection:
                    await facts.check_key(connection, codec)
            except (DBAPIError, psycopg.Error, OSError, TimeoutError) as error:
                if not passes(error):
                    log.error("the key is not held against the database yet: %s", told(error))
                await asyncio.sleep(1)
            else:
                return
    finally:
        await database.close()
