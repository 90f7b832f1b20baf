"""Two models' answers to the same questions side by side: how many are exact, one tap away or wrong, in all and by topic, and
which changed.

Frozen and plain, kept with a comparison (`bot.trainer.comparison`). Defined for people in docs/guide-formateur.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.core.labelled import AnswerCase, read_answers
from bot.trainer import gold_conversations
from bot.trainer.answer_figures import topic_of
from bot.trainer.bootstrap import Change, paired
from bot.trainer.gold_conversations import Conversation

# The sets, in the order of reading.
MESSAGES, TURNS = "answers", "conversations"
FILES = {MESSAGES: "tests/gold/answers.tsv", TURNS: f"tests/gold/{gold_conversations.FILE}"}
# What may become of a message, from worst to best.
WRONG, NOTHING, OFFERED, EXACT = "wrong", "nothing", "offered", "exact"
_ORDER = (WRONG, NOTHING, OFFERED, EXACT)
BECAME = {  # for people
    EXACT: "la réponse exacte",
    OFFERED: "un bouton vers la réponse",
    NOTHING: "ni réponse ni bouton",
    WRONG: "la réponse à une autre question",
}
SHARES = ("exact", "reachable", "wrong")
SHOWN = 20  # messages of a set that changed


@dataclass(frozen=True)
class Asked:
    """A message of the set `name`, and the questions that answer it; () where none does. `text` of a turn: all that was written up
    to it."""

    name: str
    text: str
    questions: tuple[str, ...]
    every: bool = False  # each of them has to be answered


@dataclass(frozen=True)
class AnswerGold:
    """The sets that say which questions of the catalogue answer a message."""

    messages: Sequence[AnswerCase] = ()
    conversations: Sequence[Conversation] = ()

    @classmethod
    def read(cls, root: Path) -> AnswerGold:
        """Those of a folder; what is not there is empty. A question that trainers have taken away since may stand in them: it is no
        reason to refuse their files. Raises SetupError."""
        messages, turns = (root / FILES[name] for name in (MESSAGES, TURNS))
        return cls(
            read_answers(messages, None) if messages.exists() else (),
            gold_conversations.read(turns, None) if turns.exists() else (),
        )

    @property
    def asked(self) -> list[Asked]:
        """Every message, then every turn."""
        found = [Asked(MESSAGES, case.text, case.questions) for case in self.messages]
        for talk in self.conversations:
            said = [turn.text for turn in talk.turns]
            found += [
                Asked(TURNS, " › ".join(said[:place]), turn.questions, turn.every)
                for place, turn in enumerate(talk.turns, 1)
            ]
        return found


@dataclass(frozen=True)
class Answered:
    """What a model does about a message. `question`: that whose answer goes out; `exact`: it is one that answers, or none goes out
    where none does; `reachable`: exact, or one tap away; `wrong`: the answer to another question goes out."""

    question: str | None
    exact: bool
    reachable: bool
    wrong: bool

    @property
    def became(self) -> str:
        """EXACT, OFFERED, NOTHING or WRONG; a wrong answer stays one above the right button."""
        if self.exact:
            return EXACT
        if self.wrong:
            return WRONG
        return OFFERED if self.reachable else NOTHING


@dataclass(frozen=True)
class AnswerCounts:
    """Of one model on one set: of `n` messages, how many get what; see `Answered`."""

    n: int
    exact: int
    reachable: int
    wrong: int

    @classmethod
    def of(cls, answered: Sequence[Answered]) -> AnswerCounts:
        """Of a set's messages."""
        return cls(
            len(answered),
            sum(one.exact for one in answered),
            sum(one.reachable for one in answered),
            sum(one.wrong for one in answered),
        )

    def share(self, name: str) -> float:
        """`exact`, `reachable` or `wrong`, from 0 to 1."""
        return int(getattr(self, name)) / self.n


@dataclass(frozen=True)
class AnswerChange:
    """A message that became better or worse. `questions`: those that answer it; `before`, `after`: what was answered, None: nothing
    of the catalogue; `was`, `now`: EXACT, OFFERED, NOTHING or WRONG."""

    text: str
    questions: tuple[str, ...]
    before: str | None
    after: str | None
    was: str
    now: str

    @property
    def gain(self) -> int:
        """By how many steps it became better; below 0: worse."""
        return _ORDER.index(self.now) - _ORDER.index(self.was)


@dataclass(frozen=True)
class TopicCompared:
    """The messages of a set that are about one topic (`answer_figures.topic_of`). `current`: None when no model was in service."""

    topic: str
    current: AnswerCounts | None
    candidate: AnswerCounts

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> TopicCompared:
        """What `dataclasses.asdict` made."""
        return cls(kept["topic"], _counts(kept["current"]), AnswerCounts(**kept["candidate"]))


@dataclass(frozen=True)
class AnswersCompared:
    """A set. `current`: None when no model was in service. `better`, `worse`: how many messages became so; `changes`: at most SHOWN
    of them, the worst first. `titles`: the questions that these name, in words; a question that is gone has none. `topics`: by
    name; none in a comparison that was kept before they were counted. `moves`: for each share, how many messages came into it and
    how many left it; {} in a comparison of before."""

    name: str
    current: AnswerCounts | None
    candidate: AnswerCounts
    better: int = 0
    worse: int = 0
    changes: tuple[AnswerChange, ...] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
    topics: tuple[TopicCompared, ...] = ()
    moves: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def change(self, name: str) -> Change | None:
        """By how much the share `exact`, `reachable` or `wrong` changed, with its bounds; None where the moves were not kept."""
        if self.current is None or name not in self.moves:
            return None
        came, left = self.moves[name]
        stayed = int(getattr(self.current, name)) - left
        neither = self.candidate.n - came - left - stayed
        before = [True] * (left + stayed) + [False] * (came + neither)
        after = [False] * left + [True] * (stayed + came) + [False] * neither
        return paired(before, after)

    @property
    def losses(self) -> list[AnswerChange]:
        """Those of `changes` that became worse."""
        return [one for one in self.changes if one.gain < 0]

    @property
    def gains(self) -> list[AnswerChange]:
        """Those of `changes` that became better."""
        return [one for one in self.changes if one.gain > 0]

    def title(self, question: str) -> str:
        """A question in words, or its name."""
        return self.titles.get(question, question)

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> AnswersCompared:
        """What `dataclasses.asdict` made."""
        return cls(
            kept["name"],
            _counts(kept["current"]),
            AnswerCounts(**kept["candidate"]),
            kept["better"],
            kept["worse"],
            tuple(AnswerChange(**{**row, "questions": tuple(row["questions"])}) for row in kept["changes"]),
            kept["titles"],
            tuple(map(TopicCompared.from_json, kept.get("topics", ()))),
            {name: (came, left) for name, (came, left) in kept.get("moves", {}).items()},
        )


def _counts(kept: Mapping[str, Any] | None) -> AnswerCounts | None:
    return AnswerCounts(**kept) if kept else None


def compare_answers(
    asked: Sequence[Asked],
    before: Sequence[Answered] | None,
    after: Sequence[Answered],
    titles: Mapping[str, str] | None = None,
) -> tuple[AnswersCompared, ...]:
    """Each set that has messages. `before`: of the model in service, None without one; `titles`: of the questions, by name."""
    found = []
    for name in FILES:
        places = [place for place, one in enumerate(asked) if one.name == name]
        if places:
            theirs = None if before is None else [before[place] for place in places]
            found.append(
                _set([asked[place] for place in places], theirs, [after[place] for place in places], titles or {})
            )
    return tuple(found)


def _set(
    asked: Sequence[Asked], before: Sequence[Answered] | None, after: Sequence[Answered], titles: Mapping[str, str]
) -> AnswersCompared:
    name, now, topics = asked[0].name, AnswerCounts.of(after), _topics(asked, before, after)
    if before is None:
        return AnswersCompared(name, None, now, topics=topics)
    rows = [
        AnswerChange(one.text, one.questions, old.question, new.question, old.became, new.became)
        for one, old, new in zip(asked, before, after, strict=True)
    ]
    worse = sorted((row for row in rows if row.gain < 0), key=lambda row: row.gain)
    better = sorted((row for row in rows if row.gain > 0), key=lambda row: -row.gain)
    half = SHOWN // 2  # each side has it, and what the other one leaves
    shown = (*worse[: max(half, SHOWN - len(better))], *better[: max(half, SHOWN - len(worse))])
    named = {question for row in shown for question in (*row.questions, row.before, row.after) if question in titles}
    return AnswersCompared(
        name,
        AnswerCounts.of(before),
        now,
        len(better),
        len(worse),
        shown,
        {question: titles[question] for question in sorted(filter(None, named))},
        topics,
        {share: _moves(share, before, after) for share in SHARES},
    )


def _moves(share: str, before: Sequence[Answered], after: Sequence[Answered]) -> tuple[int, int]:
    pairs = [(bool(getattr(old, share)), bool(getattr(new, share))) for old, new in zip(before, after, strict=True)]
    return pairs.count((False, True)), pairs.count((True, False))


def _topics(
    asked: Sequence[Asked], before: Sequence[Answered] | None, after: Sequence[Answered]
) -> tuple[TopicCompared, ...]:
    places: dict[str, list[int]] = {}
    for place, one in enumerate(asked):
        places.setdefault(topic_of(one.questions), []).append(place)
    return tuple(
        TopicCompared(
            topic,
            None if before is None else AnswerCounts.of([before[place] for place in places[topic]]),
            AnswerCounts.of([after[place] for place in places[topic]]),
        )
        for topic in sorted(places)
    )
