"""The catalogue of questions (`data/answers/<intent>.yml`, Rasa's form for retrieval intents): one question, one answer.

    read(root) -> Catalogue          # for programs: whole files only
    parse(name, text) -> AnswersFile # one file as it stands, for checks: what is missing is empty, not refused

Read by the engine (Python 3.10), the agents' page and the workbench. What cannot be read is refused with line, column and remedy.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Optional, Union

from bot.core import yaml_text
from bot.core.dialogue import Link
from bot.core.errors import SetupError
from bot.core.examples import NO_ANSWER, QUESTION, without_marks
from bot.core.system_errors import reason
from bot.core.yaml_text import Damaged, Node, Scalar

FOLDER = "data/answers"
RESPONSE = "utter_"
_FILE_KEYS = ("version", "nlu", "responses")
_ENTRY_KEYS = ("text", "condition", "metadata")
_NOTHING = ("", "null", "~")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")

Value = Union[str, tuple[str, ...], None]


@dataclass(frozen=True)
class Variant:
    """A wording of an answer. `conditions`: (slot, value) that must all hold; none: it is for everybody. `line`: from one."""

    text: str
    conditions: tuple[tuple[str, str], ...] = ()
    metadata: Mapping[str, Value] = field(default_factory=dict, hash=False)
    line: int = 0

    def told(self, key: str) -> str:
        """A text of the metadata, "" without it."""
        found = self.metadata.get(key)
        return found if isinstance(found, str) else ""

    @property
    def said(self) -> str:
        """The answer as a person reads it."""
        return said(self.text, self.told("link"), self.told("link_title"))

    @property
    def links(self) -> tuple[Link, ...]:
        """The link that stands at its end, if it has one."""
        return (link_of(self.told("link"), self.told("link_title")),) if self.told("link") else ()


@dataclass(frozen=True)
class Question:
    """A question, its examples (without entity marks) and its answer.

    `variants`: the wordings, the one for everybody first. `source`: addresses that say the fact; `seen`: of when the copy was that
    was read; `checked`: the day somebody opened the page, `checked_by` who; `review_by`: the day the fact may have changed, None
    where it is no date. `file`, `line`: of its examples; `first`: the line of the first one; `answer_line`: of its answer.
    """

    id: str
    intent: str
    title: str
    question: str
    examples: tuple[str, ...]
    variants: tuple[Variant, ...]
    link: str = ""
    link_title: str = ""
    source: tuple[str, ...] = ()
    seen: str = ""
    checked: Optional[date] = None
    checked_by: str = ""
    review_by: Optional[date] = None
    related: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    first: int = 0
    answer_line: int = 0

    @property
    def answer(self) -> Variant:
        """The wording for everybody."""
        return next((one for one in self.variants if not one.conditions), self.variants[0])

    def wording(self, slots: Mapping[str, str]) -> Variant:
        """The wording for somebody of whom these slots are known."""
        meant = (one for one in self.variants if one.conditions and all(slots.get(k) == v for k, v in one.conditions))
        return next(meant, self.answer)

    @property
    def for_agents(self) -> bool:
        """Whether it is proposed to agents alone (`for_agents: true`): its intent is theirs, and keeps its own first words."""
        return self.answer.told("for_agents") == "true"

    def overdue(self, today: date) -> bool:
        """Whether the day of its review has come and gone."""
        return self.review_by is not None and self.review_by < today


@dataclass(frozen=True)
class AnswersFile:
    """A file as it stands. `unanswered`, `unasked`: (id, line) of examples without answer, of answers without examples."""

    name: str
    questions: tuple[Question, ...]
    unanswered: tuple[tuple[str, int], ...] = ()
    unasked: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """The questions by id, in the order of the files."""

    questions: Mapping[str, Question] = field(default_factory=dict, hash=False)

    def of(self, intent: str) -> tuple[Question, ...]:
        """Those of an intent."""
        return tuple(one for one in self.questions.values() if one.intent == intent)


def said(text: str, link: str = "", link_title: str = "") -> str:
    """An answer as it leaves: its words, then its link with its title."""
    return f"{text}\n{link_of(link, link_title).line}" if link else text


def link_of(link: str, link_title: str = "") -> Link:
    """The link of an answer; a title is asked for by the checks alone."""
    return Link(link_title or "À lire", link)


def names(root: Path) -> list[str]:
    """The files of the catalogue, named from the root; none without the folder."""
    return [f"{FOLDER}/{path.name}" for path in sorted((root / FOLDER).glob("*.yml")) if not path.name.startswith(".")]


def read(root: Path) -> Catalogue:
    """The catalogue as it stands, empty without its folder; a file that has not changed is not parsed again. Blocks.

    Raises SetupError, with file, line and remedy, for a file that is damaged, and for a question without answer or the reverse.
    """
    found: dict[str, Question] = {}
    for name in names(root):
        for one in _whole(name, _text(root, name)).questions:
            if one.id in found:
                other = found[one.id]
                what = f"{name}, ligne {one.line} : « {one.id} » est déjà dans {other.file}, ligne {other.line}."
                raise SetupError(what, "Gardez-en une.")
            found[one.id] = one
    return Catalogue(found)


def _text(root: Path, name: str) -> str:
    try:
        return yaml_text.decode((root / name).read_bytes())
    except OSError as error:
        raise SetupError(f"{name} ne se lit pas ({reason(error)}).", "Rétablissez le fichier depuis git.") from None
    except Damaged as error:
        raise _refused(name, error) from None


def _whole(name: str, text: str) -> AnswersFile:
    try:
        file = parse(name, text)
    except Damaged as error:
        raise _refused(name, error) from None
    for id_, line in file.unanswered:
        raise SetupError(f"{name}, ligne {line} : « {id_} » n’a pas de réponse.", f"Écrivez « {RESPONSE}{id_} ».")
    for id_, line in file.unasked:
        raise SetupError(f"{name}, ligne {line} : « {id_} » n’a pas d’exemples.", "Écrivez-en sous « nlu ».")
    return file


def _refused(name: str, error: Damaged) -> SetupError:
    return SetupError(f"{name}, ligne {error.line}, colonne {error.column} : {error.what}", error.remedy)


# -- One file --------------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def parse(name: str, text: str) -> AnswersFile:
    """What a file's text says. Raises Damaged with the place of the first thing wrong."""
    root = yaml_text.read(text)
    if not isinstance(root, yaml_text.Mapping):
        raise Damaged(root.line, root.column, "le fichier n’a pas de clés.", "Il commence par « nlu: ».")
    _must_know(root, _FILE_KEYS, "du fichier")
    lines = text.split("\n")
    asked = _asked(root.get("nlu"), root, lines)
    answered = _answered(root.get("responses"), root)
    return AnswersFile(
        name,
        tuple(_question(name, one, *answered[id_]) for id_, one in asked.items() if id_ in answered),
        tuple((id_, one.line) for id_, one in asked.items() if id_ not in answered and not id_.endswith(NO_ANSWER)),
        tuple((id_, line) for id_, (line, _) in answered.items() if id_ not in asked),
    )


@dataclass(frozen=True)
class _Asked:
    id: str
    line: int
    first: int
    examples: tuple[str, ...]


def _asked(node: Optional[Node], root: Node, lines: list[str]) -> dict[str, _Asked]:
    """The blocks of examples, by id."""
    if not isinstance(node, yaml_text.Sequence):
        place = node or root
        raise Damaged(
            place.line, place.column, "la liste « nlu: » manque.", "Elle vient en premier, un tiret par question."
        )
    found: dict[str, _Asked] = {}
    for item in node.items:
        one = _block(item, lines)
        if one.id in found:
            what = f"« {one.id} » a déjà ses exemples ligne {found[one.id].line}."
            raise Damaged(item.line, item.column, what, "Réunissez les deux.")
        found[one.id] = one
    return found


def _block(node: Node, lines: list[str]) -> _Asked:
    intent = node.get("intent") if isinstance(node, yaml_text.Mapping) else None
    examples = node.get("examples") if isinstance(node, yaml_text.Mapping) else None
    if not isinstance(intent, Scalar) or not isinstance(examples, Scalar) or not examples.literal:
        raise Damaged(
            node.line,
            node.column,
            "ce bloc n’est pas une question avec ses exemples.",
            "Écrivez « - intent: intention/question », puis « examples: | » et un exemple par ligne.",
        )
    id_ = _id(intent.value, intent)
    told = examples.value.rstrip("\n").split("\n") if examples.value.strip("\n") else []
    items = tuple(_example(item, line, lines) for line, item in enumerate(told, examples.line + 1))
    return _Asked(id_, node.line, examples.line + 1, items)


def _example(item: str, number: int, lines: list[str]) -> str:
    line = lines[number - 1]
    column = len(line) - len(line.lstrip(" ")) + 1
    if not item.strip(" -"):
        raise Damaged(number, column, "un exemple est vide.", "Retirez cette ligne.")
    if not item.startswith("-"):
        raise Damaged(
            number,
            column,
            "cette ligne n’est pas un exemple : il lui manque son tiret, ou son retrait est trop grand.",
            "Alignez-la sur les autres et commencez-la par un tiret et une espace.",
        )
    return without_marks(item[1:].strip(" "))


def _id(value: str, place: Scalar) -> str:
    if not QUESTION.fullmatch(value):
        raise Damaged(
            place.line,
            place.column,
            f"« {value[:60]} » n’est pas le nom d’une question.",
            "Écrivez intention/nom_court, en minuscules sans accent, chiffres et « _ ».",
        )
    return value


def _answered(node: Optional[Node], root: Node) -> dict[str, tuple[int, tuple[Variant, ...]]]:
    """(line, wordings) of each answer, by id."""
    if not isinstance(node, yaml_text.Mapping):
        place = node or root
        raise Damaged(
            place.line, place.column, "les réponses (« responses: ») manquent.", "Écrivez-en une pour chaque question."
        )
    found = {}
    for key, value in node.entries:
        if not key.value.startswith(RESPONSE):
            what = f"« {key.value[:60]} » n’est pas le nom d’une réponse."
            raise Damaged(key.line, key.column, what, f"Écrivez « {RESPONSE} », puis le nom de la question.")
        id_ = _id(key.value[len(RESPONSE) :], key)
        if not isinstance(value, yaml_text.Sequence) or not value.items:
            raise Damaged(key.line, key.column, f"« {id_} » n’a pas de texte.", "Écrivez-le après « - text: |- ».")
        found[id_] = key.line, tuple(_variant(item) for item in value.items)
    return found


def _variant(node: Node) -> Variant:
    text = node.get("text") if isinstance(node, yaml_text.Mapping) else None
    if not isinstance(node, yaml_text.Mapping) or not isinstance(text, Scalar):
        raise Damaged(node.line, node.column, "cette réponse n’a pas de texte.", "Écrivez-le après « text: |- ».")
    _must_know(node, _ENTRY_KEYS, "d’une réponse")
    return Variant(text.value.strip("\n"), tuple(_conditions(node.get("condition"))), _metadata(node), node.line)


def _conditions(node: Optional[Node]) -> Iterator[tuple[str, str]]:
    if node is None:
        return
    for item in node.items if isinstance(node, yaml_text.Sequence) else (node,):
        parts = [item.get(key) for key in ("type", "name", "value")] if isinstance(item, yaml_text.Mapping) else []
        kind, name, value = parts or (None, None, None)
        if not (
            isinstance(kind, Scalar) and kind.value == "slot" and isinstance(name, Scalar) and isinstance(value, Scalar)
        ):
            raise Damaged(
                item.line,
                item.column,
                "cette condition n’a pas la forme attendue.",
                "Écrivez « - type: slot », puis « name: corps » et « value: cadet ».",
            )
        yield name.value, value.value


def _metadata(node: yaml_text.Mapping) -> Mapping[str, Value]:
    told = node.get("metadata")
    if told is None:
        return {}
    if not isinstance(told, yaml_text.Mapping):
        raise Damaged(told.line, told.column, "« metadata » n’a pas de clés.", "Écrivez « title: … » en dessous.")
    return {key.value: _value(key, value) for key, value in told.entries}


def _value(key: Scalar, node: Node) -> Value:
    if isinstance(node, Scalar):
        return None if node.value in _NOTHING else node.value
    if isinstance(node, yaml_text.Sequence) and all(isinstance(item, Scalar) for item in node.items):
        return tuple(item.value for item in node.items if isinstance(item, Scalar))
    raise Damaged(node.line, node.column, f"« {key.value[:60]} » n’est ni un texte ni une liste.", "Simplifiez-le.")


def _must_know(node: yaml_text.Mapping, known: tuple[str, ...], what: str) -> None:
    for key, _ in node.entries:
        if key.value not in known:
            raise Damaged(
                key.line,
                key.column,
                f"« {key.value[:60]} » n’est pas une clé {what}.",
                f"Il y faut : {', '.join(known)}.",
            )


def _question(file: str, asked: _Asked, line: int, variants: tuple[Variant, ...]) -> Question:
    found = of_variants(asked.id, asked.examples, variants)
    return replace(found, file=file, line=asked.line, first=asked.first, answer_line=line)


def of_variants(id_: str, examples: tuple[str, ...], variants: tuple[Variant, ...]) -> Question:
    """A question that stands nowhere yet, from its examples and its wordings, one at least."""
    meta = next((one for one in variants if not one.conditions), variants[0])
    return Question(
        id=id_,
        intent=id_.partition("/")[0],
        title=meta.told("title"),
        question=meta.told("question"),
        examples=examples,
        variants=variants,
        link=meta.told("link"),
        link_title=meta.told("link_title"),
        source=tuple(word for part in listed(meta.metadata.get("source")) for word in part.split()),
        seen=meta.told("seen"),
        checked=day(meta.told("checked")),
        checked_by=meta.told("checked_by"),
        review_by=day(meta.told("review_by")),
        related=listed(meta.metadata.get("related")),
    )


def listed(value: Value) -> tuple[str, ...]:
    """A text or a list of texts as a tuple."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def day(text: str) -> Optional[date]:
    """The date of « 2027-10-01 », None of anything else."""
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None
