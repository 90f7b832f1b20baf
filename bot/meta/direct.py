"""Asking the sender directly over loopback, which needs no database: the emergency reply while the database is down; a name.

`POST /emergency` with JSON {platform, account, person, text, key} answers {"sent": true, "mid": …}. The header
`X-Planton-Signature: sha256=<hex HMAC-SHA256(SECRET_KEY, "planton-sender\\n" + raw body)>` protects it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

import aiohttp

from bot.core.messages import Platform

SIGNATURE_HEADER = "X-Planton-Signature"
CONNECT = 1.0  # seconds: a machine that is gone must not keep those waiting whom another sender answers
_PURPOSE = b"planton-sender\n"


def sign(secret_key: bytes, body: bytes) -> str:
    """The header's value for this body."""
    return "sha256=" + hmac.new(secret_key, _PURPOSE + body, hashlib.sha256).hexdigest()


def signed(secret_keys: Sequence[bytes], body: bytes, header: str | None) -> bool:
    """Whether the header is this body's by one of the keys (two during a rotation), compared in constant time."""
    given = (header or "").encode("utf-8", "replace")
    return any([hmac.compare_digest(sign(key, body).encode(), given) for key in secret_keys])


async def send_emergency(
    session: aiohttp.ClientSession,
    sender_url: str,
    secret_key: bytes,
    platform: Platform,
    account: str,
    person: str,
    text: str,
    key: str,
    timeout: float = 20,
) -> str | None:
    """Send a text at once, and once per `key`. The mid, or None when no sender could; never raises for that.

    `sender_url`: one or several, separated by commas; the next is asked where one cannot be reached or cannot send. All who
    ask have them in the same order, so that the same sender hears of a key again.
    """
    fields = {"platform": platform.value, "account": account, "person": person, "text": text, "key": key}
    for url in sender_url.split(","):
        data = await _ask(session, f"{url.rstrip('/')}/emergency", secret_key, fields, timeout)
        if data.get("sent") is True:
            return str(data.get("mid") or "")
    return None


async def ask_name(
    session: aiohttp.ClientSession,
    sender_url: str,
    secret_key: bytes,
    platform: Platform,
    account: str,
    person: str,
    timeout: float = 5,
) -> str | None:
    """The person's name (on Instagram the user name failing that), or None when it cannot be had."""
    fields = {"platform": platform.value, "account": account, "person": person}
    data: dict[str, Any] = {}
    for url in sender_url.split(","):
        data = data or await _ask(session, f"{url.rstrip('/')}/profile", secret_key, fields, timeout)
    name = data.get("name") or data.get("username")
    return name if isinstance(name, str) else None


async def _ask(
    session: aiohttp.ClientSession, url: str, secret_key: bytes, fields: dict[str, str], timeout: float
) -> dict[str, Any]:
    body = json.dumps(fields).encode()
    headers = {SIGNATURE_HEADER: sign(secret_key, body), "Content-Type": "application/json"}
    limit = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT)
    try:
        async with session.post(url, data=body, headers=headers, timeout=limit, allow_redirects=False) as response:
            data = json.loads(await response.read())
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
