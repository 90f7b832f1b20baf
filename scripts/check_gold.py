"""Checks that the measuring sets measure: no message of `tests/gold/` stands, or nearly stands, in the training data or
twice in the sets, and every row's intents and route are those of the table.

    python scripts/check_gold.py [data/nlu.yml [tests/gold]]
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bot.policy.intents import DANGER_INTENTS, INTENTS

COLUMNS = ["text", "intent", "second", "route"]
NEAR = 0.7
FEWEST = 4  # shorter messages are compared whole: « mon chat » and « mon chien » share half of their words


@dataclass(frozen=True)
class Sentence:
    """A message and where it stands, with the key that makes two writings of it equal."""

    where: str
    text: str
    key: str
    words: frozenset[str]


@dataclass(frozen=True)
class Row:
    """A line of a measuring set."""

    sentence: Sentence
    intent: str
    second: str
    route: str


def sentence(where: str, text: str) -> Sentence:
    """The text without case, accents, punctuation; an emoji alone is its own key."""
    bare = "".join(c for c in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(c))
    words = re.findall(r"[^\W_]+", bare)
    return Sentence(where, text, " ".join(words) or text.strip(), frozenset(words))


def training(path: Path) -> Iterator[Sentence]:
    """The examples of every intent of the training data, without their entity marks."""
    inside = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if found := re.match(r"\s*- (intent|lookup|synonym|regex):", line):
            inside = found[1] == "intent"
        elif inside and (found := re.match(r"\s+- (.*\S)", line)):
            yield sentence(f"{path}:{number}", re.sub(r"\[([^\]]*)\](\([^)]*\)|\{[^}]*\})", r"\1", found[1]))


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
        yield Row(sentence(f"{path}:{number}", cells[0]), *cells[1:])


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
        self._all: list[Sentence] = []
        self._keys: dict[str, Sentence] = {}
        self._words: dict[str, list[int]] = defaultdict(list)
        for each in sentences:
            self.add(each)

    def __len__(self) -> int:
        """How many sentences are held."""
        return len(self._all)

    def add(self, new: Sentence) -> None:
        """Hold one more sentence."""
        for word in new.words:
            self._words[word].append(len(self._all))
        self._all.append(new)
        self._keys.setdefault(new.key, new)

    def near(self, one: Sentence) -> Sentence | None:
        """A sentence that is equal or nearly equal to this one."""
        if one.key in self._keys:
            return self._keys[one.key]
        if len(one.words) < FEWEST:
            return None
        shared = Counter(place for word in one.words for place in self._words.get(word, ()))
        for place, common in shared.most_common():
            if common / len(one.words) < NEAR:  # the union is no smaller than this set: the rest share too little
                return None
            other = self._all[place]
            if len(other.words) >= FEWEST and common >= NEAR * len(one.words | other.words):
                return other
        return None


def main(nlu: Path, folder: Path) -> int:
    """Print what is wrong; 1 when something is, or when a set is empty."""
    wrong: list[str] = []
    learned, seen, counts = Index(training(nlu)), Index(), Counter[str]()
    for path in sorted(folder.glob("*.tsv")):
        for row in gold(path, wrong):
            one = row.sentence
            counts[path.name] += 1
            if problem := misplaced(row):
                wrong.append(f"{one.where} : {problem}")
            if double := learned.near(one) or seen.near(one):
                wrong.append(f"{one.where} : « {one.text} » est déjà en {double.where} : « {double.text} »")
            seen.add(one)
    for line in wrong:
        print(line)
    told = ", ".join(f"{name} {count}" for name, count in counts.items()) or f"{folder} ne contient aucun jeu"
    print(f"{told} ; {len(learned)} exemples d’entraînement ; {len(wrong)} lignes à reprendre.")
    return 1 if wrong or not counts or not len(learned) else 0


if __name__ == "__main__":
    arguments = [Path(argument) for argument in sys.argv[1:]]
    sys.exit(main(*(arguments + [Path("data/nlu.yml"), Path("tests/gold")][len(arguments) :])))
