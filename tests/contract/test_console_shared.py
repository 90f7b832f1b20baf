"""What every topic of the console builds on: audit, news, teams, keyed hashes, access, panels."""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest
from sanic import Blueprint

from bot.console.app import TOPICS
from bot.console.site import Panel, Showing, Site, Slot, Topic
from bot.core.clock import FrozenClock
from bot.policy.rights import Capability
from bot.store import audit, news
from bot.store.accounts import AccountError
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.desk.access import Desk
from bot.store.desk.errors import NoSuchConversation, NotAllowed
from bot.store.teams import Teams
from tests.fakes.console import Browser, RunningConsole, running_console


async def test_the_audit_says_who_did_what_to_whom(console: RunningConsole) -> None:
    now = console.clock.now()
    chief, claire = await console.user("Chef", "administrator"), await console.user("Claire")
    async with console.database.begin() as connection:
        await audit.record(connection, now, chief.id, "user_disabled", subject_id=claire.id, reason="départ")
        with pytest.raises(ValueError, match="no such action"):
            await audit.record(connection, now, chief.id, "user_eaten")
    row = (await console.rows("SELECT * FROM audit WHERE action = 'user_disabled'"))[0]
    assert (row.at, row.user_id, row.action, row.subject_id, row.detail) == (
        now, chief.id, "user_disabled", claire.id, {"reason": "départ"},
    )  # fmt: skip


async def test_what_is_undone_is_not_recorded(console: RunningConsole) -> None:
    async def fails() -> None:
        async with console.database.begin() as connection:
            await audit.record(connection, console.clock.now(), None, "login")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert await console.rows("SELECT 1 FROM audit") == []


async def test_news_reach_listeners_after_the_commit(console: RunningConsole, claire: Browser) -> None:
    heard: set[str] = set()
    with console.listener.subscribe() as queue:
        async with console.database.begin() as connection:
            await news.topic(connection, "presence", 12)
            await news.topic(connection, "validation")
            for wrong in ("Mots secrets", "a b", ""):
                with pytest.raises(ValueError, match="no token"):
                    await news.topic(connection, wrong)
            await asyncio.sleep(0.2)
            while not queue.empty():
                heard.add(queue.get_nowait()[1])
            assert not heard - {""}
        async with asyncio.timeout(180):
            while len(heard - {""}) < 2:
                heard.add((await queue.get())[1])
    assert heard - {""} == {"presence:12", "validation"}


async def test_teams(console: RunningConsole) -> None:
    teams, now = Teams(console.database), console.clock.now()
    chief = await console.user("Chef", "administrator")
    claire, yanis = await console.user("Claire"), await console.user("Yanis")
    night = await teams.add(chief, " Nuit ", now)
    with pytest.raises(AccountError, match="existe déjà"):
        await teams.add(chief, "Nuit", now)
    with pytest.raises(AccountError, match="ne convient pas"):
        await teams.add(chief, " ", now)
    await teams.change(chief, night, "Nuit", [claire.id, yanis.id, 999], now)
    await teams.change(chief, night, "Équipe de nuit", [yanis.id], now)
    assert [(t.name, t.members) for t in await teams.all()] == [("Équipe de nuit", (yanis.id,))]
    assert (await teams.of(yanis), await teams.of(claire)) == (frozenset({night}), frozenset())
    day = await teams.add(chief, "Jour", now)
    with pytest.raises(AccountError, match="existe déjà"):
        await teams.change(chief, day, "Équipe de nuit", [], now)
    number = await console.waiting()
    await console.execute("UPDATE handoffs SET team_id = :team", team=night)
    await teams.archive(chief, night, now)
    await teams.archive(chief, night, now)
    assert [t.name for t in await teams.all()] == ["Jour"]
    assert await teams.of(yanis) == frozenset()
    assert (await console.handoff(number)).team_id is None
    with pytest.raises(AccountError, match="n’existe plus"):
        await teams.change(chief, night, "Nuit", [], now)
    assert [a for a, _ in await console.audit()] == [
        "team_added", "team_changed", "team_changed", "team_added", "team_archived",
    ]  # fmt: skip


def test_keyed_hashes_tell_equal_words_and_nothing_without_the_key(codec: Codec) -> None:
    other = Codec(base64.b64encode(bytes(32)).decode())
    hashed = codec.fingerprint("search", "plaint")
    assert hashed == codec.fingerprint("search", "plaint")
    assert -(2**63) <= hashed < 2**63
    assert len({hashed, codec.fingerprint("search", "vol"), codec.fingerprint("crisis", "plaint"),
                other.fingerprint("search", "plaint"), codec.fingerprint("search", "\ud800")}) == 5  # fmt: skip


async def test_access_asks_for_the_right_before_it_says_whether_there_is_such_a_conversation(
    console: RunningConsole, database: Database, codec: Codec
) -> None:
    desk, number = Desk(database, codec, {}), await console.waiting()
    trainer, auditor = await console.user("T", "trainer"), await console.user("O", "auditor")
    for there in (number, 999):
        with pytest.raises(NotAllowed):
            await desk.access_conversation(trainer, there)
        with pytest.raises(NotAllowed):
            await desk.access_conversation(auditor, there, Capability.WORK)
    with pytest.raises(NoSuchConversation):
        await desk.access_conversation(auditor, 999)
    found = await desk.access_conversation(auditor, number)
    assert found.handoff is not None
    assert (found.handoff.state, found.handoff.assignee, found.handoff.team) == ("open", None, None)


async def test_a_conversation_is_assigned_to_whoever_takes_it(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await claire.act(number, "prendre")
    assert (await console.handoff(number)).assignee_id == console.users["Claire"].id


async def test_a_topic_puts_its_panel_into_the_page(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async def words(showing: Showing) -> Mapping[str, Any] | None:
        # Whatever else the template asks for is empty.
        return defaultdict(list, can_take=True) if showing.request.ctx.user.name == "Claire" else None

    def extra(site: Site) -> Blueprint:
        site.panels.append(Panel(Slot.BANNER, "work/_acts.html", words))
        return Topic("extra").blueprint

    async def no_more(self: object, showing: Showing) -> None:
        return None

    monkeypatch.setattr("bot.console.app.TOPICS", (*TOPICS, extra))
    monkeypatch.setattr("bot.console.work.WorkViews.acts", no_more)
    pages = {}
    async with running_console(database, database_url, codec, frozen_clock) as console:
        number = await console.waiting()
        for name in ("Claire", "Yanis"):
            await console.user(name)
            async with Browser(console) as browser:
                await browser.log_in(name)
                pages[name] = (await browser.get(f"/conversations/{number}")).page
    assert 'id="bandeau" data-live' in pages["Claire"]
    assert 'data-testid="take"' in pages["Claire"]
    assert 'data-testid="take"' not in pages["Yanis"]
