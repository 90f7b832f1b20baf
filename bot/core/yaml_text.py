"""The YAML files that people edit by hand: read into nodes that know their place, or refused with line, column and usual causes.

One reader for the training (Python 3.10, before Rasa reads the files) and for the workbench: what one takes the other takes.
It works on parser events, so an alias is refused before anything could be expanded, and time and memory are linear in the
text. Nothing is turned into Python types: a scalar is its text.

Two parsers: libyaml, ten times quicker, reads what is in order; ruamel.yaml has the last word on all else, and its words are
those that are told in French.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional, Union

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bot.core.errors import Explained

LONGEST_LINE = 10_000  # characters; the engine reads 2,000 of a message
DEEPEST = 30  # levels; the deepest file has six


class Damaged(Explained):
    """The text is no file of ours. `line` and `column` count from one."""

    def __init__(self, line: int, column: int, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.line = line
        self.column = column


@dataclass(frozen=True)
class Scalar:
    """A text. `literal`: written as a block of lines after `|`, whose first is the next line; `plain`: without a sign around it."""

    value: str
    line: int
    column: int
    literal: bool = False
    plain: bool = False


@dataclass(frozen=True)
class Sequence:
    """A list, with the place of its first item."""

    items: tuple[Node, ...]
    line: int
    column: int


@dataclass(frozen=True)
class Mapping:
    """Keys and values in their order; no key comes twice."""

    entries: tuple[tuple[Scalar, Node], ...]
    line: int
    column: int

    def get(self, key: str) -> Optional[Node]:
        """The value of a key."""
        return next((value for name, value in self.entries if name.value == key), None)

    def key(self, key: str) -> Optional[Scalar]:
        """The key itself, which knows its place."""
        return next((name for name, _ in self.entries if name.value == key), None)


Node = Union[Scalar, Sequence, Mapping]


def decode(raw: bytes) -> str:
    """The text of a file's bytes. Raises Damaged when it is not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        start = raw.rfind(b"\n", 0, error.start) + 1
        column = len(raw[start : error.start].decode("utf-8", "replace")) + 1
        raise Damaged(line, column, *_encoding(raw)) from None


def read(text: str) -> Node:
    """The one document of a text. Raises Damaged."""
    must_be_plain(text)
    return quickly(text) or slowly(text)


def quickly(text: str) -> Optional[Node]:
    """The one document of a plain text by libyaml; None where ruamel.yaml is to be asked."""
    if _QUICK is None or _TOLD_APART.search(text):
        return None
    try:
        return _Reader(sure=True).read(yaml.parse(text, Loader=_QUICK))
    except (yaml.YAMLError, Damaged, _Unsure):
        return None


def slowly(text: str) -> Node:
    """The same by ruamel.yaml. Raises Damaged."""
    try:
        return _Reader().read(YAML(typ="safe", pure=True).parse(text))
    except YAMLError as error:
        raise _told(error, text) from None


def values(text: str) -> Any:
    """What a text says, as Python values, anchors and all: for files whose shape others have checked. Raises ruamel's YAMLError."""
    node = None if STRANGE.search(text) else quickly(text)
    try:
        if node is not None:
            return _value(node)
    except _Unsure:
        pass
    return YAML(typ="safe", pure=True).load(text)


def _encoding(raw: bytes) -> tuple[str, str]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "le fichier est enregistré en UTF-16.", "Enregistrez-le en UTF-8, sans marque d’ordre (BOM)."
    return (
        "ce n’est pas de l’UTF-8\u00a0: un accent est enregistré autrement (souvent Windows-1252).",
        "Enregistrez le fichier en UTF-8, ou rétablissez-le depuis git.",
    )


# -- What no file of ours holds, whatever YAML says of it ------------------------------------------------------------------

# Line ends of other systems, controls, and what Rasa or YAML would take for a line end where an editor shows none.
STRANGE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_TAB = re.compile(r"^ *\t", re.MULTILINE)
_CONFLICT = re.compile(
    r"^(<<<<<<<|\|\|\|\|\|\|\||>>>>>>>) ", re.MULTILINE
)  # what git leaves where two branches contradict each other


def must_be_plain(text: str) -> None:
    """Raises Damaged for what is no text of ours, before YAML is asked."""
    if text.startswith("\ufeff"):
        raise Damaged(
            1,
            1,
            "le fichier commence par une marque invisible (BOM).",
            "Enregistrez-le en «\u00a0UTF-8\u00a0», et non en «\u00a0UTF-8 avec BOM\u00a0».",
        )
    found = STRANGE.search(text)
    if found is not None:
        raise Damaged(*_place(text, found.start()), *_strange(found[0]))
    found = _TAB.search(text)
    if found is not None:
        raise Damaged(
            *_place(text, found.end() - 1), "la ligne commence par une tabulation.", "Remplacez-la par des espaces."
        )
    found = _CONFLICT.search(text)
    if found is not None:
        raise Damaged(
            *_place(text, found.start()),
            "deux branches se contredisent ici, et personne n’a encore choisi.",
            "Entre «\u00a0<<<<<<<\u00a0» et «\u00a0>>>>>>>\u00a0», gardez l’une des deux versions, puis retirez ces marques.",
        )
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > LONGEST_LINE:
            raise Damaged(
                number,
                LONGEST_LINE + 1,
                f"la ligne fait {len(line)} caractères\u00a0: plus de {LONGEST_LINE}.",
                "Raccourcissez-la ou retirez-la\u00a0: Planton ne lit que 2\u202f000 caractères d’un message.",
            )


def _strange(character: str) -> tuple[str, str]:
    if character == "\r":
        return (
            "la ligne finit comme sous Windows (retour chariot).",
            "Réglez les fins de ligne de votre éditeur sur «\u00a0LF\u00a0» ou «\u00a0Unix\u00a0», puis enregistrez.",
        )
    return (
        f"un caractère invisible s’y trouve (U+{ord(character):04X}).",
        "Effacez-le\u00a0: il vient souvent d’un copier-coller.",
    )


def _place(text: str, at: int) -> tuple[int, int]:
    """(line, column) of a character, from one."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


# -- Events to nodes -------------------------------------------------------------------------------------------------------


_QUICK = getattr(yaml, "CSafeLoader", None)  # None: pyyaml was built without libyaml
# What one parser takes and the other does not: tabs, marks of documents, a comment that nothing parts from what it is about.
_TOLD_APART = re.compile(r"\t|^(?:---|\.\.\.|%)|(?<!\S)[|>][-+0-9]*#", re.MULTILINE)


class _Unsure(Exception):
    """A value that is not there, or begins with an empty line: the parsers differ about its place and its indent; or one that may
    be more than a text."""


class _Reader:
    """Builds nodes without recursion: nothing that a file holds can exhaust the stack. Both parsers' events have the same names.
    `sure`: raises _Unsure."""

    def __init__(self, sure: bool = False) -> None:
        self._sure = sure
        self._open: list[tuple[Any, list[Node]]] = []  # start event, children
        self._root: Optional[Node] = None
        self._documents = 0

    def read(self, events: Iterable[Any]) -> Node:
        for event in events:
            self._take(event, type(event).__name__)
        if self._root is None:
            raise Damaged(1, 1, "le fichier est vide.", "Rétablissez-le depuis git.")
        return self._root

    def _take(self, event: Any, name: str) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        _must_stand_alone(event, name, line, column)
        if name == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                raise Damaged(line, column, "«\u00a0---\u00a0» commence un second document.", "Retirez cette ligne.")
        elif name in ("MappingStartEvent", "SequenceStartEvent"):
            if len(self._open) >= DEEPEST:
                raise Damaged(line, column, f"plus de {DEEPEST} niveaux emboîtés.", "Rétablissez-le depuis git.")
            self._open.append((event, []))
        elif name == "ScalarEvent":
            if self._sure and event.value[:1] in ("", "\n") and event.style not in ("'", '"'):
                raise _Unsure
            self._put(Scalar(event.value, line, column, event.style == "|", event.style in (None, "")))
        elif name in ("MappingEndEvent", "SequenceEndEvent"):
            self._put(_closed(*self._open.pop()))

    def _put(self, node: Node) -> None:
        if self._open:
            self._open[-1][1].append(node)
        else:
            self._root = node


def _must_stand_alone(event: Any, name: str, line: int, column: int) -> None:
    if name == "AliasEvent" or getattr(event, "anchor", None):
        raise Damaged(
            line,
            column,
            "«\u00a0&\u00a0» ou «\u00a0*\u00a0» commence ici une ancre ou un renvoi YAML, que Planton n’accepte pas.",
            "Écrivez le texte en entier, ou entre guillemets s’il doit commencer par ce signe.",
        )
    if getattr(event, "tag", None):
        raise Damaged(
            line,
            column,
            "«\u00a0!\u00a0» commence ici un type YAML, que Planton n’accepte pas.",
            "Retirez-le, ou mettez le texte entre guillemets s’il doit commencer par ce signe.",
        )


def _closed(event: Any, children: list[Node]) -> Node:
    line, column = event.start_mark.line + 1, event.start_mark.column + 1
    if type(event).__name__ == "SequenceStartEvent":
        return Sequence(tuple(children), line, column)
    entries: list[tuple[Scalar, Node]] = []
    told: dict[str, int] = {}
    for key, value in zip(children[::2], children[1::2], strict=True):
        if not isinstance(key, Scalar):
            raise Damaged(
                key.line, key.column, "une clé doit être un mot.", "Vérifiez les deux-points et les crochets."
            )
        if key.value in told:
            raise Damaged(
                key.line,
                key.column,
                f"«\u00a0{key.value[:60]}\u00a0» est déjà écrit ligne {told[key.value]}.",
                "Gardez-en un seul\u00a0; si c’est le début d’un autre bloc, il lui manque son tiret.",
            )
        told[key.value] = key.line
        entries.append((key, value))
    return Mapping(tuple(entries), line, column)


# -- Nodes to values -------------------------------------------------------------------------------------------------------

_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("~", "null", "Null", "NULL"), None),
}
_NUMBER = re.compile(r"[-+]?(?:(0|[1-9][0-9]*)|[0-9]+\.[0-9]+)")


def _value(node: Node) -> Any:
    """Raises _Unsure for what YAML might take for something else than a text or an ordinary number: a date, 0x1F, a merge."""
    if isinstance(node, Sequence):
        return [_value(item) for item in node.items]
    if isinstance(node, Mapping):
        made = {_value(key): _value(value) for key, value in node.entries}
        if len(made) < len(node.entries):  # « 1 » and « true »
            raise _Unsure
        return made
    if not node.plain:
        return node.value
    if node.value in _WORDS:
        return _WORDS[node.value]
    if node.value[0].isalpha():
        return node.value
    number = _NUMBER.fullmatch(node.value)
    if number is not None:
        return int(node.value) if number[1] else float(node.value)
    if node.value[0] in "+-.0123456789<=":
        raise _Unsure
    return node.value


# -- What the parser says, in French ---------------------------------------------------------------------------------------

# A part of the parser's sentence → the usual cause and the remedy.
_CAUSES = (
    (
        "mapping values are not allowed",
        "deux-points suivis d’une espace là où YAML n’en attend pas.",
        "Regardez aussi la ligne d’avant\u00a0: un exemple y a peut-être perdu son retrait et son tiret. Si c’est un texte, "
        "mettez-le entre guillemets.",
    ),
    (
        "could not find expected ':'",
        "cette ligne, ou celle d’avant, n’est ni un exemple ni une clé.",
        "Le plus souvent un exemple a perdu son retrait ou son tiret\u00a0: remettez-le sous les autres, avec son tiret.",
    ),
    (
        "expected <block end>",
        "le retrait de cette ligne ne va pas avec ceux d’avant.",
        "Alignez-la sur les lignes semblables (deux espaces par niveau)\u00a0; vérifiez qu’aucun tiret ne manque.",
    ),
    ("unexpected end of stream", "un guillemet ouvert n’est pas refermé.", "Refermez-le, ou retirez-le."),
    ("end of stream", "le fichier s’arrête au milieu d’un texte.", "Refermez le guillemet ou le crochet ouvert."),
    (
        "cannot start any token",
        "cette ligne commence par un signe réservé à YAML (% @ ` ou une tabulation).",
        "Rendez à l’exemple son retrait et son tiret, ou mettez le texte entre guillemets.",
    ),
    (
        "unknown escape",
        "une barre oblique inverse entre guillemets.",
        "Doublez-la, ou employez des guillemets simples.",
    ),
    ("undefined alias", "«\u00a0*\u00a0» commence un renvoi YAML.", "Mettez le texte entre guillemets."),
    (
        "expected ',' or",
        "un crochet ou une accolade n’est pas refermé.",
        "Refermez-le, ou mettez le texte entre guillemets.",
    ),
)
# The parser notices these later than where they began: the opening is what to look at.
_BEGUN_EARLIER = ("could not find expected ':'", "end of stream", "expected ',' or")
_ANY = (
    "ce n’est pas du YAML correct.",
    "Vérifiez les retraits, les tirets, les guillemets et les deux-points de cette ligne et de la précédente.",
)


def _told(error: YAMLError, text: str) -> Damaged:
    said = str(getattr(error, "problem", "") or error)
    marks = [error.problem_mark, error.context_mark] if isinstance(error, MarkedYAMLError) else []
    if any(part in said for part in _BEGUN_EARLIER):
        marks.reverse()
    mark = next((mark for mark in marks if mark is not None), None)
    last = text.count("\n") + 1
    line, column = (min(mark.line + 1, last), mark.column + 1) if mark else (last, 1)
    for part, what, remedy in _CAUSES:
        if part in said:
            return Damaged(line, column, f"ce n’est pas du YAML correct\u00a0: {what}", remedy)
    return Damaged(line, column, *_ANY)
