"""`planton run` as it is run: everything starts, and ends in every rude way."""

from __future__ import annotations

import os
import signal
import time

import psycopg
import pytest

from bot.store.embedded import Embedded
from tests.scenario.launching import ROLES, Machine, alive, answers, eventually

pytestmark = pytest.mark.alone


def test_everything_starts_says_where_and_ends_at_sigterm(machine: Machine) -> None:
    run = machine.started()
    children = run.tree()
    assert any("bin/postgres" in command for command in children.values())
    for role in ROLES:
        assert alive(run.child(f"_role {role}"))
    for name in ("GATEWAY", "CONSOLE", "SENDER"):
        assert f"http://127.0.0.1:{machine.environ[f'PLANTON_{name}_PORT']}" in run.said
    group = os.getpgid(run.process.pid)
    postmaster = run.child("bin/postgres")
    roles = [run.child(f"_role {role}") for role in ROLES]
    assert {os.getpgid(pid) for pid in (postmaster, *roles)} == {group}

    parts, found = {(f"planton_{role}", role) for role in ROLES}, set[tuple[str, str]]()
    with psycopg.connect(Embedded(machine.folder / "var").url, autocommit=True) as owner:
        for _ in range(2400):  # no part that answers a port waits for a worker's first connection
            rows = owner.execute(
                "SELECT usename, application_name FROM pg_stat_activity WHERE application_name LIKE 'planton-%'"
            )
            found = {(role, name.removeprefix("planton-").partition("-")[0]) for role, name in rows}
            if parts <= found:
                break
            time.sleep(0.1)
    assert parts <= found  # each under its own PostgreSQL role, what has no part in its name included
    assert {role for role, _ in found} == {role for role, _ in parts}

    run.process.terminate()
    assert run.process.wait(60) == 0
    assert [pid for pid in children if alive(pid)] == []
    assert "Traceback" not in run.said


def test_killed_it_takes_everything_with_it_and_starts_again_one_second_later(machine: Machine) -> None:
    first = machine.started()
    children = list(first.tree())
    assert len(children) > 4
    first.process.kill()
    first.process.wait()
    assert eventually(lambda: not any(alive(pid) for pid in children), 30), first.said
    time.sleep(1)
    second = machine.started()
    assert alive(second.process.pid)


def test_everything_killed_at_once_starts_again(machine: Machine) -> None:
    first = machine.started()
    children = list(first.tree())
    os.killpg(first.process.pid, signal.SIGKILL)
    first.process.wait()
    time.sleep(1)
    machine.started()
    assert not any(alive(pid) for pid in children)


def test_control_c_reaches_everyone_at_once_and_still_ends_calmly(machine: Machine) -> None:
    run = machine.started()
    children = run.tree()
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.process.wait(60) == 0
    assert [pid for pid in children if alive(pid)] == []
    assert "Traceback" not in run.said
    assert "tout est arrêté" in run.said


def test_a_database_that_is_away_at_the_start_is_awaited(machine: Machine) -> None:
    elsewhere = Embedded(machine.folder / "other", {"shared_buffers": "16MB"})
    secrets = {"SECRET_KEY": "k" * 40, "METRICS_TOKEN": "m", "DATA_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
    run = machine.run(*ROLES, DATABASE_URL=elsewhere.url, **secrets)
    assert eventually(lambda: "la base de données ne répond pas" in run.said, 60), run.said
    assert eventually(lambda: answers(f"{run.gateway}/healthz"), 60), run.said
    with elsewhere:

        def migrated() -> bool:
            with psycopg.connect(elsewhere.url) as connection:
                row = connection.execute("SELECT to_regclass('events') IS NOT NULL").fetchone()
            return row == (True,)

        assert eventually(migrated, 60), run.said
        run.process.terminate()
        assert run.process.wait(60) == 0
