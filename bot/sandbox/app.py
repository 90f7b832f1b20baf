"""The sandbox's server: a page with two phones, the Graph API that they hang on, the demo's clock."""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import json
import logging
import math
import secrets
import struct
import wave
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import SanicException
from sanic.response import BaseHTTPResponse, empty, html, raw, redirect
from sanic.response import json as json_response

from bot.core.catalogue import Catalogue
from bot.core.clock import MovedClock
from bot.core.messages import Platform
from bot.policy.night import Night, hour_text
from bot.sandbox import hours, wording
from bot.sandbox.citizen import Citizen, Impossible
from bot.sandbox.graph import GraphServer
from bot.sandbox.webhooks import Carrier
from bot.store import demo
from bot.store.bearer import Bearer
from bot.store.codec import Codec
from bot.store.db import Database

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Button of the sandbox → (account, role, page that opens).
PEOPLE = {"agent": ("agent.demo", "agent", "/file"), "formateur": ("formateur.demo", "trainer", "/atelier")}
SUGGESTIONS = {
    Platform.MESSENGER: (
        "Comment porter plainte ?",
        "J’ai perdu ma carte d’identité",
        "Merci aux policiers qui ont retrouvé mon fils hier à Lille",
        "Il y a un homme avec un couteau devant chez moi",
    ),
    Platform.INSTAGRAM: (
        "slt c koi lé condition pr devenir policier",
        "jme suis fait arnaqué sur vinted",
        "Un policier m’a mal parlé pendant un contrôle",
        "on me harcèle sur insta",
    ),
}
_STORY_EVERY = 1.0
_HEARTBEAT = 15.0
_SECOND_WAKE = 1.5  # the other processes look at the clock once a second

_numbers = itertools.count(1)


@dataclass(frozen=True)
class SandboxDeps:
    """What the sandbox needs. `graph_server` serves the Graph API that the sender is pointed at; started here. `catalogue`: the
    questions of the model in service, asked anew at each use; may block."""

    database: Database
    codec: Codec
    clock: MovedClock  # its offset is set here; the other processes read it from the database
    night: Night  # its zone is the page's
    graph_server: GraphServer
    gateway_url: str
    console_url: str
    sandbox_url: str
    app_secret: str = field(repr=False)
    bearer: Bearer = field(repr=False)  # makes the console's one-time links
    page_id: str
    ig_id: str
    catalogue: Callable[[], Catalogue] = Catalogue


def create_sandbox(deps: SandboxDeps) -> Sanic[Any, Any]:
    """The Sanic application. Several may live in one process."""
    app: Sanic[Any, Any] = Sanic(f"planton_sandbox_{next(_numbers)}", configure_logging=False)
    app.config.update(
        ACCESS_LOG=False,
        MOTD=False,
        TOUCHUP=False,  # it rewrites classes that other applications of this process share
        FALLBACK_ERROR_FORMAT="json",
        REQUEST_MAX_SIZE=100_000,
        GRACEFUL_SHUTDOWN_TIMEOUT=2.0,
    )
    sandbox = Sandbox(deps)
    app.ctx.sandbox = sandbox
    app.add_route(sandbox.page, "/", name="page")
    app.add_route(sandbox.stream, "/flux", name="stream")
    app.add_route(sandbox.gesture, "/gestes", methods=["POST"], name="gesture")
    app.add_route(sandbox.set_hour, "/heure", methods=["POST"], name="hour")
    app.add_route(sandbox.open_console, "/console", methods=["POST"], name="console")
    app.add_route(sandbox.voice, "/medias/vocal.wav", name="voice")
    app.add_route(sandbox.health, "/healthz", name="health")
    app.static("/medias", HERE / "static" / "medias", name="media")
    app.static("/static", HERE / "static", name="static")
    app.register_middleware(sandbox.guard, "request")
    app.register_middleware(sandbox.headers, "response")
    app.register_listener(sandbox.start, "before_server_start")
    app.register_listener(sandbox.stop, "before_server_stop")
    return app


class Sandbox:
    """The handlers and what they share."""

    def __init__(self, deps: SandboxDeps) -> None:
        self._deps = deps
        self._watchers: set[asyncio.Event] = set()
        self._stories: dict[str, Any] = {}
        self._notes: dict[str, Any] = {}  # bubble's id → what stands under it
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        deps.graph_server.graph.mid_prefix = f"m_{secrets.token_hex(4)}_"  # the database outlives this process
        accounts = {Platform.MESSENGER: deps.page_id, Platform.INSTAGRAM: deps.ig_id}
        self.citizen = Citizen(
            deps.graph_server.graph,
            deps.clock,
            accounts,
            f"{deps.sandbox_url}/medias",
            self._changed,
            lambda: bool(self._watchers),
        )
        self._template = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
        ).get_template("sandbox.html")

    # -- life ----------------------------------------------------------------------------------------------------

    async def start(self, _app: Sanic[Any, Any]) -> None:
        """Take up the simulated hour, open the Graph API."""
        deps = self._deps
        deps.clock.offset = await demo.clock_offset(deps.database)
        self._session = aiohttp.ClientSession()
        self.citizen.carrier = Carrier(self._session, deps.gateway_url, deps.app_secret)
        await deps.graph_server.start()
        self._later(self._follow_stories())

    async def stop(self, _app: Sanic[Any, Any]) -> None:
        """End the open pages, the tasks and the Graph API."""
        self._closing = True
        self._changed()
        await self.citizen.close()
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._deps.graph_server.stop()
        if self._session is not None:
            await self._session.close()

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the door ------------------------------------------------------------------------------------------------

    async def guard(self, request: Request) -> HTTPResponse | None:
        """Only this machine's own pages: no foreign name that leads here, no form of another site."""
        if urlsplit(f"//{request.host}").hostname not in LOOPBACK:
            return json_response({"erreur": "adresse refusée"}, status=403)
        origin = request.headers.get("Origin")
        foreign = origin is not None and urlsplit(origin).netloc != request.host
        if request.method == "POST" and (foreign or request.headers.get("Sec-Fetch-Site") == "cross-site"):
            return json_response({"erreur": "origine refusée"}, status=403)
        return None

    async def headers(self, _request: Request, response: BaseHTTPResponse) -> None:
        """Nothing but our own files; the form may lead to the console."""
        response.headers.update(
            {
                "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                "media-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
                f"form-action 'self' {self._deps.console_url}",
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "same-origin",
                "Cache-Control": "no-store",
            }
        )

    # -- pages ---------------------------------------------------------------------------------------------------

    async def page(self, _request: Request) -> HTTPResponse:
        """The page."""
        return html(
            self._template.render(
                platforms=[
                    {"id": platform.value, "name": name, "suggestions": SUGGESTIONS[platform]}
                    for platform, name in ((Platform.MESSENGER, "Messenger"), (Platform.INSTAGRAM, "Instagram"))
                ],
                choices=hours.CHOICES,
                zone=self._deps.night.zone.key,
                night_end=hour_text(self._deps.night.end),
                agent=PEOPLE["agent"][0],
                trainer=PEOPLE["formateur"][0],
            )
        )

    async def health(self, _request: Request) -> HTTPResponse:
        """Alive."""
        return json_response({"ok": True})

    async def voice(self, _request: Request) -> HTTPResponse:
        """The voice note: two soft tones."""
        return raw(_tones(), content_type="audio/wav")

    async def stream(self, request: Request) -> None:
        """Server-sent events: the whole state, again whenever something changed."""
        response = await request.respond(content_type="text/event-stream")
        changed = asyncio.Event()
        changed.set()
        self._watchers.add(changed)
        try:
            while not self._closing:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_HEARTBEAT):
                        await changed.wait()
                await response.send(f"data: {_json(self.state())}\n\n" if changed.is_set() else ": ici\n\n")
                changed.clear()
                await asyncio.sleep(0.05)  # what changes together is shown together
        finally:
            self._watchers.discard(changed)

    def state(self) -> dict[str, Any]:
        """Everything that the page shows."""
        deps = self._deps
        return {
            "now": round(deps.clock.now().timestamp() * 1000),
            "simulated": abs(deps.clock.offset.total_seconds()) > 1,
            "night": deps.night.contains(deps.clock.now()),
            "away": self.citizen.away,
            "phones": {p.value: phone.shown(self._clock_text, self._notes) for p, phone in self.citizen.phones.items()},
            "stories": self._stories,
        }

    def _clock_text(self, at: datetime) -> str:
        return hours.clock_text(at, self._deps.night.zone)

    def _changed(self) -> None:
        for watcher in self._watchers:
            watcher.set()

    # -- gestures ------------------------------------------------------------------------------------------------

    async def gesture(self, request: Request) -> HTTPResponse:
        """What a person did on a phone."""
        data = _object(request)
        try:
            platform = Platform(data.get("platform"))
        except ValueError:
            return json_response({"erreur": "Ce téléphone n’existe pas."}, status=400)
        try:
            self.citizen.gesture(platform, str(data.get("geste")), data)
        except Impossible as error:
            return json_response({"erreur": str(error)}, status=409)
        return empty()

    async def set_hour(self, request: Request) -> HTTPResponse:
        """Move the demo's clock, for every process."""
        choice = next((c for c in hours.CHOICES if c.value == _object(request).get("heure")), None)
        if choice is None:
            return json_response({"erreur": "Cette heure n’est pas proposée."}, status=400)
        clock, database = self._deps.clock, self._deps.database
        before, real = clock.now(), clock.base.now()
        offset = hours.offset_for(choice, before, real, self._deps.night.zone)
        back = offset < clock.offset - timedelta(seconds=1)
        await demo.set_clock_offset(database, offset, real + offset if back else None)
        clock.offset = offset
        self._later(self._wake_again())
        self._changed()
        return json_response({"recule": back, "heure": self._clock_text(clock.now())})

    async def _wake_again(self) -> None:
        await asyncio.sleep(_SECOND_WAKE)
        await demo.wake(self._deps.database)

    async def open_console(self, request: Request) -> HTTPResponse:
        """Make a log-in link for the demo's agent, or trainer, and go there."""
        asked = request.form.get("role") if request.form else None
        name, role, page = PEOPLE.get(str(asked or ""), PEOPLE["agent"])
        token = await demo.login_link(self._deps.database, self._deps.bearer, name, role, self._deps.clock.now())
        return redirect(f"{self._deps.console_url}/entrer?jeton={token}&suite={page}", status=303)

    # -- the panel -----------------------------------------------------------------------------------------------

    async def _follow_stories(self) -> None:
        """While a page is open, read where the two conversations stand."""
        shown: object = None
        while True:
            if self._watchers:
                try:
                    await self._read_stories()
                except Exception as error:  # the database may be away; the phones go on
                    log.warning("the panel could not be read: %s", type(error).__name__)
                typing = [phone.typing for phone in self.citizen.phones.values()]  # runs out by itself
                now = (self._stories, self._notes, typing, self._deps.night.contains(self._deps.clock.now()))
                if now != shown:
                    shown = now
                    self._changed()
            await asyncio.sleep(_STORY_EVERY)

    async def _read_stories(self) -> None:
        stories = {platform: await self._story(platform) for platform in self.citizen.phones}
        questions = (await asyncio.to_thread(self._deps.catalogue)).questions
        self._stories = {
            platform.value: None if story is None else wording.told(story, self._clock_text)
            for platform, story in stories.items()
        }
        for story in stories.values():
            if story is not None:  # a story tells the last replies only; those before keep what they have
                self._notes = {**self._notes, **wording.notes(story, questions)}

    async def _story(self, platform: Platform) -> demo.Story | None:
        phone = self.citizen.phones[platform]
        return await demo.story(self._deps.database, self._deps.codec, platform, phone.account, phone.person)


def _object(request: Request) -> dict[str, Any]:
    """The JSON object of a request; anything else is refused before it is read (a plain form can come from anywhere)."""
    if request.content_type.partition(";")[0].strip() != "application/json":
        raise SanicException("application/json", status_code=415)
    data = request.json
    if not isinstance(data, dict):
        raise SanicException("object", status_code=400)
    return data


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _tones(rate: int = 8000) -> bytes:
    samples = (
        math.sin(2 * math.pi * (392 if n < rate * 0.6 else 330) * n / rate)
        * math.sin(math.pi * (n % int(rate * 0.6)) / (rate * 0.6))
        for n in range(int(rate * 1.2))
    )
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(b"".join(struct.pack("<h", round(sample * 9000)) for sample in samples))
    return file.getvalue()
