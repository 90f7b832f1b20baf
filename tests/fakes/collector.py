"""An OpenTelemetry collector on loopback: it keeps what it gets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web


@asynccontextmanager
async def collector(status: int = 200) -> AsyncIterator[tuple[str, list[Any]]]:
    """Its address, and the export requests that came (OTLP/HTTP, JSON). `status`: what it answers."""
    got: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        assert request.content_type == "application/json"
        got.append(await request.json())
        return web.json_response({}, status=status)

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", got
    finally:
        await runner.cleanup()


def spans_of(got: list[Any], trace: str) -> set[tuple[str, str]]:
    """(service, name) of each span of a trace."""
    found = set()
    for request in got:
        for resource in request["resourceSpans"]:
            told = {one["key"]: one["value"].get("stringValue") for one in resource["resource"]["attributes"]}
            for scope in resource["scopeSpans"]:
                found |= {(told["service.name"], span["name"]) for span in scope["spans"] if span["traceId"] == trace}
    return found
