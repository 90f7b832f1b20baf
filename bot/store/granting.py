"""Gives the PostgreSQL roles of `bot.store.grants` what they need and takes what they have beyond it.

Applied by the owner after each migration, in its transaction; nothing is written where nothing differs, and GRANT waits for no
lock that traffic holds. Where roles are missing and the owner may not create them, what an administrator runs is `script`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.store.grants import FUNCTIONS, PARTS, READS_ALL, SEQUENCES, TABLES, role_of

TABLE_VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")
ROLES = tuple(role_of(part) for part in PARTS)
PUBLIC = "PUBLIC"
# What PUBLIC has in any database and may keep: it opens no table.
_TOLERATED = {("schema", "USAGE"), ("database", "CONNECT")}
_GRANT = re.compile(r"([A-Z]+)(?:\s*\(([^)]*)\))?")

Run = Callable[[str], Sequence[Sequence[Any]]]  # executes a statement; its rows, if it has any


@dataclass(frozen=True, order=True)
class Right:
    """`role` may do `verb` with an object (`kind`: table, sequence, function, schema, database), or with one `column` of it."""

    role: str
    kind: str
    object: str
    column: str
    verb: str


def parsed(grant: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(verb, columns) of « SELECT, UPDATE (a, b) »; no columns: all of them, those to come included."""
    for verb, columns in _GRANT.findall(grant):
        yield verb, tuple(filter(None, map(str.strip, columns.split(","))))


def wanted(tables: Iterable[str], sequences: Iterable[str], database: str) -> set[Right]:
    """Every right of every role. `tables`, `sequences`, `database`: names as they are there."""
    rights = set()
    for part in PARTS:
        role = role_of(part)
        rights |= {Right(role, "schema", "public", "", "USAGE"), Right(role, "database", database, "", "CONNECT")}
        for table, grant in TABLES.get(part, {}).items():
            for verb, columns in parsed(grant):
                rights |= {Right(role, "table", table, column, verb) for column in columns or ("",)}
        if part in READS_ALL:
            rights |= {Right(role, "table", table, "", "SELECT") for table in tables}
            rights |= {Right(role, "sequence", name, "", "SELECT") for name in sequences}
    for name, parts in SEQUENCES.items():
        rights |= {Right(role_of(part), "sequence", name, "", "USAGE") for part in parts}
    for name, parts in FUNCTIONS.items():
        rights |= {Right(role_of(part), "function", name, "", "EXECUTE") for part in parts}
    return rights


_HELD = f"""
    WITH ours AS (
        SELECT 0::oid AS oid, 'PUBLIC' AS name
        UNION ALL SELECT oid, rolname FROM pg_roles WHERE rolname = ANY('{{{",".join(ROLES)}}}')
    ), rights AS (
        SELECT a.grantee, CASE c.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind, c.relname::text AS object, '' AS col,
            a.privilege_type AS verb
        FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT a.grantee, 'table', c.relname, t.attname, a.privilege_type
        FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid AND NOT t.attisdropped, aclexplode(t.attacl) a
        WHERE c.relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT a.grantee, 'function', p.proname, '', a.privilege_type
        FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE p.pronamespace = 'public'::regnamespace
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        UNION ALL
        SELECT a.grantee, 'schema', n.nspname, '', a.privilege_type
        FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a WHERE n.nspname = 'public'
        UNION ALL
        SELECT a.grantee, 'database', d.datname, '', a.privilege_type
        FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a WHERE d.datname = current_database()
    )
    SELECT o.name, r.kind, r.object, r.col, r.verb FROM rights r JOIN ours o ON o.oid = r.grantee
"""  # noqa: S608 (names of ours)

_THERE = """
    SELECT CASE relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S')
"""
_KNOWN = f"SELECT rolname FROM pg_roles WHERE rolname = ANY('{{{','.join(ROLES)}}}')"  # noqa: S608
_SELF = """
    SELECT current_database(), rolsuper OR rolcreaterole, rolsuper,
        pg_has_role((SELECT datdba FROM pg_database WHERE datname = current_database()), 'USAGE'),
        current_setting('server_version_num')::int
    FROM pg_roles WHERE rolname = current_user
"""


def held(run: Run) -> set[Right]:
    """What PostgreSQL lets our roles and PUBLIC do with what stands in the schema, the schema and the database."""
    return {Right(*map(str, row)) for row in run(_HELD)}


def differences(run: Run) -> tuple[set[Right], set[Right]]:
    """(lacking, beyond): of the roles that there are, against the table."""
    there = [(str(kind), str(name)) for kind, name in run(_THERE)]
    tables = {name for kind, name in there if kind == "table"}
    sequences = {name for kind, name in there if kind == "sequence"}
    known = {str(row[0]) for row in run(_KNOWN)}
    right, has = wanted(tables, sequences, str(run(_SELF)[0][0])), held(run)
    everybody = {(one.kind, one.verb) for one in has if one.role == PUBLIC} & _TOLERATED
    if not of_another(run):  # given to each all the same: many an administrator takes it from PUBLIC
        everybody.discard(("schema", "USAGE"))
    lacking = {one for one in right - has if one.role in known and (one.kind, one.verb) not in everybody}
    beyond = {one for one in has - right if not (one.role == PUBLIC and (one.kind, one.verb) in _TOLERATED)}
    return lacking, beyond


def of_another(run: Run) -> frozenset[str]:
    """Kinds of objects whose rights are not for whoever asks to give: the database, and its schema, may have another owner."""
    return frozenset() if run(_SELF)[0][3] else frozenset({"schema", "database"})


def apply(run: Run) -> list[str]:
    """Create the roles that are missing, where that is allowed; then make rights what the table says. What was run.

    To be run by the owner, in a transaction. Raises what PostgreSQL raises.
    """
    done = list(_create(run))
    for statement in done:
        run(statement)
    lacking, beyond = differences(run)
    others = of_another(run)
    changed = {(one.role, one.kind, one.object) for one in lacking | beyond}
    there = [(str(kind), str(name)) for kind, name in run(_THERE)]
    all_rights = wanted(
        [name for kind, name in there if kind == "table"],
        [name for kind, name in there if kind == "sequence"],
        str(run(_SELF)[0][0]),
    )
    for role, kind, name in sorted(changed):
        if kind in others:
            continue  # its owner decides: `script` has the line
        gives = [one for one in all_rights if (one.role, one.kind, one.object) == (role, kind, name)]
        takes = [one for one in beyond if (one.role, one.kind, one.object) == (role, kind, name)]
        for statement in _statements(role, kind, name, gives, takes):
            run(statement)
            done.append(statement)
    return done


def _create(run: Run) -> Iterator[str]:
    _, may, everything, _, version = run(_SELF)[0]
    known = {str(row[0]) for row in run(_KNOWN)}
    missing = [role for role in ROLES if role not in known] if may else []
    for role in missing:
        # Roles belong to the whole server: another database's owner may be making the same ones.
        yield (
            f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
    if missing and not everything and int(version) >= 160_000:  # so that the owner sees what its parts are connected as
        yield f"GRANT {', '.join(missing)} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE"


def _statements(role: str, kind: str, name: str, gives: Sequence[Right], takes: Sequence[Right]) -> Iterator[str]:
    """What brings one role's rights on one object to `gives`."""
    where = f"{kind.upper()} {_quoted(name) if kind == 'database' else name}"
    if takes:
        if role == PUBLIC:
            verbs = ", ".join(sorted({one.verb for one in takes}))
            columns = sorted({one.column for one in takes if one.column})
            yield f"REVOKE {verbs if kind in ('schema', 'database') else 'ALL'} ON {where} FROM {role}"
            if columns:
                yield f"REVOKE ALL ({', '.join(columns)}) ON {where} FROM {role}"
        else:
            yield f"REVOKE ALL ON {where} FROM {role}"
    if gives:
        yield f"GRANT {_verbs(gives)} ON {where} TO {role}"


def _verbs(gives: Sequence[Right]) -> str:
    """« SELECT, UPDATE (a, b) »"""
    found = []
    for verb, rights in itertools.groupby(sorted(gives, key=lambda one: one.verb), lambda one: one.verb):
        columns = sorted(one.column for one in rights)
        found.append(verb if "" in columns else f"{verb} ({', '.join(columns)})")
    return ", ".join(found)


def script(run: Run) -> list[str]:
    """What an administrator of the server runs by hand for the roles of this database: whole, whatever is there."""
    database, owner = run("SELECT current_database(), current_user")[0]
    there = [(str(kind), str(name)) for kind, name in run(_THERE)]
    rights = wanted(
        [name for kind, name in there if kind == "table"],
        [name for kind, name in there if kind == "sequence"],
        str(database),
    )
    lines = [
        f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;" for role in ROLES
    ]
    lines += [f"GRANT {', '.join(ROLES)} TO {_quoted(str(owner))};"]
    beyond = [one for one in differences(run)[1] if one.kind in ("schema", "database")]
    lines += [f"REVOKE TEMPORARY ON DATABASE {_quoted(str(database))} FROM PUBLIC;"]
    lines += ["REVOKE CREATE ON SCHEMA public FROM PUBLIC;"]
    for (role, kind, name), gives in itertools.groupby(sorted(rights), lambda one: (one.role, one.kind, one.object)):
        takes = [one for one in beyond if (one.role, one.kind, one.object) == (role, kind, name)]
        lines += [f"{line};" for line in _statements(role, kind, name, list(gives), takes)]
    return lines


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def matrix(tables: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
    """table → part → what it may do there, as the table says it."""
    return {
        table: {part: TABLES.get(part, {}).get(table, "SELECT" if part in READS_ALL else "") for part in PARTS}
        for table in sorted(tables)
    }
