"""A file of training examples (`data/nlu.yml`, `data/fonds/*.yml`): its blocks, each example with its line, its entity marks.

Read by the training, before Rasa reads the file, and by the workbench. What Rasa would skip with a warning nobody sees (a line
that lost its dash, an empty example) is refused here with its place.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from bot.core.yaml_text import Damaged, Mapping, Node, Scalar, Sequence, read

WORDS = ("synonym", "lookup", "regex")
KINDS = ("intent", *WORDS)
SCRIPT = "script"  # of the blocks of data/scripts.yml
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
QUESTION = re.compile(
    r"[a-z][a-z0-9]*(_[a-z0-9]+)*/[a-z0-9]+(_[a-z0-9]+)*"
)  # of the catalogue: Rasa's `intent/response key`

NO_ANSWER = "/aucune"  # ends the name of a block of messages of an intent that no question of the catalogue answers

# As Rasa reads it: [text](entity), [text](entity:value), [text]{"entity": …}, [text][{…}, {…}]. Each part has a bound, so that
# finding is linear.
MARK = re.compile(
    r"\[(?P<text>[^\[\]]{1,500})\](?:\((?P<entity>[^:()\[\]]{1,60})(?::(?P<value>[^()\[\]]{1,200}))?\)"
    r"|\{(?P<one>[^{}]{1,500})\}|\[(?P<many>\{[^\[\]]{1,900}\})\])"
)
_LOOKS_MARKED = re.compile(r"\][({\[]")


@dataclass(frozen=True)
class Block:
    """An intent or a list. `line`: where it begins; `first`: its first example's; `items`: each line of it, without dash."""

    kind: str
    name: str
    line: int
    first: int
    items: tuple[str, ...]


@dataclass(frozen=True)
class Entity:
    """A marked part of an example. `start`, `end`: characters of the text without marks; `value`: None when it is the words."""

    start: int
    end: int
    name: str
    value: Optional[str] = None


# -- An example ------------------------------------------------------------------------------------------------------------


def without_marks(marked: str) -> str:
    """The text as a person writes it."""
    return (
        MARK.sub(lambda found: found["text"], marked) if "](" in marked or "]{" in marked or "][" in marked else marked
    )


def words_of(marked: str) -> str:
    """The text without marks, and below it the values that its marks hold: all that somebody could be told by."""
    try:
        values = [entity.value for entity in entities(marked) if entity.value]
    except ValueError:
        values = [marked]
    return "\n".join([without_marks(marked), *values])


def entities(marked: str) -> list[Entity]:
    """The marked parts, in their order. Raises ValueError (in French) for a mark that Rasa could not read."""
    found: list[Entity] = []
    offset = 0
    for mark in MARK.finditer(marked):
        start = mark.start() - offset
        offset += len(mark[0]) - len(mark["text"])
        for name, value in _named(mark):
            found.append(Entity(start, start + len(mark["text"]), name, value))
    if _LOOKS_MARKED.search(MARK.sub("", marked)) or (found and "[" in MARK.sub("", marked)):
        raise ValueError("un crochet ne marque rien")
    return found


def _named(mark: re.Match[str]) -> Iterator[tuple[str, Optional[str]]]:
    if mark["entity"]:
        yield mark["entity"], mark["value"]
        return
    try:
        told = json.loads("{" + mark["one"] + "}") if mark["one"] else json.loads("[" + mark["many"] + "]")
    except ValueError:
        raise ValueError('ce qui suit le crochet n’a pas la forme {"entity": "nom"}') from None
    for each in told if isinstance(told, list) else [told]:
        name = each.get("entity") if isinstance(each, dict) else None
        if not isinstance(name, str) or not name:
            raise ValueError('l’entité n’est pas nommée ("entity")')
        value = each.get("value")
        yield name, None if value is None else str(value)


# -- A file ----------------------------------------------------------------------------------------------------------------


def blocks(text: str, names: re.Pattern[str] = NAME) -> tuple[Block, ...]:
    """The blocks of a file's text, in their order. `names`: what an intent's block is called, `QUESTION` in the catalogue.
    Raises Damaged with the place of the first thing wrong."""
    return blocks_of(read(text), text, names=names)


def script_blocks(text: str) -> tuple[tuple[Block, ...], dict[str, tuple[str, ...]]]:
    """The blocks of data/scripts.yml, in their order, and its groups of words by name. Raises Damaged as `blocks`."""
    root = read(text)
    return blocks_of(root, text, "scripts", (SCRIPT,)), _groups(root)


def _groups(root: Node) -> dict[str, tuple[str, ...]]:
    node = root.get("mots") if isinstance(root, Mapping) else None
    if not isinstance(node, Mapping):
        raise Damaged(
            root.line, root.column, "les groupes de mots («\u00a0mots:\u00a0») manquent.", "Rétablissez-les depuis git."
        )
    groups: dict[str, tuple[str, ...]] = {}
    for name, words in node.entries:
        if not isinstance(words, Scalar) or not words.value.strip(" ,\n"):
            raise Damaged(
                name.line,
                name.column,
                f"le groupe de mots «\u00a0{name.value[:60]}\u00a0» est vide, ou n’est pas une ligne.",
                "Écrivez ses mots entre guillemets, séparés par des virgules.",
            )
        groups[name.value] = _words(name, words.value)
    return groups


def _words(name: Scalar, listed: str) -> tuple[str, ...]:
    """The words of a group. Raises Damaged for one that is nothing but its star: every word would begin so."""
    words = tuple(word for part in listed.split(",") if (word := part.strip()))
    if wrong := next((word for word in words if not re.search(r"\w", word) or "*" in word[:-1]), None):
        raise Damaged(
            name.line,
            name.column,
            f"«\u00a0{wrong[:60]}\u00a0», dans le groupe «\u00a0{name.value[:60]}\u00a0», n’est ni un mot ni un début de mot.",
            "Une seule étoile termine un début de mot\u00a0: «\u00a0frap*\u00a0». Retirez le reste.",
        )
    return words


def blocks_of(
    root: Node, text: str, key: str = "nlu", kinds: tuple[str, ...] = KINDS, names: re.Pattern[str] = NAME
) -> tuple[Block, ...]:
    """As `blocks`, of what was read already. `key`: the list's; `kinds`: of the blocks that it may hold."""
    listed = root.get(key) if isinstance(root, Mapping) else None
    if not isinstance(listed, Sequence):
        raise Damaged(
            root.line,
            root.column,
            f"la liste «\u00a0{key}:\u00a0» manque, ou est vide.",
            "Rétablissez le fichier depuis git.",
        )
    lines = text.split("\n")
    told: dict[str, int] = {}
    found = []
    for node in listed.items:
        block = _block(node, lines, kinds, names)
        alone = block.kind in ("intent", SCRIPT)
        earlier = told.setdefault(block.name, block.line) if alone else block.line
        if earlier != block.line:
            raise Damaged(
                block.line,
                node.column,
                f"«\u00a0{block.name}\u00a0» a déjà un bloc ligne {earlier}."
                if block.kind == SCRIPT
                else f"l’intention «\u00a0{block.name}\u00a0» a déjà un bloc ligne {earlier}.",
                "Réunissez les deux\u00a0: déplacez ses exemples sous le premier, puis retirez ce bloc.",
            )
        found.append(block)
    return tuple(found)


def _block(node: Node, lines: list[str], allowed: tuple[str, ...], names: re.Pattern[str]) -> Block:
    kinds = [kind for kind in allowed if isinstance(node, Mapping) and node.get(kind) is not None]
    if not isinstance(node, Mapping) or len(kinds) != 1:
        others = f" (ou {', '.join(allowed[1:])})" if allowed[1:] else ""
        raise Damaged(
            node.line,
            node.column,
            "ce bloc n’est ni une intention, ni une liste de mots." if others else "ce bloc n’est d’aucune réponse.",
            f"Il commence par «\u00a0- {allowed[0]}: nom\u00a0»{others}, puis «\u00a0examples: |\u00a0».",
        )
    name, examples = node.get(kinds[0]), node.get("examples")
    if not isinstance(name, Scalar) or not name.value.strip():
        raise Damaged(node.line, node.column, "ce bloc n’a pas de nom.", f"Écrivez-le après «\u00a0{kinds[0]}:\u00a0».")
    if kinds[0] == "intent" and not names.fullmatch(name.value):
        raise Damaged(name.line, name.column, *(bad_name if names is NAME else bad_question)(name.value))
    if len(node.entries) != 2 or not isinstance(examples, Scalar) or not examples.literal:
        raise Damaged(
            node.line,
            node.column,
            f"les exemples de «\u00a0{name.value[:60]}\u00a0» ne sont pas écrits ligne par ligne.",
            "Écrivez «\u00a0examples: |\u00a0», puis un exemple par ligne, chacun après un tiret et une espace.",
        )
    return Block(kinds[0], name.value, node.line, examples.line + 1, tuple(_items(kinds[0], examples, lines)))


def bad_name(name: str) -> tuple[str, str]:
    """(what, remedy) of an intent's name that is none."""
    plain = unicodedata.normalize("NFKD", name[:60]).encode("ascii", "ignore").decode().lower()
    proposed = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    return (
        f"«\u00a0{name[:60]}\u00a0» n’est pas un nom d’intention\u00a0: lettres minuscules sans accent, chiffres, et "
        "«\u00a0_\u00a0» entre les mots.",
        f"Écrivez par exemple «\u00a0{proposed}\u00a0»." if NAME.fullmatch(proposed) else "Choisissez-en un autre.",
    )


def bad_question(name: str) -> tuple[str, str]:
    """(what, remedy) of a question's name that is none."""
    return (
        f"«\u00a0{name[:60]}\u00a0» ne nomme pas une question du catalogue.",
        "Écrivez l’intention, une barre, puis un nom court sans accent\u00a0: «\u00a0contravention/payer_en_ligne\u00a0».",
    )


def _items(kind: str, examples: Scalar, lines: list[str]) -> Iterator[str]:
    """Each line of the block, without its dash."""
    told = examples.value.rstrip("\n").split("\n") if examples.value.strip("\n") else []
    for number, item in enumerate(told, examples.line + 1):
        line = lines[number - 1]
        column = len(line) - len(line.lstrip(" ")) + 1
        if not item.strip(" -"):
            raise Damaged(number, column, "un exemple est vide.", "Retirez cette ligne.")
        if not item.startswith("-"):
            raise Damaged(
                number,
                column,
                "cette ligne n’est pas un exemple\u00a0: il lui manque son tiret, ou son retrait est trop grand.",
                "Alignez-la sur les autres et commencez-la par un tiret et une espace\u00a0; un exemple tient sur une ligne.",
            )
        if kind == "intent":
            try:
                entities(item)
            except ValueError as error:
                raise Damaged(
                    number,
                    column + item.find("["),
                    f"une entité est mal marquée\u00a0: {error}.",
                    "Écrivez [mots](entité), ou retirez les crochets.",
                ) from None
        yield item[1:].strip(" ")
