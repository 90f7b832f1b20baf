"""A crisis: the invented hour, pressed together, and emergencies that come while thousands of messages wait."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from bot.app.policy import lexicon, score, score_of
from bot.policy import emergency
from bot.trainer.candidates import Model
from scripts.benchmark import crisis, drive, hold, load, messages
from scripts.benchmark.accounting import Account, Name, account, percentile
from scripts.benchmark.crisis import DANGER, Written
from scripts.benchmark.drive import Measured
from scripts.benchmark.hold import LATENCY, Verdict
from scripts.benchmark.meter import Meter
from scripts.benchmark.systems import ROOT, GraphProcess, Planton, graph, model, running

SEEN, LATER, MISSED = "danger", "danger, moteur seul", "danger, non reconnu"
NAMES = {
    SEEN: "danger reconnu par le lexique ou le score",
    LATER: "danger reconnu par le moteur seul",
    MISSED: "danger que rien n’a reconnu",
    crisis.SEEK: "proche recherché",
    crisis.WITNESS: "témoignage",
    crisis.QUESTION: "question",
    crisis.ALIKE: "« que se passe-t-il ? »",
    crisis.THANKS: "remerciement",
}
# Of whom a message is, as the workers see it: new conversations come before the rest.
FIRST, BEFORE, AFTER = "first", "before", "after"
TURNS = {
    FIRST: "premier message d’une personne",
    BEFORE: "autre message, avant sa première réponse",
    AFTER: "autre message, après une première réponse",
}
WITHIN = 1.0  # seconds: the emergency reply's p99
BATCH = 50  # messages in a webhook while the backlog is filled
EACH_SECOND = 2.0  # emergencies, while the backlog waits
LOOK = 1.0  # seconds between looks at the backlog


@dataclass
class Storm:
    """What was measured. `classes`: class → seconds to the reply; `turns`: the same of ordinary replies, by `TURNS`; `curve`:
    (second, messages waiting); `factor`: of an hour, how many times as fast."""

    name: str
    measured: Measured
    classes: dict[str, list[float]]
    curve: list[tuple[float, int]]
    dangers: list[tuple[float, float]]  # moment of an emergency that was recognised at once, seconds to its reply
    rates: list[int]  # messages in each second
    verdicts: list[Verdict] = field(default_factory=list)
    waiting: tuple[int, int] = (0, 0)  # messages, before the first and after the last emergency
    drained: float = 0.0  # seconds until nothing waited any more
    factor: float = 0.0
    turns: dict[str, list[float]] = field(default_factory=dict)
    seen: int = 0  # dangers that were to be recognised at once
    alarms: int = 0  # messages of other classes that got the emergency reply
    told: tuple[int, int] = (0, 0)  # people who were told that the answer will be late, and of them: twice


class Triage:
    """Whether lexicon or exported score see a danger, as the gateway does."""

    def __init__(self) -> None:
        self._lexicon = lexicon()
        self._score = score(score_of(Model(model(), ROOT)))

    def sees(self, text: str) -> bool:
        """Of one text."""
        return emergency.detect(text, self._lexicon, self._score) is not None


def hour(factor: float, total: int, seed: int, tell: Callable[[Measured], None]) -> Storm:
    """The hour, `factor` times as fast."""
    with graph(LATENCY) as meta, running(Planton, meta.url) as planton:
        _warm(planton, meta)
        people = drive.prefix()
        written = crisis.hour(total, factor, seed, people, quiet=False)
        found = _measured(f"crisis × {factor:g}", planton, meta, people, written, tell, 1800.0)
        found.factor = factor
        found.told = planton.ledger.told(people)
        found.verdicts = _verdicts(found, found.measured.messages)
        return found


def backlog(waiting: int, seconds: float, seed: int, tell: Callable[[Measured], None]) -> Storm:
    """Emergencies for so many seconds while at least so many messages wait; then all of it drains."""
    with graph(LATENCY) as meta, running(Planton, meta.url) as planton:
        _warm(planton, meta)
        crowd = drive.prefix()
        # What drains meanwhile is put in first.
        ordinary = [w for w in crisis.hour(round(waiting * 1.7), 1.0, seed, crowd) if w.kind != DANGER]
        began, meter = time.monotonic(), Meter({**planton.pids, "Graph API": meta.process.pid})
        filled = drive.Posting(_order(planton, ordinary, BATCH, at_once=True))
        drive.wait_until(lambda: filled.done, 600.0)
        before = planton.ledger.in_flight()[0]
        people = drive.prefix()
        dangers = _dangers(seconds, seed, people)
        found = _measured(f"{waiting} waiting", planton, meta, people, dangers, tell, 0.0)
        found.waiting = (before, planton.ledger.in_flight()[0])
        posted, _, _ = filled.result()
        fates, arrivals = drive.of_planton(planton, meta, crowd, 1800.0)(posted)
        found.drained = time.monotonic() - began
        rest = account([(p.person, p.number) for p in posted if p.acked is not None], fates, arrivals)
        asked = {(p.person, p.number): p.asked for p in posted}
        urgent = {name for name, fate in fates.items() if fate.urgent}
        found.classes |= _classes(ordinary, asked, rest, Triage(), urgent)
        found.turns = turns(ordinary, asked, rest, urgent)
        found.alarms += len(urgent & rest.replies.keys())
        found.told = planton.ledger.told(crowd, people)
        _add(found.measured.account, rest)
        found.measured.messages += len(posted)
        found.measured.refused += sum(p.refusals for p in posted)
        found.measured.use = meter.use()  # of all of it, not of the dangers alone
        found.verdicts = [*_verdicts(found, found.measured.messages), _still_waiting(found, waiting)]
        return found


def _warm(planton: Planton, meta: GraphProcess) -> None:
    people = drive.prefix()
    order = drive.job(planton, None, load.META, messages=messages.stream(people, 10, 5, (0.5, 1.0)))
    drive.measure("warm", planton, order, meta, drive.of_planton(planton, meta, people))


def _order(planton: Planton, written: Sequence[Written], batch: int = 1, at_once: bool = False) -> load.Job:
    rows = [(0.0 if at_once else w.at, w.person, w.number, w.text) for w in written]
    return drive.job(planton, None, load.META, messages=rows, batch=batch, connections=16 if at_once else 512)


def _dangers(seconds: float, seed: int, people: str) -> list[Written]:
    """People in danger, each once, in words that lexicon or score recognise, evenly."""
    order, triage = random.Random(seed), Triage()
    found: list[Written] = []
    while len(found) < seconds * EACH_SECOND:
        text = crisis.text(DANGER, order)
        if triage.sees(text):
            number = len(found)
            found.append(Written(number / EACH_SECOND, f"{people}{number:07d}", 0, DANGER, text))
    return found


def _measured(
    name: str,
    planton: Planton,
    meta: GraphProcess,
    people: str,
    written: list[Written],
    tell: Callable[[Measured], None],
    patience: float,
) -> Storm:
    began, curve = time.monotonic(), [(0.0, 0)]

    def look() -> None:
        now = time.monotonic() - began
        if now - curve[-1][0] >= LOOK:
            curve.append((now, planton.ledger.in_flight()[0]))

    def nothing_waits() -> bool:
        look()
        return planton.ledger.in_flight() == (0, 0)

    def settle(posted: list[load.Posted]) -> drive.Settled:
        asked.update({(p.person, p.number): p.asked for p in posted})
        drive.wait_until(nothing_waits, patience, 0.5)
        fates, arrivals = drive.of_planton(planton, meta, people, 5.0)(posted)
        urgent.update(name for name, fate in fates.items() if fate.urgent)
        return fates, arrivals

    asked: dict[Name, float] = {}
    urgent: set[Name] = set()
    found = drive.measure(name, planton, _order(planton, written), meta, settle, tick=look)
    tell(found)
    triage = Triage()
    classes = _classes(written, asked, found.account, triage, urgent)
    start = min(asked.values(), default=0.0)
    seen = {(w.person, w.number) for w in written if w.kind == DANGER and triage.sees(w.text)}
    dangers = [(asked[n] - start, at - asked[n]) for n, at in found.account.replies.items() if n in seen]
    rates = [0] * (int(max((w.at for w in written), default=0.0)) + 1)
    for one in written:
        rates[int(one.at)] += 1
    return Storm(
        name,
        found,
        classes,
        curve,
        dangers,
        rates,
        turns=turns(written, asked, found.account, urgent),
        seen=len(seen),
        alarms=sum((w.person, w.number) in urgent for w in written if w.kind != DANGER),
    )


def turns(
    written: Iterable[Written], asked: dict[Name, float], told: Account, urgent: Collection[Name]
) -> dict[str, list[float]]:
    """Seconds to the ordinary replies, by `TURNS`: a person's first message, and those after it. `urgent`: what got the
    emergency reply, which waits for nobody."""
    first: dict[str, int] = {}
    for one in written:
        first[one.person] = min(one.number, first.get(one.person, one.number))
    answered: dict[str, float] = {}
    for (person, number), at in told.replies.items():
        if (person, number) not in urgent:
            answered[person] = min(at, answered.get(person, at))
    found: dict[str, list[float]] = defaultdict(list)
    for name, at in told.replies.items():
        person, number = name
        if name in urgent or person not in first:
            continue
        later = BEFORE if asked[name] < answered[person] else AFTER
        found[FIRST if number == first[person] else later].append(at - asked[name])
    return dict(found)


def _classes(
    written: Iterable[Written], asked: dict[Name, float], told: Account, triage: Triage, urgent: set[Name]
) -> dict[str, list[float]]:
    """Class → seconds to the reply, of those that got one."""
    found: dict[str, list[float]] = defaultdict(list)
    for one in written:
        name = (one.person, one.number)
        if name not in told.replies:
            continue
        kind = one.kind
        if kind == DANGER:
            kind = SEEN if triage.sees(one.text) else LATER if name in urgent else MISSED
        found[kind].append(told.replies[name] - asked[name])
    return dict(found)


def _add(whole: Account, more: Account) -> None:
    whole.messages += more.messages
    whole.lost += more.lost
    whole.doubled += more.doubled
    whole.disordered += more.disordered
    whole.silent += more.silent
    whole.silences += more.silences
    whole.unclaimed += more.unclaimed
    whole.notes += more.notes


def _verdicts(found: Storm, posted: int) -> list[Verdict]:
    dangers = percentile(found.classes.get(SEEN, []), 99)
    held = dangers < WITHIN
    more = "" if held else f"{drive.milliseconds(dangers - WITHIN)} de trop"
    answered = len(found.classes.get(SEEN, []))
    said = f"{drive.milliseconds(dangers)}, {answered} sur {found.seen}".replace(".", ",")
    first = Verdict(
        "danger reconnu par le lexique ou le score : réponse, p99", "< 1000 ms", said, held, more.replace(".", ",")
    )
    return [first, hold.nothing(found.measured.account, posted), told_once(found.told)]


def told_once(told: tuple[int, int]) -> Verdict:
    """Nobody is told twice within so short a time that their answer will be late."""
    people, twice = told
    said = f"{people} averties, {twice} deux fois"
    return Verdict(
        "personnes averties de l’attente, deux fois", "aucune", said, not twice, f"{twice} de trop" if twice else ""
    )


def _still_waiting(found: Storm, waiting: int) -> Verdict:
    least = min(found.waiting)
    missing = "" if least >= waiting else f"{waiting - least} de moins à la fin"
    said = f"{found.waiting[0]} au début, {found.waiting[1]} à la fin"
    return Verdict("messages qui attendaient pendant ce temps", f"≥ {waiting}", said, least >= waiting, missing)
