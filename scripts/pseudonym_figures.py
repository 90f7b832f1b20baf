"""How much personal data the pseudonymiser finds, by kind, on `tests/gold/pseudonymes.jsonl`, and what it replaces in vain.

    python scripts/pseudonym_figures.py [--half writing|measuring] [--misses] [--rules]

The rules were written with the first half in view (`writing`); the second (`measuring`) was never looked into while writing them.
A piece counts as found when no letter or digit of it is left. `--misses` (first half only) lists what is left, and what is replaced
where nothing is personal. `--rules`: without spaCy's model.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bot.trainer.pseudonyms import Pseudonymiser
from bot.trainer.pseudonyms_kinds import Span

GOLD = Path(__file__).resolve().parent.parent / "tests" / "gold" / "pseudonymes.jsonl"


@dataclass
class Figures:
    """Counts of pieces: `wanted` and `found` by kind, `put` and `right` (replaced pieces, and those among them that hold personal
    data) by kind; messages: `clean` (nothing personal), `touched` (of these, something was replaced)."""

    wanted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    put: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    clean: int = 0
    touched: int = 0
    misses: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """Over all kinds."""
        return self.found.total() / self.wanted.total()

    def recall_of(self, kind: str) -> float:
        """Of one kind."""
        return self.found[kind] / self.wanted[kind]


def rows(half: str | None = None) -> list[dict[str, Any]]:
    """The messages of one half, or of both."""
    read = [json.loads(line) for line in GOLD.read_text(encoding="utf-8").splitlines()]
    return [row for row in read if half in (None, row["half"])]


def measure(pseudonymiser: Pseudonymiser, messages: Iterable[dict[str, Any]]) -> Figures:
    """Find personal data in every message, and count."""
    figures = Figures()
    for row in messages:
        _count(figures, row["text"], row["spans"], pseudonymiser.find(row["text"]))
    return figures


def _count(figures: Figures, text: str, wanted: Sequence[dict[str, Any]], found: Sequence[Span]) -> None:
    covered = {index for span in found for index in range(span.start, span.end)}
    personal = {index for piece in wanted for index in range(piece["start"], piece["end"])}
    figures.clean += not wanted
    figures.touched += bool(found) and not wanted
    for piece in wanted:
        figures.wanted[piece["kind"]] += 1
        left = [i for i in range(piece["start"], piece["end"]) if text[i].isalnum() and i not in covered]
        figures.found[piece["kind"]] += not left
        if left:
            figures.misses.append(f"- {piece['kind']:9}{text[piece['start'] : piece['end']]!r} dans {text!r}")
    for span in found:
        figures.put[span.kind.value] += 1
        right = any(index in personal for index in range(span.start, span.end))
        figures.right[span.kind.value] += right
        if not right:
            figures.misses.append(f"+ {span.kind.value:9}{text[span.start : span.end]!r} dans {text!r}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("writing", "measuring"), default="measuring")
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--rules", action="store_true")
    chosen = parser.parse_args()
    pseudonymiser = Pseudonymiser(model=not chosen.rules)
    began = time.perf_counter()
    pseudonymiser.find("Bonjour, je suis Karim.")
    start = time.perf_counter() - began
    messages, began = rows(chosen.half), time.perf_counter()
    figures = measure(pseudonymiser, messages)
    each = (time.perf_counter() - began) / len(messages)
    print(f"{'kind':10}{'recall':>16}{'precision':>18}")
    for kind in sorted(figures.wanted):
        put, right = figures.put[kind], figures.right[kind]
        print(
            f"{kind:10}{figures.found[kind]:5}/{figures.wanted[kind]:<4}{figures.recall_of(kind):6.1%}"
            f"{right:8}/{put:<4}{right / put if put else 0:6.1%}"
        )
    print(f"all: recall {figures.recall:.1%}, precision {figures.right.total() / figures.put.total():.1%}")
    print(f"messages with nothing personal: {figures.touched} of {figures.clean} touched")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"start {start:.1f} s, {each * 1000:.1f} ms a message, {memory} MB at most")
    if chosen.misses and chosen.half == "writing":
        print(*figures.misses, sep="\n")


if __name__ == "__main__":
    main()
