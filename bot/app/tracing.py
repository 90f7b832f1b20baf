"""Sending spans to the site's collector, beside everything else: what cannot be sent is dropped, and nobody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import AsyncIterator

import aiohttp

from bot.settings import Settings
from bot.watch import spans
from bot.watch.measures import VERSION

log = logging.getLogger("planton.tracing")

EVERY = 1.0  # seconds between batches
BATCH = 500  # spans
PATIENCE = 5.0  # seconds for a batch
_SAID_EVERY = 60.0  # seconds between complaints


@contextlib.asynccontextmanager
async def tracing(settings: Settings, role: str) -> AsyncIterator[None]:
    """While inside, this process records spans and sends them; without TRACES_URL nothing happens."""
    url = settings.traces_url
    if url is None:
        yield
        return
    recorded = spans.active = spans.Spans(settings.traces_ratio)
    exporter = Exporter(url, role, recorded)
    task = asyncio.create_task(exporter.run())
    try:
        yield
    finally:
        spans.active = None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with contextlib.suppress(Exception):  # the last batch, if it goes quickly
            async with asyncio.timeout(1):
                await exporter.send()
        await exporter.close()


class Exporter:
    """Batches of spans to an OTLP/HTTP collector."""

    def __init__(self, url: str, role: str, recorded: spans.Spans) -> None:
        self._url = f"{url}/v1/traces"
        self._recorded = recorded
        self._resource: dict[str, spans.Value] = {
            "service.namespace": "planton",
            "service.name": f"planton-{role}",
            "service.version": VERSION,
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        }
        self._session: aiohttp.ClientSession | None = None
        self._said = -_SAID_EVERY
        self.lost = 0

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(EVERY)
            while await self.send() == BATCH:
                pass

    async def send(self) -> int:
        """One batch; how many spans were in it. Never raises for the collector's sake."""
        batch = self._recorded.take(BATCH)
        if not batch:
            return 0
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE))
        body = json.dumps(spans.otlp(batch, self._resource, VERSION)).encode()
        try:
            async with self._session.post(
                self._url, data=body, headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as response:
                if response.status >= 300:
                    self._lose(len(batch), f"HTTP {response.status}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._lose(len(batch), type(error).__name__)
        return len(batch)

    def _lose(self, count: int, why: str) -> None:
        self.lost += count
        now = asyncio.get_running_loop().time()
        if now - self._said >= _SAID_EVERY:
            self._said = now
            log.warning("%d spans not sent (%s); %d dropped before", self.lost, why, self._recorded.dropped)

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
