"""The least that a webhook asks of a server: verify the signature, answer 200. `python -m scripts.benchmark.edge PORT SECRET`.

The same Sanic as the gateway's, one process, no access log: what it takes on is the ceiling of any edge built with it.
"""

from __future__ import annotations

import sys
from typing import Any

from sanic import Request, Sanic
from sanic.response import HTTPResponse, empty, text

from bot.core.errors import BadSignature
from bot.meta.signature import HEADER, verify
from scripts.benchmark.graph import end_with_parent


def application(secret: str) -> Sanic[Any, Any]:
    """POST /webhooks/meta, GET /healthz."""
    app: Sanic[Any, Any] = Sanic("edge", configure_logging=False)

    @app.post("/webhooks/meta")
    async def webhook(request: Request) -> HTTPResponse:
        try:
            verify([secret], request.body, request.headers.get(HEADER))
        except BadSignature:
            return empty(403)
        return text("EVENT_RECEIVED")

    @app.get("/healthz")
    async def healthz(request: Request) -> HTTPResponse:
        return text("ok")

    return app


if __name__ == "__main__":
    end_with_parent()
    application(sys.argv[2]).run("127.0.0.1", int(sys.argv[1]), single_process=True, access_log=False, motd=False)
