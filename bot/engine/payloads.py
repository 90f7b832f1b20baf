"""The payloads that we send ourselves, and only these are executed; any other tap is read by its title."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Optional

from rasa.shared.core.domain import Domain

from bot.policy import emergency_taps
from bot.policy.intents import STATEMENT
from bot.policy.questions import intent_of

_SHAPE = re.compile(r"/([A-Za-z0-9_]{1,80})(\{.{0,400}\})?")
_SUBJECTS = "utter_theme_"  # the menus' responses: their buttons name each subject
UTTER = "utter_"
QUESTION = "question"  # in a tap: the question of the catalogue that was chosen

Tap = tuple[str, dict[str, str]]

# What Messenger's own « Démarrer » button sends, by its usual name.
_OPENING: dict[str, Tap] = {"GET_STARTED": ("salutation", {})}
# The policy's own word for a message that is to be dealt with as a statement, whatever it sounds like.
_AS_STATEMENT: dict[str, Tap] = {f"/{STATEMENT}": (STATEMENT, {})}
# Under an emergency reply: the gateway says their words. One that came this far is no danger, nor a subject.
_EMERGENCY: dict[str, Tap] = dict.fromkeys(emergency_taps.TAPS, (STATEMENT, {}))


class Payloads:
    """Every button and quick reply of the domain's responses, by its exact letters, and the button that opens a talk."""

    def __init__(self, domain: Domain) -> None:
        ours = {payload: tap for _, button in _buttons(domain) if (tap := parse(payload := button["payload"]))}
        asked = {f"/{name}": (intent_of(name), {QUESTION: name}) for name in questions(domain)}
        self._taps = {**_OPENING, **_AS_STATEMENT, **asked, **ours, **_EMERGENCY}

    def read(self, payload: Any) -> Optional[Tap]:
        """Intent and entities of a payload of ours, None for any other."""
        return self._taps.get(payload) if isinstance(payload, str) else None


def titles(domain: Domain) -> dict[str, str]:
    """The title that the menus give each intent: questions and summaries name subjects so."""
    return {
        button["payload"][1:]: str(button["title"])
        for name, button in _buttons(domain)
        if name.startswith(_SUBJECTS) and "{" not in button["payload"]
    }


def questions(domain: Domain) -> dict[str, str]:
    """The title of each question of the catalogue (`intent/question`), by its name."""
    return {
        name[len(UTTER) :]: str((variations[0].get("metadata") or {}).get("title") or name[len(UTTER) :])
        for name, variations in domain.responses.items()
        if "/" in name and variations
    }


HEADING = "utter_question_probable"  # what stands above an answer that is only likely; its buttons lead elsewhere


def headings(domain: Domain) -> dict[str, str]:
    """What stands above the answer to each question that may be meant, by its name: HEADING with the question."""
    variations = domain.responses.get(HEADING) or [{}]
    words = str(variations[0].get("text") or "")
    return {name: words.replace("{question}", question) for name, question in wordings(domain).items()} if words else {}


def wordings(domain: Domain) -> dict[str, str]:
    """Each question of the catalogue as people would ask it, by its name."""
    return {
        name: str(about["question"])
        for name in questions(domain)
        if (about := domain.responses[f"{UTTER}{name}"][0].get("metadata") or {}).get("question")
    }


def choices(domain: Domain) -> dict[str, list[dict[str, str]]]:
    """The buttons of each response."""
    found: dict[str, list[dict[str, str]]] = {}
    for name, button in _buttons(domain):
        row = {"title": str(button["title"]), "payload": button["payload"]}
        if row not in found.setdefault(name, []):
            found[name].append(row)
    return found


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


def _buttons(domain: Domain) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each button with the name of its response."""
    for name, variations in domain.responses.items():
        for variation in variations:
            for button in [*(variation.get("buttons") or []), *(variation.get("quick_replies") or [])]:
                if isinstance(button.get("payload"), str) and button.get("title"):
                    yield name, button
