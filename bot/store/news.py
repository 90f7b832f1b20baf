"""News for open pages of the console: what changed, as tokens that carry ids and never words.

A token is a conversation's number (`12`), a topic (`validation`), or a topic with an id (`presence:12`). It leaves when
the transaction is committed; pages that listen for it ask for their own fragment through the usual door.
"""

from __future__ import annotations

import re

from sqlalchemy.ext.asyncio import AsyncConnection

from bot.store.db import CONSOLE, notify

TOKEN = re.compile(r"[0-9]{1,19}|[a-z]{1,30}(:[0-9]{1,19})?", re.ASCII)


async def conversation(connection: AsyncConnection, conversation_id: int) -> None:
    """Something in that conversation changed: its page, and the queue's, look again."""
    await notify(connection, CONSOLE, str(conversation_id))


async def topic(connection: AsyncConnection, name: str, number: int | None = None) -> None:
    """Something of a topic changed (`validation`, `crisis`), or of one thing in it (`presence`, 12)."""
    await notify(connection, CONSOLE, token(name, number))


def token(name: str, number: int | None = None) -> str:
    """The token of a topic."""
    found = name if number is None else f"{name}:{number}"
    if not TOKEN.fullmatch(found):
        raise ValueError(f"no token: {found}")
    return found
