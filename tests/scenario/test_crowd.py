"""Five hundred messages from a hundred people: shuffled, duplicated, batched; each answered or accounted for once."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from tests.scenario.system import DAY, System

pytestmark = pytest.mark.alone

PEOPLE, EACH = 100, 5


async def test_five_hundred_messages_from_a_hundred_people(system: System) -> None:
    chance = random.Random(2015)
    items = [
        system.message(f"p{p}", f"plainte {n}", at=DAY - timedelta(seconds=60 - n), mid=f"m_{p}_{n}")
        for p in range(PEOPLE)
        for n in range(EACH)
    ]
    deliveries = [*items, *chance.sample(items, 200)]
    chance.shuffle(deliveries)
    bodies = []
    while deliveries:
        size = min(len(deliveries), chance.choice((1, 1, 1, 2, 3, 7)))
        bodies.append(system.body(*deliveries[:size]))
        deliveries = deliveries[size:]
    statuses: list[int] = []
    for start in range(0, len(bodies), 20):
        statuses += await asyncio.gather(*(system.post(body) for body in bodies[start : start + 20]))
    assert set(statuses) == {200}
    await system.settled()

    rows = await system.rows("SELECT disposition, count(*) AS n FROM events GROUP BY 1")
    assert sum(row.n for row in rows) == PEOPLE * EACH
    assert {row.disposition for row in rows} <= {"answered", "to_agent", "handed_off"}

    # Each text was read in exactly one turn, and within a turn in order of Meta's time.
    read = [line for kind, words in system.engine.calls if kind == "turn" for line in words.split("\n")]
    assert len(read) == PEOPLE * EACH
    for _, words in system.engine.calls:
        numbers = [int(line.split()[1]) for line in words.split("\n")]
        assert numbers == sorted(numbers)

    # Each person's replies left in the order of their turns, one at a time, none twice.
    for p in range(PEOPLE):
        replies = system.graph.texts(f"p{p}")
        turns = [int(reply.rsplit(" ", 1)[1]) for reply in replies]
        assert turns == list(range(1, len(turns) + 1))
    assert not any(sent.overlapped for sent in system.graph.sent)
    answered = await system.rows("SELECT count(DISTINCT outbox_id) AS n FROM events WHERE disposition = 'answered'")
    assert answered[0].n == len(system.graph.sent)
