"""The words of the examples' pages, and examples cut into pieces to be shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from bot.console import labels
from bot.core.examples import MARK, entities, without_marks
from bot.policy.intents import INTENTS
from bot.store.workbench.corrections import Correction
from bot.trainer.checks.finding import typeset
from bot.trainer.corpus import NLU, Example, short

__all__ = ["done", "entity", "key", "pieces", "place", "sentence", "several", "short", "title"]

NB, NNB = "\u00a0", "\u202f"

# What was done to one example, of a correction.
DONE = {
    "add": "ajouté à",
    "remove": "retiré de",
    "move": "déplacé vers",
    "edit": "modifié dans",
}


@dataclass(frozen=True)
class Piece:
    """A part of an example as it is shown. `entity`: its name if it is marked, `value` if the mark gives one."""

    text: str
    entity: str = ""
    value: str = ""


def pieces(marked: str) -> Iterator[Piece]:
    """An example with its marked parts apart."""
    at = 0
    for found in MARK.finditer(marked):
        if found.start() > at:
            yield Piece(marked[at : found.start()])
        try:
            told = entities(found[0])
        except ValueError:
            told = []
        names = ", ".join(one.name for one in told)
        yield Piece(found["text"], names, next((one.value for one in told if one.value), ""))
        at = found.end()
    if at < len(marked):
        yield Piece(marked[at:])


def key(example: Example) -> str:
    """A short name of an example, for addresses and ids: no words in them."""
    return hashlib.blake2b(f"{example.file}\0{example.intent}\0{example.marked}".encode(), digest_size=6).hexdigest()


def place(example: Example) -> str:
    """« fonds · guichet.yml, ligne 12 »."""
    name = "fonds · " + example.file.rsplit("/", 1)[-1] if example.file != NLU else "nlu.yml"
    return f"{name}, ligne{NB}{example.line}"


def several(count: int, one: str, many: str) -> str:
    """« 1 exemple », « 1 234 exemples »."""
    return f"{count:,}".replace(",", NNB) + NB + (one if count < 2 else many)


def title(intent: str) -> str:
    """« Procuration »; of an intent that was added to one of the table: « Armes · chasse »."""
    words = labels.intent(intent) or intent
    parents = [name for name in INTENTS if intent.startswith(name + "_")]
    if intent not in INTENTS and parents:
        words += " · " + intent[len(max(parents, key=len)) + 1 :].replace("_", " ")
    return words[:1].upper() + words[1:]


def entity(name: str) -> str:
    """« Métier »."""
    return labels.SLOTS.get(name, name)


def sentence(text: str) -> str:
    """What a check says, as a sentence with French spaces."""
    text = typeset(text)
    return text[:1].upper() + text[1:]


def done(correction: Correction) -> str:
    """« « texte » : ajouté à procuration. »."""
    words = f"«{NB}{short(without_marks(correction.result))}{NB}»{NB}: {DONE[correction.kind]} {correction.target}"
    if correction.kind == "move" and correction.to_marked:
        words += " et modifié"
    return words + "."
