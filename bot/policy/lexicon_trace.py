"""Which words of a message a pattern of the lexicon was met by: told for the few messages that raise an alarm.

The automaton of `bot.policy.lexicon` runs once more, its state is kept after each word, and the way is followed back from
where a pattern ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.policy.normalise import BOUNDARIES, SOFT

ENOUGH = 20  # times that an entry's own patterns were met; who repeats a cry a thousand times costs no more
HIT = -1  # the part of an entry that is met first; those from 0 on are the lists of its company (« avec »)
Span = tuple[int, int]
"""Numbers of the first and the last word, both included."""
Trace = tuple[tuple[int, Span], ...]
"""(HIT or number of the company's list, words), in the order in which they end."""


class Automaton(Protocol):
    """What of the lexicon's automaton is needed, each an int used as a set of bits (see `bot.policy.lexicon`)."""

    @property
    def first(self) -> int: ...
    @property
    def optional(self) -> int: ...
    @property
    def block_before(self) -> int: ...
    @property
    def block_end(self) -> int: ...
    @property
    def boundary(self) -> int: ...


@dataclass(frozen=True)
class _Step:
    """A word as it was read: its place (-1 and beyond the last: the message's own ends), what it satisfies, the state after it."""

    token: str
    at: int
    mask: int
    state: int


def follow(
    built: Automaton, class_of: Callable[[str], int], wanted: Mapping[int, int], words: Sequence[tuple[str, int]]
) -> Trace:
    """Where the patterns that end in the bits `wanted` (bit → part of the entry) were met, until there are ENOUGH.

    `words`: (word or boundary, its place), from HARD to HARD.
    """
    steps: list[_Step] = []
    finals = sum(1 << bit for bit in wanted)
    found: dict[tuple[int, Span], None] = {}
    hits = 0
    for number, step in enumerate(_run(built, class_of, words)):
        steps.append(step)
        left = step.state & finals
        while left:
            low = left & -left
            left ^= low
            bit = low.bit_length() - 1
            found[wanted[bit], _back(built, steps, number, bit)] = None
            hits += wanted[bit] == HIT
        if hits >= ENOUGH:
            break
    return tuple(found)


def _run(built: Automaton, class_of: Callable[[str], int], words: Sequence[tuple[str, int]]) -> Iterator[_Step]:
    state = 0
    for token, at in words:
        mask = built.boundary if token in BOUNDARIES else class_of(token)
        moved = ((state << 1) | built.first) & mask
        if token == SOFT:
            state |= moved
        else:
            reached = moved | built.block_end
            state = moved | built.optional & (~(reached - built.block_before) ^ reached)
        yield _Step(token, at, mask, state)


def _back(built: Automaton, steps: Sequence[_Step], number: int, bit: int) -> Span:
    """The words from where the pattern that ended there began: none is made of boundaries alone."""
    taken: list[int] = []
    while True:
        step = steps[number]
        before = steps[number - 1].state if number else 0
        begins = bool(built.first >> bit & 1)
        if step.mask >> bit & 1 and (begins or before >> (bit - 1) & 1):
            if step.token not in BOUNDARIES:
                taken.append(step.at)
            if begins:
                return min(taken), max(taken)
            bit, number = bit - 1, number - 1
        elif built.optional >> bit & 1 and step.state >> (bit - 1) & 1:
            bit -= 1  # that word may be missing
        else:  # a line's end lets what was begun go on
            number -= 1
