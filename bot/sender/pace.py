"""Reading from Meta within its limits: two calls a second, slower when its headers ask for it, again after a fault.

The sender's own sends do not wait for this: Meta counts the Conversations API apart.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bot.core.errors import SendError
from bot.meta.limits import Verdict
from bot.meta.send_api import GraphError, SendApi, Usage

CALLS = 2.0  # a second
_BUSY, _FULL = 75, 90  # percent of what Meta allows
_LONGEST = 3600.0
_RATE_TRIES, _FAULT_TRIES = 8, 5


class Pace:
    """Spaces calls. `sleep` and `tick` are replaced by tests."""

    def __init__(
        self,
        calls: float = CALLS,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        tick: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gap = 1 / calls
        self._sleep = sleep
        self._tick = tick
        self._next = 0.0

    async def ask(self, api: SendApi, path: str, params: Mapping[str, str]) -> Any:
        """One reading, tried again for as long as that may help. Raises SendError, for a refused token at once."""
        rated = failed = 0
        while True:
            await self._turn()
            try:
                data, usage = await api.look(path, params)
            except GraphError as error:
                verdict = error.row.verdict
                if verdict is Verdict.RATE and rated < _RATE_TRIES:
                    rated += 1
                    asked = max(error.retry_after or 0.0, error.usage.regain.total_seconds())
                    self._rest(asked or min(300.0, 5.0 * 2**rated))
                elif verdict is Verdict.RETRY and failed < _FAULT_TRIES and not error.row.odd:
                    failed += 1
                    self._rest(2.0**failed)
                else:
                    raise
            except SendError:
                if failed >= _FAULT_TRIES:
                    raise
                failed += 1
                self._rest(2.0**failed)
            else:
                self._note(usage)
                return data

    async def _turn(self) -> None:
        wait = self._next - self._tick()
        if wait > 0:
            await self._sleep(wait)
        self._next = max(self._next, self._tick()) + self._gap

    def _rest(self, seconds: float) -> None:
        self._next = max(self._next, self._tick() + min(seconds, _LONGEST))

    def _note(self, usage: Usage) -> None:
        if usage.regain:
            self._rest(usage.regain.total_seconds())
        elif usage.percent >= _FULL:
            self._rest(20 * self._gap)
        elif usage.percent >= _BUSY:
            self._rest(4 * self._gap)
