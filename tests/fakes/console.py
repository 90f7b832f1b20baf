"""A console on a free loopback port, over real PostgreSQL, with people who write through the gateway's own store."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import aiohttp
from sanic import Sanic
from sqlalchemy import text

from bot.console.app import create_console
from bot.console.deps import ConsoleDeps
from bot.core.clock import FrozenClock, SystemClock
from bot.core.dialogue import QuickReply, Reply
from bot.core.messages import Attachment, Body, Event, Message, Platform
from bot.policy.catalogue_search import CatalogueSearch
from bot.store import audit, handoffs, outbox
from bot.store.accounts import Accounts, User
from bot.store.codec import Codec
from bot.store.conversations import PROFILE
from bot.store.db import CONSOLE, Database, Listener, notify
from bot.store.inbox import Inbox, InboxRules
from tests.conftest import as_part
from tests.fakes import asked
from tests.fakes.sealed import opened_json

ARRIVES = "Un agent prend maintenant votre conversation en charge."
BACK = "L’agent a terminé. Je suis de nouveau là."
THUMBS = "Avez-vous été bien renseigné\u202f?"
TAPS = {"satisfaction:oui": "👍 Oui", "satisfaction:non": "👎 Non"}
PASSWORD = "une phrase de passe"
KEY = "secret of the tests"
PAGE = "1000"
HALF = ("/connexion/code", "/connexion/second-facteur")  # where a session waits for its second factor


@dataclass
class RunningConsole:
    """The console at `url`, and what happens around it."""

    app: Sanic[Any, Any]
    url: str
    database: Database
    codec: Codec
    clock: FrozenClock | SystemClock
    wall: FrozenClock | SystemClock
    accounts: Accounts
    inbox: Inbox
    listener: Listener
    own: Database  # what the console itself asks, under its role
    users: dict[str, User] = field(default_factory=dict)
    _numbers: Any = field(default_factory=itertools.count)

    async def user(self, name: str, role: str = "agent", password: str | None = PASSWORD) -> User:
        """An account, whose first visit was yesterday: the tour does not stand above the queue."""
        self.users[name] = await self.accounts.add(name, role, password)
        await self.execute("UPDATE users SET preferences = '{\"tour\": true}' WHERE name = :name", name=name)
        return self.users[name]

    async def open_sessions(self, name: str) -> None:
        """Spare the test the second factor: this person's sessions count as having shown it."""
        await self.execute(
            "UPDATE sessions SET stage = 'open', factor_at = now() WHERE user_id = (SELECT id FROM users WHERE name = :name)",
            name=name,
        )

    async def listens(self) -> None:
        """Wait until the database's notifications reach the console."""
        async with asyncio.timeout(180):
            while not await self.rows(
                """SELECT 1 FROM pg_stat_activity WHERE application_name = 'planton-listen' AND state = 'idle'
                       AND datname = current_database() AND query = :listens""",
                listens=f'LISTEN "{CONSOLE}"',
            ):
                await asyncio.sleep(0.01)

    async def heard(self) -> None:
        """Wait until they reach a page whose stream is open."""
        await self.listens()
        async with asyncio.timeout(180):
            while not self.listener._subscribers:
                await asyncio.sleep(0.01)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """Rows of a query."""
        async with self.database.begin() as connection:
            return list((await connection.execute(text(query), values)).all())

    async def execute(self, query: str, **values: Any) -> None:
        """A change."""
        async with self.database.begin() as connection:
            await connection.execute(text(query), values)

    async def event(
        self, person: str, body: Body, mid: str | None = None, platform: Platform = Platform.MESSENGER, **more: Any
    ) -> int:
        """Something comes in through the gateway's store; returns the conversation."""
        number = next(self._numbers)
        at = more.pop("at", self.clock.now() + timedelta(milliseconds=number))
        new = Event(platform, PAGE, person, mid or f"key-{number}", at, body, mid=mid, **more)
        await self.inbox.take(b"{}", [(new, None)], self.clock.now())
        found = await self.rows(
            "SELECT id FROM conversations WHERE person = :p AND platform = :f", p=person, f=platform
        )
        return int(found[0].id)

    async def says(
        self, person: str, words: str = "", *attachments: Attachment, mid: str | None = None, **more: Any
    ) -> int:
        """A person writes."""
        return await self.event(person, Message(words, attachments=attachments), mid, **more)

    async def named(self, conversation: int, name: str) -> None:
        """The person's name is known."""
        sealed = self.codec.seal_json({"name": name}, PROFILE)
        await self.execute("UPDATE conversations SET profile = :p WHERE id = :id", p=sealed, id=conversation)

    async def hand_off(
        self,
        conversation: int,
        category: str = "request",
        reason: str = "parler_humain",
        intent: str | None = None,
        **more: Any,
    ) -> int:
        """The bot hands a conversation off, now or at `at`."""
        at: datetime = more.pop("at", self.clock.now())
        async with self.database.begin() as connection:
            new = handoffs.NewHandoff(conversation, category, reason, intent, **more)
            return (await handoffs.open_(connection, self.codec, new, at))[0]

    async def waiting(self, person: str = "p1", said: str = "je veux parler à un agent", name: str = "") -> int:
        """A conversation that waits for a human."""
        number = await self.says(person, said)
        await self.execute(
            "UPDATE events SET disposition = 'handed_off', settled_at = now() WHERE conversation_id = :id", id=number
        )
        if name:
            await self.named(number, name)
        await self.hand_off(number)
        return number

    async def bot_says(
        self, conversation: int, words: str, status: str = "sent", author: str = "bot", **sets: Any
    ) -> int:
        """A message of ours stands in the outbox."""
        lane = {"emergency": "emergency"}.get(author, "reply")
        at = self.clock.now() + timedelta(milliseconds=next(self._numbers))
        async with self.database.begin() as connection:
            row = await outbox.add(connection, self.codec, outbox.NewRow(conversation, lane, author, Reply(words), at))
            columns = ", ".join(f"{name} = :{name}" for name in ("status", *sets))
            await connection.execute(
                text(f"UPDATE outbox SET {columns} WHERE id = :id"), {"status": status, "id": row, **sets}
            )
            await notify(connection, CONSOLE, str(conversation))
        assert row is not None
        return row

    async def outgoing(self, conversation: int) -> list[tuple[str, str, str, str]]:
        """(lane, author, status, text) of what stands in the outbox, in order."""
        rows = await self.rows("SELECT * FROM outbox WHERE conversation_id = :id ORDER BY id", id=conversation)
        opened = [opened_json(self.codec, "outbox.message", row)["text"] for row in rows]
        return [(row.lane, row.author, row.status, words) for row, words in zip(rows, opened, strict=True)]

    async def conversation(self, number: int) -> Any:
        """The conversation's row."""
        return (await self.rows("SELECT * FROM conversations WHERE id = :id", id=number))[0]

    async def handoff(self, conversation: int) -> Any:
        """The newest hand-off's row."""
        rows = await self.rows("SELECT * FROM handoffs WHERE conversation_id = :id ORDER BY id DESC", id=conversation)
        return rows[0]

    async def audit(self) -> list[tuple[str, int | None]]:
        """(action, conversation) in order, what was merely seen and the fixtures' accounts aside."""
        rows = await self.rows(
            "SELECT action, conversation_id FROM audit WHERE NOT action = ANY(:seen) ORDER BY id",
            seen=[*audit.REPEATED, "user_added"],
        )
        return [(row.action, row.conversation_id) for row in rows]


@asynccontextmanager
async def running_console(
    database: Database,
    url: str,
    codec: Codec,
    clock: FrozenClock | SystemClock,
    wall: FrozenClock | SystemClock | None = None,
    port: int = 0,
    **changes: Any,
) -> AsyncIterator[RunningConsole]:
    """Serve a console. `wall` is the sessions' clock (the machine's by default)."""
    wall = wall or SystemClock()
    own, edge = (Database(as_part(url, part), size=8) for part in ("console", "gateway"))
    listener = Listener(own.url, (CONSOLE,))
    deps = ConsoleDeps(
        database=own,
        codec=codec,
        listener=listener,
        clock=clock,
        secret_key=KEY,
        secure_cookies=False,
        texts={"utter_agent_arrive": ARRIVES, "utter_assistant_revient": BACK, "utter_satisfaction": THUMBS},
        buttons={"utter_satisfaction": [QuickReply(title, payload) for payload, title in TAPS.items()]},
        demo=False,
        wall=wall,
        catalogue=lambda: CatalogueSearch(asked.small()),
    )
    deps = replace(deps, **changes)
    rules = InboxRules(
        accounts=frozenset(),
        app_id=None,
        debounce=timedelta(0),
        triage=lambda words: None,
        plan=lambda detection, words, at, now, seen: None,
        echo_of=lambda mark: None,
    )
    app = create_console(deps)
    listening = socket.create_server(("127.0.0.1", port))
    server = await app.create_server(sock=listening, return_asyncio_server=True, access_log=False)
    assert server is not None
    await server.startup()
    await server.before_start()
    await server.after_start()
    try:
        yield RunningConsole(
            app,
            f"http://127.0.0.1:{listening.getsockname()[1]}",
            database,
            codec,
            clock,
            wall,
            Accounts(database, deps.secret_key),
            Inbox(edge, codec, rules),
            listener,
            own,
        )
    finally:
        await server.before_stop()
        server.close()
        for connection in list(server.connections):
            if connection.transport is not None:
                connection.transport.abort()  # as when the process ends
        await server.after_stop()
        await listener.close()
        await own.close()
        await edge.close()


@dataclass
class Answer:
    """A page as it came."""

    status: int
    page: str
    headers: Any
    path: str

    def hidden(self, name: str) -> str:
        """The value of a hidden field, "" when there is none."""
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page)
        return found[1] if found else ""


class Browser:
    """Someone at the console without a script: cookies, pages, forms."""

    def __init__(self, console: RunningConsole, client: aiohttp.ClientSession | None = None) -> None:
        self._console = console
        self._client = client or aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def __aenter__(self) -> Browser:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    def moves_to(self, console: RunningConsole) -> None:
        """Ask another console from now on, as behind a balancer."""
        self._console = console

    async def get(self, path: str, follow: bool = True, **headers: str) -> Answer:
        """Open a page."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._client.get(self._console.url + path, headers=named, allow_redirects=follow) as response:
            return Answer(response.status, await response.text(), response.headers, response.url.path_qs)

    def stream(self, path: str) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """What comes little by little."""
        return self._client.get(self._console.url + path)

    async def post(
        self, path: str, follow: bool = False, headers: dict[str, str] | None = None, **fields: str
    ) -> Answer:
        """Send a form as it is given."""
        async with self._client.post(
            self._console.url + path, data=fields, allow_redirects=follow, headers=headers
        ) as response:
            return Answer(response.status, await response.text(), response.headers, response.url.path_qs)

    async def log_in(self, name: str, password: str = PASSWORD, suite: str = "", second_factor: bool = False) -> Answer:
        """Fill the log-in form. Unless the test is about the `second_factor`, whoever owes one is let in without."""
        page = await self.get("/connexion")
        suite = suite or page.hidden("suite")
        entered = await self.post("/connexion", csrf=page.hidden("csrf"), nom=name, mot_de_passe=password, suite=suite)
        if second_factor or not entered.headers.get("Location", "").startswith(HALF):
            return entered
        await self._console.open_sessions(name)
        return replace(entered, headers={**entered.headers, "Location": suite})

    async def act(self, conversation: int, action: str, **fields: str) -> Answer:
        """Open a conversation's page and press a button there; `fields` replace what the page held."""
        page = await self.get(f"/conversations/{conversation}")
        held = {"csrf": page.hidden("csrf"), "vu": page.hidden("vu"), "cle": page.hidden("cle")}
        return await self.post(f"/conversations/{conversation}/{action}", **{**held, **fields})

    def cookies(self) -> Sequence[Any]:
        """The cookies kept."""
        return list(self._client.cookie_jar)
