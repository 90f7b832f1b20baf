"""The replies of `domain.yml`: read with their places, changed in place.

Only the fields of a variation that changed are written anew; every other line of the file keeps its bytes, comments
included. ruamel's own round trip is not used for writing: it would re-flow what nobody touched. What was written is read
back and compared before it replaces the file.

A reply is told apart from a later one by `Response.seen`, a fingerprint of its lines: who saves says what was on the screen.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, NamedTuple, Optional

import yaml
from ruamel.yaml import YAML, nodes
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bot.core.yaml_text import Damaged, must_be_plain, quickly
from bot.trainer.errors import BadFile, Changed, TrainerError
from bot.trainer.project import Project

FILE = "domain.yml"
OWN_SOURCE = "aucune\u00a0: texte propre au service"
NAME = re.compile(r"utter_\w{1,80}")
# Sent by two doors, once from outside the engine: one text, whichever of the two is edited.
TWINS = {
    "utter_urgence": "utter_danger_immediat",
    "utter_danger_immediat": "utter_urgence",
    "utter_detresse": "utter_detresse_suicide",
    "utter_detresse_suicide": "utter_detresse",
}
_KEYS = ("text", "buttons", "metadata")
_NULL = ("null", "~", "")
# What a literal block cannot hold, or a reader could take for the end of a line.
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]|\t")


# Of either parser; all that is asked of them is alike.
Node = Any
MappingNode = (nodes.MappingNode, yaml.MappingNode)
SequenceNode = (nodes.SequenceNode, yaml.SequenceNode)
ScalarNode = (nodes.ScalarNode, yaml.ScalarNode)


class Button(NamedTuple):
    """A quick reply."""

    title: str
    payload: str


@dataclass(frozen=True)
class Variation:
    """One wording. `source`: an address or OWN_SOURCE; `seen`: of when the copy was; `checked`: the day somebody opened the page.

    `line`: where it stands in the file, from one; `other`: keys that are not changed here (conditions, pictures).
    """

    text: str
    buttons: tuple[Button, ...] = ()
    source: str = OWN_SOURCE
    seen: str = "sans objet"
    checked: Optional[date] = None
    line: int = field(default=0, compare=False)
    other: tuple[str, ...] = field(default=(), compare=False)
    # Lines of each field in the file, [start, end) from zero; used to write.
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)
    faults: tuple[str, ...] = field(default=(), compare=False)  # metadata that is missing or wrong

    @property
    def size(self) -> int:
        """Bytes of UTF-8, which is what Instagram counts."""
        return len(self.text.encode())


@dataclass(frozen=True)
class Response:
    """A reply: its wordings, one of which is drawn. `line` counts from one; `block`: its lines as they stand."""

    name: str
    variations: tuple[Variation, ...]
    line: int = field(default=0, compare=False)
    block: str = field(default="", compare=False, repr=False)

    @property
    def seen(self) -> str:
        """What tells this state of the reply from a later one."""
        return hashlib.sha256(self.block.encode()).hexdigest()[:16]


class Move(NamedTuple):
    """What a change did to one reply: its lines before and after, to be recorded and undone."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Replies:
    """All replies of a file, by name, in its order."""

    text: str
    responses: Mapping[str, Response]
    entities: tuple[str, ...] = ()
    # Lines of each reply's value, [start, end) from zero.
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, text: str) -> Replies:
        """Read a domain file. Raises BadFile with line and column."""
        root = _compose(text)
        top = _mapping(root, "le fichier")
        lines = text.splitlines(keepends=True)
        found, spans = {}, {}
        responses = top.get("responses")
        pairs = _pairs(responses, "responses") if responses is not None else []
        ends = [key.start_mark.line for key, _ in pairs[1:]]
        ends.append(_end(root, "responses", len(lines)))
        for (key, value), end in zip(pairs, ends, strict=True):
            name = str(key.value)
            start = key.start_mark.line
            stop = _trimmed(lines, start + 1, end)
            if name in found:
                raise _bad(f"la réponse {name} est écrite deux fois.", "Retirez-en une.", key)
            variations = tuple(_variations(name, value, lines, stop))
            found[name] = Response(name, variations, start + 1, "".join(lines[start + 1 : stop]))
            spans[name] = (start + 1, stop)
        entities = top.get("entities")
        names = (
            [one.value for one in entities.value if isinstance(one, ScalarNode)]
            if isinstance(entities, SequenceNode)
            else []
        )
        return cls(text, found, tuple(map(str, names)), spans)

    @classmethod
    def read(cls, project: Project) -> Replies:
        """The present file; parsed once for each state of it. Blocks. Raises BadFile."""
        return _parsed(project.read(FILE))

    def with_(self, wanted: Mapping[str, Response]) -> Replies:
        """The file with these replies in place of theirs. Raises TrainerError for what cannot be written."""
        blocks = {name: self._written(self._known(name), one) for name, one in wanted.items()}
        made = self.with_blocks(blocks)
        for name, one in wanted.items():
            if made.responses[name] != one:
                raise TrainerError(
                    f"{name} ne peut pas s’écrire ainsi.", "Retirez les caractères inhabituels du texte."
                )
        return made

    def with_blocks(self, blocks: Mapping[str, str]) -> Replies:
        """The file with these lines in place of the replies'. Raises BadFile when that is no reply any more."""
        lines = self.text.splitlines(keepends=True)
        responses, spans, moved = {}, {}, 0
        for name, present in self.responses.items():
            start, end = self.spans[name]
            if name in blocks:
                one = _alone(name, blocks[name])
                lines[start + moved : end + moved] = blocks[name].splitlines(keepends=True)
                responses[name] = _shifted(one, present.line + moved - one.line)
                grown = blocks[name].count("\n") - (end - start)
            else:
                responses[name], grown = _shifted(present, moved), 0
            spans[name] = (start + moved, end + moved + grown)
            moved += grown
        return Replies("".join(lines), responses, self.entities, spans)

    def _known(self, name: str) -> Response:
        if name not in self.responses:
            raise Changed(f"La réponse {name} n’existe plus dans domain.yml.", "Revenez à la liste des réponses.")
        return self.responses[name]

    def _written(self, present: Response, wanted: Response) -> str:
        """The lines of a reply as they should stand: fields that did not change keep theirs."""
        lines = self.text.splitlines(keepends=True)
        base = self._indent(present, lines)
        written, left = [], list(present.variations)
        for one in wanted.variations:
            if _UNWRITABLE.search(one.text):
                raise TrainerError(
                    "Le texte contient un caractère invisible ou une tabulation.", "Retirez-le, puis enregistrez."
                )
            old = left.pop(0) if left else None
            if old is not None and old.other and old != one:
                raise TrainerError(
                    f"Cette réponse contient aussi : {', '.join(old.other)}.", "Changez-la dans domain.yml, à la main."
                )
            written += _variation(one, old, lines, base)
        if any(old.other for old in left):
            raise TrainerError("Cette variante contient d’autres réglages.", "Retirez-la dans domain.yml, à la main.")
        return "".join(written)

    def _indent(self, present: Response, lines: Sequence[str]) -> str:
        first = lines[present.variations[0].line - 1] if present.variations else "  - "
        return first[: len(first) - len(first.lstrip(" "))]


# Given the file before and after; refuses by raising TrainerError.
Allow = Callable[[Replies, Replies], None]


def change(
    project: Project, seen: Mapping[str, str], wanted: Mapping[str, Response], allow: Optional[Allow] = None
) -> tuple[Move, ...]:
    """Write replies, under the project's lock; what was done to each.

    `seen`: by name, the `Response.seen` that was on the screen. `allow(before, after)` may refuse by raising TrainerError.
    Blocks. Raises Changed when one is no longer as it was seen, BadFile, TrainerError; nothing is then written.
    """
    with project.lock():
        present = Replies.read(project)
        for name in wanted:
            if present._known(name).seen != seen.get(name):
                raise Changed(
                    f"Quelqu’un d’autre vient de changer {name}.",
                    "Comparez les deux textes, puis enregistrez le vôtre ou gardez le sien.",
                )
        made = present.with_(wanted)
        return _save(project, present, made, tuple(wanted), allow)


def undo(project: Project, moves: Sequence[Move], allow: Optional[Allow] = None) -> tuple[Move, ...]:
    """Put back the lines that stood there before; refused with Changed when they were changed again since. Blocks."""
    with project.lock():
        present = Replies.read(project)
        for move in moves:
            if present._known(move.name).block != move.after:
                raise Changed(
                    f"{move.name} a encore été changée depuis : l’annulation effacerait ce changement.",
                    "Ouvrez la réponse et corrigez-la.",
                )
        made = present.with_blocks({move.name: move.before for move in moves})
        return _save(project, present, made, [move.name for move in moves], allow)


def _save(
    project: Project, present: Replies, made: Replies, names: Sequence[str], allow: Optional[Allow]
) -> tuple[Move, ...]:
    moves = tuple(Move(name, present.responses[name].block, made.responses[name].block) for name in names)
    if allow is not None:
        allow(present, made)
    if made.text != present.text:
        project.write(FILE, made.text)
        _keep(made)
    return tuple(move for move in moves if move.before != move.after)


# -- reading -----------------------------------------------------------------------------------------------------------

_LAST: list[Replies] = []
_LOCK = threading.Lock()


def _parsed(text: str) -> Replies:
    """The last text that was read is kept: parsing takes most of a second, and pages ask for the same file again and again."""
    with _LOCK:
        if not _LAST or _LAST[0].text != text:
            _LAST[:] = [Replies.parse(text)]
        return _LAST[0]


def _keep(made: Replies) -> None:
    with _LOCK:
        _LAST[:] = [made]


def _alone(name: str, block: str) -> Response:
    """A reply read from its own lines. Raises BadFile when they are not one reply, whole."""
    made = Replies.parse(f"responses:\n  {name}:\n{block}")
    if list(made.responses) != [name] or made.responses[name].block != block or not block.endswith("\n"):
        raise BadFile(FILE, f"{name} ne peut pas s’écrire ainsi.", "Rien n’a été changé.")
    return made.responses[name]


def _shifted(one: Response, by: int) -> Response:
    """The same reply, so many lines further down."""
    if not by:
        return one
    variations = tuple(
        replace(v, line=v.line + by, spans={key: (a + by, b + by) for key, (a, b) in v.spans.items()})
        for v in one.variations
    )
    return replace(one, variations=variations, line=one.line + by)


def _compose(text: str) -> Node:
    try:
        must_be_plain(text)
    except Damaged as error:
        raise BadFile(FILE, error.what, error.remedy, error.line, error.column) from None
    if quickly(text) is not None:  # without references, and libyaml's places are right
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        if isinstance(root, MappingNode):
            return root
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise BadFile(FILE, "ce n’est pas du YAML correct.", _remedy(str(error.problem or "")), line, column) from None
    except YAMLError:
        raise BadFile(FILE, "ce n’est pas du YAML correct.", "Rétablissez le fichier depuis git.") from None
    except RecursionError:
        raise BadFile(FILE, "le fichier est imbriqué sans fin.", "Rétablissez-le depuis git.") from None
    if not isinstance(root, MappingNode):
        raise BadFile(FILE, "le fichier n’a pas la forme attendue.", "Rétablissez-le depuis git.", 1, 1)
    _without_references(root)
    return root


def _without_references(root: Node) -> None:
    """References let a short file unfold without end, and a change of one place would change another."""
    left = [root]
    while left:
        node = left.pop()
        if node.anchor is not None:
            raise _bad("les renvois (& et *) ne sont pas acceptés.", "Écrivez le texte en entier.", node)
        if isinstance(node, SequenceNode):
            left += node.value
        elif isinstance(node, MappingNode):
            left += [one for pair in node.value for one in pair]


def _remedy(problem: str) -> str:
    if "\\t" in problem or "tab" in problem:
        return "Remplacez la tabulation par des espaces."
    return "Vérifiez les espaces en début de ligne et les guillemets, près de cette ligne."


def _bad(what: str, remedy: str, node: Node) -> BadFile:
    return BadFile(FILE, what, remedy, node.start_mark.line + 1, node.start_mark.column + 1)


def _pairs(node: Node, what: str) -> list[tuple[Node, Node]]:
    if not isinstance(node, MappingNode) or node.flow_style:
        raise _bad(f"« {what} » n’a pas la forme attendue.", "Une ligne « nom : » par élément.", node)
    return list(node.value)


def _mapping(node: Node, what: str) -> dict[str, Node]:
    return {str(key.value): value for key, value in _pairs(node, what)}


def _end(root: Node, name: str, last: int) -> int:
    """The line where the section ends: the next section's, or the file's end."""
    keys = [key for key, _ in _pairs(root, "le fichier")]
    starts = [key.start_mark.line for key in keys]
    for key, end in zip(keys, [*starts[1:], last], strict=True):
        if key.value == name:
            return int(end)
    return last


def _trimmed(lines: Sequence[str], start: int, end: int) -> int:
    """Without the comments and blank lines that lead over to what follows."""
    while end > start and (not lines[end - 1].strip() or re.match(r" {0,3}#", lines[end - 1])):
        end -= 1
    return end


def _variations(name: str, node: Node, lines: Sequence[str], stop: int) -> list[Variation]:
    if not isinstance(node, SequenceNode) or node.flow_style or not node.value:
        raise _bad(f"la réponse {name} n’a pas de texte.", "Écrivez « - text: |- », puis le texte dessous.", node)
    ends = [one.start_mark.line for one in node.value[1:]] + [stop]
    return [_one(name, one, end) for one, end in zip(node.value, ends, strict=True)]


def _one(name: str, node: Node, end: int) -> Variation:
    pairs = _pairs(node, name)
    starts = [key.start_mark.line for key, _ in pairs]
    spans = {
        str(key.value): (start, stop) for (key, _), start, stop in zip(pairs, starts, [*starts[1:], end], strict=True)
    }
    values = {str(key.value): value for key, value in pairs}
    if not isinstance(values.get("text"), ScalarNode):
        raise _bad(f"une variante de {name} n’a pas de texte.", "Écrivez « - text: |- », puis le texte dessous.", node)
    buttons = values.get("buttons")
    source, seen, checked, faults = _metadata(values.get("metadata"))
    return Variation(
        text=str(values["text"].value),
        buttons=tuple(_buttons(name, buttons)) if buttons is not None else (),
        source=source,
        seen=seen,
        checked=checked,
        line=node.start_mark.line + 1,
        other=tuple(key for key in values if key not in _KEYS),
        spans=spans,
        faults=faults,
    )


def _buttons(name: str, node: Node) -> list[Button]:
    found = []
    for one in node.value if isinstance(node, SequenceNode) else []:
        values = _mapping(one, f"{name} : réponses rapides")
        if set(values) != {"title", "payload"} or not all(isinstance(value, ScalarNode) for value in values.values()):
            raise _bad(
                f"{name} : une réponse rapide a un titre et une suite.", "Écrivez « title: » et « payload: ».", one
            )
        found.append(Button(str(values["title"].value), str(values["payload"].value)))
    if not found:
        raise _bad(f"{name} : la liste des réponses rapides est vide.", "Retirez la ligne « buttons: ».", node)
    return found


def _metadata(node: Optional[Node]) -> tuple[str, str, Optional[date], tuple[str, ...]]:
    values = {str(k.value): str(v.value) for k, v in node.value} if isinstance(node, MappingNode) else {}
    faults = [f"il manque « {key} »" for key in ("source", "seen", "checked") if key not in values]
    faults += [f"« {key} » n’est pas attendu" for key in values if key not in ("source", "seen", "checked")]
    checked = None
    given = values.get("checked", "null")
    if given not in _NULL:
        try:
            checked = date.fromisoformat(given)
        except ValueError:
            faults.append("« checked » n’est ni une date (2026-01-31), ni null")
    return values.get("source", ""), values.get("seen", ""), checked, tuple(faults)


# -- writing -----------------------------------------------------------------------------------------------------------


def _variation(one: Variation, old: Optional[Variation], lines: Sequence[str], base: str) -> list[str]:
    """The lines of a wording. The first key stands behind the dash, as in the file."""
    inner = base + "  "
    fresh = {
        "text": _text(one.text, inner),
        "buttons": _buttons_lines(one.buttons, inner),
        "metadata": _metadata_lines(one, inner),
    }
    if old is None:
        parts = [fresh[key] for key in _KEYS]
    else:
        same = {
            "text": old.text == one.text,
            "buttons": old.buttons == one.buttons,
            "metadata": (old.source, old.seen, old.checked) == (one.source, one.seen, one.checked),
        }
        order = [*old.spans, *(key for key in _KEYS if key not in old.spans)]
        if "buttons" not in old.spans:  # between text and metadata, as everywhere
            order.remove("buttons")
            order.insert(order.index("text") + 1, "buttons")
        parts = [_kept(old, key, lines) if same.get(key, True) else fresh[key] for key in order]
    whole = "".join(line for part in parts for line in part)
    dashed = base + "- " + whole.removeprefix(inner).removeprefix(base + "- ")
    return [dashed if dashed.endswith("\n") else dashed + "\n"]


def _kept(old: Variation, key: str, lines: Sequence[str]) -> list[str]:
    """The lines of a field as they stand; none where there is no such field."""
    return list(lines[slice(*old.spans[key])]) if key in old.spans else []


def _text(text: str, inner: str) -> list[str]:
    return [f"{inner}text: |-\n", *(f"{inner}  {line}\n" if line else "\n" for line in text.split("\n"))]


def _buttons_lines(buttons: Sequence[Button], inner: str) -> list[str]:
    if not buttons:
        return []
    written = [f"{inner}buttons:\n"]
    for one in buttons:
        written += [f"{inner}- title: {_quoted(one.title)}\n", f"{inner}  payload: {_quoted(one.payload)}\n"]
    return written


def _metadata_lines(one: Variation, inner: str) -> list[str]:
    checked = one.checked.isoformat() if one.checked else "null"
    return [
        f"{inner}metadata:\n",
        f"{inner}  source: {_quoted(one.source)}\n",
        f"{inner}  seen: {_quoted(one.seen)}\n",
        f"{inner}  checked: {checked}\n",
    ]


def _quoted(value: str) -> str:
    """One line within single quotes, as the file has them."""
    if "\n" in value or _UNWRITABLE.search(value):
        raise TrainerError("Un titre ou une source tient sur une ligne.", "Retirez les retours à la ligne.")
    return "'" + value.replace("'", "''") + "'"
