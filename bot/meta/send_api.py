"""The client of the Send API.

SendError
├── GraphError    Meta answered with an error; `row` is its line of the table
├── GraphTimeout  the answer was lost: the message may have left, look for its echo before sending again
└── GraphDown     Meta was not reached: the message surely did not leave

The token travels in the Authorization header, never in an address (but for `about_token`); no exception
or repr holds it either (aiohttp's own errors carry the request's headers, so they are not chained).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import aiohttp

from bot.core.dialogue import Link, QuickReply
from bot.core.errors import SendError
from bot.core.messages import Platform
from bot.meta.access import Access, Pair
from bot.meta.limits import METADATA_CHARACTERS, PROOF, QUICK_REPLIES, QUICK_REPLY_TITLE, ErrorRow, classify
from bot.meta.split import truncate

TIMEOUT = aiohttp.ClientTimeout(total=15, sock_connect=5)
ACTION_TIMEOUT = aiohttp.ClientTimeout(total=2)
_USAGE, _BY_CASE = ("X-App-Usage", "X-Page-Usage"), "X-Business-Use-Case-Usage"
_READING = ("pages",)
_LONGEST_REGAIN = 24 * 60  # minutes that are believed; Meta's own hours are fewer


@dataclass(frozen=True)
class Usage:
    """What Meta's usage headers say: the highest percentage, and how long access is gone, if it is.

    `told`: there was such a header, which could be read."""

    percent: int = 0
    regain: timedelta = timedelta(0)
    told: bool = field(default=False, compare=False)


_NOTHING_TOLD = Usage()


class GraphError(SendError):
    """The Graph API answered with an error."""

    def __init__(
        self,
        row: ErrorRow,
        status: int,
        code: int | None = None,
        subcode: int | None = None,
        retry_after: float | None = None,
        usage: Usage | None = None,
        trace: str = "",
        proof: bool = False,
    ) -> None:
        # Meta's own sentence is left out: it may quote what was sent.
        super().__init__(f"{row.slug}: HTTP {status}, code {code}, subcode {subcode}, trace {trace or '-'}")
        self.row = row
        self.status = status
        self.code = code
        self.subcode = subcode
        self.retry_after = retry_after
        self.usage = usage or Usage()
        self.named = "/".join(str(part) for part in (code, subcode) if part is not None) or f"HTTP {status}"
        self.proof = proof  # Meta takes the token, and not its proof by the application's secret


class GraphTimeout(SendError):
    """The request may have been carried out; its answer was lost or could not be read."""


class GraphDown(SendError):
    """No connection: the request was surely not carried out."""


@dataclass(frozen=True)
class Outgoing:
    """One message under the platform's limits. With `tag` it goes as MESSAGE_TAG, else as RESPONSE; with `links`, of
    `bot.meta.template.shape`, as a template with buttons under the text."""

    text: str
    quick_replies: tuple[QuickReply, ...] = ()
    tag: str | None = None
    metadata: str | None = None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class SendResult:
    """Meta's receipt."""

    message_id: str
    recipient_id: str
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class _Answer:
    data: Any
    usage: Usage


class SendApi:
    """The Graph API as one page (and the Instagram account linked to it) sees it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        graph_url: str,
        page_id: str,
        token: str | Access,
        app_secret: str = "",
        timeout: aiohttp.ClientTimeout = TIMEOUT,
    ) -> None:
        self._session = session
        self._url = graph_url.rstrip("/")
        self._page = page_id
        self._timeout = timeout
        self._access = token if isinstance(token, Access) else Access(page_id, [token], [app_secret])
        self._messages = f"{page_id}/messages"
        self._ready: tuple[Pair, dict[str, str], dict[str, str]] | None = None

    def __repr__(self) -> str:
        return f"SendApi(page_id={self._page!r})"

    async def send(self, platform: Platform, recipient: str, message: Outgoing) -> SendResult:
        """Send one message. Raises GraphError, GraphTimeout or GraphDown."""
        answer = await self._call("POST", self._messages, body=_body(recipient, message))
        mid = answer.data.get("message_id") if isinstance(answer.data, dict) else None
        if not isinstance(mid, str) or not mid:
            raise GraphTimeout("the receipt has no message_id")
        return SendResult(mid, str(answer.data.get("recipient_id") or recipient), answer.usage)

    async def action(self, recipient: str, action: str) -> None:
        """A sender action: mark_seen, typing_on or typing_off."""
        body = {"recipient": {"id": recipient}, "sender_action": action}
        await self._call("POST", self._messages, body=body, timeout=ACTION_TIMEOUT)

    async def me(self) -> str:
        """The id of the page that the token opens: the cheapest proof that it works."""
        answer = await self._call("GET", "me", {"fields": "id"})
        return str(answer.data.get("id", "")) if isinstance(answer.data, dict) else ""

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Read any node or edge of the graph; ids inside `path` must be quoted."""
        return (await self._call("GET", path, params)).data

    async def look(self, path: str, params: Mapping[str, str] | None = None) -> tuple[Any, Usage]:
        """As `get`, with what Meta says of our use."""
        answer = await self._call("GET", path, params)
        return answer.data, answer.usage

    async def about_token(self) -> Any:
        """`debug_token` of the token in use, asked by itself. The one call that Meta wants a token in the address of."""
        return (await self._call("GET", "debug_token", itself=True)).data

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Any other call: thread control, subscription."""
        return (await self._call("POST", path, body=body)).data

    def noted(self, usage: Usage, sending: bool) -> None:
        """Called with what each answer says of our use, errors too; `sending`: it answers a message or an action. Does nothing
        here."""

    async def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
        itself: bool = False,
    ) -> _Answer:
        """One call; made anew with another token or secret where Meta refused the first, which did nothing then."""
        tried: list[Pair] = []
        while True:
            used = self._access.present
            tried.append(used)
            asked = {"input_token": used.token} if itself else params
            try:
                answer = await self._call_with(used, method, path, asked, body, timeout)
            except GraphError as error:
                if error.row.slug == "token" and self._access.token_refused(used, tried):
                    continue
                if error.proof and self._access.proof_refused(tried):
                    continue
                raise
            self._access.works(used)
            return answer

    async def _call_with(
        self,
        used: Pair,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        timeout: aiohttp.ClientTimeout | None,
    ) -> _Answer:
        headers, proof = self._with(used)
        asked = {**(params or {}), **proof} if body is None else params
        data = None if body is None else json.dumps({**body, **proof}).encode()
        try:
            async with self._session.request(
                method,
                f"{self._url}/{path}",
                params=asked or None,
                data=data,
                headers=headers if data is None else {**headers, "Content-Type": "application/json"},
                timeout=timeout or self._timeout,
                allow_redirects=False,
            ) as response:
                raw = await response.read()
                # Reading is counted apart from sending; what the sends may still do is not told by it.
                self.noted(usage(response.headers, () if method == "POST" else _READING), method == "POST")
                return _read(response.status, response.headers, raw)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise GraphDown(f"no connection: {type(error).__name__}") from None
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise GraphTimeout(f"answer lost: {type(error).__name__}") from None

    def _with(self, used: Pair) -> tuple[dict[str, str], dict[str, str]]:
        """(headers, proof) of a call; made once for each token and secret."""
        if self._ready is None or self._ready[0] != used:
            proof = {"appsecret_proof": used.proof} if used.proof else {}
            self._ready = (used, {"Authorization": f"Bearer {used.token}", "Accept-Encoding": "identity"}, proof)
        return self._ready[1], self._ready[2]


def quoted(identifier: str) -> str:
    """An id made safe for a path; half a character, which no address can hold, becomes « ? »."""
    return quote(identifier, safe="", errors="replace")


def _body(recipient: str, message: Outgoing) -> dict[str, Any]:
    content: dict[str, Any] = {"attachment": _template(message)} if message.links else {"text": message.text}
    if message.quick_replies:
        content["quick_replies"] = [
            {"content_type": "text", "title": truncate(reply.title, QUICK_REPLY_TITLE), "payload": reply.payload}
            for reply in message.quick_replies[:QUICK_REPLIES]
        ]
    if message.metadata and len(message.metadata) <= METADATA_CHARACTERS:
        content["metadata"] = message.metadata
    kind = {"messaging_type": "MESSAGE_TAG", "tag": message.tag} if message.tag else {"messaging_type": "RESPONSE"}
    return {"recipient": {"id": recipient}, **kind, "message": content}


def _template(message: Outgoing) -> dict[str, Any]:
    buttons = [{"type": "web_url", "url": link.url, "title": link.title} for link in message.links]
    return {"type": "template", "payload": {"template_type": "button", "text": message.text, "buttons": buttons}}


def _read(status: int, headers: Mapping[str, str], raw: bytes) -> _Answer:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        data = None
    error = data.get("error") if isinstance(data, dict) else None
    if status < 300 and error is None:
        if data is None:
            raise GraphTimeout("the answer is not JSON")
        return _Answer(data, usage(headers))
    error = error if isinstance(error, dict) else {}
    code, subcode = _int(error.get("code")), _int(error.get("error_subcode"))
    proof = code == 100 and "appsecret_proof" in str(error.get("message"))
    raise GraphError(
        PROOF if proof else classify(status, code, subcode, error.get("is_transient") is True),
        status,
        code,
        subcode,
        _seconds(headers.get("Retry-After")),
        usage(headers),
        str(error.get("fbtrace_id") or "")[:40],
        proof,
    )


def usage(headers: Mapping[str, str], without: tuple[str, ...] = ()) -> Usage:
    """Read X-App-Usage, X-Page-Usage and X-Business-Use-Case-Usage; what cannot be read counts as nothing. `without`: types of
    the last one that are passed over."""
    given = [text for name in _USAGE if (text := headers.get(name)) is not None]
    cases = headers.get(_BY_CASE)
    if not given and cases is None:
        return _NOTHING_TOLD
    entries: list[Any] = [_object(text) for text in given]
    for uses in _object(cases).values():
        entries.extend(uses if isinstance(uses, list) else [])
    entries = [entry for entry in entries if isinstance(entry, dict) and entry.get("type") not in without]
    names = ("call_count", "total_time", "total_cputime")
    counts = [count for entry in entries for name in names if (count := _int(entry.get(name))) is not None]
    return Usage(
        max(counts, default=0),
        timedelta(minutes=max((_minutes(e.get("estimated_time_to_regain_access")) for e in entries), default=0)),
        bool(counts),
    )


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _int(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None


def _minutes(value: object) -> int:
    """A time that a timedelta can hold; what is beyond it counts as the longest."""
    return min(max(_int(value) or 0, 0), _LONGEST_REGAIN)


def _seconds(value: str | None) -> float | None:
    # The other form, a date, is not worth reading: the usage headers say the same.
    number = _int(value)
    return float(number) if number is not None and 0 <= number <= 86_400 else None
