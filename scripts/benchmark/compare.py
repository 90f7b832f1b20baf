"""Planton beside what it replaces and beside the ceilings: the same messages, the same Graph API, one machine, one run.

Each system is asked twice: a closed job finds how many messages a second it sustains, an open one at the rate of November
2015 finds what people wait. The other systems' processes are gone while one is measured.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.benchmark import drive, load, messages, stock
from scripts.benchmark.accounting import Name
from scripts.benchmark.drive import Measured
from scripts.benchmark.systems import Edge, Engine, GraphProcess, Planton, Stock, graph, running

PLANTON, STOCK, REST = "Planton", "Rasa, canal Facebook", "Rasa, canal REST"
TURN, PARSE, EDGE = "moteur seul, /turn", "moteur seul, /understand", "signature vérifiée, 200"
UNLIKE = ", textes tous différents"  # behind a system's name: no two texts are the same, the engine has to read each
NOVEMBER = 11_000 / 3600  # messages a second
CROWD = 60_000  # persons at most in a closed job
USUAL = 0.1  # seconds of the Graph API, where one latency is enough
MANY, FEW = 64, 16  # people who write at once: to a system with a queue, to one without


@dataclass
class Row:
    """One line of the table: what it sustains, and what people wait at November's rate."""

    system: str
    latency: float | None
    full: Measured
    calm: Measured

    @property
    def wrong(self) -> tuple[int, int, int]:
        """Lost, doubled, out of order, in both."""
        told = [self.full.account, self.calm.account]
        return sum(a.lost for a in told), sum(a.doubled for a in told), sum(a.disordered for a in told)

    @property
    def silent(self) -> int:
        """Messages that it chose not to answer, in both."""
        return self.full.account.silent + self.calm.account.silent

    @property
    def unclaimed(self) -> int:
        """Replies that answer no message that could be told, in both."""
        return self.full.account.unclaimed + self.calm.account.unclaimed

    @property
    def refused(self) -> int:
        """Webhooks that were refused and posted again, in both."""
        return self.full.refused + self.calm.refused

    @property
    def replies(self) -> bool:
        """Whether it answers at all."""
        return bool(self.calm.replies)


@dataclass
class Comparison:
    """The rows, and the seconds that each part of a measurement lasted. `failed`: actions of stock Rasa that broke off, by its
    own log."""

    seconds: float
    rows: list[Row] = field(default_factory=list)
    failed: int = 0

    def rate(self, system: str, latency: float | None = None) -> float:
        """What a system sustains, at the Graph API's latency if that matters to it; 0 when it was not measured."""
        fits = [r.full.rate for r in self.rows if r.system == system and (latency is None or r.latency == latency)]
        return fits[0] if fits else 0.0


def compare(latencies: list[float], seconds: float, tell: Callable[[Measured], None]) -> Comparison:
    """Measure all. `seconds`: of each closed job (its first quarter does not count) and of each open one."""
    found = Comparison(seconds)
    with graph(latencies[0]) as meta:
        with running(Planton, meta.url) as planton:
            _closed(
                "warm",
                planton,
                meta,
                load.META,
                5.0,
                MANY,
                meta,
                lambda people, _: drive.of_planton(planton, meta, people),
            )
            for latency in latencies:
                meta.answer_after(latency)
                row = _both(PLANTON, latency, planton, meta, MANY, seconds, tell, _planton(planton, meta), meta)
                found.rows.append(row)
            meta.answer_after(USUAL)
            row = _both(PLANTON + UNLIKE, USUAL, planton, meta, MANY, seconds, tell, _planton(planton, meta), meta)
            found.rows.append(row)
        with running(Stock, meta.port) as rasa:
            expected = stock.learn(rasa, meta)
            for latency in latencies:
                meta.answer_after(latency)
                found.rows.append(_both(STOCK, latency, rasa, meta, FEW // 2, seconds, tell, _stock(meta, expected)))
            found.failed = rasa.failed_actions()
            found.rows.append(
                _both(REST, None, rasa, None, FEW, seconds, tell, _direct, None, load.REST, "/webhooks/rest/webhook")
            )
        with running(Engine) as engine:
            for name, kind, path in ((TURN, load.TURN, "/turn"), (PARSE, load.UNDERSTAND, "/understand")):
                for named in (name, name + UNLIKE):
                    found.rows.append(_both(named, None, engine, None, FEW, seconds, tell, _direct, None, kind, path))
        with running(Edge) as edge:
            found.rows.append(
                _both(EDGE, None, edge, None, MANY, seconds, tell, lambda people, written: drive.no_replies)
            )
    return found


_days = itertools.count(0, 60_000)


def _dates(name: str) -> Iterator[int] | None:
    """For a job whose texts nobody has written before, nor in another job."""
    return itertools.count(next(_days)) if UNLIKE in name else None


Settling = Callable[[str, Mapping[Name, str]], drive.Settle]


def _planton(planton: Planton, meta: GraphProcess) -> Settling:
    return lambda people, _: drive.of_planton(planton, meta, people)


def _stock(meta: GraphProcess, expected: stock.Expected) -> Settling:
    return lambda people, written: stock.settled(meta, people, expected, written)


def _direct(people: str, written: Mapping[Name, str]) -> drive.Settle:
    return drive.direct


def _both(
    name: str,
    latency: float | None,
    system: Any,
    meta: GraphProcess | None,
    in_flight: int,
    seconds: float,
    tell: Callable[[Measured], None],
    settling: Settling,
    replies: GraphProcess | None = None,
    kind: str = load.META,
    path: str | None = None,
) -> Row:
    """Both jobs of a system. `replies`: who tells a closed job that somebody was answered, when the answer does not."""
    where = f"{name}, Graph {latency * 1000:.0f} ms" if latency is not None else name
    full = _closed(where, system, meta, kind, seconds, in_flight, replies, settling, path)
    tell(full)
    people = drive.prefix()
    written = messages.stream(people, NOVEMBER, seconds, dates=_dates(name))
    more = {"path": path} if path else {}
    order = drive.job(system, None, kind, messages=written, **more)
    texts = {(person, number): text for _, person, number, text in written}
    calm = drive.measure(f"{where}, {NOVEMBER:.1f}/s", system, order, meta, settling(people, texts))
    tell(calm)
    return Row(name, latency, full, calm)


def _closed(
    name: str,
    system: Any,
    meta: GraphProcess | None,
    kind: str,
    seconds: float,
    in_flight: int,
    replies: GraphProcess | None,
    settling: Settling,
    path: str | None = None,
) -> Measured:
    people = drive.prefix()
    crowd = list(itertools.islice(messages.people(people, dates=_dates(name)), 20_000 if UNLIKE in name else CROWD))
    texts = {(person, number): text for person, talk in crowd for number, text in enumerate(talk)}
    more = {"path": path} if path else {}
    order = drive.job(system, replies, kind, people=crowd, in_flight=in_flight, seconds=seconds, **more)
    return drive.measure(name, system, order, meta, settling(people, texts), skip=seconds / 4)
