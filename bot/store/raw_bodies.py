"""Webhook bodies as they came: one may hold messages of several people, and what is of one of them is told apart here."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any


def mentions(raw: bytes, person: str) -> bool:
    """Whether a body names a person by their id, or may: what is no JSON is judged by its letters."""
    if person.encode() not in raw:
        return False
    body = _read(raw)
    return True if body is None else _named(body, {person})


def without(raw: bytes, people: Collection[str]) -> bytes | None:
    """The body less every item that names one of these people; None: nothing of anybody else is left."""
    body = _read(raw)
    left = None if body is None else _cut(body, set(people), keep=False)
    return None if left is None or _named(left, set(people)) else json.dumps(left, ensure_ascii=False).encode()


def only(raw: bytes, person: str) -> Any:
    """The body's items that name a person, in their entries; None when it names them in no item."""
    body = _read(raw)
    return None if body is None else _cut(body, {person}, keep=True)


def ids(raw: bytes, person: str) -> set[str]:
    """Every text in a person's items, their message ids among them."""
    return {one for one in _scalars(only(raw, person)) if isinstance(one, str)}


def _read(raw: bytes) -> Any:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _cut(body: dict[str, Any], people: set[str], keep: bool) -> dict[str, Any] | None:
    """The body with the items of its entries that name these people (`keep`), or with the others; None: none is left."""
    entries = [one for entry in _list(body.get("entry")) if (one := _cut_entry(entry, people, keep)) is not None]
    return {**body, "entry": entries} if entries else None


def _cut_entry(entry: Any, people: set[str], keep: bool) -> dict[str, Any] | None:
    if not isinstance(entry, dict):
        return None
    lists = {
        name: [item for item in items if _named(item, people) is keep]
        for name, items in entry.items()
        if isinstance(items, list)
    }
    rest = {name: value for name, value in entry.items() if name not in lists}
    full = {name: items for name, items in lists.items() if items}
    return {**rest, **full} if full else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _named(value: Any, people: set[str]) -> bool:
    return any(str(one) in people for one in _scalars(value))


def _scalars(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
        else:
            yield one
