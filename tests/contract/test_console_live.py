"""The stream of news."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest

from bot.core.clock import FrozenClock, SystemClock
from bot.store import news
from tests.fakes.console import Browser, RunningConsole


async def test_news_come_by_themselves_and_carry_numbers_only(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    number = await console.says("p", "mots secrets")
    await console.listens()
    cookies = {c.key: c.value for c in someone.cookies()}
    async with aiohttp.ClientSession(cookies=cookies) as client, client.get(console.url + "/flux") as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["Cache-Control"] == "no-store"
        assert b"event: pret" in await _until_blank(stream)
        await console.hand_off(number)
        told = await _told(stream, str(number), "handoff:4")
    assert told == {str(number), "handoff:4"}  # the conversation, and a priority


async def test_a_role_that_opens_no_conversation_hears_no_number(console: RunningConsole, someone: Browser) -> None:
    await console.user("Inès", "trainer")
    await someone.log_in("Inès")
    number = await console.says("p", "mots secrets")
    await console.listens()
    cookies = {c.key: c.value for c in someone.cookies()}
    async with aiohttp.ClientSession(cookies=cookies) as client, client.get(console.url + "/flux") as stream:
        await _until_blank(stream)
        async with console.database.begin() as connection:
            await news.conversation(connection, number)
            await news.topic(connection, "presence", number)
            await news.topic(connection, "handoff", 0)
        told = await _told(stream, "handoff:0", "presence", "queue")
    assert told == {"handoff:0", "presence", "queue"}


async def test_a_new_danger_rings_again(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    number = await console.says("p", "au secours")
    await console.hand_off(number, "emergency", "emergency_lexicon")
    await console.listens()
    cookies = {c.key: c.value for c in someone.cookies()}
    async with aiohttp.ClientSession(cookies=cookies) as client, client.get(console.url + "/flux") as stream:
        await _until_blank(stream)
        await console.hand_off(number, "emergency", "emergency_lexicon")
        assert await _told(stream, str(number), "handoff:0") == {str(number), "handoff:0"}
        await console.hand_off(number, "emergency", "emergency_follow_up")
        assert await _told(stream, str(number)) == {str(number)}


async def test_the_stream_ends_with_the_session(
    console: RunningConsole, someone: Browser, wall: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.console.live.BEAT", 0.05)
    await console.user("Claire")
    await someone.log_in("Claire")
    await console.listens()
    cookies = {c.key: c.value for c in someone.cookies()}
    async with aiohttp.ClientSession(cookies=cookies) as client, client.get(console.url + "/flux") as stream:
        await _until_blank(stream)
        wall.advance(hours=1)
        rest = await asyncio.wait_for(stream.content.read(), 20)
    assert rest.endswith(b"event: fin\ndata: 1\n\n")


async def test_a_stream_that_is_left_is_forgotten(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    await console.listens()
    cookies = {c.key: c.value for c in someone.cookies()}
    listener = console.listener
    async with aiohttp.ClientSession(cookies=cookies) as client, client.get(console.url + "/flux") as stream:
        await _until_blank(stream)
        assert len(listener._subscribers) == 1
    async with asyncio.timeout(180):
        while listener._subscribers:
            await asyncio.sleep(0.05)


async def _until_blank(stream: aiohttp.ClientResponse) -> bytes:
    read = b""
    while not read.endswith(b"\n\n"):
        read += await stream.content.readline()
    return read


async def _told(stream: aiohttp.ClientResponse, *expected: str) -> set[str]:
    """All that is told until what is expected came, and half a second longer: in one event, or in two."""
    told: set[str] = set()

    async def more() -> None:
        event = (await _until_blank(stream)).decode()
        assert event.startswith("event: change\ndata: ")
        told.update(event.removeprefix("event: change\ndata: ").strip().split(","))

    async with asyncio.timeout(20):
        while not told >= set(expected):
            await more()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            while True:
                await more()
    return told


def test_wall_clock_is_the_machines_unless_told() -> None:
    from bot.console.deps import ConsoleDeps

    assert ConsoleDeps.__dataclass_fields__["wall"].default_factory is SystemClock


async def test_pages_look_again_after_the_database_was_away(console: RunningConsole, someone: Browser) -> None:
    await console.user("Claire")
    await someone.log_in("Claire")
    await console.listens()
    cookies = {c.key: c.value for c in someone.cookies()}
    async with aiohttp.ClientSession(cookies=cookies) as client, client.get(console.url + "/flux") as stream:
        await _until_blank(stream)
        await console.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'planton-listen' "
            "AND datname = current_database()"
        )
        told = await asyncio.wait_for(_until_blank(stream), 20)
    assert told == b"event: change\ndata: *\n\n"
