"""What must hold, as scenarios with a verdict each: `steady30`, `echoed`, `hundred`, `distinct`, `minute`, `soak`.

Graph API at 100 ms, no debounce, SEND_CEILING=400, every process on this machine.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from scripts.benchmark import drive, load, messages
from scripts.benchmark.accounting import Account, percentile, slope
from scripts.benchmark.drive import Measured
from scripts.benchmark.meter import Meter
from scripts.benchmark.systems import GraphProcess, Planton, graph, running

LATENCY = 0.1
BUDGET = 20.0  # ms of CPU a message
MOST = 3_500.0  # MB, all of Planton with one engine
SAMPLE = 30.0  # seconds between looks at memory
SETTLING = 1 / 6  # of a soak, during which caches fill
GROWTH = 0.02  # of what is held, an hour: less is no growth


@dataclass(frozen=True)
class Scenario:
    """So many messages a second for so long. `wants`: what it is judged by, of `VERDICTS`."""

    name: str
    rate: float
    seconds: float
    wants: tuple[str, ...]
    gap: tuple[float, float] = (2.0, 15.0)
    patience: float = 240.0  # seconds to wait for what is in flight at the end
    distinct: bool = False  # no two texts are the same
    receipts: bool = False  # Meta sends back each reply's echo, that it was delivered and that it was read


@dataclass(frozen=True)
class Verdict:
    """One figure of the issue's list against what was measured."""

    what: str
    wanted: str
    got: str
    held: bool
    missed: str = ""  # by how much


@dataclass
class Held:
    """A scenario's outcome. `growth`: process → MB an hour, and MB at the end."""

    scenario: Scenario
    measured: Measured
    verdicts: list[Verdict]
    growth: dict[str, tuple[float, float]] = field(default_factory=dict)


SCENARIOS = {
    one.name: one
    for one in (
        Scenario("steady30", 30, 600, ("ack", "reply", "nothing", "cpu", "memory")),
        Scenario("echoed", 30, 120, ("ack", "reply", "nothing", "cpu", "memory"), receipts=True),
        Scenario("hundred", 100, 120, ("nothing", "sustained", "cpu", "memory")),
        Scenario("distinct", 60, 60, ("nothing", "sustained", "cpu", "memory"), distinct=True),
        Scenario("minute", 11_000 / 60, 60, ("each ack", "within", "nothing", "memory"), patience=900.0),
        Scenario("soak", 5, 3600, ("nothing", "growth", "memory"), gap=(20.0, 300.0)),
    )
}


def run(scenario: Scenario, tell: Callable[[Measured], None]) -> Held:
    """Start Planton, warm it up, measure."""
    with graph(LATENCY) as meta, running(Planton, meta.url) as planton:
        if scenario.receipts:
            meta.send_receipts(planton)
        warm = drive.prefix()
        order = drive.job(planton, None, load.META, messages=messages.stream(warm, 10, 5, (0.5, 1.0)))
        drive.measure("warm", planton, order, meta, drive.of_planton(planton, meta, warm))
        return _measured(scenario, planton, meta, tell)


def _measured(scenario: Scenario, planton: Planton, meta: GraphProcess, tell: Callable[[Measured], None]) -> Held:
    people = drive.prefix()
    dates = itertools.count(0, 7) if scenario.distinct else None
    written = messages.stream(people, scenario.rate, scenario.seconds, scenario.gap, dates=dates)
    order = drive.job(planton, None, load.META, messages=written)
    memory = Memory(Meter(planton.pids)) if "growth" in scenario.wants else None
    settle = drive.of_planton(planton, meta, people, scenario.patience)
    found = drive.measure(scenario.name, planton, order, meta, settle, tick=memory.look if memory else lambda: None)
    tell(found)
    growth = memory.growth() if memory else {}
    return Held(scenario, found, [VERDICTS[want](found, scenario, growth) for want in scenario.wants], growth)


class Memory:
    """Looks at the memory of each process now and then."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._began = time.monotonic()
        self._next = 0.0
        self._points: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def look(self) -> None:
        """Take a sample when it is time."""
        now = time.monotonic() - self._began
        if now < self._next:
            return
        self._next = now + SAMPLE
        for name, held in self._meter.grown().items():
            self._points[name].append((now / 3600, held))

    def growth(self) -> dict[str, tuple[float, float]]:
        """Process → MB an hour once caches are full, and MB at the end; fewer than three samples tell nothing."""
        found = {}
        for name, points in self._points.items():
            later = [point for point in points if point[0] >= points[-1][0] * SETTLING]
            if len(later) >= 3:
                found[name] = (slope(later), points[-1][1])
        return found


Growth = dict[str, tuple[float, float]]


def _at_most(what: str, got: float, limit: float, say: Callable[[float], str], strict: bool = True) -> Verdict:
    held = got < limit if strict else got <= limit
    return Verdict(
        what, f"{'<' if strict else '≤'} {say(limit)}", say(got), held, "" if held else f"{say(got - limit)} de trop"
    )


def _seconds(value: float) -> str:
    return drive.milliseconds(value).replace(".", ",")


def _ack(found: Measured, _: Scenario, __: Growth) -> Verdict:
    return _at_most("accusé de réception, p99", percentile(found.acks, 99), 0.05, _seconds)


def _each_ack(found: Measured, _: Scenario, __: Growth) -> Verdict:
    return _at_most("accusé de réception, le plus lent", max(found.acks, default=float("inf")), 5.0, _seconds, False)


def _reply(found: Measured, _: Scenario, __: Growth) -> Verdict:
    return _at_most("réponse, p95", percentile(found.replies, 95), 1.0, _seconds)


def _within(found: Measured, scenario: Scenario, _: Growth) -> Verdict:
    # What was not answered in time counts as never; what is silent by design is with an agent, or wants no answer.
    last = found.last if len(found.replies) + found.account.silent >= found.messages else float("inf")
    return _at_most("tous répondus ou confiés à un agent, depuis le début", last, 240.0, lambda s: f"{s:.0f} s", False)


def nothing(told: Account, posted: int) -> Verdict:
    """None lost, doubled, out of order; what was posted and never acknowledged is lost too."""
    got = (told.lost + posted - told.messages, told.doubled, told.disordered)
    said = "{} perdus, {} doublés, {} dans le désordre".format(*got)
    return Verdict("perdus, doublés, dans le désordre", "aucun", said, not any(got), "" if not any(got) else said)


def _sustained(found: Measured, scenario: Scenario, _: Growth) -> Verdict:
    """The last reply comes within two seconds of the last message: nothing was piling up."""
    behind = max(0.0, found.last - scenario.seconds)
    return _at_most(f"{scenario.rate:.0f} messages/s soutenus : retard à la fin", behind, 2.0, _seconds)


def _cpu(found: Measured, _: Scenario, __: Growth) -> Verdict:
    return _at_most("processeur par message", found.cpu(), BUDGET, lambda ms: f"{ms:.1f} ms".replace(".", ","), False)


def _memory(found: Measured, _: Scenario, __: Growth) -> Verdict:
    return _at_most("mémoire en tout", found.memory, MOST, lambda mb: f"{mb:.0f} Mo")


def _growth(found: Measured, _: Scenario, growth: Growth) -> Verdict:
    held = sum(end for _, end in growth.values())
    grows = sum(each for each, _ in growth.values())
    return _at_most("mémoire, pente par heure", grows, GROWTH * held, lambda mb: f"{mb:.1f} Mo".replace(".", ","))


VERDICTS: dict[str, Callable[[Measured, Scenario, Growth], Verdict]] = {
    "ack": _ack,
    "each ack": _each_ack,
    "reply": _reply,
    "within": _within,
    "nothing": lambda found, _, __: nothing(found.account, found.messages),
    "sustained": _sustained,
    "cpu": _cpu,
    "memory": _memory,
    "growth": _growth,
}
