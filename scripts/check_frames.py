"""Checks that examples are written, not multiplied: no two of an intent share a frame of six consecutive words, and no
sentence stands twice, be it under two intents.

    python scripts/check_frames.py data/nlu.yml
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FRAME = 6
SHOWN = 40


@dataclass(frozen=True)
class Example:
    """A training sentence and where it stands."""

    line: int
    intent: str
    words: tuple[str, ...]


def plain_words(sentence: str) -> tuple[str, ...]:
    """Lower case, no accents, no entity marks: what makes two sentences the same frame."""
    sentence = re.sub(r"\[([^\]]*)\](\([^)]*\)|\{[^}]*\})", r"\1", sentence)
    bare = "".join(c for c in unicodedata.normalize("NFD", sentence.lower()) if not unicodedata.combining(c))
    return tuple(re.findall(r"[^\W_]+", bare))


def examples(path: Path) -> Iterator[Example]:
    """The examples of every intent, read line by line so that the numbers are those of the file."""
    intent = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if found := re.match(r"\s*- (intent|lookup|synonym|regex):\s*(\S+)", line):
            intent = found[2] if found[1] == "intent" else None
        elif intent and (found := re.match(r"\s+- (.*\S)", line)):
            yield Example(number, intent, plain_words(found[1]))


def shared_frames(found: list[Example]) -> Iterator[str]:
    """One line for each frame that two examples of an intent share."""
    where: dict[tuple[str, tuple[str, ...]], dict[int, None]] = defaultdict(dict)
    for example in found:
        for start in range(len(example.words) - FRAME + 1):
            where[example.intent, example.words[start : start + FRAME]][example.line] = None
    told: set[tuple[int, ...]] = set()
    for (intent, frame), lines in where.items():
        if len(lines) > 1 and tuple(lines) not in told:
            told.add(tuple(lines))
            yield f"lignes {', '.join(map(str, lines))} ({intent}) : « {' '.join(frame)} »"


def duplicates(found: list[Example]) -> Iterator[str]:
    """One line for each sentence that stands twice."""
    where: dict[tuple[str, ...], list[Example]] = defaultdict(list)
    for example in found:
        if example.words:
            where[example.words].append(example)
    for words, same in where.items():
        if len(same) > 1:
            intents = " / ".join(dict.fromkeys(e.intent for e in same))
            yield f"lignes {', '.join(str(e.line) for e in same)} ({intents}) : « {' '.join(words)} », en double"


def main(path: Path) -> int:
    """Print what is wrong; 1 when something is."""
    found = list(examples(path))
    wrong = [*duplicates(found), *shared_frames(found)]
    for line in wrong[:SHOWN]:
        print(f"{path} : {line}")
    if len(wrong) > SHOWN:
        print(f"… et {len(wrong) - SHOWN} autres.")
    print(f"{path} : {len(found)} exemples, {len(wrong)} doublons ou cadres de {FRAME} mots partagés.")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
