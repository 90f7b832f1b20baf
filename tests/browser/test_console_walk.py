"""A walk over every page that the console serves: light, dark and narrow, each with axe and no sideways scroll."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from bot.console.door import Open
from bot.store.accounts import User
from bot.store.codec import Codec
from bot.store.db import TRAINER, Database, Listener
from bot.store.desk.access import Desk
from bot.store.desk.crisis import CrisisStore
from bot.store.workbench.runs import Runs
from bot.trainer.project import Project
from bot.trainer.runs import Trainings
from bot.trainer.trial import Trial
from tests.browser.conftest import by_day
from tests.browser.helpers import AA, NAMES, part, someone, violations
from tests.browser.test_console_pages import filled
from tests.browser.test_workbench_inbox import SAID, read
from tests.conftest import of_part
from tests.contract.test_crisis_groups import ASKED, MESSAGE
from tests.fakes.console import Browser as Visitor
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine
from tests.fakes.project import copied, thin
from tests.fakes.training import Scripted
from tests.fakes.trial import ScriptedCandidate, scripted_judge

# What is served by GET and is no page of its own: streams, files, fragments, and the steps of a log-in.
NO_PAGE = re.compile(
    r"^/$|^/flux$|\.csv$|^/(crise|assistant)/bandeau$|/alertes$|/pieces/|/suggestion$|^/catalogue$|^/conversations/<number:int>/reponses-types$"
)
DARK = {**AA, "runOnly": {"type": "rule", "values": ["color-contrast"]}}  # a theme changes colours only


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Files of the test’s own, few of each kind."""
    return thin(copied(tmp_path / "project"))


@pytest.fixture
async def console(
    browser: Browser, database: Database, database_url: str, codec: Codec, project: Project
) -> AsyncIterator[RunningConsole]:
    """A console that has the trainers' folder."""
    trial = Trial(ScriptedCandidate(), scripted_judge())
    async with running_console(
        database, database_url, codec, by_day(), engine=ScriptedEngine(), project=project, trial=trial
    ) as started:
        await started.user(NAMES["agent"])
        yield started
        await part(browser)


def pages(console: RunningConsole) -> list[str]:
    """The patterns of the pages that someone who is logged in can open."""
    served = {
        "/" + route.path
        for route in console.app.router.routes
        if "GET" in route.methods and not isinstance(getattr(route.ctx, "needs", Open.NOBODY), Open)
    }
    return sorted(path for path in served if not NO_PAGE.search(path))


async def furnished(console: RunningConsole) -> dict[str, int]:
    """A console that has one of everything; pattern's beginning → number."""
    number = await filled(console)
    agent, chief = console.users[NAMES["agent"]], await console.user(NAMES["validator"], "validator")
    boss = console.users[NAMES["administrator"]]
    await console.execute("INSERT INTO teams (name) VALUES ('Réclamations')")
    await console.execute("UPDATE validation_rules SET steps = '{service}' WHERE category = 'complaint'")
    async with Visitor(console) as claire:
        await claire.log_in(agent.name)
        await claire.act(number, "prendre")
        assert (
            await claire.act(number, "soumettre", message="Bonjour, votre réclamation est transmise.")
        ).status == 303
    await console.bot_says(number, "mot " * 1200, author="agent")  # a long one is folded
    for i in range(3):
        await console.waiting(f"c{i}", ASKED)
    mode, now = CrisisStore(Desk(console.database, console.codec, {})), console.clock.now()
    crisis = await mode.write(agent, MESSAGE, now)
    await mode.validate(replace(chief, level="service"), crisis, now)
    await mode.open_(boss, crisis, now)
    one = {"conversations": number, "comptes": agent.id}
    for place, table in (("equipes", "teams"), ("validation", "submissions"), ("reponses-types", "canned_replies")):
        one[place] = (await console.rows(f"SELECT max(id) AS id FROM {table}"))[0].id
    event = await read(console, "w1", SAID[1][0], *SAID[1][1])
    conversation = await console.rows("SELECT conversation_id AS id FROM events WHERE id = :id", id=event)
    return {
        **one,
        "atelier/messages": event,
        "atelier/conversations": conversation[0].id,
    }


async def trained(console: RunningConsole, boss: User, project: Project, url: str) -> int:
    """A training that is over; its number."""
    number, _ = await Runs(console.database).ask(console.clock.now(), boss)
    listener = Listener(url, (TRAINER,))
    listener.start()
    assert await Trainings(
        project, of_part(console.database, "trainer"), console.codec, listener, console.clock, Scripted()
    ).take()
    await listener.close()
    return number


async def faults(page: Page, options: object) -> list[object]:
    """What axe finds wrong, and a page that is wider than its screen."""
    wide = await page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    return [*await violations(page, options), *(["wider than the screen"] if wide else [])]


def address(pattern: str, one: dict[str, int]) -> str:
    """A page that the pattern serves."""
    place = pattern.partition("/<")[0].strip("/")
    named = {"atelier/exemples": "procuration", "atelier/reponses": "utter_procuration"}
    pattern = pattern.replace("<intent:str>/<name:str>", "procuration/comment_faire")
    return re.sub(r"<\w+:\w+>", str(one.get(place) or named.get(place, "")), pattern)


async def test_every_page_of_the_console(
    console: RunningConsole, browser: Browser, project: Project, database_url: str
) -> None:
    boss = await console.user(NAMES["administrator"], "administrator")
    async with someone(browser, console, "administrator", reduced_motion="reduce") as page:
        one = await furnished(console)
        one["atelier/essais"] = await trained(console, boss, project, database_url)
        await page.goto(f"{console.url}/crise")
        await expect(page.get_by_test_id("crisis-group").first).to_be_visible(timeout=60_000)
        one["crise/groupes"] = (await console.rows("SELECT min(id) AS id FROM message_groups"))[0].id
        walked = pages(console)
        assert len(walked) >= 20
        for pattern in walked:
            path = address(pattern, one)
            answer = await page.goto(console.url + path)
            assert answer is not None
            assert answer.status == 200, path
            assert await faults(page, AA) == [], path
            await page.emulate_media(color_scheme="dark")
            assert await faults(page, DARK) == [], f"{path} dark"
            await page.emulate_media(color_scheme="light")
            await page.set_viewport_size({"width": 320, "height": 640})
            assert await faults(page, AA) == [], f"{path} narrow"
            await page.set_viewport_size({"width": 1280, "height": 900})
