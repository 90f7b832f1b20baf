"""One measurement: a job posted by the load generator, what each process used meanwhile, what became of each message."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.store.embedded import die_with_parent
from scripts.benchmark import load
from scripts.benchmark.accounting import Account, Arrival, Fate, Name, account, percentile
from scripts.benchmark.load import Job, Posted
from scripts.benchmark.meter import Meter, Use
from scripts.benchmark.systems import PAGE, ROOT, GraphProcess, Planton, Running

Settled = tuple[Mapping[Name, Fate], list[Arrival]]
Settle = Callable[[list[Posted]], Settled]
OURS = ("load", "Graph API")  # processes that measure
_numbers = itertools.count(1)


def prefix() -> str:
    """What the ids of one measurement's persons begin with: like Meta's, digits only."""
    return f"{9000 + next(_numbers)}"


def job(system: Any, graph: GraphProcess | None = None, kind: str = load.META, **more: Any) -> Job:
    """A job for a system. `graph`: who tells a closed job of replies."""
    return Job(
        kind, system.port, more.pop("path", system.path), page=PAGE, secret=system.secret, header=system.header,
        graph=graph.port if graph else 0, **more,
    )  # fmt: skip


class Posting:
    """A job under way in its process."""

    def __init__(self, order: Job) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="planton-bench-load-")
        here = Path(self._folder.name)
        self._out = here / "out.json"
        order.write(here / "job.json")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.benchmark.load", str(here / "job.json"), str(self._out)],
            cwd=ROOT,
            env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
            preexec_fn=die_with_parent(9),
        )

    @property
    def done(self) -> bool:
        """Whether it ended; raises when it failed."""
        code = self.process.poll()
        if code:
            raise SystemExit("the load generator failed")
        return code is not None

    def result(self) -> tuple[list[Posted], float, float]:
        """Wait for its end: messages, when it began, by how much it was late at most."""
        self.process.wait()
        assert self.done
        found = load.read(self._out)
        self._folder.cleanup()
        return found


@dataclass
class Measured:
    """Figures of one measurement; seconds, MB."""

    name: str
    messages: int = 0
    seconds: float = 0.0
    rate: float = 0.0  # messages a second
    acks: list[float] = field(default_factory=list)
    replies: list[float] = field(default_factory=list)
    account: Account = field(default_factory=Account)
    refused: int = 0  # webhooks answered 503, or not at all, and posted again: messages and receipts
    use: dict[str, Use] = field(default_factory=dict)
    late: float = 0.0
    last: float = 0.0  # from the start to the last reply

    def cpu(self, of: Callable[[str], bool] = lambda name: name not in OURS) -> float:
        """Milliseconds of CPU a message."""
        return 1000 * sum(use.cpu for name, use in self.use.items() if of(name)) / max(1, self.messages)

    @property
    def memory(self) -> float:
        """MB of what is measured."""
        return sum(use.memory for name, use in self.use.items() if name not in OURS)

    def lines(self) -> list[str]:
        """For the terminal."""
        said = [
            f"{self.name}: {self.messages} messages in {self.seconds:.1f} s, {self.rate:.1f} a second"
            + (f"; last reply after {self.last:.1f} s" if self.last else ""),
            f"  acknowledged  {span(self.acks, 50, 99)}  refused {self.refused}",
        ]
        if self.replies:
            said.append(f"  answered      {span(self.replies, 50, 95, 99)}")
        told = self.account
        whys = ", ".join(f"{why} {count}" for why, count in told.silences.most_common() if why)
        said.append(
            f"  lost {told.lost}, doubled {told.doubled}, out of order {told.disordered}, silent {told.silent}"
            + (f" ({whys})" if whys else "")
        )
        said += [f"    {note}" for note in told.notes]
        for name, use in sorted(self.use.items(), key=lambda item: -item[1].cpu):
            each = 1000 * use.cpu / max(1, self.messages)
            said.append(f"  {name:<16}{use.cpu:>8.1f} s CPU{each:>8.2f} ms a message{use.memory:>8.0f} MB")
        said.append(f"  all but load and Graph API: {self.cpu():.1f} ms of CPU a message, {self.memory:.0f} MB")
        if self.late > 0.1:
            said.append(f"  the load generator itself was late by {self.late:.2f} s at most")
        return said


def span(values: list[float], *percents: float) -> str:
    """Percentiles, for the terminal."""
    return "  ".join(f"p{percent} {milliseconds(percentile(values, percent))}" for percent in percents)


def milliseconds(seconds: float) -> str:
    """As people read it."""
    if seconds != seconds:
        return "—"
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.1f} s"


def pids(system: Running, posting: Posting, graph: GraphProcess | None) -> dict[str, int]:
    """Name → pid of all that is looked at."""
    found = {**system.pids, "load": posting.process.pid}
    return found | ({"Graph API": graph.process.pid} if graph else {})


def measure(
    name: str,
    system: Running,
    order: Job,
    graph: GraphProcess | None,
    settle: Settle,
    skip: float = 0.0,
    tick: Callable[[], None] = lambda: None,
) -> Measured:
    """Post a job, wait for its end, let `settle` find out what became of its messages.

    `skip`: seconds at the start that do not count, for a closed job; its rate counts until its end. `tick`: called twice
    a second meanwhile.
    """
    refused = graph.refused() if graph else 0
    posting = Posting(order)
    meter = Meter(pids(system, posting, graph))
    loading = 0.0
    while not posting.done:
        try:
            posting.process.wait(0.5)
        except subprocess.TimeoutExpired:
            tick()
            loading = meter.cpu().get("load", 0.0)
    posted, began, late = posting.result()
    fates, arrivals = settle(posted)
    use = {**meter.use(), "load": Use(loading, 0.0)}
    result = Measured(name, len(posted), late=late, use=use)
    _fill(result, posted, began, fates, arrivals, order, skip)
    result.refused += graph.refused() - refused if graph else 0
    return result


def _fill(
    result: Measured,
    posted: list[Posted],
    began: float,
    fates: Mapping[Name, Fate],
    arrivals: list[Arrival],
    order: Job,
    skip: float,
) -> None:
    taken = [p for p in posted if p.acked is not None]
    result.account = account([(p.person, p.number) for p in taken], fates, arrivals)
    result.refused = sum(p.refusals for p in posted)
    counted = [p for p in taken if p.asked >= began + skip]
    result.acks = [p.acked - p.asked for p in counted if p.acked is not None]
    replies = result.account.replies
    result.replies = [replies[p.person, p.number] - p.asked for p in counted if (p.person, p.number) in replies]
    ends = list(replies.values()) or [p.acked for p in taken if p.acked is not None]
    result.last = max(replies.values()) - began if replies else 0.0
    if order.people:
        end = began + order.seconds
        result.seconds = order.seconds - skip
        result.rate = sum(began + skip <= moment <= end for moment in ends) / result.seconds
    else:
        result.seconds = max(ends, default=began) - began
        result.rate = len(ends) / result.seconds if result.seconds else 0.0


def of_planton(planton: Planton, graph: GraphProcess, people: str, patience: float = 120.0) -> Settle:
    """Planton's fates: from its database and the marks of what arrived, once nothing is in flight."""

    def settle(_: list[Posted]) -> Settled:
        planton.ledger.drained(patience)
        return planton.ledger.fates(people), planton.ledger.arrivals(people, graph.sent())

    return settle


def direct(posted: list[Posted]) -> Settled:
    """The fates where the reply is the HTTP answer: it is that message's by construction."""
    fates = {(p.person, p.number): Fate(p.number, silent=p.replied is None) for p in posted}
    arrivals = [Arrival(p.person, p.number, 0, p.replied) for p in posted if p.replied is not None]
    return fates, arrivals


def no_replies(posted: list[Posted]) -> Settled:
    """The fates where nobody answers."""
    return {(p.person, p.number): Fate(silent=True) for p in posted}, []


def wait_until(true: Callable[[], bool], seconds: float, every: float = 0.2) -> bool:
    """Whether it became true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True
