"""What became of each example on two sides, and the one thing that both wanted: for `bot.trainer.merge`.

A side says only which lines stand where now. An example that went and one that came are taken for the same one, moved or
rewritten, when they say the same, when the new one stands in the very place of the old one, or when they are much alike. When one
side moved what the other one rewrote, the example is moved and rewritten; when both rewrote it, or both moved it, a person decides.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.core.examples import without_marks

Key = tuple[str, str, int]  # kind, name, which of that name
Heap = Mapping[Key, Sequence[str]]

REWRITTEN = 0.6  # likeness (0 to 1) from which an example of the same intent is an older one, rewritten
MOVED = 0.75  # as before, from another intent
MOST_PAIRS = (
    250_000  # comparisons of what went with what came; two sides that differ so much are not held against each other
)


@dataclass(frozen=True)
class Place:
    """An example where it stands."""

    key: Key
    item: str


@dataclass(frozen=True)
class Dispute:
    """What both sides wanted otherwise: how it stood, and where each of them has it."""

    base: Place
    ours: Place
    theirs: Place


@dataclass(frozen=True)
class Reconciled:
    """Both sides' examples, in which what could be joined is the same; what could not."""

    ours: dict[Key, tuple[str, ...]]
    theirs: dict[Key, tuple[str, ...]]
    disputes: tuple[Dispute, ...]


@dataclass(frozen=True)
class _Fate:
    """Where an example is now. `sure`: that it is the same one."""

    place: Place
    sure: bool


def reconcile(base: Heap, ours: Heap, theirs: Heap) -> Reconciled:
    """Join what the two sides did to the same example. Pure."""
    mine, other = _fates(base, ours), _fates(base, theirs)
    sides = _Side(ours), _Side(theirs)
    told, other_told = ({without_marks(place.item) for place in _places(heap)} for heap in (ours, theirs))
    disputes = []
    for old in mine.keys() & other.keys():
        one, two = mine[old], other[old]
        words, other_words = without_marks(one.place.item), without_marks(two.place.item)
        if one.place == two.place:
            continue
        if words != other_words and (other_words in told or words in other_told):
            continue  # who has both has two examples, not one rewritten
        joined = _joined(old, one, two)
        if joined is None:
            disputes.append(Dispute(old, one.place, two.place))
            continue
        for side, place in zip(sides, (one.place, two.place), strict=True):
            # A side that has it elsewhere goes back to what it was: the other side's move then holds.
            side.rewrite(place, joined.item if place.key == joined.key else old.item)
    order = {place: number for number, place in enumerate(_places(base))}
    return Reconciled(sides[0].items, sides[1].items, tuple(sorted(disputes, key=lambda one: order[one.base])))


def _joined(old: Place, one: _Fate, two: _Fate) -> Place | None:
    """The example as both wanted it; None when they contradict each other."""
    keys = {place.key for place in (one.place, two.place)} - {old.key}
    items = {place.item for place in (one.place, two.place)} - {old.item}
    if len(keys) > 1 or len(items) > 1 or not (one.sure and two.sure):
        return None
    return Place(keys.pop() if keys else old.key, items.pop() if items else old.item)


class _Side:
    """A side's examples, some of them rewritten where they stand."""

    def __init__(self, heap: Heap) -> None:
        self.items = {key: tuple(items) for key, items in heap.items()}

    def rewrite(self, place: Place, item: str) -> None:
        items = list(self.items[place.key])
        items[items.index(place.item)] = item
        self.items[place.key] = tuple(items)


# -- What became of it -----------------------------------------------------------------------------------------------------


def _places(heap: Heap) -> Iterator[Place]:
    return (Place(key, item) for key, items in heap.items() for item in items)


def _fates(base: Heap, side: Heap) -> dict[Place, _Fate]:
    """Where each example that a side moved or rewrote stands now; what it kept or removed is left out."""
    went, came = Counter(_places(base)), Counter(_places(side))
    gone, new = went - came, came - went
    fates: dict[Place, _Fate] = {}

    def found(old: Place, now: Place, sure: bool) -> None:
        if gone[old] > 0 and new[now] > 0 and old not in fates:
            fates[old] = _Fate(now, sure)
            gone[old] -= 1
            new[now] -= 1

    for old, now in _same_words(+gone, +new):
        found(old, now, True)
    for old, now in _in_place(base, side, +gone, +new):
        found(old, now, _likeness(old.item, now.item) >= REWRITTEN)
    for old, now in _alike(+gone, +new):
        found(old, now, old.key != now.key)
    return fates


def _same_words(gone: Mapping[Place, int], new: Mapping[Place, int]) -> Iterator[tuple[Place, Place]]:
    """The same text elsewhere, or marked otherwise; as it stood before otherwise marked."""
    for words in (lambda place: place.item, lambda place: without_marks(place.item)):
        holders: dict[str, list[Place]] = {}
        for place in new:
            holders.setdefault(words(place), []).append(place)
        for old in gone:
            for now in holders.get(words(old), ()):
                if _comparable(old, now):
                    yield old, now


def _in_place(
    base: Heap, side: Heap, gone: Mapping[Place, int], new: Mapping[Place, int]
) -> Iterator[tuple[Place, Place]]:
    """As many lines as went came in their place: one for one."""
    for key in {place.key for place in gone} & {place.key for place in new}:
        before, after = base[key], side[key]
        for kind, i, j, k, m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            if kind == "replace":
                old = [place for item in before[i:j] if (place := Place(key, item)) in gone]
                now = [place for item in after[k:m] if (place := Place(key, item)) in new]
                if len(old) == len(now):
                    yield from zip(old, now, strict=True)


def _alike(gone: Mapping[Place, int], new: Mapping[Place, int]) -> list[tuple[Place, Place]]:
    """Those that are much alike, the most alike first."""
    if len(gone) * len(new) > MOST_PAIRS:
        return []
    found = []
    for old in gone:
        for now in new:
            if old.key[0] == "intent" and _comparable(old, now):
                least = REWRITTEN if old.key == now.key else MOVED
                likeness = _likeness(old.item, now.item, least)
                if likeness >= least:
                    found.append((likeness, old, now))
    found.sort(key=lambda pair: -pair[0])
    return [(old, now) for _, old, now in found]


def _comparable(old: Place, now: Place) -> bool:
    """A list's words mean something else in another list."""
    return old.key == now.key or old.key[0] == now.key[0] == "intent"


def _likeness(one: str, other: str, least: float = 0.0) -> float:
    """How alike two texts are, 0 to 1; 0 when it is surely below `least`."""
    matcher = difflib.SequenceMatcher(None, one.casefold(), other.casefold(), autojunk=False)
    if least and (matcher.real_quick_ratio() < least or matcher.quick_ratio() < least):
        return 0.0
    return matcher.ratio()
