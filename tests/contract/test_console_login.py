"""Log-in, the brake on guessing, sessions, one-time links, accounts."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import aiohttp
import pytest

from bot.core.clock import FrozenClock
from bot.store import accounts, throttle
from bot.store.accounts import AccountError
from bot.store.codec import Codec
from bot.store.db import Database
from tests.fakes.console import PASSWORD, Browser, RunningConsole, running_console

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
    for _ in range(throttle.PER_PAIR):
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
    assert sorted(statuses) == [401] * throttle.PER_PAIR + [429] * (12 - throttle.PER_PAIR)


async def test_the_owner_is_not_locked_out(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    page = await someone.get("/file")
    await someone.post("/deconnexion", csrf=page.hidden("csrf"))
    async with Browser(console) as attacker:
        for _ in range(throttle.PER_PAIR + 1):
            await attacker.log_in("Claire", "faux mot de passe")
        assert (await attacker.log_in("Claire")).status == 429
    assert (await someone.log_in("Claire")).status == 303  # the browser is known


async def test_a_known_browser_cannot_guess_for_ever(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    await someone.post("/deconnexion", csrf=(await someone.get("/file")).hidden("csrf"))
    statuses = [
        (await someone.log_in("Claire", "faux mot de passe")).status
        for _ in range(throttle.PER_DEVICE + throttle.PER_PAIR + 1)
    ]
    assert statuses == [401] * (throttle.PER_DEVICE + throttle.PER_PAIR) + [429]


async def test_an_account_attacked_from_everywhere_is_slowed_not_locked(
    console: RunningConsole, wall: FrozenClock
) -> None:
    await console.user("Claire")
    check = console.accounts.check_password
    for i in range(throttle.PER_ACCOUNT):
        assert await check("Claire", "faux", f"10.0.{i}.1", wall.now()) is None
    assert await check("Claire", PASSWORD, "192.0.2.1", wall.now()) == throttle.SLOW
    wall.advance(seconds=11)
    user = await check("Claire", PASSWORD, "192.0.2.1", wall.now())
    assert isinstance(user, accounts.User)


async def test_an_address_that_tries_many_accounts_is_stopped(console: RunningConsole, wall: FrozenClock) -> None:
    await console.user("Claire")
    for i in range(throttle.PER_ADDRESS):
        assert await console.accounts.check_password(f"n{i}", "faux", "10.0.0.1", wall.now()) is None
    assert isinstance(await console.accounts.check_password("Claire", PASSWORD, "10.0.0.1", wall.now()), timedelta)
    assert isinstance(await console.accounts.check_password("Claire", PASSWORD, "10.0.0.2", wall.now()), accounts.User)


@pytest.mark.parametrize("proxies", [0, 1])
async def test_behind_a_proxy_each_address_is_its_own_and_no_header_of_ones_own_counts(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, proxies: int
) -> None:
    async with (
        running_console(database, database_url, codec, frozen_clock, proxies=proxies) as console,
        Browser(console) as someone,
    ):
        await console.user("Claire")

        async def tries(address: str) -> list[int]:
            found = []
            for i in range(throttle.PER_PAIR + 1):
                csrf = (await someone.get("/connexion")).hidden("csrf")
                sent = {"X-Forwarded-For": f"203.0.113.{i}, {address}"}  # the last one is the proxy's word
                fields = {"csrf": csrf, "nom": "Claire", "mot_de_passe": "faux"}
                found.append((await someone.post("/connexion", headers=sent, **fields)).status)
            return found

        assert await tries("198.51.100.1") == [401] * throttle.PER_PAIR + [429]
        other = await tries("198.51.100.2")
        assert other[0] == (401 if proxies else 429)


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


# -- one-time links -----------------------------------------------------------------------------------------------


async def test_a_one_time_link_opens_once_and_only_in_the_sandbox(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock
) -> None:
    async with running_console(database, database_url, codec, frozen_clock, demo=True) as console:
        user = await console.user("Agent", password=None)
        token = await console.accounts.login_link(user.id, frozen_clock.now())
        late = await console.accounts.login_link(user.id, frozen_clock.now() - timedelta(hours=1))
        async with Browser(console) as browser:
            assert (await browser.get(f"/entrer?jeton={late}")).status == 403
            assert (await browser.get(f"/entrer?jeton={token}")).path == "/file"
        chief = await console.user("Chef", "administrator", password=None)
        async with Browser(console) as browser:  # counts as both factors
            link = await console.accounts.login_link(chief.id, frozen_clock.now())
            assert (await browser.get(f"/entrer?jeton={link}")).path == "/file"
            assert (await browser.get("/comptes")).status == 200
        async with Browser(console) as browser:
            assert (await browser.get(f"/entrer?jeton={token}")).status == 403
            assert (await browser.get("/entrer")).status == 403
            assert (await browser.get("/file")).path.startswith("/connexion")
    async with running_console(database, database_url, codec, frozen_clock) as console:
        token = await console.accounts.login_link(user.id, frozen_clock.now())
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
