"""What stands in place of a general reply where no question is sure: the nearest ones, each with the beginning of its answer.

« Voici … » / « <question> » <beginning> / … / « Touchez … »: the person sees whether one of them is meant, and taps it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from rasa.shared.core.domain import Domain

from bot.engine.payloads import UTTER, wordings
from bot.policy.beginnings import beginning
from bot.policy.questions import MOST_OFFERED

OPENING, CLOSING = "utter_question_proches", "utter_question_proches_fin"
LONGEST = 700  # characters of the whole text: what one message holds, with room for the lines that are added to it


class Previews:
    """Of the questions of a domain, made once. False without words for them, as in a model of before."""

    def __init__(self, domain: Domain) -> None:
        self._opening, self._closing = _text(domain.responses.get(OPENING)), _text(domain.responses.get(CLOSING))
        self._questions = {
            name: (f"«\u00a0{question}\u00a0»", beginning(_text(domain.responses[f"{UTTER}{name}"])))
            for name, question in wordings(domain).items()
        }

    def __bool__(self) -> bool:
        return bool(self._opening)

    def text(self, names: Sequence[str]) -> str:
        """The text for questions, the likeliest first; "" if there are no words for any. Of what would be too long, the last
        questions stand alone."""
        found = [self._questions[name] for name in names if name in self._questions][:MOST_OFFERED]
        if not self or not found:
            return ""
        versions = (self._of(found, told) for told in range(len(found), -1, -1))
        return next((text for text in versions if len(text) <= LONGEST), "")

    def _of(self, found: Sequence[tuple[str, str]], told: int) -> str:
        """With the beginnings of the first `told`."""
        lines = [f"{question} {start if at < told else ''}".strip() for at, (question, start) in enumerate(found)]
        return "\n".join(line for line in (self._opening, *lines, self._closing) if line)


def _text(variations: Optional[Sequence[Mapping[str, Any]]]) -> str:
    """Of the variation that is for everybody."""
    found = next((one for one in variations or () if not one.get("condition")), {})
    return str(found.get("text") or "").strip()
