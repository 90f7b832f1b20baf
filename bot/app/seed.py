"""`planton seed`: a database full of invented conversations, to try the console and to measure it at its full size."""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Json

from bot.app import demo, policy, seed_words
from bot.app.access import reach
from bot.app.backup import check_key
from bot.app.places import PROJECT
from bot.app.say import say
from bot.app.seed_stories import TABLES, Desk, Stories
from bot.app.seed_words import Words
from bot.core.errors import SetupError
from bot.core.messages import Platform
from bot.dialogue import texts
from bot.settings import Settings
from bot.store import reindex
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.volumes import RollUp

CHUNK = 2_000  # conversations that are written together
# (name, role, level); nobody has a password: `planton users` or an administrator opens the account.
_PEOPLE = (
    *((f"{first} {last}", "agent", None) for first, last in zip(
        ("Élise", "Hugo", "Nadia", "Tanguy", "Camille", "Idriss", "Solène", "Rémi", "Yasmine", "Gaspard", "Odette", "Karim",
         "Maud", "Félix", "Anouk", "Simon", "Irène", "Bastien"),
        ("Aubertin", "Baudrier", "Clavel", "Delaunoy", "Escoffier", "Fabrègue", "Garrigue", "Hébrard", "Imbert", "Jacquemin",
         "Kerlan", "Lagrange", "Marsan", "Nadaud", "Oudin", "Pélissier", "Quéméner", "Reboul"), strict=True)),
    ("Chantal Sorel", "validator", "service"), ("Denis Teissier", "validator", "service"),
    ("Hélène Urbain", "validator", "cabinet"),
    ("Alban Verdier", "administrator", None), ("Inès Weber", "trainer", None), ("Odile Ybert", "auditor", None),
)  # fmt: skip
_TEAMS = ("Accueil", "Témoignages", "Réclamations", "Violences et mineurs", "Nuit")

Tell = Callable[[str], None]


def main(parsed: argparse.Namespace) -> int:
    """Fill a demo's database, or with --forcer the configured one; the exit code. Raises SetupError, SettingsError."""
    conversations, messages = parsed.conversations, parsed.messages
    if messages < conversations:
        raise SetupError(
            f"{conversations} conversations ne tiennent pas dans {messages} messages.",
            "Donnez au moins autant de messages que de conversations.",
        )
    given = Settings()
    if given.raw("DATABASE_URL") is not None and not parsed.forcer:
        raise SetupError(
            "PLANTON_DATABASE_URL désigne une base qui n’est pas celle d’une démonstration.",
            "Retirez ce réglage pour remplir la base de la démonstration, ou ajoutez --forcer si cette base ne sert qu’aux essais.",
        )
    settings = given if given.raw("DATABASE_URL") is not None else demo.demo_settings(given)
    with reach(settings) as url:
        started = time.monotonic()
        codec = Codec(settings.secret("DATA_KEY"))
        check_key(url, codec)  # and how values are sealed here
        fill(
            url,
            codec,
            conversations,
            messages,
            seed=parsed.graine,
            forced=parsed.forcer,
            tell=say,
        )
        say(f"{_number(messages)} messages sont en place, en {time.monotonic() - started:.0f} s.")
    return 0


def fill(
    url: str,
    codec: Codec,
    conversations: int,
    messages: int,
    seed: int = 1,
    now: datetime | None = None,
    forced: bool = False,
    tell: Tell = lambda line: None,
) -> None:
    """Write invented conversations into a migrated database, all or nothing; `now` ends the last one.

    The same `seed` and `now` tell the same stories. Raises SetupError when conversations stand there already and it is
    not `forced`.
    """
    rng = random.Random(seed)  # noqa: S311 (nothing secret)
    now = now or datetime.now(UTC)
    with psycopg.connect(url, connect_timeout=3) as connection:
        empty = _must_be_empty(connection, forced)
        connection.execute("SET LOCAL synchronous_commit = off")
        connection.execute("SET LOCAL maintenance_work_mem = '256MB'")
        desk = _desk(connection)
        intents = seed_words.examples(PROJECT / "data" / "nlu.yml")
        words = Words(rng, intents, texts.load(policy.DOMAIN))
        stories = Stories(codec, desk, words, list(intents), rng, now)
        with _without_indexes(connection, tell) if empty else _nothing():
            _write(connection, stories, conversations, messages, tell)
            _move_ids(connection)
        if empty:  # all of it is indexed: nothing is older than the search
            connection.execute(
                "INSERT INTO facts (name, value) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING",
                (reindex.FACT, Json(reindex.finished())),
            )
    tell("statistiques et volumes par heure…")
    with psycopg.connect(url, autocommit=True, connect_timeout=3) as connection:
        for table in TABLES:
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))
    asyncio.run(_roll_up(url, now))


def _must_be_empty(connection: psycopg.Connection[Any], forced: bool) -> bool:
    """Whether it is. Raises SetupError when it is not and nobody insists."""
    row = connection.execute("SELECT EXISTS (SELECT FROM conversations)").fetchone()
    empty = row is not None and not row[0]
    if not empty and not forced:
        raise SetupError(
            "La base contient déjà des conversations.",
            "Partez d’une base vide, ou ajoutez --forcer pour ajouter des conversations inventées à celles qui y sont.",
        )
    return empty


def _desk(connection: psycopg.Connection[Any]) -> Desk:
    """People and teams, made if need be; deadlines; the first free ids."""
    for name, role, level in _PEOPLE:
        connection.execute(
            """INSERT INTO users (name, role, validation_level) SELECT %s, %s, %s
               WHERE NOT EXISTS (SELECT FROM users WHERE lower(name) = lower(%s))""",
            (name, role, level, name),
        )
    for team in _TEAMS:
        connection.execute(
            """INSERT INTO teams (name) SELECT %s
               WHERE NOT EXISTS (SELECT FROM teams WHERE lower(name) = lower(%s) AND archived_at IS NULL)""",
            (team, team),
        )
    names = [name for name, role, _ in _PEOPLE if role == "agent"]
    agents = _column(connection, "SELECT id FROM users WHERE name = ANY(%s) AND role = 'agent' ORDER BY id", (names,))
    teams = _column(
        connection, "SELECT id FROM teams WHERE name = ANY(%s) AND archived_at IS NULL ORDER BY id", (list(_TEAMS),)
    )
    for number, agent in enumerate(agents):
        connection.execute(
            "INSERT INTO team_members (team_id, user_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (teams[number % len(teams)], agent),
        )
    within = dict(connection.execute("SELECT priority, within FROM deadlines").fetchall())
    return Desk(
        agents,
        teams,
        {priority: within.get(priority, timedelta(days=1)) for priority in range(10)},
        {table: _next_id(connection, table) for table in TABLES if "id" in TABLES[table]},
        {Platform.MESSENGER: demo.PAGE_ID, Platform.INSTAGRAM: demo.IG_ID},
        next(iter(_column(connection, "SELECT id FROM users WHERE role = 'trainer' ORDER BY id LIMIT 1", ())), None),
    )


def _column(connection: psycopg.Connection[Any], query: str, values: tuple[Any, ...]) -> list[int]:
    return [row[0] for row in connection.execute(query, values).fetchall()]


def _next_id(connection: psycopg.Connection[Any], table: str) -> int:
    query = sql.SQL("SELECT coalesce(max(id), 0) + 1 FROM {}").format(sql.Identifier(table))
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _move_ids(connection: psycopg.Connection[Any]) -> None:
    """What is written from now on gets the ids that follow."""
    for table, columns in TABLES.items():
        if "id" in columns:
            connection.execute(
                "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)",
                (table, max(1, _next_id(connection, table) - 1)),
            )


def _write(
    connection: psycopg.Connection[Any], stories: Stories, conversations: int, messages: int, tell: Tell
) -> None:
    buffers: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLES}
    step = max(1, conversations // 10)
    for number, rows in enumerate(stories.tell(conversations, messages), 1):
        for table, values in rows:
            buffers[table].append(values)
        if number % CHUNK == 0 or number == conversations:
            for table, some in buffers.items():
                _copy(connection, table, some)
                some.clear()
        if number % step == 0:
            tell(f"{_number(number)} conversations sur {_number(conversations)}…")


def _copy(connection: psycopg.Connection[Any], table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, TABLES[table]))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), columns)
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


@contextmanager
def _without_indexes(connection: psycopg.Connection[Any], tell: Tell) -> Iterator[None]:
    """Indexes are built at the end, in the same transaction: many times faster than row by row."""
    found = connection.execute(
        """SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i
           JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
           WHERE t.relname = ANY(%s) AND t.relnamespace = current_schema()::regnamespace
             AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) ORDER BY c.relname""",
        (list(TABLES),),
    ).fetchall()
    for name, _ in found:
        connection.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    yield
    tell("construction des index…")
    for _, definition in found:
        connection.execute(definition)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


async def _roll_up(url: str, now: datetime) -> None:
    database = Database(url, size=1)
    try:
        await RollUp(database).catch_up(now)
    finally:
        await database.close()


def _number(n: int) -> str:
    """« 100 000 » with spaces that do not break."""
    return f"{n:,}".replace(",", "\u202f")
