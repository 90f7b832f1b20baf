"""Changes to an input that keep it JSON: most payloads that a random byte touches are no JSON any more, and say little."""

from __future__ import annotations

import json
from random import Random
from typing import Any

LONG = 300
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53 + 1, -(2**63), 10**39, 10**45, 0.5, -0.0, 1e308, float("inf"), float("nan"),
    "", " ", "0", "1", "true", "17", "\x00", "\ud83d", "\ud83d\ude00", "\u0344" * 9, "é", "x" * LONG, "m_" + "y" * 600,
    "1768467600", "1768467600000", "2026-01-15T09:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    "https://x", "javascript:1", [], {}, [[]], [{}], {"id": 1}, {"id": "2"}, {"data": []}, {"mid": "m_1"},
)  # fmt: skip


def loads(raw: bytes) -> Any:
    """The JSON value. Raises ValueError or RecursionError."""
    return json.loads(raw)


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of every value inside, outermost first."""
    found: list[tuple[Any, Any]] = []
    heap = [value]
    while heap and len(found) < LONG:
        one = heap.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            found.append((one, key))
            heap.append(one[key])
    return found


def change(raw: bytes, seed: int, words: tuple[str, ...], most: int) -> bytes | None:
    """The input with one to four values changed; None when it is no JSON, or has no place to change."""
    random = Random(seed)
    try:
        value = loads(raw)
        for _ in range(random.choice((1, 1, 2, 4))):
            spots = places(value)
            if not spots:
                return None
            _change_one(random, spots, words)
        told = json.dumps(value, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
    except (ValueError, RecursionError):
        return None
    return told if len(told) <= most else None


def _change_one(random: Random, spots: list[tuple[Any, Any]], words: tuple[str, ...]) -> None:
    container, key = random.choice(spots)
    kind = random.randrange(8)
    if kind < 3:
        container[key] = _fresh(random, words)
    elif kind == 3:
        container.pop(key)
    elif kind == 4:
        other, there = random.choice(spots)
        container[key] = json.loads(json.dumps(other[there]))  # a copy: never a circle
    elif kind == 5 and isinstance(container, list):
        container.append(json.loads(json.dumps(container[key])))
    elif kind == 6 and isinstance(container, dict):
        container[random.choice(words)] = container.pop(key)
    else:
        container[key] = _bent(random, container[key], words)


def _fresh(random: Random, words: tuple[str, ...]) -> Any:
    if random.random() < 0.3:
        return {random.choice(words): _value(random)}
    return random.choice(words) if random.random() < 0.2 else _value(random)


def _value(random: Random) -> Any:
    value = random.choice(VALUES)
    return json.loads(json.dumps(value)) if isinstance(value, (list, dict)) else value


def _bent(random: Random, value: Any, words: tuple[str, ...]) -> Any:
    """Something near: a longer text, another number, one level deeper."""
    if isinstance(value, str):
        at = random.randrange(len(value) + 1)
        return value[:at] + random.choice((*words, "\x00", "\ud800", "\u0301", " ", "\n")) + value[at:]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value * random.choice((-1, 10, 1000, 0.001)) if abs(value) < 1e300 else str(value)
    return random.choice(([value], {"x": value}, str(value)[:LONG]))
