"""Whether Meta still sends an account's webhooks: asked with the page's token, noted for whoever has none."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bot.core.clock import Clock
from bot.core.errors import SendError
from bot.core.messages import Platform
from bot.meta import subscription
from bot.meta.send_api import SendApi
from bot.sender.catchup import slug_of
from bot.sender.deps import SenderAccount
from bot.store import meta_flow
from bot.store.db import Database

log = logging.getLogger("planton.subscription")


@dataclass(frozen=True)
class Found:
    """Meta's answer: `state` of `bot.store.meta_flow`, or the slug and French remedy of what hindered it."""

    account: str
    platform: Platform
    state: str | None = None
    missing: tuple[str, ...] = ()
    error: str = ""
    remedy: str = ""
    restored: bool = False


class Subscriptions:
    """Asks, notes, restores. `app_id`: our own, where the page may have several apps."""

    def __init__(self, database: Database, clock: Clock, graph_url: str, app_id: str | None) -> None:
        self._db = database
        self._clock = clock
        self._graph_url = graph_url
        self._app_id = app_id

    async def look(self, account: SenderAccount, api: SendApi) -> Found:
        """Ask Meta and note the answer. Raises what the database raises."""
        platform = _platform(account)
        node, wanted = subscription.asked_of(account.page_id, account.id, self._graph_url)
        try:
            fields = await subscription.subscribed(api, node, self._app_id)
        except SendError as error:
            slug = slug_of(error)
            async with self._db.begin() as connection:
                await meta_flow.not_answered(connection, account.id, platform.value, slug)
            return Found(account.id, platform, error=slug, remedy=getattr(getattr(error, "row", None), "remedy", ""))
        missing = subscription.missing(fields, wanted)
        if platform is Platform.INSTAGRAM and node == account.page_id and fields:
            missing = ()  # its own fields stand in the app's dashboard: any of the page's lets them through
        lost = "messages" in missing or not fields
        state = meta_flow.LOST if lost else meta_flow.PARTIAL if missing else meta_flow.OK
        async with self._db.begin() as connection:
            restored = await meta_flow.subscribed(
                connection, account.id, platform.value, self._clock.now(), state, missing
            )
        return Found(account.id, platform, state, missing, restored=restored)

    async def restore(self, account: SenderAccount, api: SendApi) -> Found:
        """Ask for every field that is missing, keeping those that are there; the state afterwards."""
        node, wanted = subscription.asked_of(account.page_id, account.id, self._graph_url)
        try:
            there = await subscription.subscribed(api, node, self._app_id)
            if subscription.missing(there, wanted):
                await subscription.subscribe(api, node, [*wanted, *sorted(there.difference(wanted))])
        except SendError as error:
            row = getattr(error, "row", None)
            return Found(account.id, _platform(account), error=slug_of(error), remedy=getattr(row, "remedy", ""))
        return await self.look(account, api)


def _platform(account: SenderAccount) -> Platform:
    return Platform.MESSENGER if account.id == account.page_id else Platform.INSTAGRAM
