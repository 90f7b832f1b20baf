"""The figures of understanding. Each is defined for people in docs/guide-formateur.md (« Mesurer »)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.policy.degree import Degree
from bot.policy.intents import ANSWER, EMERGENCY, HANDOFF, INTENTS, policy_of
from bot.trainer.bootstrap import Interval, Mark, interval
from bot.trainer.gold import ROUTES, Case

BINS = 10
# By figure: the two ends of its interval at 95 %, None where there is nothing to count.
Bounds = dict[str, list[float] | None]


@dataclass(frozen=True)
class Judged:
    """A case with what Planton made of it.

    `intent`, `route`: what was decided, the danger detectors included. `guess`, `confidence`: what the classifier alone
    believed and how much, which is what calibration is about; None for a text without words. `net`: the reply gives
    both the 17 and the 114, by the second net's line or in its own words. `degree`: of danger (bot/policy/degree.py).
    """

    case: Case
    intent: str | None
    route: str
    guess: str | None
    confidence: float
    net: bool = False
    degree: Degree = "none"

    @property
    def right(self) -> bool:
        """Whether the decided intent is the gold one or the second acceptable one."""
        return accepted(self.intent, self.case)

    @property
    def alarm(self) -> bool:
        """Whether the emergency reply left."""
        return self.route == EMERGENCY

    @property
    def recognised(self) -> bool:
        """Whether a danger was seen: the emergency reply left, or that to a likely danger, with an agent first."""
        return self.alarm or self.degree == "likely"


def top(intent: str) -> str:
    """The table's name above an intent that data added (`armes_chasse` → `armes`); others are their own."""
    parents = [name for name in INTENTS if intent == name or intent.startswith(name + "_")]
    return max(parents, key=len, default=intent)


def accepted(intent: str | None, case: Case) -> bool:
    """Whether an intent, or the one above it, is acceptable for a case."""
    wanted = {case.intent, case.second} - {""}
    return intent is not None and (intent in wanted or top(intent) in wanted)


def read_as(judged: Judged) -> str | None:
    """The intent as figures name it: an accepted one under its gold name, any other under the table's name."""
    if judged.intent is None:
        return None
    own = judged.case.intent
    return own if own in (judged.intent, top(judged.intent)) else top(judged.intent)


Some = Sequence[Judged]


def _share(some: Some, holds: Callable[[Judged], bool]) -> float | None:
    return round(sum(map(holds, some)) / len(some), 4) if some else None


def _right(judged: Judged) -> bool:
    return judged.right


def _routed(judged: Judged) -> bool:
    told = judged.case.route == EMERGENCY and judged.recognised
    return told or judged.route == judged.case.route


def _unwarned(judged: Judged) -> bool:
    return not (judged.alarm or judged.net)


def _is_harmless(judged: Judged) -> bool:
    """Whether the gold answer is a plain one or a word of thanks: there the line on danger is read for nothing."""
    return judged.case.route == ANSWER or policy_of(judged.case.intent).category == "thanks"


def marks(judged: Some) -> dict[str, list[Mark]]:
    """Each share as a line by line record, in the order of the lines: whether it holds, None where the line does not count."""
    rows = [_marks(j) for j in judged]
    return {name: [row[place] for row in rows] for place, name in enumerate(MARKED)}


# The shares, in the order of `_marks`.
MARKED = (
    "accuracy",
    "route_accuracy",
    "answer_precision",
    "answer_coverage",
    "sensitive_recall",
    "emergency_recall",
    "alarm_recall",
    "false_alarm_rate",
    "second_net",
    "unwarned_rate",
    "net_cost",
)


def _marks(j: Judged) -> tuple[Mark, ...]:
    danger = j.case.route == EMERGENCY
    return (
        j.right,
        _routed(j),
        j.right if j.route == ANSWER else None,
        j.route == ANSWER if j.case.route == ANSWER else None,
        _kept(j) if _is_sensitive(j) else None,
        j.recognised if danger else None,
        j.alarm if danger else None,
        None if danger else j.alarm,
        j.net if danger and not j.recognised else None,
        _unwarned(j) if danger else None,
        j.net if not danger and _is_harmless(j) and not j.alarm else None,
    )


def bounds(columns: Mapping[str, Sequence[Mark]]) -> Bounds:
    """Each figure's bootstrap interval, [low, high] from 0 to 1."""
    found = {name: interval(column) for name, column in columns.items()}
    return {name: ends(one) for name, one in found.items()}


def ends(one: Interval | None) -> list[float] | None:
    """The two ends, as JSON keeps them."""
    return None if one is None else [round(one.low, 4), round(one.high, 4)]


def measure(judged: Some) -> dict[str, Any]:
    """All figures of one reading of a file; `intervals`: the bounds of each share (`bounds`)."""
    sensitive = [j for j in judged if _is_sensitive(j)]
    dangers = [j for j in judged if j.case.route == EMERGENCY]
    missed = [j for j in dangers if not j.recognised]
    others = [j for j in judged if j.case.route != EMERGENCY]
    columns = marks(judged)
    return {
        "n": len(judged),
        **{name: _held(column) for name, column in columns.items()},
        "intervals": bounds(columns),
        **_calibration(judged),
        "routes": _routes(judged),
        "per_intent": _intents(judged),
        "confusion": _confusion(judged),
        "missed_emergencies": [j.case.line for j in missed],
        "unwarned_emergencies": [j.case.line for j in dangers if _unwarned(j)],
        "false_alarms": [j.case.line for j in others if j.alarm],
        "missed_sensitive": [j.case.line for j in sensitive if not _kept(j)],
    }


def _held(column: Sequence[Mark]) -> float | None:
    counted = [mark for mark in column if mark is not None]
    return round(sum(counted) / len(counted), 4) if counted else None


def _is_sensitive(judged: Judged) -> bool:
    return policy_of(judged.case.intent).category in ("sensitive", "urgent")


def _kept(judged: Judged) -> bool:
    """Whether a human or the emergency reply, not the bot alone, deals with it."""
    return judged.route in (HANDOFF, EMERGENCY)


def _routes(judged: Some) -> dict[str, dict[str, Any]]:
    rows = {}
    for route in ROUTES:
        wanted = [j for j in judged if j.case.route == route]
        taken = [j for j in judged if j.route == route]
        if wanted or taken:
            rows[route] = {
                "n": len(wanted),
                "taken": len(taken),
                "recall": _share(wanted, _routed),
                "precision": _share(taken, _routed),
            }
    return rows


def _intents(judged: Some) -> dict[str, dict[str, Any]]:
    gold: dict[str, list[Judged]] = defaultdict(list)
    read: dict[str, list[Judged]] = defaultdict(list)
    for j in judged:
        gold[j.case.intent].append(j)
        if (name := read_as(j)) is not None:
            read[name].append(j)
    return {
        intent: {
            "n": len(gold[intent]),
            "accuracy": _share(gold[intent], _right),
            "recall": _share(gold[intent], lambda j: read_as(j) == j.case.intent),
            "precision": _share(read[intent], _right),
            "route_accuracy": _share(gold[intent], _routed),
        }
        for intent in sorted(set(gold) | set(read))
    }


def _confusion(judged: Some) -> list[dict[str, Any]]:
    pairs = Counter((j.case.intent, read_as(j)) for j in judged if not j.right)
    return [{"intent": gold, "read_as": name, "n": n} for (gold, name), n in pairs.most_common()]


def matrix(judged: Some) -> tuple[list[str], list[list[int]]]:
    """Intents that occur, in the table's order, and how often each (row) was read as each (column).

    What the second label accepts stands on the diagonal: it is no confusion.
    """
    pairs = Counter((j.case.intent, j.case.intent if j.right else read_as(j)) for j in judged)
    names = {name for pair in pairs for name in pair if name is not None}
    order = {name: place for place, name in enumerate(INTENTS)}
    labels = sorted(names, key=lambda name: (order.get(top(name), len(order)), name))
    return labels, [[pairs[row, column] for column in labels] for row in labels]


def _calibration(judged: Some) -> dict[str, Any]:
    """Reliability table (bins of confidence, the upper end included in the last), expected error and Brier score."""
    known = [j for j in judged if j.guess is not None]
    bins: list[list[Judged]] = [[] for _ in range(BINS)]
    for j in known:
        bins[min(int(j.confidence * BINS), BINS - 1)].append(j)
    rows, error = [], 0.0
    for place, some in enumerate(bins):
        if not some:
            continue
        mean = sum(j.confidence for j in some) / len(some)
        right = sum(accepted(j.guess, j.case) for j in some) / len(some)
        error += abs(mean - right) * len(some) / len(known)
        rows.append(
            {
                "from": place / BINS,
                "to": (place + 1) / BINS,
                "n": len(some),
                "confidence": round(mean, 4),
                "accuracy": round(right, 4),
            }
        )
    squares = sum((j.confidence - accepted(j.guess, j.case)) ** 2 for j in known)
    return {
        "ece": round(error, 4) if known else None,
        "brier": round(squares / len(known), 4) if known else None,
        "calibration": rows,
    }
