"""The files of deploy/nginx in a real nginx: what the internet reaches of Planton, and how."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from bot.core.clock import FrozenClock, SystemClock
from bot.gateway.app import WEBHOOK
from bot.meta.signature import HEADER, sign
from bot.store.codec import Codec
from bot.store.db import Database
from tests.contract.test_gateway import SECRET, VERIFY, Running, Setup, item, page
from tests.fakes import nginx
from tests.fakes.console import Browser, RunningConsole, running_console
from tests.fakes.nginx import CONSOLE, PUBLIC, Nginx

FORGED = {"X-Forwarded-For": "198.51.100.7", "Forwarded": "for=198.51.100.7"}


@dataclass
class Edge:
    """nginx before a gateway, and a client that knows the public name."""

    nginx: Nginx
    client: aiohttp.ClientSession
    gateway: Running

    async def post(self, raw: bytes, path: str = WEBHOOK) -> int:
        async with self.client.post(
            self.nginx.url(PUBLIC) + path, data=raw, headers={HEADER: sign(SECRET, raw)}
        ) as got:
            return got.status


@pytest.fixture
async def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


@pytest.fixture
async def edge(setup: Setup, tmp_path: Path) -> AsyncIterator[Edge]:
    async with setup.run() as gateway:
        site = nginx.prepared(tmp_path, [urlsplit(gateway.url).port or 0], 9)
        with site.serving():
            async with site.client(PUBLIC) as client:
                yield Edge(site, client, gateway)


async def test_a_signed_webhook_arrives_as_it_was_sent(edge: Edge) -> None:
    assert (checked := edge.nginx.checked()).returncode == 0, checked.stderr
    assert "warn" not in checked.stderr
    large = json.dumps(page(*(item(f"m_{n}", "très long " * 300) for n in range(200))), ensure_ascii=False).encode()
    assert 600_000 < len(large) < 5_000_000
    assert await edge.post(large) == 200
    assert [raw for raw, *_ in edge.gateway.inbox.taken] == [large]
    assert edge.nginx.kept() == []  # nor did it lie in a file meanwhile: see `client_body_buffer_size`
    assert "client request body is buffered" not in edge.nginx.logs()


async def test_a_body_that_is_too_large_stops_at_the_door(edge: Edge) -> None:
    assert await edge.post(b" " * 5_000_001) == 413
    assert edge.gateway.inbox.begun == 0


async def test_few_large_bodies_of_one_address_are_held_at_once(edge: Edge) -> None:
    head = f"POST {WEBHOOK} HTTP/1.1\r\nHost: {PUBLIC}\r\n"
    lengths = [*["Content-Length: 4000000"] * 8, *["Transfer-Encoding: chunked"] * 8]
    held = []
    for length in lengths:  # each begins, and sends no body
        opened = await asyncio.open_connection(
            "127.0.0.1", edge.nginx.port, ssl=edge.nginx.trust(PUBLIC), server_hostname=PUBLIC
        )
        opened[1].write(f"{head}{length}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert (await opened[0].readline()).split()[1] == b"100"  # its body is awaited
        held.append(opened)
    large = json.dumps(page(item("m_1", "très long " * 20_000))).encode()
    assert await edge.post(large) == 429
    assert await edge.post(json.dumps(page(item("m_2", "bonjour"))).encode()) == 200
    for _, writer in held[:4]:
        writer.close()
    async with asyncio.timeout(180):
        while await edge.post(large) != 200:
            await asyncio.sleep(0.02)
    for _, writer in held:
        writer.close()


async def test_the_gateway_hears_whose_body_it_is(edge: Edge) -> None:
    raw = json.dumps(page(item("m_1", "bonjour"))).encode()
    async with edge.client.post(
        edge.nginx.url(PUBLIC) + WEBHOOK, data=raw, headers={HEADER: sign(SECRET, raw), **FORGED}
    ) as got:
        assert got.status == 200
    assert edge.gateway.room.knows("127.0.0.1")
    assert not edge.gateway.room.knows(FORGED["X-Forwarded-For"])


async def test_a_gateway_that_is_away_is_passed_over(setup: Setup, tmp_path: Path) -> None:
    async with setup.run() as gateway:
        with socket.socket() as nobody:  # bound, and never listening: connections are refused
            nobody.bind(("127.0.0.1", 0))
            site = nginx.prepared(tmp_path, [nobody.getsockname()[1], urlsplit(gateway.url).port or 0], 9)
            with site.serving():
                async with site.client(PUBLIC) as client:
                    edge = Edge(site, client, gateway)
                    raws = [json.dumps(page(item(f"m_{n}", "bonjour"))).encode() for n in range(6)]
                    assert [await edge.post(raw) for raw in raws] == [200] * 6
    assert [raw for raw, *_ in gateway.inbox.taken] == raws


async def test_the_internet_sees_the_webhook_and_whether_it_lives(edge: Edge) -> None:
    url = edge.nginx.url(PUBLIC)
    challenge = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "1158201444"}
    async with edge.client.get(url + WEBHOOK, params=challenge) as got:
        assert (got.status, await got.text()) == (200, "1158201444")
        assert got.headers["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains"
    statuses = {}
    for path in ("/healthz", "/readyz", "/metrics", "/", "/webhooks/meta/", "/webhooks/metadata", "/connexion"):
        async with edge.client.get(url + path) as got:
            statuses[path] = got.status
            assert got.headers["Server"] == "nginx"
    assert statuses.pop("/healthz") == 200
    assert set(statuses.values()) == {404}
    async with edge.client.delete(url + WEBHOOK) as got:
        assert got.status == 403
    assert VERIFY not in edge.nginx.logs()  # of the question, the path alone is written down
    assert f"GET {WEBHOOK} HTTP/1.1 200" in edge.nginx.logs()


async def test_in_the_clear_there_is_no_webhook_and_no_way_to_it(edge: Edge) -> None:
    raw = json.dumps(page(item("m_1", "bonjour"))).encode()
    url = f"http://127.0.0.1:{edge.nginx.plain}"
    for path in (WEBHOOK, "/", "/healthz"):
        headers = {"Host": PUBLIC, HEADER: sign(SECRET, raw)}
        async with edge.client.post(url + path, data=raw, headers=headers, allow_redirects=False) as got:
            assert got.status == 404
    assert edge.gateway.inbox.begun == 0


def _offered(site: Nginx, name: str, **limits: ssl.TLSVersion) -> tuple[str | None, str | None, str]:
    """Version, protocol and suite that nginx and a client agree on. Raises ssl.SSLError."""
    context = site.trust(PUBLIC)
    context.set_alpn_protocols(["h2", "http/1.1"])
    for limit, version in limits.items():
        setattr(context, limit, version)
    plain = socket.create_connection(("127.0.0.1", site.port), timeout=5)
    with plain, context.wrap_socket(plain, server_hostname=name) as secured:
        return secured.version(), secured.selected_alpn_protocol(), (secured.cipher() or ("",))[0]


async def test_tls_is_recent_and_only_for_our_names(edge: Edge) -> None:
    offered = await asyncio.to_thread(_offered, edge.nginx, PUBLIC)
    assert offered[:2] == ("TLSv1.3", "h2")
    older = await asyncio.to_thread(_offered, edge.nginx, PUBLIC, maximum_version=ssl.TLSVersion.TLSv1_2)
    assert older == ("TLSv1.2", "h2", "ECDHE-ECDSA-AES256-GCM-SHA384")
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        await asyncio.to_thread(_offered, edge.nginx, "autre.exemple.fr")


def test_only_tls_that_is_recommended_is_named() -> None:
    text = (nginx.FILES / "planton-tls.conf").read_text(encoding="utf-8")
    assert re.findall(r"^ssl_protocols (.*);", text, re.M) == ["TLSv1.2 TLSv1.3"]
    [suites] = re.findall(r"^ssl_ciphers (.*);", text, re.M)
    assert all(
        re.fullmatch(r"ECDHE-(ECDSA|RSA)-(AES\d+-GCM-SHA\d+|CHACHA20-POLY1305)", one) for one in suites.split(":")
    )


@pytest.fixture
async def desk(
    tmp_path: Path, database: Database, database_url: str, codec: Codec
) -> AsyncIterator[tuple[Nginx, RunningConsole]]:
    async with running_console(
        database, database_url, codec, SystemClock(), FrozenClock(SystemClock().now()), proxies=1, secure_cookies=True
    ) as console:
        site = nginx.prepared(tmp_path, [9], urlsplit(console.url).port or 0)
        with site.serving():
            yield site, replace(console, url=site.url(CONSOLE))


async def test_the_consoles_news_pass_at_once(desk: tuple[Nginx, RunningConsole]) -> None:
    site, console = desk
    await console.user("Claire")
    async with Browser(console, site.client(CONSOLE)) as browser:
        assert (await browser.log_in("Claire")).status == 303
        number = await console.says("p", "mots secrets")
        await console.listens()
        async with browser.stream("/flux") as stream:
            assert b"event: pret" in await asyncio.wait_for(stream.content.readuntil(b"\n\n"), 20)
            await console.hand_off(number)
            told = await asyncio.wait_for(stream.content.readuntil(b"\n\n"), 20)  # the line stays open
    assert told.startswith(f"event: change\ndata: {number}".encode())


async def test_an_address_that_a_client_claims_is_not_believed(desk: tuple[Nginx, RunningConsole]) -> None:
    site, console = desk
    await console.user("Claire")
    async with Browser(console, site.client(CONSOLE)) as browser:
        page_ = await browser.get("/connexion")
        for guess in range(2):
            forged = {name: value.replace(".7", f".{guess}") for name, value in FORGED.items()}
            fields = {"csrf": page_.hidden("csrf"), "nom": f"x{guess}", "mot_de_passe": "faux", "suite": ""}
            assert (await browser.post("/connexion", headers=forged, **fields)).status == 401
    # Both guesses are counted for one address: that of the connection.
    address = console.accounts._subjects("x", "127.0.0.1", None)["address"]
    rows = await console.rows("SELECT at FROM login_failures WHERE subject = :address", address=address)
    assert len(rows) == 2
