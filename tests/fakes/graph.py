"""A scripted Graph API for tests: real HTTP on loopback.

async with ScriptedGraph() as graph:
    graph.script(Script(Mood.ERROR, code=613))
    ...
    assert graph.texts("42") == ["Bonjour"]
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Any

from bot.core.clock import Clock
from bot.core.messages import Platform
from bot.sandbox.graph import Call, EchoCallback, Graph, GraphAccount, GraphServer, Mood, Script, Sent
from tests.fakes.ports import free_port

__all__ = ["IG", "PAGE", "SECRET", "TOKEN", "Mood", "Script", "ScriptedGraph"]

PAGE, IG = "1000", "2000"
TOKEN, SECRET = "EAAtoken-of-the-page", "app-secret"


class ScriptedGraph:
    """`async with` starts and stops it; `url` goes into META_GRAPH_URL."""

    def __init__(
        self,
        clock: Clock | None = None,
        latency: float = 0.0,
        strict: bool = False,
        on_echo: EchoCallback | None = None,
        echo_delay: float = 0.0,
        accounts: list[GraphAccount] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        accounts = accounts or [GraphAccount(PAGE, TOKEN, SECRET, IG)]
        self.graph = Graph(accounts, clock, latency, strict, on_echo, echo_delay)
        self._server = GraphServer(self.graph, host, free_port())  # listens there anew

    async def __aenter__(self) -> ScriptedGraph:
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop()

    async def refuse(self) -> None:
        """Nothing listens any more: connections are refused, until `accept`."""
        await self._server.stop()

    async def accept(self) -> None:
        """Listen again at the same address, with the same memory."""
        await self._server.start(again=True)

    @property
    def url(self) -> str:
        """Address with the version."""
        return self._server.url

    @property
    def calls(self) -> list[Call]:
        """Every request, oldest first."""
        return self.graph.calls

    @property
    def sent(self) -> list[Sent]:
        """Every message that reached a person, in order of arrival."""
        return self.graph.sent

    @property
    def actions(self) -> list[tuple[str | None, str]]:
        """(person, sender action) in order."""
        return [(call.person, call.action) for call in self.calls if call.action]

    def script(self, *scripts: Script) -> None:
        """Queue what the next message sends meet."""
        self.graph.script(*scripts)

    @property
    def readings(self) -> list[Call]:
        """The calls of the Conversations API, oldest first."""
        return [
            c for c in self.calls if c.method == "GET" and ("conversations" in c.path or c.path[:2] in ("t_", "m_"))
        ]

    def texts(self, person: str) -> list[str]:
        """What reached this person."""
        return [sent.text for sent in self.sent if sent.person == person]

    def tried(self, person: str) -> list[str]:
        """What was tried to this person, whatever became of it."""
        return [call.text for call in self.calls if call.person == person and call.text is not None]

    def instagram(self, *people: str) -> None:
        """These people write on Instagram."""
        for person in people:
            self.graph.person_wrote(person, platform=Platform.INSTAGRAM)

    async def wait_for(self, person: str, count: int = 1, timeout: float = 180.0) -> list[Any]:
        """Wait until `count` messages reached the person; fails the test after `timeout` seconds."""
        end = time.monotonic() + timeout
        while len(self.texts(person)) < count:
            assert time.monotonic() < end, f"{len(self.texts(person))} of {count} messages reached {person}"
            await asyncio.sleep(0.01)
        return self.texts(person)
