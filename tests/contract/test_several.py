"""Machines that share a database: what `doctor` says of their clocks and of a workbench that runs twice."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import psycopg
import pytest
from psycopg.rows import dict_row

from bot.app import several
from bot.store import its_clock
from bot.store.codec import Codec
from bot.store.db import Database
from tests.fakes.console import Browser, RunningConsole, running_console


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, []), (1.5, []), (-1.5, []), (90, ["avance de 90 s"]), (-7, ["retarde de 7 s"])]
)
def test_a_clock_that_differs_is_told(database_url: str, seconds: float, said: list[str]) -> None:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        found = list(several.clock(connection, lambda: datetime.now(UTC) + timedelta(seconds=seconds)))
    assert len(found) == len(said)
    assert all(words in problem.what for words, problem in zip(said, found, strict=True))


async def test_what_the_roles_of_other_machines_tell_is_told(database: Database, database_url: str) -> None:
    async with database.plain() as plain:
        for host, role, skew in (
            ("front-1", "gateway", 3600.2),
            ("front-1", "sender", 3599.0),
            ("front-2", "worker", -1.9),
            ("atelier", "trainer", -45.0),
            (socket.gethostname(), "worker", 77.0),  # this machine is looked at itself
        ):
            with patch.object(its_clock.socket, "gethostname", return_value=host):
                await its_clock.tell(plain, role, skew)
    with psycopg.connect(database_url, row_factory=dict_row, autocommit=True) as connection:
        found = [(one.key, one.what.partition(" celle")[0]) for one in several.machines(connection)]
        assert found == [
            ("clock:atelier", "L’horloge de atelier retarde de 45 s sur"),
            ("clock:front-1", "L’horloge de front-1 avance de 3600 s sur"),
        ]
        connection.execute("UPDATE clocks SET at = at - interval '6 minutes'")
        assert not list(several.machines(connection)), "a machine that was taken away is told of for ever"


@pytest.mark.parametrize(
    ("ages", "said"),
    [
        ([0.3] * 12, None),
        ([0.3] * 9 + [-7200.0, 7200.0, 9e6], None),  # Meta's own dates may be anything, now and then
        ([-3600.0] * 12, "retarde d’environ 3600 s sur celle de Meta"),
        ([3600.0] * 12, "avance sur celle de Meta, ou Meta livre les messages 60 minutes trop tard"),
        ([3600.0] * 11 + [0.5], None),  # what is caught up is old
        ([-3600.0] * 9, None),  # too few to tell
    ],
)
def test_the_database_s_clock_is_held_against_meta_s(database_url: str, ages: list[float], said: str | None) -> None:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        connection.execute("INSERT INTO conversations (platform, account, person) VALUES ('messenger', 'page', 'p')")
        for number, age in enumerate(ages):
            connection.execute(
                """INSERT INTO events (conversation_id, platform, account, key, kind, channel, at, received_at, body)
                   SELECT id, 'messenger', 'page', %s, 'text', 'messaging', now() - make_interval(secs => %s), now(), ''
                   FROM conversations""",
                (str(number), age),
            )
        found = list(several.meta(connection))
    assert [said in problem.what for problem in found if said] == ([True] if said else [])
    assert len(found) == (said is not None)


def test_a_slow_answer_is_no_wrong_clock(database_url: str) -> None:
    moments = iter([datetime.now(UTC) - timedelta(seconds=9), datetime.now(UTC) + timedelta(seconds=1)])
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        assert list(several.clock(connection, lambda: next(moments))) == []


def test_two_workbenches_are_told(database_url: str) -> None:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        assert list(several.problems(connection, datetime.now(UTC))) == []
        with psycopg.connect(database_url, application_name="planton-trainer"):
            assert list(several.workbenches(connection)) == []
            # Another machine's address cannot be had over a local socket: what PostgreSQL tells of connections is played.
            connection.execute("""
                CREATE OR REPLACE FUNCTION connected(part text) RETURNS TABLE (address text) LANGUAGE sql AS
                $$ SELECT unnest(ARRAY['10.0.0.21', '10.0.0.22', '10.0.0.22']) WHERE part = 'trainer' $$
            """)
            [problem] = several.workbenches(connection)
    assert "10.0.0.21, 10.0.0.22" in problem.what


async def test_two_consoles_are_one_to_whoever_works_at_them(
    database_url: str, codec: Codec, console: RunningConsole, claire: Browser, yanis: Browser
) -> None:
    number = await console.waiting()
    other_database = Database(database_url, size=4)
    try:
        async with running_console(other_database, database_url, codec, console.clock, console.wall) as other:
            # The same sessions behind a balancer: what one console began, the other goes on with.
            claire.moves_to(other)
            page = await claire.get(f"/conversations/{number}")
            assert page.status == 200
            taken = await claire.act(number, "prendre")
            assert taken.status in (302, 303)
            seen = await yanis.get(f"/conversations/{number}")
            assert "Claire" in seen.page, "the other one's agents see who has it"
            claire.moves_to(console)
            answered = await claire.act(number, "repondre", message="Bonjour, je m’en occupe.")
            assert answered.status in (302, 303)
            assert [author for _, author, _, _ in await console.outgoing(number)] == ["system", "agent"]
            claire.moves_to(other)
            out = await claire.post("/deconnexion", csrf=(await claire.get("/file")).hidden("csrf"))
            assert out.status in (302, 303)
            claire.moves_to(console)
            assert (await claire.get("/file", follow=False)).status in (302, 303), "logged out here as well"
    finally:
        await other_database.close()
