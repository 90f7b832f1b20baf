"""Examples are written, not multiplied: no sentence stands twice, no two of an intent share six words in a row, and an example is
nearer to its own intent than to another."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, Protocol, TypeVar

from bot.trainer.checks.finding import Finding, error, warning
from bot.trainer.corpus import NLU, Example, short
from bot.trainer.neighbours import Near, Neighbours, sounded_example

FRAME = 6  # words in a row
NEARLY = 0.7  # likeness from which two examples of an intent teach the same
ELSEWHERE = 0.65  # likeness to an example of another intent from which the place of an example is asked for

FEWEST = 3  # different words below which two messages are short forms, of which an intent needs many

Words = tuple[str, ...]


class Written(Protocol):
    """An example, as far as these checks look at it."""

    @property
    def intent(self) -> str: ...

    @property
    def text(self) -> str: ...


E = TypeVar("E", bound=Written)


@dataclass(frozen=True)
class Group(Generic[E]):
    """Examples that are too alike, in order, and the words they share. `whole`: the whole sentence, not a frame of it."""

    same: tuple[E, ...]
    words: Words
    whole: bool


@lru_cache(maxsize=50_000)
def plain_words(sentence: str) -> Words:
    """Lower case, no accents: what makes two sentences the same frame."""
    bare = "".join(c for c in unicodedata.normalize("NFD", sentence.lower()) if not unicodedata.combining(c))
    return tuple(re.findall(r"[^\W_]+", bare))


def frames(words: Words) -> Iterator[Words]:
    """Every six words in a row."""
    return (words[start : start + FRAME] for start in range(len(words) - FRAME + 1))


def shared_frames(found: Sequence[E]) -> Iterator[Group[E]]:
    """Examples of one intent that share a frame; each set of them once."""
    first: dict[tuple[str, Words], E] = {}
    where: dict[tuple[str, Words], dict[E, None]] = {}
    for example in found:
        for frame in frames(plain_words(example.text)):
            key = example.intent, frame
            earlier = first.setdefault(key, example)
            if earlier is not example:
                where.setdefault(key, {earlier: None})[example] = None
    told: set[tuple[E, ...]] = set()
    for (_, frame), same in where.items():
        if tuple(same) not in told:
            told.add(tuple(same))
            yield Group(tuple(same), frame, False)


def duplicates(found: Sequence[E]) -> Iterator[Group[E]]:
    """Sentences that stand more than once."""
    where: dict[Words, list[E]] = defaultdict(list)
    for example in found:
        if words := plain_words(example.text):
            where[words].append(example)
    for words, same in where.items():
        if len(same) > 1:
            yield Group(tuple(same), words, True)


# -- Findings --------------------------------------------------------------------------------------------------------------


def check(examples: Sequence[Example], neighbours: Neighbours[Example]) -> Iterator[Finding]:
    """All that is too alike in the corpus."""
    exact = [*duplicates(examples)]
    for group in exact:
        for later in group.same[1:]:
            yield duplicate(later, group.same[0])
    for group in shared_frames(examples):
        for later in group.same[1:]:
            yield frame(later, group.same[0], group.words)
    known = {(one, other) for group in exact for one in group.same for other in group.same}
    yield from _alike(neighbours, known)


def _alike(neighbours: Neighbours[Example], known: set[tuple[Example, Example]]) -> Iterator[Finding]:
    own: dict[Example, float] = defaultdict(float)
    strangers: dict[Example, list[Near[Example]]] = defaultdict(list)
    told: set[Example] = set()
    for pair in sorted(neighbours.pairs(ELSEWHERE), key=lambda pair: sorted((_place(pair.one), _place(pair.other)))):
        (one, other), likeness = sorted(pair[:2], key=_place), pair.likeness
        if one.intent == other.intent:
            own[one], own[other] = max(own[one], likeness), max(own[other], likeness)
            if likeness >= NEARLY and other not in told and (one, other) not in known and _long(one) and _long(other):
                told.add(other)
                yield nearly(other, one)
        elif (one, other) not in known and (_long(one) or _long(other)):
            strangers[one].append(Near(other, likeness))
            strangers[other].append(Near(one, likeness))
    told.clear()
    for example in sorted(strangers, key=_place):
        found = strangers[example]
        nearest = max(found, key=lambda near: near.likeness)
        # Of two that are nearest to each other, the first tells of both.
        if nearest.likeness > own[example] and nearest.example not in told:
            told.add(example)
            yield elsewhere(example, nearest.example)


def _place(example: Example) -> tuple[bool, str, int]:
    """What trainers edit before the background: of two that are alike, the second is to go."""
    return example.file != NLU, example.file, example.line


def _long(example: Written) -> bool:
    return len(sounded_example(example.text).words) >= FEWEST


def duplicate(example: Example, other: Example) -> Finding:
    """The same sentence twice."""
    return _told(
        error,
        "duplicate",
        example,
        f"« {short(example.text)} » est déjà un exemple{_of(example, other)} ({other.file}:{other.line}).",
        "Retirez l’un des deux."
        if example.intent == other.intent
        else "Gardez-le dans l’intention qui convient, retirez-le de l’autre.",
    )


def frame(example: Example, other: Example, words: Words) -> Finding:
    """Six words in a row that another example has."""
    return _told(
        error,
        "frame",
        example,
        f"« {short(example.text)} » reprend {FRAME} mots à la suite (« {' '.join(words)} ») de {other.file}:{other.line}.",
        "Écrivez-le avec d’autres mots, ou retirez-le.",
    )


def nearly(example: Example, other: Example) -> Finding:
    """Nearly the same words as another example of the intent."""
    return _told(
        warning,
        "near-duplicate",
        example,
        f"« {short(example.text)} » dit presque la même chose que {other.file}:{other.line} : « {short(other.text)} ».",
        "Gardez-en un : le second n’apprend rien.",
    )


def elsewhere(example: Example, other: Example) -> Finding:
    """Nearer to another intent than to its own."""
    return _told(
        warning,
        "nearer-elsewhere",
        example,
        f"« {short(example.text)} » ({example.intent}) ressemble surtout à un exemple de {other.intent} "
        f"({other.file}:{other.line}) : « {short(other.text)} ».",
        "Relisez les frontières des deux intentions : déplacez l’un, ou dites mieux ce qui les sépare.",
    )


def _told(make: Callable[..., Finding], code: str, example: Example, what: str, remedy: str) -> Finding:
    """A finding about an example; one that is not written yet has no line."""
    return make(code, example.file, example.line or None, what, remedy, intent=example.intent, text=example.text)


def _of(example: Example, other: Example) -> str:
    return "" if example.intent == other.intent else f" de {other.intent}"


def of_one(
    example: Example, neighbours: Neighbours[Example], same_intent: Sequence[Example], ours: Callable[[Example], bool]
) -> Iterator[Finding]:
    """What is too like this example, for a page. `ours`: an example that it stands for, hence no double of it."""
    words = plain_words(example.text)
    near = [each for each in neighbours.near(example.text, 8, ELSEWHERE / 2) if not ours(each.example)]
    exact = [each.example for each in near if words and plain_words(each.example.text) == words]
    if exact:
        yield duplicate(example, exact[0])
        return
    wanted = set(frames(words))
    for other in same_intent:
        shared = next((f for f in frames(plain_words(other.text)) if f in wanted), None) if wanted else None
        if shared is not None and not ours(other):
            yield frame(example, other, shared)
            return
    if not _long(example):
        return
    kin = [each for each in near if each.example.intent == example.intent and _long(each.example)]
    strange = [each for each in near if each.example.intent != example.intent]
    if kin and kin[0].likeness >= NEARLY:
        yield nearly(example, kin[0].example)
    elif strange and strange[0].likeness >= max(ELSEWHERE, kin[0].likeness if kin else 0.0):
        yield elsewhere(example, strange[0].example)
