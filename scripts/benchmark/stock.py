"""Which message each reply of stock Rasa answers: its channel leaves no mark, so its words say so.

Before the measurement each talk is played once, one message after the other: what a message is answered stands between
its post and its acknowledgement, since that channel acknowledges last. Of a response with several wordings Rasa draws one
each time: any of them is the same reply here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from ruamel.yaml import YAML

from scripts.benchmark import drive, messages
from scripts.benchmark.accounting import Arrival, Fate, Name
from scripts.benchmark.load import Posted
from scripts.benchmark.systems import ROOT, GraphProcess, Stock

Talk = tuple[str, ...]
Expected = Mapping[Talk, Sequence[Sequence[str]]]  # the texts that each message of a talk is answered with


def alike(responses: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """Each part of a wording, as the Facebook channel cuts it, → the same part of the response's first wording."""
    found: dict[str, str] = {}
    for wordings in responses.values():
        first, *others = [_parts(wording.get("text") or "") for wording in wordings]
        for other in others:
            found.update(zip(other, first, strict=False))
    return found


def _parts(text: str) -> list[str]:
    """What the channel sends: with up to three buttons the whole text, else its paragraphs one by one."""
    return [text.strip(), *text.strip().split("\n\n")]


@cache
def _alike() -> dict[str, str]:
    return alike(YAML(typ="safe").load(ROOT / "domain.yml")["responses"])


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
        return attribute({p.person: _of(expected, talks[p.person]) for p in posted}, graph.sent(), people, _alike())

    return settle


def _of(expected: Expected, begun: list[str]) -> Sequence[Sequence[str]]:
    """The replies to a talk, or to the beginning of one."""
    return next((replies for talk, replies in expected.items() if list(talk[: len(begun)]) == begun), ())


def attribute(
    replies: Mapping[str, Sequence[Sequence[str]]],
    sent: Iterable[Sequence[Any]],
    people: str,
    same: Mapping[str, str] | None = None,
) -> tuple[dict[Name, Fate], list[Arrival]]:
    """Fates and arrivals, from what each person's messages are answered with and what they got. `same`: of `alike`.

    A text that answers two messages of a person is given to the first that still lacks it; one that answers none has no key.
    """
    one = dict(same or {})
    expected = {
        person: [[one.get(text, text) for text in texts] for texts in all_texts]
        for person, all_texts in replies.items()
    }
    fates = {
        (person, number): Fate(number, silent=not texts) for person, all_texts in expected.items()
        for number, texts in enumerate(all_texts)
    }  # fmt: skip
    got: Counter[tuple[str, int, str]] = Counter()
    arrivals = []
    for person, _, said, at, under_way in sent:
        if not person.startswith(people):
            continue
        text = one.get(said, said)
        fits = [number for number, texts in enumerate(expected.get(person, ())) if text in texts]
        lacking = [n for n in fits if got[person, n, text] < expected[person][n].count(text)]
        if fits:
            number = (lacking or fits)[0]
            part = expected[person][number].index(text)
            got[person, number, text] += 1
            arrivals.append(Arrival(person, number, part, at, bool(under_way)))
        else:
            arrivals.append(Arrival(person, None, 0, at))
    return fates, arrivals
