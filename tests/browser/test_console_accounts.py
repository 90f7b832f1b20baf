"""Accounts in a real Chromium: an administrator, a validator who sets up one-time codes, an identity provider."""

from __future__ import annotations

import re

import pyotp
from playwright.async_api import Browser, Page, expect

from bot.console.provider import ProviderConfig
from bot.core.clock import SystemClock
from bot.store.codec import Codec
from bot.store.db import Database
from tests.browser.helpers import accessible, live, picture, someone
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.oidc_server import CLIENT, SECRET, running_oidc_server

CHOSEN = "girafe tambour lundi"


async def log_in(page: Page, console: RunningConsole, name: str, password: str) -> None:
    await page.goto(console.url + "/connexion")
    await page.get_by_test_id("login-name").fill(name)
    await page.get_by_test_id("login-password").fill(password)
    await page.keyboard.press("Enter")


async def shown_secret(page: Page) -> pyotp.TOTP:
    await page.locator("summary", has_text="Vous ne pouvez pas le lire").click()
    return pyotp.TOTP((await page.get_by_test_id("factor-secret").inner_text()).replace(" ", ""))


async def narrow(page: Page, name: str) -> None:
    """The page holds on the narrowest screen, in the dark theme as well."""
    await page.set_viewport_size({"width": 320, "height": 700})
    await page.emulate_media(color_scheme="dark", reduced_motion="reduce")  # no colour halfway
    await accessible(page)
    await picture(page, name)
    await page.set_viewport_size({"width": 1280, "height": 900})
    await page.emulate_media(color_scheme="light")


async def test_a_validator_from_invitation_to_the_end_of_the_account(
    console: RunningConsole, browser: Browser, page: Page
) -> None:
    for name in ("Yanis Keller", "Odile Garnier"):
        await console.user(name, "auditor" if name.startswith("O") else "agent")
    async with someone(browser, console, "administrator") as alix:
        await alix.get_by_test_id("nav-accounts").click()
        await expect(alix.get_by_test_id("account-row")).to_have_count(4)
        await alix.get_by_test_id("teams-tab").click()
        await expect(alix.get_by_test_id("empty")).to_be_visible()
        await alix.get_by_test_id("team-name").fill("Nuit")
        await alix.keyboard.press("Enter")
        await alix.get_by_label("Yanis Keller").check()
        await accessible(alix)
        await picture(alix, "accounts-team")
        await alix.get_by_test_id("team-save").click()
        await expect(alix.get_by_test_id("team-row")).to_contain_text("Yanis Keller")
        await accessible(alix)
        await picture(alix, "accounts-teams")

        await alix.goto(console.url + "/comptes/nouveau")
        await expect(alix.get_by_test_id("account-level")).to_be_hidden()
        await alix.get_by_test_id("account-name").fill("Denis Aubry")
        await alix.get_by_test_id("account-role").select_option("validator")
        await alix.get_by_test_id("account-level").select_option("service")
        await alix.get_by_label("Nuit").check()
        await accessible(alix)
        await picture(alix, "accounts-new")
        await alix.get_by_test_id("account-create").click()
        link = await alix.get_by_test_id("account-link").input_value()
        assert link.startswith(console.url + "/connexion/invitation?jeton=")
        await accessible(alix)
        await picture(alix, "accounts-handed")
        await alix.get_by_test_id("account-open").click()

        totp, codes = await invited(page, link)
        await again(page, console, totp, codes)
        await seen_and_ended(alix, page, console)


async def invited(page: Page, link: str) -> tuple[pyotp.TOTP, list[str]]:
    """The validator follows the link, chooses a password, sets up the one-time codes."""
    await page.goto(link)
    await accessible(page)
    await picture(page, "accounts-invitation")
    await page.get_by_test_id("login-new").fill(CHOSEN)
    await page.get_by_test_id("login-again").fill(CHOSEN)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Relier une application de codes")).to_be_visible()
    await accessible(page)
    await picture(page, "accounts-enrol")
    totp = await shown_secret(page)
    await narrow(page, "accounts-enrol-narrow")
    await page.get_by_test_id("factor-code").fill("12")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("ne correspond pas")
    await page.get_by_test_id("factor-code").fill(totp.now())
    await page.keyboard.press("Enter")
    listed = page.get_by_test_id("recovery-codes").locator("li")
    await expect(listed).to_have_count(10)
    codes = await listed.all_inner_texts()
    await accessible(page)
    await picture(page, "accounts-codes")
    await page.get_by_test_id("codes-kept").click()
    await expect(page.get_by_role("heading", name="File")).to_be_visible()
    return totp, codes


async def again(page: Page, console: RunningConsole, totp: pyotp.TOTP, codes: list[str]) -> None:
    """Out, in with a code of the application; out, in with a recovery code."""
    await page.get_by_test_id("logout").click()
    await log_in(page, console, "denis aubry", CHOSEN)
    await expect(page.get_by_label("Code à 6")).to_be_focused()
    await accessible(page)
    await picture(page, "accounts-code")
    await page.keyboard.type(totp.at(SystemClock().now(), counter_offset=1))  # the present one has been used
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="File")).to_be_visible()
    await page.get_by_test_id("logout").click()
    await log_in(page, console, "Denis Aubry", CHOSEN)
    await page.get_by_test_id("login-recovery").click()
    await expect(page.get_by_label("codes de secours")).to_be_focused()
    await page.keyboard.type(codes[3])
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="File")).to_be_visible()


async def seen_and_ended(alix: Page, page: Page, console: RunningConsole) -> None:
    """The administrator sees the session and ends it, then the account: the open page is thrown out each time."""
    await live(page)
    await alix.reload()
    await expect(alix.get_by_test_id("session-row")).to_contain_text("Linux")
    await expect(alix.get_by_text("9 codes de secours")).to_be_visible()
    await accessible(alix)
    await picture(alix, "accounts-page")
    await narrow(alix, "accounts-page-narrow")
    await alix.get_by_test_id("account-sessions-end").click()
    await expect(alix.get_by_test_id("told")).to_contain_text("sessions sont fermées")
    await expect(page.locator("#lost")).to_contain_text("Votre session a expiré")
    await page.reload()
    await expect(page.get_by_test_id("login-name")).to_be_visible()

    await log_in(page, console, "Denis Aubry", CHOSEN)
    await expect(page.get_by_test_id("login-code")).to_be_visible()
    await console.open_sessions("Denis Aubry")
    await page.goto(console.url + "/file")
    await live(page)
    await alix.get_by_test_id("account-disable").click()
    await expect(page.locator("#lost")).to_contain_text("Votre session a expiré")
    await log_in(page, console, "Denis Aubry", CHOSEN)
    await expect(page.get_by_role("alert")).to_contain_text("Nom ou mot de passe incorrect")
    await alix.goto(console.url + "/comptes?etat=tous")
    await expect(alix.get_by_test_id("account-row")).to_have_count(5)
    await accessible(alix)
    await picture(alix, "accounts-list")
    await narrow(alix, "accounts-list-narrow")


async def test_ones_own_account_by_keyboard(agent: Page, console: RunningConsole) -> None:
    await agent.get_by_test_id("nav-me").press("Enter")
    await agent.get_by_test_id("me-factor-set").press("Enter")
    totp = await shown_secret(agent)
    await agent.get_by_test_id("factor-code").fill(totp.now())
    await agent.keyboard.press("Enter")
    await expect(agent.get_by_test_id("recovery-codes").locator("li")).to_have_count(10)
    await accessible(agent)
    await agent.get_by_test_id("codes-kept").press("Enter")
    await expect(agent.get_by_text("10 codes de secours")).to_be_visible()
    await accessible(agent)
    await picture(agent, "accounts-me")
    await narrow(agent, "accounts-me-narrow")
    await agent.get_by_test_id("me-current").fill("une phrase de passe")
    await agent.get_by_test_id("login-new").fill(CHOSEN)
    await agent.get_by_test_id("login-again").fill(CHOSEN)
    await agent.keyboard.press("Enter")
    await expect(agent.get_by_test_id("told")).to_contain_text("Votre mot de passe est changé")
    await agent.get_by_test_id("me-codes-open").press("Enter")
    await agent.get_by_test_id("me-codes-code").fill(totp.at(SystemClock().now(), counter_offset=1))
    await agent.keyboard.press("Enter")
    await expect(agent.get_by_test_id("recovery-codes").locator("li")).to_have_count(10)


async def test_through_the_identity_provider(page: Page, database: Database, database_url: str, codec: Codec) -> None:
    with running_oidc_server() as server:
        await server.user("claire", email="claire@exemple.fr", email_verified=True)
        config = ProviderConfig(server.issuer, CLIENT, SECRET, "Portail agents")
        async with running_console(database, database_url, codec, SystemClock(), provider=config) as console:
            await console.user("Claire Martin")
            await console.execute("UPDATE users SET email = 'claire@exemple.fr'")
            await page.goto(console.url + "/aide")
            await accessible(page)
            await picture(page, "accounts-login-provider")
            await page.get_by_test_id("login-provider").click()
            await page.wait_for_url(re.compile("/oauth2/authorize"))
            await page.locator("input[name=sub]").fill("claire")
            await page.locator("input[name=sub]").press("Enter")
            await expect(page).to_have_url(console.url + "/aide")
            await expect(page.get_by_text("Claire Martin")).to_be_visible()
            await page.get_by_test_id("logout").click()
            await accessible(page)
            await picture(page, "accounts-logout-provider")
            await page.get_by_test_id("login-out-elsewhere").click()
            await page.get_by_role("button").first.click()
            await expect(page).to_have_url(console.url + "/connexion")
