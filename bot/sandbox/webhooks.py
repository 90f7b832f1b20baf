"""Webhook bodies in Meta's shapes, escaped as Meta escapes them, and the post that delivers them."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import aiohttp

from bot.core.messages import Platform
from bot.meta.signature import HEADER, sign

PATH = "/webhooks/meta"
THUMB = 369239263222822  # Messenger's « pouce »
_TIMEOUT = aiohttp.ClientTimeout(total=5)  # Meta's patience
_PAUSES = (0.0, 0.3, 1.0, 2.0, 5.0)  # between tries; the last one again and again
Json = dict[str, Any]


def new_mid(platform: Platform) -> str:
    """A message id as the platform makes them."""
    prefix = "m_" if platform is Platform.MESSENGER else "aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlE"
    return prefix + secrets.token_urlsafe(24)


def milliseconds(at: datetime) -> int:
    """Meta's timestamps."""
    return round(at.timestamp() * 1000)


def item(person: str, account: str, at: datetime | None, **part: Json) -> Json:
    """One messaging item from a person. A delivery carries no timestamp of its own."""
    stamp = {} if at is None else {"timestamp": milliseconds(at)}
    return {"sender": {"id": person}, "recipient": {"id": account}, **stamp, **part}


def body(platform: Platform, account: str, at: datetime, items: Sequence[Json]) -> Json:
    """A webhook body with these items in one entry."""
    entry = {"id": account, "time": milliseconds(at), "messaging": list(items)}
    return {"object": "page" if platform is Platform.MESSENGER else "instagram", "entry": [entry]}


def encode(data: Json) -> bytes:
    """JSON as Meta writes it: everything beyond ASCII and every slash escaped (a slash only stands inside strings)."""
    return json.dumps(data, separators=(",", ":")).replace("/", "\\/").encode("ascii")


class Refused(Exception):
    """The gateway answered, and will say the same again."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Carrier:
    """Delivers webhooks to the gateway. `tries` None: until they are taken, as Meta does for an hour."""

    def __init__(self, session: aiohttp.ClientSession, gateway_url: str, app_secret: str) -> None:
        self._session = session
        self._url = gateway_url.rstrip("/") + PATH
        self._secret = app_secret

    async def deliver(self, raw: bytes, tries: int | None = None) -> bool:
        """True when it was acknowledged. Raises Refused where another try would be pointless."""
        done = 0
        while True:
            status = await self._post(raw)
            if status == 200:
                return True
            if status is not None and 400 <= status < 500:
                raise Refused(status)
            done += 1
            if tries is not None and done >= tries:
                return False
            await asyncio.sleep(_PAUSES[min(done, len(_PAUSES) - 1)])

    async def _post(self, raw: bytes) -> int | None:
        headers = {HEADER: sign(self._secret, raw), "Content-Type": "application/json"}
        try:
            async with self._session.post(self._url, data=raw, headers=headers, timeout=_TIMEOUT) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
