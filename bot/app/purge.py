"""`planton purge`: erases what is past its time, now; or says what would go; or reads the register of deletions again."""

from __future__ import annotations

import argparse
import asyncio

from bot.app.access import check_key, reach
from bot.app.interrupted import interrupted
from bot.app.say import typeset
from bot.core.errors import SetupError
from bot.settings import Settings
from bot.store import binding
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.purge import Busy, Chain, Origin, Purge, Report, nightly_done, verify
from bot.store.volumes import RollUp
from bot.store.workbench.drift import Drift

CLASSES = {
    "everyday": "conversations courantes",
    "complaints": "réclamations",
    "sensitive": "conversations sensibles",
    "emergencies": "urgences",
    "raw": "webhooks bruts",
    "audit": "journal des actions",
    "statistics": "statistiques",
}
WAYS = {
    "erased": ("effacée", "effacées"),
    "pseudonymised": ("pseudonymisée", "pseudonymisées"),
    "trimmed": ("en cours, anciens messages effacés", "en cours, anciens messages effacés"),
}
KEPT = {
    "held": "sous conservation légale",
    "open": "dont la demande n’est pas close",
    "agent": "tenues par un agent",
    "in_flight": "avec un message en cours",
    "validation": "avec une réponse à valider",
}
DONE = "ce qui est effacé l’est pour de bon et figure au registre, rien ne l’est à moitié ; planton purge finit."
STOPPED = {
    "crisis": "Une crise est ouverte : la purge s’est arrêtée. Relancez-la quand la crise est fermée.",
    "hours": "L’heure de fin est passée : la suite se fera la nuit prochaine.",
}


def main(parsed: argparse.Namespace) -> int:
    """Purge, preview or verify; the exit code (1: the register is broken, or the purge stopped before its end)."""
    settings = Settings()
    limits, zone = settings.retention, settings.zone
    with reach(settings, create=False) as url:
        codec = Codec(settings.secret("DATA_KEY"))

        async def work() -> int:
            database = Database(url, size=3, name="planton-purge")
            try:
                if parsed.verifier:
                    return _say_chain(await verify(database))
                await check_key(database, codec, keeps=not parsed.simuler)
                purge = Purge(database, codec, limits, (RollUp(database), Drift(database, zone)))
                now = await database.now()
                if parsed.simuler:
                    _say("Partiraient", await purge.preview(now))
                    return 0
                with interrupted("La purge s’est interrompue", DONE):
                    async with binding.following(database, codec, settings.var_dir):
                        report = await purge.run(now, Origin("command"))
                    if report.stopped is None:
                        await nightly_done(database, now.astimezone(zone).date())
                _say("Partis", report)
                return 0 if report.stopped is None else 1
            except Busy:
                raise SetupError("Une autre purge est en cours.", "Attendez sa fin, puis relancez.") from None
            finally:
                await database.close()

        with interrupted("La commande s’est interrompue", "rien n’a été changé."):
            return asyncio.run(work())


def _print(line: str) -> None:
    print(typeset(line))


def _number(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")


def _seconds(value: float) -> str:
    return f"{value:.1f} s".replace(".", ",")


def _say(title: str, report: Report) -> None:
    _print(f"{title} :" if report.done else f"{title} : rien.")
    for (of, way), counts in sorted(
        report.done.items(), key=lambda item: (list(CLASSES).index(item[0][0].value), item[0][1])
    ):
        people, rows = report.people[(of, way)], sum(counts.values())
        what = f"{_number(people)} {WAYS[way][people > 1]}, " if people else ""
        _print(f"  {CLASSES[of.value]} : {what}{_number(rows)} ligne{'s' if rows > 1 else ''}")
    for why, n in sorted(report.protected.items()):
        _print(f"Gardées bien que leur durée soit passée : {_number(n)} {KEPT[why]}.")
    if report.seconds:
        rate = _number(round(report.rows / report.seconds))
        _print(
            f"{_number(report.rows)} lignes en {_seconds(report.seconds)} de travail ({rate} par seconde), "
            f"{_number(report.batches)} lots, le plus long {report.slowest * 1000:.0f} ms."
        )
    if report.stopped is not None:
        _print(STOPPED[report.stopped])


def _say_chain(chain: Chain) -> int:
    if chain.broken is not None:
        _print(f"Le registre n’est pas intact : la ligne {chain.broken} a été modifiée, ou celle d’avant a disparu.")
        return 1
    _print(f"Le registre est intact : {_number(chain.lines)} ligne{'s' if chain.lines > 1 else ''}.")
    if chain.head:
        _print(f"Empreinte de la dernière : {chain.head}")
    return 0
