"""`planton backup`: a consistent, encrypted copy of the database while Planton runs, with its inventory beside it.

Nothing readable ever touches the disk: pg_dump's output goes through the encryption before it is written. The same output
is read by pg_restore on its way, so that a dump that could not be restored is no back-up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import re
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from bot.app import inventory, policy, sealing
from bot.app.access import reach
from bot.app.child import ROOT
from bot.app.inventory import Inventory, Register
from bot.app.pipes import CHUNK, Program, Pump
from bot.app.say import say
from bot.app.sealing import PLAIN, SUFFIX, Opening, Sealing
from bot.core.errors import SetupError
from bot.core.system_errors import reason
from bot.settings import Settings
from bot.store import facts
from bot.store.clients import Clients, clients
from bot.store.codec import Codec
from bot.store.db import Database

# Made from what else is there, with the key: a copy that somebody takes must not hold them, and the workers make them again
# after a restoration (`bot.store.reindex`; the console, for the groups of a crisis). Their tables come along, empty.
LEFT_OUT = ("search_documents", "likenesses", "presence")
NAME = re.compile(r"planton-\d{8}T\d{6}Z\.dump(\.age|\.gpg)?")
_TABLES = """
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1
"""


def main(parsed: argparse.Namespace) -> int:
    """Make one back-up; the exit code. Raises SetupError, SettingsError; nothing is left behind then."""
    settings = Settings()
    seal = sealing.sealing(settings, parsed.en_clair)
    now = datetime.now(UTC)
    identity = None if parsed.identite is None else Path(parsed.identite)
    with reach(settings, create=False, part="backup") as url:
        codec = Codec(settings.secret("DATA_KEY"))
        check_key(url, codec)
        target = _target(settings, parsed.vers, seal, now)
        # First that it can be opened with what was given: a wrong path must not cost a whole dump.
        with sealing.opening(seal.kind, identity) if identity or seal.kind == PLAIN else _unopened() as opening:
            made = write(url, target, seal, codec, model_in_service(settings), now, opening)
    _tell(target, made, seal, proved=opening is not None)
    if parsed.garder is not None:
        rotate(target.parent, parsed.garder)
    return 0


@contextlib.contextmanager
def _unopened() -> Iterator[None]:
    yield None


def check_key(url: str, codec: Codec) -> None:
    """Raise SettingsError when the data were sealed with another key."""

    async def check() -> None:
        database = Database(url, size=1)
        try:
            async with database.begin() as connection:
                await facts.check_key(connection, codec, notes=False)
        finally:
            await database.close()

    asyncio.run(check())


def model_in_service(settings: Settings) -> str | None:
    """The name (a hash) of the model that answers."""
    model = policy.in_service(settings.engines_dir)
    return None if model is None else model.archive.name.removesuffix(".tar.gz")


def version() -> str:
    """Planton's."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def _target(settings: Settings, given: str | None, seal: Sealing, now: datetime) -> Path:
    path = settings.backup_dir if given is None else Path(given).absolute()
    file = given is not None and not given.endswith("/") and not path.is_dir() and path.suffix != ""
    folder = path.parent if file else path
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unwritable(folder, error) from None
    target = path if file else folder / f"planton-{inventory.stamp(now)}.dump{SUFFIX[seal.kind]}"
    if target.exists() or inventory.beside(target).exists():
        raise SetupError(f"{target} existe déjà.", "Donnez un autre nom : une sauvegarde n’en écrase jamais une autre.")
    return target


def _unwritable(path: Path, error: OSError) -> SetupError:
    return SetupError(
        f"{path} ne s’écrit pas ({reason(error)}).", "Donnez un dossier où vous pouvez écrire, avec assez de place."
    )


# -- the copy ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
    """What the snapshot holds."""

    schema: str
    server: int
    counts: Mapping[str, int]
    register: Register


def write(
    url: str,
    target: Path,
    seal: Sealing,
    codec: Codec,
    model: str | None,
    now: datetime,
    opening: Opening | None = None,
) -> Inventory:
    """Write `target` and its inventory, both whole or not at all. `opening`: read all of it again. Raises SetupError."""
    _clear(target.parent)
    draft, draft_list = (path.with_name(f".{path.name}.part") for path in (target, inventory.beside(target)))
    try:
        with _snapshot(url) as (name, seen):
            programs = clients(url)
            dumped, stored = _dump(programs, name, seal, draft)
        _check_stored(draft, seal, stored)
        if opening is not None:
            _check_opened(draft, opening, dumped.sha256)
        made = Inventory(
            made_at=now.isoformat(),
            planton=version(),
            schema=seen.schema,
            server=seen.server,
            pg_dump=programs.major,
            encryption=seal.kind,
            key=inventory.fingerprint(codec),
            model=model,
            file=target.name,
            size=stored.size,
            sha256=stored.sha256,
            dump_sha256=dumped.sha256,
            counts=seen.counts,
            register=inventory.sealed(codec, seen.register),
        ).signed(codec)
        _write_list(draft_list, made)
        # The inventory first: where there is a back-up, there is its inventory.
        draft_list.rename(inventory.beside(target))
        draft.rename(target)
        _sync(target.parent)
        return made
    except OSError as error:
        raise _unwritable(target.parent, error) from None
    finally:
        for one in (draft, draft_list):
            one.unlink(missing_ok=True)


def _clear(folder: Path) -> None:
    """Remove what a run left that was killed: only drafts that nobody has written to for a day."""
    for path in folder.glob(".planton-*.part"):
        if time.time() - path.stat().st_mtime > 86_400:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _snapshot(url: str) -> Iterator[tuple[str, _Seen]]:
    """Everything as it is at one moment; others go on writing. Yields the snapshot's name for pg_dump."""
    with psycopg.connect(url, connect_timeout=5, application_name="planton-backup") as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        tables = [str(row[0]) for row in connection.execute(_TABLES) if row[0] not in LEFT_OUT]
        if "alembic_version" not in tables:
            raise SetupError("Cette base est vide : il n’y a rien à sauvegarder.", "Lancez d’abord : planton run")
        counts = {table: _scalar(connection, sql.SQL("SELECT count(*) FROM public.{}"), table) for table in tables}
        seen = _Seen(
            str(_scalar(connection, sql.SQL("SELECT version_num FROM public.{}"), "alembic_version")),
            connection.info.server_version // 10_000,
            counts,
            register_of(connection) if "erased_messages" in tables else {},
        )
        yield str(_scalar(connection, sql.SQL("SELECT pg_export_snapshot()"))), seen


def register_of(connection: psycopg.Connection[Any]) -> Register:
    """Keyed prints of what people asked to have erased."""
    rows = connection.execute("SELECT print, at, until FROM public.erased_messages WHERE until > now()")
    return {int(row[0]): (row[1], row[2]) for row in rows}


def _scalar(connection: psycopg.Connection[Any], query: sql.SQL, *names: str) -> Any:
    row = connection.execute(query.format(*map(sql.Identifier, names))).fetchone()
    assert row is not None
    return row[0]


def _dump(programs: Clients, snapshot: str, seal: Sealing, draft: Path) -> tuple[Pump, Pump]:
    """(what was dumped, what was written)."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(os.fdopen(descriptor, "wb"))
        dump = Program(
            programs.command(
                "pg_dump",
                "--format=custom",
                "--no-password",
                f"--snapshot={snapshot}",
                *(f"--exclude-table-data=public.{table}" for table in LEFT_OUT),
                f"--dbname={programs.conninfo}",
            ),
            programs.environ,
            reads=False,
        )
        stack.callback(dump.close)
        proof = Program(programs.command("pg_restore", "--file=/dev/null"), programs.environ, writes=False)
        stack.callback(proof.close)
        encrypt = Program(seal.command, sealing.environ()) if seal.command else None
        into: IO[bytes] = file
        if encrypt is not None:
            stack.callback(encrypt.close)
            into = encrypt.stdin
        dumped = Pump(dump.stdout, [into, proof.stdin], [proof.stdin, *([into] if encrypt else [])])
        stored = dumped if encrypt is None else Pump(encrypt.stdout, [file])
        for pump in {dumped, stored}:
            pump.start()
        for pump in {dumped, stored}:
            pump.join()
        _check_ends(dump, proof, encrypt, dumped, stored)
        file.flush()
        os.fsync(file.fileno())
    return dumped, stored


def _check_ends(dump: Program, proof: Program, encrypt: Program | None, dumped: Pump, stored: Pump) -> None:
    if stored.error is not None and (encrypt is not None or dumped.full):
        raise stored.error
    if encrypt is not None and encrypt.wait() != 0:
        raise SetupError(
            f"Le chiffrement a échoué ({encrypt.name}).",
            "Vérifiez PLANTON_BACKUP_RECIPIENTS : clé expirée, révoquée, ou qui ne chiffre pas.",
        )
    if dump.wait() != 0:
        raise SetupError(
            f"pg_dump a échoué (code {dump.process.returncode}).",
            "Vérifiez avec planton doctor que la base répond, et que son utilisateur peut tout lire.",
        )
    if proof.wait() != 0 or dumped.error is not None:
        raise SetupError(
            "La sauvegarde ne se relit pas (pg_restore).", "Recommencez ; si cela dure, vérifiez la mémoire."
        )


def _check_stored(draft: Path, seal: Sealing, stored: Pump) -> None:
    """What the disk gives back is what was written, and is encrypted as asked."""
    head, digest = b"", hashlib.sha256()
    with draft.open("rb") as file:
        while chunk := file.read(CHUNK):
            head = head or chunk[:64]
            digest.update(chunk)
    if digest.hexdigest() != stored.sha256 or sealing.kind_of(head) != seal.kind:
        raise SetupError("La sauvegarde écrite ne se relit pas.", "Vérifiez le disque, puis recommencez.")


def _check_opened(draft: Path, opening: Opening, expected: str) -> None:
    with draft.open("rb") as file, contextlib.ExitStack() as stack:
        source: IO[bytes] = file
        if opening.command:
            program = Program(opening.command, opening.environ)
            stack.callback(program.close)
            feed = Pump(file, [program.stdin], [program.stdin])
            feed.start()
            source = program.stdout
        reading = Pump(source, [])
        reading.run()
    if reading.sha256 != expected:
        raise SetupError(
            "La sauvegarde ne s’ouvre pas avec la clé donnée.",
            "Donnez avec --identite la clé qui va avec PLANTON_BACKUP_RECIPIENTS, ou corrigez ce réglage.",
        )


def _write_list(path: Path, made: Inventory) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(made.to_json())
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- afterwards ----------------------------------------------------------------------------------------------------


def rotate(folder: Path, keep: int) -> list[Path]:
    """Remove our back-ups there but the `keep` newest, with their inventories; those removed. Other files are left alone."""
    found = sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name) and inventory.beside(path).exists())
    gone = found[:-keep]
    for path in gone:
        path.unlink()
        inventory.beside(path).unlink(missing_ok=True)
    if gone:
        say(f"{len(gone)} sauvegarde{'s' if len(gone) > 1 else ''} plus ancienne{'s' if len(gone) > 1 else ''} retirée"
            f"{'s' if len(gone) > 1 else ''}.")  # fmt: skip
    return gone


def _tell(target: Path, made: Inventory, seal: Sealing, proved: bool) -> None:
    rows = sum(made.counts.values())
    say(f"sauvegarde écrite : {target} ({_size(made.size)}, {rows} lignes, schéma {made.schema}).")
    if seal.kind == PLAIN:
        say(
            "attention, elle n’est pas chiffrée : identifiants des personnes et comptes de la console s’y lisent. Gardez-la "
            "en lieu sûr, ou réglez PLANTON_BACKUP_RECIPIENTS."
        )
    elif not proved:
        say("elle est chiffrée pour des clés qui ne sont pas ici : essayez de la restaurer de temps en temps.")
    say(
        "n’y sont pas, et sont indispensables pour restaurer : la clé PLANTON_DATA_KEY (sans elle rien ne se relit), SECRET_KEY, "
        "SENDER_KEY, les secrets et jetons de Meta, la clé qui ouvre cette sauvegarde, le dossier models/. Gardez-les ailleurs."
    )


def _size(octets: int) -> str:
    return f"{octets / 1e6:.1f} Mo".replace(".", ",") if octets > 100_000 else f"{octets} octets"
