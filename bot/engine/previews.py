"""What stands in place of a general reply where no question is sure: the nearest ones, with what answers them.

« Voici … » / « <question> » <answer> / « Ou peut-être : <question> » <answer> / « <question> » <beginning> / « Ce n’est pas … »:
the person reads the answer that was meant, in one message or in two, or taps another question. Where the first one is of another
trade than the message they are shown with their beginnings alone, as by a model of before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from rasa.shared.core.domain import Domain

from bot.core.catalogue import link_of, said
from bot.engine.payloads import UTTER, wordings
from bot.policy.beginnings import beginning
from bot.policy.questions import MOST_OFFERED, OPENING

CLOSING = "utter_question_proches_fin"
CLOSING_WHOLE = "utter_question_proches_autre"  # where answers stand as a whole
BESIDE = "utter_question_aussi"  # before the question that is told behind the answer to another
LONGEST = 700  # characters of the whole text: what one message holds, with room for the lines that are added to it
LONGEST_WHOLE = 880  # with whole answers in it: what is longer goes out as two messages


@dataclass(frozen=True)
class Preview:
    """A message, and the pages that it names (title, address)."""

    text: str
    pages: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class _Question:
    name: str
    heading: str
    beginning: str
    answer: str
    whole: str
    pages: tuple[tuple[str, str], ...]


class Previews:
    """Of the questions of a domain, made once. False without words for them, as in a model of before."""

    def __init__(self, domain: Domain) -> None:
        self._opening, self._closing = _text(domain.responses.get(OPENING)), _text(domain.responses.get(CLOSING))
        self._beside = _text(domain.responses.get(BESIDE))
        self._closing_whole = _text(domain.responses.get(CLOSING_WHOLE))
        self._questions = {
            name: _question(name, wording, domain.responses[f"{UTTER}{name}"])
            for name, wording in wordings(domain).items()
        }

    def __bool__(self) -> bool:
        return bool(self._opening)

    def of(self, names: Sequence[str], whole: bool = False) -> tuple[Preview, ...]:
        """The messages for questions, the likeliest first; none if there are no words for any. Of beginnings that would be too
        long, the last questions stand alone."""
        found = [self._questions[name] for name in names if name in self._questions][:MOST_OFFERED]
        if not self or not found:
            return ()
        if whole and self._closing_whole and self._beside and found[0].name == names[0]:
            return self._whole(found)
        versions = (self._text(_lines(found, told)) for told in range(len(found), -1, -1))
        text = next((text for text in versions if len(text) <= LONGEST), "")
        return (Preview(text),) if text else ()

    def beside(self, name: str, room: int) -> str:
        """The line for a question behind the answer to another, in `room` bytes: with all of its answer, its beginning, or alone;
        "" without words for it, or if none fits."""
        one = self._questions.get(name)
        if one is None or not self._beside:
            return ""
        start = f"{self._beside} {one.heading}"
        lines = (f"{start} {told}".strip() for told in (one.answer, one.beginning, ""))
        return next((line for line in lines if len(line.encode()) <= room), "")

    def _whole(self, found: Sequence[_Question]) -> tuple[Preview, ...]:
        """The answers to the first two, and how the third begins, as far as there is room for it."""
        first, *others = found
        above = f"{self._opening}\n{first.heading}\n{first.whole}"
        if not others:
            return (Preview(f"{above}\n{self._closing_whole}", first.pages),)
        second, third = others[0], others[1:]
        start = f"{self._beside} {second.heading}\n{second.whole}"
        versions = (_lines(third, 1), _lines(third, 0), [])
        texts = ["\n".join((start, *lines, self._closing_whole)) for lines in versions]
        below = next((text for text in texts if len(text) <= LONGEST_WHOLE), texts[-1])
        if len(both := f"{above}\n{below}") <= LONGEST_WHOLE:
            return (Preview(both, tuple(dict.fromkeys((*first.pages, *second.pages)))),)
        return Preview(above, first.pages), Preview(below, second.pages)

    def _text(self, lines: Sequence[str]) -> str:
        return "\n".join(line for line in (self._opening, *lines, self._closing) if line)


def _lines(found: Sequence[_Question], told: int) -> list[str]:
    """A line a question, with the beginnings of the answers to the first `told`."""
    return [f"{one.heading} {one.beginning if at < told else ''}".strip() for at, one in enumerate(found)]


def _question(name: str, wording: str, variations: Sequence[Mapping[str, Any]]) -> _Question:
    answer, about = _text(variations), _general(variations).get("metadata") or {}
    link, title = str(about.get("link") or ""), str(about.get("link_title") or "")
    pages = ((link_of(link, title).title, link),) if link else ()
    heading = f"«\u00a0{wording}\u00a0»"
    return _Question(name, heading, beginning(answer), answer, said(answer, link, title), pages)


def _general(variations: Optional[Sequence[Mapping[str, Any]]]) -> Mapping[str, Any]:
    """The variation that is for everybody."""
    return next((one for one in variations or () if not one.get("condition")), {})


def _text(variations: Optional[Sequence[Mapping[str, Any]]]) -> str:
    return str(_general(variations).get("text") or "").strip()
