"""Checks that examples are written, not multiplied: no two of an intent share a frame of six consecutive words, and no
sentence stands twice, be it under two intents or in two files.

    python scripts/check_frames.py [--json] [FILE …]      without a file: data/nlu.yml and data/fonds/*.yml

`--json` lists instead, as one JSON array, the lines whose removal settles everything, each with the line that is kept.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.examples import Example, examples, files

FRAME = 6
SHOWN = 40

Words = tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Examples that are too alike, in order, and the words they share."""

    same: tuple[Example, ...]
    words: Words
    whole: bool  # the whole sentence, not a frame of it

    def __str__(self) -> str:
        """One line for the writer of the examples."""
        where = ", ".join(example.where for example in self.same)
        intents = " / ".join(dict.fromkeys(example.intent for example in self.same))
        return f"{where} ({intents}) : « {' '.join(self.words)} »{', en double' if self.whole else ''}"


def plain_words(sentence: str) -> Words:
    """Lower case, no accents: what makes two sentences the same frame."""
    bare = "".join(c for c in unicodedata.normalize("NFD", sentence.lower()) if not unicodedata.combining(c))
    return tuple(re.findall(r"[^\W_]+", bare))


def shared_frames(found: Sequence[Example]) -> Iterator[Group]:
    """Examples of one intent that share a frame; each set of them once."""
    where: dict[tuple[str, Words], dict[Example, None]] = defaultdict(dict)
    for example in found:
        words = plain_words(example.text)
        for start in range(len(words) - FRAME + 1):
            where[example.intent, words[start : start + FRAME]][example] = None
    told: set[tuple[Example, ...]] = set()
    for (_, frame), same in where.items():
        if len(same) > 1 and tuple(same) not in told:
            told.add(tuple(same))
            yield Group(tuple(same), frame, False)


def duplicates(found: Sequence[Example]) -> Iterator[Group]:
    """Sentences that stand more than once."""
    where: dict[Words, list[Example]] = defaultdict(list)
    for example in found:
        if words := plain_words(example.text):
            where[words].append(example)
    for words, same in where.items():
        if len(same) > 1:
            yield Group(tuple(same), words, True)


def surplus(groups: Sequence[Group]) -> list[dict[str, object]]:
    """The lines to remove: in each group, all but the first that is not removed already."""
    gone: dict[Example, dict[str, object]] = {}
    for group in groups:
        left = [example for example in group.same if example not in gone]
        for example in left[1:]:
            gone[example] = {
                "file": str(example.file),
                "line": example.line,
                "intent": example.intent,
                "text": example.text,
                "why": "duplicate" if group.whole else "frame",
                "same_as": left[0].where,
            }
    return list(gone.values())


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong; 1 when something is, or when there is no example."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    found = list(examples(options.files or files()))
    wrong = [*duplicates(found), *shared_frames(found)]
    if options.json:
        print(json.dumps(surplus(wrong), ensure_ascii=False, indent=1))
        return 1 if wrong or not found else 0
    for group in wrong[:SHOWN]:
        print(group)
    if len(wrong) > SHOWN:
        print(f"… et {len(wrong) - SHOWN} autres.")
    print(f"{len(found)} exemples, {len(wrong)} doublons ou cadres de {FRAME} mots partagés.")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
