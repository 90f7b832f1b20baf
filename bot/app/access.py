"""The database for a command's duration: the given one, the one that `planton run` started, or one started for it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import psycopg

from bot.app.launcher import migrate
from bot.core.errors import SetupError
from bot.settings import Settings
from bot.store import facts
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.embedded import Embedded


def unreachable() -> SetupError:
    """The database does not answer."""
    return SetupError(
        "La base de données ne répond pas.",
        "Démarrez-la, ou corrigez PLANTON_DATABASE_URL (planton doctor le vérifie).",
    )


def answers(url: str, timeout: int = 3) -> bool:
    """Whether a database answers at that address."""
    try:
        psycopg.connect(url, connect_timeout=timeout).close()
    except psycopg.Error:
        return False
    return True


@contextlib.contextmanager
def reach(settings: Settings, create: bool = True, part: str | None = None) -> Iterator[str]:
    """Yield the URI of a database that answers. `create`: make the embedded one if it is new, and bring it up to date.
    `part`: under whose PostgreSQL role, where it has an address of its own (`Settings.database_url_of`); else the owner's.

    Raises SetupError.
    """
    with contextlib.ExitStack() as stack:
        given = settings.database_url if part is None else settings.database_url_of(part)
        url = given or _embedded(settings, stack, create)
        if not answers(url) or (create and not migrate(url)):
            raise unreachable()
        yield url


async def check_key(database: Database, codec: Codec, keeps: bool = True) -> None:
    """As each role at its start: raise SettingsError when the data were sealed with another key, SetupError while a
    restoration is unfinished. `keeps`: note a new key as used; not for who only looks, so that it may be dropped again.
    """
    async with database.begin() as connection:
        await facts.check_key(connection, codec)
        if not keeps:
            await connection.rollback()


def _embedded(settings: Settings, stack: contextlib.ExitStack, create: bool) -> str:
    server = Embedded(settings.var_dir)
    if not create and not server.exists:
        raise SetupError("La base embarquée n’existe pas encore.", _remedy(settings))
    try:
        server.start(patience=0)
    except SetupError:
        if not server.held:
            raise
        return _of_another(server)
    stack.callback(server.stop)
    return server.url


def _remedy(settings: Settings) -> str:
    """A demo has a folder, a database and settings of its own: whoever looks beside it is told where."""
    demo = settings.var_dir / "demo"
    if Embedded(demo).held:
        return (
            f"Une démonstration tourne, dans son propre dossier : relancez cette commande avec PLANTON_VAR_DIR={demo}"
        )
    return "Lancez : planton run (ou make demo)."


def _of_another(server: Embedded, patience: float = 15.0) -> str:
    """The launcher that holds the folder may be starting its server right now."""
    deadline = time.monotonic() + patience
    while not answers(server.url) and time.monotonic() < deadline:
        time.sleep(0.2)
    return server.url
