"""Words for the search: what a text is indexed under, what somebody looks for, where it was found.

Accents, case and inflection do not matter (« plaintes déposées » is found by « deposer plainte »); a word is met whole or
not at all. Linear in length; never raises. (`normalise` reads what a citizen meant; this reads what is written.)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import snowballstemmer

from bot.policy.wordindex import fold

LONGEST_TEXT = 20_000  # characters that are indexed and shown
LONGEST_WORD = 40
LONGEST_QUERY = 200
MOST_WORDS = 12
EXCERPT = 220  # characters shown of what was found

# Marks and what has no width, inside a word: « e » and its accent apart, a soft hyphen, a direction mark.
_INSIDE = "\u0300-\u036f\u00ad\u0640\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff"
_WORD = re.compile(rf"(?:aujourd|quelqu)['’](?:hui|une?)(?![^\W_])|[^\W_](?:[^\W_]|[{_INSIDE}])*", re.IGNORECASE)
_DROP = re.compile(f"[{_INSIDE}'’]")
_PARTS = re.compile(r"\d+|[^\W\d_]+")
_LIGATURES = str.maketrans({"œ": "oe", "æ": "ae", "ß": "ss", "ø": "o", "ł": "l", "đ": "d", "ı": "i"})
_DRAWN_OUT = re.compile(r"([^\W\d_e])\1{2,}|(e)e{3,}")  # « bonjouuur »; three e are « créée »
_FEMININE = re.compile("e{2,}(?=s?$)")  # « déposée », « créées »
# « frappent », « appellent »; « excellente » keeps company with « excellent », which ends alike.
_THIRD = re.compile("(?<=..)(ss|ll|[tnvpc]{1,2}|qu|ch)ente?s?$")
_THIRD_LENGTH = 7
_SHORTEST = 3

# Too frequent to tell one message from another; short, so that nothing meant is lost.
_STOP = """
    a ai au aux avec c ce ces cet cette d dans de des du elle elles en est et etait ete eu il ils j je l la le les leur
    leurs lui m ma mais me meme mes moi mon n ne ni nos notre nous on ont ou par pas pour qu que qui quoi s sa sans se ses
    si son sont suis sur t ta te tes toi ton tu un une vos votre vous y
"""
STOP = frozenset(_STOP.split())

_snowball = snowballstemmer.stemmer("french")


@dataclass(frozen=True)
class Query:
    """What is looked for. `terms`, `without`: stems; `phrases`: plain words in a row, as stems.

    `plain`: the words as typed without accents, for what is nearest; `ignored`: words too frequent to look for.
    """

    terms: tuple[str, ...] = ()
    phrases: tuple[tuple[str, ...], ...] = ()
    without: tuple[str, ...] = ()
    without_phrases: tuple[tuple[str, ...], ...] = ()
    plain: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def reads(self) -> bool:
        """Whether the index alone cannot tell: the text has to be read."""
        return bool(self.phrases or self.without_phrases)


@dataclass(frozen=True)
class Part:
    """A piece of an excerpt; `hit`: it is what was looked for."""

    text: str
    hit: bool = False


def plain(word: str) -> str:
    """Lower case, no accents, nothing invisible."""
    word = _DROP.sub("", word.lower()).translate(_LIGATURES)
    if not word.isascii():
        word = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    return word


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """What the forms of one plain word share: frapper, frappée, frappent → frap."""
    if word.isdigit():
        return word
    shorter = fold(word)
    if shorter.endswith("y"):
        return shorter  # Snowball parts « payer » and « payé »
    if len(word) >= _THIRD_LENGTH and _THIRD.search(word):
        word = _THIRD.sub(r"\1", word)
    found = fold(_snowball.stemWord(_FEMININE.sub("e", word)))
    if len(found) >= _SHORTEST:
        return found
    return word[:-1] if len(word) > 2 and word[-1] in "sx" else word


@lru_cache(maxsize=50_000)
def _plain_words(chunk: str) -> tuple[str, ...]:
    """The plain words of one written word: 3ans → 3, ans."""
    drawn = _DRAWN_OUT.sub(lambda found: found[1] or found[2], plain(chunk[: LONGEST_WORD * 2]))
    return tuple(part[:LONGEST_WORD] for part in _PARTS.findall(drawn))


def _written(text: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """(start, end, plain words) of each written word."""
    for found in _WORD.finditer(text):
        yield found.start(), found.end(), _plain_words(found[0])


def words(text: str) -> list[str]:
    """The plain words of a text, in order."""
    return [word for _, _, some in _written(text[:LONGEST_TEXT]) for word in some]


def stems(text: str, whole: bool = False) -> frozenset[str]:
    """What a text is indexed under. `whole`: the too frequent words as well (names: « Le Bris »)."""
    return frozenset(stem(word) for word in words(text) if whole or word not in STOP)


# -- what somebody looks for ----------------------------------------------------------------------------------------

_ASKED = re.compile(
    r"""\s*(?P<minus>(?<!\S)[-−–](?=\S))?(?:["“”«»](?P<phrase>[^"“”«»]*)["“”«»]|(?P<word>[^\s"“”«»]+))"""
)


def parse(typed: str) -> Query:
    """Read what was typed: words that must all be there, « "…" » in a row, « -word » not there."""
    found: dict[str, dict[object, None]] = {name: {} for name in ("terms", "phrases", "without", "without_phrases")}
    plains: dict[str, None] = {}
    ignored: dict[str, None] = {}
    for asked in _ASKED.finditer(typed[:LONGEST_QUERY]):
        some = words(asked["phrase"] if asked["word"] is None else asked["word"])[:MOST_WORDS]
        in_a_row = tuple(stem(word) for word in some)
        kept = [word for word in some if word not in STOP]
        minus = bool(asked["minus"])
        phrase = len(some) > 1 and (asked["word"] is None or minus)  # « -porte-clés » excludes the two in a row
        if phrase and kept:
            found["without_phrases" if minus else "phrases"][in_a_row] = None
        if minus:
            found["without"].update(dict.fromkeys([] if phrase else map(stem, kept)))
            continue
        found["terms"].update(dict.fromkeys(map(stem, kept)))
        plains.update(dict.fromkeys(kept))
        if not phrase or not kept:
            ignored.update(dict.fromkeys(word for word in some if word in STOP))
    return Query(
        tuple(str(term) for term in found["terms"])[:MOST_WORDS],
        tuple(found["phrases"]),  # type: ignore[arg-type]
        tuple(str(term) for term in found["without"])[:MOST_WORDS],
        tuple(found["without_phrases"]),  # type: ignore[arg-type]
        tuple(plains)[:MOST_WORDS],
        tuple(ignored),
    )


# -- where it was found ---------------------------------------------------------------------------------------------


def _in_a_row(text_stems: Sequence[str], phrase: Sequence[str]) -> list[int]:
    """Where the phrase begins in the stems of a text."""
    first, length = phrase[0], len(phrase)
    return [
        at for at, one in enumerate(text_stems) if one == first and tuple(text_stems[at : at + length]) == tuple(phrase)
    ]


def says(query: Query, text: str) -> bool:
    """Whether the text holds each phrase and none of the excluded ones (the index told the rest)."""
    all_stems = [stem(word) for word in words(text)]
    return all(_in_a_row(all_stems, phrase) for phrase in query.phrases) and not any(
        _in_a_row(all_stems, phrase) for phrase in query.without_phrases
    )


def nearness(query: Query, text: str) -> float:
    """How near a text that was found comes: as it was typed, in that order, and little else."""
    there = words(text)
    if not there:
        return 0.0
    known = set(there)
    exact = sum(word in known for word in query.plain) / max(1, len(query.plain))
    all_stems = [stem(word) for word in there if word not in STOP]
    row = 1.0 if len(query.terms) > 1 and _in_a_row(all_stems, query.terms) else 0.0
    wanted = set(query.terms)
    dense = sum(one in wanted for one in all_stems) / max(1, len(all_stems))
    return 2 * exact + 2 * row + dense


def excerpt(query: Query, text: str, length: int = EXCERPT) -> tuple[Part, ...]:
    """About `length` characters around the first thing found, in pieces; on one line."""
    line = " ".join(text[:LONGEST_TEXT].split())
    hits = _hits(query, line)
    begin = max(0, hits[0][0] - length // 3) if hits and len(line) > length else 0
    if begin:
        begin = line.find(" ", begin, hits[0][0]) + 1 or begin
    end = min(len(line), begin + length)
    if end < len(line):
        cut = line.rfind(" ", begin, end)
        end = cut if cut > begin else end
    parts = [Part("…")] if begin else []
    at = begin
    for start, stop in hits:
        if start >= end:
            break
        at, before = min(stop, begin + length), at
        parts += [Part(line[before:start]), Part(line[start:at], True)]
    parts.append(Part(line[at : max(at, end)] + ("…" if end < len(line) and at < len(line) else "")))
    return tuple(part for part in parts if part.text)


def _hits(query: Query, line: str) -> list[tuple[int, int]]:
    """(start, end) of each written word that was looked for."""
    written = list(_written(line))
    flat = [(number, stem(word)) for number, (_, _, some) in enumerate(written) for word in some]
    wanted = set(query.terms)
    marked = {number for number, one in flat if one in wanted}
    all_stems = [one for _, one in flat]
    for phrase in query.phrases:
        for at in _in_a_row(all_stems, phrase):
            marked.update(number for number, _ in flat[at : at + len(phrase)])
    return [written[number][:2] for number in sorted(marked)]
