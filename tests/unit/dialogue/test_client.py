"""The client against small HTTP servers on loopback that play the engine."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from bot.core.errors import EngineDown, EngineRefused
from bot.dialogue import client as client_module
from bot.dialogue.client import FIRST_PAUSE, LONGEST_PAUSE, Circuit, EngineClient, by_preference
from tests.unit.dialogue.test_answers import TURN, UNDERSTANDING


class FakeEngine:
    """Answers as it is told and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.status = 200
        self.body: Any = None
        self.pause = 0.0
        self.ready: Any = True
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, json.loads(await request.read())))
        await asyncio.sleep(self.pause)
        if isinstance(self.body, bytes):
            return web.Response(status=self.status, body=self.body)
        usual = TURN if request.path == "/turn" else UNDERSTANDING
        return web.json_response(usual if self.body is None else self.body, status=self.status)

    async def healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"model": "m", "ready": self.ready}, status=200 if self.ready is True else 503)


StartEngine = Callable[[], Awaitable[FakeEngine]]


@pytest.fixture
async def start_engine() -> AsyncIterator[StartEngine]:
    """Starts fake engines; all end with the test."""
    runners: list[web.AppRunner] = []

    async def start() -> FakeEngine:
        engine = FakeEngine()
        app = web.Application()
        app.router.add_post("/turn", engine.answer)
        app.router.add_post("/understand", engine.answer)
        app.router.add_get("/healthz", engine.healthz)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        engine.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return engine

    yield start
    for runner in runners:
        await runner.cleanup()


NOBODY = "http://127.0.0.1:9"  # the discard port: refused at once


class Now:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def make_client() -> AsyncIterator[Callable[..., EngineClient]]:
    """Makes clients; all are closed with the test."""
    made: list[EngineClient] = []

    def make(*urls: str, **options: Any) -> EngineClient:
        made.append(EngineClient(list(urls), **options))
        return made[-1]

    yield make
    for client in made:
        await client.close()


MakeClient = Callable[..., EngineClient]


async def test_what_is_asked(start_engine: StartEngine, make_client: MakeClient) -> None:
    engine = await start_engine()
    client = make_client(engine.url + "/", now=lambda: 1_768_471_200.5)
    turn = await client.turn("p1", "où \ud800 ?", {"v": 1}, "/plainte_comment")
    assert turn.replies[0].text == "Bonjour"
    assert (await client.understand("bonjour")).intent == "plainte_comment"
    assert engine.asked == [
        (
            "/turn",
            {
                "sender": "p1",
                "text": "où \ud800 ?",
                "state": {"v": 1},
                "payload": "/plainte_comment",
                "at": 1_768_471_200.5,
            },
        ),
        ("/understand", {"text": "bonjour"}),
    ]


async def test_nobody_listens(make_client: MakeClient) -> None:
    with pytest.raises(EngineDown):
        await make_client(NOBODY).turn("p1", "bonjour", None)


async def test_too_slow_is_down(start_engine: StartEngine, make_client: MakeClient) -> None:
    engine = await start_engine()
    engine.pause = 5
    with pytest.raises(EngineDown):
        await make_client(engine.url, timeout=0.2).turn("p1", "bonjour", None)


async def test_not_ready_is_down(start_engine: StartEngine, make_client: MakeClient) -> None:
    engine = await start_engine()
    engine.status, engine.body = 503, {"error": "starting"}
    with pytest.raises(EngineDown):
        await make_client(engine.url).turn("p1", "bonjour", None)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "empty text"}),
        (404, b"not found"),
        (500, b"<html>"),
        (500, {"error": "internal error"}),
        (502, {"error": "empty outcome"}),
        (200, b"no json"),
        (200, b""),
        (200, {"understanding": None}),
        (200, []),
    ],
)
async def test_a_useless_answer_is_refused(
    start_engine: StartEngine, make_client: MakeClient, status: int, body: Any
) -> None:
    engine = await start_engine()
    engine.status, engine.body = status, body
    client = make_client(engine.url)
    for _ in range(3):  # and it is no reason to stop asking this engine
        with pytest.raises(EngineRefused):
            await client.turn("p1", "bonjour", None)
    assert len(engine.asked) == 3


async def test_a_person_stays_with_one_engine(start_engine: StartEngine, make_client: MakeClient) -> None:
    engines = [await start_engine() for _ in range(3)]
    client = make_client(*(engine.url for engine in engines))
    for _ in range(3):
        for person in range(30):
            await client.turn(f"p{person}", "bonjour", None)
    homes: dict[str, set[str]] = {}
    for engine in engines:
        assert engine.asked, "each engine has people of its own"
        for _, body in engine.asked:
            homes.setdefault(body["sender"], set()).add(engine.url)
    assert all(len(urls) == 1 for urls in homes.values())


async def test_another_engine_takes_over(start_engine: StartEngine, make_client: MakeClient) -> None:
    up, down = await start_engine(), await start_engine()
    down.status, down.body = 503, {"error": "starting"}
    client = make_client(up.url, down.url)
    for person in range(30):
        await client.turn(f"p{person}", "bonjour", None)
    assert len(up.asked) == 30
    assert len(down.asked) == 1, "it failed once and was left alone"


async def test_an_engine_that_came_back_is_used_again(start_engine: StartEngine, make_client: MakeClient) -> None:
    engine, now = await start_engine(), Now()
    client = make_client(engine.url, clock=now)
    engine.status, engine.body = 503, {}
    for _ in range(3):
        with pytest.raises(EngineDown):
            await client.turn("p1", "bonjour", None)
    assert len(engine.asked) == 1
    engine.status, engine.body = 200, None
    now.at += FIRST_PAUSE
    assert (await client.turn("p1", "bonjour", None)).replies


async def test_readiness_looks_past_the_pause(start_engine: StartEngine, make_client: MakeClient) -> None:
    engine = await start_engine()
    client = make_client(NOBODY, engine.url, clock=Now())
    assert await client.ready()
    engine.ready = False
    assert not await client.ready()
    engine.status, engine.body = 503, {}
    with pytest.raises(EngineDown):
        await client.turn("p1", "bonjour", None)
    engine.ready, engine.status, engine.body = True, 200, None
    assert await client.ready()
    assert (await client.turn("p1", "bonjour", None)).replies


async def test_close_can_be_repeated(start_engine: StartEngine, make_client: MakeClient) -> None:
    engine = await start_engine()
    client = make_client(engine.url)
    await client.close()
    await client.understand("bonjour")
    await client.close()
    await client.close()
    assert (await client.understand("bonjour")).french


def test_no_engine_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no engine"):
        EngineClient([])


def test_pauses_grow_and_end() -> None:
    now = Now()
    circuit = Circuit(now)
    pauses = []
    for _ in range(8):
        circuit.failed()
        start = now.at
        while not circuit.open_to_requests:
            now.at += 0.25
        pauses.append(now.at - start)
    assert pauses == sorted(pauses)
    assert pauses[0] == FIRST_PAUSE
    assert pauses[-1] == LONGEST_PAUSE
    circuit.succeeded()
    assert circuit.open_to_requests
    circuit.failed()
    now.at += FIRST_PAUSE
    assert circuit.open_to_requests


async def test_one_turn_tries_an_engine_that_hangs_and_the_others_fail_at_once(
    start_engine: StartEngine, make_client: MakeClient
) -> None:
    engine, now = await start_engine(), Now()
    engine.pause = 60
    client = make_client(engine.url, timeout=1.0, clock=now)
    with pytest.raises(EngineDown):
        await client.understand("bonjour")
    now.at += FIRST_PAUSE
    outcomes = await asyncio.gather(*(client.understand("bonjour") for _ in range(5)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [EngineDown] * 5
    assert len(engine.asked) == 2
    now.at += LONGEST_PAUSE
    trial = asyncio.create_task(client.understand("bonjour"))
    while len(engine.asked) < 3:
        await asyncio.sleep(0.01)
    trial.cancel()  # whoever tries it may be called away; the next one tries
    await asyncio.gather(trial, return_exceptions=True)
    engine.pause = 0.0
    assert (await client.understand("bonjour")).intent == "plainte_comment"


async def test_a_slow_engine_holds_up_few_and_the_other_does_the_rest(
    start_engine: StartEngine, make_client: MakeClient
) -> None:
    slow, quick = await start_engine(), await start_engine()
    slow.pause = 30.0
    client = make_client(slow.url, quick.url)
    people = iter(range(200))
    room = asyncio.Semaphore(8)  # as a worker that has so many conversations in hand
    answered: list[int] = []

    async def one(person: int) -> None:
        async with room:
            await client.turn(f"p{person}", "bonjour", None)
            answered.append(person)

    tasks = [asyncio.create_task(one(person)) for person in people]
    try:
        async with asyncio.timeout(20):
            while len(answered) < 180:  # half of them would wait behind the slow one
                await asyncio.sleep(0.01)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(slow.asked) <= 5
    assert len(quick.asked) >= 180
    slow.pause = 0.0
    await asyncio.gather(*(client.turn(f"p{person}", "bonjour", None) for person in range(40)))
    assert len(slow.asked) > 12, "it has its share again"


async def test_a_machine_that_is_gone_is_noticed_while_an_engine_only_takes_long(
    start_engine: StartEngine, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, made = await start_engine(), list[socket.socket]()
    plain = client_module._socket

    def keep(address: Any) -> socket.socket:
        made.append(plain(address))
        return made[-1]

    monkeypatch.setattr(client_module, "_socket", keep)
    client = make_client(engine.url)
    await client.understand("bonjour")
    [used] = made
    assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    found = {name: used.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in client_module.ASKS}
    assert found == client_module.ASKS
    assert found["TCP_KEEPIDLE"] + found["TCP_KEEPINTVL"] * found["TCP_KEEPCNT"] <= 3


async def test_engines_share_what_comes_at_once(start_engine: StartEngine, make_client: MakeClient) -> None:
    engines = [await start_engine() for _ in range(3)]
    for engine in engines:
        engine.pause = 0.05
    client = make_client(*(engine.url for engine in engines))
    await asyncio.gather(*(client.turn(f"p{person}", "bonjour", None) for person in range(48)))
    counts = [len(engine.asked) for engine in engines]
    assert sum(counts) == 48
    assert max(counts) - min(counts) <= 2


async def test_what_the_other_engine_was_asked_counts_no_longer_once_it_fails(
    start_engine: StartEngine, make_client: MakeClient
) -> None:
    up, down = await start_engine(), await start_engine()
    down.status, down.body, up.pause = 503, {}, 0.05
    client = make_client(up.url, down.url, clock=Now())
    turns = await asyncio.gather(*(client.turn(f"p{person}", "bonjour", None) for person in range(30)))
    assert len(turns) == 30
    assert len(up.asked) == 30


def test_losing_an_engine_moves_only_its_people() -> None:
    urls = [f"http://engine{n}" for n in range(4)]
    before = {f"p{n}": by_preference(urls, f"p{n}")[0] for n in range(400)}
    after = {person: by_preference(urls[:3], person)[0] for person in before}
    assert all(after[person] == home for person, home in before.items() if home != urls[3])
    assert all(60 < count < 140 for count in Counter(before.values()).values())
