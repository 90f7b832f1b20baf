"""What `planton doctor` and the monitor say of sealed values that do not belong where they stand, or are not bound yet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from bot.monitor.finding import Grade, Problem
from bot.store import binding
from bot.store.codec import Codec

SHOWN = 3  # places that are named
Row = dict[str, Any]


def problems(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    """Values that were refused within the last day: somebody wrote to the database without the key."""
    rows = connection.execute(
        """SELECT name, place, times FROM refused_values WHERE last_at > CAST(%s AS timestamptz) - interval '1 day'
           ORDER BY last_at DESC, name, place""",
        (now,),
    ).fetchall()
    if not rows:
        return
    named = ", ".join(f"{row['name']} ({row['place']})" for row in rows[:SHOWN])
    more = f" et {len(rows) - SHOWN} de plus" if len(rows) > SHOWN else ""
    yield Problem(
        f"Alerte de sécurité : {len(rows)} valeur(s) chiffrée(s) ne sont pas à leur place, ou ont été modifiées : {named}{more}.",
        "Quelqu’un a pu écrire dans la base sans la clé. Suivez docs/pannes.md, « Une valeur déplacée ».",
        key="sealed",
        grade=Grade.CRITICAL,
        mark=len(rows),
    )


def unfinished(connection: psycopg.Connection[Row], codec: Codec, folder: Path) -> Iterator[Problem]:
    """Whether values that are bound to no row are still taken. `folder`: where this machine keeps that none are."""
    binding.floor(codec, folder)
    row = connection.execute("SELECT value FROM facts WHERE name = %s", (binding.SEALING,)).fetchone()
    if binding.finished(codec, None if row is None else row["value"]):
        return
    if codec.binding.only:
        yield Problem(
            "Alerte de sécurité : la base ne dit plus que chaque valeur chiffrée est liée à sa ligne ; elle le disait.",
            "Suivez docs/pannes.md, « Une valeur déplacée ». planton keys bind le lui fait dire de nouveau.",
        )
    else:
        yield Problem(
            "Les valeurs chiffrées d’avant cette version ne sont pas encore liées à leur ligne.",
            "Quand tous les services sont à jour : planton keys bind",
            advice=True,
        )
