"""Webhook bodies into frozen events: every item of every entry gives exactly one `Event`.

Tolerant in what is read: ids may be numbers, timestamps seconds, milliseconds or strings, senders absent. An item that
cannot be read becomes `Unknown` and never costs its neighbours; only a body that is no JSON object is refused.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from bot.core.clean import clean
from bot.core.errors import BadPayload
from bot.core.messages import (
    Attachment,
    Body,
    Channel,
    Delivery,
    Echo,
    Edit,
    Event,
    Message,
    OptIn,
    Platform,
    PolicyEnforcement,
    Postback,
    Reaction,
    Read,
    Referral,
    ThreadControl,
    Unknown,
    Unsend,
)

Json = dict[str, Any]

_PLATFORMS = {"page": Platform.MESSENGER, "instagram": Platform.INSTAGRAM}
# Meta's own mids have at most some 200 characters; a longer "id" would not fit a database index.
_ID_MAX = 500
_INT_DIGITS_MAX = 40
# Meta puts at most 1,000 items into a body, and the longest that the gateway takes has no room for so many messages with an id,
# a sender and a recipient. A million empty items would cost half a minute and a gigabyte.
ITEMS_MAX = 50_000
_EPOCH = datetime(2010, 1, 1, tzinfo=timezone.utc)  # before the Send API existed: no honest timestamp is older
_AHEAD = timedelta(days=1)  # a clock may be wrong, not by more than this
_SECONDS_BELOW = 1e11  # as milliseconds this is 1973, as seconds the year 5138
_STATED = re.compile(r"[\w-]{1,40}", re.ASCII)
# Fields of `changes` whose value is a messaging item; the others are comments, feeds, mentions, …
_MESSAGING_FIELD = re.compile(r"messag(e|es|ing)(_\w+)?|standby", re.ASCII)


class _Unreadable(Exception):
    """An item that becomes `Unknown`; the text names what is wrong, without its content."""


@dataclass(frozen=True)
class _Entry:
    """What the items of one entry have in common."""

    platform: Platform
    known: bool  # the body's `object` is one of ours
    account: str
    time: object
    received_at: datetime


def parse(raw: bytes, received_at: datetime | None = None) -> list[Event]:
    """The events of a webhook body, in its order. Raises BadPayload, and nothing else, if it is not a JSON object, or has more
    than ITEMS_MAX items.

    `received_at` (default: now) stands in for timestamps that are absent or absurd.
    """
    now = received_at or datetime.now(timezone.utc)
    data = _load(raw)
    if _count(data) > ITEMS_MAX:
        raise BadPayload("too many items")
    kind = data.get("object")
    platform = _PLATFORMS.get(kind) if isinstance(kind, str) else None
    return [
        event
        for entry in _several(data.get("entry"))
        for event in _entry_events(entry, platform or Platform.MESSENGER, platform is not None, now)
    ]


def _load(raw: bytes) -> Json:
    try:
        # Huge numbers stay text and NaN becomes null: neither may raise later, in Python or in the database.
        data = json.loads(raw, parse_int=_integer, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise BadPayload(type(error).__name__) from None
    if not isinstance(data, dict):
        raise BadPayload("not an object")
    return data


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _INT_DIGITS_MAX else digits


def _several(value: object) -> list[Any]:
    """A list, where a lone object counts as a list of one and nothing as an empty list."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _count(data: Json) -> int:
    """How many items the body holds, whatever they are."""
    entries = _several(data.get("entry"))
    named = (entry.get(channel.value) for entry in entries if isinstance(entry, dict) for channel in Channel)
    return len(entries) + sum(len(_several(items)) for items in named)


def _entry_events(entry: object, platform: Platform, known: bool, now: datetime) -> Iterator[Event]:
    shared = _Entry(platform, known, "", None, now)
    if not isinstance(entry, dict):
        yield _event(shared, Channel.MESSAGING, entry, "entry is not an object")
        return
    shared = _Entry(platform, known, _id(entry.get("id")) or "", entry.get("time"), now)
    for channel in Channel:
        for item in _several(entry.get(channel.value)):
            yield _event(shared, channel, item)


def _event(entry: _Entry, channel: Channel, item: object, wrong: str = "") -> Event:
    """One item's event. Nothing that stands in an item can make this raise."""
    try:
        if wrong:
            raise _Unreadable(wrong)
        return _read_item(entry, channel, item)
    except _Unreadable as error:
        return _unknown(entry, channel, item, str(error))
    except Exception as error:  # a bug of ours here must not cost the neighbours their answers
        return _unknown(entry, channel, item, f"not readable: {type(error).__name__}")


def _unknown(entry: _Entry, channel: Channel, item: object, why: str) -> Event:
    fields = item if isinstance(item, dict) else {}
    inner = _inner(channel, fields)
    account, person = _parties(entry, inner)
    at = _when(entry, inner.get("timestamp"), fields.get("timestamp"))
    key = _hash(entry.platform, account, item)
    return Event(entry.platform, account, person, key, at, Unknown(why), channel)


def _inner(channel: Channel, item: Json) -> Json:
    """The messaging item: the item itself, or what stands in `value` of a change."""
    if channel is not Channel.CHANGES:
        return item
    value = item.get("value")
    return value if _is_messaging(item) and isinstance(value, dict) else {}


def _is_messaging(change: Json) -> bool:
    field = change.get("field")
    return isinstance(field, str) and _MESSAGING_FIELD.fullmatch(field) is not None


def _read_item(entry: _Entry, channel: Channel, item: object) -> Event:
    if not isinstance(item, dict):
        raise _Unreadable("item is not an object")
    if not entry.known:
        raise _Unreadable("object is neither page nor instagram")
    if channel is Channel.CHANGES and not _is_messaging(item):
        raise _Unreadable(f"change of {_stated(item.get('field'))}")
    inner = _inner(channel, item)
    name, part = _kind(inner)
    body, mid = _READERS[name](part, _from_page(entry, inner))
    account, person = _parties(entry, inner)
    at = _when(entry, inner.get("timestamp"), item.get("timestamp"))
    key = _key(body, mid) or _hash(entry.platform, account, item)
    return Event(entry.platform, account, person, key, at, body, channel, mid)


def _kind(item: Json) -> tuple[str, Json]:
    """The item's kind, and the object that describes it."""
    present = [name for name in _READERS if item.get(name) is not None]
    for name in present:
        part = item[name]
        if isinstance(part, dict):
            return name, part
    if present:
        raise _Unreadable(f"{present[0]} is not an object")
    others = [name for name in item if name not in ("sender", "recipient", "timestamp")]
    raise _Unreadable(f"unknown kind {_stated(others[0])}" if others else "no content")


def _stated(name: object) -> str:
    """A field name that may be shown: Meta's are words, and anything else might be a citizen's."""
    return name if isinstance(name, str) and _STATED.fullmatch(name) else "(unnamed)"


# Who, when, which


def _parties(entry: _Entry, item: Json) -> tuple[str, str | None]:
    """Account and person. The person is whoever is not the page: the recipient of an echo, else the sender."""
    sender, recipient = _party(item.get("sender")), _party(item.get("recipient"))
    if _from_page(entry, item):
        return entry.account or sender or "", None if recipient == entry.account else recipient
    return entry.account or recipient or "", sender


def _from_page(entry: _Entry, item: Json) -> bool:
    message = item.get("message")
    if isinstance(message, dict) and _flag(message.get("is_echo")):
        return True
    sender = _party(item.get("sender"))
    return sender is not None and sender == entry.account


def _party(value: object) -> str | None:
    """The id in `sender` or `recipient`; a `user_ref` is no id that could be answered."""
    return _id(value.get("id")) if isinstance(value, dict) else _id(value)


def _id(value: object) -> str | None:
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    value = clean(value)
    return value if 0 < len(value) <= _ID_MAX else None


def _when(entry: _Entry, *timestamps: object) -> datetime:
    """The first plausible of the item's timestamps, the entry's time and the time of arrival."""
    for value in (*timestamps, entry.time):
        at = _moment(value)
        if at is not None and at <= entry.received_at + _AHEAD:
            return at
    return entry.received_at


def _moment(value: object) -> datetime | None:
    """A time in seconds, milliseconds or ISO 8601, as number or text; None if absurdly old."""
    number = _number(value)
    try:
        if number is not None:
            seconds = number if abs(number) < _SECONDS_BELOW else number / 1000
            at = datetime.fromtimestamp(seconds, tz=timezone.utc)
        elif isinstance(value, str) and len(value) <= 40:
            at = datetime.fromisoformat(value.strip())
        else:
            return None
        return at.astimezone(timezone.utc) if at.tzinfo and at >= _EPOCH else None
    except (ValueError, OverflowError, OSError):
        return None


def _number(value: object) -> float | None:
    """A finite number, also when it is written as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and len(value) > _INT_DIGITS_MAX:
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _key(body: Body, mid: str | None) -> str | None:
    """The key of what has an id of its own; None: hash the content."""
    if isinstance(body, Edit) and body.target and body.num_edit:
        return f"{body.target}:edit:{body.num_edit}"
    if isinstance(body, Unsend):
        return f"{body.target}:unsend"
    return mid


def _hash(platform: Platform, account: str, item: object) -> str:
    try:
        canonical = json.dumps(item, sort_keys=True, separators=(",", ":"))
    except RecursionError:
        canonical = "too deep"
    seed = f"{platform.value}\n{account}\n".encode("utf-8", "replace") + canonical.encode()
    return "sha256:" + hashlib.sha256(seed).hexdigest()


# Values


def _text(value: object) -> str:
    """Cleaned text; a number counts as text, nothing as empty."""
    if value is None:
        return ""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise _Unreadable("text is not a string")


def _word(value: object) -> str | None:
    """Like `_text`, but None for what is absent, empty or no text."""
    try:
        return _text(value) or None
    except _Unreadable:
        return None


def _flag(value: object) -> bool:
    return value is True or value == 1 or value == "true"


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _url(value: object) -> str | None:
    """A web address; other schemes never reach an agent's browser."""
    url = _word(value)
    return url if url and url.lower().startswith(("https://", "http://")) else None


def _degrees(value: object, limit: float) -> float | None:
    number = _number(value)
    return number if number is not None and abs(number) <= limit else None


def _attachments(value: object) -> tuple[Attachment, ...]:
    return tuple(_attachment(_object(item)) for item in _several(value))


def _attachment(item: Json) -> Attachment:
    payload = _object(item.get("payload"))
    place = _object(payload.get("coordinates"))
    kind = (_word(item.get("type")) or "unknown").lower()
    # A story belongs to its author and expires: its media are not kept.
    url = None if kind == "story_mention" else _url(payload.get("url")) or _url(item.get("url"))
    return Attachment(
        type=kind,
        url=url,
        title=_word(payload.get("title")) or _word(item.get("title")),
        sticker_id=_id(payload.get("sticker_id")),
        lat=_degrees(place.get("lat"), 90),
        long=_degrees(place.get("long"), 180),
    )


# One reader a kind


Reading = tuple[Body, "str | None"]  # the body, and the item's own mid
Reader = Callable[[Json, bool], Reading]  # of the part that describes it; True: the page is its sender


def _message(part: Json, from_page: bool) -> Reading:
    mid = _id(part.get("mid"))
    if _flag(part.get("is_deleted")):
        return Unsend(_target(part)), None
    text, attachments = _text(part.get("text")), _attachments(part.get("attachments"))
    if from_page:
        return Echo(text, _id(part.get("app_id")), _word(part.get("metadata")), attachments), mid
    reply_to = _object(part.get("reply_to"))
    quick_reply = part.get("quick_reply")
    return (
        Message(
            text=text,
            quick_reply=_word(quick_reply.get("payload")) or "" if isinstance(quick_reply, dict) else None,
            attachments=attachments,
            reply_to_mid=_id(reply_to.get("mid")),
            reply_to_story=_id(_object(reply_to.get("story")).get("id")),
            unsupported=_flag(part.get("is_unsupported")),
        ),
        mid,
    )


def _target(part: Json) -> str:
    mid = _id(part.get("mid"))
    if mid is None:
        raise _Unreadable("no mid")
    return mid


def _edit(part: Json, from_page: bool) -> Reading:
    # Without a mid it cannot replace a message, but its words may still tell of a danger.
    number = _number(part.get("num_edit"))
    times = int(number) if number and 0 < number < 1e6 else 0
    return Edit(_id(part.get("mid")) or "", _text(part.get("text")), times), None


def _postback(part: Json, from_page: bool) -> Reading:
    ref = _object(part.get("referral")).get("ref")
    body = Postback(_word(part.get("title")) or "", _word(part.get("payload")) or "", _word(ref))
    return body, _id(part.get("mid"))


def _reaction(part: Json, from_page: bool) -> Reading:
    name, emoji = _word(part.get("reaction")), _word(part.get("emoji"))
    action = _word(part.get("action")) or ("react" if name or emoji else "unreact")
    return Reaction(_target(part), action, emoji, name), None


def _read(part: Json, from_page: bool) -> Reading:
    return Read(_moment(part.get("watermark")), _id(part.get("mid"))), None


def _delivery(part: Json, from_page: bool) -> Reading:
    mids = tuple(mid for mid in map(_id, _several(part.get("mids"))) if mid)
    return Delivery(_moment(part.get("watermark")), mids), None


def _referral(part: Json, from_page: bool) -> Reading:
    return Referral(_word(part.get("ref")), _word(part.get("source"))), None


def _optin(part: Json, from_page: bool) -> Reading:
    return OptIn(_word(part.get("ref")) or _word(part.get("payload"))), None


def _thread(action: str) -> Reader:
    def read(part: Json, from_page: bool) -> Reading:
        return (
            ThreadControl(
                action,
                previous_owner=_id(part.get("previous_owner_app_id")),
                new_owner=_id(part.get("new_owner_app_id")) or _id(part.get("requested_owner_app_id")),
                metadata=_word(part.get("metadata")),
            ),
            None,
        )

    return read


def _app_roles(part: Json, from_page: bool) -> Reading:
    # `{app id: [roles]}`: the app named first is the one whose role changed.
    return ThreadControl("app_roles", new_owner=next(filter(None, map(_id, part)), None)), None


def _policy(part: Json, from_page: bool) -> Reading:
    return PolicyEnforcement(_word(part.get("action")) or "", _word(part.get("reason")) or ""), None


# In order of precedence, should an item hold several.
_READERS: dict[str, Reader] = {
    "message": _message,
    "message_edit": _edit,
    "postback": _postback,
    "reaction": _reaction,
    "read": _read,
    "delivery": _delivery,
    "referral": _referral,
    "optin": _optin,
    "pass_thread_control": _thread("pass"),
    "take_thread_control": _thread("take"),
    "request_thread_control": _thread("request"),
    "app_roles": _app_roles,
    "policy_enforcement": _policy,
    "policy-enforcement": _policy,
}
