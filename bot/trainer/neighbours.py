"""Which training examples, or messages of the measuring sets, say nearly the same as a message.

Two questions, one index of the words as they sound (SMS spelling undone, so that « koman porté plinte » is « comment porter
plainte »): `doubles` are those that are the same sentence or share seven words of ten, and stand where one of them should
go; `near` are the nearest ones, whose likeness weighs each shared word by how rare it is (weighted Jaccard, 0 to 1).

Written here because sketches (MinHash, as `bot.policy.likeness` keys them for crises) miss what is short, and most messages are.
"""

from __future__ import annotations

import heapq
import math
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Generic, NamedTuple, Protocol, TypeVar

from bot.core.clean import for_understanding
from bot.policy.normalise import normalise, sound
from bot.trainer.corpus import Corpus, Example, ExamplesFile

SAME = 0.7  # part of all words that two sentences share, from which one of them says nothing new
FEWEST = 4  # shorter sentences are compared whole: « mon chat » and « mon chien » share half of their words
LEAST = 0.15  # what is less like a message than that is no neighbour
POWER = 1.5  # with the square, one rare name outweighs a whole sentence; with none, pages would wait
KEPT = 2  # corpora whose index stays in memory, some 60 MB each for 30,000 examples
HEARD = 200_000  # examples whose sound stays in memory, some 300 bytes each: twice those of corpus and catalogue
GENERATORS = 24  # rarest words of a message by which neighbours are looked up: stories have hundreds


class Told(Protocol):
    """What an index holds: an example, or a row of a measuring set."""

    @property
    def text(self) -> str:
        """The sentence, without entity marks."""


T = TypeVar("T", bound=Told)


@dataclass(frozen=True)
class Near(Generic[T]):
    """A neighbour, and how like it is: 0 nothing in common … 1 the same words."""

    example: T
    likeness: float


class Pair(NamedTuple, Generic[T]):
    """Two that are held; `one` came first."""

    one: T
    other: T
    likeness: float


@dataclass(frozen=True)
class Sounded:
    """A sentence as its words sound. `key` makes two writings of one sentence equal."""

    key: str
    words: frozenset[str]


@lru_cache(maxsize=100_000)
def _sound(word: str) -> str:
    return sound(word) or word


def sounded(text: str) -> Sounded:
    """The text as its words sound; an emoji alone is its own key."""
    return _of(text, _heard(text))


def sounded_example(text: str) -> Sounded:
    """The same of an example, remembered for the next who asks: never for what a citizen wrote, which would stay in memory."""
    return _of(text, _remembered(text))


def _heard(text: str) -> str:
    return " ".join([_sound(word) for word in normalise(text).split()])


_remembered = lru_cache(maxsize=HEARD)(_heard)


def _of(text: str, heard: str) -> Sounded:
    return Sounded(heard or text.strip(), frozenset(heard.split()))


def alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two sentences share seven words of ten."""
    shared = len(one & other)
    return shared >= SAME * (len(one) + len(other) - shared)


def rarity(held: int, count: int) -> float:
    """What a word that `held` of `count` sentences have weighs: the square of its inverse document frequency."""
    return math.pow(math.log(2 + count / held), POWER)


class Neighbours(Generic[T]):
    """Sentences by key and by word. Threads may share it: each call holds a lock for its few milliseconds.

    How rare a word is comes from what was held at building: one more example does not move the others.
    """

    def __init__(self, items: Iterable[T] = ()) -> None:
        """Index what is given; some 20,000 sentences a second."""
        self._lock = threading.RLock()
        self._items: list[T | None] = []
        self._sounded: list[Sounded] = []
        self._sums: list[float] = []  # of the weights of a sentence's words
        self._keys: dict[str, list[int]] = defaultdict(list)
        self._words: dict[str, list[int]] = defaultdict(list)
        self._weights: dict[str, float] = {}
        self._rarest = 1.0
        self._numbers: dict[T, int] = {}
        for item in items:
            self._hold(item)
        self._weigh()

    @staticmethod
    def of(corpus: Corpus) -> Neighbours[Example]:
        """The index of a corpus's examples: built once (a second or two), then only what has changed is done again. Blocks."""
        return _kept.of(corpus)

    def __len__(self) -> int:
        """How many sentences are held."""
        return len(self._numbers)

    def __iter__(self) -> Iterator[T]:
        """What is held, in the order it came."""
        with self._lock:
            return iter([item for item in self._items if item is not None])

    def add(self, item: T) -> None:
        """Hold one more sentence."""
        with self._lock:
            number = self._hold(item)
            self._sums[number] = self._sum(self._sounded[number].words)

    def remove(self, item: T) -> bool:
        """Forget a sentence; False when it was not held."""
        with self._lock:
            number = self._numbers.pop(item, None)
            if number is None:
                return False
            self._items[number] = None
            self._keys[self._sounded[number].key].remove(number)
            for word in self._sounded[number].words:
                self._words[word].remove(number)
            return True

    def follow(self, old: Sequence[T], new: Sequence[T]) -> None:
        """Hold `new` instead of `old`. What only moved to another line is not indexed again."""
        gone: dict[object, list[T]] = defaultdict(list)
        for item in dict.fromkeys(old).keys() - dict.fromkeys(new).keys():
            gone[item.text].append(item)
        with self._lock:
            for item in new:
                if item in self._numbers:
                    continue
                if gone.get(item.text):
                    number = self._numbers.pop(gone[item.text].pop())
                    self._items[number], self._numbers[item] = item, number
                else:
                    self.add(item)
            for items in gone.values():
                for item in items:
                    self.remove(item)

    def doubles(self, text: str) -> list[T]:
        """The sentences that are equal or nearly equal to this one, equal ones first."""
        return self.doubles_of(sounded(text))

    def doubles_of(self, one: Sounded) -> list[T]:
        """As `doubles`, of a sentence that was sounded already."""
        with self._lock:
            found = dict.fromkeys(self._keys.get(one.key, ()))
            count = len(one.words)
            # Whoever shares seven words of ten shares two of the rarest of ours: only these need be looked up.
            known = [held for word in one.words if (held := self._words.get(word))]
            needed = len(known) - math.ceil(SAME * count) + 2
            if count >= FEWEST and needed > 1:
                shared = Counter(chain.from_iterable(sorted(known, key=len)[:needed]))
                found |= dict.fromkeys(
                    n
                    for n, times in shared.items()
                    if times > 1
                    and len(theirs := self._sounded[n].words) >= FEWEST
                    and SAME * count <= len(theirs) <= count / SAME
                    and alike(one.words, theirs)
                )
            return list(self._held(found))

    def sounded(self) -> list[tuple[T, Sounded]]:
        """What is held, with its words as they sound."""
        with self._lock:
            return [(item, self._sounded[number]) for item, number in self._numbers.items()]

    def near(
        self, text: str, limit: int = 5, least: float = LEAST, wanted: Callable[[T], bool] | None = None
    ) -> list[Near[T]]:
        """The nearest sentences, nearest first, none less like than `least`; `wanted` leaves others out.

        Of a long text the first and last thousand characters count, as for the model.
        """
        one = sounded(for_understanding(text))
        with self._lock:
            scored = ((likeness, -n) for n, likeness in self._scored(one.words, least) if self._wanted(n, wanted))
            return [
                Near(item, min(1.0, likeness))
                for likeness, number in heapq.nlargest(limit, scored)
                if (item := self._items[-number]) is not None
            ]

    def pairs(self, least: float) -> Iterator[Pair[T]]:
        """All pairs that are as like as `least` (0.5 or more), each once: a second or two for 30,000 sentences.

        Prefix filtering (Chaudhuri et al. 2006): two sentences as like as that share one of the rarest words of each.
        """
        by_word: dict[str, list[int]] = defaultdict(list)
        with self._lock:
            for number in sorted(self._numbers.values()):
                met: dict[int, None] = {}
                for word in self._prefix(self._sounded[number].words, least):
                    met |= dict.fromkeys(by_word[word])
                    by_word[word].append(number)
                total = self._sums[number]
                for other in met:
                    if least <= self._sums[other] / total <= 1 / least:
                        shared = self._sum(self._sounded[number].words & self._sounded[other].words)
                        likeness = shared / (total + self._sums[other] - shared)
                        one, two = self._items[other], self._items[number]
                        if likeness >= least and one is not None and two is not None:
                            yield Pair(one, two, min(1.0, likeness))

    def _prefix(self, words: frozenset[str], least: float) -> Iterator[str]:
        """The rarest words, until the rest alone weighs too little to be as like as that."""
        ranked = sorted((-self._weights.get(word, self._rarest), word) for word in words)
        total = rest = -sum(weight for weight, _ in ranked)
        for weight, word in ranked:
            if rest < least * total:
                return
            yield word
            rest += weight

    # -- inside ------------------------------------------------------------------------------------------------

    def _hold(self, item: T) -> int:
        number, one = len(self._items), sounded_example(item.text)
        self._items.append(item)
        self._sounded.append(one)
        self._sums.append(0.0)
        self._numbers[item] = number
        self._keys[one.key].append(number)
        for word in one.words:
            self._words[word].append(number)
        return number

    def _weigh(self) -> None:
        """Inverse document frequency of each word, then the sum of each sentence."""
        self._rarest = rarity(1, len(self._numbers))
        self._weights = {word: rarity(len(held), len(self._numbers)) for word, held in self._words.items() if held}
        self._sums = [self._sum(one.words) for one in self._sounded]

    def _sum(self, words: Iterable[str]) -> float:
        weigh, rarest = self._weights.get, self._rarest
        return sum([weigh(word, rarest) for word in words])  # a million times in `pairs`

    def _scored(self, words: frozenset[str], least: float) -> Iterator[tuple[int, float]]:
        """Who is as like as `least`. The commonest words name nobody as long as they alone could not reach it."""
        ranked = sorted(((self._weights.get(word, self._rarest), word) for word in words), reverse=True)
        total = rest = sum(weight for weight, _ in ranked)
        found: dict[int, float] = {}
        common: list[tuple[float, str]] = []
        for place, (weight, word) in enumerate(ranked):
            if rest < least * total or place >= GENERATORS:
                common.append((weight, word))
            else:
                for number in self._words.get(word, ()):
                    found[number] = found.get(number, 0.0) + weight
            rest -= weight
        tail = sum(weight for weight, _ in common)
        sums, held = self._sums, self._sounded
        for number, shared in found.items():
            if shared + tail >= least * (total + sums[number] - shared - tail):
                theirs = held[number].words
                shared += sum(weight for weight, word in common if word in theirs)
                likeness = shared / (total + sums[number] - shared)
                if likeness >= least:
                    yield number, likeness

    def _wanted(self, number: int, wanted: Callable[[T], bool] | None) -> bool:
        item = self._items[number]
        return item is not None and (wanted is None or wanted(item))

    def _held(self, numbers: Iterable[int]) -> Iterator[T]:
        return (item for n in numbers if (item := self._items[n]) is not None)


class _Kept:
    """The indexes of the last corpora, each followed to the corpus's next state."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[tuple[Corpus, Neighbours[Example]]] = []

    def of(self, corpus: Corpus) -> Neighbours[Example]:
        with self._lock:
            place = next((n for n, (old, _) in enumerate(self._held) if _akin(old, corpus)), None)
            if place is None:
                index = Neighbours(corpus.examples)
            else:
                old, index = self._held.pop(place)
                before, after = _changed(old, corpus), _changed(corpus, old)
                index.follow(
                    [each for file in before for each in file.examples],
                    [each for file in after for each in file.examples],
                )
            self._held = [(corpus, index), *self._held][:KEPT]
            return index


def _akin(one: Corpus, other: Corpus) -> bool:
    """Whether these are two states of one corpus: a file of theirs is the same, or begins alike."""
    if one is other or not _changed(other, one):
        return True
    ours = {id(file) for file in one.files}
    if any(id(file) in ours for file in other.files):
        return True
    return (
        bool(one.examples and other.examples) and len(set(one.examples) & set(other.examples)) > len(one.examples) / 2
    )


def _changed(one: Corpus, other: Corpus) -> list[ExamplesFile]:
    """The files of `one` that `other` has not as they are."""
    theirs = {id(file) for file in other.files}
    return [file for file in one.files if id(file) not in theirs]


_kept = _Kept()
