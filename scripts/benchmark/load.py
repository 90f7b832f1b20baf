"""Who posts messages, in a process of its own: `python -m scripts.benchmark.load JOB.json OUT.json`.

An open job posts each message at its moment, come what may; a closed one keeps so many people writing at once, each of whom
waits for the reply before writing again. As Meta does, what is not answered with 200 is posted again; of one person, a
message is posted once the one before it is acknowledged, so that their order is certain.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from scripts.benchmark import wire
from scripts.benchmark.graph import end_with_parent

HOST = "127.0.0.1"
META, REST, TURN, UNDERSTAND = "meta", "rest", "turn", "understand"


@dataclass
class Job:
    """What to post, where and how. Seconds everywhere.

    `messages`: (moment from the start, person, number, text). `people`: (person, texts), for a closed job. `graph`: the port
    that tells of replies; 0: the HTTP answer comes when the reply did. `batch`: messages in one webhook.
    """

    kind: str
    port: int
    path: str
    messages: list[tuple[float, str, int, str]] = field(default_factory=list)
    people: list[tuple[str, list[str]]] = field(default_factory=list)
    in_flight: int = 0
    seconds: float = 0.0
    page: str = ""
    secret: str = ""
    header: str = "X-Hub-Signature-256"
    graph: int = 0
    batch: int = 1
    connections: int = 512
    reply_within: float = 30.0
    give_up: float = 300.0

    def write(self, path: Path) -> None:
        """As `read` takes it."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        """What `write` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


@dataclass
class Posted:
    """What became of one message at the door; moments are monotonic seconds. `replied`: of a closed job or a direct answer.
    `refusals`: of its webhook, told by the first of the messages in it."""

    person: str
    number: int
    asked: float
    acked: float | None = None
    refusals: int = 0
    replied: float | None = None


class Load:
    """Runs one job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._pool = wire.Pool(HOST, job.port, job.connections)
        self._last: dict[str, asyncio.Task[None]] = {}
        self._awaited: dict[str, asyncio.Future[float]] = {}
        self._states: dict[str, Any] = {}
        self.posted: list[Posted] = []
        self.late = 0.0  # the most that a message was posted after its moment, by our own fault
        self.began = 0.0

    async def run(self) -> None:
        """To its end."""
        listening = None
        if self._job.graph:
            listening = asyncio.create_task(wire.follow(HOST, self._job.graph, "/bench/stream", self._hear))
            await asyncio.sleep(0.1)
        self.began = time.monotonic()
        await (self._closed() if self._job.people else self._open())
        if listening is not None:
            listening.cancel()
        self._pool.close()

    # Open

    async def _open(self) -> None:
        tasks = []
        for group in _groups(self._job.messages, self._job.batch):
            due = self.began + group[0][0]
            wait = due - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self.late = max(self.late, time.monotonic() - due)
            tasks.append(asyncio.create_task(self._one(group, [self._last.get(p) for _, p, _, _ in group])))
            self._last.update((person, tasks[-1]) for _, person, _, _ in group)
        await asyncio.gather(*tasks)

    async def _one(self, group: list[tuple[float, str, int, str]], before: list[asyncio.Task[None] | None]) -> None:
        for earlier in before:
            if earlier is not None and not earlier.done():
                await earlier
        await self._deliver([(person, number, text) for _, person, number, text in group])

    # Closed

    async def _closed(self) -> None:
        people = iter(self._job.people)
        await asyncio.gather(*(self._slot(people) for _ in range(self._job.in_flight)))

    async def _slot(self, people: Iterator[tuple[str, list[str]]]) -> None:
        end = self.began + self._job.seconds
        for person, texts in people:
            self._states.pop(person, None)
            for number, text in enumerate(texts):
                if time.monotonic() >= end:
                    return
                await self._exchange(person, number, text)

    async def _exchange(self, person: str, number: int, text: str) -> None:
        if not self._job.graph:
            await self._deliver([(person, number, text)])
            return
        reply: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._awaited[person] = reply
        [posted] = await self._deliver([(person, number, text)])
        with contextlib.suppress(TimeoutError):
            posted.replied = await asyncio.wait_for(reply, self._job.reply_within)
        self._awaited.pop(person, None)

    def _hear(self, person: str) -> None:
        reply = self._awaited.get(person)
        if reply is not None and not reply.done():
            reply.set_result(time.monotonic())

    # The post itself

    async def _deliver(self, messages: list[tuple[str, int, str]]) -> list[Posted]:
        began = time.monotonic()
        posted = [Posted(person, number, began) for person, number, _ in messages]
        self.posted += posted
        raw = self._request(messages)
        refusals = 0
        while True:
            response = await self._pool.ask(raw)
            now = time.monotonic()
            if response.status == 200:
                break
            refusals += 1
            if now - began > self._job.give_up:
                break
            await asyncio.sleep(min(4.0, 0.3 * 1.5**refusals))
        posted[0].refusals = refusals
        for one in posted:
            one.acked = now if response.status == 200 else None
            if one.acked is not None and self._said(one.person, response.body):
                one.replied = now
        return posted

    def _request(self, messages: list[tuple[str, int, str]]) -> bytes:
        job, host = self._job, f"{HOST}:{self._job.port}"
        person, _, text = messages[0]
        if job.kind == REST:
            return wire.post(host, job.path, json.dumps({"sender": person, "message": text}).encode())
        if job.kind in (TURN, UNDERSTAND):
            body = {"text": text} if job.kind == UNDERSTAND else {"text": text, "state": self._states.get(person)}
            return wire.post(host, job.path, json.dumps(body).encode())
        raw = webhook(job.page, messages)
        return wire.post(host, job.path, raw, {job.header: _signed(job.header, job.secret, raw)})

    def _said(self, person: str, body: bytes) -> bool:
        """Whether a direct answer holds the reply; keeps the dialogue's state where we have to."""
        if self._job.kind == REST:
            return len(body) > 2
        if self._job.kind == TURN:
            self._states[person] = json.loads(body)["state"]
        return self._job.kind in (TURN, UNDERSTAND)


def webhook(page: str, messages: list[tuple[str, int, str]]) -> bytes:
    """The body that Meta posts."""
    now = int(time.time() * 1000)
    items = [
        {
            "sender": {"id": person},
            "recipient": {"id": page},
            "timestamp": now,
            "message": {"mid": f"m_{person}_{number}", "text": text},
        }
        for person, number, text in messages
    ]
    entries = [{"id": page, "time": now, "messaging": [item]} for item in items]
    return json.dumps({"object": "page", "entry": entries}).encode()


def _signed(header: str, secret: str, raw: bytes) -> str:
    kind = "sha256" if header.endswith("256") else "sha1"
    return f"{kind}={hmac.new(secret.encode(), raw, kind).hexdigest()}"


def _groups(messages: list[tuple[float, str, int, str]], size: int) -> Iterator[list[tuple[float, str, int, str]]]:
    for start in range(0, len(messages), size):
        yield messages[start : start + size]


def read(path: Path) -> tuple[list[Posted], float, float]:
    """What a job wrote: its messages, when it began, and by how much it was late at most."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return [Posted(*row) for row in found["posted"]], found["began"], found["late"]


def main(job: Path, out: Path) -> None:
    """Run a job and write what `read` reads."""
    load = Load(Job.read(job))
    uvloop.run(load.run())
    rows = [[p.person, p.number, p.asked, p.acked, p.refusals, p.replied] for p in load.posted]
    out.write_text(json.dumps({"posted": rows, "began": load.began, "late": load.late}), encoding="utf-8")


if __name__ == "__main__":
    end_with_parent()
    main(Path(sys.argv[1]), Path(sys.argv[2]))
