"""A training that takes no time: stages and figures are told by the test, everything around them is the real thing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bot.trainer.answer_comparison import MESSAGES, TURNS, Answered, AnswersCompared, Asked, compare_answers
from bot.trainer.comparison import (
    CONFIRMED,
    EMERGENCY,
    INTENTS,
    Comparison,
    Fold,
    SetComparison,
    Words,
    compare_folds,
)
from bot.trainer.conduct import Halt, Order, Outcome
from bot.trainer.figures import Judged
from bot.trainer.gold import Case, read
from tests.fakes.project import ROOT

CURRENT, CANDIDATE = "c" * 16, "d" * 16


@dataclass
class Scripted:
    """In the place of a Conductor. `raises`: what happens instead of an end; `hold`: the test lets it go on; `orders`: what it was
    asked for."""

    outcome: Outcome | None = None
    raises: Exception | None = None
    hold: threading.Event | None = None
    begun: threading.Event = field(default_factory=threading.Event)
    orders: list[Order] = field(default_factory=list)

    def __call__(self, report: Callable[[str, float, Mapping[str, Any]], None], halt: Halt) -> Any:
        """The factory that the role wants."""
        self._report, self._halt = report, halt
        return self

    def run(self, order: Order) -> Outcome:
        """As `Conductor.run`."""
        self.orders.append(order)
        self._report("learning", 0.0, {})
        self.begun.set()
        while self.hold is not None and not self.hold.wait(0.02):
            self._halt.check()
        self._report("candidate", 0.5, {})
        if self.raises is not None:
            raise self.raises
        return self.outcome or Outcome(
            CANDIDATE, CURRENT, compared(order.confirmed, order.events), {"learning": 100.0}, 2**31
        )


def compared(confirmed: Sequence[Case] = (), events: Sequence[int] = ()) -> Comparison:
    """The gold sets as two models might read them: the candidate misses some dangers, and reads some others better."""
    intents = read(ROOT / "tests" / "gold" / "intents.tsv")[:300]
    emergency = read(ROOT / "tests" / "gold" / "emergency.tsv")[:200]
    dangers = [case for case in emergency if case.route == "emergency"]
    lost = {case.line for case in dangers[:9]}
    sets = [
        SetComparison.of(EMERGENCY, _read(emergency, set(), set()), _read(emergency, lost, lost)),
        SetComparison.of(
            INTENTS, _read(intents, _every(intents, 9), set()), _read(intents, _every(intents, 12), set())
        ),
        SetComparison.of(CONFIRMED, _read(confirmed, set(), set()), _read(confirmed, {0}, set()), events)
        if confirmed
        else SetComparison.absent(CONFIRMED, "aucun message confirmé ce dernier mois"),
        compare_folds(
            [Fold(f"exemple {n}", "armes", "armes" if n % 5 else "animaux", 0.8) for n in range(100)],
            [Fold(f"exemple {n}", "armes", "armes" if n % 4 else "animaux", 0.7) for n in range(120)],
        ),
    ]
    words = Words(600, 0.7, 0, 0)
    note = "Une remarque : elle est lue."
    return Comparison(
        CURRENT, CANDIDATE, tuple(sets), (note,), words_before=words, words=words, answers=compared_answers()
    )


def compared_answers() -> tuple[AnswersCompared, ...]:
    """A hundred messages and a conversation of two turns: of the first 60, that both answer, the candidate has twelve wrong; it
    answers one that the other model only offered."""
    asked, other = "procuration/en_ligne", "procuration/etranger"
    right, offered = Answered(asked, True, True, False), Answered(None, False, True, False)
    wrong = Answered(other, False, False, True)
    messages = [Asked(MESSAGES, f"ma procu, n° {number} ?", (asked,)) for number in range(100)]
    turns = [Asked(TURNS, "ma procu ?", (asked,)), Asked(TURNS, "ma procu ? › merci", ())]
    before = [right] * 60 + [offered] * 40 + [right, right]
    after = [wrong] * 12 + [right] * 49 + [offered] * 39 + [right, right]
    titles = {asked: "Faire sa procuration en ligne ?", other: "Une procuration depuis l’étranger ?"}
    return compare_answers([*messages, *turns], before, after, titles)


def _every(cases: Sequence[Case], nth: int) -> set[int]:
    return {case.line for place, case in enumerate(cases) if place % nth == 0}


def _read(cases: Sequence[Case], wrong: set[int], missed: set[int]) -> list[Judged]:
    """All right but those lines; `missed`: lines whose emergency reply does not leave."""
    judged = []
    for place, case in enumerate(cases):
        confidence = 0.35 + 0.6 * ((place * 37) % 100) / 100
        one = Judged(case, case.intent, case.route, case.intent, confidence, net=False)
        if case.line in wrong:
            one = replace(one, intent="salutation", guess="salutation", confidence=confidence / 2)
        judged.append(replace(one, route="answer") if case.line in missed else one)
    return judged
