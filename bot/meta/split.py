"""Splitting a text under the platform's limit: at paragraphs, lines, sentences, spaces; only then between characters.

What a person sees as one character (an emoji with its skin tone, a letter with its accents, a flag) stays whole.
White space where the text was cut is dropped; nothing else is. The same text is always cut in the same way.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from bot.core.messages import Platform
from bot.meta.limits import text_limit, text_size

# No-break spaces are no place to cut: « Bonjour ! » keeps its mark.
_SPACE = " \t\n\r"
_CUTS = tuple(re.compile(p) for p in (r"\n[ \t]*\n", r"\n", r"[.!?…][»\"”’)\]]*[ \t]", r"[ \t]"))
_URL = re.compile(r"(?:https?://|www\.)\S+")
_JOINER = "\u200d"


def _extends(c: str) -> bool:
    """Whether this code point belongs to the character before it."""
    return (
        unicodedata.category(c) in ("Mn", "Me", "Mc")
        or c in (_JOINER, "\u200c")
        or "\U0001f3fb" <= c <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= c <= "\U000e007f"  # tags, for the flags of regions
        or "\u1160" <= c <= "\u11ff"  # Hangul vowels and finals
    )


def _flag(c: str) -> bool:
    return "\U0001f1e6" <= c <= "\U0001f1ff"


def graphemes(text: str) -> Iterator[str]:
    """What a person sees as characters, close to Unicode's extended grapheme clusters."""
    cluster = ""
    for c in text:
        joined = cluster and (
            (_extends(c) and cluster[-1] not in "\r\n")  # nothing joins the end of a line
            or cluster.endswith(_JOINER)
            or (cluster == "\r" and c == "\n")
            or (len(cluster) == 1 and _flag(cluster) and _flag(c))
        )
        if cluster and not joined:
            yield cluster
            cluster = ""
        cluster += c
    if cluster:
        yield cluster


def truncate(text: str, characters: int) -> str:
    """At most `characters` code points, never half of what a person sees as one character."""
    return _fitting(graphemes(text), characters, len) if len(text) > characters else text


def _fitting(pieces: Iterable[str], limit: int, size: Callable[[str], int]) -> str:
    """The longest run of first pieces within the limit."""
    taken, used = [], 0
    for piece in pieces:
        used += size(piece)
        if used > limit:
            break
        taken.append(piece)
    return "".join(taken)


def _cut(head: str, text: str) -> int:
    """Where to end a part, given the longest `head` of `text` that fits."""
    # One more character: a separator that stands just behind the head costs nothing.
    window = text[: len(head) + 1]
    for pattern in _CUTS:
        ends = [end for end in (m.end() for m in pattern.finditer(window)) if not _extends(text[end : end + 1] or " ")]
        # A nicer cut is not worth a part that is nearly empty.
        if ends and (ends[-1] * 2 >= len(head) or pattern is _CUTS[-1]) and window[: ends[-1]].strip(_SPACE):
            return ends[-1]
    for url in _URL.finditer(text[: len(head) + 12]):
        if 0 < url.start() < len(head) < url.end():
            return url.start()
    return len(head)


def _left(text: str) -> str:
    """Without the white space in front, but for the one that an accent stands on."""
    bare = text.lstrip(_SPACE)
    before = text[: len(text) - len(bare)][-1:]
    return before + bare if before in (" ", "\t") and bare and _extends(bare[0]) else bare


def split(text: str, platform: Platform) -> list[str]:
    """The parts to send, in order; empty for a text of white space alone."""
    limit = text_limit(platform)

    def size(piece: str) -> int:
        return text_size(piece, platform)

    parts: list[str] = []
    rest = text.strip(_SPACE)
    while size(rest) > limit:
        # A code point is at least one unit, so no more than `limit` of them can fit: keeps long texts linear.
        ahead = rest[: limit + 1]
        head = _fitting(graphemes(ahead), limit, size) or _fitting(ahead, limit, size)
        end = _cut(head, rest)
        part = rest[:end].rstrip(_SPACE)
        if part:
            parts.append(part)
        rest = _left(rest[end:])
    return [*parts, rest] if rest else parts
