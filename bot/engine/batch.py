"""Many texts without a server: one JSON object a line in, one a line out, for `planton route` and `planton eval`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from bot.engine import light

if TYPE_CHECKING:
    from bot.engine.runtime import Runtime

log = logging.getLogger("bot.engine")


def run(model: Path, stdout: int) -> int:
    """Read standard input to its end; `stdout` is the descriptor that nobody else writes to."""
    light.lighten()
    from bot.engine.runtime import Runtime

    runtime = Runtime(model)
    with os.fdopen(stdout, "wb") as out:
        asyncio.run(_lines(runtime, sys.stdin.buffer, out))
    return 0


async def _lines(runtime: Runtime, source: BinaryIO, out: Any) -> None:
    for raw in source:
        answer = await _answer(runtime, raw)
        out.write(json.dumps(answer, ensure_ascii=True).encode("ascii") + b"\n")
        out.flush()


async def _answer(runtime: Runtime, raw: bytes) -> dict[str, Any]:
    from bot.engine.runtime import EmptyOutcome, EmptyText

    try:
        item = json.loads(raw)
    except (ValueError, RecursionError):
        return {"error": "bad json"}
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        return {"error": "no text"}
    try:
        if item.get("understand") is True:
            return {"understanding": await runtime.understand(item["text"])}
        return await runtime.turn(
            item["text"], item.get("state"), item.get("payload"), item.get("at"), item.get("meant")
        )
    except EmptyText:
        return {"error": "empty text"}
    except EmptyOutcome:
        return {"error": "empty outcome"}
