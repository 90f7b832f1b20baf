"""`planton keys`: goes over to a new DATA_KEY, or to values bound to their rows, in the background; says what is left."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from bot.app import bound, rotation
from bot.app.access import reach
from bot.app.interrupted import interrupted
from bot.app.launcher import recall
from bot.app.say import say, typeset
from bot.core.errors import SettingsError
from bot.monitor.finding import Problem
from bot.settings import Settings
from bot.store import binding, facts, its_clock
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.resealing import Resealing, Step, needed

REST = 0.05  # seconds between transactions: who writes now comes first
BOUND = "planton keys bind reprend où il en était."
STANDS = "planton keys rotate reprend où il en était. Gardez les deux clés jusque-là."


def main(parsed: argparse.Namespace) -> int:
    """Rotate, or tell; 0 when nothing is left to do, else 1. Raises SettingsError or SetupError."""
    settings = recall(Settings())
    codec = Codec(settings.secret("DATA_KEY"))
    with reach(settings) as url, interrupted("La commande s’est interrompue", "rien n’a été changé."):
        if parsed.action == "bind":
            return asyncio.run(_bind(url, codec, settings.var_dir, lost=parsed.abandonner, late=parsed.tardives))
        return asyncio.run(_rotate(url, codec) if parsed.action == "rotate" else _status(settings, url, codec))


async def _rotate(url: str, codec: Codec) -> int:
    if len(codec.parts) == 1:
        raise SettingsError(
            "PLANTON_DATA_KEY ne contient qu’une clé.",
            "Donnez la nouvelle, une virgule, puis l’ancienne (docs/exploitation.md, « Les secrets »).",
        )
    database = Database(url, size=3, name="planton-keys")
    try:
        with interrupted("La rotation s’est interrompue", STANDS):
            done, unreadable = await _once(Resealing(database, codec).run(), "rotation de la clé")
    finally:
        await database.close()
    _tell(done)
    if unreadable:
        print(
            typeset(f"{unreadable} valeur(s) ne s’ouvrent avec aucune des deux clés : elles restent comme elles sont.")
        )
    print(typeset("Terminé : l’ancienne clé ne sert plus. Retirez-la de DATA_KEY, puis relancez les services."))
    print(typeset("Gardez-la à part aussi longtemps que des sauvegardes faites avec elle."))
    return 0


async def _bind(
    url: str, codec: Codec, folder: Path, settle: float = binding.SETTLE, lost: bool = False, late: bool = False
) -> int:
    binding.floor(
        codec, folder
    )  # what was bound once is not bound again, whatever the database says: it may have been changed
    database = Database(url, size=3, name="planton-keys")
    try:
        with interrupted("La liaison des valeurs s’est interrompue", BOUND):
            resealing = Resealing(database, codec)
            done, unreadable = await _once(
                resealing.bind(settle, lost=lost, late=late), "liaison des valeurs à leur ligne"
            )
            refused = await resealing.refused()
        await binding.look(database, codec, folder)  # this machine will not go back, and what was refused is told
    finally:
        await database.close()
    _tell(done)
    if unreadable:
        print(
            typeset(f"{unreadable} valeur(s) ne s’ouvrent pas : elles restent comme elles sont. Voyez planton doctor")
        )
    for name, count in refused.items():
        print(typeset(f"{name} : {count} valeur(s) écrites sous l’ancienne forme sont refusées."))
    if refused:
        print(
            typeset(
                "Si un service figé ou coupé de la base les a écrites : planton keys bind --tardives. Sinon, quelqu’un a pu les "
                "y remettre : docs/pannes.md, « Une valeur déplacée »."
            )
        )
    print(typeset("Terminé : chaque valeur chiffrée est liée à sa ligne, les autres sont refusées."))
    return 0


def _tell(done: Counter[str]) -> None:
    for what, count in done.items():
        print(typeset(f"  {count:>9,} {what}".replace(",", "\u202f")))


async def _once(steps: AsyncIterator[Step], title: str) -> tuple[Counter[str], int]:
    done: Counter[str] = Counter()
    unreadable, what = 0, ""
    async for step in steps:
        if step.what != what:
            what = step.what
            say(f"{title} : {what}…")
        done[what] += step.rows
        unreadable += step.unreadable
        await asyncio.sleep(REST)
    return done, unreadable


async def _status(settings: Settings, url: str, codec: Codec) -> int:
    database = Database(url, size=2, name="planton-keys")
    try:
        async with database.begin() as connection:
            await facts.check_key(connection, codec)
            still = await needed(connection, codec)
            done, total = (0, 0) if codec.binding.only else await binding.progress(connection)
            await connection.rollback()  # asking notes no key: one that was only tried may be dropped again
    finally:
        await database.close()
    if len(codec.parts) == 1:
        print(typeset("DATA_KEY : une clé, elle ouvre tout."))
    elif still:
        print(typeset("DATA_KEY : deux clés, l’ancienne sert encore. Faites : planton keys rotate"))
    else:
        print(typeset("DATA_KEY : deux clés, l’ancienne ne sert plus. Retirez-la, puis relancez les services."))
    if codec.binding.only:
        print(typeset("Chaque valeur chiffrée est liée à sa ligne, les autres sont refusées."))
    else:
        print(
            typeset(
                f"Valeurs liées à leur ligne : {done} sur {total}. Tous les services à jour, faites : planton keys bind"
            )
        )
    problems: list[Problem] = []
    with contextlib.suppress(SettingsError):  # whoever has neither key asks for DATA_KEY alone
        problems += rotation.sender_key(settings)
    with psycopg.connect(url, row_factory=dict_row) as told:
        now = its_clock.shown(told)
        problems += [*rotation.problems(told, now), *bound.problems(told, now)]
    for problem in problems:
        print(typeset(f"{problem.what} {problem.remedy}"))
    return int(still)
