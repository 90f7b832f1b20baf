"""Emergencies while the database is down: ask the sender directly, remember which were answered.

The memory is a dictionary, and a file of JSON lines that survives a crash. The reply leaves first and is noted after:
a crash between the two doubles a reply, which is accepted; the other order could lose one, which is not.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from weakref import WeakValueDictionary

from bot.core.append_only import append, rewrite
from bot.core.clock import Clock, plausible
from bot.core.messages import Edit, Event, Message, Platform
from bot.core.waiting import within
from bot.gateway.ports import EmergencySend, Item, Mark
from bot.policy.emergency import Detection

log = logging.getLogger(__name__)

FRESH = timedelta(hours=24)  # an older message gets no automatic reply
SAME_REPLY = timedelta(minutes=10)  # the same reply to one person is not repeated within
KEEP = FRESH + timedelta(hours=1)  # after that a message sent again would be too old for a reply anyway
_SEND_TIMEOUT = 10.0  # seconds; `bot.meta.direct` asks all senders within less

Id = tuple[Platform, str, str]  # platform, account, key


def _id(of: Event | Mark) -> Id:
    return of.platform, of.account, of.key


class Spool:
    """The marks of answered emergencies that the database does not know yet. One process owns the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._marks: dict[Id, Mark] = {}
        self._file = asyncio.Lock()
        self._torn = False

    def load(self) -> None:
        """Read the file at start. A line that a crash cut short is dropped, and the file is written anew without it.

        A file that cannot be read may cost a doubled reply; a gateway that does not start would cost every message.
        """
        try:
            marks = [mark for mark in map(_from_line, self._path.read_bytes().splitlines()) if mark is not None]
            self._marks = {_id(mark): mark for mark in marks}
            rewrite(self._path, _to_lines(self._marks.values()))
        except FileNotFoundError:
            return
        except OSError as error:
            self._torn = True
            log.error("emergency spool not readable: %s", type(error).__name__)

    def __len__(self) -> int:
        return len(self._marks)

    def marks(self) -> Sequence[Mark]:
        """All marks, oldest first."""
        return sorted(self._marks.values(), key=lambda mark: mark.answered)

    def knows(self, event: Event) -> bool:
        """This very event was answered."""
        return _id(event) in self._marks

    def answered(self, events: Iterable[Event]) -> frozenset[str]:
        """The keys of those of these events that were answered."""
        return frozenset(event.key for event in events if self.knows(event))

    async def add(self, mark: Mark) -> None:
        """Remember, and write through to the disk. A full disk costs the survival of a crash, not the memory."""
        self._marks[_id(mark)] = mark
        async with self._file:
            try:
                await asyncio.to_thread(append, self._path, _to_lines([mark]), self._torn)
                self._torn = False
            except OSError as error:
                self._torn = True
                log.error("emergency spool not written: %s", type(error).__name__)

    async def forget(self, marks: Collection[Event | Mark]) -> None:
        """The database knows these now; the file shrinks."""
        gone = [self._marks.pop(_id(mark), None) for mark in marks]
        if not any(gone):
            return
        async with self._file:
            try:
                await asyncio.to_thread(rewrite, self._path, _to_lines(self._marks.values()))
                self._torn = False
            except OSError as error:
                log.error("emergency spool not compacted: %s", type(error).__name__)


def read(path: Path) -> list[Mark]:
    """The marks of a file, whoever owns it."""
    try:
        return [mark for mark in map(_from_line, path.read_bytes().splitlines()) if mark is not None]
    except FileNotFoundError:
        return []


def drop(path: Path, person: str) -> None:
    """Write the file anew without a person. A gateway that runs forgets them by itself in a moment (`Recall`)."""
    marks = read(path)
    left = [mark for mark in marks if mark.person != person]
    if len(left) < len(marks):
        rewrite(path, _to_lines(left))


def _to_lines(marks: Iterable[Mark]) -> bytes:
    return b"".join(map(_to_line, marks))


def _to_line(mark: Mark) -> bytes:
    data = {
        "platform": mark.platform.value,
        "account": mark.account,
        "person": mark.person,
        "key": mark.key,
        "danger": mark.danger,
        "at": mark.at.isoformat(),
        "answered": mark.answered.isoformat(),
    }
    return json.dumps(data).encode() + b"\n"


def _from_line(line: bytes) -> Mark | None:
    try:
        data = json.loads(line)
        at, answered = (datetime.fromisoformat(data.pop(name)) for name in ("at", "answered"))
        return Mark(Platform(data.pop("platform")), at=at, answered=answered, **data)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


class EmergencyLane:
    """Has the sender answer the dangers of a webhook that could not be stored, each once."""

    def __init__(
        self,
        spool: Spool,
        send: EmergencySend,
        clock: Clock,
        retries: Sequence[float],
        count: Callable[[str], None],
        clock_read: Callable[[], bool],
    ) -> None:
        self._spool = spool
        self._send = send
        self._clock = clock
        self._retries = retries
        self._count = count  # of outcomes: sent, repeated, failed
        self._clock_read = clock_read
        self._running: dict[Id, asyncio.Task[None]] = {}
        self._turns: WeakValueDictionary[Id, asyncio.Lock] = WeakValueDictionary()

    async def answer(self, items: Sequence[Item], wait: float) -> None:
        """Answer what is due; returns after `wait` seconds at the latest, and what is under way goes on."""
        tasks = [
            self._start(event, detection)
            for event, detection in items
            if detection is not None and self._due(event) and not self._spool.knows(event)
        ]
        if tasks:
            await asyncio.wait(tasks, timeout=wait)

    def owes(self, items: Sequence[Item], keys: Set[str]) -> bool:
        """Whether one of these events tells of a danger that is to be answered and was not yet."""
        return any(
            detection is not None and event.key in keys and self._due(event) and not self._spool.knows(event)
            for event, detection in items
        )

    async def drain(self, wait: float) -> None:
        """Before the process ends: let what is under way finish."""
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=wait)

    def _due(self, event: Event) -> bool:
        """Someone to answer, whom no other app owns, and not a day late; until our clock is sure, the sender judges that."""
        return (
            event.person is not None
            and not event.standby
            and isinstance(event.body, (Message, Edit))
            and (not self._clock_read() or self._clock.now() - event.at <= FRESH)
        )

    def _start(self, event: Event, detection: Detection) -> asyncio.Task[None]:
        # Meta sends again at once: the same event may come while its reply is still leaving.
        running = self._running.get(_id(event))
        if running is None:
            running = self._running[_id(event)] = asyncio.create_task(self._answer_once(event, detection))
            running.add_done_callback(lambda _: self._running.pop(_id(event), None))
        return running

    async def _answer_once(self, event: Event, detection: Detection) -> None:
        now = self._clock.now()
        whom = (event.platform, event.account, event.person or "")
        # One at a time for a person, so that the second of two cries sees that the first was answered.
        async with self._turns.setdefault(whom, asyncio.Lock()):
            mark = Mark(*whom, event.key, detection.kind, event.at, now)
            earlier = self._same_reply(mark)
            if earlier is None and not await self._try(event, detection):
                self._count("failed")
                log.error("emergency not answered: sender unavailable, event %s", event.key)
                return
            # The earlier reply counts for both, and its ten minutes do not begin anew.
            await self._spool.add(mark if earlier is None else replace(mark, answered=earlier.answered))
        outcome = "sent" if earlier is None else "repeated"
        self._count(outcome)
        log.warning("emergency without the database: %s, event %s", outcome, event.key)

    def _same_reply(self, mark: Mark) -> Mark | None:
        """The mark of the same reply to this person a moment ago."""
        whom = (mark.platform, mark.account, mark.person, mark.danger)
        for other in self._spool.marks():
            same = (other.platform, other.account, other.person, other.danger) == whom
            if same and plausible(other.answered, mark.answered) and mark.answered - other.answered < SAME_REPLY:
                return other
        return None

    async def _try(self, event: Event, detection: Detection) -> bool:
        for delay in self._retries:
            await asyncio.sleep(delay)
            try:
                if await within(_SEND_TIMEOUT, self._send(event, detection)):
                    return True
            except Exception as error:  # whatever stops the sender, the next attempt may succeed
                log.warning("emergency attempt failed: %s, event %s", type(error).__name__, event.key)
        return False
