"""A port that tells a registry to Prometheus, for processes that have none: GET /metrics, and /healthz for the launcher.

Nothing in a registry is secret, but the port says how much traffic there is: loopback unless METRICS_HOST says otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web
from prometheus_client import CollectorRegistry

from bot.watch.measures import CONTENT_TYPE, written


@contextlib.asynccontextmanager
async def telling(registry: CollectorRegistry, host: str, port: int | None) -> AsyncIterator[int | None]:
    """While inside, `registry` is told on that port (0: any free one); yields the port. None: nothing listens.

    Raises OSError when the port is taken.
    """
    if port is None:
        yield None
        return

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=written(registry), headers={"Content-Type": CONTENT_TYPE})

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
