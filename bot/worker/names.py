"""The names of the people who wait for a human, asked for quietly: agents read them, nothing depends on them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError

from bot.core.messages import Platform
from bot.store.faults import level, told
from bot.store.people import Nameless, People

log = logging.getLogger("planton.worker")

EVERY = 2.0  # seconds between looks
AT_ONCE = 5  # a look asks for so many names at most, far below Meta's limits

AskName = Callable[[Platform, str, str], Awaitable[str | None]]


class Names:
    """Runs beside the claim loop. `ask` never raises: None when the name cannot be had."""

    def __init__(self, people: People, ask: AskName) -> None:
        self._people = people
        self._ask = ask

    async def run(self) -> None:
        """Look for ever; a database that is away is met again at the next look."""
        while True:
            try:
                await self.once()
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                log.log(level(error, logging.INFO), "names wait: %s", told(error))
            await asyncio.sleep(EVERY)

    async def once(self) -> int:
        """Ask for the names that are wanted now, unless another worker does; returns how many were asked for."""
        if not await self._people.nameless(AT_ONCE):
            return 0
        async with self._people.alone() as alone:
            wanted = await self._people.nameless(AT_ONCE) if alone else []
            await asyncio.gather(*(self._name(person) for person in wanted))
        return len(wanted)

    async def _name(self, person: Nameless) -> None:
        name = await self._ask(person.platform, person.account, person.person)
        await self._people.keep_name(person.conversation_id, name)
