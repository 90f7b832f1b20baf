"""The waiting time that a person is told: real PostgreSQL, with many who wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.store.codec import Codec
from tests.scenario.system import System, running

_OTHERS = """
    WITH people AS (
        INSERT INTO conversations (platform, account, person, owner, category)
        SELECT 'messenger', 'page', :kind || n, 'waiting', 'request' FROM generate_series(1, :many) n RETURNING id)
    INSERT INTO handoffs (conversation_id, platform, category, priority, reason, opened_at, raised_at, due_at,
        replied_at, closed_at)
    SELECT id, 'messenger', :category, :priority, 'parler_humain', :now - CAST(:waited AS interval),
        :now - CAST(:waited AS interval), :now - CAST(:waited AS interval) + CAST(:within AS interval),
        CASE WHEN :answered THEN :now - interval '5 minutes' END,
        CASE WHEN :closed THEN :now - interval '5 minutes' END
    FROM people
"""


async def others(system: System, many: int, waited: str, category: str = "request", **how: str | bool) -> None:
    """So many other people, whose hand-offs were opened `waited` ago."""
    priority = {"request": 4, "thanks": 5, "emergency": 0}[category]
    values = {
        "within": "24 hours",
        "answered": False,
        "closed": False,
        "kind": f"{category}-{waited}-{sorted(how)}",
        **how,
    }
    values |= {"many": many, "waited": waited, "category": category, "priority": priority}
    await system.rows(_OTHERS + " RETURNING id", now=system.clock.now(), **values)


@pytest.fixture
async def system(database_url: str, codec: Codec, tmp_path: Path) -> AsyncIterator[System]:
    """Everything running, by day; seven were answered in the last hour, each after four minutes."""
    async with running(database_url, codec, tmp_path) as started:
        await others(started, 7, "9 minutes", answered=True)
        yield started


async def told(system: System, words: str = "je veux parler à un humain", person: str = "p1") -> str:
    """What somebody is told who asks for an agent now."""
    await system.say(person, words)
    await system.settled()
    return "\n".join(system.graph.texts(person))


async def test_where_all_are_answered_soon_the_minutes_are_told(system: System) -> None:
    assert "environ 4 minutes" in await told(system)


async def test_where_many_wait_no_minutes_are_told(system: System) -> None:
    await others(system, 46, "3 hours")
    await others(system, 164, "2 days")
    said = await told(system)
    assert "parler_humain" in said
    assert "minutes" not in said


async def test_where_some_wait_longer_the_estimate_grows(system: System) -> None:
    await others(system, 5, "25 minutes", answered=True)  # after twenty minutes
    await others(system, 4, "40 minutes")
    assert "environ 20 minutes" in await told(system)


async def test_where_more_are_late_than_were_answered_no_minutes_are_told(system: System) -> None:
    await others(system, 8, "2 minutes", "emergency", within="1 minute")
    assert "minutes" not in await told(system)


async def test_closed_without_a_reply_is_no_short_wait(system: System) -> None:
    await others(system, 9, "3 hours", closed=True)
    assert "minutes" not in await told(system)


async def test_thanks_neither_count_nor_are_told_a_time(system: System) -> None:
    await others(system, 200, "9 days", "thanks")
    said = await told(system, "merci beaucoup")
    assert "remerciements" in said
    assert "minutes" not in said
    assert "environ 4 minutes" in await told(system, person="p2")
