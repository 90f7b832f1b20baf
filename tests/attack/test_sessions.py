"""Sessions: fixed before, stolen after, left behind in the browser; cookies made of nonsense."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import aiohttp
import pytest
from playwright.async_api import async_playwright, expect

from bot.core.clock import FrozenClock
from bot.store.accounts import AccountError, Accounts
from bot.store.administration import Administration
from bot.store.codec import Codec
from bot.store.db import Database
from tests.browser.conftest import ARGUMENTS, by_day, chromium_path  # noqa: F401 (fixture)
from tests.browser.helpers import NAMES, enter
from tests.fakes.console import KEY, PASSWORD, Browser, RunningConsole, running_console

PLANTED = "jeton-choisi-par-un-autre"


def session_of(browser: Browser) -> str:
    """The token that the browser holds."""
    return next((str(c.value) for c in browser.cookies() if c.key == "planton_session"), "")


async def test_a_token_chosen_before_the_log_in_opens_nothing(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    someone._client.cookie_jar.update_cookies({"planton_session": PLANTED}, aiohttp.client.URL(console.url))
    assert (await someone.get("/file")).path.startswith("/connexion")
    await someone.log_in("Claire")
    assert session_of(someone) not in ("", PLANTED)
    assert (await someone.get("/file")).status == 200
    assert await console.accounts.sessions.of_token(PLANTED, console.wall.now()) is None


async def test_a_stolen_cookie_dies_with_the_session(console: RunningConsole, claire: Browser) -> None:
    """A session is bound to its token alone: addresses change under way, and a program copies what a browser says of itself.

    What holds: scripts and other sites do not reach the cookie, it is seen in the list of sessions, and it ends with the
    log-out, a new password, half an hour of rest or twelve hours.
    """
    token = session_of(claire)
    async with Browser(console) as thief:
        thief._client.cookie_jar.update_cookies({"planton_session": token}, aiohttp.client.URL(console.url))
        assert (await thief.get("/file")).status == 200
        csrf = (await claire.get("/file")).hidden("csrf")
        out = await claire.post("/deconnexion", csrf=csrf)
        assert out.headers["Clear-Site-Data"] == '"cache", "storage"'
        assert out.headers["Cache-Control"] == "no-store"
        assert (await thief.get("/file")).path.startswith("/connexion")
        assert (await thief.post("/mon-compte/preferences", csrf=csrf)).status == 303


async def test_who_writes_into_the_database_makes_no_session(console: RunningConsole, claire: Browser) -> None:
    """Neither a thief of the database nor whoever may write its rows has the key that a token is stored with."""
    chief = (await console.user("Alix", "administrator")).id
    sessions, now = console.accounts.sessions, console.wall.now()
    mine = session_of(claire)
    made_up = hashlib.sha256(PLANTED.encode()).digest()  # what an earlier version stored of a token
    for seal in ("NULL", "seal"):
        await console.execute(
            f"""INSERT INTO sessions (token_hash, user_id, csrf, created_at, seen_at, method, stage, seal)
                SELECT :mark, :who, csrf, created_at, seen_at, method, 'open', {seal} FROM sessions LIMIT 1""",
            mark=made_up,
            who=chief,
        )
        assert await sessions.of_token(PLANTED, now) is None
        await console.execute("DELETE FROM sessions WHERE token_hash = :mark", mark=made_up)
    for change, back in (
        (f"user_id = {chief}", f"user_id = {console.users['Claire'].id}"),
        ("created_at = created_at + interval '1 hour'", "created_at = created_at - interval '1 hour'"),
        ("method = 'link'", "method = 'password'"),
        ("seal = NULL", "seal = seal"),
    ):
        assert await sessions.of_token(mine, now) is not None
        await console.execute(f"UPDATE sessions SET {change}")
        assert await sessions.of_token(mine, now) is None, change
        await console.execute(f"UPDATE sessions SET {back}")
    assert (await claire.get("/file")).path.startswith("/connexion")


@pytest.mark.parametrize("change", ["user_id = :chief", "expires_at = expires_at + interval '1 hour'", "seal = NULL"])
async def test_who_writes_into_the_database_makes_no_invitation(console: RunningConsole, change: str) -> None:
    """An invitation that was sent to oneself does not become another's, nor one that lasts."""
    users, now = console.users, console.wall.now()
    await console.user("Alix", "administrator")
    await console.user("Claire")
    store = Administration(console.database, console.accounts)
    made = await store.reset_password(users["Alix"], users["Claire"].id, "link", now)
    assert (await console.accounts.invited(made.secret, now)) == users["Claire"]
    await console.execute(
        f"UPDATE login_links SET {change}", **({"chief": users["Alix"].id} if ":chief" in change else {})
    )
    assert await console.accounts.invited(made.secret, now) is None
    with pytest.raises(AccountError):
        await console.accounts.accept(made.secret, "girafe tambour lundi", now)


async def test_sessions_and_invitations_outlive_a_new_key_while_the_old_one_is_told(console: RunningConsole) -> None:
    user, now = await console.user("Claire"), console.wall.now()
    token = await console.accounts.sessions.begin(user, now)
    link = await console.accounts.login_link(user.id, now)
    turning, turned = (Accounts(console.database, *keys) for keys in (("new", KEY), ("new",)))
    assert await turned.sessions.of_token(token, now) is None
    assert await turned.use_login_link(link, now) is None
    session = await turning.sessions.of_token(token, now)
    assert session is not None
    assert await turning.use_login_link(link, now) == user
    renewed = await turning.sessions.renew(session.id)
    assert await turned.sessions.of_token(renewed, now) is not None


@pytest.mark.parametrize("secure", [True, False])
async def test_the_cookies_of_a_session(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, secure: bool
) -> None:
    async with (
        running_console(database, database_url, codec, frozen_clock, secure_cookies=secure) as console,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
    ):
        await console.user("Claire")
        async with client.get(console.url + "/connexion") as shown:
            page, stub = await shown.text(), shown.headers["Set-Cookie"].partition(";")[0]
        csrf = page.split('name="csrf" value="')[1].split('"')[0]
        fields = {"csrf": csrf, "nom": "Claire", "mot_de_passe": PASSWORD}
        async with client.post(
            console.url + "/connexion", data=fields, headers={"Cookie": stub}, allow_redirects=False
        ) as entered:
            assert entered.status == 303
            cookies = entered.headers.getall("Set-Cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        name, *flags = (part.strip() for part in cookie.split(";"))
        assert {"Path=/", "HttpOnly", "SameSite=Lax"} <= set(flags)
        assert not any(flag.startswith("Domain") for flag in flags)
        assert ("Secure" in flags, name.startswith("__Host-")) == (secure, secure)


NONSENSE = (
    b"planton_session=\xff\xfe; planton_entree=\xff; planton_appareil=\xff.\xff",
    b"planton_session=" + b"a" * 4000,
    b'planton_session="; planton_appareil=.; planton_entree=',
    b"planton_session=\x01\x7f; planton_session=b; ;;;=;",
    b"planton_appareil=" + "é.é".encode() + b"; planton_session=%00%ff",
)


async def test_cookies_of_nonsense_are_no_session(console: RunningConsole) -> None:
    where = urlsplit(console.url)
    form = b"nom=Claire&mot_de_passe=x&csrf=x"
    kind = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " + str(len(form)).encode() + b"\r\n"
    heads = ((b"GET /file HTTP/1.1\r\n", b""), (b"POST /connexion HTTP/1.1\r\n" + kind, form))
    for cookie, (head, body) in itertools.product(NONSENSE, heads):
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        agent = b"User-Agent: \xff<script>\x00\r\n"
        writer.write(head + b"Host: x\r\nConnection: close\r\n" + agent + b"Cookie: " + cookie + b"\r\n\r\n" + body)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        assert int(answer.split()[1]) in (303, 400, 403), (cookie[:40], answer[:200])


async def test_what_a_browser_says_of_itself_is_text(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    csrf = (await someone.get("/connexion")).hidden("csrf")
    agent = "Mozilla/5.0 (X11; <img src=x onerror=alert(1)> rv:1) <script>alert(1)</script>/1.0 \udcff" + "z" * 3000
    entered = await someone.post(
        "/connexion", headers={"User-Agent": agent.encode("utf-8", "replace").decode()}, csrf=csrf,
        nom="Claire", mot_de_passe=PASSWORD,
    )  # fmt: skip
    assert entered.status == 303
    kept = (await console.rows("SELECT device FROM sessions"))[0].device
    assert len(kept) <= 100
    page = (await someone.get("/mon-compte")).page
    assert "<script>alert" not in page
    assert "<img src=x" not in page


@pytest.fixture
async def office(database: Database, database_url: str, codec: Codec) -> AsyncIterator[RunningConsole]:
    """A console by day, with one agent."""
    async with running_console(database, database_url, codec, by_day()) as started:
        await started.user(NAMES["agent"])
        yield started


async def test_after_log_out_back_shows_nothing(office: RunningConsole, chromium_path: str) -> None:  # noqa: F811
    """With the memory of pages for « Précédent » switched on, as people have it."""
    number = await office.waiting(said="des mots qui restent entre nous")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path, args=list(ARGUMENTS), ignore_default_args=["--disable-back-forward-cache"]
        )
        page = await (await browser.new_context(locale="fr-FR")).new_page()
        await enter(page, office)
        await page.goto(f"{office.url}/conversations/{number}")
        await expect(page.get_by_test_id("thread")).to_contain_text("des mots qui restent entre nous")
        await page.evaluate(
            "localStorage.setItem('brouillon', 'secret'); sessionStorage.setItem('brouillon', 'secret')"
        )
        await page.locator('form[action="/deconnexion"] button').first.evaluate("button => button.form.submit()")
        await page.wait_for_url("**/connexion*")
        assert await page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
        for _ in range(2):
            await page.go_back()
            await page.wait_for_timeout(200)
            if page.url.startswith("about:"):
                break
            await expect(page.get_by_test_id("login-name")).to_be_visible()
            assert "des mots qui restent" not in await page.content()
        await browser.close()
