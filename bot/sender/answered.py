"""Which emergencies the door has answered: each once, across restarts.

In memory, and in a file of JSON lines that is only appended to until it is written anew without what is over, within the hour. It
holds digests that tell nothing without the key, and the ids of our own messages. The reply leaves first and is noted after, beside
the answer to who asked: a disk that is full, slow or read-only costs the memory of a restart, and holds up nobody.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from bot.core.append_only import append, rewrite
from bot.core.clock import Clock

log = logging.getLogger("planton.sender")
REMEMBERED = timedelta(hours=25)  # an older message gets no automatic reply, however often it is sent again
MOST = 100_000  # entries, some 20 MB
_SPARE = 1_000  # lines that are over, from which on the file is written anew at once
_EVERY = 3600.0  # seconds until it is written anew for any


class OtherRequest(Exception):
    """The key belongs to another request, which was answered."""


@dataclass(frozen=True)
class _Entry:
    key: str
    asked: str
    mid: str
    at: float  # seconds since the epoch


class Answered:
    """Of one sender. `keys`: its secrets, the present one first; `path` None: nothing outlives the process."""

    def __init__(self, clock: Clock, keys: Sequence[bytes], path: Path | None = None) -> None:
        self._clock, self._path = clock, path
        self._keys = [hmac.new(key, b"answered", hashlib.sha256).digest() for key in keys]
        self._entries: dict[str, _Entry] = {}  # oldest first
        self._sending: dict[str, tuple[str, asyncio.Task[str]]] = {}
        self._unwritten: list[_Entry] = []
        self._writer: asyncio.Task[None] | None = None
        self._lines, self._torn = 0, False
        self._sure = False  # whether the clock may be believed: a machine's own may be days ahead
        self._over = self._anew = False  # whether the file holds what is over; whether it is to be written anew

    def load(self) -> None:
        """Read the file. What a crash cut short is dropped; one that cannot be read at all may cost a doubled reply."""
        if self._path is None:
            return
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            self._torn = True
            log.error("answered emergencies not readable: %s", type(error).__name__)
            return
        found = sorted(filter(None, map(_of_line, lines)), key=lambda entry: entry.at)
        self._entries = {entry.key: entry for entry in found}
        self._lines, self._torn = len(lines), True  # the last line may be cut short
        self._over = len(self._entries) < len(lines)
        self._forget()

    async def run(self, key: Sequence[str], asked: Sequence[str], send: Callable[[], Coroutine[Any, Any, str]]) -> str:
        """The mid of the reply under this key: sent now, under way, or sent earlier. `asked`: what else names the request.
        Raises OtherRequest, and what `send` raises."""
        self._forget()
        names = list(zip(self._digests(key), self._digests(asked), strict=True))
        for name, whom in names:  # of each of our keys, so that a rotation forgets nothing
            known = self._entries.get(name)
            if known is not None:
                if known.asked != whom:
                    raise OtherRequest
                return known.mid
        name, whom = names[0]
        if name not in self._sending:
            task = asyncio.create_task(send())
            self._sending[name] = whom, task
            task.add_done_callback(lambda done: self._settle(name, whom, done))
        first, sending = self._sending[name]
        if first != whom:
            raise OtherRequest
        return await asyncio.shield(sending)  # an asker that goes away must not stop the send

    async def keep_forgetting(self, every: float = _EVERY) -> None:
        """What is over leaves the file too; for ever. From here on the clock is sure."""
        self._sure = True
        while True:
            self._forget()
            if self._over and self._path is not None:
                self._anew = True
                self._start(self._path)
            await asyncio.sleep(every)

    async def close(self) -> None:
        """Write what is not written yet."""
        if self._writer is not None:
            await self._writer

    def _settle(self, key: str, asked: str, task: asyncio.Task[str]) -> None:
        self._sending.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            return  # may be asked again
        entry = _Entry(key, asked, task.result(), self._clock.now().timestamp())
        self._entries[key] = entry
        if self._path is not None:
            self._unwritten.append(entry)
            self._start(self._path)

    def _digests(self, parts: Sequence[str]) -> list[str]:
        """What stands for these words in the file, by each key."""
        said = "\n".join(parts).encode("utf-8", "surrogatepass")
        return [hmac.new(key, said, hashlib.sha256).hexdigest()[:32] for key in self._keys]

    def _start(self, path: Path) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write(path))

    def _forget(self) -> None:
        until = (self._clock.now() - REMEMBERED).timestamp() if self._sure else -math.inf
        for key, entry in list(self._entries.items()):
            if entry.at >= until and len(self._entries) <= MOST:
                break
            del self._entries[key]
            self._over = True

    async def _write(self, path: Path) -> None:
        while self._unwritten or self._anew:
            some, self._unwritten = self._unwritten, []
            anew = self._anew or self._lines + len(some) > len(self._entries) + _SPARE
            self._anew, self._over = False, self._over and not anew
            try:
                if anew:
                    await asyncio.to_thread(rewrite, path, _to_lines(list(self._entries.values())))
                else:
                    await asyncio.to_thread(append, path, _to_lines(some), self._torn)
            except OSError as error:
                self._torn, self._over = True, self._over or anew
                log.error("answered emergencies not written: %s", type(error).__name__)
            else:
                self._lines = len(self._entries) if anew else self._lines + len(some)
                self._torn = False


def _of_line(line: bytes) -> _Entry | None:
    try:
        data = json.loads(line)
        entry = _Entry(str(data["key"]), str(data["asked"]), str(data["mid"]), float(data["at"]))
        datetime.fromtimestamp(entry.at, tz=timezone.utc)
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        return None
    return entry


def _to_lines(entries: Iterable[_Entry]) -> bytes:
    return b"".join(json.dumps(asdict(entry)).encode() + b"\n" for entry in entries)
