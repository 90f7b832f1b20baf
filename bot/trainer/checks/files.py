"""The project's files, each read by itself: one that is damaged is told, and the checks go on with the others."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Optional, TypeVar

from bot.core import catalogue, yaml_text
from bot.core.catalogue import AnswersFile
from bot.core.shapes import must_have_shape
from bot.core.yaml_text import Mapping, Node, Scalar, Sequence
from bot.trainer.checks import scripts
from bot.trainer.checks.finding import Finding, damaged
from bot.trainer.checks.scripts import Scripts
from bot.trainer.corpus import BACKGROUND, NLU, Corpus, ExamplesFile, read_file
from bot.trainer.errors import BadFile
from bot.trainer.project import Project

DOMAIN, RULES, STORIES, CONFIG = "domain.yml", "data/rules.yml", "data/stories.yml", "config.yml"
PRECISIONS, DANGER = "data/precisions.yml", "data/danger.yml"

T = TypeVar("T")


@dataclass
class Files:
    """What was read; `found`: what is damaged, each file once."""

    project: Project
    found: list[Finding] = field(default_factory=list)

    def corpus(self) -> Corpus:
        """The examples of the files that can be read."""
        whole = self._try(lambda: Corpus.read(self.project), tell=False)
        return whole or Corpus(tuple(self._each_file()))

    def tree(self, name: str) -> Optional[Mapping]:
        """A file of keys, None when it is damaged."""
        root = self._try(lambda: _read(self.project, name))
        return root if isinstance(root, Mapping) else None

    def domain(self) -> Optional[Domain]:
        """What domain.yml names, None when it is damaged."""
        root = self.tree(DOMAIN)
        return None if root is None else Domain.of(root)

    def scripts(self) -> Optional[Scripts]:
        """The examples of the words for an emergency, None when they are damaged or the project has none."""
        return self._try(lambda: scripts.read(self.project))

    def answers(self) -> list[AnswersFile]:
        """The files of the catalogue of questions that can be read."""
        read = functools.partial(_answers, self.project)
        every = (self._try(functools.partial(read, name)) for name in catalogue.names(self.project.root))
        return [file for file in every if file is not None]

    def text(self, name: str) -> Optional[str]:
        """A file as it stands, None when it cannot be read."""
        return self._try(lambda: self.project.read(name))

    def tell(self, bad: BadFile) -> None:
        """A damaged file, if it was not told already."""
        one = damaged(bad)
        if not any(told.file == one.file and told.code == "file" for told in self.found):
            self.found.append(one)

    def _each_file(self) -> Iterator[ExamplesFile]:
        folder = self.project.path(BACKGROUND)
        for name in (NLU, *(f"{BACKGROUND}/{path.name}" for path in sorted(folder.glob("*.yml")))):
            file = self._try(lambda name=name: read_file(name, self.project.read(name)))  # type: ignore[misc]
            if file is not None:
                yield file

    def _try(self, read: Callable[[], T], tell: bool = True) -> Optional[T]:
        try:
            return read()
        except BadFile as bad:
            if tell:
                self.tell(bad)
            return None


def _read(project: Project, name: str) -> Node:
    text = project.read(name)
    try:
        root = yaml_text.read(text)
        must_have_shape(root)
    except yaml_text.Damaged as error:
        raise BadFile(name, error.what, error.remedy, error.line, error.column) from None
    if not isinstance(root, Mapping):
        raise BadFile(name, "le fichier n’a pas la forme attendue (des clés).", "Rétablissez-le depuis git.", root.line)
    return root


def _answers(project: Project, name: str) -> AnswersFile:
    text = project.read(name)
    try:
        return catalogue.parse(name, text)
    except yaml_text.Damaged as error:
        raise BadFile(name, error.what, error.remedy, error.line, error.column) from None


@dataclass(frozen=True)
class Domain:
    """Names of domain.yml, each with its line."""

    intents: dict[str, int]
    entities: dict[str, int]
    actions: dict[str, int]
    responses: dict[str, int]
    slots: dict[str, int]

    @staticmethod
    def of(root: Mapping) -> Domain:
        """From the file."""
        return Domain(
            dict(_names(root.get("intents"))),
            dict(_names(root.get("entities"))),
            dict(_names(root.get("actions"))),
            _keys(root.get("responses")),
            _keys(root.get("slots")),
        )


def _keys(node: Optional[Node]) -> dict[str, int]:
    return {key.value: key.line for key, _ in node.entries} if isinstance(node, Mapping) else {}


def _names(node: Optional[Node]) -> Iterator[tuple[str, int]]:
    """`- name`, or `- name: {options}`."""
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Scalar):
            yield item.value, item.line
        elif isinstance(item, Mapping) and item.entries:
            yield item.entries[0][0].value, item.line


def scalar(node: Optional[Node]) -> Optional[str]:
    """The text of a value that is one."""
    return node.value if isinstance(node, Scalar) else None
