"""Two models side by side on the same messages: figures, message by message, and what of it is noise.

Frozen and plain: `Comparison.to_json()` is kept with the training's run, `Comparison.from_json` reads it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bot.policy.intents import EMERGENCY as ALARM
from bot.trainer import script_figures
from bot.trainer.answer_comparison import AnswersCompared
from bot.trainer.bootstrap import Change, paired
from bot.trainer.figures import Judged, accepted, matrix, measure
from bot.trainer.gold import Case
from bot.trainer.script_figures import ScriptJudged
from bot.trainer.significance import McNemar, mcnemar, plainly

# The sets, in the order of reading.
INTENTS, EMERGENCY, FOLDS, CONFIRMED = "intents", "emergency", "folds", "confirmed"
SETS = (EMERGENCY, INTENTS, CONFIRMED, FOLDS)
# Figures of a set; each a share from 0 to 1, or None when there is nothing to count. Defined in docs/guide-formateur.md.
SHARES = (
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
    "ece",
    "brier",
)


@dataclass(frozen=True)
class IntentFigures:
    """One intent in one set. `n`: messages that mean it; shares from 0 to 1, None when there is nothing to count."""

    n: int
    accuracy: float | None
    recall: float | None
    precision: float | None
    route_accuracy: float | None


@dataclass(frozen=True)
class Bin:
    """Messages whose confidence lies in [start, end): how many, their mean confidence, the share that was right."""

    start: float
    end: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Figures:
    """What one model does on one set. `shares`: each name of SHARES. `labels`, `counts`: the confusion matrix (rows: meant,
    columns: read as). `missed_emergencies`: how many emergencies are recognised neither as sure nor as likely ones."""

    n: int
    shares: Mapping[str, float | None]
    per_intent: Mapping[str, IntentFigures]
    calibration: tuple[Bin, ...]
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    missed_emergencies: int = 0

    @classmethod
    def of(cls, judged: Sequence[Judged], routed: bool = True) -> Figures:
        """The figures of messages as they were judged. `routed`: False where only the classifier was asked, which chooses no
        route: the shares that depend on it are None."""
        found = measure(judged)
        labels, counts = matrix(judged)
        kept = SHARES if routed else ("accuracy", "ece", "brier")
        return cls(
            n=len(judged),
            shares={name: found[name] if name in kept else None for name in SHARES},
            per_intent={
                name: IntentFigures(
                    row["n"],
                    row["accuracy"],
                    row["recall"],
                    row["precision"],
                    row["route_accuracy"] if routed else None,
                )
                for name, row in found["per_intent"].items()
            },
            calibration=tuple(
                Bin(row["from"], row["to"], row["n"], row["confidence"], row["accuracy"])
                for row in found["calibration"]
            ),
            labels=tuple(labels),
            counts=tuple(map(tuple, counts)),
            missed_emergencies=len(found["missed_emergencies"]) if routed else 0,
        )

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Figures:
        """What `dataclasses.asdict` made."""
        return cls(
            kept["n"],
            {name: kept["shares"].get(name) for name in SHARES},  # kept before a figure was counted: None
            {name: IntentFigures(**row) for name, row in kept["per_intent"].items()},
            tuple(Bin(**row) for row in kept["calibration"]),
            tuple(kept["labels"]),
            tuple(map(tuple, kept["counts"])),
            kept["missed_emergencies"],
        )


@dataclass(frozen=True)
class Reading:
    """What one model made of one message. `route`: None where only the classifier was asked. `right`: whether this is what the
    set asks for: the intent (or the second one), and for EMERGENCY whether a danger is recognised and no other message gets the
    emergency reply. `likely`: the message was taken for a likely danger, and got the numbers and an agent first."""

    intent: str | None
    route: str | None
    confidence: float
    right: bool
    likely: bool = False

    @property
    def alarm(self) -> bool:
        """Whether the emergency reply left."""
        return self.route == ALARM

    @property
    def recognised(self) -> bool:
        """Whether a danger was seen, sure or likely."""
        return self.alarm or self.likely


@dataclass(frozen=True)
class Judgement:
    """One message, read by both models. `text`: the words, empty for a citizen's (`event` names the message then).
    `line`: where it stands in its file; 0 when it stands in none."""

    text: str
    wanted: str
    second: str
    route: str
    before: Reading
    after: Reading
    line: int = 0
    event: int | None = None

    @property
    def change(self) -> str:
        """`gain`, `loss`, or `same`."""
        if self.before.right == self.after.right:
            return "same"
        return "gain" if self.after.right else "loss"

    @property
    def moved(self) -> bool:
        """Whether the models differ in intent or route, rightly or not."""
        return (self.before.intent, self.before.route) != (self.after.intent, self.after.route)


@dataclass(frozen=True)
class Both:
    """The figures of an intent before and after; None where the set has it on one side only."""

    before: IntentFigures | None
    after: IntentFigures | None

    @property
    def drop(self) -> float:
        """By how much (0.02: two points) the share of right messages fell; 0 when it did not fall."""
        shares = [each.accuracy if each and each.n else None for each in (self.before, self.after)]
        before, after = shares
        return 0.0 if before is None or after is None else max(0.0, round(before - after, 6))


@dataclass(frozen=True)
class SetComparison:
    """One set of messages. `judgements`: every message that both models read, in the set's order; of FOLDS those that differ in
    rightness alone, since thousands do not (`same_right` and `same_wrong` count the others). `missing`: why there is nothing to
    compare, in French; the figures are None then on the side that lacks them."""

    name: str
    current: Figures | None
    candidate: Figures | None
    judgements: tuple[Judgement, ...]
    test: McNemar
    missing: str = ""
    same_right: int = 0
    same_wrong: int = 0

    @property
    def gains(self) -> list[Judgement]:
        """Messages that only the candidate has right."""
        return [each for each in self.judgements if each.change == "gain"]

    @property
    def losses(self) -> list[Judgement]:
        """Messages that only the current model has right."""
        return [each for each in self.judgements if each.change == "loss"]

    @property
    def change(self) -> Change | None:
        """By how much the share of right messages changed, with its bounds; None where there is nothing to compare."""
        kinds = (
            ((True, True), self.same_right),
            ((False, False), self.same_wrong),
            ((False, True), self.test.gains),
            ((True, False), self.test.losses),
        )
        rows = [pair for pair, n in kinds for _ in range(n)]
        return paired([before for before, _ in rows], [after for _, after in rows])

    @property
    def plainly(self) -> str:
        """What the comparison says, in plain French; "" where there is nothing to compare."""
        change = self.change if self.current else None
        return "" if change is None else plainly(self.test, change)

    @property
    def intents(self) -> dict[str, Both]:
        """Each intent that either side has, in alphabetical order."""
        before = self.current.per_intent if self.current else {}
        after = self.candidate.per_intent if self.candidate else {}
        return {name: Both(before.get(name), after.get(name)) for name in sorted({*before, *after})}

    @property
    def lost_emergencies(self) -> list[Judgement]:
        """Emergencies that the candidate does not recognise, neither as sure nor as likely ones."""
        return [
            each
            for each in self.judgements
            if each.route == ALARM and each.after.route is not None and not each.after.recognised
        ]

    @classmethod
    def of(
        cls, name: str, before: Sequence[Judged], after: Sequence[Judged], events: Sequence[int] = ()
    ) -> SetComparison:
        """The comparison of the same cases, in the same order. `events`: the messages' numbers, instead of their words."""
        if not before:
            return cls.absent(name, "ce jeu ne contient aucun message")
        judgements = tuple(
            judgement(name, one, other, events[place] if events else None)
            for place, (one, other) in enumerate(zip(before, after, strict=True))
        )
        return cls(
            name,
            Figures.of(before),
            Figures.of(after),
            judgements,
            mcnemar((each.before.right, each.after.right) for each in judgements),
            same_right=sum(each.before.right and each.after.right for each in judgements),
            same_wrong=sum(not each.before.right and not each.after.right for each in judgements),
        )

    @classmethod
    def alone(cls, name: str, after: Sequence[Judged], why: str) -> SetComparison:
        """The candidate's figures, without a model to compare with."""
        return cls(name, None, Figures.of(after), (), McNemar(0, 0, 1.0), missing=why)

    @classmethod
    def absent(cls, name: str, why: str) -> SetComparison:
        """A set that could not be measured, with the reason in French."""
        return cls(name, None, None, (), McNemar(0, 0, 1.0), missing=why)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> SetComparison:
        """What `dataclasses.asdict` made."""
        return cls(
            kept["name"],
            Figures.from_json(kept["current"]) if kept["current"] else None,
            Figures.from_json(kept["candidate"]) if kept["candidate"] else None,
            tuple(
                Judgement(**{**row, "before": Reading(**row["before"]), "after": Reading(**row["after"])})
                for row in kept["judgements"]
            ),
            McNemar(**kept["test"]),
            kept["missing"],
            kept["same_right"],
            kept["same_wrong"],
        )


@dataclass(frozen=True)
class Words:
    """Whose words one model's emergencies and grave messages get (`bot.trainer.script_figures`). `n`: messages; `right`: a share;
    `harmful`: words that do harm, and the `lines` of the gold file that get them; `unheard`: distress without the 3114."""

    n: int
    right: float
    harmful: int
    unheard: int
    lines: tuple[int, ...] = ()

    @classmethod
    def of(cls, judged: Sequence[ScriptJudged]) -> Words | None:
        """Of messages as they were judged; None of none."""
        if not judged:
            return None
        found = script_figures.measure(judged)
        return cls(found["n"], found["right"], found["harmful"], found["unheard"], tuple(found["harmful_lines"]))

    @classmethod
    def from_json(cls, kept: Mapping[str, Any] | None) -> Words | None:
        """What `dataclasses.asdict` made."""
        return None if kept is None else cls(**{**kept, "lines": tuple(kept["lines"])})


@dataclass(frozen=True)
class Comparison:
    """`current`, `candidate`: the hashes of the two models (`models/<hash>.tar.gz`); `current` is "" when none was in service.
    `sets`: in the order of SETS. `yardstick`: of what they were compared by (`yardstick.digest`), "" where that was not kept.
    `words_before`, `words`: the words of current and candidate, None where they were not measured. `answers`: what is answered out
    of the catalogue, one a set; () without such sets."""

    current: str
    candidate: str
    sets: tuple[SetComparison, ...]
    notes: tuple[str, ...] = field(default=())
    yardstick: str = ""
    words_before: Words | None = None
    words: Words | None = None
    answers: tuple[AnswersCompared, ...] = ()

    def set(self, name: str) -> SetComparison:
        """The set of that name; an absent one when it was not measured."""
        return next((each for each in self.sets if each.name == name), SetComparison.absent(name, "non mesuré"))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Comparison:
        """What `to_json` made, also after a passage through JSON."""
        return cls(
            kept["current"],
            kept["candidate"],
            tuple(map(SetComparison.from_json, kept["sets"])),
            tuple(kept["notes"]),
            kept.get("yardstick", ""),
            Words.from_json(kept.get("words_before")),
            Words.from_json(kept.get("words")),
            tuple(map(AnswersCompared.from_json, kept.get("answers", ()))),
        )


def judgement(name: str, before: Judged, after: Judged, event: int | None = None) -> Judgement:
    """One case as both models read it."""
    case = before.case
    return Judgement(
        text="" if event is not None else case.text,
        wanted=case.intent,
        second=case.second,
        route=case.route,
        before=reading(name, before),
        after=reading(name, after),
        line=case.line,
        event=event,
    )


def reading(name: str, judged: Judged) -> Reading:
    """What a model made of a case, and whether it is what the set asks for."""
    danger = judged.case.route == ALARM
    # A danger that gets the numbers and an agent first is recognised; a harmless message fails by the emergency reply alone.
    right = (judged.recognised if danger else not judged.alarm) if name == EMERGENCY else judged.right
    return Reading(judged.intent, judged.route, round(judged.confidence, 4), right, judged.degree == "likely")


@dataclass(frozen=True)
class Fold:
    """An example as a model saw it that had not learnt it: its own intent, the best guess and how sure (0 to 1) it was."""

    text: str
    intent: str
    guess: str
    confidence: float


def compare_folds(before: Iterable[Fold] | None, after: Iterable[Fold]) -> SetComparison:
    """Cross-validation. Each side's figures are of its own examples; message by message, of those that both have."""
    ours = [_judged(each) for each in after]
    if before is None:
        why = "le modèle en service a été entraîné avant que la validation croisée soit gardée"
        return SetComparison(FOLDS, None, Figures.of(ours, routed=False), (), McNemar(0, 0, 1.0), missing=why)
    theirs = [_judged(each) for each in before]
    known = {(each.case.text, each.case.intent): each for each in theirs}
    pairs = [(known[key], each) for each in ours if (key := (each.case.text, each.case.intent)) in known]
    return SetComparison(
        FOLDS,
        Figures.of(theirs, routed=False),
        Figures.of(ours, routed=False),
        tuple(_unrouted(one, other) for one, other in pairs if one.right != other.right),
        mcnemar((one.right, other.right) for one, other in pairs),
        same_right=sum(one.right and other.right for one, other in pairs),
        same_wrong=sum(not one.right and not other.right for one, other in pairs),
    )


def _judged(fold: Fold) -> Judged:
    case = Case(fold.text, fold.intent, "", "", 0)
    return Judged(case, fold.guess, "", fold.guess, fold.confidence)


def _unrouted(one: Judged, other: Judged) -> Judgement:
    before, after = (
        Reading(each.guess, None, round(each.confidence, 4), accepted(each.guess, each.case)) for each in (one, other)
    )
    return Judgement(one.case.text, one.case.intent, "", "", before, after)
