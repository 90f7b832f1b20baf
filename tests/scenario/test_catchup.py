"""Webhooks that were lost for a while: everything real but Meta, and nobody answered twice, never or out of order."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.app.catchup import Taker
from bot.meta.send_api import SendApi
from bot.sender.catchup import CatchUp, CatchUpDeps, Outcome
from bot.sender.deps import SenderAccount
from bot.sender.pace import Pace
from bot.settings import Settings
from bot.store.catchup import Shelf
from tests.conftest import of_part
from tests.fakes.graph import IG, PAGE, SECRET, TOKEN
from tests.scenario.system import System

INTRODUCED = "Je suis un assistant automatique. "
DANGER = "au secours il me frappe avec un couteau"


class Meta:
    """Remembers what people wrote, and brings it or loses it."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.lost: list[dict[str, Any]] = []
        self._count = 0

    async def write(self, person: str, words: str, at: datetime, lose: bool = False) -> None:
        self._count += 1
        mid = f"m_meta{self._count}"
        self.system.graph.graph.wrote(person, words, mid, at)
        body = self.system.body(self.system.message(person, words, at, mid))
        if lose:
            self.lost.append(body)
        else:
            assert await self.system.post(body) == 200

    async def walk(self) -> Outcome:
        """What the sender does beside its sends."""
        system = self.system
        settings = Settings(
            {
                "PLANTON_META_PAGE_ID": PAGE,
                "PLANTON_META_IG_ID": IG,
                "PLANTON_SECRET_KEY": "key-of-tests-which-is-long-enough-to-pass",
                "PLANTON_META_APP_ID": "512340000000001",
                "PLANTON_DEBOUNCE_MS": "0",
            }
        )
        taker = Taker(settings, system.database, system.codec, system.clock)
        api = SendApi(system.session, system.graph.url, PAGE, TOKEN, SECRET)
        pace = Pace(1000)
        walks = CatchUp(CatchUpDeps(Shelf(of_part(system.database, "sender")), taker.take, system.clock, pace))
        return await walks.walk(SenderAccount(PAGE, PAGE, TOKEN, SECRET), api)


@pytest.fixture
def meta(system: System) -> Meta:
    return Meta(system)


async def test_an_outage_is_caught_up_with_while_half_of_the_webhooks_come_late(system: System, meta: Meta) -> None:
    start = system.clock.now()
    people = [f"p{n}" for n in range(10)]
    for person in people:
        await meta.write(person, "bonjour", start)
    await system.settled()
    assert (await meta.walk()).error == ""  # as at each start: everything until then is in

    await system.later(minutes=40)  # for half an hour nothing came
    for n, person in enumerate(people):
        await meta.write(person, "comment porter plainte ?", start + timedelta(minutes=5, seconds=n), lose=True)
        await meta.write(person, "et la procuration", start + timedelta(minutes=6, seconds=n), lose=True)
    await meta.write("p0", DANGER, start + timedelta(minutes=20), lose=True)
    await meta.write("new", "le concours", start + timedelta(minutes=21), lose=True)

    late = [system.post(body) for body in meta.lost[:10]]
    walking = asyncio.create_task(meta.walk())
    statuses = await asyncio.gather(*late)  # these arrive during the walk
    outcome = await walking
    await system.settled()
    assert set(statuses) == {200} and outcome.error == ""
    for body in (*meta.lost[5:15], *meta.lost[-1:]):
        assert await system.post(body) == 200  # and these after it, some for the second time
    again = await meta.walk()
    await system.settled()

    assert (again.taken, again.told) == (0, 0)
    # Words behind a danger are also read together with those before it.
    heard = [words for kind, words in system.engine.calls if kind == "turn" or not words.startswith("bonjour\n")]
    for words in ("bonjour", "porter plainte", "procuration"):
        # Each message was understood once; those of p0, whom a danger overtakes, perhaps again behind it.
        assert sum(said.count(words) for said in heard) - len(people) in (0, 1)
    for person in people[1:]:
        told = system.graph.texts(person)
        assert told[0] == f"{INTRODUCED}salutation n° 1"
        assert [words.split(" n° ")[0] for words in told[1:]] in (
            ["plainte_comment"],  # both were read together
            ["plainte_comment", "procuration"],
        )
    said = [words for kind, words in system.engine.calls if kind == "turn" and "concours" in words]
    assert said == ["le concours"] and len(system.graph.texts("new")) == 1
    rows = await system.rows("SELECT count(*) AS n, count(DISTINCT mid) AS mids FROM events WHERE kind = 'text'")
    assert (rows[0].n, rows[0].mids) == (32, 32)
    alarm = [words for words in system.graph.texts("p0") if "17" in words]
    assert len(alarm) == 1 and await system.handoffs("p0")
    settled = await system.rows(
        "SELECT conversation_id, at FROM events WHERE kind = 'text' AND reason IS NULL ORDER BY settled_at, at"
    )
    by_person: dict[int, list[datetime]] = {}
    for row in settled:
        by_person.setdefault(row.conversation_id, []).append(row.at)
    assert all(times == sorted(times) for times in by_person.values())
    await system.later(hours=1)
    assert all(len(system.graph.texts(person)) <= 3 for person in people[1:])


async def test_what_is_older_than_a_day_goes_to_agents(system: System, meta: Meta) -> None:
    start = system.clock.now()
    await meta.write("p1", "bonjour", start)
    await system.settled()
    await meta.write("p1", "comment porter plainte ?", start + timedelta(minutes=5), lose=True)
    await meta.write("p2", DANGER, start + timedelta(minutes=5), lose=True)
    await system.later(hours=30)
    await meta.walk()
    await system.settled()
    assert len(system.graph.texts("p1")) == 1 and system.graph.texts("p2") == []
    assert await system.handoffs("p1")
    [handoff] = await system.handoffs("p2")
    assert handoff.category == "emergency" and handoff.reason == "emergency_old"


async def test_a_human_in_metas_inbox_is_not_talked_over(system: System, meta: Meta) -> None:
    start = system.clock.now()
    await meta.write("p1", "bonjour", start)
    await system.settled()
    await meta.write("p1", "comment porter plainte ?", start + timedelta(minutes=5), lose=True)
    system.graph.graph.wrote("p1", "Paul, je m’en occupe.", "m_paul", start + timedelta(minutes=8), from_page=True)
    await system.later(minutes=30)
    outcome = await meta.walk()
    await system.settled()
    assert (outcome.taken, outcome.told) == (1, 1)
    assert len(system.graph.texts("p1")) == 1
    rows = await system.rows("SELECT owner FROM conversations WHERE person = 'p1'")
    assert rows[0].owner == "inbox"
