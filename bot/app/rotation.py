"""What roles note of the secrets that are being replaced, and what `planton doctor` says of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from bot.core.clock import Clock
from bot.meta.access import Access
from bot.monitor.finding import Problem
from bot.settings import Settings
from bot.store.db import Database
from bot.store.secret_uses import SecretUses, keep_token

EVERY = 5.0  # seconds between looks
SILENT = timedelta(hours=1)  # without a webhook that the old secret signed
Row = dict[str, Any]
log = logging.getLogger("planton")


async def keep_noting(uses: SecretUses, clock: Clock, every: float = EVERY) -> None:
    """Write down now and then which secrets are in use; for ever."""
    while True:
        with contextlib.suppress(SQLAlchemyError, OSError, TimeoutError):  # an absent database is told later
            await uses.keep(clock.now())
        await asyncio.sleep(every)


async def keep_telling(database: Database, pages: Sequence[Access], clock: Clock, every: float = EVERY) -> None:
    """Write down which token each page is served with, whenever that changes; for ever."""
    told: dict[str, tuple[int, int, tuple[int, ...]]] = {}
    while True:
        for page in pages:
            state = page.present.place, page.spares + 1, tuple(sorted(page.refused))
            if told.get(page.page_id) != state:
                with contextlib.suppress(SQLAlchemyError, OSError, TimeoutError):
                    await keep_token(database, page.page_id, *state, clock.now())
                    told[page.page_id] = state
        await asyncio.sleep(every)


def problems(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    """Which of two secrets may go. Advice: the service is sound with both."""
    for row in connection.execute("SELECT * FROM page_tokens WHERE tokens > 1 ORDER BY page_id"):
        yield _token(row)
    secrets = connection.execute(
        """SELECT max(last_at) FILTER (WHERE place = 1) AS new, max(last_at) FILTER (WHERE place = 2) AS old,
                  max(since) AS since, count(*) AS secrets FROM secret_uses WHERE name = 'META_APP_SECRET'"""
    ).fetchone()
    if secrets and secrets["secrets"] == 2:
        yield _app_secret(secrets, now)


def sender_key(settings: Settings) -> Iterator[Problem]:
    """Whether SENDER_KEY is there, and alone. Raises SettingsError."""
    if settings.lacks_sender_key:
        yield Problem(
            "SENDER_KEY manque : passerelle et traitement reçoivent à sa place la clé de la console.",
            "Créez-le : docs/exploitation.md, « Mettre à jour ».",
            advice=True,
        )
    elif len(settings.secrets("SENDER_KEY")) == 2:
        yield Problem(
            "SENDER_KEY contient deux clés.",
            "Un jour après le changement, retirez l’ancienne, puis relancez gateway, worker et sender.",
            advice=True,
        )


def _token(row: Row) -> Problem:
    page, used = row["page_id"], "premier" if row["place"] == 1 else "second"
    other = "second" if row["place"] == 1 else "premier"
    if row["place"] in row["refused"]:
        return Problem(f"Page {page} : Meta refuse tous ses jetons.", "Renouvelez le jeton de la page.")
    if row["refused"]:
        return Problem(
            f"Page {page} : Meta refuse le {other} jeton ; les envois partent avec le {used}.",
            f"Retirez le {other} jeton, ou remplacez-le s’il devait servir.",
            key=f"page_token:{page}",
        )
    return Problem(
        f"Page {page} : deux jetons sont donnés, le {used} sert.", f"Le {other} peut être retiré.", advice=True
    )


def _app_secret(row: Row, now: datetime) -> Problem:
    what = "Deux secrets de l’application Meta sont acceptés."
    if row["new"] is None:
        return Problem(
            what,
            "Meta n’a encore rien signé avec le nouveau : gardez les deux, et vérifiez-le dans l’application Meta.",
            advice=True,
        )
    if row["old"] is not None and now - row["old"] < SILENT:
        return Problem(what, "L’ancien signe encore des webhooks : gardez-le pour le moment.", advice=True)
    return Problem(
        what, "L’ancien ne sert plus depuis une heure au moins : retirez-le de META_APP_SECRET.", advice=True
    )
