"""`planton recount`: counts the steering page's hours anew, after data were brought in or restored."""

from __future__ import annotations

import argparse
import asyncio
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from bot.app.access import reach
from bot.core.errors import SetupError
from bot.settings import Settings
from bot.store.db import Database
from bot.store.volumes import RollUp


def main(parsed: argparse.Namespace) -> int:
    """Count the hours of these days (both included; all by default) anew; the exit code."""
    settings = Settings()
    since, until = parsed.du, parsed.au
    if since is not None and until is not None and until < since:
        raise SetupError("La date de fin est avant la date de début.", "Échangez --du et --au.")
    zone = settings.zone
    with reach(settings, create=False) as url:
        hours = asyncio.run(_recount(url, _midnight(since, zone), _midnight(until, zone, days=1)))
    print(f"{hours} heures recomptées." if hours > 1 else f"{hours} heure recomptée.")
    return 0


def _midnight(day: date | None, zone: ZoneInfo, days: int = 0) -> datetime | None:
    return None if day is None else datetime.combine(day + timedelta(days=days), time(), zone)


async def _recount(url: str, since: datetime | None, until: datetime | None) -> int:
    database = Database(url, size=1, name="planton-recount")
    try:
        return await RollUp(database).rebuild(await database.now(), since, until)
    finally:
        await database.close()
