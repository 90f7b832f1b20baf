"""The one guarded door: rights of every route, CSRF; what pages tell browsers."""

from __future__ import annotations

import re

import aiohttp
import pytest
from sanic import Blueprint, HTTPResponse, Request
from sanic.response import text as sanic_text

from bot.console import audit_words, labels
from bot.console.app import TOPICS
from bot.console.navigation import OWN, PLACES
from bot.console.site import Open, Site
from bot.core.clock import FrozenClock
from bot.policy.rights import LEVELS, LOOKS, Capability, Role, may
from bot.store import audit, places
from bot.store.codec import Codec
from bot.store.db import Database
from tests.fakes.console import Browser, RunningConsole, running_console

# -- CSRF ---------------------------------------------------------------------------------------------------------

ACTIONS = ("prendre", "repondre", "rendre", "clore")


@pytest.mark.parametrize("action", ACTIONS)
async def test_every_form_needs_its_token(console: RunningConsole, someone: Browser, action: str) -> None:
    await console.user("Claire")
    number = await console.says("p", "bonjour")
    await console.hand_off(number)
    before = await console.conversation(number)
    await someone.log_in("Claire")
    fields = {"message": "bonjour", "vu": "999", "cle": "k"}
    for token in ("", "x", "é"):
        refused = await someone.post(f"/conversations/{number}/{action}", csrf=token, **fields)
        assert refused.status == 403
        assert "Rien n’a été envoyé" in refused.page
    assert await console.conversation(number) == before
    token = (await someone.get("/file")).hidden("csrf")
    by_header = await someone.post(f"/conversations/{number}/prendre", headers={"X-CSRF-Token": token})
    assert by_header.status == 303


async def test_logging_out_needs_a_token(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    assert (await someone.post("/deconnexion")).status == 403
    assert (await someone.get("/file")).path == "/file"


async def test_a_token_of_another_session_is_refused(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await console.user("Yanis")
    number = await console.says("p", "bonjour")
    await someone.log_in("Claire")
    async with Browser(console) as other:
        await other.log_in("Yanis")
        token = (await other.get("/file")).hidden("csrf")
    assert (await someone.post(f"/conversations/{number}/prendre", csrf=token)).status == 403


async def test_without_session_nothing_opens(console: RunningConsole, someone: Browser) -> None:
    number = await console.says("p", "secret")
    for path in ("/", "/file", f"/conversations/{number}", "/conversations/abc", "/rien"):
        answer = await someone.get(path)
        assert answer.path.startswith("/connexion")
        assert "secret" not in answer.page
    assert (await someone.get("/flux")).status == 401
    for action in ACTIONS:
        answer = await someone.post(f"/conversations/{number}/{action}", message="x", csrf="x")
        assert (answer.status, answer.headers["Location"]) == (303, f"/connexion?suite=/conversations/{number}")


# -- rights --------------------------------------------------------------------------------------------------------


def _filled(path: str) -> str:
    """The path with parameters of things that do not exist, so that a walk changes nothing."""
    return "/" + re.sub(r"<[^>]*>", "x", re.sub(r"<[a-z_]+:int>", "987654321", path))


def _routes(console: RunningConsole) -> list[tuple[str, str, object]]:
    """(method, path, need) of everything that is served, files aside."""
    found = []
    for route in console.app.router.routes:
        if route.path.startswith(("static/", "vendor/")):
            continue
        for method in sorted(route.methods - {"HEAD", "OPTIONS"}):
            found.append((method, _filled(route.path), getattr(route.ctx, "needs", None)))
    return found


async def test_every_route_declares_what_it_needs_and_only_forms_change(console: RunningConsole) -> None:
    routes = _routes(console)
    assert len(routes) > 9
    for method, path, needs in routes:
        assert isinstance(needs, (Capability, Open)), f"{method} {path} declares no need: use Topic.page or Topic.form"
        assert method in ("GET", "POST"), path
        if isinstance(needs, Capability) and method == "POST":
            looks_only = needs in LOOKS and needs not in (Capability.OWN_ACCOUNT, Capability.EXPORT)
            if path in (
                "/recherche",
                "/atelier/catalogue",
                "/atelier/exemples",
                "/atelier/reponses",
            ):  # what is looked for stands in no address
                continue
            assert not looks_only, f"{path} changes something and needs only {needs.value}"


async def test_an_ended_session_opens_nothing(console: RunningConsole, claire: Browser) -> None:
    await console.execute("UPDATE sessions SET ended_at = now()")
    assert (await claire.get("/file")).path.startswith("/connexion")


async def test_a_route_that_declares_nothing_opens_to_nobody(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(site: Site) -> Blueprint:
        blueprint = Blueprint("careless")
        blueprint.add_route(_words, "/oubli", name="show")
        return blueprint

    monkeypatch.setattr("bot.console.app.TOPICS", (*TOPICS, careless))
    async with running_console(database, database_url, codec, frozen_clock) as console, Browser(console) as chief:
        await console.user("Chef", "administrator")
        await chief.log_in("Chef")
        answer = await chief.get("/oubli")
    assert (answer.status, "jamais" in answer.page) == (403, False)


async def _words(request: Request) -> HTTPResponse:
    return sanic_text("jamais")


async def test_the_navigation_shows_what_exists_and_one_may_open(console: RunningConsole, someone: Browser) -> None:
    await console.user("T", "trainer")
    await someone.log_in("T")
    page = (await someone.get("/file")).page
    served = {path for _, path, _ in _routes(console)}
    expected = {p.key for p in (*PLACES, *OWN) if p.path in served and may("trainer", p.needs)}
    assert set(re.findall(r'data-testid="nav-([a-z]+)"', page)) == expected >= {"queue"}


async def test_the_theme_is_ones_own(console: RunningConsole, claire: Browser) -> None:
    assert "data-theme" not in (await claire.get("/file")).page
    await console.execute('UPDATE users SET preferences = \'{"theme": "dark"}\'')
    assert '<html lang="fr" data-theme="dark">' in (await claire.get("/file")).page


def test_everything_recorded_has_french_words() -> None:
    assert set(audit_words.ACTIONS) == audit.ACTIONS
    assert set(labels.ROLES) == {role.value for role in Role}
    assert set(labels.LEVELS) == set(LEVELS)
    assert set(labels.REFUSED) <= {capability.value for capability in Capability}


# -- roles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "reads", "works"),
    [
        ("agent", True, True),
        ("validator", True, True),
        ("administrator", True, True),
        ("auditor", True, False),
        ("trainer", False, False),
    ],
)
async def test_roles(console: RunningConsole, someone: Browser, role: str, reads: bool, works: bool) -> None:
    number = await console.says("p", "bonjour")
    await console.hand_off(number)
    await console.user("X", role)
    await someone.log_in("X")
    queue = await someone.get("/file")
    assert 'data-testid="queue-row"' in queue.page
    assert (f'href="/conversations/{number}"' in queue.page) is reads
    page = await someone.get(f"/conversations/{number}")
    assert page.status == (200 if reads else 403)
    assert ('data-testid="take"' in page.page) is works
    before = await console.conversation(number)
    fields = {"csrf": queue.hidden("csrf"), "vu": "999", "cle": "k", "message": "bonjour"}
    for action in ACTIONS:
        answer = await someone.post(f"/conversations/{number}/{action}", **fields)
        assert (answer.status != 403) is works
    if not works:
        assert await console.conversation(number) == before
        assert await console.outgoing(number) == []


async def test_a_trainer_cannot_tell_whether_a_conversation_exists(console: RunningConsole, someone: Browser) -> None:
    number = await console.says("p", "bonjour")
    await console.user("T", "trainer")
    await someone.log_in("T")
    there, absent = await someone.get(f"/conversations/{number}"), await someone.get("/conversations/9999")
    assert (there.status, absent.status) == (403, 403)
    strip = re.compile(r'value="[^"]*"')
    assert strip.sub("", there.page) == strip.sub("", absent.page)


@pytest.mark.parametrize(
    "number",
    ["999", "0", "9223372036854775807", "9223372036854775808", "99999999999999999999999999", "-1", "1e3", "abc", "%00"],
)
async def test_unknown_conversations(console: RunningConsole, someone: Browser, number: str) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    page = await someone.get(f"/conversations/{number}")
    assert page.status == 404
    assert "Revenir à la file" in page.page
    csrf = (await someone.get("/file")).hidden("csrf")
    for action in ACTIONS:
        assert (
            await someone.post(f"/conversations/{number}/{action}", csrf=csrf, message="x", vu="x" * 50)
        ).status == 404


async def test_opening_a_conversation_is_recorded(console: RunningConsole, someone: Browser) -> None:
    number = await console.says("p", "bonjour")
    user = await console.user("A", "auditor")
    await someone.log_in("A")
    await someone.get(f"/conversations/{number}")
    await someone.get(f"/conversations/{number}", X_Planton_Live="1")
    rows = await console.rows("SELECT user_id, conversation_id FROM audit WHERE action = 'view'")
    assert rows == [(user.id, number)]


# -- what pages tell browsers -------------------------------------------------------------------------------------


async def test_headers_and_no_inline_code(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    number = await console.says("p", "bonjour")
    pages = [await someone.get("/connexion")]
    await someone.log_in("Claire")
    pages += [await someone.get(path) for path in ("/file", f"/conversations/{number}", "/rien")]
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert '<html lang="fr">' in page.page
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", page.page)
    script = await someone.get("/static/js/core.js")
    assert script.status == 200
    assert "no-store" not in script.headers["Cache-Control"]


@pytest.mark.parametrize("secure", [True, False])
async def test_https_alone_is_asked_for_where_there_is_https(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, secure: bool
) -> None:
    async with (
        running_console(database, database_url, codec, frozen_clock, secure_cookies=secure) as console,
        aiohttp.ClientSession() as client,
    ):
        for path in ("/connexion", "/static/js/core.js", "/rien"):
            async with client.get(console.url + path, allow_redirects=False) as answer:
                told = answer.headers.get("Strict-Transport-Security")
                assert told == ("max-age=31536000; includeSubDomains" if secure else None)


async def test_who_tries_doors_leaves_a_trace(
    console: RunningConsole, claire: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    number = console.users["Claire"].id
    assert (await claire.get("/comptes?recherche=motsecret")).status == 403
    assert (await claire.post("/mon-compte/mot-de-passe", csrf="faux", nouveau="motsecret")).status == 403
    told = [one.getMessage() for one in caplog.records if one.getMessage().startswith("refused: ")]
    assert told == [
        f"refused: GET /comptes to account {number}: NotAllowed",
        f"refused: POST /mon-compte/mot-de-passe to account {number}: Forbidden",
    ]


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/", "/vendor/../settings.py"]
)
async def test_only_static_files_are_served(someone: Browser, path: str) -> None:
    answer = await someone.get(path)
    assert "create_console" not in answer.page
    assert answer.status in (400, 404) or answer.path.startswith("/connexion")


async def test_error_pages_are_french_and_tell_nothing(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    assert "Page introuvable" in (await someone.get("/rien")).page
    csrf = (await someone.get("/file")).hidden("csrf")
    assert "Demande impossible" in (await someone.post("/file", csrf=csrf)).page
    number = await console.says("p", "des mots secrets")
    (row,) = await console.rows(f"SELECT {places.event('events')} FROM events")
    await console.execute("UPDATE events SET body = :b", b=console.codec.seal(b"{", "events.body", row.place))
    broken = await someone.get(f"/conversations/{number}")
    assert broken.status == 500
    assert "Une erreur est survenue" in broken.page
    assert "Traceback" not in broken.page
    assert "SettingsError" not in broken.page


async def test_the_database_away_is_said(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    url, console.own.url = console.own.url, "postgresql://127.0.0.1:1/none"
    await console.own.engine.dispose()
    away = await someone.get("/file")
    assert away.status == 503
    assert "La base de données ne répond pas" in away.page
    console.own.url = url
    assert (await someone.get("/file")).status == 200


async def test_too_much_at_once_is_refused(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    number = await console.says("p", "bonjour")
    try:
        status = (await someone.post(f"/conversations/{number}/repondre", message="x" * 400_000)).status
    except aiohttp.ClientError:
        return  # the server hung up while it was being sent
    assert status == 413
