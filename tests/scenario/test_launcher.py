"""`planton run` as it is run: what each part is told, what is refused in one line, what dies and is started again."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bot.app.launcher import engine_environ
from bot.settings import KNOWN
from bot.store.embedded import Embedded
from tests.scenario.launching import ROLES, TOKEN, Machine, alive, answers, eventually, machine_in

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One that has started, for tests that leave it running."""
    with machine_in(tmp_path_factory.mktemp("running")) as machine:
        machine.started()
        yield machine


def test_only_the_sender_holds_the_page_token(running: Machine) -> None:
    run = running.runs[0]
    holders = [
        role
        for role in ROLES
        if TOKEN.encode() in Path(f"/proc/{run.child(f'_role {role}')}/environ").read_bytes().split(b"\0")
    ]
    assert holders == ["sender"]
    for written in (running.folder / "var").glob("*.json"):
        assert "secret-page-token" not in written.read_text()
        assert "app-secret" not in written.read_text()


def test_the_engine_is_told_no_secret() -> None:
    secret = {f"PLANTON_{name}": "x" for name in (*KNOWN, "A_SECRET_OF_TOMORROW") if name != "TIMEZONE"}
    others = {"AWS_SECRET_ACCESS_KEY": "x", "PGPASSWORD": "x", "CREDENTIALS_DIRECTORY": "/run/credentials"}
    seen = engine_environ(
        {**secret, **others, "PATH": "/bin", "PYTHONDONTWRITEBYTECODE": "1", "PLANTON_TIMEZONE": "Europe/Paris"}
    )
    assert not (secret | others).keys() & seen.keys()
    assert "PYTHONDONTWRITEBYTECODE" not in seen
    assert seen["PLANTON_TIMEZONE"] == "Europe/Paris"
    assert seen["RASA_TELEMETRY_ENABLED"] == "false"


def test_a_role_that_dies_is_started_again(running: Machine) -> None:
    run = running.runs[0]
    pid = run.child("_role gateway")
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: "passerelle : arrêt inattendu (signal 9), nouveau départ dans 0,2 s" in run.said, 30)
    assert eventually(lambda: run.said.count("prêt : passerelle") == 2 and answers(f"{run.gateway}/healthz"), 60)
    assert run.child("_role gateway") != pid


def test_postgres_that_dies_is_started_again_and_the_roles_find_it(running: Machine) -> None:
    run = running.runs[0]
    gateway = run.child("_role gateway")
    os.kill(run.child("bin/postgres"), signal.SIGKILL)
    url = Embedded(running.folder / "var").url
    assert eventually(lambda: "base de données : arrêt inattendu" in run.said, 30)

    def back() -> bool:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            return False
        return True

    assert eventually(back, 30)
    assert alive(gateway)


def test_a_taken_port_is_one_line_before_anything_starts(machine: Machine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(machine.environ["PLANTON_GATEWAY_PORT"])))
        taken.listen()
        run = machine.run(*ROLES)
        assert run.process.wait(60) == 2
    port = machine.environ["PLANTON_GATEWAY_PORT"]
    assert run.said.splitlines() == [
        f"planton : Le port {port} est déjà pris. Libérez-le, ou donnez-en un autre avec PLANTON_GATEWAY_PORT."
    ]
    assert not (machine.folder / "var" / "postgres").exists()


def test_two_ports_alike_are_one_line(machine: Machine) -> None:
    run = machine.run(*ROLES, CONSOLE_PORT=machine.environ["PLANTON_GATEWAY_PORT"])
    assert run.process.wait(60) == 2
    assert "PLANTON_CONSOLE_PORT et PLANTON_GATEWAY_PORT donnent le même port" in run.said
    assert len(run.said.splitlines()) == 1


def test_a_second_launcher_on_the_same_folder_gets_one_line(running: Machine) -> None:
    first = running.runs[0]
    second = running.run("worker")
    assert second.process.wait(60) == 2
    assert len(second.said.splitlines()) == 1
    assert "utilise déjà le dossier" in second.said
    assert "PLANTON_VAR_DIR" in second.said
    assert first.process.poll() is None


def test_every_missing_setting_is_one_line_with_its_remedy(machine: Machine) -> None:
    run = machine.run(*ROLES, META_PAGE_TOKEN=None, META_VERIFY_TOKEN=None, DEBOUNCE_MS="vite")
    assert run.process.wait(60) == 2
    lines = run.said.splitlines()
    assert len(lines) == 3
    assert any("PLANTON_META_PAGE_TOKEN : ce réglage manque. Voyez" in line for line in lines)
    assert any("PLANTON_META_VERIFY_TOKEN : ce réglage manque." in line for line in lines)
    assert any("PLANTON_DEBOUNCE_MS : « vite » n’est pas un nombre entier" in line for line in lines)


def test_a_role_asks_only_for_its_own_settings(machine: Machine) -> None:
    run = machine.run("console", META_PAGE_TOKEN=None, META_VERIFY_TOKEN=None, META_APP_SECRET=None, META_PAGE_ID=None)
    assert eventually(lambda: "prêt : console" in run.said, 60), run.said
