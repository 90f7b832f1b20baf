"""What became of each message: lost, doubled, out of order; and percentiles. Pure: the tests give it made-up logs.

A reply is told by a key: the outbox row that Planton signed into it, or the number of the message it answers.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Key = int
Name = tuple[str, int]  # person, number


@dataclass(frozen=True)
class Fate:
    """What the system says it did with a message: `key` of the reply; None with `silent`: it decided to say nothing.

    `urgent`: the reply went by the emergency lane, which overtakes everything by design. `why`: of a silence, in the system's
    own word.
    """

    key: Key | None = None
    silent: bool = False
    urgent: bool = False
    why: str = ""


@dataclass(frozen=True)
class Arrival:
    """A message as its person got it, part by part; `overlapped`: an earlier one, no emergency, was still under way.
    `key` None: it answers no message that could be told."""

    person: str
    key: Key | None
    part: int
    at: float
    overlapped: bool = False


@dataclass
class Account:
    """The sums, with up to twenty examples of what went wrong, by ids."""

    messages: int = 0
    lost: int = 0
    doubled: int = 0
    disordered: int = 0  # persons
    silent: int = 0
    silences: Counter[str] = field(default_factory=Counter)  # the silent ones by `Fate.why`
    unclaimed: int = 0  # arrivals that answer no message that could be told
    replies: dict[Name, float] = field(default_factory=dict)  # when the reply's first part arrived
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep an example."""
        if len(self.notes) < 20:
            self.notes.append(text)


def account(acknowledged: Iterable[Name], fates: Mapping[Name, Fate], arrivals: Sequence[Arrival]) -> Account:
    """Count over the messages that the system took on. A message joined to others shares their reply's key."""
    result = Account()
    first: dict[tuple[str, Key], float] = {}
    for arrival in sorted(arrivals, key=lambda a: a.at):
        if arrival.key is not None:
            first.setdefault((arrival.person, arrival.key), arrival.at)
    claimed: set[tuple[str, Key]] = set()
    people = set()
    for name in acknowledged:
        result.messages += 1
        people.add(name[0])
        fate = fates.get(name)
        if fate is not None and fate.silent:
            result.silent += 1
            result.silences[fate.why] += 1
        elif fate is None or fate.key is None or (name[0], fate.key) not in first:
            result.lost += 1
            result.note(f"lost {name}: {fate}")
        else:
            claimed.add((name[0], fate.key))
            result.replies[name] = first[name[0], fate.key]
    result.unclaimed = sum(arrival.key is None and arrival.person in people for arrival in arrivals)
    _doubled(result, people, arrivals, claimed)
    _disordered(result, people, fates, arrivals)
    return result


def _doubled(result: Account, people: set[str], arrivals: Sequence[Arrival], claimed: set[tuple[str, Key]]) -> None:
    """Parts that came more than once, and replies to nothing."""
    seen = Counter((a.person, a.key, a.part) for a in arrivals if a.person in people and a.key is not None)
    for (person, key, part), times in seen.items():
        more = times - 1
        if part == 0 and (person, key) not in claimed:
            more += 1
        if more:
            result.doubled += more
            result.note(
                f"doubled {person}: reply {key} part {part} came {times} times, asked for: {(person, key) in claimed}"
            )


def _disordered(result: Account, people: set[str], fates: Mapping[Name, Fate], arrivals: Sequence[Arrival]) -> None:
    """People whose ordinary replies came in another order than their messages, or two at once."""
    answers: dict[tuple[str, Key], int] = {}
    for (person, number), fate in fates.items():
        if fate.key is not None and not fate.urgent:
            answers[person, fate.key] = min(number, answers.get((person, fate.key), number))
    got: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        if arrival.person in people and arrival.key is not None and (arrival.person, arrival.key) in answers:
            got[arrival.person].append(arrival)
    for person, theirs in got.items():
        theirs.sort(key=lambda a: a.at)
        numbers = [(answers[person, a.key], a.part) for a in theirs if a.key is not None]
        if numbers != sorted(numbers) or any(a.overlapped for a in theirs):
            result.disordered += 1
            result.note(f"out of order {person}: {numbers}, overlapped {[a.overlapped for a in theirs]}")


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed; NaN of nothing."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The least-squares slope of (x, y); 0 of fewer than two different x."""
    if not points:
        return 0.0
    mean_x, mean_y = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
