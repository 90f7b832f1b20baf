"""What `planton doctor` and `planton roles` say of the PostgreSQL roles: who lacks a right, who has more than it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from bot.monitor.finding import Problem
from bot.settings import PREFIX, Settings
from bot.store import granting
from bot.store.granting import PUBLIC, ROLES, Right
from bot.store.grants import PARTS, role_of

Row = dict[str, Any]
SHOWN = 5  # rights that one line names
PAGE = "docs/exploitation.md, « Les rôles de la base »"
_ATTRIBUTES = """
    SELECT r.rolname AS name, r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls AS much,
        EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid) AS member,
        EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relnamespace = 'public'::regnamespace) AS owner
    FROM pg_roles r WHERE r.rolname = ANY(%s) ORDER BY 1
"""
_CONNECTED = """
    SELECT DISTINCT replace(application_name, 'planton-', '') AS part, usename AS role FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = ANY(%s) ORDER BY 1, 2
"""


def run_on(connection: psycopg.Connection[Any]) -> granting.Run:
    """What `bot.store.granting` asks with."""

    def run(statement: str) -> Sequence[Sequence[Any]]:
        with connection.cursor(row_factory=psycopg.rows.tuple_row) as cursor:
            cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    return run


def problems(connection: psycopg.Connection[Row], settings: Settings) -> Iterator[Problem]:
    """Of a database whose schema is up to date."""
    known = list(connection.execute(_ATTRIBUTES, (list(ROLES),)).fetchall())
    missing = [role for role in ROLES if role not in {row["name"] for row in known}]
    if missing:
        yield Problem(
            f"La base n’a pas de rôle pour chaque service ({', '.join(missing)}) : tous y ont les droits du propriétaire.",
            f"Créez-les : planton roles --sql donne ce que l’administrateur de PostgreSQL exécute ({PAGE}).",
            advice=True,
        )
    for row in known:
        if row["much"] or row["member"] or row["owner"]:
            yield Problem(
                f"Le rôle PostgreSQL {row['name']} a plus de droits que ceux de ses tables.",
                f"Ôtez-lui ses attributs (ALTER ROLE {row['name']} NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS), "
                "ses appartenances et ses tables.",
            )
    run = run_on(connection)
    lacking, beyond = granting.differences(run)
    others = granting.of_another(run)
    for theirs, remedy in (
        (False, "Lancez, avec l’adresse du propriétaire de la base : planton migrate"),
        (
            True,
            f"La base est à un autre compte : planton roles --sql donne ce que son administrateur exécute ({PAGE}).",
        ),
    ):
        if some := {one for one in lacking if (one.kind in others) is theirs}:
            yield Problem(f"Des rôles PostgreSQL n’ont pas les droits qu’il leur faut : {_some(some)}.", remedy)
        if some := {one for one in beyond if (one.kind in others) is theirs}:
            yield Problem(f"Des rôles PostgreSQL ont plus de droits qu’il ne leur en faut : {_some(some)}.", remedy)
    if not settings.embedded:
        yield from _given(connection)


def _given(connection: psycopg.Connection[Row]) -> Iterator[Problem]:
    """Of a server that is not ours: who really connects as what."""
    row = connection.execute("SELECT rolsuper AS much FROM pg_roles WHERE rolname = current_user").fetchone()
    if row and row["much"]:
        yield Problem(
            f"{PREFIX}DATABASE_URL est celle d’un superutilisateur de PostgreSQL.",
            f"Donnez la base à un rôle ordinaire ({PAGE}).",
            advice=True,
        )
    names = [f"planton-{part}" for part in PARTS]
    rows = connection.execute(_CONNECTED, (names,)).fetchall()
    wrong = [f"{row['part']} ({row['role']})" for row in rows if row["role"] not in (None, role_of(row["part"]))]
    if wrong:
        yield Problem(
            f"Des services sont connectés à la base sous un autre rôle que le leur : {', '.join(wrong)}.",
            f"Donnez à chacun son adresse, par exemple {PREFIX}DATABASE_URL_GATEWAY ({PAGE}).",
            advice=True,
        )


def _some(rights: set[Right]) -> str:
    said = sorted({_said(one) for one in rights})
    more = f", et {len(said) - SHOWN} de plus" if len(said) > SHOWN else ""
    return ", ".join(said[:SHOWN]) + more


def _said(right: Right) -> str:
    who = "tous" if right.role == PUBLIC else right.role
    column = f" ({right.column})" if right.column else ""
    return f"{who} : {right.verb}{column} {right.object}"
