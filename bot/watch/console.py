"""What a console counts: its requests by method and kind of answer, never by page."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client import CollectorRegistry, Histogram
from sanic import Request, Sanic
from sanic.response import BaseHTTPResponse

from bot.watch.measures import QUICK

METHODS = ("GET", "POST")


def measure(app: Sanic[Any, Any], registry: CollectorRegistry) -> None:
    """Count the requests of an application; for pages that stay open, the time until they opened."""
    seconds = Histogram(
        "planton_console_request_seconds",
        "Requests by method and class of status, to the beginning of the answer.",
        ["method", "status"],
        registry=registry,
        buckets=QUICK,
    )

    async def begin(request: Request) -> None:
        request.ctx.begun = time.perf_counter()

    async def end(request: Request, response: BaseHTTPResponse) -> None:
        begun = getattr(request.ctx, "begun", None)
        if begun is not None and request.method in METHODS:
            seconds.labels(request.method, f"{response.status // 100}xx").observe(time.perf_counter() - begun)

    app.register_middleware(begin, "request", priority=99)
    app.register_middleware(end, "response")
