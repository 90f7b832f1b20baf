"""Checks that examples are written, not multiplied: no two of an intent share a frame of six consecutive words, and no
sentence stands twice, be it under two intents or in two files.

    python scripts/check_frames.py [--json] [FILE …]      without a file: data/nlu.yml and data/fonds/*.yml

`--json` lists instead, as one JSON array, the lines whose removal settles everything, each with the line that is kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bot.core.errors import SetupError
from bot.trainer.checks import doubles
from scripts.examples import Example, examples, files

SHOWN = 40

Group = doubles.Group[Example]


def line(group: Group) -> str:
    """One line for the writer of the examples."""
    where = ", ".join(example.where for example in group.same)
    intents = " / ".join(dict.fromkeys(example.intent for example in group.same))
    return f"{where} ({intents}) : « {' '.join(group.words)} »{', en double' if group.whole else ''}"


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
    try:
        found = list(examples(options.files or files()))
    except SetupError as error:
        print(error)
        return 1
    wrong = [*doubles.duplicates(found), *doubles.shared_frames(found)]
    if options.json:
        print(json.dumps(surplus(wrong), ensure_ascii=False, indent=1))
        return 1 if wrong or not found else 0
    for group in wrong[:SHOWN]:
        print(line(group))
    if len(wrong) > SHOWN:
        print(f"… et {len(wrong) - SHOWN} autres.")
    print(f"{len(found)} exemples, {len(wrong)} doublons ou cadres de {doubles.FRAME} mots partagés.")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
