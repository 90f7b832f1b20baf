"""The examples of data/scripts.yml, which teach the words that an emergency gets: their form, what is left of people in them, the
same sentence twice, and messages of the measuring sets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bot.core.examples import Block, script_blocks
from bot.core.yaml_text import Damaged
from bot.trainer.checks import doubles, examples, gold
from bot.trainer.checks.finding import Finding, error
from bot.trainer.corpus import Example, short
from bot.trainer.errors import BadFile, NoGit
from bot.trainer.gold import SCRIPT_NAMES
from bot.trainer.neighbours import Neighbours
from bot.trainer.project import Project

FILE = "data/scripts.yml"
FEWEST = 5  # examples of a script with which the training still works (bot/engine/script_learning.py)


@dataclass(frozen=True)
class Scripts:
    """The blocks of the file, one for each script."""

    blocks: tuple[Block, ...]

    @property
    def examples(self) -> list[Example]:
        """Their examples; `intent` is the script. What looks like an entity mark is part of the message here."""
        return [
            Example(block.name, text, text, FILE, line)
            for block in self.blocks
            for line, text in enumerate(block.items, block.first)
        ]


def read(project: Project) -> Scripts | None:
    """The file as it stands; None for a project of before, which has none. Blocks. Raises BadFile."""
    return parse(project.read(FILE)) if project.path(FILE).exists() else None


def parse(text: str) -> Scripts:
    """What a text says. Raises BadFile with line, column and a remedy."""
    try:
        return Scripts(script_blocks(text)[0])
    except Damaged as wrong:
        raise BadFile(FILE, wrong.what, wrong.remedy, wrong.line, wrong.column) from None


def recorded(project: Project) -> frozenset[str]:
    """The texts of the examples as the last commit has them; none without git. Blocks."""
    try:
        text = project.git("show", f"HEAD:./{FILE}", check=False)
        return frozenset(example.text for example in parse(text).examples) if text else frozenset()
    except (NoGit, BadFile):
        return frozenset()


def check(scripts: Scripts, kept: Iterable[gold.Kept], known: Collection[str]) -> Iterator[Finding]:
    """All that is wrong. `kept`: the rows of the measuring sets; `known`: what `recorded` gave."""
    yield from _form(scripts.blocks)
    found = scripts.examples
    yield from map(_named, _each(found, known))
    for group in doubles.duplicates(found):
        yield from (_double(later, group.same[0]) for later in group.same[1:])
    for example, row in gold.leaks(Neighbours(found), Neighbours(kept)):
        yield _named(gold.leak(example, row))


def _form(blocks: Sequence[Block]) -> Iterator[Finding]:
    """Scripts that do not exist, or that cannot be learnt from so few examples."""
    names = ", ".join(SCRIPT_NAMES)
    for block in blocks:
        if block.name not in SCRIPT_NAMES:
            what = f"« {short(block.name)} » n’est le nom d’aucune réponse d’urgence."
            yield error("script-unknown", FILE, block.line, what, f"Choisissez parmi : {names}.")
    by_name = {block.name: block for block in blocks}
    for name in SCRIPT_NAMES:
        own = by_name.get(name)
        count = len(own.items) if own else 0
        if count < FEWEST:
            what = (
                f"« {name} » n’a que {count} exemples : il en faut {FEWEST}."
                if count
                else f"« {name} » n’a aucun exemple."
            )
            yield error("script-thin", FILE, own.line if own else None, what, "Écrivez-en, ou remettez-les depuis git.")


def _each(found: Sequence[Example], known: Collection[str]) -> Iterator[Finding]:
    for example in found:
        yield from examples.length(example)
        yield from examples.left_over(example, known)


def _double(example: Example, other: Example) -> Finding:
    whose = "" if example.intent == other.intent else f" de {other.intent}"
    return error(
        "duplicate",
        FILE,
        example.line,
        f"« {short(example.text)} » est déjà un exemple{whose} ({FILE}:{other.line}).",
        "Retirez l’un des deux." if not whose else "Gardez-le sous la réponse qui convient, retirez-le de l’autre.",
    )


def _named(one: Finding) -> Finding:
    """Without what would name an intent, or an example of one."""
    return replace(one, intent=None, text=None)
