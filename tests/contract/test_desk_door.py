"""The console's door: log-in, sessions, CSRF, roles, what the pages tell browsers, and the stream of news."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest

from bot.core.clock import FrozenClock, SystemClock
from bot.store import accounts
from bot.store.accounts import AccountError
from bot.store.codec import Codec
from bot.store.db import Database
from tests.fakes.console import PASSWORD, Browser, RunningConsole, running_console


@pytest.fixture
def wall(frozen_clock: FrozenClock) -> FrozenClock:
    return FrozenClock(frozen_clock.now())


@pytest.fixture
async def console(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock
) -> AsyncIterator[RunningConsole]:
    async with running_console(database, database_url, codec, frozen_clock, wall) as running:
        yield running


@pytest.fixture
async def someone(console: RunningConsole) -> AsyncIterator[Browser]:
    async with Browser(console) as browser:
        yield browser


# -- log-in -------------------------------------------------------------------------------------------------------


async def test_log_in_and_out(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire Martin")
    first = await someone.get("/file")
    assert first.path == "/connexion?suite=/file"
    entered = await someone.log_in("Claire Martin")
    assert (entered.status, entered.headers["Location"]) == (303, "/file")
    page = await someone.get("/file")
    assert page.status == 200
    assert "Claire Martin" in page.page
    assert (await someone.get("/connexion")).path == "/file"
    out = await someone.post("/deconnexion", csrf=page.hidden("csrf"))
    assert out.headers["Location"] == "/connexion"
    assert (await console.rows("SELECT count(*) AS n FROM sessions"))[0].n == 0
    assert (await someone.get("/file")).path.startswith("/connexion")
    assert await console.audit() == [("login", None), ("logout", None)]


async def test_what_is_stored_opens_nothing(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    cookie = next(c for c in someone.cookies() if c.key == "planton_session")
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Lax", "")
    stored = (await console.rows("SELECT token_hash FROM sessions"))[0].token_hash
    assert cookie.value.encode() not in bytes(stored)
    assert (await console.rows("SELECT password_hash FROM users"))[0].password_hash.startswith("$argon2id$")
    assert PASSWORD not in str(await console.rows("SELECT * FROM login_failures"))


async def test_secure_cookies(database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock) -> None:
    async with (
        running_console(database, database_url, codec, frozen_clock, secure_cookies=True) as console,
        aiohttp.ClientSession() as client,
        client.get(console.url + "/connexion") as response,
    ):
        cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-planton_entree=")
    assert "Secure" in cookie
    assert "HttpOnly" in cookie


@pytest.mark.parametrize("name", ["Claire", "Nobody", "", "'; DROP TABLE users; --", "Cl\x00aire", "é" * 500])
async def test_wrong_names_and_passwords_look_alike(console: RunningConsole, someone: Browser, name: str) -> None:
    await console.user("Claire")
    refused = await someone.log_in(name, "faux mot de passe")
    assert refused.status == 401
    assert "Nom ou mot de passe incorrect." in refused.page
    assert "faux mot de passe" not in refused.page


async def test_a_disabled_account_and_one_without_password_stay_out(console: RunningConsole, someone: Browser) -> None:
    await console.user("Parti")
    await console.user("Lien", password=None)
    await someone.log_in("Parti")
    await console.execute("UPDATE users SET disabled_at = now() WHERE name = 'Parti'")
    assert (await someone.get("/file")).path.startswith("/connexion")  # the open session ends too
    assert (await someone.log_in("Parti")).status == 401
    assert (await someone.log_in("Lien", "")).status == 401


async def test_the_log_in_form_belongs_to_the_browser(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    bare = await someone.post("/connexion", nom="Claire", mot_de_passe=PASSWORD)
    assert bare.status == 403
    async with Browser(console) as other:
        token = (await other.get("/connexion")).hidden("csrf")
    assert (await someone.post("/connexion", csrf=token, nom="Claire", mot_de_passe=PASSWORD)).status == 403
    assert (await console.rows("SELECT count(*) AS n FROM sessions"))[0].n == 0


@pytest.mark.parametrize(
    "suite",
    ["https://evil.example/", "//evil.example", "/\\evil", "/file\r\nX: y", "/conversations/../x", "javascript:1"],
)
async def test_log_in_leads_only_to_our_pages(console: RunningConsole, someone: Browser, suite: str) -> None:
    await console.user("Claire")
    assert (await someone.log_in("Claire", suite=suite)).headers["Location"] == "/file"


async def test_log_in_leads_back_to_the_page(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    number = await console.says("p", "bonjour")
    asked = await someone.get(f"/conversations/{number}?messages=1000")
    assert asked.hidden("suite") == f"/conversations/{number}?messages=1000"
    entered = await someone.log_in("Claire", suite=asked.hidden("suite"))
    assert entered.headers["Location"] == f"/conversations/{number}?messages=1000"


# -- the brake ----------------------------------------------------------------------------------------------------


async def test_guessing_is_stopped_and_the_door_opens_again(
    console: RunningConsole, someone: Browser, wall: FrozenClock
) -> None:
    await console.user("Claire")
    for _ in range(accounts.PER_PAIR):
        assert (await someone.log_in("Claire", "faux mot de passe")).status == 401
    stopped = await someone.log_in("Claire")  # even the right one
    assert stopped.status == 429
    assert "Réessayez dans 15\u00a0min" in stopped.page
    assert int(stopped.headers["Retry-After"]) > 800
    await console.user("Yanis")
    async with Browser(console) as other:
        assert (await other.log_in("Yanis")).status == 303  # another account is not concerned
    wall.advance(minutes=15, seconds=1)
    assert (await someone.log_in("Claire")).status == 303


async def test_many_tries_at_once_count_each(console: RunningConsole) -> None:
    await console.user("Claire")

    async def attempt() -> int:
        async with Browser(console) as browser:
            return (await browser.log_in("Claire", "faux mot de passe")).status

    statuses = await asyncio.gather(*(attempt() for _ in range(12)))
    assert sorted(statuses) == [401] * accounts.PER_PAIR + [429] * (12 - accounts.PER_PAIR)


async def test_the_owner_is_not_locked_out(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    page = await someone.get("/file")
    await someone.post("/deconnexion", csrf=page.hidden("csrf"))
    async with Browser(console) as attacker:
        for _ in range(accounts.PER_PAIR + 1):
            await attacker.log_in("Claire", "faux mot de passe")
        assert (await attacker.log_in("Claire")).status == 429
    assert (await someone.log_in("Claire")).status == 303  # the browser is known


async def test_a_known_browser_cannot_guess_for_ever(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    await someone.post("/deconnexion", csrf=(await someone.get("/file")).hidden("csrf"))
    statuses = [
        (await someone.log_in("Claire", "faux mot de passe")).status
        for _ in range(accounts.PER_DEVICE + accounts.PER_PAIR + 1)
    ]
    assert statuses == [401] * (accounts.PER_DEVICE + accounts.PER_PAIR) + [429]


async def test_an_account_attacked_from_everywhere_is_slowed_not_locked(
    console: RunningConsole, wall: FrozenClock
) -> None:
    await console.user("Claire")
    check = console.accounts.check_password
    for i in range(accounts.PER_ACCOUNT):
        assert await check("Claire", "faux", f"10.0.{i}.1", wall.now()) is None
    assert await check("Claire", PASSWORD, "192.0.2.1", wall.now()) == accounts.SLOW
    wall.advance(seconds=11)
    user = await check("Claire", PASSWORD, "192.0.2.1", wall.now())
    assert isinstance(user, accounts.User)


async def test_an_address_that_tries_many_accounts_is_stopped(console: RunningConsole, wall: FrozenClock) -> None:
    await console.user("Claire")
    for i in range(accounts.PER_ADDRESS):
        assert await console.accounts.check_password(f"n{i}", "faux", "10.0.0.1", wall.now()) is None
    assert isinstance(await console.accounts.check_password("Claire", PASSWORD, "10.0.0.1", wall.now()), timedelta)
    assert isinstance(await console.accounts.check_password("Claire", PASSWORD, "10.0.0.2", wall.now()), accounts.User)


# -- sessions -----------------------------------------------------------------------------------------------------


async def test_idle_sessions_end_after_half_an_hour(
    console: RunningConsole, someone: Browser, wall: FrozenClock
) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    wall.advance(minutes=29)
    assert (await someone.get("/file")).path == "/file"
    wall.advance(minutes=29)
    assert (await someone.get("/file", X_Planton_Live="1")).status == 200  # the page by itself: no sign of life
    wall.advance(minutes=2)
    assert (await someone.get("/file", X_Planton_Live="1")).status == 401
    assert (await someone.get("/file")).path.startswith("/connexion")


async def test_sessions_end_after_twelve_hours(console: RunningConsole, someone: Browser, wall: FrozenClock) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    for _ in range(35):
        wall.advance(minutes=20)
        assert (await someone.get("/file")).path == "/file"
    wall.advance(minutes=20)
    assert (await someone.get("/file")).path.startswith("/connexion")


async def test_a_new_log_in_ends_the_old_session(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    old = next(c.value for c in someone.cookies() if c.key == "planton_session")
    page = await someone.get("/file")
    await someone.post("/deconnexion", csrf=page.hidden("csrf"))
    async with (
        aiohttp.ClientSession(cookies={"planton_session": old}) as thief,
        thief.get(console.url + "/file") as answer,
    ):
        assert answer.url.path == "/connexion"


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


# -- one-time links -----------------------------------------------------------------------------------------------


async def test_a_one_time_link_opens_once_and_only_in_the_sandbox(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock
) -> None:
    async with running_console(database, database_url, codec, frozen_clock, demo=True) as console:
        user = await console.user("Agent", password=None)
        token = await console.accounts.create_link(user, frozen_clock.now())
        late = await console.accounts.create_link(user, frozen_clock.now() - timedelta(hours=1))
        async with Browser(console) as browser:
            assert (await browser.get(f"/entrer?jeton={late}")).status == 403
            assert (await browser.get(f"/entrer?jeton={token}")).path == "/file"
        async with Browser(console) as browser:
            assert (await browser.get(f"/entrer?jeton={token}")).status == 403
            assert (await browser.get("/entrer")).status == 403
            assert (await browser.get("/file")).path.startswith("/connexion")
    async with running_console(database, database_url, codec, frozen_clock) as console:
        token = await console.accounts.create_link(user, frozen_clock.now())
        async with Browser(console) as browser:
            assert (await browser.get(f"/entrer?jeton={token}")).status == 404


# -- accounts -----------------------------------------------------------------------------------------------------


async def test_accounts_that_cannot_be_made(console: RunningConsole) -> None:
    await console.user("Claire")
    for name, role, password in (
        ("Claire", "agent", PASSWORD),
        ("", "agent", PASSWORD),
        ("X", "king", PASSWORD),
        ("X", "agent", "court"),
    ):
        with pytest.raises(AccountError):
            await console.accounts.add(name, role, password)
    assert await console.accounts.find("Claire") == console.users["Claire"]
    assert await console.accounts.find("X") is None


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
    script = await someone.get("/static/console.js")
    assert script.status == 200
    assert "no-store" not in script.headers["Cache-Control"]


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
    await console.execute("UPDATE events SET body = 'x'")  # what no key opens
    broken = await someone.get(f"/conversations/{number}")
    assert broken.status == 500
    assert "Une erreur est survenue" in broken.page
    assert "Traceback" not in broken.page
    assert "SettingsError" not in broken.page


async def test_the_database_away_is_said(console: RunningConsole, someone: Browser, database: Database) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    url, database.url = database.url, "postgresql://127.0.0.1:1/none"
    await database.engine.dispose()
    away = await someone.get("/file")
    assert away.status == 503
    assert "La base de données ne répond pas" in away.page
    database.url = url
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


# -- news ---------------------------------------------------------------------------------------------------------


async def test_news_come_within_a_second_and_carry_numbers_only(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    number = await console.says("p", "mots secrets")
    cookies = {c.key: c.value for c in someone.cookies()}
    async with aiohttp.ClientSession(cookies=cookies) as client, client.get(console.url + "/flux") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["Cache-Control"] == "no-store"
        assert b"event: pret" in await _until_blank(stream)
        await asyncio.sleep(0.3)  # the LISTEN connection is there
        await console.hand_off(number)
        news = await asyncio.wait_for(_until_blank(stream), 1)
    assert news == f"event: change\ndata: {number}\n\n".encode()


async def test_the_stream_ends_with_the_session(
    console: RunningConsole, someone: Browser, wall: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.console.live.BEAT", 0.05)
    await console.user("Claire")
    await someone.log_in("Claire")
    cookies = {c.key: c.value for c in someone.cookies()}
    async with aiohttp.ClientSession(cookies=cookies) as client, client.get(console.url + "/flux") as stream:
        await _until_blank(stream)
        wall.advance(hours=1)
        rest = await asyncio.wait_for(stream.content.read(), 2)
    assert rest.endswith(b"event: fin\ndata: 1\n\n")


async def test_a_stream_that_is_left_is_forgotten(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    cookies = {c.key: c.value for c in someone.cookies()}
    listener = console.listener
    async with aiohttp.ClientSession(cookies=cookies) as client, client.get(console.url + "/flux") as stream:
        await _until_blank(stream)
        assert len(listener._subscribers) == 1
    for _ in range(100):
        if not listener._subscribers:
            break
        await asyncio.sleep(0.05)
    assert listener._subscribers == []


async def _until_blank(stream: aiohttp.ClientResponse) -> bytes:
    read = b""
    while not read.endswith(b"\n\n"):
        read += await stream.content.readline()
    return read


def test_wall_clock_is_the_machines_unless_told() -> None:
    from bot.console.deps import ConsoleDeps

    assert ConsoleDeps.__dataclass_fields__["wall"].default_factory is SystemClock


async def test_pages_look_again_after_the_database_was_away(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    cookies = {c.key: c.value for c in someone.cookies()}
    async with aiohttp.ClientSession(cookies=cookies) as client, client.get(console.url + "/flux") as stream:
        await _until_blank(stream)
        await asyncio.sleep(0.3)
        await console.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'planton-listen' "
            "AND datname = current_database()"
        )
        news = await asyncio.wait_for(_until_blank(stream), 3)
    assert news == b"event: change\ndata: *\n\n"
