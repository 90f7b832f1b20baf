"""What in a message says that somebody is in danger: up to three short quotes of the person's own words.

Pure. Only for messages that raise an alarm: it costs several times what looking for a danger does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from bot.policy.emergency import CLOSE, Detection, edges
from bot.policy.lexicon import Lexicon
from bot.policy.lexicon_trace import HIT, Span
from bot.policy.normalise import BOUNDARIES, HARD, Placed, normalise, placed
from bot.policy.score import LinearScore

MOST = 3  # quotes
WIDEST = 80  # characters of one
NEAR = 2  # words between two that are told as one
_WORDS = 6  # that push most: as many are quoted at most
_SHORT = 12  # words of a message that is quoted whole
_LONG = 600  # words: only forged messages have more
_LEAST = 0.15  # of what the heaviest adds: what adds less says nothing
_EDGES = ' \t.,;:!?…«»"“”()[]*_-–\u00a0\u202f'


@dataclass(frozen=True)
class _Said:
    """A text and its words with their places; `words`: without boundaries, numbers into `all`."""

    text: str
    all: Sequence[Placed]
    words: Sequence[int]


def quotes(text: str, detection: Detection, lexicon: Lexicon, score: Optional[LinearScore]) -> tuple[str, ...]:
    """The words by which that detector saw a danger in the text; () where it cannot be told.

    Of what the engine saw, the words that push the score: the engine's own reasons are told by `of_pieces`.
    """
    said = _said(text)
    if detection.by == "lexicon":
        return _lexicons(said, lexicon) or _whole(said)
    return _scores(said, score) if score is not None else ()


def of_pieces(text: str, pieces: Iterable[tuple[str, float]]) -> tuple[str, ...]:
    """The words of the text that pieces of it with a weight (of `Engine.explain`) speak of; () where none is found."""
    said = _said(text)
    weights: dict[str, float] = {}
    for piece, weight in pieces:
        told = normalise(piece).split()
        for word in told:
            weights[word] = weights.get(word, 0.0) + weight / len(told)
    heavy = {at: weights[said.all[at][0]] for at in said.words if weights.get(said.all[at][0], 0.0) > 0.0}
    return _heaviest(said, heavy)


def _said(text: str) -> _Said:
    text = edges(text, CLOSE)
    found = placed(text)
    return _Said(text, found, [at for at, one in enumerate(found) if one[0] not in BOUNDARIES])


def _lexicons(said: _Said, lexicon: Lexicon) -> tuple[str, ...]:
    spans: list[Span] = []
    # Of a text that is made to take long, what speaks for it is enough.
    for hit in lexicon.entries_in(said.text)[: MOST if len(said.words) < _LONG else 1]:
        spans += [span for span in _met(said, lexicon, hit.entry) if span not in spans]
    return _quoted(said, _joined(said, spans)[:MOST])


def _whole(said: _Said) -> tuple[str, ...]:
    """A short message, all of it: what tells a danger by what was said before it is not met by any entry."""
    return _quoted(said, [(said.words[0], said.words[-1])]) if 0 < len(said.words) <= _SHORT else ()


def _met(said: _Said, lexicon: Lexicon, name: str) -> list[Span]:
    """The words that met an entry: of its pattern where it stands, and of each list of its company the nearest."""
    words = [one[0] for one in said.all]
    trace = lexicon.trace(words, name)
    hits = sorted((span for part, span in trace if part == HIT), key=lambda span: (span[0], -span[1]))
    if not hits:
        return []
    first = _standing(words, hits, lexicon, name)
    company: dict[int, Span] = {}
    for part, span in trace:
        if part != HIT and (part not in company or _apart(first, span) < _apart(first, company[part])):
            company[part] = span
    return [first, *company.values()]


def _standing(words: Sequence[str], hits: Sequence[Span], lexicon: Lexicon, name: str) -> Span:
    """The first of these in whose own sentence the entry stands, each sentence being read once; else the first."""
    begin = 0
    for end in [at for at, word in enumerate(words) if word == HARD] + [len(words)]:
        inside = next((span for span in hits if begin <= span[0] < end), None)
        if inside is not None and lexicon.stands(words[begin:end], name):
            return inside
        begin = end + 1
    return hits[0]


def _apart(one: Span, other: Span) -> int:
    return max(one[0], other[0]) - min(one[1], other[1])


def _scores(said: _Said, score: LinearScore) -> tuple[str, ...]:
    window, shares = score.pushing(said.text)
    words = [said.all[at][0] for at in said.words]
    begin = next((at for at in range(len(words)) if tuple(words[at : at + len(window)]) == window), None)
    if begin is None or not window:
        return ()
    return _heaviest(said, {said.words[begin + at]: share for at, share in enumerate(shares) if share > 0.0})


def _heaviest(said: _Said, weights: Mapping[int, float]) -> tuple[str, ...]:
    """Quotes of the words that weigh most, neighbours as one; those of the heaviest in the order of the text."""
    if not weights:
        return ()
    least = _LEAST * max(weights.values())
    ranked = sorted((at for at in weights if weights[at] >= least), key=lambda at: (-weights[at], at))[:_WORDS]
    groups = _joined(said, [(at, at) for at in ranked])
    heavy = {span: sum(weights.get(at, 0.0) for at in range(span[0], span[1] + 1)) for span in groups}
    return _quoted(said, sorted(sorted(groups, key=lambda span: -heavy[span])[:MOST]))


def _joined(said: _Said, spans: Iterable[Span]) -> list[Span]:
    """Spans that touch, or nearly do, as one; in the order of the text. A sentence's end parts them."""
    found: list[Span] = []
    for span in sorted(spans):
        last = found[-1] if found else None
        if last is not None and _together(said, last, span):
            found[-1] = (last[0], max(last[1], span[1]))
        else:
            found.append(span)
    return found


def _together(said: _Said, last: Span, span: Span) -> bool:
    between = [said.all[at][0] for at in range(last[1] + 1, span[0])]
    return len(between) <= NEAR and not any(token in BOUNDARIES for token in between)


def _quoted(said: _Said, spans: Iterable[Span]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for first, last in spans:
        words = " ".join(said.text[said.all[first][1] : said.all[last][2]].split()).strip(_EDGES)
        if len(words) > WIDEST:
            words = words[: WIDEST - 1].rstrip() + "…"
        found[words] = None
    return tuple(found)
