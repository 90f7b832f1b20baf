"""What goes wrong between machines that share a database: an hour that differs, a workbench that runs twice."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from bot.monitor.finding import Problem

APART = timedelta(seconds=2)  # between this machine's hour and the database's
Row = dict[str, Any]


def problems(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    """All of them. `now` may be simulated, hence is not what is compared."""
    yield from clock(connection)
    yield from workbenches(connection)


def clock(
    connection: psycopg.Connection[Row], tell: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[Problem]:
    """The night, the window and what is due follow each machine's hour. `tell`: that hour."""
    before = tell()
    row = connection.execute("SELECT clock_timestamp() AS at").fetchone()
    after = tell()
    assert row is not None
    apart = before + (after - before) / 2 - row["at"]
    if abs(apart) - (after - before) / 2 < APART:
        return
    seconds = round(abs(apart.total_seconds()))
    yield Problem(
        f"L’horloge de {socket.gethostname()} {'avance' if apart > timedelta(0) else 'retarde'} de {seconds} s sur celle de la "
        "base : la nuit, les délais et le plafond d’envoi en dépendent.",
        "Réglez l’heure des deux machines par NTP (sous Debian : apt install systemd-timesyncd).",
        key=f"clock:{socket.gethostname()}",
    )


def workbenches(connection: psycopg.Connection[Row]) -> Iterator[Problem]:
    """Two machines each with drafts and git of their own, of which either may take what the other's page asks for."""
    rows = connection.execute("SELECT DISTINCT address FROM connected('trainer') ORDER BY 1").fetchall()
    if len(rows) > 1:
        places = ", ".join(row["address"] or "la machine de la base" for row in rows)
        yield Problem(
            f"Le rôle « atelier » (trainer) tourne sur {len(rows)} machines ({places}) : une publication peut "
            "partir de la mauvaise.",
            "Ne le lancez que sur celle des fichiers des formateurs ; ailleurs, nommez les rôles : planton run gateway worker…",
            key="workbenches",
        )
