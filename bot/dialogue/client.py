"""The engines as one port: a person's turns go to the same engine while it is up, another one takes over when it is not.

Engines keep nothing, so that any of them can run any turn; a person's turns follow each other because a worker asks for one
at a time. Where a person's engine has more under way than another, that one serves them: a slow engine holds up few.
EngineDown: none could be reached, or none is ready or answered in time (try again later). EngineRefused: an engine answered,
and the answer is of no use (trying again changes nothing).

An engine that hands over to another closes the connections that were kept open: what was on its way over one of them is asked
once more at once, over a new one. A turn changes nothing in the engine, so that asking twice does no harm.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Optional

import aiohttp

from bot.core.dialogue import Explanation, Turn, Understanding
from bot.core.errors import EngineDown, EngineRefused
from bot.dialogue import answers

FIRST_PAUSE = 0.5  # seconds without asking an engine that failed; doubles with each failure
LONGEST_PAUSE = 5.0
CONNECT_TIMEOUT = 2.0
ASKS = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 3000}  # seconds; milliseconds
MORE = 1  # turns that an engine may have under way above the one that has fewest


class Circuit:
    """Remembers that an engine failed, so that it is not asked again at once by every message that waits.

    After the pause one request tries it, and the others go on failing at once: an engine that hangs holds up one turn, not all.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._closed_until = 0.0
        self._tried = False

    @property
    def open_to_requests(self) -> bool:
        """Whether the engine may be asked."""
        return not self._tried and self._clock() >= self._closed_until

    def begin(self) -> None:
        """It is asked now; `succeeded`, `failed` or `left` follows."""
        self._tried = self._failures > 0

    def left(self) -> None:
        """Whoever asked went away before an answer: nothing is known."""
        self._tried = False

    def succeeded(self) -> None:
        """It answered."""
        self._failures = 0
        self._closed_until = 0.0
        self._tried = False

    def failed(self) -> None:
        """It did not: pause, longer each time."""
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10))
        self._failures += 1
        self._closed_until = self._clock() + pause
        self._tried = False


class EngineClient:
    """bot.core.dialogue.Engine over HTTP."""

    def __init__(
        self,
        urls: Sequence[str],
        timeout: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        unix: Optional[str] = None,
    ) -> None:
        """`clock`: of pauses; `now`: seconds since the epoch, which all machines must agree on: a dialogue's state is dated.
        `unix`: the path of a Unix socket, where the engine has no network; the URL is a mere name then."""
        if not urls:
            raise ValueError("no engine")
        self._now = now
        self._unix = unix
        self._urls = tuple(url.rstrip("/") for url in urls)
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=min(CONNECT_TIMEOUT, timeout))
        self._circuits = {url: Circuit(clock) for url in self._urls}
        self._under_way = dict.fromkeys(self._urls, 0)
        self._session: Optional[aiohttp.ClientSession] = None
        self._fresh: Optional[aiohttp.ClientSession] = None  # keeps no connection

    async def understand(self, text: str) -> Understanding:
        """What a text means."""
        return answers.understanding(await self._ask("/understand", {"text": text}, text))

    async def explain(self, text: str) -> Explanation:
        """What a text means, and why."""
        return answers.explanation(await self._ask("/explain", {"text": text}, text))

    async def turn(
        self,
        sender: str,
        text: str,
        state: Optional[dict[str, Any]],
        payload: Optional[str] = None,
        meant: Optional[str] = None,
    ) -> Turn:
        """Run one turn of a conversation."""
        body = {"sender": sender, "text": text, "state": state, "payload": payload, "at": self._now()}
        if meant is not None:
            body["meant"] = meant
        return answers.turn(await self._ask("/turn", body, sender))

    async def ready(self) -> bool:
        """Whether at least one engine says that it is ready. Asks them all, whatever their circuits say."""
        return any(await asyncio.gather(*(self._is_ready(url) for url in self._urls)))

    async def close(self) -> None:
        """End the session."""
        for session in (self._session, self._fresh):
            if session is not None:
                await session.close()
        self._session = self._fresh = None

    async def _is_ready(self, url: str) -> bool:
        try:
            async with self._get_session().get(f"{url}/healthz", allow_redirects=False) as response:
                ready = response.status == 200 and (await response.json()).get("ready") is True
        except (aiohttp.ClientError, asyncio.TimeoutError, ValueError, AttributeError):
            return False
        if ready:
            self._circuits[url].succeeded()
        return ready

    async def _ask(self, path: str, body: dict[str, Any], key: str) -> Any:
        """Ask the engines in the order of `key`, each at most once, until one answers."""
        for url in self._order(key):
            circuit = self._circuits[url]
            if not circuit.open_to_requests:
                continue
            circuit.begin()
            self._under_way[url] += 1
            try:
                answer = await self._post(url + path, body)
            except EngineDown:
                circuit.failed()
                continue
            except EngineRefused:
                circuit.succeeded()
                raise
            except BaseException:
                circuit.left()
                raise
            finally:
                self._under_way[url] -= 1
            circuit.succeeded()
            return answer
        raise EngineDown("no engine answers")

    def _order(self, key: str) -> list[str]:
        """As the key prefers, those that have much under way last. Paused ones have nothing, and are passed over."""
        urls = by_preference(self._urls, key)
        if len(urls) == 1:
            return urls
        busy = {url: self._under_way[url] for url in urls if self._circuits[url].open_to_requests}
        least = min(busy.values(), default=0)
        return sorted(urls, key=lambda url: busy.get(url, 0) > least + MORE)  # keeps the order of equals

    async def _post(self, url: str, body: dict[str, Any]) -> Any:
        data = json.dumps(body).encode("ascii")
        try:
            try:
                status, content = await _answer(self._get_session(), url, data)
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):  # closed while we asked
                status, content = await _answer(self._get_fresh(), url, data)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise EngineDown(type(error).__name__) from None
        if status == 503:
            raise EngineDown("not ready")
        return _content(status, content)

    def _get_fresh(self) -> aiohttp.ClientSession:
        if self._fresh is None:
            self._fresh = aiohttp.ClientSession(timeout=self._timeout, connector=self._connector(force_close=True))
        return self._fresh

    def _get_session(self) -> aiohttp.ClientSession:
        """Made on first use, since it belongs to the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, connector=self._connector())
        return self._session

    def _connector(self, force_close: bool = False) -> aiohttp.BaseConnector:
        if self._unix is not None:
            return aiohttp.UnixConnector(self._unix, force_close=force_close)
        return aiohttp.TCPConnector(force_close=force_close, socket_factory=_socket)


def _socket(address: Any) -> socket.socket:
    """One that finds out within three seconds that the engine's machine is gone: it says no goodbye, and an engine that only
    takes long still answers to this."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in ASKS.items():
        if hasattr(socket, name):  # Linux
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made


async def _answer(session: aiohttp.ClientSession, url: str, data: bytes) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json"}
    async with session.post(url, data=data, headers=headers, allow_redirects=False) as response:
        return response.status, await response.read()


def by_preference(urls: Sequence[str], key: str) -> list[str]:
    """Rendezvous hashing: each key has its own order, which the loss of one engine changes only for that engine's keys."""

    def weight(url: str) -> bytes:
        return hashlib.blake2b(f"{key}\0{url}".encode("utf-8", "surrogatepass"), digest_size=8).digest()

    return sorted(urls, key=weight)


def _content(status: int, content: bytes) -> Any:
    try:
        answer = json.loads(content)
    except ValueError:
        raise EngineRefused(f"answer {status} is no JSON") from None
    if status != 200:
        why = answer.get("error") if isinstance(answer, dict) else None
        raise EngineRefused(f"answer {status}: {why if isinstance(why, str) else 'no reason'}")
    return answer
