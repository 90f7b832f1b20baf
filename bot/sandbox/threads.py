"""What the simulated Meta remembers of a page's threads, and how its Conversations API tells it.

Field expansion is answered as far as it is asked for: `messages.limit(10){id,from}` brings messages along, `messages`
alone brings their ids. Cursors are opaque; on Instagram only the 20 newest messages of a thread have details.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.core.messages import Platform

Json = dict[str, Any]
_INLINE = re.compile(r"messages(?:\.limit\((\d+)\))?(\{.*\})?", re.S)
_DETAILED = 20
MEDIA = {"image": "image_data", "video": "video_data"}


@dataclass
class Remembered:
    """A message. `attachments` as a webhook tells them."""

    mid: str
    text: str
    at: datetime
    from_page: bool = False
    attachments: Sequence[Json] = ()


@dataclass
class Remembrance:
    """One thread, oldest first."""

    person: str
    platform: Platform
    page: str  # the page's id, or its Instagram account's
    said: list[Remembered] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The thread's id."""
        return f"t_{self.person}"

    @property
    def updated(self) -> datetime:
        """When somebody last wrote."""
        return max(one.at for one in self.said)


class BadCursor(Exception):
    """Nothing that was given out."""


class Threads:
    """Every thread, by person."""

    def __init__(self) -> None:
        self._all: dict[str, Remembrance] = {}

    def add(self, person: str, platform: Platform, page: str, one: Remembered) -> None:
        """Somebody wrote."""
        thread = self._all.setdefault(person, Remembrance(person, platform, page))
        thread.said.append(one)
        thread.said.sort(key=lambda said: said.at)

    def change(self, mid: str, text: str | None) -> None:
        """A message was edited, or (None) withdrawn."""
        for thread in self._all.values():
            for one in [one for one in thread.said if one.mid == mid]:
                if text is None:
                    thread.said.remove(one)
                else:
                    one.text = text
        self._all = {person: thread for person, thread in self._all.items() if thread.said}

    def list(self, platform: str, query: dict[str, str]) -> Json:
        """GET /{page}/conversations."""
        threads = [one for one in self._all.values() if one.platform.value == platform]
        threads.sort(key=lambda one: one.updated, reverse=True)
        return _page(threads, query, 25, lambda one: self._thread(one, query.get("fields", "id,updated_time")))

    def thread(self, name: str, query: dict[str, str]) -> Json | None:
        """GET /{thread}; None when there is none."""
        found = self._named(name)
        return None if found is None else self._thread(found, query.get("fields", "id,updated_time"))

    def messages(self, name: str, query: dict[str, str]) -> Json | None:
        """GET /{thread}/messages."""
        found = self._named(name)
        return None if found is None else self._messages(found, query.get("fields", "id,created_time"), query)

    def message(self, mid: str) -> Json | None:
        """GET /{message}; None when Meta gives no details of it."""
        for thread in self._all.values():
            for one in self._detailed(thread):
                if one.mid == mid:
                    return _told(thread, one, "id,created_time,from,to,message,attachments{id}")
        return None

    def _named(self, name: str) -> Remembrance | None:
        return self._all.get(name.removeprefix("t_")) if name.startswith("t_") else None

    def _thread(self, one: Remembrance, fields: str) -> Json:
        told: Json = {"id": one.id}
        if "updated_time" in fields:
            told["updated_time"] = iso(one.updated)
        if "participants" in fields:
            told["participants"] = {"data": [{"id": one.person}, {"id": one.page}]}
        found = _INLINE.search(fields)
        if found is not None:
            inner = found[2][1:-1] if found[2] else "id"
            told["messages"] = self._messages(one, inner, {"limit": found[1] or "25"})
        return told

    def _messages(self, thread: Remembrance, fields: str, query: dict[str, str]) -> Json:
        detailed = {one.mid for one in self._detailed(thread)}
        newest = list(reversed(thread.said))
        return _page(
            newest,
            query,
            25,
            lambda one: _told(thread, one, fields if one.mid in detailed else "id,created_time"),
        )

    def _detailed(self, thread: Remembrance) -> Iterable[Remembered]:
        return thread.said[-_DETAILED:] if thread.platform is Platform.INSTAGRAM else thread.said


def _told(thread: Remembrance, one: Remembered, fields: str) -> Json:
    told: Json = {"id": one.mid}
    if "created_time" in fields:
        told["created_time"] = iso(one.at)
    if "from" not in fields:
        return told
    sender, receiver = (thread.page, thread.person) if one.from_page else (thread.person, thread.page)
    told |= {"from": {"id": sender}, "to": {"data": [{"id": receiver}]}, "message": one.text}
    if one.attachments and "attachments" in fields:
        told["attachments"] = {"data": [_attachment(n, a) for n, a in enumerate(one.attachments)]}
    return told


def _attachment(number: int, one: Json) -> Json:
    kind, url = str(one.get("type")), (one.get("payload") or {}).get("url")
    told: Json = {"id": f"a{number}", "mime_type": f"{'application' if kind == 'file' else kind}/octet-stream"}
    return told | ({MEDIA[kind]: {"url": url}} if kind in MEDIA else {"file_url": url})


def _page(rows: Sequence[Any], query: dict[str, str], usual: int, told: Any) -> Json:
    limit = int(query.get("limit") or usual)
    start = _position(query["after"]) if query.get("after") else 0
    shown = [told(one) for one in rows[start : start + limit]]
    answer: Json = {"data": shown}
    if shown:
        end = base64.b64encode(f"at:{start + len(shown)}".encode()).decode()
        answer["paging"] = {"cursors": {"after": end}}
        if start + limit < len(rows):
            answer["paging"]["next"] = f"https://graph.example/next?access_token=secret&after={end}"
    return answer


def _position(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor).decode().removeprefix("at:"))
    except ValueError:
        raise BadCursor from None


def iso(at: datetime) -> str:
    """Meta's way to write a time: whole seconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S+0000")
