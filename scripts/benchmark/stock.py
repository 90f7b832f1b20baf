"""Which message each reply of stock Rasa answers: its channel leaves no mark, so its words say so.

Before the measurement each talk is played once, one message after the other: what a message is answered stands between
its post and its acknowledgement, since that channel acknowledges last.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scripts.benchmark import drive, messages
from scripts.benchmark.accounting import Arrival, Fate, Name
from scripts.benchmark.load import Posted
from scripts.benchmark.systems import GraphProcess, Stock

Talk = tuple[str, ...]
Expected = Mapping[Talk, Sequence[Sequence[str]]]  # the texts that each message of a talk is answered with


def talks(count: int) -> list[list[str]]:
    """The talks that the first persons hold, each once."""
    seen: dict[Talk, list[str]] = {}
    for _, (_, texts) in zip(range(count), messages.people(""), strict=False):
        seen.setdefault(tuple(texts), texts)
    return list(seen.values())


def learn(stock: Stock, graph: GraphProcess) -> Expected:
    """Play each talk once, the Graph API answering at once."""
    graph.answer_after(0.0)
    played = [(f"8000{number:07d}", talk) for number, talk in enumerate(talks(600))]
    before = graph.count()
    posting = drive.Posting(drive.job(stock, people=played, in_flight=1, seconds=600.0))
    posted, _, _ = posting.result()
    sent = graph.sent(before)
    found: dict[Talk, list[list[str]]] = {}
    for person, talk in played:
        found[tuple(talk)] = [
            [text for who, _, text, at, _ in sent if who == person and one.asked <= at <= (one.acked or 0)]
            for one in posted
            if one.person == person
        ]
    return found


def settled(graph: GraphProcess, people: str, expected: Expected, written: Mapping[Name, str]) -> drive.Settle:
    """The fates of stock Rasa's messages: each is answered with what it was answered with before. `written`: their words."""

    def settle(posted: list[Posted]) -> drive.Settled:
        talks: dict[str, list[str]] = defaultdict(list)
        for (person, _), text in sorted(written.items()):
            talks[person].append(text)
        return attribute({p.person: _of(expected, talks[p.person]) for p in posted}, graph.sent(), people)

    return settle


def _of(expected: Expected, begun: list[str]) -> Sequence[Sequence[str]]:
    """The replies to a talk, or to the beginning of one."""
    return next((replies for talk, replies in expected.items() if list(talk[: len(begun)]) == begun), ())


def attribute(
    replies: Mapping[str, Sequence[Sequence[str]]], sent: Iterable[Sequence[Any]], people: str
) -> tuple[dict[Name, Fate], list[Arrival]]:
    """Fates and arrivals, from what each person's messages are answered with and what they got.

    A text that answers two messages of a person is given to the first that still lacks it.
    """
    fates = {
        (person, number): Fate(number, silent=not texts) for person, all_texts in replies.items()
        for number, texts in enumerate(all_texts)
    }  # fmt: skip
    got: Counter[tuple[str, int, str]] = Counter()
    arrivals = []
    for person, _, text, at, overlapped in sent:
        if not person.startswith(people):
            continue
        fits = [number for number, texts in enumerate(replies.get(person, ())) if text in texts]
        lacking = [n for n in fits if got[person, n, text] < list(replies[person][n]).count(text)]
        if fits:
            number = (lacking or fits)[0]
            part = list(replies[person][number]).index(text)
            got[person, number, text] += 1
            arrivals.append(Arrival(person, number, part, at, overlapped))
    return fates, arrivals
