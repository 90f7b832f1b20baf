"""The Conversations API: what Meta itself remembers of a page's threads, turned into the body that a webhook would have.

One call a page of threads brings their newest messages along (field expansion); what an answer leaves out is asked for
by the documented single calls. Addresses in `paging.next` hold the token: only cursors are used.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.core.messages import Platform
from bot.meta.send_api import GraphError, quoted

THREADS = 20  # a call
INLINE = 10  # messages that come with their thread
MESSAGES = 50  # a call, for a thread that holds more
INSTAGRAM_MESSAGES = 20  # Meta gives the details of no older one
_ATTACHMENTS = "attachments{id,mime_type,name,image_data,video_data,file_url}"
DETAILS = f"id,created_time,from,to,message,{_ATTACHMENTS},shares{{link,name}},sticker"
PLAIN_DETAILS = "id,created_time,from,to,message"
_BAD_FIELD = 100

Json = dict[str, Any]
Ask = Callable[[str, Mapping[str, str]], Awaitable[Any]]


@dataclass(frozen=True)
class Said:
    """One message as Meta remembers it. `sender` None: only its id is known, ask for the rest."""

    id: str
    at: datetime | None  # whole seconds
    sender: str | None
    receivers: tuple[str, ...]
    fields: Json


@dataclass(frozen=True)
class Thread:
    """A conversation. `people`: who takes part; `said`: newest first; `more`: the cursor of what is older.

    `said` None: the answer left the messages out."""

    id: str
    updated: datetime | None
    people: tuple[str, ...]
    said: tuple[Said, ...] | None
    more: str | None


class Reader:
    """Reads the threads of one page on one platform with `ask`, which paces the calls and raises SendError."""

    def __init__(self, ask: Ask, page: str, platform: Platform) -> None:
        self._ask = ask
        self._page = page
        self._platform = platform
        self._plain = False  # Meta refused the fields of one call: the documented single calls then

    async def threads(self, after: str | None) -> tuple[list[Thread], str | None]:
        """A page of threads, last updated first, and the cursor of the next one."""
        inline = f",messages.limit({INLINE}){{{DETAILS}}}"
        params = {"platform": self._platform.value, "limit": str(THREADS)} | ({"after": after} if after else {})
        path = f"{quoted(self._page)}/conversations"
        if not self._plain:
            try:
                data = await self._ask(path, {**params, "fields": f"id,updated_time,participants{inline}"})
                return [_thread(one) for one in _list(data)], _next(data)
            except GraphError as error:
                if error.code != _BAD_FIELD:
                    raise
                self._plain = True
        data = await self._ask(path, {**params, "fields": "id,updated_time"})
        return [_thread(one) for one in _list(data)], _next(data)

    async def open(self, thread: Thread) -> Thread:
        """The thread with the ids of its messages, where the list left them out."""
        if thread.said is not None:
            return thread
        data = _object(await self._ask(quoted(thread.id), {"fields": "messages,participants,updated_time"}))
        return _thread({"id": thread.id, "messages": {}, **data})

    async def older(self, thread: Thread, more: str) -> tuple[list[Said], str | None]:
        """What stands before, newest first."""
        fields = PLAIN_DETAILS if self._plain else DETAILS
        params = {"fields": fields, "limit": str(MESSAGES), "after": more}
        data = await self._ask(f"{quoted(thread.id)}/messages", params)
        return [said for one in _list(data) if (said := _said(one)) is not None], _next(data)

    async def message(self, said: Said) -> Said | None:
        """A message of which only the id is known; None when Meta gives no details."""
        try:
            data = await self._ask(quoted(said.id), {"fields": f"{PLAIN_DETAILS},{_ATTACHMENTS}"})
        except GraphError as error:
            if error.code != _BAD_FIELD:
                raise
            return None
        return _said({"id": said.id, **_object(data)})


def person_of(thread: Thread, own: Collection[str]) -> str | None:
    """Who writes with the page; None when Meta does not say, or names nobody of ours in the thread."""
    people = set(thread.people)
    for said in thread.said or ():
        people.update((said.sender, *said.receivers) if said.sender else said.receivers)
    others = people.difference(own)
    return others.pop() if len(others) == 1 and people.intersection(own) else None


def webhook(
    account: str, platform: Platform, person: str, said: Sequence[tuple[Said, datetime]], own: Collection[str]
) -> bytes:
    """The webhook body that these messages of one person (each with its time) would have come in."""
    items = [_item(account, person, one, at, one.sender in own) for one, at in said]
    entry = {"id": account, "time": items[-1]["timestamp"] if items else 0, "messaging": items}
    kind = "instagram" if platform is Platform.INSTAGRAM else "page"
    return json.dumps({"object": kind, "entry": [entry]}).encode()


def _item(account: str, person: str, said: Said, at: datetime, echo: bool) -> Json:
    message: Json = {"mid": said.id}
    text = said.fields.get("message")
    if isinstance(text, str) and text:
        message["text"] = text
    attachments = _attachments(said.fields)
    if attachments:
        message["attachments"] = attachments
    if echo:
        message["is_echo"] = True
    elif "text" not in message and not attachments:
        message["is_unsupported"] = True
    sender, recipient = (account, person) if echo else (person, account)
    return {
        "sender": {"id": sender},
        "recipient": {"id": recipient},
        "timestamp": round(at.timestamp() * 1000),
        "message": message,
    }


def _attachments(fields: Json) -> list[Json]:
    """Meta's remembered attachments in the webhook's words."""
    found = [_attachment(one) for one in _list(fields.get("attachments"))]
    sticker = fields.get("sticker")
    if isinstance(sticker, str) and sticker and not found:
        found.append({"type": "sticker", "payload": {"url": sticker}})
    for one in _list(fields.get("shares")):
        if one.get("link"):
            found.append({"type": "share", "payload": {"url": one.get("link"), "title": one.get("name")}})
    return found


def _attachment(one: Json) -> Json:
    for name, kind in (("image_data", "image"), ("video_data", "video")):
        media = one.get(name)
        if isinstance(media, dict):
            return {"type": kind, "payload": {"url": media.get("url")}}
    mime = str(one.get("mime_type") or "")
    kind = next((kind for kind in ("image", "video", "audio") if mime.startswith(f"{kind}/")), "file")
    return {"type": kind, "payload": {"url": one.get("file_url"), "title": one.get("name")}}


def _thread(one: Json) -> Thread:
    messages = one.get("messages")
    said = None if messages is None else tuple(s for m in _list(messages) if (s := _said(m)) is not None)
    people = tuple(i for p in _list(one.get("participants")) if (i := _id(p.get("id"))))
    return Thread(_id(one.get("id")) or "", _moment(one.get("updated_time")), people, said, _next(messages))


def _said(one: Json) -> Said | None:
    number = _id(one.get("id"))
    if number is None:
        return None
    sender = _id(_object(one.get("from")).get("id"))
    receivers = tuple(i for p in _list(one.get("to")) if (i := _id(p.get("id"))))
    return Said(number, _moment(one.get("created_time")), sender, receivers, one)


def _list(edge: object) -> list[Json]:
    """The objects in an edge's `data`."""
    data = edge.get("data") if isinstance(edge, dict) else None
    return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []


def _next(edge: object) -> str | None:
    """The cursor of the next page, if there is one."""
    paging = _object(_object(edge).get("paging"))
    after = _object(paging.get("cursors")).get("after")
    return after if isinstance(after, str) and after and paging.get("next") else None


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _id(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value) <= 500 else None


def _moment(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        return at.astimezone(UTC) if at is not None and at.tzinfo else None
    except (ValueError, OverflowError):  # the first and last hours that there are have no UTC
        return None
