"""The embedded PostgreSQL: starts, stops, survives kill -9, trusts no stale file, serves one owner."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from bot.core.errors import SetupError
from bot.store import embedded
from bot.store.embedded import Embedded

QUICK = {"shared_buffers": "16MB"}
HOLDER = """
import sys, time
from pathlib import Path
from bot.store import embedded
from bot.store.embedded import Embedded
server = Embedded(Path(sys.argv[1]), {"shared_buffers": "16MB"})
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Embedded]:
    created = Embedded(tmp_path / "var", QUICK)
    yield created
    created.stop()


def hold(var: Path) -> tuple[subprocess.Popen[str], int]:
    """A process that owns a server; its pid and the server's."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(var)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def eventually(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state in ("Z", "X")


def write(url: str, value: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        connection.execute("INSERT INTO kept VALUES (%s)", (value,))


def kept(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT value FROM kept ORDER BY value")]


def answers(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_starts_keeps_data_and_stops(server: Embedded) -> None:
    write(server.start(), "un")
    pid = server.pid
    server.stop()
    assert pid is not None
    assert gone(pid)
    assert kept(server.start()) == ["un"]


def test_listens_on_no_port_and_only_its_owner_reaches_the_socket(server: Embedded) -> None:
    with psycopg.connect(server.start()) as connection:
        setting = connection.execute("SELECT current_setting('listen_addresses')").fetchone()
        where = connection.info.host
    assert setting == ("",)
    assert os.stat(where).st_mode & 0o777 == 0o700
    assert os.stat(server.log.parent / "postgres").st_mode & 0o777 == 0o700
    assert server.log.stat().st_mode & 0o777 == 0o600


def test_the_data_is_unicode_and_sorts_the_same_everywhere(server: Embedded) -> None:
    with psycopg.connect(server.start()) as connection:
        row = connection.execute("SELECT upper('évêque'), current_setting('server_encoding')").fetchone()
    assert row == ("ÉVÊQUE", "UTF8")


def test_an_error_never_brings_a_statement_or_a_value_into_the_log(server: Embedded) -> None:
    url = server.start()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE secret (word text UNIQUE)")
        connection.execute("INSERT INTO secret VALUES (%s)", ("couteau",))
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO secret VALUES (%s)", ("couteau",))
    log = server.log.read_text()
    assert "duplicate key" in log
    assert "couteau" not in log
    assert "INSERT" not in log


def test_the_server_dies_with_its_owner_and_starts_again_one_second_later(tmp_path: Path) -> None:
    owner, pid = hold(tmp_path / "var")
    successor = Embedded(tmp_path / "var", QUICK)
    write(successor.url, "avant")
    idle = psycopg.connect(successor.url)  # a backend that nobody told to leave
    owner.kill()
    owner.wait()
    assert eventually(lambda: gone(pid), 30)
    time.sleep(1)
    try:
        assert kept(successor.start()) == ["avant"]
    finally:
        idle.close()
        successor.stop()


def test_everything_killed_at_once_then_started_at_once(tmp_path: Path) -> None:
    owner, pid = hold(tmp_path / "var")
    successor = Embedded(tmp_path / "var", QUICK)
    write(successor.url, "avant")
    idle = psycopg.connect(successor.url)
    os.kill(pid, signal.SIGKILL)  # the postmaster first: its backends are orphans for a moment
    owner.kill()
    owner.wait()
    try:
        assert kept(successor.start()) == ["avant"]
    finally:
        idle.close()
        successor.stop()


def test_an_orphan_that_nobody_stopped_is_stopped_before_the_start(tmp_path: Path) -> None:
    owner, pid = hold(tmp_path / "var")
    os.kill(pid, signal.SIGSTOP)  # it cannot react when its owner dies
    owner.kill()
    owner.wait()
    successor = Embedded(tmp_path / "var", QUICK)
    try:
        successor.start()
        assert successor.pid != pid
        assert gone(pid)
    finally:
        successor.stop()


def test_a_stale_pid_file_that_names_another_process_is_removed_and_that_process_lives(server: Embedded) -> None:
    server.start()
    server.stop()
    other = subprocess.Popen(["sleep", "600"])
    try:
        data = server.log.parent / "postgres"
        (data / "postmaster.pid").write_text(f"{other.pid}\n{data}\n1\n5432\n/tmp\n\n  0 0\nready\n")
        server.start()
        assert server.pid not in (None, other.pid)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_two_owners_get_one_clear_line(server: Embedded, tmp_path: Path) -> None:
    server.start()
    with pytest.raises(SetupError) as refused:
        Embedded(tmp_path / "var", QUICK).start(patience=0.1)
    assert "utilise déjà le dossier" in refused.value.what
    assert "PLANTON_VAR_DIR" in refused.value.remedy
    assert server.pid is not None


def test_an_owner_that_leaves_within_the_patience_is_followed(tmp_path: Path) -> None:
    owner, _ = hold(tmp_path / "var")
    owner.kill()
    with Embedded(tmp_path / "var", QUICK) as successor:
        assert successor.pid is not None
    owner.wait()


def test_a_creation_cut_short_is_begun_again(server: Embedded, tmp_path: Path) -> None:
    draft = tmp_path / "var" / "postgres.new" / "base"
    draft.mkdir(parents=True)
    (draft / "rubbish").write_text("half")
    write(server.start(), "neuf")
    assert kept(server.url) == ["neuf"]
    assert not (tmp_path / "var" / "postgres.new").exists()


def test_a_server_that_died_alone_is_started_again(server: Embedded) -> None:
    write(server.start(), "un")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert eventually(lambda: server.pid is None, 30)
    server.restart()
    assert eventually(lambda: answers(server.url), 30)
    assert kept(server.url) == ["un"]


def test_a_folder_with_a_very_long_name_has_a_short_socket(tmp_path: Path) -> None:
    with Embedded(tmp_path / ("très-long-" * 8) / ("dossier-" * 10), QUICK) as server:
        write(server.url, "loin")
        assert kept(server.url) == ["loin"]


def test_data_of_another_version_is_one_clear_line(server: Embedded, tmp_path: Path) -> None:
    server.start()
    server.stop()
    (tmp_path / "var" / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(SetupError) as refused:
        server.start()
    assert "incompatible" in refused.value.what
    assert "postgres.log" in refused.value.remedy


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError) as refused:
        Embedded(tmp_path / "file" / "var", QUICK).start()
    assert "PLANTON_VAR_DIR" in refused.value.remedy


def test_everything_may_lie_where_no_one_else_enters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by root, nothing above the data is opened to the server's user, and its programs are copied for it."""
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o700)
    package = embedded._find_binaries().parents[1]
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, locked / folder.name, ignore=shutil.ignore_patterns("pginstall", "include"))
    programs = locked / package.name / "pginstall18" / "bin"
    os.utime(programs / "postgres", ns=(1, time.time_ns()))  # a version of its own: the copy is made anew
    monkeypatch.setattr(embedded, "_find_binaries", lambda: programs)
    copies = set(Path("/var/cache").glob("planton-postgresql-*"))
    try:
        with Embedded(locked / "var", QUICK) as server:
            write(server.url, "caché")
            assert kept(server.url) == ["caché"]
        assert os.stat(locked).st_mode & 0o777 == 0o700
    finally:
        for made in set(Path("/var/cache").glob("planton-postgresql-*")) - copies:
            shutil.rmtree(made)
