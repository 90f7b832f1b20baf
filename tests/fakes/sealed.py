"""Sealed values of rows, opened where they stand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.store.codec import Codec
from bot.store.places import BY_NAME


def opened(codec: Codec, name: str, row: Any) -> bytes:
    """What a whole row (`SELECT *`) holds in the column `name` (e.g. `events.body`)."""
    one, values = BY_NAME[name], row if isinstance(row, Mapping) else row._mapping
    return codec.open(values[one.column], one.bound, *one.of(values))


def opened_json(codec: Codec, name: str, row: Any) -> Any:
    """The same, of what is JSON."""
    return json.loads(opened(codec, name, row))
