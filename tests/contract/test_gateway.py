"""The gateway over HTTP, with an inbox of the tests' own: what Meta sees, and what is stored when."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from bot.app.wiring import planned
from bot.core.clock import FrozenClock
from bot.core.messages import Event
from bot.gateway.app import WEBHOOK, create_gateway
from bot.gateway.ports import GatewayDeps, Item, Mark
from bot.gateway.room import Room
from bot.meta.signature import HEADER, sign
from bot.policy.emergency import Detection, Situation, decide
from bot.policy.emergency_taps import SILENCE
from bot.store.emergencies import EmergencyPlan, Seen

PAYLOADS = Path(__file__).parents[1] / "payloads"
INDEX = json.loads((PAYLOADS / "index.json").read_text(encoding="utf-8"))
SECRET, VERIFY, METRICS = "app-secret", "verify-me", "metrics-token"
NOW = datetime(2026, 1, 15, 9, 0, 5, tzinfo=timezone.utc)
STAMP = 1768467600000
PAGE = "104090000000001"


DANGER = Detection("danger", "lexicon")


def triage(text: str) -> Detection | None:
    """A danger wherever « secours » or « couteau » stands."""
    if "explose" in text:
        raise RuntimeError(text)
    return DANGER if "secours" in text or "couteau" in text else None


class FakeInbox:
    """Keeps what it takes; `down` fails, `hang` never answers, not even to a cancellation."""

    def __init__(self) -> None:
        self.down = False
        self.hang = False
        self.free = asyncio.Event()  # ends what hangs
        self.delay = 0.0
        self.taken: list[tuple[bytes, list[Item], datetime, frozenset[str]]] = []
        self.recalled: list[Mark] = []
        self.at_once = self.most_at_once = self.begun = 0

    async def take(self, raw: bytes, items: Sequence[Item], received_at: datetime, answered: Set[str]) -> None:
        self.at_once += 1
        self.begun += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.delay)
            if self.hang:
                await _hung(self.free)
            if self.down:
                raise ConnectionRefusedError("il y a des mots ici")
            self.taken.append((raw, list(items), received_at, frozenset(answered)))
        finally:
            self.at_once -= 1

    async def recall(self, marks: Sequence[Mark]) -> None:
        if self.down:
            raise ConnectionRefusedError
        self.recalled.extend(marks)

    @property
    def events(self) -> list[Event]:
        return [event for _, items, _, _ in self.taken for event, _ in items]


async def _hung(free: asyncio.Event) -> None:
    """Until it is freed; no cancellation shortens it, as with a driver that clings to a hung server."""
    end = time.monotonic() + 20
    while not free.is_set() and time.monotonic() < end:
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            await asyncio.wait_for(free.wait(), end - time.monotonic())


class FakeSender:
    """The emergency door of the sender."""

    def __init__(self) -> None:
        self.asked: list[Event] = []
        self.works = True
        self.delay = 0.0

    async def __call__(self, event: Event, detection: Detection) -> bool:
        assert detection == DANGER
        self.asked.append(event)
        await asyncio.sleep(self.delay)
        if not self.works:
            raise ConnectionRefusedError
        return True


@dataclass
class Running:
    """A running gateway and its surroundings."""

    url: str
    client: aiohttp.ClientSession
    inbox: FakeInbox
    sender: FakeSender
    clock: FrozenClock
    deps: GatewayDeps
    room: Room

    async def post(self, body: object, signature: str | None = "right", path: str = WEBHOOK) -> tuple[int, str]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {} if signature is None else {HEADER: sign(SECRET, raw) if signature == "right" else signature}
        async with self.client.post(self.url + path, data=raw, headers=headers) as response:
            return response.status, await response.text()

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.client.get(self.url + path, headers=headers) as response:
            return response.status, await response.text()

    async def metric(self, line: str) -> float:
        _, text = await self.get("/metrics", Authorization=f"Bearer {METRICS}")
        return sum(float(row.rsplit(" ", 1)[1]) for row in text.splitlines() if row.startswith(line + " "))


@dataclass
class Setup:
    """Starts gateways over one inbox, one sender and one spool file."""

    path: Path
    inbox: FakeInbox = field(default_factory=FakeInbox)
    sender: FakeSender = field(default_factory=FakeSender)
    clock: FrozenClock = field(default_factory=lambda: FrozenClock(NOW))

    @asynccontextmanager
    async def run(self, **changes: Any) -> AsyncIterator[Running]:
        deps = GatewayDeps(
            inbox=self.inbox,
            triage=triage,
            emergency_send=self.sender,
            clock=self.clock,
            app_secrets=("new-secret", SECRET),
            verify_token=VERIFY,
            metrics_token=METRICS,
            spool_path=self.path / "emergency.log",
            recall=self.inbox.recall,
            store_timeout=0.3,
            emergency_wait=20.0,
            emergency_retries=(0,),
            recall_every=0.02,
        )
        deps = replace(deps, **changes)
        app = create_gateway(deps)
        sock = socket.create_server(("127.0.0.1", 0))
        server = await app.create_server(sock=sock, return_asyncio_server=True)
        assert server is not None
        await server.startup()
        await server.before_start()
        await server.start_serving()
        async with aiohttp.ClientSession() as client:
            url, room = f"http://127.0.0.1:{sock.getsockname()[1]}", app.ctx.gateway.room
            yield Running(url, client, self.inbox, self.sender, self.clock, deps, room)
        await server.before_stop()
        server.close()
        await server.wait_closed()
        await server.after_stop()

    def lines(self) -> list[dict[str, Any]]:
        path = self.path / "emergency.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


@pytest.fixture
async def gateway(setup: Setup) -> AsyncIterator[Running]:
    async with setup.run() as running:
        yield running


def item(mid: str, text: str, person: str = "7300000000000001", at: int = STAMP) -> dict[str, Any]:
    return {"sender": {"id": person}, "recipient": {"id": PAGE}, "timestamp": at, "message": {"mid": mid, "text": text}}


def page(*items: object, box: str = "messaging") -> dict[str, Any]:
    return {"object": "page", "entry": [{"id": PAGE, "time": STAMP, box: list(items)}]}


CRY = page(item("m_cry", "au secours"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(180):
        while not condition():
            await asyncio.sleep(0.01)


# What Meta sees


@pytest.mark.parametrize("name", sorted(INDEX))
async def test_every_payload_is_stored_whole_and_acknowledged(gateway: Running, name: str) -> None:
    raw = (PAYLOADS / f"{name}.json").read_bytes()
    assert await gateway.post(raw) == (200, "ok")
    [(stored, items, received, answered)] = gateway.inbox.taken
    assert stored == raw
    assert [event.kind for event, _ in items] == [expected["kind"] for expected in INDEX[name]]
    assert (received, answered) == (NOW, frozenset())


@pytest.mark.parametrize("signature", [None, "", "sha256=00", sign("other", b"{}"), "sha1=" + "0" * 40])
async def test_a_wrong_or_missing_signature_is_403(gateway: Running, signature: str | None) -> None:
    assert (await gateway.post(page(item("m_1", "bonjour")), signature))[0] == 403
    assert gateway.inbox.taken == []


async def test_either_secret_of_a_rotation_signs(gateway: Running) -> None:
    raw = json.dumps(page(item("m_1", "bonjour"))).encode()
    assert (await gateway.post(raw, sign("new-secret", raw)))[0] == 200
    assert (await gateway.post(raw, sign(SECRET, raw)))[0] == 200


async def test_the_signature_is_that_of_the_bytes_as_sent(gateway: Running) -> None:
    sent = page(item("m_1", "Où déposer plainte à l'école ? " * 3000 + "https://www.service-public.fr/à"))
    raw = json.dumps(sent, indent=2).replace("/", "\\/").encode()
    assert len(raw) > 100_000
    assert b"\\u00e9" in raw
    assert b"\\/" in raw
    padded = raw + b" " * (300_000 - len(raw))
    assert (await gateway.post(padded))[0] == 200
    assert (await gateway.post(json.dumps(json.loads(padded)).encode(), sign(SECRET, padded)))[0] == 403
    assert len(gateway.inbox.taken) == 1
    assert gateway.inbox.events[0].body.text.endswith("https://www.service-public.fr/à")  # type: ignore[union-attr]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"bonjour", b"\xff", b"[" * 100_000])
async def test_malformed_json_is_400(gateway: Running, raw: bytes) -> None:
    assert (await gateway.post(raw))[0] == 400
    assert gateway.inbox.taken == []


def _sized(size: int) -> bytes:
    raw = json.dumps(page(item("m_1", "bonjour"))).encode()
    return raw + b" " * (size - len(raw))


@pytest.mark.parametrize(("size", "status"), [(5_000_000, 200), (5_000_001, 413), (9_000_000, 413)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_over_five_megabytes_is_413(gateway: Running, size: int, status: int, chunked: bool) -> None:
    raw = _sized(size)

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 100_000):
            yield raw[start : start + 100_000]

    data = chunks() if chunked else raw
    async with gateway.client.post(gateway.url + WEBHOOK, data=data, headers={HEADER: sign(SECRET, raw)}) as response:
        assert response.status == status
    assert len(gateway.inbox.taken) == (status == 200)
    assert (await gateway.post(CRY))[0] == 200


async def test_a_client_that_writes_all_before_it_reads_sees_the_413(gateway: Running) -> None:
    def post() -> int:
        connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=10)
        connection.request("POST", WEBHOOK, b" " * 15_000_000)
        status = connection.getresponse().status
        connection.close()
        return status

    assert await asyncio.to_thread(post) == 413


async def test_a_body_far_too_large_is_cut_and_harms_nobody(gateway: Running) -> None:
    written = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal written
        while written < 200:
            written += 1
            yield b" " * 1_000_000

    try:
        async with gateway.client.post(gateway.url + WEBHOOK, data=endless()) as response:
            status = response.status
    except aiohttp.ClientError:
        status = 413  # the connection was cut before the answer could be read: as good
    assert status == 413
    assert written < 50
    assert gateway.inbox.taken == []
    assert (await gateway.post(CRY))[0] == 200


async def test_large_bodies_find_no_room_beside_too_many_others_and_small_ones_always_do(setup: Setup) -> None:
    async with setup.run(max_large=500_000) as running:
        assert (await running.post(page(item("m_known", "bonjour"))))[0] == 200
        setup.inbox.delay, setup.inbox.begun = 0.2, 0
        assert (await running.post(_sized(600_000)))[0] == 503
        large = [asyncio.create_task(running.post(_sized(200_000))) for _ in range(3)]
        await until(lambda: setup.inbox.begun == 2)
        assert (await running.post(CRY))[0] == 200
        assert sorted([(await one)[0] for one in large]) == [200, 200, 503]
        assert (await running.post(_sized(400_000)))[0] == 200  # room again
        assert await running.metric('planton_gateway_webhooks_total{outcome="busy"}') == 2


@asynccontextmanager
async def half_sent(running: Running, size: int, address: str = "") -> AsyncIterator[asyncio.StreamReader]:
    """The beginning of a large unsigned body, whose end does not come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2]))
    forwarded = f"X-Forwarded-For: {address}\r\n" if address else ""
    writer.write(f"POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\n{forwarded}Content-Length: 900000\r\n\r\n".encode())
    writer.write(b" " * size)
    await writer.drain()
    try:
        yield reader
    finally:
        writer.close()


async def test_strangers_large_bodies_push_out_none_of_those_who_sign(setup: Setup) -> None:
    """A room of 1.6 MB: 200 kB for one stranger, 800 kB for all."""
    meta, own = "31.13.64.1", "198.51.100.%d"
    async with setup.run(max_large=1_600_000) as running, contextlib.AsyncExitStack() as attackers:

        async def post(size: int, address: str, signature: str = "right") -> int:
            raw = _sized(size)
            headers = {HEADER: sign(SECRET, raw) if signature == "right" else signature, "X-Forwarded-For": address}
            async with running.client.post(running.url + WEBHOOK, data=raw, headers=headers) as response:
                return response.status

        room = running.room
        for one in range(6):  # each holds as much as it can
            await attackers.enter_async_context(half_sent(running, 150_000, own % one))
        await until(lambda: room.left <= 1_600_000 - 5 * 150_000)
        for one in range(6):  # and tries again
            await attackers.enter_async_context(half_sent(running, 150_000, own % one))
        assert await post(200, meta) == 200  # small: always
        assert await post(700_000, meta) == 200  # half of the room is out of strangers' reach
        assert await post(150_000, own % 7) == 503  # the other half is full
        assert await post(200, own % 7, "sha256=00") == 403


async def test_a_wrong_signature_costs_a_stranger_large_bodies_until_a_right_one(setup: Setup) -> None:
    async with setup.run() as running:
        assert (await running.post(_sized(100_000), "sha256=00"))[0] == 403
        assert (await running.post(_sized(100_000)))[0] == 503
        assert (await running.post(CRY))[0] == 200  # small ones go on
        assert (await running.post(_sized(100_000)))[0] == 200
        assert (await running.post(_sized(100_000), "sha256=00"))[0] == 403
        assert (await running.post(_sized(100_000)))[0] == 200  # right ones come from there too: it does not pay


async def test_a_large_body_that_does_not_come_to_its_end_leaves_the_room(setup: Setup) -> None:
    async with setup.run(max_large=1_600_000, large_within=0.1) as running, half_sent(running, 150_000) as reader:
        assert (await reader.readline()).split()[1] == b"408"
        assert running.room.left == 1_600_000
        assert await running.metric('planton_gateway_webhooks_total{outcome="too_slow"}') == 1


async def test_the_challenge_comes_back_verbatim(gateway: Running) -> None:
    query = f"?hub.mode=subscribe&hub.verify_token={VERIFY}&hub.challenge="
    async with gateway.client.get(gateway.url + WEBHOOK + query + "1158201444%20%3Cb%3E") as response:
        assert (response.status, await response.text()) == (200, "1158201444 <b>")
        assert response.content_type == "text/plain"
    assert (await gateway.get(WEBHOOK + query))[0] == 400


@pytest.mark.parametrize(
    "query",
    ["", "?hub.challenge=1", f"?hub.verify_token={VERIFY}&hub.challenge=1", "?hub.mode=subscribe&hub.challenge=1",
     "?hub.mode=subscribe&hub.verify_token=autre&hub.challenge=1",
     "?hub.mode=subscribe&hub.verify_token=%C3%A9&hub.challenge=1",
     f"?hub.mode=unsubscribe&hub.verify_token={VERIFY}&hub.challenge=1"],
)  # fmt: skip
async def test_a_challenge_with_another_token_is_403(gateway: Running, query: str) -> None:
    assert (await gateway.get(WEBHOOK + query))[0] == 403


async def test_empty_tokens_open_nothing(setup: Setup) -> None:
    async with setup.run(verify_token="", metrics_token="", app_secrets=()) as running:
        query = "?hub.mode=subscribe&hub.verify_token=&hub.challenge=1"
        assert (await running.get(WEBHOOK + query))[0] == 403
        assert (await running.get("/metrics", Authorization="Bearer "))[0] == 403
        assert (await running.get("/metrics"))[0] == 403
        assert (await running.post(CRY, sign("", json.dumps(CRY).encode())))[0] == 403


async def test_other_paths_and_methods_are_short_answers(gateway: Running) -> None:
    assert await gateway.get("/autre") == (404, "404")
    for method in ("PUT", "DELETE", "TRACE"):
        async with gateway.client.request(method, gateway.url + WEBHOOK) as response:
            assert response.status == 405
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


async def test_a_client_that_hangs_up_does_not_undo_what_it_sent(setup: Setup) -> None:
    setup.inbox.delay = 0.5
    async with setup.run(store_timeout=20) as running:
        asking = asyncio.create_task(running.post(CRY))
        await until(lambda: setup.inbox.begun == 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await until(lambda: len(setup.inbox.taken) == 1)


# Much at once


async def test_a_thousand_items_are_one_transaction_and_each_an_event(gateway: Running) -> None:
    raw = json.dumps(page(*(item(f"m_{n}", f"bonjour {n}", str(n % 100), STAMP + n) for n in range(1000)))).encode()
    assert (await gateway.post(raw))[0] == 200
    assert len(gateway.inbox.taken) == 1
    assert [event.mid for event in gateway.inbox.events] == [f"m_{n}" for n in range(1000)]


async def test_a_slow_triage_of_a_large_body_delays_nobody_else(setup: Setup) -> None:
    looking, answered = threading.Event(), threading.Event()

    def slow(text: str) -> None:
        if "lent" in text:
            looking.set()
            assert answered.wait(20)

    async with setup.run(triage=slow) as running:
        large = asyncio.create_task(running.post(page(*(item(f"m_{n}", "lent " * 200) for n in range(100)))))
        await until(looking.is_set)
        assert (await running.post(page(item("m_small", "bonjour"))))[0] == 200
        assert not large.done()
        answered.set()
        assert (await large)[0] == 200


async def test_beyond_its_budget_the_triage_is_left_to_the_worker(setup: Setup) -> None:
    def slow(text: str) -> Detection | None:
        time.sleep(0.02)
        return triage(text)

    async with setup.run(triage=slow, triage_budget=0.1) as running:
        assert (await running.post(page(*(item(f"m_{n}", "au secours") for n in range(50)))))[0] == 200
        found = [detection for _, detection in running.inbox.taken[0][1]]
        assert found[0] == DANGER
        assert found[-1] is None
        assert await running.metric('planton_gateway_untriaged_total{reason="budget"}') == found.count(None)


async def test_at_most_so_many_transactions_run_at_once(setup: Setup) -> None:
    setup.inbox.delay = 0.02
    async with setup.run(store_slots=4, store_timeout=5) as running:
        answers = await asyncio.gather(*(running.post(page(item(f"m_{n}", "bonjour"))) for n in range(40)))
    assert {status for status, _ in answers} == {200}
    assert setup.inbox.most_at_once == 4


async def test_a_store_with_too_much_to_do_finishes_what_it_begins(setup: Setup) -> None:
    """What cannot be stored in time is sent away before it begins: else all would be cut short, and nothing ever stored."""
    setup.inbox.delay = 0.5
    async with setup.run(store_slots=4, store_timeout=1.6) as running:
        answers = await asyncio.gather(*(running.post(page(item(f"m_{n}", "bonjour"))) for n in range(40)))
        statuses = Counter(status for status, _ in answers)
        assert statuses == {200: len(setup.inbox.taken), 503: 40 - len(setup.inbox.taken)}
        assert setup.inbox.begun == len(setup.inbox.taken) >= 4


# Triage


async def test_each_message_and_edit_of_a_person_is_looked_at(gateway: Running) -> None:
    edit = {**item("", ""), "message_edit": {"mid": "m_1", "text": "il a un couteau", "num_edit": 1}}
    del edit["message"]
    echo = {"sender": {"id": PAGE}, "recipient": {"id": "73"}, "timestamp": STAMP}
    echo["message"] = {"mid": "m_e", "is_echo": True, "text": "au secours"}
    nobody = {"recipient": {"id": PAGE}, "message": {"mid": "m_n", "text": "au secours"}}
    await gateway.post(page(item("m_1", "bonjour"), item("m_2", "au secours"), edit, echo, nobody))
    assert [detection for _, detection in gateway.inbox.taken[0][1]] == [None, DANGER, DANGER, None, None]
    assert await gateway.metric("planton_gateway_dangers_total") == 2


async def test_a_text_that_breaks_the_triage_costs_no_neighbour(
    gateway: Running, caplog: pytest.LogCaptureFixture
) -> None:
    await gateway.post(page(item("m_1", "cela explose"), item("m_2", "au secours")))
    assert [detection for _, detection in gateway.inbox.taken[0][1]] == [None, DANGER]
    assert await gateway.metric('planton_gateway_untriaged_total{reason="error"}') == 1
    assert "m_1" in caplog.text
    assert "explose" not in caplog.text


# The database is down


@pytest.mark.parametrize("fault", ["down", "hang"])
async def test_a_danger_is_answered_by_the_sender_and_meta_sends_again(setup: Setup, fault: str) -> None:
    async with setup.run() as running:
        setattr(running.inbox, fault, True)
        assert (await running.post(page(item("m_cry", "au secours"), item("m_2", "bonjour"))))[0] == 503
        assert running.inbox.at_once == (1 if fault == "hang" else 0)  # the answer did not wait for the store
        assert [event.mid for event in running.sender.asked] == ["m_cry"]
        assert (await running.post(CRY))[0] == 503
        assert len(running.sender.asked) == 1

        setattr(running.inbox, fault, False)
        running.inbox.free.set()
        assert (await running.post(CRY))[0] == 200
        assert running.inbox.taken[-1][3] == {"m_cry"}
        assert setup.lines() == []
        assert (await running.post(CRY))[0] == 200
        assert running.inbox.taken[-1][3] == frozenset()
        assert len(running.sender.asked) == 1


async def test_tracing_that_fails_keeps_no_danger_from_being_answered(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("il y a des mots ici")

    monkeypatch.setattr("bot.gateway.app.tell", broken)
    setup.inbox.down = True
    async with setup.run() as running:
        assert (await running.post(CRY))[0] == 503
        assert [event.key for event in setup.sender.asked] == ["m_cry"]
        setup.inbox.down = False
        assert (await running.post(CRY))[0] == 200
    assert setup.lines() == []  # the mark went with the message, whatever became of its trace
    assert "webhook not traced: RuntimeError" in caplog.text
    assert "des mots" not in caplog.text


async def test_a_danger_is_answered_before_the_failure_is_told(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[int] = []  # how many were answered when the failure was told
    monkeypatch.setattr("bot.gateway.app.tell", lambda *_: told.append(len(setup.lines())))
    setup.inbox.down = True
    async with setup.run() as running:
        assert (await running.post(CRY))[0] == 503
    assert told == [1]
    said = [record.getMessage() for record in caplog.records]
    [answered] = [at for at, line in enumerate(said) if line.startswith("emergency without the database")]
    [failed] = [at for at, line in enumerate(said) if line.startswith("webhook not stored")]
    assert answered < failed


async def test_a_danger_told_in_two_messages_is_seen_without_the_database(setup: Setup) -> None:
    def only_whole(text: str) -> Detection | None:
        return DANGER if "il a un couteau" in text else None

    setup.inbox.down = True
    async with setup.run(triage=only_whole) as running:
        first, second = page(item("m_1", "il a un")), page(item("m_2", "couteau", at=STAMP + 2000))
        for body in (first, page(item("m_x", "couteau", "74")), first):
            await running.post(body)
        assert setup.sender.asked == []
        await running.post(second)
        assert [event.mid for event in setup.sender.asked] == ["m_2"]
        await running.post(page(item("m_9", "il a un", "75"), item("m_10", "couteau", "75", STAMP + 240_000)))
        assert len(setup.sender.asked) == 1
        await running.post(page(item("m_12", "couteau", "76", STAMP + 1), item("m_11", "il a un", "76")))
        assert [event.mid for event in setup.sender.asked] == ["m_2", "m_12"]
        setup.inbox.down = False
        await running.post(second)
        assert running.inbox.taken[-1][3] == {"m_2"}


async def test_the_title_of_a_tap_is_nobodys_words_without_the_database(setup: Setup) -> None:
    def only_whole(text: str) -> Detection | None:
        return DANGER if text == "Impossible de parler vite" else None

    setup.inbox.down = True
    tap = item("m_tap", "Impossible de parler")
    tap["message"]["quick_reply"] = {"payload": SILENCE}
    async with setup.run(triage=only_whole) as running:
        await running.post(page(tap, item("m_2", "vite", at=STAMP + 2000)))
        assert setup.sender.asked == []


async def test_the_spool_holds_ids_and_no_words(setup: Setup) -> None:
    setup.inbox.down = True
    async with setup.run() as running:
        await running.post(CRY)
        [line] = setup.lines()
        assert line == {
            "platform": "messenger", "account": PAGE, "person": "7300000000000001", "key": "m_cry",
            "danger": "danger", "at": "2026-01-15T09:00:00+00:00", "answered": NOW.isoformat(),
        }  # fmt: skip
        assert (setup.path / "emergency.log").stat().st_mode & 0o777 == 0o600


async def test_a_restarted_gateway_does_not_answer_again(setup: Setup) -> None:
    setup.inbox.down = True
    async with setup.run() as running:
        await running.post(CRY)
    with (setup.path / "emergency.log").open("ab") as file:
        file.write(b'{"platform": "messenger", "acc')  # a crash while a line was written
    async with setup.run() as running:
        await running.post(CRY)
        assert len(setup.sender.asked) == 1
        await running.post(page(item("m_other", "au secours", "74")))
        assert [line["key"] for line in setup.lines()] == ["m_cry", "m_other"]
        setup.inbox.down = False
        await running.post(CRY)
        assert running.inbox.taken[-1][3] == {"m_cry"}
        assert [line["key"] for line in setup.lines()] == ["m_other"]


async def test_a_sender_that_fails_is_asked_again_with_the_next_delivery(setup: Setup) -> None:
    setup.inbox.down, setup.sender.works = True, False
    async with setup.run(emergency_retries=(0, 0.01)) as running:
        assert (await running.post(CRY))[0] == 503
        assert len(setup.sender.asked) == 2
        assert setup.lines() == []
        setup.sender.works = True
        assert (await running.post(CRY))[0] == 503
        assert len(setup.sender.asked) == 3
        assert await running.metric('planton_gateway_direct_emergencies_total{outcome="sent"}') == 1
        assert await running.metric('planton_gateway_direct_emergencies_total{outcome="failed"}') == 1
        assert await running.metric("planton_gateway_spooled_emergencies") == 1


async def test_a_delivery_that_comes_while_the_reply_is_leaving_sends_no_second(setup: Setup) -> None:
    setup.inbox.down, setup.sender.delay = True, 0.5
    async with setup.run(emergency_wait=0.05) as running:
        assert (await running.post(CRY))[0] == 503
        assert (await running.post(CRY))[0] == 503
        await until(lambda: len(setup.lines()) == 1)
        assert len(setup.sender.asked) == 1


async def test_stopping_waits_for_a_reply_that_is_leaving(setup: Setup) -> None:
    setup.inbox.down, setup.sender.delay = True, 1.0
    async with setup.run(emergency_wait=0.05, store_timeout=20) as running:
        assert (await running.post(CRY))[0] == 503
        assert setup.lines() == []
    assert [line["key"] for line in setup.lines()] == ["m_cry"]


async def test_two_cries_of_one_person_get_one_reply_until_ten_minutes_passed(setup: Setup) -> None:
    setup.inbox.down = True
    async with setup.run() as running:
        await running.post(
            page(item("m_1", "au secours"), item("m_2", "il a un couteau"), item("m_3", "au secours", "74"))
        )
        assert sorted(event.person or "" for event in setup.sender.asked) == ["73" + "0" * 13 + "1", "74"]
        assert {line["key"] for line in setup.lines()} == {"m_1", "m_2", "m_3"}
        for minutes, key, sent in ((6, "m_4", 2), (5, "m_5", 3)):
            setup.clock.advance(minutes=minutes)
            await running.post(page(item(key, "au secours")))
            assert len(setup.sender.asked) == sent


async def test_a_reply_that_a_wrong_clock_dated_ahead_stands_for_no_other(setup: Setup) -> None:
    setup.inbox.down = True
    async with setup.run() as running:
        setup.clock.advance(hours=1)
        await running.post(page(item("m_1", "au secours")))
        setup.clock.advance(hours=-1)
        await running.post(page(item("m_2", "au secours")))
        assert len(setup.sender.asked) == 2


@pytest.mark.parametrize("late", [timedelta(hours=24, minutes=1), timedelta(days=3)])
async def test_no_direct_reply_a_day_late(setup: Setup, late: timedelta) -> None:
    setup.inbox.down = True
    setup.clock.advance(seconds=late.total_seconds())
    async with setup.run() as running:
        assert (await running.post(CRY))[0] == 503
    assert setup.sender.asked == []


async def test_a_gateway_that_never_read_postgresql_s_clock_refuses_no_danger_by_its_own(setup: Setup) -> None:
    """It asks the sender, which has the moment of the message and a clock of its own."""
    setup.inbox.down = True
    setup.clock.advance(days=2)
    async with setup.run(clock_read=lambda: False) as running:
        await running.post(CRY)
    [event] = setup.sender.asked

    def plan(detection: Detection | None, words: str, at: datetime, now: datetime, seen: Seen) -> EmergencyPlan | None:
        action = decide(detection, Situation(at, now))
        assert action is not None
        return EmergencyPlan(None, False, action.handoff, action.old, action.answer)

    _, asked = planned(plan, event, DANGER, setup.clock.now(), clock_read=False)
    assert asked is not None and (asked.at, asked.age) == (event.at, setup.clock.now() - event.at)
    assert planned(plan, event, DANGER, setup.clock.now(), clock_read=True)[1] is None


async def test_no_direct_reply_in_standby(setup: Setup) -> None:
    setup.inbox.down = True
    async with setup.run() as running:
        assert (await running.post(page(item("m_1", "au secours"), box="standby")))[0] == 503
    assert setup.sender.asked == []


async def test_the_store_s_error_is_logged_without_its_text(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    setup.inbox.down = True
    async with setup.run() as running:
        await running.post(CRY)
    assert "ConnectionRefusedError" in caplog.text
    assert "mots" not in caplog.text
    assert "secours" not in caplog.text


async def test_an_unwritable_spool_loses_no_reply_and_no_memory(setup: Setup) -> None:
    setup.inbox.down = True
    (setup.path / "file").write_text("")
    async with setup.run(spool_path=setup.path / "file" / "emergency.log") as running:
        await running.post(CRY)
        await running.post(CRY)
        assert len(setup.sender.asked) == 1


# What Meta does not send again


async def test_the_hand_off_opens_even_if_meta_does_not_send_again(setup: Setup) -> None:
    setup.inbox.down = True
    async with setup.run() as running:
        await running.post(CRY)
        setup.clock.advance(seconds=61)
        await asyncio.sleep(0.1)
        assert setup.inbox.recalled == []
        setup.inbox.down = False
        await until(lambda: len(setup.inbox.recalled) == 1)
        assert (setup.inbox.recalled[0].key, setup.inbox.recalled[0].answered) == ("m_cry", NOW)
        await asyncio.sleep(0.1)
        assert len(setup.inbox.recalled) == 1
        # Meta may still send it: no second reply is due then either.
        await running.post(CRY)
        assert setup.inbox.taken[-1][3] == {"m_cry"}
        assert setup.lines() == []


async def test_the_hand_off_of_a_mark_that_a_wrong_clock_dated_ahead_opens(setup: Setup) -> None:
    setup.inbox.down = True
    async with setup.run() as running:
        setup.clock.advance(hours=1)
        await running.post(CRY)
        setup.clock.advance(hours=-1)
        setup.inbox.down = False
        await until(lambda: [mark.key for mark in setup.inbox.recalled] == ["m_cry"])


async def test_a_mark_that_can_never_be_told_holds_back_no_other(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    recall = setup.inbox.recall

    async def refuses(marks: Sequence[Mark]) -> None:
        if any(mark.key == "m_bad" for mark in marks):
            raise psycopg.errors.CheckViolation
        await recall(marks)

    monkeypatch.setattr(setup.inbox, "recall", refuses)
    setup.inbox.down = True
    async with setup.run() as running:
        await running.post(page(item("m_bad", "au secours", "1"), item("m_cry", "au secours", "2")))
        setup.inbox.down = False
        setup.clock.advance(seconds=61)
        await until(lambda: [mark.key for mark in setup.inbox.recalled] == ["m_cry"])
        setup.clock.advance(hours=25)
        await until(lambda: [line["key"] for line in setup.lines()] == ["m_bad"])


async def test_marks_are_kept_as_long_as_a_reply_would_still_be_sent(setup: Setup) -> None:
    setup.inbox.down = True
    async with setup.run() as running:
        await running.post(CRY)
        setup.clock.advance(hours=25)
        await asyncio.sleep(0.1)
        assert len(setup.lines()) == 1, "the store does not know yet"
        setup.inbox.down = False
        await until(lambda: setup.lines() == [])
        assert len(setup.inbox.recalled) == 1


async def test_a_mark_is_not_recalled_while_meta_is_likely_to_send_again(setup: Setup) -> None:
    setup.inbox.down = True
    async with setup.run() as running:
        await running.post(CRY)
        setup.inbox.down = False
        setup.clock.advance(seconds=30)
        await asyncio.sleep(0.1)
        assert setup.inbox.recalled == []


# For operators


async def _yes() -> bool:
    return True


async def _no() -> bool:
    return False


async def _broken() -> bool:
    raise OSError


async def test_healthz_answers_whatever_is_down(setup: Setup) -> None:
    setup.inbox.down = True
    async with setup.run(probes={"database": _no}) as running:
        assert await running.get("/healthz") == (200, "ok")


async def test_readyz_is_200_when_all_is_reachable(setup: Setup) -> None:
    async with setup.run(probes={"database": _yes, "engine": _yes, "sender": _yes}) as running:
        status, text = await running.get("/readyz")
    assert status == 200
    assert json.loads(text) == {
        "ready": True,
        "not_ready": [],
        "checks": {"database": {"ok": True}, "engine": {"ok": True}, "sender": {"ok": True}},
    }


async def test_readyz_says_what_is_not_ready_and_the_remedy(setup: Setup) -> None:
    free = asyncio.Event()
    waited = []

    async def hung() -> bool:
        await _hung(free)
        waited.append(True)
        return True

    async with setup.run(probes={"database": hung, "engine": _no, "sender": _broken, "autre": _no}) as running:
        status, text = await running.get("/readyz")
        assert not waited
        free.set()
    body = json.loads(text)
    assert (status, body["ready"], body["not_ready"]) == (503, False, ["database", "engine", "sender", "autre"])
    for name, setting in (
        ("database", "PLANTON_DATABASE_URL"),
        ("engine", "PLANTON_ENGINE_URL"),
        ("sender", "SENDER_PORT"),
    ):
        assert setting in body["checks"][name]["remedy"]
    assert "ne répond pas\u00a0:" in text


async def test_metrics_need_the_token(gateway: Running) -> None:
    await gateway.post(CRY)
    await gateway.post(CRY, "wrong")
    assert (await gateway.get("/metrics"))[0] == 403
    assert (await gateway.get(f"/metrics?token={METRICS}"))[0] == 403  # an address ends up in logs
    assert (await gateway.get("/metrics", Authorization="Bearer autre"))[0] == 403
    status, text = await gateway.get("/metrics", Authorization=f"Bearer {METRICS}")
    assert status == 200
    assert 'planton_gateway_webhooks_total{outcome="accepted"} 1.0' in text
    assert 'planton_gateway_webhooks_total{outcome="bad_signature"} 1.0' in text
    assert 'planton_gateway_events_total{channel="messaging",kind="text",platform="messenger"} 1.0' in text
    assert "planton_gateway_acknowledge_seconds_bucket" in text
    assert "7300000000000001" not in text
    assert "m_cry" not in text
