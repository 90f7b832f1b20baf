"""`planton meta status` and `planton meta subscribe`: whether Meta sends its webhooks, and having it send them again;
`planton meta resume`: having a stopped account try again to send."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from datetime import datetime

from bot.app.access import reach
from bot.app.catchup import PLATFORMS, away, clients, sender_accounts
from bot.app.say import typeset
from bot.sender.deps import SenderAccount
from bot.sender.subscriptions import Found, Subscriptions
from bot.settings import Settings
from bot.store import ceiling, meta_flow
from bot.store.db import Database
from bot.store.meta_flow import Flow


def main(parsed: argparse.Namespace) -> int:
    """Ask, or restore; 0 when every account is subscribed to every field, else 1. Raises SettingsError or SetupError."""
    settings = Settings()
    if parsed.action == "resume":
        with reach(settings) as url, away():
            return asyncio.run(_resume(url, parsed.compte))
    accounts = sender_accounts(settings)
    with reach(settings) as url, away():
        return asyncio.run(_run(settings, url, accounts, parsed.action == "subscribe"))


async def _resume(url: str, account: str | None) -> int:
    """0 where an account was stopped, else 1."""
    database = Database(url, size=1, name="planton-meta")
    try:
        resumed = await ceiling.resume(database, account)
    finally:
        await database.close()
    for one in resumed:
        print(typeset(f"Compte {one} : les envois sont essayés de nouveau dans les dix secondes."))
    if not resumed:
        which = f"Le compte {account} n’est pas arrêté." if account else "Aucun compte n’est arrêté."
        print(typeset(f"{which} Rien à faire ; planton doctor dit l’état de chacun."))
    return 0 if resumed else 1


async def _run(settings: Settings, url: str, accounts: Sequence[SenderAccount], restore: bool) -> int:
    database = Database(url, size=2, name="planton-meta")
    subscriptions = Subscriptions(database, database.clock, settings.graph_url, settings.app_id)
    good, restored = True, False
    try:
        await database.now()
        async with clients(settings, accounts) as apis:
            for account, api in apis.items():
                found = await (subscriptions.restore if restore else subscriptions.look)(account, api)
                async with database.begin() as connection:
                    flows = await meta_flow.read(connection, [account.id])
                print(typeset(told(found, flows[0] if flows else None, settings)), flush=True)
                good = good and found.state == meta_flow.OK
                restored = restored or found.restored
    finally:
        await database.close()
    if restored:
        print(
            typeset(
                "Les messages manqués vont être repris par l’expéditeur ; s’il ne tourne pas, lancez : planton catchup"
            )
        )
    return 0 if good else 1


def told(found: Found, flow: Flow | None, settings: Settings) -> str:
    """One account, in French."""
    name = f"{PLATFORMS[found.platform]}, compte {found.account}"
    if found.error:
        return f"{name} : Meta n’a pas répondu à la question ({found.error}). {found.remedy or 'Réessayez.'}"
    if found.state == meta_flow.LOST:
        state = "Meta n’envoie plus les messages. Faites : planton meta subscribe"
    elif found.state == meta_flow.PARTIAL:
        state = f"abonnement incomplet, il manque {', '.join(found.missing)}. Faites : planton meta subscribe"
    else:
        state = "abonnement complet."
    if flow is None:
        return f"{name} : {state}"
    last = "aucun webhook reçu" if flow.webhook_at is None else f"dernier webhook le {_when(flow.webhook_at, settings)}"
    known = flow.complete_until
    until = "" if known is None else f", tout est repris jusqu’au {_when(known, settings)}"
    return f"{name} : {state} ({last}{until})"


def _when(at: datetime, settings: Settings) -> str:
    return at.astimezone(settings.zone).strftime("%d/%m/%Y à %H:%M")
