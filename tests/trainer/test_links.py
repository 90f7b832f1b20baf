"""`planton check links` over a server of the test's own: good, moved, gone, slow, broken TLS, nothing at all."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bot.app import links as command
from bot.trainer import links
from bot.trainer.links import Link, Pace, Place
from bot.trainer.replies import Replies
from tests.fakes.project import copied

FAST = Pace(pause=0, timeout=2.5, proxies=False)
HERE = (Place("utter_x", 3, "source"),)


@pytest.fixture
async def site() -> AsyncIterator[tuple[str, list[tuple[str, str, str]]]]:
    """(address, what was asked) of a site with every kind of page."""
    asked: list[tuple[str, str, str]] = []
    stop = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append((request.method, request.path, request.headers.get("User-Agent", "")))
        path = request.path
        if path == "/lent":
            await stop.wait()
        if path == "/sans-head" and request.method == "HEAD":
            return web.Response(status=405)
        to = {
            "/demenage": "/bon",
            "/detour": "/bon",
            "/disparu": "/",
            "/boucle": "/boucle",
            "/ailleurs": "ftp://x/",
        }.get(path)
        if to:
            return web.Response(status=302 if path == "/detour" else 301, headers={"Location": to})
        return web.Response(status={"/parti": 404, "/interdit": 403, "/panne": 503}.get(path, 200))

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}", asked
    stop.set()
    await runner.cleanup()


async def test_each_answer_is_told_apart(site: tuple[str, list[tuple[str, str, str]]]) -> None:
    url, asked = site
    paths = [
        "bon",
        "sans-head",
        "demenage",
        "detour",
        "disparu",
        "boucle",
        "ailleurs",
        "parti",
        "interdit",
        "panne",
        "lent",
    ]
    found = await links.check({f"{url}/{path}": HERE for path in paths}, FAST)
    states = [one.state for one in found]
    assert states == ["ok", "ok", "moved", "ok", "home", "loop", "odd", "gone", "refused", "broken", "slow"]
    moved, detour = found[2], found[3]
    assert (moved.status, moved.target) == (200, f"{url}/bon")
    assert detour.target == f"{url}/bon"
    assert {method for method, path, _ in asked if path == "/bon"} == {"HEAD"}
    assert [method for method, path, _ in asked if path == "/sans-head"] == ["HEAD", "GET"]
    assert {agent for _, _, agent in asked} == {links.AGENT}
    assert not links.no_network(found)
    for one in found:
        assert one.ok == (one.remedy == "")
        assert one.as_json()["what"]


async def test_a_host_is_asked_one_thing_at_a_time() -> None:
    most = now = 0

    async def count(request: web.Request) -> web.Response:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", count)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    await links.check({f"http://127.0.0.1:{port}/{n}": HERE for n in range(5)}, FAST)
    assert most == 1
    await runner.cleanup()


async def test_a_broken_certificate_and_a_dead_port(tmp_path: Path) -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_self_signed(tmp_path)).start()
    port = runner.addresses[0][1]
    (bad,) = await links.check({f"https://127.0.0.1:{port}/": HERE}, FAST)
    assert bad.state == "certificate"
    await runner.cleanup()
    (dead,) = found = await links.check({f"https://127.0.0.1:{port}/": HERE}, FAST)
    assert dead.state == "unreachable"
    assert links.no_network(found)


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = folder / "site.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


DOMAIN = """version: "3.1"
responses:
  utter_bon:
  - text: |-
      Voir {url}/bon puis {url}/parti.
    metadata:
      source: '{url}/demenage'
      seen: 'août 2025'
      checked: 2025-01-31
"""


def test_addresses_of_sources_and_texts() -> None:
    replies = Replies.parse(DOMAIN.replace("{url}", "https://a.fr"))
    assert links.addresses(replies) == {
        "https://a.fr/demenage": (Place("utter_bon", 4, "source"),),
        "https://a.fr/bon": (Place("utter_bon", 4, "text"),),
        "https://a.fr/parti": (Place("utter_bon", 4, "text"),),
    }


async def test_the_report_names_line_and_remedy(
    site: tuple[str, list[tuple[str, str, str]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = copied(tmp_path / "project")
    project.write("domain.yml", DOMAIN.replace("{url}", site[0]))
    day = date(2026, 1, 15)
    assert await asyncio.to_thread(command.report, project, day, False, FAST) == 1
    said = capsys.readouterr().out.replace("\u00a0", " ")
    assert f"domain.yml:4 utter_bon (texte) : {site[0]}/parti n’existe plus (404)." in said
    assert f"domain.yml:4 utter_bon (source) : {site[0]}/demenage a déménagé pour de bon vers {site[0]}/bon." in said
    assert "remplacez l’adresse" in said
    assert "3 adresses : 1 répondent, 2 à revoir ; 1 réponses à relire." in said
    assert await asyncio.to_thread(command.report, project, day, True, FAST) == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["state"] for one in told["links"]] == ["moved", "ok", "gone"]
    assert told["stale"] == [{"name": "utter_bon", "line": 4, "checked": "2025-01-31"}]


async def test_without_a_network_one_line_and_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = copied(tmp_path / "project")
    project.write("domain.yml", DOMAIN.replace("{url}", "http://127.0.0.1:9"))
    assert await asyncio.to_thread(command.report, project, date(2026, 1, 15), False, FAST) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert "Internet" in told.err


def test_each_state_has_its_words() -> None:
    for state in (
        links.OK,
        links.MOVED,
        links.HOME,
        links.GONE,
        links.REFUSED,
        links.BROKEN,
        links.CERTIFICATE,
        links.SLOW,
    ):
        one = Link("https://a.fr", state, 200, "https://b.fr", HERE)
        assert one.what
        assert one.ok or one.remedy
