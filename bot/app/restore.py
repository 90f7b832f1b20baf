"""`planton restore`: a back-up into an empty database, checked before, while and after; then what was erased since goes again.

The back-up comes in by one transaction, which also counts what came and ends the old sessions: a wrong key, a cut file or a
full disk leave the database as it was. What follows (newer schema, erasures, purge) is told by a fact that stands in the same
transaction: until it is done, Planton does not start.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from bot.app import doctor, inventory, sealing
from bot.app.access import answers, unreachable
from bot.app.backup import register_of
from bot.app.inventory import Inventory, Register
from bot.app.launcher import migrate
from bot.app.pipes import CHUNK, Program, Pump
from bot.app.say import say, typeset
from bot.app.sealing import Opening
from bot.core.errors import SettingsError, SetupError
from bot.core.system_errors import reason
from bot.settings import Settings
from bot.store import binding, erased, facts, places, readable, reindex
from bot.store.clients import Clients, clients
from bot.store.codec import Codec
from bot.store.db import MIGRATION_LOCK, Database, schemas
from bot.store.embedded import Embedded
from bot.store.persons import Persons
from bot.store.purge import Busy, Origin, Purge
from bot.store.readable import Sample
from bot.store.resealing import Resealing
from bot.store.retention import Held
from bot.store.volumes import RollUp
from bot.store.workbench.drift import Drift

# What nobody may come back to: sessions and links that were open when the back-up was made.
DOORS = ("sessions", "login_links", "oidc_logins")
# Whether somebody's data stand there: a schema that was only created is as good as empty.
_LOOKS = 10  # for whoever has just left, 0.2 s apart
_PEOPLE = ("conversations", "events", "deliveries", "users", "audit")
_COUNTS, _SCHEMA = "PL001", "PL002"  # SQLSTATEs of our own


def main(parsed: argparse.Namespace) -> int:
    """Restore, or finish a restoration; the exit code. Raises SetupError, SettingsError; the database is as before then."""
    settings = Settings()
    codec = Codec(settings.secret("DATA_KEY"))
    if parsed.terminer:
        with _alone(settings) as url:
            finish(url, settings, codec)
        return doctor.main(argparse.Namespace(json=False))
    if parsed.file is None:
        raise SetupError("Il manque le fichier de la sauvegarde.", "Aide : planton restore --help")
    file = Path(parsed.file).absolute()
    identity = None if parsed.identite is None else Path(parsed.identite)
    kind, stock = examine(file, codec, parsed.sans_inventaire)
    with sealing.opening(kind, identity) as opening, _alone(settings) as url:
        present = _present(url)
        if present.people and not parsed.remplacer:
            raise SetupError(
                f"La base n’est pas vide ({present.conversations} conversations, et des comptes) : rien n’a été changé.",
                "Restaurez dans une base neuve ; ou ajoutez --remplacer : ce qu’elle contient sera effacé.",
            )
        if not parsed.oui:
            try_key(file, opening)  # a wrong one is told before anything is asked
            _ask(file, stock, present)
        register = inventory.merged(_of_neighbours(file, stock, codec), present.register)
        load(url, file, opening, stock, codec, register)
        say("la sauvegarde est en place ; mise à jour, effacements et purge…")
        finish(url, settings, codec)
    say(
        "les messages arrivés depuis la sauvegarde seront repris chez Meta au démarrage (planton catchup les reprend à la main). "
        "Redites les demandes d’effacement reçues depuis la dernière sauvegarde : planton person erase. Les réponses qui "
        "attendaient l’envoi à ce moment-là partiront au démarrage."
    )
    doctor.main(argparse.Namespace(json=False))  # the ledger, and what else this machine lacks
    return 0


# -- before --------------------------------------------------------------------------------------------------------


def examine(file: Path, codec: Codec, without_inventory: bool = False) -> tuple[str, Inventory | None]:
    """(what encrypts it, its inventory), both checked. Raises SetupError before anything is touched."""
    digest, head, size = hashlib.sha256(), b"", 0
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                head = head or chunk[:64]
                size += len(chunk)
                digest.update(chunk)
    except OSError as error:
        raise SetupError(f"{file} ne se lit pas ({reason(error)}).", "Vérifiez le chemin et les droits.") from None
    kind = sealing.kind_of(head)
    if kind is None:
        raise SetupError(
            f"{file.name} n’est pas une sauvegarde de Planton.", "Donnez un fichier écrit par planton backup."
        )
    if without_inventory and not inventory.beside(file).exists():
        return kind, None
    stock = inventory.read(inventory.beside(file))
    inventory.check(stock, codec)
    if size < stock.size:
        raise SetupError(
            f"{file.name} est coupé : {size} octets au lieu de {stock.size}.",
            "Prenez une autre copie de cette sauvegarde.",
        )
    if digest.hexdigest() != stock.sha256 or kind != stock.encryption:
        raise SetupError(
            f"{file.name} n’est pas le fichier que décrit son inventaire : il est abîmé, ou c’en est un autre.",
            "Prenez une autre copie de cette sauvegarde.",
        )
    _check_schema(stock.schema)
    return kind, stock


def _check_schema(schema: str) -> None:
    if schema not in schemas():
        raise SetupError(
            f"La sauvegarde est au schéma {schema}, plus récent que celui de ce Planton ({schemas()[0]}).",
            "Installez la version de Planton qui l’a faite, ou une plus récente.",
        )


def _of_neighbours(file: Path, stock: Inventory | None, codec: Codec) -> Register:
    """Erasures that this back-up and the newer ones in its folder know of; of other installations' nothing."""
    register = inventory.unsealed(codec, stock.register) if stock else {}
    for path in sorted(file.parent.glob(f"*{inventory.SUFFIX}")):
        with contextlib.suppress(SetupError):
            other = inventory.read(path)
            inventory.check(other, codec)
            register = inventory.merged(register, inventory.unsealed(codec, other.register))
    return register


@contextlib.contextmanager
def _alone(settings: Settings) -> Iterator[str]:
    """The database that nobody else uses: the embedded one (created if new), or the given one. Raises SetupError."""
    url = settings.database_url
    if url is not None:
        if not answers(url):
            raise unreachable()
        _check_alone(url)
        yield url
        return
    server = Embedded(settings.var_dir)
    if server.held:
        raise SetupError("Planton tourne : rien n’a été changé.", "Arrêtez-le, puis recommencez.")
    with server:
        yield server.url


def _check_alone(url: str) -> None:
    """Raise SetupError while somebody else is connected; whoever has just left is given the time to be gone."""
    with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
        for _ in range(_LOOKS):
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND coalesce(backend_type, 'client backend') = 'client backend' AND usesysid IS NOT NULL"
            ).fetchone()
            if not row or not row[0]:
                return
            time.sleep(0.2)
    if row and row[0]:
        raise SetupError(
            f"La base est utilisée ({row[0]} connexion{'s' if row[0] > 1 else ''}) : rien n’a été changé.",
            "Arrêtez Planton sur toutes les machines, et fermez les autres accès à la base.",
        )


@dataclass(frozen=True)
class _Present:
    """What the database holds already."""

    people: int
    conversations: int
    register: Register


def _present(url: str) -> _Present:
    counts = dict.fromkeys(_PEOPLE, 0)
    register: Register = {}
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(
            "SELECT array_agg(tablename::text) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone()
        tables = set((row and row[0]) or ())
        if tables and "alembic_version" not in tables:
            raise SetupError(
                "La base contient des tables qui ne sont pas celles de Planton : rien n’a été changé.",
                "Donnez à Planton une base à lui.",
            )
        for table in tables & set(_PEOPLE):
            found = connection.execute(f"SELECT count(*) FROM public.{table}").fetchone()  # noqa: S608
            counts[table] = found[0] if found else 0
        if "erased_messages" in tables:
            register = register_of(connection)
    return _Present(sum(counts.values()), counts["conversations"], register)


def _ask(file: Path, stock: Inventory | None, present: _Present) -> None:
    if not sys.stdin.isatty():
        raise SetupError("Une restauration demande une confirmation.", "Relancez dans un terminal, ou ajoutez --oui.")
    when = f" du {stock.moment.astimezone():%d/%m/%Y à %H:%M}" if stock else ""
    say(f"la sauvegarde {file.name}{when} va être restaurée.")
    _must_type("restaurer", "Tapez restaurer pour continuer : ")
    if present.people:
        say(
            f"la base contient {present.conversations} conversations et leurs messages : ils seront effacés pour toujours."
        )
        _must_type("effacer", "Tapez effacer pour continuer : ")


def _must_type(word: str, question: str) -> None:
    print(typeset(question), end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != word:
        raise SetupError("Rien n’a été changé.")


def try_key(file: Path, opening: Opening) -> None:
    """Open the first bytes. Raises SetupError when the key is not the one."""
    if not opening.command:
        return
    with (
        file.open("rb") as stream,
        subprocess.Popen(
            list(opening.command),
            stdin=stream,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(opening.environ),
        ) as opened,
    ):
        assert opened.stdout is not None
        head = opened.stdout.read(1)
        opened.kill()
    if not head:
        raise _not_opened(opening.command[0].rpartition("/")[2], 0)


# -- the transaction -----------------------------------------------------------------------------------------------


def load(url: str, file: Path, opening: Opening, stock: Inventory | None, codec: Codec, register: Register) -> None:
    """Replace everything in the database by the back-up, in one transaction. Raises SetupError; nothing changed then."""
    programs = clients(url)
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(file.open("rb"))
        psql = _psql(programs)
        stack.callback(psql.close)
        read = Program(programs.command("pg_restore", "--no-owner", "--no-privileges", "--file=-"), programs.environ)
        stack.callback(read.close)
        pumps = []
        source = stream
        if opening.command:
            opened = Program(opening.command, opening.environ)
            stack.callback(opened.close)
            pumps.append(Pump(stream, [opened.stdin], [opened.stdin]))
            source = opened.stdout  # type: ignore[assignment]
        with contextlib.suppress(BrokenPipeError):
            psql.stdin.write(_PROLOGUE.encode())
        dumped = Pump(source, [read.stdin], [read.stdin])
        written = Pump(read.stdout, [psql.stdin])
        pumps += [dumped, written]
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        # Nothing is committed before all of this holds: psql has had no COMMIT yet.
        if written.error is not None:
            psql.wait()
            raise _refused(psql)
        if opening.command and opened.wait() != 0:
            raise _not_opened(opened.name, dumped.size)
        if read.wait() != 0:
            raise SetupError(
                f"{file.name} est coupé ou abîmé : pg_restore ne le lit pas jusqu’au bout.", "Prenez une autre copie."
            )
        if stock is not None and dumped.sha256 != stock.dump_sha256:
            raise SetupError(
                "Ce que la sauvegarde contient n’est pas ce que dit son inventaire.", "Prenez une autre copie."
            )
        _finish_psql(psql, _epilogue(stock, codec, register), codec)


def _finish_psql(psql: Program, epilogue: str, codec: Codec) -> None:
    """Have it check what came, see that our key opens it, and only then commit."""
    sealed: list[str] = []
    with contextlib.suppress(BrokenPipeError):
        psql.stdin.write((epilogue + _SEALED).encode())
        psql.stdin.flush()
        sealed = next((line.split("|") for line in _lines(psql) if line.startswith("planton-key|")), [])
    if sealed:
        try:
            body, place = (base64.b64decode(one) for one in sealed[2:4])
            facts.check_sealed(codec, sealed[1] or None, body or None, place.decode())
        except SettingsError:
            raise inventory.other_key() from None
    with contextlib.suppress(BrokenPipeError):
        psql.stdin.write(b"COMMIT;\n" if sealed else b"ROLLBACK;\n")
        psql.stdin.close()
    if psql.wait() != 0 or not sealed:
        raise _refused(psql)


def _lines(psql: Program) -> Iterator[str]:
    return (line.decode(errors="replace").rstrip("\n") for line in psql.stdout)


_SEALED = f"""
SELECT 'planton-key', (SELECT value #>> '{{}}' FROM public.facts WHERE name = 'key_canary'),
    (SELECT replace(encode(body, 'base64'), chr(10), '') FROM public.events ORDER BY id DESC LIMIT 1),
    (SELECT replace(encode(convert_to(place, 'UTF8'), 'base64'), chr(10), '') FROM (
        SELECT {places.event("e")} FROM public.events e ORDER BY id DESC LIMIT 1) AS newest);
"""  # noqa: S608 (names of ours)
_PROLOGUE = f"""
BEGIN;
SET LOCAL lock_timeout = '10s';
SET LOCAL client_min_messages = warning;
SELECT pg_advisory_xact_lock({MIGRATION_LOCK});
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
GRANT USAGE ON SCHEMA public TO PUBLIC;
"""


def _psql(programs: Clients) -> Program:
    options = ("--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=sqlstate")
    plain = ("--tuples-only", "--no-align", "--field-separator=|")
    return Program(
        programs.command("psql", *options, *plain, f"--dbname={programs.conninfo}", "--file=-"), programs.environ
    )


def _epilogue(stock: Inventory | None, codec: Codec, register: Register) -> str:
    """Counts, schema and closed doors, the fact that says what is left to do, and the commit."""
    known = ", ".join(_literal(one) for one in schemas())
    lines = [
        f"IF (SELECT version_num FROM public.alembic_version) NOT IN ({known}) THEN"  # noqa: S608
        f" RAISE EXCEPTION 'schema' USING ERRCODE = '{_SCHEMA}'; END IF;"
    ]
    for table, count in (stock.counts if stock else {}).items():
        name = '"' + table.replace('"', '""') + '"'
        lines.append(
            f"IF (SELECT count(*) FROM public.{name}) <> {int(count)} THEN"  # noqa: S608
            f" RAISE EXCEPTION 'counts' USING ERRCODE = '{_COUNTS}'; END IF;"
        )
    for table in DOORS:
        lines.append(
            f"IF to_regclass('public.{table}') IS NOT NULL THEN EXECUTE 'DELETE FROM public.{table}'; END IF;"  # noqa: S608
        )
    left = {"made_at": stock.made_at if stock else None, "register": inventory.sealed(codec, register)}
    fact = _literal(json.dumps(left))
    checks = "\n".join(lines)
    return (
        f"\nDO $planton$ BEGIN\n{checks}\nEND $planton$;\n"
        f"INSERT INTO public.facts (name, value) VALUES ('{facts.RESTORING}', CAST({fact} AS jsonb))"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value;\n"
    )


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _not_opened(program: str, size: int) -> SetupError:
    if size:
        return SetupError(f"La sauvegarde est coupée ou abîmée ({program}).", "Prenez une autre copie.")
    return SetupError(
        f"La clé donnée n’ouvre pas cette sauvegarde ({program}).",
        "Donnez avec --identite la clé privée d’une des clés de PLANTON_BACKUP_RECIPIENTS au moment de la sauvegarde.",
    )


def _refused(psql: Program) -> SetupError:
    said = psql.complaint()
    for code, what, remedy in (
        ("53100", "Le disque de la base est plein.", "Faites de la place, puis recommencez."),
        ("55P03", "La base est utilisée par quelqu’un d’autre.", "Arrêtez Planton sur toutes les machines."),
        ("42501", "L’utilisateur de la base n’en a pas les droits.", "Il doit être propriétaire de la base."),
        (_COUNTS, "Ce qui a été remis n’a pas le compte de l’inventaire.", "Prenez une autre copie de la sauvegarde."),
        (_SCHEMA, "La sauvegarde vient d’un Planton plus récent.", "Installez la version qui l’a faite."),
    ):
        if code in said:
            return SetupError(f"{what} Rien n’a été changé.", remedy)
    code = next(
        (word for word in said.replace("\n", " ").split() if len(word) == 5 and word.isalnum() and word.isupper()), ""
    )
    return SetupError(
        f"PostgreSQL a refusé la sauvegarde ({code or 'connexion perdue'}). Rien n’a été changé.",
        "Vérifiez l’espace disque et le journal de PostgreSQL, puis recommencez.",
    )


_EVERYBODY = text("SELECT platform, account, person, created_at FROM conversations WHERE erased_at IS NULL ORDER BY id")
_KEEP = text("""
    INSERT INTO erased_messages (print, at, until) VALUES (:print, :at, :until)
    ON CONFLICT (print) DO UPDATE SET at = greatest(erased_messages.at, excluded.at),
        until = greatest(erased_messages.until, excluded.until)
""")


# -- after ---------------------------------------------------------------------------------------------------------


def finish(url: str, settings: Settings, codec: Codec) -> None:
    """Bring the schema up to date, check the key, erase again what was erased since, purge. Goes on where it was cut off."""
    if not migrate(url):
        raise unreachable()
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute("SELECT value FROM facts WHERE name = %s", (facts.RESTORING,)).fetchone()
    if row is None:
        say("aucune restauration n’est à finir.")
        return
    try:
        register = inventory.unsealed(codec, row[0]["register"])
        asyncio.run(_finish(url, settings, codec, register))
    except SettingsError as error:
        raise SetupError(
            f"La clé ne correspond pas aux données restaurées. {error.what}",
            "Remettez la clé d’origine (PLANTON_DATA_KEY), puis : planton restore --terminer",
        ) from None


async def _finish(url: str, settings: Settings, codec: Codec, register: Register) -> None:
    database = Database(url, size=3, name="planton-restore")
    try:
        now = await database.now()
        async with database.begin() as connection:
            await facts.check_canary(connection, codec)
            closed = _check_readable(await readable.samples(connection, codec))
        unbound = await _bind(database, codec, settings)
        await _erase_again(database, codec, register, now)
        await _purge(
            Purge(database, codec, settings.retention, (RollUp(database), Drift(database, settings.zone)), share=0), now
        )
        async with database.begin() as connection:
            again = await reindex.restart(connection)
            await facts.drop(connection, facts.RESTORING)
        if again:
            say(
                "l’index de la recherche n’est pas dans une sauvegarde : planton run le reconstruit, les messages récents d’abord. "
                "La page de recherche dit où il en est."
            )
        for told in (closed, unbound):
            if told:
                say(told)
    finally:
        await database.close()


async def _bind(database: Database, codec: Codec, settings: Settings) -> str:
    """A back-up may be older than the binding of values to their rows; nobody else is at it now. What to tell where it stays
    undone: then this machine must not go on refusing what is not bound."""
    try:
        async for _ in Resealing(database, codec).bind(settle=0, check=facts.check_canary):
            pass
    except SettingsError as error:
        binding.unlearn(settings.var_dir)
        return (
            f"attention : la sauvegarde date d’avant la liaison des valeurs à leur ligne. {error.what} {error.remedy}"
        )
    return ""


def _check_readable(samples: Sequence[Sample]) -> str:
    """What to tell of values that no key opens; "" where all of them open. Raises SettingsError where none does.

    The canary fits by then: what is still closed was sealed with another key than the one in service when the back-up was made.
    """
    tried, closed = sum(one.tried for one in samples), sum(one.closed for one in samples)
    if closed and closed == tried:
        raise SettingsError(
            f"Rien de ce qui est chiffré ne s’ouvre ({tried} essais) : tout ce que les personnes ont écrit est illisible.",
            "Remettez la clé d’origine (PLANTON_DATA_KEY).",
        )
    if not closed:
        return ""
    where = ", ".join(f"{one.column} : {one.closed} sur {one.tried}" for one in samples if one.closed)
    return (
        f"attention : valeurs chiffrées qui ne s’ouvrent avec aucune clé donnée : {closed} sur {tried} essayées ({where}). "
        "Ce qu’elles contiennent restera illisible sans la clé qui les a chiffrées. Si vous l’avez, ajoutez-la dans "
        "PLANTON_DATA_KEY, après la vôtre et une virgule, sur toutes les machines, puis faites : planton keys rotate"
    )


async def _erase_again(database: Database, codec: Codec, register: Register, now: datetime) -> None:
    """Whoever had asked for it is gone from the back-up too, and does not come back by a webhook or a catch-up."""
    if not register:
        return
    persons, asked = Persons(database, codec), []
    async with database.begin() as connection:
        lines = [{"print": one, "at": at, "until": until} for one, (at, until) in register.items()]
        await connection.execute(_KEEP, lines)
        for row in (await connection.execute(_EVERYBODY)).all():
            prints = await erased.of_person(connection, codec, (row.platform, row.account, row.person))
            # Who wrote again after the erasure began anew.
            if any(row.created_at <= register[one][0] for one in prints if one in register):
                asked.append(row)
    gone = held = 0
    for row in asked:
        try:
            found = await persons.find(row.person, row.platform, row.account)
            await persons.erase(found, "restore", now, anyway=True)
            gone += 1
        except Held:
            held += 1
    if gone:
        say(
            "1 personne effacée de nouveau, à sa demande d’avant."
            if gone == 1
            else f"{gone} personnes effacées de nouveau, à leur demande d’avant."
        )
    if held:
        say(
            f"{held} gardée{'s' if held > 1 else ''} : une conservation légale était posée au moment de la sauvegarde. Vérifiez."
        )


async def _purge(purge: Purge, now: datetime) -> None:
    try:
        report: Any = await purge.run(now, Origin("command"))
    except Busy:
        raise SetupError("Une purge est en cours.", "Attendez sa fin, puis : planton restore --terminer") from None
    if report.rows:
        say(f"purge : {report.rows} lignes dont la durée était passée sont effacées.")
