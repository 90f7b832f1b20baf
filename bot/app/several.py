"""What goes wrong between machines that share a database: an hour that differs, a workbench that runs twice."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from bot.monitor.finding import Problem
from bot.store import its_clock

APART = timedelta(seconds=its_clock.APART)  # between a machine's hour and the database's
ENOUGH = 10  # messages that tell something of Meta's clock
LATE = timedelta(minutes=5)  # later than Meta delivers even when much happens
Row = dict[str, Any]


def problems(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    """All of them. `now` may be simulated, hence is not what is compared."""
    yield from clock(connection)
    yield from machines(connection)
    yield from meta(connection)
    yield from workbenches(connection)


def clock(
    connection: psycopg.Connection[Row], tell: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Iterator[Problem]:
    """This machine's. Roles go by the database's hour, whatever their machines say (docs/decisions/clocks.md); logs, certificates
    and time-outs of what stands around them do not. `tell`: this machine's hour."""
    before = tell()
    row = connection.execute("SELECT clock_timestamp() AS at").fetchone()
    after = tell()
    assert row is not None
    apart = before + (after - before) / 2 - row["at"]
    if abs(apart) - (after - before) / 2 >= APART:
        yield _apart(socket.gethostname(), apart.total_seconds())


def machines(connection: psycopg.Connection[Row]) -> Iterator[Problem]:
    """The others', as their roles told them within the last minutes; the worst of each machine."""
    worst: dict[str, float] = {}
    for row in connection.execute(its_clock.TOLD_LATELY):
        if abs(row["skew"]) >= abs(worst.get(row["host"], 0.0)):
            worst[row["host"]] = row["skew"]
    worst.pop(socket.gethostname(), None)  # looked at above
    for host, skew in worst.items():
        if abs(skew) >= APART.total_seconds():
            yield _apart(host, skew)


def _apart(host: str, skew: float) -> Problem:
    """`skew`: seconds that the machine is ahead of the database."""
    way = f"avance de {abs(skew):.0f} s sur" if skew > 0 else f"retarde de {abs(skew):.0f} s sur"
    return Problem(
        f"L’horloge de {host} {way} celle de la base. Planton suit celle de la base ; les journaux et les certificats de cette "
        "machine suivent la sienne.",
        "Réglez l’heure par NTP (chronyd ou systemd-timesyncd ; voyez timedatectl). Si toutes les machines s’écartent autant, "
        "c’est celle de la base qui se trompe : réglez-la d’abord.",
        key=f"clock:{host}",
    )


# Of the last messages that people wrote, when they came less when Meta says that they were written: seconds.
_FROM_META = """
    SELECT count(*) AS n, min(late) AS least, percentile_cont(0.5) WITHIN GROUP (ORDER BY late) AS middle FROM (
        SELECT extract(epoch FROM received_at - at)::float8 AS late FROM (
            SELECT kind, received_at, at FROM events ORDER BY id DESC LIMIT 100) last
        WHERE kind IN ('text', 'postback') AND received_at > clock_timestamp() - interval '15 minutes') AS lately
"""


def meta(connection: psycopg.Connection[Row]) -> Iterator[Problem]:
    """The database's clock against Meta's: one message may be dated anyhow, many are not. By it the window is judged, and whether
    somebody's danger is a day old."""
    row = connection.execute(_FROM_META).fetchone()
    if row is None or row["n"] < ENOUGH:
        return
    if row["middle"] < -APART.total_seconds():
        what = f"L’horloge de la base retarde d’environ {-row['middle']:.0f} s sur celle de Meta."
    elif row["least"] > LATE.total_seconds():
        minutes = row["least"] / 60
        what = f"L’horloge de la base avance sur celle de Meta, ou Meta livre les messages {minutes:.0f} minutes trop tard."
    else:
        return
    yield Problem(
        what,
        "Sur la machine de PostgreSQL, vérifiez l’heure (timedatectl) et réglez-la par NTP (chronyd ou systemd-timesyncd).",
        key="clock:meta",
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
