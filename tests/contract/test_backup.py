"""`planton backup` and `planton restore`: every row comes back on a fresh machine, nothing is readable on the way."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bot.app import backup, doctor, inventory, launcher, restore, sealing, seed
from bot.app.cli import main
from bot.core.errors import SetupError
from bot.settings import Settings
from bot.store import clients, facts, readable, reindex
from bot.store.codec import Codec
from bot.store.db import Database, schemas
from bot.store.embedded import Embedded
from bot.store.persons import Persons
from bot.store.places import event
from tests.conftest import as_part, fresh_database
from tests.fakes import rows
from tests.scenario.system import running

ROOT = Path(__file__).resolve().parents[2]
KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an age identity and a GPG keyring; the other keyring of each is empty."""
    found = subprocess.run(["sh", "scripts/sealing.sh"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    folder = tmp_path_factory.mktemp("keys")
    for name in ("age", "other"):
        subprocess.run(["age-keygen", "-o", str(folder / name)], capture_output=True, check=True)
    home = folder / "gnupg"
    home.mkdir(mode=0o700)
    environ = {**os.environ, "GNUPGHOME": str(home)}
    quick = [
        "gpg",
        "--batch",
        "--passphrase",
        "",
        "--quick-generate-key",
        "sauvegardes",
        "future-default",
        "default",
        "never",
    ]
    subprocess.run(quick, env=environ, capture_output=True, check=True)
    secret = subprocess.run(
        ["gpg", "--batch", "--export-secret-keys"], env=environ, capture_output=True, check=True
    ).stdout
    (folder / "secret.gpg").write_bytes(secret)
    yield folder
    subprocess.run(["gpgconf", "--kill", "all"], env=environ, check=False)


def recipient(keys: Path, kind: str) -> str:
    if kind == "age":
        return subprocess.run(
            ["age-keygen", "-y", str(keys / "age")], capture_output=True, text=True, check=True
        ).stdout.strip()
    listed = subprocess.run(
        ["gpg", "--list-keys", "--with-colons"],
        env={**os.environ, "GNUPGHOME": str(keys / "gnupg")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))


@dataclass
class Machine:
    """What an operator has in front of them: settings in the environment, and what was said."""

    patch: pytest.MonkeyPatch
    capture: pytest.CaptureFixture[str]
    tmp: Path

    def set(self, **values: str) -> None:
        """Settings, without the prefix."""
        for name, value in values.items():
            self.patch.setenv(f"PLANTON_{name}", value)

    def run(self, *arguments: Any) -> tuple[int, str]:
        """A command; its exit code and what it said, with plain spaces."""
        code = main([str(one) for one in arguments])
        said = self.capture.readouterr()
        return code, (said.err + said.out).replace("\u00a0", " ").replace("\u202f", " ")

    def backup(self, *arguments: Any) -> Path:
        """Make a back-up; its path."""
        folder = self.tmp / "backups"
        before = set(folder.glob("*.dump*")) if folder.exists() else set()
        code, said = self.run("backup", "--vers", folder, *arguments)
        assert code == 0, said
        (made,) = {path for path in set(folder.glob("*.dump*")) - before if path.suffix != ".json"}
        return Path(made)

    def fresh(self) -> Embedded:
        """A new machine: no database, its own folder; the key was kept elsewhere."""
        self.patch.delenv("PLANTON_DATABASE_URL", raising=False)
        var = self.tmp / "fresh"
        self.set(VAR_DIR=str(var), DATA_KEY=KEY)
        return Embedded(var, {"shared_buffers": "16MB"})


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, keys: Path) -> Machine:
    made = Machine(monkeypatch, capsys, tmp_path)
    monkeypatch.setenv("GNUPGHOME", str(keys / "gnupg"))
    made.set(VAR_DIR=str(tmp_path / "var"), DATA_KEY=KEY, SECRET_KEY="secret", BACKUP_RECIPIENTS=recipient(keys, "age"))
    monkeypatch.setattr(doctor, "main", lambda parsed: print("compte des messages") or 0)
    for name in ("EVERYDAY", "COMPLAINTS", "SENSITIVE", "EMERGENCIES", "RAW"):  # what the purge takes has its own test
        made.set(**{f"RETENTION_{name}": "36500"})
    made.set(RETENTION_AUDIT="jamais", RETENTION_STATISTICS="jamais")
    return made


@pytest.fixture(scope="module")
def full(postgres_url: str, template_url: str) -> Iterator[str]:
    """Invented conversations, and a row in every table."""
    with fresh_database(postgres_url) as url:
        seed.fill(url, Codec(KEY), 12, 90, now=datetime.now(timezone.utc))
        with psycopg.connect(url) as connection:
            assert rows.fill(connection) == set()
        asyncio.run(_canary(url))
        yield url


async def _canary(url: str) -> None:
    database = Database(url, size=1)
    async with database.begin() as connection:
        await facts.set_canary(connection, Codec(KEY))
        await facts.check_key(connection, Codec(KEY))
    await database.close()


def content(url: str) -> dict[str, list[dict[str, Any]]]:
    with psycopg.connect(url) as connection:
        return rows.everything(connection)


def words(url: str) -> list[str]:
    codec = Codec(KEY)
    with psycopg.connect(url) as connection:
        found = connection.execute(
            f"SELECT body, {event('events')} FROM events WHERE length(body) > 30 ORDER BY id"
        ).fetchall()
    return [codec.open_json(row[0], "events.body", row[1])["text"] for row in found]


@pytest.fixture(scope="module")
def one(full: str, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A back-up of it, for the tests that copy and spoil it."""
    given = {"PLANTON_BACKUP_RECIPIENTS": recipient(keys, "age")}
    target = tmp_path_factory.mktemp("one") / "planton-20260115T023000Z.dump.age"
    seal = sealing.sealing(Settings(given), plain=False)
    backup.write(
        as_part(full, "backup"), target, seal, Codec(KEY), None, datetime(2026, 1, 15, 2, 30, tzinfo=timezone.utc)
    )
    return target


@pytest.fixture
def copy(one: Path, tmp_path: Path) -> Path:
    """Of that back-up and its inventory, to spoil."""
    for path in (one, inventory.beside(one)):
        shutil.copy(path, tmp_path / path.name)
    return tmp_path / one.name


def came_back(machine: Machine) -> dict[str, list[dict[str, Any]]]:
    """Filled by the next restoration: what it put in place, before anything is erased or purged of it."""
    seen: dict[str, list[dict[str, Any]]] = {}
    real = restore.finish

    def look(url: str, *rest: Any) -> None:
        seen.update(content(url))
        real(url, *rest)

    machine.patch.setattr(restore, "finish", look)
    return seen


def assert_same(after: dict[str, list[dict[str, Any]]], before: dict[str, list[dict[str, Any]]]) -> None:
    """Row by row, but for the doors that are closed, what is left out, and the note of what is left to do."""
    assert after.keys() == before.keys()
    for table, kept in before.items():
        found = [row for row in after[table] if table != "facts" or row["name"] != facts.RESTORING]
        assert found == ([] if table in (*restore.DOORS, *backup.LEFT_OUT) else kept), table


def test_every_row_comes_back_on_a_fresh_machine(machine: Machine, full: str, keys: Path) -> None:
    machine.set(DATABASE_URL=full, DATABASE_URL_BACKUP=as_part(full, "backup"))
    before, said_before = content(full), words(full)
    made = machine.backup("--garder", 3)
    after, server = came_back(machine), machine.fresh()
    code, said = machine.run("restore", made, "--identite", keys / "age", "--oui")
    assert code == 0, said
    assert "planton person erase" in said and "compte des messages" in said
    assert_same(after, before)
    assert all(before[table] for table in backup.LEFT_OUT), "there was something to leave out"
    assert "l’index de la recherche n’est pas dans une sauvegarde" in said
    with server:
        assert words(server.url) == said_before != []
        asyncio.run(_reindexed(server.url, before["search_documents"]))


async def _reindexed(url: str, before: list[dict[str, Any]]) -> None:
    """The worker's task makes the index anew: the search says so meanwhile, and then finds what it found before."""
    database = Database(url, size=2)
    begun = await reindex.progress(database)
    assert begun is not None and not begun.over
    work = reindex.Reindex(database, Codec(KEY))
    while await work.step():
        pass
    done = await reindex.progress(database)
    assert done is not None and done.over
    await database.close()
    with psycopg.connect(url) as connection:
        again = {
            (row[0], row[1]): set(row[2])
            for row in connection.execute("SELECT kind, ref, tokens FROM search_documents")
        }
    told = {(row["kind"], row["ref"]): set(row["tokens"]) for row in before}
    assert len(again) > 50
    assert {key: value for key, value in again.items() if key in told} == {
        key: value for key, value in told.items() if key in again
    }
    assert len(again.keys() & told.keys()) > 50


def test_an_older_back_up_that_holds_the_index_is_restored_with_it(
    machine: Machine, full: str, database_url: str, keys: Path
) -> None:
    machine.patch.setattr(backup, "LEFT_OUT", ())
    machine.set(DATABASE_URL=full)
    made, after = machine.backup(), came_back(machine)
    machine.set(DATABASE_URL=database_url)
    code, said = machine.run("restore", made, "--identite", keys / "age", "--oui")
    assert code == 0, said
    assert_same(after, content(full))


def test_a_gpg_key_that_lies_elsewhere_opens_it_too(machine: Machine, full: str, database_url: str, keys: Path) -> None:
    machine.set(DATABASE_URL=full, BACKUP_RECIPIENTS=recipient(keys, "gpg"))
    made, after = machine.backup(), came_back(machine)
    assert made.suffix == ".gpg"
    machine.set(DATABASE_URL=database_url)
    machine.patch.delenv("GNUPGHOME")
    code, said = machine.run("restore", made, "--identite", keys / "secret.gpg", "--oui")
    assert code == 0, said
    assert_same(after, content(full))


async def erase(url: str, person: str) -> None:
    """As `planton person erase`."""
    database = Database(url, size=2)
    persons = Persons(database, Codec(KEY))
    await persons.erase(await persons.find(person), "test", datetime.now(timezone.utc), anyway=True)
    await database.close()


def people(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {row[0] for row in connection.execute("SELECT person FROM conversations")}


async def replies_to(url: str, tmp: Path) -> int:
    """A person writes to what was restored: the webhook comes in, the reply leaves."""
    async with running(url, Codec(KEY), tmp, store_timeout=60) as system:
        assert await system.say("newcomer", "plainte") == 200
        await system.settled(60)
        sent = await system.rows("""
            SELECT o.id FROM outbox o JOIN conversations c ON c.id = o.conversation_id
            WHERE c.person = 'newcomer' AND o.status = 'sent'
        """)
        return len(sent)


def test_who_was_erased_since_is_erased_again_what_is_too_old_goes_and_service_goes_on(
    machine: Machine, full: str, postgres_url: str, database_url: str, keys: Path
) -> None:
    with fresh_database(postgres_url) as url:
        now = datetime.now(timezone.utc)
        seed.fill(url, Codec(KEY), 8, 40, now=now)
        asyncio.run(_canary(url))
        with psycopg.connect(url) as connection:
            # Everything of yesterday, but one who last wrote a month ago.
            connection.execute("DELETE FROM handoffs")
            connection.execute(
                "UPDATE conversations SET created_at = now() - interval '1 day', owner = 'bot', due_at = NULL"
            )
            connection.execute("UPDATE events SET received_at = now() - interval '1 day', disposition = 'answered'")
            connection.execute("UPDATE outbox SET created_at = now() - interval '1 day', status = 'sent'")
            old = "(SELECT id FROM conversations ORDER BY id LIMIT 1)"
            connection.execute(
                f"UPDATE conversations SET created_at = now() - interval '30 days', last_agent_at = NULL WHERE id = {old}"
            )
            connection.execute(
                f"UPDATE events SET received_at = now() - interval '30 days' WHERE conversation_id = {old}"
            )
            connection.execute(
                f"UPDATE outbox SET created_at = now() - interval '30 days' WHERE conversation_id = {old}"
            )
        machine.set(DATABASE_URL=url, RETENTION_EVERYDAY="20", RETENTION_SENSITIVE="20", RETENTION_EMERGENCIES="20")
        machine.set(RETENTION_COMPLAINTS="20")
        with psycopg.connect(url) as connection:
            ancient, leaving, *staying = [
                r[0] for r in connection.execute("SELECT person FROM conversations ORDER BY id")
            ]
        first = machine.backup()
        asyncio.run(erase(url, leaving))
        time.sleep(1.1)  # the names of back-ups have seconds
        machine.backup()
        assert people(url) == {ancient, *staying}

    machine.set(DATABASE_URL=database_url)
    with machine.patch.context() as cut:
        cut.setattr(restore, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert machine.run("restore", first, "--identite", keys / "age", "--oui")[0] == 130
    assert people(database_url) == {ancient, leaving, *staying}
    with pytest.raises(SetupError, match="--terminer"):
        launcher.check_key(database_url, Settings())  # as `planton run` does before any role starts

    code, said = machine.run("restore", "--terminer")
    assert code == 0, said
    assert "1 personne effacée de nouveau" in said
    assert people(database_url) == set(staying)
    launcher.check_key(database_url, Settings())
    assert asyncio.run(replies_to(database_url, machine.tmp)) == 1


def test_nothing_is_readable_on_the_way(machine: Machine, full: str, keys: Path) -> None:
    machine.set(DATABASE_URL=full)
    with psycopg.connect(full) as connection:
        people = [row[0] for row in connection.execute("SELECT person FROM conversations")]
        names = [row[0] for row in connection.execute("SELECT name FROM users")]
    made = machine.backup("--identite", keys / "age")
    for path in made.parent.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        stored = path.read_bytes()
        for marker in (*people, *names, *words(full), KEY):
            if len(marker) > 3:
                assert marker.encode() not in stored
    stock = json.loads(made.with_name(made.name + ".json").read_text())
    assert stock["schema"] == schemas()[0] and stock["counts"]["conversations"] == len(people)
    assert sorted(path.name for path in made.parent.iterdir()) == sorted([made.name, made.name + ".json"])


def test_without_planton_age_opens_what_pg_restore_reads(one: Path, keys: Path) -> None:
    opened = subprocess.run(["age", "-d", "-i", str(keys / "age"), str(one)], capture_output=True, check=True).stdout
    assert opened.startswith(b"PGDMP")


def test_older_backups_go_and_other_files_stay(machine: Machine, full: str) -> None:
    machine.set(DATABASE_URL=full)
    folder = machine.tmp / "backups"
    folder.mkdir()
    for day in ("01", "02", "03"):
        for end in ("", ".json"):
            (folder / f"planton-202601{day}T000000Z.dump.age{end}").write_text("")
    (folder / "notes.txt").write_text("")
    made = machine.backup("--garder", 2)
    left = sorted(path.name for path in folder.iterdir())
    assert left == sorted(
        [
            "notes.txt",
            made.name,
            f"{made.name}.json",
            *(f"planton-20260103T000000Z.dump.age{end}" for end in ("", ".json")),
        ]
    )


def signed(made: Path, **changes: Any) -> None:
    """An inventory that says something else, with a good signature."""
    beside = inventory.beside(made)
    beside.write_text(replace(inventory.read(beside), **changes).signed(Codec(KEY)).to_json())


def damaged(made: Path, how: str) -> None:
    stored = made.read_bytes()
    if how == "cut":
        made.write_bytes(stored[: len(stored) // 2])
    elif how == "bit":
        made.write_bytes(stored[:-9] + bytes([stored[-9] ^ 1]) + stored[-8:])
    elif how == "else":
        made.write_bytes(b"%PDF-1.7 something else")
    elif how == "forged":
        beside = inventory.beside(made)
        beside.write_text(json.dumps({**json.loads(beside.read_text()), "schema": "0004"}))
    elif how == "newer":
        signed(made, schema="9999")
    elif how == "alone":
        inventory.beside(made).unlink()


@pytest.mark.parametrize(
    ("how", "clear"),
    [
        ("cut", "est coupé"),
        ("bit", "n’est pas le fichier que décrit son inventaire"),
        ("else", "n’est pas une sauvegarde"),
        ("forged", "sa signature ne correspond pas"),
        ("newer", "est au schéma 9999, plus récent"),
        ("alone", "L’inventaire planton-"),
    ],
)
def test_what_is_no_whole_backup_is_one_clear_line(
    machine: Machine, copy: Path, keys: Path, how: str, clear: str
) -> None:
    damaged(copy, how)
    machine.fresh()
    code, said = machine.run("restore", copy, "--identite", keys / "age", "--oui")
    assert (code, len(said.strip().splitlines())) == (2, 1), said
    assert clear in said
    assert not (machine.tmp / "fresh" / "postgres").exists()


def test_nothing_changes_when_the_key_the_count_or_the_stream_is_wrong(
    machine: Machine, copy: Path, database_url: str, keys: Path
) -> None:
    machine.set(DATABASE_URL=database_url)
    before = content(database_url)

    def refused(clear: str, identity: str, *more: str) -> None:
        code, said = machine.run("restore", copy, "--identite", keys / identity, "--oui", *more)
        assert code == 2 and clear in said, said
        assert content(database_url) == before

    refused("n’ouvre pas cette sauvegarde", "other")
    machine.set(DATA_KEY=OTHER)
    refused("La clé ne correspond pas", "age")
    machine.set(DATA_KEY=KEY)
    signed(copy, counts={"events": 1})
    refused("n’a pas le compte de l’inventaire", "age")
    damaged(copy, "alone")  # without an inventory, the data themselves tell
    machine.set(DATA_KEY=OTHER)
    refused("La clé ne correspond pas", "age", "--sans-inventaire")
    machine.set(DATA_KEY=KEY)
    damaged(copy, "cut")
    refused("coupée ou abîmée", "age", "--sans-inventaire")


def sealed_by(url: str, key: str, most: int) -> None:
    """As many bodies of events, outbox and webhooks, all of them or the oldest, sealed with a key that is not the canary's."""
    with psycopg.connect(url) as connection:
        for table, column in (("events", "body"), ("outbox", "message"), ("deliveries", "raw")):
            ids = [row[0] for row in connection.execute(f"SELECT id FROM {table} ORDER BY id LIMIT %s", (most,))]
            sealed = Codec(key).seal_json({"kind": "message", "text": "un mot"}, f"{table}.{column}")
            connection.execute(f"UPDATE {table} SET {column} = %s WHERE id = ANY(%s)", (sealed, ids))


async def samples(url: str) -> list[readable.Sample]:
    database = Database(url, size=1)
    async with database.begin() as connection:
        found = await readable.samples(connection, Codec(KEY))
    await database.close()
    return found


def test_what_the_key_does_not_open_is_told_and_the_remedy_works(
    machine: Machine, postgres_url: str, database_url: str, keys: Path
) -> None:
    with fresh_database(postgres_url) as url:
        seed.fill(url, Codec(KEY), 6, 40, now=datetime.now(timezone.utc))
        asyncio.run(_canary(url))
        sealed_by(url, OTHER, 3)
        machine.set(DATABASE_URL=url)
        made = machine.backup()
    machine.set(DATABASE_URL=database_url)
    code, said = machine.run("restore", made, "--identite", keys / "age", "--oui")
    assert code == 0, said
    assert "aucune clé donnée : 6 sur" in said, said  # there are no raw webhooks in it
    assert "events.body : 3 sur" in said and "planton keys rotate" in said
    machine.set(DATA_KEY=f"{KEY},{OTHER}")
    code, said = machine.run("keys", "rotate")
    assert code == 0, said
    assert all(one.closed == 0 for one in asyncio.run(samples(database_url)))


def test_a_restoration_of_which_nothing_opens_fails_and_is_finished_with_the_right_key(
    machine: Machine, postgres_url: str, database_url: str, keys: Path
) -> None:
    with fresh_database(postgres_url) as url:
        seed.fill(url, Codec(OTHER), 3, 10, now=datetime.now(timezone.utc))
        asyncio.run(_canary(url))  # of another key than the data, as a mended database may have it
        machine.set(DATABASE_URL=url)
        made = machine.backup()
    machine.set(DATABASE_URL=database_url)
    code, said = machine.run("restore", made, "--identite", keys / "age", "--oui")
    assert code == 2, said
    assert "Rien de ce qui est chiffré ne s’ouvre" in said and "planton restore --terminer" in said
    with pytest.raises(SetupError, match="--terminer"):
        launcher.check_key(database_url, Settings())
    machine.set(DATA_KEY=f"{KEY},{OTHER}")
    code, said = machine.run("restore", "--terminer")
    assert code == 0 and "attention" not in said, said
    launcher.check_key(database_url, Settings())


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


def test_a_database_with_people_in_it_is_left_alone(machine: Machine, full: str, copy: Path, keys: Path) -> None:
    machine.set(DATABASE_URL=full)
    before, words_typed = content(full), ("non\n", "restaurer\nnon\n")
    code, said = machine.run("restore", copy, "--identite", keys / "age", "--oui")
    assert code == 2 and "--remplacer" in said
    with psycopg.connect(full, application_name="planton-worker"):
        code, said = machine.run("restore", copy, "--identite", keys / "age", "--oui", "--remplacer")
        assert code == 2 and "La base est utilisée" in said
    code, said = machine.run("restore", copy, "--identite", keys / "age", "--remplacer")
    assert code == 2 and "confirmation" in said
    machine.patch.setattr("sys.stdin", Terminal("restaurer\neffacer\n"))
    code, said = machine.run("restore", copy, "--identite", keys / "other", "--remplacer")
    assert code == 2 and "n’ouvre pas cette sauvegarde" in said and "Tapez" not in said  # the key is tried first
    for typed in words_typed:  # asked twice
        machine.patch.setattr("sys.stdin", Terminal(typed))
        code, said = machine.run("restore", copy, "--identite", keys / "age", "--remplacer")
        assert code == 2 and "Rien n’a été changé" in said
    assert "Tapez effacer" in said
    assert content(full) == before


def test_planton_does_not_run_meanwhile(machine: Machine, copy: Path, keys: Path) -> None:
    server = machine.fresh()
    server.acquire(patience=0)
    try:
        code, said = machine.run("restore", copy, "--identite", keys / "age", "--oui")
    finally:
        server.stop()
    assert code == 2 and "Planton tourne" in said


def test_a_back_up_of_what_was_restored_restores_as_well(
    machine: Machine, copy: Path, database_url: str, keys: Path
) -> None:
    machine.set(DATABASE_URL=database_url)
    assert machine.run("restore", copy, "--identite", keys / "age", "--oui")[0] == 0
    before, again, after = content(database_url), machine.backup("--identite", keys / "age"), came_back(machine)
    code, said = machine.run("restore", again, "--identite", keys / "age", "--oui", "--remplacer")
    assert code == 0, said
    assert_same(after, before)


def test_programs_older_than_the_server_are_refused(machine: Machine, full: str) -> None:
    machine.set(DATABASE_URL=full)
    machine.patch.setattr(clients, "_installed", lambda: iter([(12, Path("/usr/bin"))]))
    code, said = machine.run("backup", "--vers", machine.tmp / "backups")
    assert code == 2 and "le plus récent ici est en version 12" in said and "postgresql-client-18" in said


@pytest.mark.parametrize(
    ("recipients", "clear"),
    [
        ("", "ce réglage manque"),
        ("bob@exemple.fr", "n’est ni une clé publique age"),
        ("A" * 40, "n’est pas dans le trousseau"),
        ("age1" + "q" * 58, "Le chiffrement a échoué"),
    ],
)
def test_who_it_is_for_must_be_right(machine: Machine, full: str, recipients: str, clear: str) -> None:
    machine.set(DATABASE_URL=full, BACKUP_RECIPIENTS=recipients)
    code, said = machine.run("backup", "--vers", machine.tmp / "backups")
    assert code == 2 and clear in said
    assert list((machine.tmp / "backups").glob("*")) == []
    code, said = machine.run("backup", "--vers", machine.tmp / "backups", "--en-clair")
    assert code == 0 and "n’est pas chiffrée" in said


def test_a_full_disk_leaves_nothing_behind(machine: Machine, full: str) -> None:
    import resource
    import signal

    machine.set(DATABASE_URL=full)
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        code, said = machine.run("backup", "--vers", machine.tmp / "backups")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert code == 2 and "ne s’écrit pas" in said
    assert list((machine.tmp / "backups").glob("*")) == list((machine.tmp / "backups").glob(".*")) == []
