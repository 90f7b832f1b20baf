"""One PostgreSQL role for each part: what the table grants is possible, all else is refused, nothing leads around it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, cast

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.rows import dict_row

from bot.app import launcher, rights
from bot.settings import Settings
from bot.store import granting, grants
from bot.store.db import Database, SchemaWaits
from bot.store.grants import FUNCTIONS, PARTS, READS_ALL, TABLES, role_of
from tests.conftest import as_part, fresh_database

pytestmark = pytest.mark.refused
# Tries each line and keeps those that are refused: ten thousand in a second.
_TRY = """
    DO $$ DECLARE
        one text;
        refused text[] := '{}';
    BEGIN
        FOREACH one IN ARRAY string_to_array(current_setting('test.tried'), E'\\n') LOOP
            BEGIN
                EXECUTE one;
            EXCEPTION WHEN insufficient_privilege THEN
                refused := refused || one;
            END;
        END LOOP;
        PERFORM set_config('test.refused', array_to_string(refused, E'\\n'), false);
    END $$
"""
Columns = dict[str, dict[str, str]]  # table → column → type, "" of one that PostgreSQL computes


def refused(connection: psycopg.Connection[Any], statements: list[str]) -> set[str]:
    connection.execute("SELECT set_config('test.tried', %s, false)", ("\n".join(statements),))
    connection.execute(_TRY)
    row = connection.execute("SELECT current_setting('test.refused')").fetchone()
    assert row is not None
    return set(filter(None, row[0].split("\n")))


@pytest.fixture
def columns(database_url: str) -> Columns:
    with psycopg.connect(database_url) as connection:
        found: Columns = {}
        for table, column, kind in connection.execute("""
            SELECT c.relname, a.attname, CASE a.attgenerated WHEN '' THEN format_type(a.atttypid, a.atttypmod) ELSE '' END
            FROM pg_class c
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1, a.attnum
        """):
            found.setdefault(table, {})[column] = kind
        return found


def cells(part: str, columns: Columns) -> Iterator[tuple[str, bool]]:
    """(statement, whether the table grants it): each verb on each table as a whole, and on each of its columns."""
    for table, kinds in columns.items():
        granted = {verb: set(names) for verb, names in granting.parsed(TABLES.get(part, {}).get(table, ""))}
        if part in READS_ALL:
            granted["SELECT"] = set()

        def may(verb: str, column: str = "", granted: dict[str, set[str]] = granted) -> bool:
            return verb in granted and (not granted[verb] or column in granted[verb])

        yield f"SELECT * FROM {table} LIMIT 0", may("SELECT") or granted.get("SELECT") == set(kinds)
        yield f"DELETE FROM {table} WHERE false", may("DELETE")
        yield f"TRUNCATE {table}", False
        for column, kind in kinds.items():
            yield f"SELECT {column} FROM {table} LIMIT 0", may("SELECT", column)
            if not kind:
                continue
            yield f"UPDATE {table} SET {column} = DEFAULT WHERE false", may("UPDATE", column)
            yield (
                f"INSERT INTO {table} ({column}) OVERRIDING SYSTEM VALUE SELECT NULL::{kind} WHERE false",
                may("INSERT", column),
            )


@pytest.mark.parametrize("part", PARTS)
def test_each_cell_that_the_table_does_not_grant_is_refused(part: str, database_url: str, columns: Columns) -> None:
    expected = dict(cells(part, columns))
    with psycopg.connect(as_part(database_url, part)) as connection:
        found = refused(connection, list(expected))
    assert {one for one, may in expected.items() if not may} - found == set(), "possible, and not granted"
    assert {one for one, may in expected.items() if may} & found == set(), "granted, and refused"
    assert len(expected) > 1000


AROUND = (
    "CREATE TABLE public.own (a int)",
    "CREATE TEMP TABLE own (a int)",
    "CREATE SCHEMA own",
    "CREATE FUNCTION public.own() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION public.connected(part text) RETURNS TABLE (address text) LANGUAGE sql AS 'SELECT 1::text'",
    "ALTER FUNCTION public.expire(text, timestamptz, integer) SECURITY INVOKER",
    "ALTER TABLE users ADD COLUMN own int",
    "ALTER TABLE audit DISABLE TRIGGER audit_append_only",
    "CREATE TRIGGER own BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION audit_append_only()",
    "CREATE RULE own AS ON INSERT TO users DO NOTHING",
    "DROP TABLE users",
    "DROP FUNCTION public.connected(text)",
    "CREATE INDEX own ON users (id)",
    "CREATE ROLE own",
    "CREATE DATABASE own",
    "DROP EXTENSION plpgsql",
    "ALTER SYSTEM SET log_statement = 'all'",
    "SET log_statement = 'all'",
    "SET session_replication_role = 'replica'",
    "SET ROLE planton",
    "SET SESSION AUTHORIZATION planton",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/own'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_reload_conf()",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = 'planton'",
)


@pytest.mark.parametrize("part", PARTS)
def test_no_part_gets_around_the_table(part: str, database_url: str) -> None:
    others = [role_of(one) for one in PARTS if one != part]
    own = role_of(part)
    more = [*(f"SET ROLE {one}" for one in others), *(f"GRANT {one} TO {own}" for one in others)]
    more += [f"ALTER ROLE {own} SUPERUSER", f"ALTER ROLE {own} CREATEROLE", f"GRANT planton TO {own}"]
    with (
        psycopg.connect(database_url) as owner,
        psycopg.connect(as_part(database_url, part), autocommit=True) as connection,
    ):
        owner.execute("SELECT 1")
        for statement in (*AROUND, *more):
            with pytest.raises((errors.InsufficientPrivilege, errors.InvalidGrantOperation), match=r".") as caught:
                connection.execute(cast("LiteralString", statement))
            assert caught.value.sqlstate == "42501", statement
        row = connection.execute(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls FROM pg_roles WHERE rolname = %s", (own,)
        )
        assert row.fetchone() == (False,)


@pytest.mark.parametrize("part", PARTS)
def test_functions_are_those_that_the_part_needs(part: str, database_url: str) -> None:
    with psycopg.connect(as_part(database_url, part)) as connection:
        found = connection.execute("""
            SELECT p.proname, has_function_privilege(p.oid, 'EXECUTE') FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
        """).fetchall()
    assert {name for name, may in found if may} == {name for name, parts in FUNCTIONS.items() if part in parts}
    assert set(FUNCTIONS) <= {name for name, _ in found}


def test_every_table_has_its_line(columns: Columns) -> None:
    """A new table is nobody's until `bot.store.grants` says whose it is."""
    granted = {table for tables in TABLES.values() for table in tables}
    assert set(columns) - granted == set(grants.OWNERS), "tables that no part may use: name them in bot/store/grants.py"
    assert granted <= set(columns)
    for part, tables in TABLES.items():
        for table, grant in tables.items():
            for verb, names in granting.parsed(grant):
                assert verb in granting.TABLE_VERBS, (part, table, verb)
                assert set(names) <= {*columns[table], "xmax"}, (part, table, verb)


# -- a stolen role -------------------------------------------------------------------------------------------------


def test_a_stolen_gateway_lets_nobody_in_and_reads_nobodys_account(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("INSERT INTO users (name, role) VALUES ('Claire', 'agent')")
    tries: tuple[LiteralString, ...] = (
        "INSERT INTO users (name, role) VALUES ('Intrus', 'administrator')",
        "UPDATE users SET role = 'administrator'",
        "UPDATE users SET password_hash = 'x'",
        "INSERT INTO sessions (token_hash, user_id, csrf, created_at, seen_at) SELECT 'x', 1, 'x', now(), now()",
        "INSERT INTO login_links (token_hash, user_id, expires_at) SELECT 'x', 1, now()",
        "DELETE FROM second_factors",
        "SELECT count(*) FROM users",
        "SELECT count(*) FROM sessions",
        "SELECT count(*) FROM audit",
        "SELECT count(*) FROM notes",
        "SELECT count(*) FROM drafts",
        "SELECT message FROM outbox",
        "SELECT profile FROM conversations",
        "SELECT expire('sessions', now(), 1000)",
        "SELECT * FROM forget_accounts(now(), 1000)",
    )
    with psycopg.connect(as_part(database_url, "gateway"), autocommit=True) as connection:
        for one in tries:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(one)


@pytest.mark.parametrize("part", [part for part in PARTS if part != "console"])
def test_nobody_but_the_console_makes_accounts_or_decides_and_nobody_changes_the_audit(
    part: str, database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("INSERT INTO users (name, role) VALUES ('Claire', 'agent')")
        owner.execute("INSERT INTO audit (at, action) VALUES (now() - interval '1 year', 'view'), (now(), 'view')")
    tries: tuple[LiteralString, ...] = (
        "INSERT INTO users (name, role) VALUES ('Intrus', 'administrator')",
        "UPDATE users SET role = 'administrator'",
        "UPDATE sessions SET stage = 'open'",
        "DELETE FROM second_factors",
        "INSERT INTO proposals (model, state) VALUES ('x', 'approved')",
        "UPDATE proposals SET state = 'approved'",
        "INSERT INTO publications (model, proposal_id) VALUES ('x', 1)",
        "UPDATE publications SET proposal_id = 1",
        "UPDATE audit SET at = now()",
        "DELETE FROM audit",
    )
    with psycopg.connect(as_part(database_url, part), autocommit=True) as connection:
        for one in tries:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(one)
    with psycopg.connect(as_part(database_url, "console"), autocommit=True) as connection:
        for one in tries[-2:]:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(one)


def test_the_purge_lets_only_what_is_old_go(database_url: str) -> None:
    now = datetime.now(UTC)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("INSERT INTO users (name, role) VALUES ('Claire', 'agent')")
        for age in (1, 60, 400):
            owner.execute("INSERT INTO audit (at, action) VALUES (%s, 'view')", (now - timedelta(days=age),))
            owner.execute("INSERT INTO login_failures (subject, at) VALUES ('a', %s)", (now - timedelta(days=age),))
        with psycopg.connect(as_part(database_url, "worker"), autocommit=True) as worker:
            for kind, gone in (("audit", 1), ("login_failures", 2)):
                assert worker.execute("SELECT expire(%s, %s, 1000)", (kind, now + timedelta(days=9))).fetchone() == (
                    gone,
                )
            for kind in ("users", "audit; DROP TABLE users", "notes"):
                with pytest.raises(errors.InsufficientPrivilege):
                    worker.execute("SELECT expire(%s, %s, 1000)", (kind, now))
            worker.execute("SELECT set_config('planton.audit_expires', 'on', false)")
            with pytest.raises(errors.InsufficientPrivilege):
                worker.execute("DELETE FROM audit")
        assert owner.execute("SELECT count(*) FROM audit").fetchone() == (2,)


@pytest.mark.parametrize("before", ["infinity", "-infinity", None])
def test_whoever_asks_takes_no_name_that_the_audit_still_needs(database_url: str, before: str | None) -> None:
    with psycopg.connect(database_url, autocommit=True) as owner:
        for name, closed, named in (("Claire", 30, 1), ("Nadia", 400, 80), ("Paul", 30, 30), ("Ancienne", 400, 300)):
            owner.execute(
                "WITH u AS (INSERT INTO users (name, role, disabled_at) VALUES (%s, 'agent', now() - %s * interval '1 day')"
                " RETURNING id) INSERT INTO audit (at, action, user_id) SELECT now() - %s * interval '1 day', 'view', id FROM u",
                (name, closed, named),
            )
        with psycopg.connect(as_part(database_url, "worker"), autocommit=True) as worker:
            worker.execute("SELECT * FROM forget_accounts(%s, 1000)", (before,))
        kept = {row[0] for row in owner.execute("SELECT name FROM users")}
    assert {"Claire", "Nadia", "Paul"} <= kept
    assert ("Ancienne" in kept) is (before == "-infinity")


# -- how they come to be -------------------------------------------------------------------------------------------


def test_what_differs_is_told_and_mended_and_the_administrators_script_makes_it_too(database_url: str) -> None:
    async def migrate() -> None:
        database = Database(database_url, size=1)
        await database.migrate()
        await database.close()

    settings = Settings({"PLANTON_DATABASE_URL": database_url})
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as owner:

        def wrong() -> list[str]:
            return [one.what for one in rights.problems(owner, settings) if not one.advice]

        assert wrong() == []
        owner.execute("GRANT UPDATE (role) ON users TO planton_gateway")
        owner.execute("GRANT SELECT ON audit TO PUBLIC")
        owner.execute("REVOKE INSERT ON outbox FROM planton_worker")
        owner.execute("GRANT EXECUTE ON FUNCTION expire TO planton_sender")
        lacking, beyond = wrong()
        assert "planton_worker : INSERT outbox" in lacking
        for said in ("planton_gateway : UPDATE (role) users", "tous : SELECT audit", "planton_sender : EXECUTE expire"):
            assert said in beyond
        asyncio.run(migrate())
        assert wrong() == []
        for role in granting.ROLES:
            owner.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(sql.Identifier(role)))
            owner.execute(sql.SQL("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM {}").format(sql.Identifier(role)))
        assert wrong()
        for line in granting.script(rights.run_on(owner)):
            owner.execute(cast("LiteralString", line))
        assert wrong() == []
        asyncio.run(migrate())


def test_rights_that_only_the_databases_owner_gives_are_told_with_what_its_administrator_runs(
    database_url: str,
) -> None:
    """Where tables are one account's, and the database another's."""
    settings = Settings({"PLANTON_DATABASE_URL": database_url})
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        run = rights.run_on(connection)

        def wrong() -> list[tuple[str, str]]:
            connection.execute("SET ROLE tables_owner")
            found = [(one.what, one.remedy) for one in rights.problems(connection, settings) if not one.advice]
            assert not [line for line in granting.apply(run) if "DATABASE" in line or "SCHEMA" in line]
            connection.execute("RESET ROLE")
            return found

        name = connection.info.dbname
        connection.execute("CREATE ROLE tables_owner")
        try:
            connection.execute("REVOKE USAGE ON SCHEMA public FROM planton_worker")
            assert wrong() == []  # everybody has it
            connection.execute(
                sql.SQL("GRANT TEMPORARY ON DATABASE {} TO PUBLIC, planton_gateway").format(sql.Identifier(name))
            )
            connection.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
            (lacking, first), (beyond, second) = wrong()
            assert "planton_worker : USAGE public" in lacking
            assert f"tous : TEMPORARY {name}" in beyond and f"planton_gateway : TEMPORARY {name}" in beyond
            for remedy in (first, second):
                assert "planton roles --sql" in remedy and "migrate" not in remedy
            for line in granting.script(run):
                connection.execute(cast("LiteralString", line))
            assert wrong() == []
        finally:
            connection.execute("RESET ROLE")
            connection.execute("DROP ROLE tables_owner")


def test_a_part_waits_for_the_owner_to_bring_the_schema_up_to_date(postgres_url: str, template_url: str) -> None:
    with fresh_database(postgres_url) as url:
        part = as_part(url, "gateway")
        assert launcher.migrate(part)  # up to date: it only looks
        nobody = "postgresql://nobody@127.0.0.1:1/none"
        assert launcher.migrate_or_wait(nobody, [part])
        assert not launcher.migrate_or_wait(nobody, [nobody])
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute("UPDATE alembic_version SET version_num = '0006'")
        with pytest.raises(SchemaWaits, match="0006"):
            launcher.migrate_or_wait(nobody, [part])
