"""What comes in from Meta, frozen: one `Event` an item, its `body` typed by kind.

Source of the shapes: Meta's webhook reference for the Messenger Platform and Instagram messaging.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Optional, Union, get_args


class Platform(str, enum.Enum):
    """Where a conversation takes place."""

    MESSENGER = "messenger"
    INSTAGRAM = "instagram"


class Channel(str, enum.Enum):
    """The list of the entry that an item stood in."""

    MESSAGING = "messaging"
    STANDBY = "standby"  # another app owns the thread: no reply is allowed
    CHANGES = "changes"  # the dashboard's Test button, comments


@dataclass(frozen=True)
class Attachment:
    """One attachment. `type` is Meta's word (image, video, audio, file, location, template, fallback,
    sticker, reel, share, story_mention, like_heart, ephemeral, …); `lat`/`long` in degrees."""

    type: str
    url: Optional[str] = None
    title: Optional[str] = None
    sticker_id: Optional[str] = None
    lat: Optional[float] = None
    long: Optional[float] = None


@dataclass(frozen=True)
class Message:
    """A person's message: text, quick reply, attachments, or several of these at once."""

    text: str = ""
    quick_reply: Optional[str] = None  # payload of the quick reply that was tapped
    attachments: tuple[Attachment, ...] = ()
    reply_to_mid: Optional[str] = None
    reply_to_story: Optional[str] = None  # id of the story; its media are never stored
    unsupported: bool = False


@dataclass(frozen=True)
class Postback:
    """A tap on a button, an ice breaker or the persistent menu (`payload` is absent in standby)."""

    title: str = ""
    payload: str = ""
    referral: Optional[str] = None


@dataclass(frozen=True)
class Echo:
    """A message that the page sent: by us, by a human in Meta's inbox, or by another app."""

    text: str = ""
    app_id: Optional[str] = None
    metadata: Optional[str] = None
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class Edit:
    """The person changed the text of message `target`."""

    target: str
    text: str
    num_edit: int = 0


@dataclass(frozen=True)
class Unsend:
    """The person withdrew message `target`."""

    target: str


@dataclass(frozen=True)
class Reaction:
    """The person reacted to message `target`, or took the reaction back (`action` react|unreact)."""

    target: str
    action: str
    emoji: Optional[str] = None
    name: Optional[str] = None


@dataclass(frozen=True)
class Read:
    """All that was sent until `watermark` (Messenger) or message `target` (Instagram) was read."""

    watermark: Optional[datetime] = None
    target: Optional[str] = None


@dataclass(frozen=True)
class Delivery:
    """All that was sent until `watermark`, `mids` among it, was delivered."""

    watermark: Optional[datetime] = None
    mids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Referral:
    """The person came in through a link or an advertisement."""

    ref: Optional[str] = None
    source: Optional[str] = None


@dataclass(frozen=True)
class OptIn:
    """The person agreed to something (plugin, notification); `ref` as Meta gives it."""

    ref: Optional[str] = None


@dataclass(frozen=True)
class ThreadControl:
    """The thread changed owner: `action` is pass, take, request or app_roles."""

    action: str
    previous_owner: Optional[str] = None
    new_owner: Optional[str] = None
    metadata: Optional[str] = None


@dataclass(frozen=True)
class PolicyEnforcement:
    """Meta warns, blocks or unblocks the page itself."""

    action: str
    reason: str = ""


@dataclass(frozen=True)
class Unknown:
    """An item that Planton does not know, or could not read; `why` names the first thing wrong, without its content."""

    why: str


Body = Union[
    Message,
    Postback,
    Echo,
    Edit,
    Unsend,
    Reaction,
    Read,
    Delivery,
    Referral,
    OptIn,
    ThreadControl,
    PolicyEnforcement,
    Unknown,
]

_BODIES: dict[str, type] = {cls.__name__: cls for cls in get_args(Body)}


@dataclass(frozen=True)
class Event:
    """One item of a webhook.

    `key` identifies it within its account: Meta's mid where it is the item's own, else a content hash.
    `at` is Meta's timestamp (UTC). `person` is None where the item concerns no person (policy enforcement).
    """

    platform: Platform
    account: str
    person: Optional[str]
    key: str
    at: datetime
    body: Body
    channel: Channel = Channel.MESSAGING
    mid: Optional[str] = None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("naive datetime in an event")

    @property
    def kind(self) -> str:
        """A word for logs and the ledger: text, quick_reply, attachment, postback, echo, edit, …"""
        body = self.body
        if isinstance(body, Message):
            if body.quick_reply is not None:
                return "quick_reply"
            if body.text:
                return "text"
            return "attachment" if body.attachments else "unsupported" if body.unsupported else "empty"
        return _KINDS[type(body)]

    @property
    def standby(self) -> bool:
        """Another app owns the thread."""
        return self.channel is Channel.STANDBY


_KINDS: dict[type, str] = {
    Postback: "postback",
    Echo: "echo",
    Edit: "edit",
    Unsend: "unsend",
    Reaction: "reaction",
    Read: "read",
    Delivery: "delivery",
    Referral: "referral",
    OptIn: "optin",
    ThreadControl: "thread_control",
    PolicyEnforcement: "policy_enforcement",
    Unknown: "unknown",
}


def body_to_json(body: Body) -> dict[str, Any]:
    """The body as JSON types, with its class name under `_`; `body_from_json` is the inverse."""

    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.isoformat()
        if isinstance(value, (tuple, list)):
            return [plain(v) for v in value]
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        return value

    return {"_": type(body).__name__, **plain(dataclasses.asdict(body))}


def body_from_json(data: dict[str, Any]) -> Body:
    """Rebuild a body from `body_to_json`'s output. Raises KeyError for an unknown class."""
    fields = dict(data)
    cls = _BODIES[fields.pop("_")]
    if "attachments" in fields:
        fields["attachments"] = tuple(Attachment(**a) for a in fields["attachments"])
    if "mids" in fields:
        fields["mids"] = tuple(fields["mids"])
    if fields.get("watermark"):
        fields["watermark"] = datetime.fromisoformat(fields["watermark"])
    return cls(**fields)  # type: ignore[no-any-return]


def from_milliseconds(value: float) -> datetime:
    """Milliseconds since the epoch as an aware UTC datetime."""
    return datetime.fromtimestamp(value / 1000, tz=timezone.utc)
