"""The payloads that we send ourselves, and only these are executed; any other tap is read by its title."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from rasa.shared.constants import DEFAULT_NLU_FALLBACK_INTENT_NAME
from rasa.shared.core.constants import DEFAULT_INTENTS
from rasa.shared.core.domain import Domain

_SHAPE = re.compile(r"/([A-Za-z0-9_]{1,80})(\{.{0,400}\})?")

Tap = tuple[str, dict[str, str]]


class Payloads:
    """Every button of the domain's responses, plus what menus and questions make from data:
    `/intent` for an intent of ours, and `/intent{"entity": "value"}` for a value that the lookups know."""

    def __init__(self, domain: Domain, values: Mapping[str, frozenset[str]]) -> None:
        self._buttons = frozenset(_buttons(domain))
        self._intents = frozenset(domain.intents) - set(DEFAULT_INTENTS) - {DEFAULT_NLU_FALLBACK_INTENT_NAME}
        self._entities = frozenset(domain.entities)
        self._values = values

    def read(self, payload: Any) -> Optional[Tap]:
        """Intent and entities of a payload of ours, None for any other."""
        tap = parse(payload)
        if tap is None or tap[0] not in self._intents:
            return None
        if payload in self._buttons or all(self._offered(name, value) for name, value in tap[1].items()):
            return tap
        return None

    def _offered(self, entity: str, value: str) -> bool:
        return entity in self._entities and value in self._values.get(entity, ())


def parse(payload: Any) -> Optional[Tap]:
    """`/intent{"entity": "value"}` taken apart; None if it has not that shape."""
    match = _SHAPE.fullmatch(payload) if isinstance(payload, str) else None
    if not match:
        return None
    try:
        entities = json.loads(match.group(2) or "{}")
    except ValueError:
        return None
    if not all(isinstance(value, str) for value in entities.values()):
        return None
    return match.group(1), entities


def _buttons(domain: Domain) -> Iterator[str]:
    for variations in domain.responses.values():
        for variation in variations:
            for button in [*(variation.get("buttons") or []), *(variation.get("quick_replies") or [])]:
                if isinstance(button.get("payload"), str):
                    yield button["payload"]
