"""Checks that the measuring sets measure: no message of `tests/gold/` stands, or nearly stands, in the training data or
twice in the sets, and every row's intents and route are those of the table.

    python scripts/check_gold.py [--json] [--gold tests/gold] [FILE …]
                                  without a file: data/nlu.yml and data/fonds/*.yml

Two messages are compared by how their words sound, SMS spelling undone, so that « koman porté plinte » is « comment porter
plainte ». `--json` lists instead, as one JSON array, every training line that is too near a message of the sets.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bot.policy.intents import DANGER_INTENTS, INTENTS
from bot.policy.normalise import normalise, sound
from scripts.examples import examples, files

COLUMNS = ["text", "intent", "second", "route"]
NEAR = 0.7
FEWEST = 4  # shorter messages are compared whole: « mon chat » and « mon chien » share half of their words


@dataclass(frozen=True)
class Sentence:
    """A message and where it stands, with the key that makes two writings of it equal."""

    file: Path
    line: int
    text: str
    key: str
    words: frozenset[str]

    @property
    def where(self) -> str:
        """As editors open it."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Row:
    """A line of a measuring set."""

    sentence: Sentence
    intent: str
    second: str
    route: str


def sentence(file: Path, line: int, text: str) -> Sentence:
    """The text as its words sound; an emoji alone is its own key."""
    words = [sound(word) or word for word in normalise(text).split()]
    return Sentence(file, line, text, " ".join(words) or text.strip(), frozenset(words))


def training(paths: Iterable[Path]) -> Iterator[Sentence]:
    """The examples of every intent of the training data."""
    return (sentence(example.file, example.line, example.text) for example in examples(paths))


def gold(path: Path, wrong: list[str]) -> Iterator[Row]:
    """The rows of a measuring set; what is not a row goes to `wrong`."""
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    if lines[0].split("\t") != COLUMNS:
        wrong.append(f"{path}:1 : l’en-tête n’est pas {' '.join(COLUMNS)}")
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(COLUMNS) or not cells[0].strip():
            wrong.append(f"{path}:{number} : {len(cells)} colonnes au lieu de {len(COLUMNS)}, ou texte vide")
            continue
        yield Row(sentence(path, number, cells[0]), *cells[1:])


def misplaced(row: Row) -> str | None:
    """What contradicts the table of intents, or None."""
    if row.intent not in INTENTS:
        return f"intention inconnue « {row.intent} »"
    if row.second and (row.second not in INTENTS or row.second == row.intent):
        return f"seconde intention inconnue ou redite « {row.second} »"
    if row.route != (right := INTENTS[row.intent].route):
        return f"route « {row.route} », la table dit « {right} »"
    if row.intent in DANGER_INTENTS and row.second and row.second not in DANGER_INTENTS:
        return f"un danger n’admet pas « {row.second} » : il passerait pour compris sans urgence"
    return None


class Index:
    """Sentences by key and by word, to find those that are near another."""

    def __init__(self, sentences: Iterable[Sentence] = ()) -> None:
        """Index what is given; `add` takes more."""
        self._count = 0
        self._keys: dict[str, list[Sentence]] = defaultdict(list)
        self._words: dict[str, list[Sentence]] = defaultdict(list)
        for each in sentences:
            self.add(each)

    def __len__(self) -> int:
        """How many sentences are held."""
        return self._count

    def add(self, new: Sentence) -> None:
        """Hold one more sentence."""
        self._count += 1
        self._keys[new.key].append(new)
        if len(new.words) >= FEWEST:
            for word in new.words:
                self._words[word].append(new)

    def near(self, one: Sentence) -> list[Sentence]:
        """The sentences that are equal or nearly equal to this one, equal ones first."""
        found = dict.fromkeys(self._keys.get(one.key, ()))
        if len(one.words) >= FEWEST:
            # Whoever shares 70 % of all words shares one of the rarest of ours: only these need be looked up.
            rarest = sorted(one.words, key=lambda word: len(self._words.get(word, ())))
            needed = len(rarest) - math.ceil(NEAR * len(rarest)) + 1
            others = dict.fromkeys(other for word in rarest[:needed] for other in self._words.get(word, ()))
            found |= dict.fromkeys(other for other in others if _alike(one.words, other.words))
        return list(found)


def _alike(one: frozenset[str], other: frozenset[str]) -> bool:
    return len(one & other) >= NEAR * len(one | other)


def report(paths: Sequence[Path], folder: Path) -> tuple[list[str], list[dict[str, object]], str]:
    """What is wrong, one line each; the training lines that are too near; what was read."""
    wrong: list[str] = []
    close: list[dict[str, object]] = []
    learned, seen, counts = Index(training(paths)), Index(), Counter[str]()
    for path in sorted(folder.glob("*.tsv")):
        for row in gold(path, wrong):
            one = row.sentence
            counts[path.name] += 1
            if problem := misplaced(row):
                wrong.append(f"{one.where} : {problem}")
            for double in (doubles := learned.near(one)) + seen.near(one)[:1]:
                wrong.append(f"{one.where} : « {one.text} » est déjà en {double.where} : « {double.text} »")
            close += [
                {"file": str(d.file), "line": d.line, "text": d.text, "gold": one.where, "gold_text": one.text}
                for d in doubles
            ]
            seen.add(one)
    told = ", ".join(f"{name} {count}" for name, count in counts.items()) or f"{folder} ne contient aucun jeu"
    if not counts or not len(learned):
        wrong.append(f"Rien à comparer : {told}, {len(learned)} exemples d’entraînement")
    return wrong, close, f"{told} ; {len(learned)} exemples d’entraînement ; {len(wrong)} lignes à reprendre."


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong; 1 when something is, or when a set is empty."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--gold", type=Path, default=Path("tests/gold"))
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    wrong, close, read = report(options.files or files(), options.gold)
    print(json.dumps(close, ensure_ascii=False, indent=1) if options.json else "\n".join([*wrong, read]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
