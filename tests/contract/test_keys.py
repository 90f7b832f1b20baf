"""DATA_KEY: a new key takes the old one's place while agents and citizens go on; a lost key is told at start."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg import sql
from psycopg.rows import dict_row

from bot.app import keys as command
from bot.app.cli import main, parser
from bot.app.doctor import _key, _server_log
from bot.app.entitled import NEEDS
from bot.app.wiring import run_role
from bot.core.clock import FrozenClock
from bot.core.errors import SettingsError, SetupError
from bot.core.messages import Event, Message, Platform
from bot.settings import Settings
from bot.store import erased, facts
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.people import People
from bot.store.places import COLUMNS, OTHERS
from bot.store.resealing import Resealing
from tests.conftest import of_part
from tests.contract.test_console_search import look, rows
from tests.fakes.console import Browser, running_console
from tests.fakes.ports import free_port
from tests.fakes.rows import fill

OLD = base64.b64encode(bytes(range(32))).decode()
NEW = base64.b64encode(bytes(range(32, 64))).decode()
WHERE = ("messenger", "page", "gone-person")


def test_every_binary_column_of_the_schema_is_known(database_url: str) -> None:
    """A column that the codec fills and the rotation forgets would be lost with the old key."""
    with psycopg.connect(database_url) as connection:
        found = {
            f"{table}.{column}"
            for table, column in connection.execute(
                """SELECT c.table_name, c.column_name FROM information_schema.columns c
                   JOIN information_schema.tables t USING (table_schema, table_name)
                   WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.udt_name IN ('bytea', '_bytea')"""
            )
        }
    ours = {f"{one.table}.{one.column}" for one in COLUMNS}
    assert found == ours | OTHERS
    assert ours & OTHERS == set()


async def test_what_stands_in_every_column_is_sealed_anew(database: Database, database_url: str) -> None:
    old, both, new = Codec(OLD), Codec(f"{NEW},{OLD}"), Codec(NEW)
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert fill(connection) == set()
        connection.execute("SET planton.resealing = 'on'")
        for one in COLUMNS:
            values = old.seal_json(one.bound, one.bound)
            done = connection.execute(
                sql.SQL("UPDATE {} SET {} = %s").format(sql.Identifier(one.table), sql.Identifier(one.column)),
                (values,),
            )
            assert done.rowcount > 0, one
    assert await Resealing(database, both).left() != {}
    unreadable = sum([step.unreadable async for step in Resealing(database, both).run()])
    assert unreadable == 0
    assert await Resealing(database, both).left() == {}
    with psycopg.connect(database_url) as connection:
        for one in COLUMNS:
            table = sql.Identifier(one.table)
            for row in connection.cursor(row_factory=dict_row).execute(sql.SQL("SELECT * FROM {}").format(table)):
                assert new.open_json(row[one.column], one.bound, *one.of(row)) == one.bound
                assert row[one.column].startswith(new.marks)


@pytest.fixture
async def told(database: Database, database_url: str, frozen_clock: FrozenClock) -> dict[str, int]:
    """A database of the time before: conversations, a reply, a note, a name; somebody was erased."""
    codec = Codec(OLD)
    async with database.begin() as connection:
        await facts.check_key(connection, codec)
    async with running_console(database, database_url, codec, frozen_clock) as console:
        await console.user("Claire")
        async with Browser(console) as claire:
            await claire.log_in("Claire")
            bike = await console.waiting("p1", "on a volé mon vélo rouge")
            await People(of_part(database, "worker"), codec).keep_name(bike, "Anaïs Le Goff")
            await claire.act(bike, "prendre")
            await claire.act(bike, "repondre", message="Un équipage passera demain.")
            await claire.act(bike, "note", note="Rappeler la gardienne de l’immeuble.")
            gone = await console.says("gone-person", "je veux disparaître", mid="m-gone")
    now = frozen_clock.now()
    async with database.begin() as connection:
        await erased.remember(connection, codec, gone, WHERE, now)
    return {"bike": bike}


async def _found(browser: Browser, **wanted: set[int]) -> None:
    for words, numbers in wanted.items():
        assert {number for number, _ in rows(await look(browser, words))} == numbers, words


async def test_search_and_reading_go_on_while_the_key_changes(
    told: dict[str, int], database: Database, database_url: str, frozen_clock: FrozenClock
) -> None:
    both, new, bike = Codec(f"{NEW},{OLD}"), Codec(NEW), told["bike"]
    async with database.begin() as connection:
        await facts.check_key(connection, both)
    async with running_console(database, database_url, both, frozen_clock) as console, Browser(console) as claire:
        await claire.log_in("Claire")
        await _found(claire, vélo={bike}, équipage={bike}, gardienne={bike})
        steps, number, late = 0, 0, set[int]()
        for attempt in range(2):  # the first is cut off in the middle
            run = Resealing(database, both, batch=3).run()
            async for step in run:
                steps += 1
                if steps % 4 == 1:
                    number += 1
                    late.add(await console.says(f"late{number}", "une trottinette verte", mid=f"m-late{number}"))
                    await _found(claire, vélo={bike}, trottinette=late)
                    assert "vélo rouge" in (await claire.get(f"/conversations/{bike}")).page
                with pytest.raises(SettingsError):  # too early for the new key alone
                    async with database.begin() as connection:
                        await facts.check_key(connection, new)
                if attempt == 0 and step.what == "events.body":
                    break
            await run.aclose()
        assert steps > 8
        await _found(claire, vélo={bike}, trottinette=late)
        late.add(await console.says("after", "encore une trottinette", mid="m-after"))
    # The old key is taken away.
    async with database.begin() as connection:
        await facts.check_key(connection, new)
        with pytest.raises(SettingsError, match="ne s’ouvrent pas"):
            await facts.check_key(connection, Codec(OLD))
    async with running_console(database, database_url, new, frozen_clock) as console, Browser(console) as claire:
        await claire.log_in("Claire")
        await _found(claire, vélo={bike}, équipage={bike}, gardienne={bike}, trottinette=late)
        assert "Anaïs Le Goff" in (await look(claire, "goff", auteur="nom")).page
        assert "gardienne" in (await claire.get(f"/conversations/{bike}")).page
        # Nothing of the old key is left in the index, and every value names the new key.
        tokens = {t for row in await console.rows("SELECT tokens FROM search_documents") for t in row.tokens}
        assert new.fingerprint("search", "velo") in tokens
        assert Codec(OLD).fingerprint("search", "velo") not in tokens
        assert await Resealing(database, new).left() == {}
        # What was erased does not come back, although its prints were made with the old key.
        async with database.begin() as connection:
            again = Event(
                Platform.MESSENGER,
                "page",
                "gone-person",
                "m-gone",
                frozen_clock.now(),
                Message("je veux disparaître"),
                mid="m-gone",
            )
            assert await erased.among(connection, new, [again], frozen_clock.now()) == {("messenger", "page", "m-gone")}


async def test_the_command_does_it_and_doctor_says_what_is_left(
    told: dict[str, int], database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings(keys: str) -> Settings:
        return Settings({"PLANTON_DATABASE_URL": database_url, "PLANTON_DATA_KEY": keys})

    def doctor(keys: str) -> str:
        with psycopg.connect(database_url, row_factory=dict_row) as connection:
            return " ".join(f"{one.what} {one.remedy}" for one in _key(connection, settings(keys)))

    def run(action: str, keys: str) -> int:
        monkeypatch.setattr(command, "Settings", lambda: settings(keys))
        monkeypatch.setattr(command, "recall", lambda given: given)
        return command.main(parser().parse_args(["keys", action]))

    both = f"{NEW},{OLD}"
    assert doctor(OLD) == ""
    with pytest.raises(SettingsError, match="ne contient qu’une clé"):
        await _thread(run, "rotate", OLD)
    assert await _thread(run, "status", both) == 1
    assert doctor(OLD) == ""  # asking noted nothing: a key that was only tried may be dropped
    assert "Faites : planton keys rotate" in doctor(both)
    assert await _thread(run, "rotate", both) == 0
    said = capsys.readouterr().out
    assert "l’ancienne clé ne sert plus" in said
    assert await _thread(run, "status", both) == 0
    assert "retirez-la" in doctor(both)
    assert doctor(NEW) == ""
    assert "ne s’ouvrent pas" in doctor(OLD)
    for secret in (OLD, NEW):
        assert secret not in said


async def _thread(run: Any, *words: str) -> int:
    """The command has a loop of its own."""
    return int(await asyncio.to_thread(run, *words))


def test_doctor_says_that_a_given_server_writes_values_into_its_log(database_url: str) -> None:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        assert list(_server_log(connection)) == []
        connection.execute("SET log_parameter_max_length_on_error = -1")
        assert "log_parameter_max_length_on_error" in next(_server_log(connection)).what
        connection.execute("SET log_parameter_max_length_on_error = 0")
        connection.execute("SET log_statement = 'all'")
        assert "(log_statement)" in next(_server_log(connection)).what


def test_values_of_the_first_format_open_with_either_key() -> None:
    raw, nonce = base64.b64decode(OLD), b"n" * 12
    first = b"\x01" + nonce + AESGCM(raw).encrypt(nonce, b"mots", b"notes.body")
    assert Codec(OLD).open(first, "notes.body") == Codec(f"{NEW},{OLD}").open(first, "notes.body") == b"mots"
    with pytest.raises(SettingsError):
        Codec(NEW).open(first, "notes.body")
    with pytest.raises(SettingsError):
        Codec(OLD).open(first, "events.body")
    with pytest.raises(SettingsError, match="plus de deux"):
        Codec(f"{NEW},{OLD},{NEW}")


@pytest.mark.parametrize("role", [role for role, needs in NEEDS.items() if "DATA_KEY" in needs and role != "sandbox"])
async def test_every_role_that_starts_alone_says_that_the_key_is_wrong(
    role: str, database: Database, database_url: str, tmp_path: Path
) -> None:
    async with database.begin() as connection:
        await facts.check_key(connection, Codec(OLD))
    environ = {
        "DATABASE_URL": database_url,
        "DATA_KEY": NEW,
        "SECRET_KEY": "s" * 40,
        "METRICS_TOKEN": "m" * 40,
        "META_APP_SECRET": "a" * 32,
        "META_VERIFY_TOKEN": "v" * 32,
        "META_PAGE_ID": "1",
        "META_PAGE_TOKEN": "t" * 32,
        "META_GRAPH_URL": f"http://127.0.0.1:{free_port()}/v26.0",
        "ENGINE_URL": f"http://127.0.0.1:{free_port()}",
        "VAR_DIR": str(tmp_path),
        **{f"{name}_PORT": str(free_port()) for name in ("GATEWAY", "CONSOLE", "SENDER", "SANDBOX")},
    }
    settings = Settings({f"PLANTON_{name}": value for name, value in environ.items()})
    with pytest.raises(SettingsError, match="ne s’ouvrent pas avec la clé PLANTON_DATA_KEY"):
        await asyncio.wait_for(run_role(role, settings), 120)


@pytest.mark.parametrize(
    "command_line",
    [
        ("purge",),
        ("purge", "--simuler"),
        ("person", "export", "7"),
        ("person", "erase", "7", "--simuler"),
        ("person", "erase", "7", "--oui"),
        ("catchup",),
    ],
    ids=" ".join,
)
async def test_no_command_works_on_data_of_another_key(
    command_line: tuple[str, ...],
    database: Database,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with database.begin() as connection:
        await facts.check_key(connection, Codec(OLD))
    for name, value in {
        "DATABASE_URL": database_url,
        "DATA_KEY": NEW,
        "SECRET_KEY": "s" * 40,
        "META_APP_SECRET": "a" * 32,
        "META_PAGE_ID": "1",
        "META_PAGE_TOKEN": "t" * 32,
        "META_GRAPH_URL": f"http://127.0.0.1:{free_port()}/v26.0",
        "VAR_DIR": str(tmp_path),
    }.items():
        monkeypatch.setenv(f"PLANTON_{name}", value)
    assert await asyncio.to_thread(main, command_line) == 2
    said = capsys.readouterr()
    assert "ne s’ouvrent pas avec la clé PLANTON_DATA_KEY" in said.err
    assert len(said.err.splitlines()) == 1 and not said.out


async def test_one_may_go_back_to_the_old_key(database: Database) -> None:
    """As docs/exploitation.md says: the old one first, then a rotation."""
    old, back = Codec(OLD), Codec(f"{OLD},{NEW}")
    for codec in (old, Codec(f"{NEW},{OLD}")):  # the second start commits to both
        async with database.begin() as connection:
            await facts.check_key(connection, codec)
    async with database.begin() as connection:
        with pytest.raises(SettingsError, match="la rotation n’est pas finie"):
            await facts.check_key(connection, old)
    async for _ in Resealing(database, back).run():
        pass
    async with database.begin() as connection:
        await facts.check_key(connection, old)
        with pytest.raises(SettingsError, match="ne s’ouvrent pas"):
            await facts.check_key(connection, Codec(NEW))


def _raising(connection: psycopg.Connection[Any], state: str, times: int) -> None:
    """The first updates of conversations fail with this SQL state."""
    connection.execute("CREATE SEQUENCE tried")
    connection.execute(
        f"""CREATE FUNCTION met() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF nextval('tried') <= {times} THEN RAISE EXCEPTION 'secret' USING ERRCODE = '{state}'; END IF;
            RETURN NEW; END $$"""
    )
    connection.execute("CREATE TRIGGER met BEFORE UPDATE ON conversations FOR EACH ROW EXECUTE FUNCTION met()")


async def test_a_rotation_that_meets_others_goes_on_and_says_what_else_hinders_it(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.resealing._PAUSE", 0.0)
    old, both = Codec(OLD), Codec(f"{NEW},{OLD}")
    with psycopg.connect(database_url, autocommit=True) as connection:
        for number in range(8):
            connection.execute(
                """INSERT INTO conversations (platform, account, person, profile) VALUES ('messenger', 'page', %s, %s)""",
                (f"p{number}", old.seal(b"{}", "conversations.profile")),
            )
        _raising(connection, "53100", 1)
        with pytest.raises(SetupError) as raised:
            await command._rotate(database_url, both)
        assert "manque de place" in str(raised.value) and "secret" not in str(raised.value)
        connection.execute("DROP TRIGGER met ON conversations")
        connection.execute("DROP FUNCTION met")
        connection.execute("DROP SEQUENCE tried")
        _raising(connection, "40P01", 5)
        assert await command._rotate(database_url, both) == 0
        assert connection.execute("SELECT last_value > 5 FROM tried").fetchone() == (True,)
    assert await Resealing(database, both).left() == {}
