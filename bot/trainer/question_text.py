"""A file of the catalogue as lines: where each question stands, and the lines of one that has changed."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from bot.core import catalogue, yaml_text
from bot.core.catalogue import Question, Value, Variant
from bot.core.examples import without_marks
from bot.core.yaml_text import Node
from bot.trainer.errors import TrainerError

_TOP = re.compile(r"(nlu|responses|version) *:")
# In the order in which metadata are written.
KEYS = (
    "title", "question", "source", "seen", "checked", "checked_by", "review_by", "link", "link_title", "related", "reason",
    "apart", "home_ok", "for_agents",
)  # fmt: skip
_PLAIN = ("home_ok", "for_agents")  # true or absent
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]|\t")

Span = tuple[int, int]  # lines [start, end), from zero


@dataclass(frozen=True)
class Block:
    """The lines of a question: its examples, its answer. Each ends with a line end."""

    asked: str
    answered: str

    @property
    def text(self) -> str:
        """Both as a small file of the catalogue."""
        return f"nlu:\n{self.asked}responses:\n{self.answered}"

    @staticmethod
    def of(text: str) -> Optional[Block]:
        """From `text`; None of an empty one."""
        if not text:
            return None
        examples, _, answer = text.removeprefix("nlu:\n").partition("\nresponses:\n")
        return Block(examples + "\n", answer)


@dataclass(frozen=True)
class File:
    """A file's text and its questions. `others`: how many examples or answers stand alone in it."""

    name: str
    text: str
    questions: Mapping[str, Question] = field(default_factory=dict, hash=False)
    spans: Mapping[str, tuple[Span, Span]] = field(default_factory=dict, hash=False)
    ends: Mapping[str, int] = field(default_factory=dict, hash=False)  # by section, the line after its last one
    others: int = 0

    @staticmethod
    def empty(name: str, head: str) -> File:
        """One that is about to get its first question."""
        lines = head.count("\n")
        return File(name, head + "\nresponses:\n", ends={"nlu": lines, "responses": lines + 2})

    @staticmethod
    def of(name: str, text: str) -> File:
        """Read a file. Raises Damaged."""
        return _read(name, text)

    @functools.cached_property
    def lines(self) -> Sequence[str]:
        """Of the text, each with its line end."""
        return self.text.splitlines(keepends=True)

    def said(self, id_: str) -> Block:
        """The lines of a question."""
        (start, end), (first, last) = self.spans[id_]
        return Block(_ended(self.lines[start:end]), _ended(self.lines[first:last]))

    def model(self) -> Optional[Block]:
        """A question whose style a new one follows."""
        return self.said(next(iter(self.questions))) if self.questions else None

    def with_block(self, id_: str, block: Optional[Block], beside: str) -> str:
        """The text with these lines for a question; None takes it away, and the file's last one takes the file: ""."""
        if block is None and len(self.questions) == 1 and id_ in self.questions and not self.others:
            return ""
        lines = list(self.lines)
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        for section in (1, 0) if self.ends["nlu"] <= self.ends["responses"] else (0, 1):  # from the end
            written = "" if block is None else (block.asked, block.answered)[section]
            start, end = self._span(id_, section, beside)
            if id_ not in self.spans and written:
                written = self._apart(section, written, first=bool(beside) and beside not in self.spans)
            elif not written:
                start, end = _gap(lines, start, end)
            lines[start:end] = written.splitlines(keepends=True)
        return "".join(lines)

    def _span(self, id_: str, section: int, beside: str) -> Span:
        if id_ in self.spans:
            return self.spans[id_][section]
        starts = [spans[section] for spans in self.spans.values()]
        if beside in self.spans:
            place = self.spans[beside][section][1]
        elif beside and starts:
            place = min(starts)[0]
        else:
            place = self.ends[("nlu", "responses")[section]]
        return place, place

    def _apart(self, section: int, written: str, first: bool) -> str:
        """With the blank line that stands between the questions of this file, if one does."""
        starts = sorted(spans[section][0] for spans in self.spans.values())
        if not any(not self.lines[start - 1].strip() for start in starts[1:]):
            return written
        return f"{written}\n" if first else f"\n{written}"


def same(one: Question, other: Question) -> bool:
    """Whether two questions say the same, wherever they stand."""
    return _told(one) == _told(other)


def _told(one: Question) -> object:
    return (
        one.id,
        tuple(map(without_marks, one.examples)),
        [(v.text, v.conditions, {k: _held(x) for k, x in v.metadata.items()}) for v in one.variants],
    )


def _held(value: Value) -> object:
    """As it is read back: an empty text is nothing, a list stays one."""
    return value or None if isinstance(value, str) else value


# -- where things stand ----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def _read(name: str, text: str) -> File:
    parsed = catalogue.parse(name, text)
    lines = text.split("\n")
    tops = {found[1]: at for at, line in enumerate(lines) if (found := _TOP.match(line))}
    ends = {key: _section_end(key, tops, lines) for key in ("nlu", "responses")}
    alone = [*parsed.unanswered, *parsed.unasked]
    asked_at = _spans([(q.id, q.line - 1) for q in parsed.questions], parsed.unanswered, ends["nlu"], lines)
    told_at = _spans([(q.id, q.answer_line - 1) for q in parsed.questions], parsed.unasked, ends["responses"], lines)
    questions = {q.id: q for q in parsed.questions}
    return File(name, text, questions, {id_: (asked_at[id_], told_at[id_]) for id_ in questions}, ends, len(alone))


def _section_end(key: str, tops: Mapping[str, int], lines: Sequence[str]) -> int:
    """The line after the last one of a section, without what leads over to the next."""
    start = tops.get(key, len(lines))
    following = min((at for at in tops.values() if at > start), default=len(lines))
    return _trimmed(lines, start + 1, following)


def _spans(
    found: Sequence[tuple[str, int]], alone: Sequence[tuple[str, int]], end: int, lines: Sequence[str]
) -> dict[str, Span]:
    starts = sorted([at for _, at in found] + [line - 1 for _, line in alone])
    after = dict(zip(starts, [*starts[1:], end], strict=True))
    return {id_: (at, _trimmed(lines, at + 1, after[at])) for id_, at in found}


def _trimmed(lines: Sequence[str], start: int, end: int) -> int:
    """Without the comments and blank lines that lead over to what follows."""
    while end > start and (not lines[end - 1].strip() or lines[end - 1].lstrip(" ").startswith("#")):
        end -= 1
    return end


def _gap(lines: Sequence[str], start: int, end: int) -> Span:
    """A span that goes, with one of the blank lines around it."""
    above = start > 0 and not lines[start - 1].strip()
    if above and (end >= len(lines) or not lines[end].strip()):
        return start - 1, end
    return start, end


def _ended(lines: Sequence[str]) -> str:
    text = "".join(lines)
    return text if text.endswith("\n") else text + "\n"


# -- examples --------------------------------------------------------------------------------------------------------------


def asked(wanted: Question, present: Optional[Question], old: Optional[Block], model: Optional[Block]) -> str:
    """The lines of the examples: those that stay keep theirs, with their marks."""
    _must_be_lines(wanted.examples)
    if old is None or present is None:
        head, dash = _style(model)
        return f"{head[0]}{wanted.id}\n{head[1]}examples: |\n" + "".join(f"{dash}{one}\n" for one in wanted.examples)
    lines = old.asked.splitlines(keepends=True)
    first = present.first - present.line
    count = len(present.examples)
    dash = lines[first][: lines[first].index("-")] + "- " if count else "    - "
    kept = dict(zip(present.examples, lines[first : first + count], strict=True))
    new = [kept.get(one) or f"{dash}{one}\n" for one in wanted.examples]
    return "".join([*lines[:first], *new, *lines[first + count :]])


def _style(model: Optional[Block]) -> tuple[tuple[str, str], str]:
    """(before an id, before « examples »), before an example: as the file has them."""
    if model is None:
        return ("- intent: ", "  "), "    - "
    lines = model.asked.split("\n")
    start = lines[0][: len(lines[0]) - len(lines[0].lstrip(" "))]
    dashes = [line for line in lines[1:] if line.lstrip(" ").startswith("-")]
    dash = dashes[0][: dashes[0].index("-")] if dashes else start + "    "
    return (f"{start}- intent: ", f"{start}  "), f"{dash}- "


def _must_be_lines(examples: Sequence[str]) -> None:
    if any("\n" in one or _UNWRITABLE.search(one) or not one.strip(" -") for one in examples):
        raise TrainerError("Un exemple est vide, ou contient un caractère invisible.", "Récrivez-le.")


# -- the answer ------------------------------------------------------------------------------------------------------------


def answered(wanted: Question, present: Optional[Question], old: Optional[Block]) -> str:
    """The lines of the answer: fields that did not change keep theirs."""
    for one in wanted.variants:
        if _UNWRITABLE.search(one.text) or not one.text.strip():
            raise TrainerError(
                "Le texte est vide, ou contient un caractère invisible ou une tabulation.", "Corrigez-le."
            )
    if old is None or present is None:
        fresh = "".join(_fresh(one, "  ") for one in wanted.variants)
        return f"  utter_{wanted.id}:\n{fresh}"
    if len(wanted.variants) != len(present.variants):
        raise TrainerError("Le nombre de variantes a changé.", "Ajoutez ou retirez une variante dans le fichier.")
    lines = old.answered.splitlines(keepends=True)
    spots = _items(yaml_text.read("responses:\n" + old.answered), len(lines))
    parts = ["".join(lines[: spots[0].span[0]])]
    for one, was, spot in zip(wanted.variants, present.variants, spots, strict=True):
        held = (one.text, dict(one.metadata)) == (was.text, dict(was.metadata))
        parts.append("".join(lines[slice(*spot.span)]) if held else _rewritten(one, was, spot, lines))
    return "".join(parts)


@dataclass(frozen=True)
class _Spot:
    """Where a wording stands in the lines of its answer, with its keys and those of its metadata. `indent`: of the keys."""

    span: Span
    indent: str
    keys: Mapping[str, Span]
    meta_indent: str
    meta: Mapping[str, Span]


def _items(root: Node, count: int) -> list[_Spot]:
    """The wordings of the one answer; the first line of `root` is not one of its lines."""
    responses = root.get("responses") if isinstance(root, yaml_text.Mapping) else None
    items = responses.entries[0][1] if isinstance(responses, yaml_text.Mapping) else None
    listed = items.items if isinstance(items, yaml_text.Sequence) else ()
    nodes = [one for one in listed if isinstance(one, yaml_text.Mapping)]
    starts = [node.line - 2 for node in nodes]
    return [_spot(node, span) for node, span in zip(nodes, zip(starts, [*starts[1:], count], strict=True), strict=True)]


def _spot(node: yaml_text.Mapping, span: Span) -> _Spot:
    keys = _keys(node, span[1])
    meta = node.get("metadata")
    told = meta if isinstance(meta, yaml_text.Mapping) else None
    indent = " " * (node.entries[0][0].column - 1)
    if told is None:
        return _Spot(span, indent, keys, indent + "  ", {})
    inner = " " * (told.entries[0][0].column - 1)
    return _Spot(span, indent, keys, inner, _keys(told, keys["metadata"][1]))


def _keys(node: yaml_text.Mapping, end: int) -> dict[str, Span]:
    starts = [key.line - 2 for key, _ in node.entries]
    spans = zip(starts, [*starts[1:], end], strict=True)
    return {key.value: span for (key, _), span in zip(node.entries, spans, strict=True)}


def _rewritten(one: Variant, was: Variant, spot: _Spot, lines: Sequence[str]) -> str:
    """A wording whose text or metadata changed. Its first key keeps the dash before it."""
    parts = []
    for key, span in spot.keys.items():
        if key == "text" and one.text != was.text:
            parts.append(_text(one.text, spot.indent) + _tail(lines, span))
        elif key == "metadata" and dict(one.metadata) != dict(was.metadata):
            parts.append(_metadata(one, was, spot, lines))
        else:
            parts.append("".join(lines[slice(*span)]))
    if "metadata" not in spot.keys and one.metadata:
        parts.append(f"{spot.indent}metadata:\n" + "".join(_fields(one.metadata, spot.indent + "  ")))
    start = lines[spot.span[0]]
    dashed = start[: start.index("-")] + "-"
    dashed += " " * (len(spot.indent) - len(dashed))
    return dashed + "".join(parts)[len(dashed) :]


def _metadata(one: Variant, was: Variant, spot: _Spot, lines: Sequence[str]) -> str:
    start, _ = spot.keys["metadata"]
    first = min((span[0] for span in spot.meta.values()), default=start + 1)
    parts = ["".join(lines[start:first])]
    for key, span in spot.meta.items():
        if key not in one.metadata:
            parts.append(_tail(lines, span))
        elif one.metadata[key] == was.metadata.get(key):
            parts.append("".join(lines[slice(*span)]))
        else:
            parts.append(_field(key, one.metadata[key], spot.meta_indent) + _tail(lines, span))
    parts += _fields({key: value for key, value in one.metadata.items() if key not in spot.meta}, spot.meta_indent)
    return "".join(parts)


def _tail(lines: Sequence[str], span: Span) -> str:
    """The comments and blank lines that end a field."""
    return "".join(lines[_trimmed(lines, span[0] + 1, span[1]) : span[1]])


def _fresh(one: Variant, base: str) -> str:
    inner = base + "  "
    conditions = "".join(
        f"{inner}- type: slot\n{inner}  name: {name}\n{inner}  value: {_quoted(value)}\n"
        for name, value in one.conditions
    )
    written = f"{inner}condition:\n{conditions}" if conditions else ""
    written += _text(one.text, inner)
    if one.metadata:
        written += f"{inner}metadata:\n" + "".join(_fields(one.metadata, inner + "  "))
    return f"{base}- {written[len(inner) :]}"


def _text(text: str, indent: str) -> str:
    return f"{indent}text: |-\n" + "".join(f"{indent}  {line}\n" if line else "\n" for line in text.split("\n"))


def _fields(metadata: Mapping[str, Value], indent: str) -> Iterator[str]:
    order = {key: place for place, key in enumerate(KEYS)}
    for key in sorted(metadata, key=lambda key: order.get(key, len(order))):
        yield _field(key, metadata[key], indent)


def _field(key: str, value: Value, indent: str) -> str:
    return f"{indent}{key}: {_written(key, value)}\n"


def _written(key: str, value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_quoted, value))}]"
    return value if key in _PLAIN and value == "true" else _quoted(value)


def _quoted(value: str) -> str:
    """One line within single quotes, as the files have them."""
    if "\n" in value or _UNWRITABLE.search(value):
        raise TrainerError(
            "Un titre, une question ou une source tient sur une ligne.", "Retirez les retours à la ligne."
        )
    return "'" + value.replace("'", "''") + "'"
