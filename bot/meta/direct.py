"""Asking the sender directly, which needs no database: the emergency reply while the database is down; a name.

`GET /stamp` answers {"stamp": …}: the sender's own timestamp, good for one request within a minute. So no clock but the sender's
is asked, and what was overheard opens nothing a second time, whoever restarts in between.

`POST /emergency` with JSON {platform, account, person, kind, script, listens, at, age, language, key, stamp} answers
{"sent": true, "mid": …}. The words are the sender's. `kind`: danger or distress; `script`: whose words (`bot.policy.scripts`), ""
or missing: the kind's; `listens`: true where they name the 3114 whichever they are; `at`: Meta's timestamp of the message, in
seconds since the epoch; `age`: how old it is by the asker's clock, in seconds; `language`: fr, or en (any other than French);
`key`: the message's, answered once.
`POST /profile` with JSON {platform, account, person, stamp} answers {name, username, picture}, or {}.

The header `X-Planton-Signature: sha256=<hex HMAC-SHA256(key, "planton-door\\n" + path + "\\n" + raw body)>` protects both. The key
is SENDER_KEY, which opens nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import aiohttp

from bot.core.messages import Platform

SIGNATURE_HEADER = "X-Planton-Signature"
CONNECT = 1.0  # seconds: a machine that is gone must not keep those waiting whom another sender answers
STAMP = 2.0  # seconds: nor must one that takes the connection, or had it open, and says nothing
ALL = 9.0  # seconds for all senders together: less than the gateway waits
_PURPOSE = b"planton-door\n"
_OLD_PURPOSE = b"planton-sender\n"  # of senders before SENDER_KEY
_TRIES = 2  # a sender that restarts in between has forgotten its stamp


@dataclass(frozen=True)
class Asked:
    """A message that tells a danger, and which reply it wants. `age`: by the clock of who asks."""

    platform: Platform
    account: str
    person: str
    key: str
    kind: Literal["danger", "distress"]
    at: datetime
    age: timedelta
    french: bool = True
    script: str | None = None
    listens: bool = False


def sign(key: bytes, path: str, body: bytes) -> str:
    """The header's value for this body on this path."""
    return "sha256=" + hmac.new(key, _PURPOSE + path.encode() + b"\n" + body, hashlib.sha256).hexdigest()


def signed(keys: Sequence[bytes], path: str, body: bytes, header: str | None) -> bool:
    """Whether the header is this body's by one of the keys (two during a rotation), compared in constant time."""
    given = (header or "").encode("utf-8", "replace")
    return any([hmac.compare_digest(sign(key, path, body).encode(), given) for key in keys])


async def send_emergency(
    session: aiohttp.ClientSession,
    sender_url: str,
    keys: Sequence[bytes],
    asked: Asked,
    timeout: float = ALL,
    text: str | None = None,
) -> str | None:
    """Have a danger answered at once, and once per `asked.key`. The mid, or None when no sender could; never raises for that.

    `sender_url`: one or several, separated by commas; the next is asked where one cannot be reached or cannot send. All who
    ask have them in the same order, so that the same sender hears of a key again. `timeout`: seconds for all of them; one
    that others follow gives its stamp within STAMP, and leaves them as long for theirs. `keys`: tried in their order, so that a
    rotation silences nobody. `text`: for senders of the version before, which have no words of their own.
    """
    whom = {"platform": asked.platform.value, "account": asked.account, "person": asked.person, "key": asked.key}
    fields = {
        **whom,
        "kind": asked.kind,
        "script": asked.script or "",
        "listens": asked.listens,
        "at": max(0.0, asked.at.timestamp()),
        "age": max(0.0, asked.age.total_seconds()),
        "language": "fr" if asked.french else "en",
    }
    urls, end = sender_url.split(","), time.monotonic() + timeout
    for follow, url in zip(reversed(range(len(urls))), urls, strict=True):
        part = end - time.monotonic() - follow * STAMP  # one that gave its stamp lives, and may be waiting for Meta
        old = None if text is None else {**whom, "text": text}
        data = await _ask(session, url.rstrip("/"), "/emergency", keys, fields, old, part, STAMP if follow else None)
        if data.get("sent") is True:
            return str(data.get("mid") or "")
    return None


async def ask_name(
    session: aiohttp.ClientSession,
    sender_url: str,
    keys: Sequence[bytes],
    platform: Platform,
    account: str,
    person: str,
    timeout: float = 5,
) -> str | None:
    """The person's name (on Instagram the user name failing that), or None when it cannot be had."""
    fields = {"platform": platform.value, "account": account, "person": person}
    data: dict[str, Any] = {}
    for url in sender_url.split(","):
        data = data or await _ask(session, url.rstrip("/"), "/profile", keys, fields, fields, timeout)
    name = data.get("name") or data.get("username")
    return name if isinstance(name, str) else None


async def _ask(
    session: aiohttp.ClientSession,
    url: str,
    path: str,
    keys: Sequence[bytes],
    fields: Mapping[str, Any],
    old: Mapping[str, str] | None,
    timeout: float,
    stamped_within: float | None = None,
) -> dict[str, Any]:
    """What one sender answers; {} where it does not. `old`: how the version before is asked, which knows of no stamp.
    `stamped_within`: seconds that its stamp may take; None: as long as the whole."""
    try:
        async with asyncio.timeout(timeout):
            for key in keys:
                for _ in range(_TRIES):
                    stamp = await _stamp(session, url, stamped_within)
                    body = json.dumps({**fields, "stamp": stamp} if stamp else old).encode()
                    if not stamp and old is None:
                        return {}
                    status, data = await _post(session, url + path, body, _signature(key, path, body, bool(stamp)))
                    if status != 409 or data.get("error") != "stamp":
                        break
                if status != 403:
                    return data
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        pass
    return {}


def _signature(key: bytes, path: str, body: bytes, stamped: bool) -> str:
    if stamped:
        return sign(key, path, body)
    return "sha256=" + hmac.new(key, _OLD_PURPOSE + body, hashlib.sha256).hexdigest()


async def _stamp(session: aiohttp.ClientSession, url: str, within: float | None) -> str | None:
    """A stamp; None from a sender that has none to give. Raises ValueError for any other answer."""
    limit = aiohttp.ClientTimeout(total=within, sock_connect=CONNECT)
    async with session.get(f"{url}/stamp", timeout=limit, allow_redirects=False) as response:
        if response.status == 404:
            return None
        data = json.loads(await response.read())
    stamp = data.get("stamp") if isinstance(data, dict) and response.status == 200 else None
    if not isinstance(stamp, str) or not stamp:
        raise ValueError("no stamp")
    return stamp


async def _post(session: aiohttp.ClientSession, url: str, body: bytes, signature: str) -> tuple[int, dict[str, Any]]:
    headers = {SIGNATURE_HEADER: signature, "Content-Type": "application/json"}
    limit = aiohttp.ClientTimeout(sock_connect=CONNECT)
    async with session.post(url, data=body, headers=headers, timeout=limit, allow_redirects=False) as response:
        raw = await response.read()
        if response.status == 403:
            return 403, {}
        data = json.loads(raw)
    return response.status, data if isinstance(data, dict) else {}
