"""Inputs without a fuzzer: the seeds and changes to them, the same ones each time. For the quick form, and for other machines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random

from tests.fuzz.mutate import change
from tests.fuzz.targets import Target

MOST = 20_000
KEPT = 500  # changed inputs that are changed again


def inputs(target: Target, runs: int) -> Iterator[bytes]:
    """`runs` inputs of a target."""
    return islice(_all(target), runs)


def _all(target: Target) -> Iterator[bytes]:
    random = Random(target.name)
    pool = target.seeds()
    yield from pool
    words = [word.encode("utf-8", "surrogatepass") for word in target.words] or [b"\0"]
    while True:
        data = random.choice(pool)
        told = (
            change(data, random.getrandbits(32), target.words, MOST) if target.json and random.random() < 0.75 else None
        )
        told = _bytes(random, data, words) if told is None else told
        if len(pool) < KEPT:
            pool.append(told)
        else:
            pool[random.randrange(KEPT)] = told
        yield told


def _bytes(random: Random, data: bytes, words: list[bytes]) -> bytes:
    """One to four places cut out, doubled, or written over."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        start = random.randrange(len(changed) + 1)
        end = min(len(changed), start + random.choice((0, 1, 1, 4, 30)))
        piece = random.choice((b"", random.randbytes(1), random.choice(words), bytes(changed[start:end]) * 2))
        changed[start:end] = piece
    return bytes(changed[:MOST])
