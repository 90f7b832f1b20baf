"""What stands on a simulated phone: one person, their bubbles, what the page does meanwhile."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.core.messages import Platform

TYPING_FOR = 20.0  # seconds that Meta shows the mark without being told again
EDITS = 5
KEPT = 200
NAMES = (
    "Camille Moreau",
    "Yanis Benali",
    "Léa Nguyen",
    "Thomas Petit",
    "Aminata Diallo",
    "Hugo Lefèvre",
    "Inès Da Silva",
    "Louis Garnier",
    "Sarah Cohen",
    "Mehdi Kaya",
    "Manon Leroy",
    "Jules Fontaine",
)

_numbers = itertools.count(1)
_names = itertools.cycle(secrets.SystemRandom().sample(NAMES, len(NAMES)))


@dataclass
class Bubble:
    """One message. `state`: sending, delivered, waiting (the gateway is away), refused; `kind`: text, photo, voice,
    thumb, heart, place."""

    mine: bool
    kind: str
    text: str
    at: datetime
    mid: str
    quick_replies: tuple[tuple[str, str], ...] = ()
    state: str = "delivered"
    times: int = 1  # how often it was delivered
    edits: int = 0
    withdrawn: bool = False
    links: tuple[tuple[str, str], ...] = ()  # (title, address) of the buttons under it
    id: int = field(default_factory=lambda: next(_numbers))


@dataclass
class Phone:
    """A phone in a citizen's hand. `account` is the page's or the Instagram account's id."""

    platform: Platform
    account: str
    person: str = ""
    name: str = ""
    bubbles: list[Bubble] = field(default_factory=list)
    last_raw: bytes | None = None
    last_sent: tuple[Bubble, ...] = ()
    seen: int = 0  # the bubble up to which the page has seen
    typing_until: float = 0.0

    def __post_init__(self) -> None:
        self.hand_over()

    def hand_over(self) -> None:
        """Another citizen takes the phone: new id, empty thread."""
        self.person = str(secrets.randbelow(9 * 10**15) + 10**15)
        if self.platform is Platform.INSTAGRAM:
            self.person = "17" + self.person
        self.name = next(_names)
        self.bubbles = []
        self.last_raw, self.last_sent = None, ()
        self.seen, self.typing_until = 0, 0.0

    def add(self, bubble: Bubble) -> Bubble:
        """Show a bubble."""
        self.bubbles = [*self.bubbles, bubble][-KEPT:]
        return bubble

    @property
    def typing(self) -> bool:
        """Whether the page is typing."""
        return time.monotonic() < self.typing_until

    def acted(self, action: str) -> None:
        """The page did something: mark_seen, typing_on, typing_off."""
        if action == "mark_seen":
            self.seen = max((b.id for b in self.bubbles if b.mine), default=0)
        else:
            self.typing_until = time.monotonic() + TYPING_FOR if action == "typing_on" else 0.0

    @property
    def last_mine(self) -> Bubble | None:
        """What can be withdrawn."""
        return next((b for b in reversed(self.bubbles) if b.mine and not b.withdrawn), None)

    @property
    def editable(self) -> Bubble | None:
        """What can be edited: the last text, five times, on Messenger only."""
        last = next((b for b in reversed(self.bubbles) if b.mine and b.kind == "text" and not b.withdrawn), None)
        return last if last and last.edits < EDITS and self.platform is Platform.MESSENGER else None

    @property
    def offered(self) -> tuple[tuple[str, str], ...]:
        """The quick replies on show: those of the last message, until the person says something."""
        return self.bubbles[-1].quick_replies if self.bubbles and not self.bubbles[-1].mine else ()

    def shown(self, clock_text: Any, notes: Mapping[str, Any]) -> dict[str, Any]:
        """What the page draws; `clock_text` turns a moment into « 15:04 », `notes` stand under the page's bubbles, by their id."""
        last = self.last_mine
        editable = self.editable
        return {
            "person": self.person,
            "name": self.name,
            "typing": self.typing,
            "offered": [{"title": title, "payload": payload} for title, payload in self.offered],
            "last": None if last is None else last.id,
            "editable": None if editable is None else {"id": editable.id, "text": editable.text},
            "bubbles": [
                {
                    "id": b.id,
                    "mine": b.mine,
                    "kind": b.kind,
                    "text": "" if b.withdrawn else b.text,
                    "links": [{"title": title, "url": url} for title, url in b.links],
                    "at": clock_text(b.at),
                    "state": b.state,
                    "times": b.times,
                    "edited": b.edits > 0,
                    "withdrawn": b.withdrawn,
                    "seen": b.mine and b.id == self.seen,
                    "note": None if b.mine else notes.get(b.mid),
                }
                for b in self.bubbles
            ],
        }
