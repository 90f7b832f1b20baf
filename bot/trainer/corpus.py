"""The training examples: read, and changed one line at a time.

`ruamel.yaml` says where each block and each example stands (`bot.core.yaml_text`); a change then touches the lines that it is
about and no other byte, so comments, order and style stay, and the change is a one-line diff (two for a move). After each change
the whole text is read again and must say exactly what was meant, before it is written.

**Where a new example goes.** The examples of an intent are a heap without order. Added at its end, two people's examples would
always meet at the same line and git would call it a conflict. So the place is chosen by the text: after the example whose hash,
taken together with the new text, is smallest (rendezvous hashing). It is the same on every machine, hardly depends on what else
was added, and spreads over the whole block. An undone change goes back to where it came from, if that neighbour is still there.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bot.core import yaml_text
from bot.core.clean import clean
from bot.core.examples import Block, Entity, bad_name, blocks, entities, without_marks
from bot.core.stamps import Stamp, stamp
from bot.core.yaml_text import Damaged
from bot.trainer.errors import BadFile, Changed, TrainerError
from bot.trainer.project import PATIENCE, Project

__all__ = [
    "Applied",
    "Corpus",
    "Entity",
    "Example",
    "Operation",
    "Prepared",
    "WordList",
    "apply",
    "bad_name",
    "entities",
    "must_be_short",
    "placed",
    "prepared",
    "without_marks",
]

NLU = "data/nlu.yml"
DOMAIN = "domain.yml"
BACKGROUND = "data/fonds"
_BACKGROUND_FILE = re.compile(r"data/fonds/[\w-]+\.yml")
LONGEST = 2_000  # characters of an example: what the engine reads of a message
FEWEST = 2  # examples below which an intent cannot be trained

Kind = Literal["add", "remove", "move", "edit"]


# -- What is read ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Example:
    """A training sentence. `marked`: as it stands in the file, with entity marks; `text`: without; `line` counts from one."""

    intent: str
    text: str
    marked: str
    file: str
    line: int


@dataclass(frozen=True)
class WordList:
    """A list of words. `kind`: synonym, lookup or regex; `name`: what they mean, or what they are."""

    kind: str
    name: str
    words: tuple[str, ...]
    file: str
    line: int


@dataclass(frozen=True)
class ExamplesFile:
    """A file of examples as text, and what it says."""

    name: str
    text: str
    blocks: tuple[Block, ...]

    @functools.cached_property
    def examples(self) -> tuple[Example, ...]:
        """Those of all intents, in the file's order."""
        return tuple(
            Example(block.name, without_marks(marked), marked, self.name, block.first + place)
            for block in self.blocks
            if block.kind == "intent"
            for place, marked in enumerate(block.items)
        )

    @functools.cached_property
    def lists(self) -> tuple[WordList, ...]:
        """Synonyms, lookups and regular expressions."""
        return tuple(
            WordList(block.kind, block.name, block.items, self.name, block.line)
            for block in self.blocks
            if block.kind != "intent"
        )


def read_file(name: str, text: str) -> ExamplesFile:
    """What a text says as a file of examples. Raises BadFile with line, column and a remedy."""
    try:
        return ExamplesFile(name, text, blocks(text))
    except Damaged as error:
        raise BadFile(name, error.what, error.remedy, error.line, error.column) from None


# -- The whole corpus ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corpus:
    """Every training example: those that trainers edit, then the background."""

    files: tuple[ExamplesFile, ...]

    @staticmethod
    def read(project: Project) -> Corpus:
        """The corpus as it stands; a file that has not changed is not read again. Blocks. Raises BadFile."""
        return _corpus(project, tuple((name, _stamp(project, name)) for name in _names(project)))

    @functools.cached_property
    def examples(self) -> Sequence[Example]:
        """Of all files."""
        return tuple(example for file in self.files for example in file.examples)

    @functools.cached_property
    def intents(self) -> tuple[str, ...]:
        """Every intent's name, in the order of `data/nlu.yml`, then of the background."""
        return tuple(
            dict.fromkeys(block.name for file in self.files for block in file.blocks if block.kind == "intent")
        )

    @functools.cached_property
    def lists(self) -> Sequence[WordList]:
        """Synonyms, lookups and regular expressions of all files."""
        return tuple(each for file in self.files for each in file.lists)

    @property
    def edited(self) -> ExamplesFile:
        """`data/nlu.yml`."""
        return self.files[0]

    def of(self, intent: str) -> list[Example]:
        """The examples of one intent."""
        return [example for example in self.examples if example.intent == intent]

    def holding(self, text: str) -> list[Example]:
        """The examples that say just this, in any intent; case, accents and punctuation count."""
        return [example for example in self.examples if example.text == text]


def _names(project: Project) -> list[str]:
    folder = project.path(BACKGROUND)
    return [NLU, *(f"{BACKGROUND}/{path.name}" for path in sorted(folder.glob("*.yml")))]


def _stamp(project: Project, name: str) -> Stamp:
    return stamp(project.path(name))


@functools.lru_cache(maxsize=4)
def _corpus(project: Project, stamps: tuple[tuple[str, Stamp], ...]) -> Corpus:
    return Corpus(tuple(_file(project, name, seen) for name, seen in stamps))


@functools.lru_cache(maxsize=128)
def _file(project: Project, name: str, _: Stamp) -> ExamplesFile:
    return read_file(name, project.read(name))


# -- Changes ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Operation:
    """One change to one example.

    add: `marked` to `intent`; remove: `marked` from `intent`; move: to `to_intent`; edit: it becomes `to_marked` (a move with
    `to_marked` does both). `after`: the example (as it stands in the file) that it shall follow, "" for the first place; None
    lets the text choose. `file` is another than `data/nlu.yml` only for removing.
    """

    kind: Kind
    intent: str
    marked: str
    to_intent: str | None = None
    to_marked: str | None = None
    file: str = NLU
    after: str | None = None

    @property
    def text(self) -> str:
        """What the example says afterwards, without marks."""
        return without_marks(self.result)

    @property
    def target(self) -> str:
        """The intent that has the example afterwards."""
        return self.to_intent or self.intent

    @property
    def result(self) -> str:
        """The example as it stands afterwards (of a removed one: as it stood)."""
        return self.to_marked or self.marked


@dataclass(frozen=True)
class Applied:
    """What was done. `operations`: as they were applied, tidied; `undoing`: what takes them back, in the order to apply it."""

    operations: tuple[Operation, ...]
    undoing: tuple[Operation, ...]


def tidy(marked: str) -> str:
    """An example as it stands in the file: one line, NFC, no controls, single spaces."""
    return re.sub(r"\s+", " ", yaml_text.STRANGE.sub(" ", clean(marked))).strip()


def apply(project: Project, operations: Iterable[Operation]) -> Applied:
    """Change the files as they are now: all of it, or nothing. Blocks.

    Raises Changed when an example to change is no longer there or the new one already is, BadFile when a file is damaged (it
    stays as it is), TrainerError for what cannot be an example.
    """
    with prepared(project, operations, PATIENCE) as ready:
        return ready.write()


@dataclass(frozen=True)
class Prepared:
    """Changes that fit the files as they are; nothing is written yet."""

    applied: Applied
    _project: Project
    _texts: Mapping[str, str]

    def write(self) -> Applied:
        """Write them: quick, since everything was checked. Blocks."""
        for name, text in self._texts.items():
            self._project.write(name, text)
        return self.applied


@contextlib.contextmanager
def prepared(project: Project, operations: Iterable[Operation], patience: float) -> Iterator[Prepared]:
    """As `apply`, in two steps: within this context the files stay locked (`patience` in seconds), and `write` writes. Blocks."""
    with project.lock(patience):
        yield _prepare(project, list(operations))


def _prepare(project: Project, operations: list[Operation]) -> Prepared:
    drafts: dict[str, Draft] = {}
    done: list[Operation] = []
    undoing: list[Operation] = []
    known = _known_entities(project, operations)
    for asked in operations:
        operation = check_operation(asked, known)
        if operation.file not in drafts:
            drafts[operation.file] = Draft(_file(project, operation.file, _stamp(project, operation.file)))
        undoing.insert(0, drafts[operation.file].change(operation))
        done.append(operation)
    texts = {name: draft.text() for name, draft in drafts.items()}
    return Prepared(Applied(tuple(done), tuple(undoing)), project, texts)


class Draft:
    """A file of examples under change: its lines, and what they should say; both are compared at the end."""

    def __init__(self, file: ExamplesFile) -> None:
        self._file = file
        self._lines = file.text.split("\n")
        self._blocks = list(file.blocks)
        self._holders: dict[str, list[tuple[str, str]]] = {}  # text → (intent, marked) of those that say it
        for each in file.examples:
            self._holders.setdefault(each.text, []).append((each.intent, each.marked))

    def change(self, operation: Operation) -> Operation:
        """Do one operation; returns the one that takes it back. Raises Changed, TrainerError; the draft is then lost."""
        intent, marked, target, after = operation.intent, operation.marked, operation.target, operation.result
        if operation.kind == "add":
            self._must_be_new(intent, marked)
            self._insert(intent, marked, operation.after)
            return replace(operation, kind="remove", after=None)
        if operation.kind == "remove":
            self._must_leave_enough(intent)
            return replace(operation, kind="add", after=self._remove(intent, marked))
        if operation.kind == "edit":
            self._rewrite(intent, marked, after)
            return replace(operation, marked=after, to_marked=marked, after=None)
        self._index(intent, marked)
        self._must_leave_enough(intent)
        before = self._remove(intent, marked)
        self._must_be_new(target, after)
        self._insert(target, after, operation.after)
        return Operation("move", target, after, intent, marked, operation.file, before)

    def text(self) -> str:
        """The text to write: it says exactly what was meant, and nothing else has changed. Raises TrainerError."""
        text = "\n".join(self._lines)
        if read_file(self._file.name, text).blocks != tuple(self._blocks):
            raise TrainerError(
                f"Ce changement ne s’écrit pas sans toucher à autre chose dans {self._file.name}. Rien n’a été changé.",
                "Écrivez l’exemple autrement.",
            )
        return text

    def _index(self, intent: str, marked: str) -> int:
        """Which of the blocks holds the example. Raises Changed."""
        for index, block in enumerate(self._blocks):
            if block.kind == "intent" and block.name == intent and marked in block.items:
                return index
        raise Changed(
            f"«\u00a0{short(marked)}\u00a0» n’est plus dans «\u00a0{intent}\u00a0»\u00a0: quelqu’un l’a changé ou retiré.",
            "Rien n’a été changé. Rechargez la page pour voir ce qu’il est devenu.",
        )

    def _block(self, intent: str) -> int:
        for index, block in enumerate(self._blocks):
            if block.kind == "intent" and block.name == intent:
                return index
        raise Changed(
            f"L’intention «\u00a0{intent}\u00a0» n’a pas d’exemples dans {self._file.name}.",
            "Rechargez la page\u00a0; si l’intention est nouvelle, créez-la d’abord.",
        )

    def _insert(self, intent: str, marked: str, after: str | None) -> None:
        index = self._block(intent)
        block = self._blocks[index]
        place = _place(block.items, marked, after)
        model = self._lines[block.first - 1] if block.items else "    " + self._lines[block.line - 1]
        start = _dash(model)
        self._lines.insert(block.first - 1 + place, start + marked)
        self._say(index, (*block.items[:place], marked, *block.items[place:]), 1)
        self._holders.setdefault(without_marks(marked), []).append((intent, marked))

    def _remove(self, intent: str, marked: str) -> str:
        """Returns what stood before it, "" if it was the first."""
        index = self._index(intent, marked)
        block = self._blocks[index]
        place = block.items.index(marked)
        del self._lines[block.first - 1 + place]
        self._say(index, (*block.items[:place], *block.items[place + 1 :]), -1)
        self._holders[without_marks(marked)].remove((intent, marked))
        return block.items[place - 1] if place else ""

    def _rewrite(self, intent: str, marked: str, after: str) -> None:
        index = self._index(intent, marked)
        block = self._blocks[index]
        place = block.items.index(marked)
        self._holders[without_marks(marked)].remove((intent, marked))
        self._must_be_new(intent, after)
        line = block.first - 1 + place
        self._lines[line] = _dash(self._lines[line]) + after
        self._say(index, (*block.items[:place], after, *block.items[place + 1 :]), 0)
        self._holders.setdefault(without_marks(after), []).append((intent, after))

    def _say(self, index: int, items: tuple[str, ...], more: int) -> None:
        """That block now says that; what stands below it has moved by that many lines."""
        self._blocks[index] = replace(self._blocks[index], items=items)
        if more:
            for place in range(index + 1, len(self._blocks)):
                block = self._blocks[place]
                self._blocks[place] = replace(block, line=block.line + more, first=block.first + more)

    def _must_leave_enough(self, intent: str) -> None:
        count = len(self._blocks[self._block(intent)].items)
        if self._file.name == NLU and count <= FEWEST:
            raise TrainerError(
                f"«\u00a0{intent}\u00a0» n’a plus que {count} exemples\u00a0: avec moins, Planton ne pourrait plus s’entraîner.",
                "Ajoutez-lui d’abord d’autres exemples.",
            )

    def _must_be_new(self, intent: str, marked: str) -> None:
        for holder, _ in self._holders.get(without_marks(marked), ()):
            raise Changed(
                f"«\u00a0{short(without_marks(marked))}\u00a0» est déjà un exemple de «\u00a0{holder}\u00a0».",
                "Il n’y a rien à faire."
                if holder == intent
                else "Un exemple n’a qu’une intention\u00a0: déplacez-le, au lieu de l’ajouter.",
            )


def _place(items: Sequence[str], marked: str, after: str | None) -> int:
    """How many of the block's examples stand before the new one."""
    if after == "" or not items:
        return 0
    if after is not None and after in items:
        return items.index(after) + 1
    return min(range(len(items)), key=lambda place: _weight(items[place], marked)) + 1


def placed(items: tuple[str, ...], text: str) -> tuple[str, ...]:
    """A heap of examples with one more, at the place that its text chooses."""
    place = _place(items, text, None)
    return (*items[:place], text, *items[place:])


def _weight(neighbour: str, marked: str) -> bytes:
    return hashlib.blake2b(f"{neighbour}\0{marked}".encode(), digest_size=8).digest()


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" "))]


def _dash(line: str) -> str:
    """The indent and the dash of an example's line."""
    return _indent(line) + "- "


def short(text: str, most: int = 60) -> str:
    """The beginning of a text, for a sentence about it."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


# -- What an operation may be ----------------------------------------------------------------------------------------------


def check_operation(asked: Operation, known: frozenset[str]) -> Operation:
    """The operation, tidied. `known`: the entities of domain.yml. Raises TrainerError."""
    if asked.file != NLU and not _BACKGROUND_FILE.fullmatch(asked.file):
        raise TrainerError(f"{short(asked.file)} n’est pas un fichier d’exemples.", "Rechargez la page.")
    if asked.file != NLU and asked.kind != "remove" and not (asked.kind == "add" and asked.after is not None):
        raise TrainerError(
            "Le fonds ne se corrige pas\u00a0: on n’y retire qu’une erreur.",
            "Retirez-en l’exemple, et ajoutez le bon dans data/nlu.yml.",
        )
    if asked.kind == "add":
        marked = tidy(asked.marked)
        _must_be_example(marked, known)
        return replace(asked, marked=marked)
    if asked.kind == "move" and asked.to_intent in (None, asked.intent):
        raise TrainerError("L’exemple est déjà dans cette intention.", "Choisissez-en une autre.")
    if asked.kind == "edit" and asked.to_marked is None:
        raise TrainerError("Le nouveau texte manque.", "Écrivez-le.")
    if asked.to_marked is None:
        return asked
    after = tidy(asked.to_marked)
    _must_be_example(after, known)
    return replace(asked, to_marked=after)


def _must_be_example(marked: str, known: frozenset[str]) -> None:
    if not marked.strip(" -"):
        raise TrainerError("L’exemple est vide.", "Écrivez un message, comme une personne l’écrirait.")
    must_be_short(marked)
    try:
        marks = entities(marked)
    except ValueError as error:
        raise TrainerError(
            f"Une entité est mal marquée\u00a0: {error}.", "Écrivez [mots](entité), ou retirez les crochets."
        ) from None
    for mark in marks:
        if mark.name not in known:
            raise TrainerError(
                f"L’entité «\u00a0{short(mark.name)}\u00a0» n’existe pas.",
                f"Choisissez parmi\u00a0: {', '.join(sorted(known))}\u202f; ou retirez les crochets.",
            )


def must_be_short(marked: str) -> None:
    """Refuse an example that is too long, before anything reads it. Raises TrainerError."""
    if len(marked) > LONGEST:
        raise TrainerError(
            f"L’exemple fait {len(marked)} caractères\u00a0: plus de {LONGEST}.",
            "Gardez-en la partie qui dit la demande\u00a0: Planton ne lit pas davantage d’un message.",
        )


def _known_entities(project: Project, operations: Iterable[Operation]) -> frozenset[str]:
    """Those of domain.yml, if any operation marks one: reading that file takes a third of a second."""
    if not any("[" in (operation.to_marked or operation.marked) for operation in operations):
        return frozenset()
    return entity_names(project)


def entity_names(project: Project) -> frozenset[str]:
    """The entities that `domain.yml` names. Raises BadFile."""
    return _entity_names(project, _stamp(project, DOMAIN))


@functools.lru_cache(maxsize=4)
def _entity_names(project: Project, _: Stamp) -> frozenset[str]:
    return _named(project.read(DOMAIN))


@functools.lru_cache(maxsize=4)
def _named(domain: str) -> frozenset[str]:
    """By its text: a file that git or an editor wrote again as it was is not read again."""
    try:
        root = yaml_text.read(domain)
    except Damaged as error:
        raise BadFile(DOMAIN, error.what, error.remedy, error.line, error.column) from None
    listed = root.get("entities") if isinstance(root, yaml_text.Mapping) else None
    names = listed.items if isinstance(listed, yaml_text.Sequence) else ()
    return frozenset(
        item.value if isinstance(item, yaml_text.Scalar) else item.entries[0][0].value
        for item in names
        if isinstance(item, yaml_text.Scalar) or (isinstance(item, yaml_text.Mapping) and item.entries)
    )
