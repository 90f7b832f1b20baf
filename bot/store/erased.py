"""What was erased on a person's request does not come back: not by a webhook that Meta sends again, not by the catch-up.

Kept for `KEPT` are keyed prints of the ids of messages, of who said what in which second (the Conversations API may name a
message otherwise than its webhook did), and of the person with the moment of the erasure. Without the key none of them
tells anything; no word, name or id is kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.errors import SettingsError
from bot.core.messages import (
    Delivery,
    Echo,
    Edit,
    Event,
    Message,
    Platform,
    Postback,
    Reaction,
    Read,
    Unsend,
    body_from_json,
)
from bot.store import facts, places
from bot.store.caught import words
from bot.store.codec import Codec, fingerprint
from bot.store.conversations import BODY
from bot.store.together import named

# Meta sends a webhook again for hours; a catch-up asked for by hand may reach further back, and not beyond this.
KEPT = timedelta(days=30)
_PURPOSE = "erased"
_FACT, _SEALED = "erased_keys", "facts.erased_keys"
_KNOWN_KEYS: WeakKeyDictionary[Codec, list[bytes]] = WeakKeyDictionary()

Where = tuple[str, str, str]  # platform, account, person
Key = tuple[str, str, str]  # platform, account, event key

_KEEP = text("""
    INSERT INTO erased_messages (print, at, until)
    SELECT p, :now, :until FROM unnest(CAST(:prints AS bigint[])) AS p
    ON CONFLICT (print) DO UPDATE SET at = excluded.at, until = excluded.until
""")
STANDING = "SELECT print, at FROM erased_messages WHERE print = ANY(%(prints)s) AND until > %(now)s"
_STANDING = named(STANDING)
_EVENTS = text(f"SELECT key, kind, mid, at, body, {places.event('events')} FROM events WHERE conversation_id = :id")  # noqa: S608
_MIDS = text("""
    SELECT m.mid FROM outbox o, unnest(o.mids) AS m(mid) WHERE o.conversation_id = :id
    UNION SELECT e.value FROM outbox o, jsonb_each_text(o.echoes) AS e WHERE o.conversation_id = :id
    UNION SELECT twin FROM caught WHERE conversation_id = :id AND twin IS NOT NULL
""")
_WORDLESS = (Read, Delivery, Reaction, Unsend)


@dataclass(frozen=True)
class Prints:
    """Makes the keyed prints of one kind of thing each."""

    key: bytes

    def _of(self, kind: str, *parts: str) -> int:
        return fingerprint(self.key, "\x00".join((kind, *parts)))

    def message(self, platform: str, account: str, id_: str) -> int:
        """Of a message, by its key or mid."""
        return self._of("id", platform, account, id_)

    def said(self, where: Where, second: int, said: str) -> int:
        """Of what a person said in a second (Unix)."""
        return self._of("said", *where, str(second), said)

    def person(self, where: Where) -> int:
        """Of a person."""
        return self._of("person", *where)


def _now(codec: Codec) -> Prints:
    return Prints(codec.fingerprint_key(_PURPOSE))


async def _all(connection: AsyncConnection, codec: Codec) -> list[Prints]:
    """Prints cannot be made anew: those of a key that is gone are recognised by what `keep_keys` kept of it."""
    if codec not in _KNOWN_KEYS:  # as long as this process runs: a key that goes meanwhile is still one of its own
        sealed = await facts.get(connection, _FACT)
        _KNOWN_KEYS[codec] = (
            [bytes.fromhex(key) for key in codec.open_json(bytes.fromhex(sealed), _SEALED)] if sealed else []
        )
    own = [part.fingerprint_key(_PURPOSE) for part in codec.parts]
    return [Prints(key) for key in dict.fromkeys([*own, *_KNOWN_KEYS[codec]])]


async def of_person(connection: AsyncConnection, codec: Codec, where: Where) -> list[int]:
    """What a register of erasures may call a person, by whichever key."""
    return [prints.person(where) for prints in await _all(connection, codec)]


async def keep_keys(connection: AsyncConnection, codec: Codec) -> None:
    """Before the old DATA_KEY goes: keep the key of its prints, and no other of its uses, for as long as there are any."""
    standing = await connection.scalar(text("SELECT EXISTS (SELECT FROM erased_messages)"))
    older = [prints.key.hex() for prints in await _all(connection, codec)][1:] if standing else []
    await facts.put(connection, _FACT, codec.seal_json(older, _SEALED).hex())


async def remember(connection: AsyncConnection, codec: Codec, conversation: int, where: Where, now: datetime) -> None:
    """Before a conversation is erased, in the same transaction: what of it must not come back."""
    prints, known = _now(codec), set[int]()
    platform, account, _ = where
    for row in await connection.execute(_EVENTS, {"id": conversation}):
        known |= {prints.message(platform, account, one) for one in (row.key, row.mid) if one}
        with contextlib.suppress(SettingsError):  # what no key opens is erased all the same: its ids tell it again
            said = words(body_from_json(codec.open_json(row.body, BODY, row.place)))
            if said:
                known.add(prints.said(where, int(row.at.timestamp()), said))
    for row in await connection.execute(_MIDS, {"id": conversation}):
        known.add(prints.message(platform, account, row.mid))
    known.add(prints.person(where))
    await connection.execute(_KEEP, {"prints": sorted(known), "now": now, "until": now + KEPT})


async def among(
    connection: AsyncConnection,
    codec: Codec,
    events: Sequence[Event],
    now: datetime,
    strangers: Collection[Where] = (),
    late: bool = False,
) -> set[Key]:
    """Those of these events that were erased already, or are about nothing else.

    `strangers`: people who had no conversation until now: that they read or liked what is gone does not begin one.
    `late`: the events come by the Conversations API.
    """
    question = await ask(connection, codec, events, late)
    if not question.wanted:
        return set()
    rows = await connection.execute(_STANDING, {"prints": question.wanted, "now": now})
    return question.gone({row.print: row.at for row in rows}, strangers)


@dataclass(frozen=True)
class Question:
    """What to ask the register of these events: `wanted` are the prints to look for with `STANDING`, `gone` reads the answer."""

    prints: Sequence[Prints]
    events: Sequence[Event]
    late: bool
    wanted: list[int]

    def gone(self, standing: Mapping[int, datetime], strangers: Collection[Where]) -> set[Key]:
        """As `among`. `standing`: prints that stand in the register → when they were entered."""
        if not standing:
            return set()
        return {
            (event.platform.value, event.account, event.key)
            for event in self.events
            if any(_gone(prints, event, standing, strangers, self.late) for prints in self.prints)
        }


async def ask(connection: AsyncConnection, codec: Codec, events: Sequence[Event], late: bool = False) -> Question:
    """Make the question, for who sends it together with others (`bot.store.together`)."""
    keys = await _all(connection, codec)
    wanted = {one for prints in keys for event in events for one in _prints(prints, event, late)}
    return Question(keys, events, late, sorted(wanted))


class Answered(Protocol):
    """An emergency that was answered while the database was away (`bot.gateway.ports.Mark`)."""

    @property
    def platform(self) -> Platform: ...
    @property
    def account(self) -> str: ...
    @property
    def person(self) -> str: ...
    @property
    def answered(self) -> datetime: ...


M = TypeVar("M", bound=Answered)


async def answered(connection: AsyncConnection, codec: Codec, marks: Iterable[M], now: datetime) -> set[M]:
    """Those of these marks whose person was erased since."""
    by_print: dict[int, list[M]] = {}
    marks = list(marks)
    for prints in await _all(connection, codec) if marks else ():
        for mark in marks:
            by_print.setdefault(prints.person((mark.platform.value, mark.account, mark.person)), []).append(mark)
    if not by_print:
        return set()
    rows = await connection.execute(_STANDING, {"prints": sorted(by_print), "now": now})
    return {mark for row in rows for mark in by_print[row.print] if mark.answered <= row.at}


def _where(event: Event) -> Where | None:
    return None if event.person is None else (event.platform.value, event.account, event.person)


def _ids(event: Event) -> Iterator[str]:
    """Ids by which an event, or what it is about, may have been erased. An edit brings new words: its own key alone."""
    yield event.key
    if event.mid and not isinstance(event.body, Edit):
        yield event.mid
    if isinstance(event.body, (Read, Reaction, Unsend)) and event.body.target:
        yield event.body.target


def _said(prints: Prints, event: Event) -> Iterator[int]:
    """The API tells whole seconds, and not always the webhook's."""
    where, said = _where(event), words(event.body)
    if where is not None and said and isinstance(event.body, (Message, Postback)):
        second = int(event.at.timestamp())
        yield from (prints.said(where, second + step, said) for step in (-1, 0, 1))


def _prints(prints: Prints, event: Event, late: bool) -> Iterator[int]:
    for one in _ids(event):
        yield prints.message(event.platform.value, event.account, one)
    where = _where(event)
    if where is not None and (late or isinstance(event.body, (*_WORDLESS, Echo))):
        yield prints.person(where)
    if late:
        yield from _said(prints, event)


def _gone(
    prints: Prints, event: Event, standing: Mapping[int, datetime], strangers: Collection[Where], late: bool
) -> bool:
    if any(prints.message(event.platform.value, event.account, one) in standing for one in _ids(event)):
        return True
    where = _where(event)
    erased_at = None if where is None else standing.get(prints.person(where))
    if isinstance(event.body, Echo):  # the page's own words to somebody whose conversation is gone
        return erased_at is not None and event.at <= erased_at
    if isinstance(event.body, _WORDLESS):
        return erased_at is not None and where in strangers
    return late and any(one in standing for one in _said(prints, event))
