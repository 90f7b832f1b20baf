"""Each example by itself: its length, its entity marks, and whether it holds personal data."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator

from bot.core.examples import words_of
from bot.trainer import pseudonyms
from bot.trainer.checks.finding import Finding, error, warning
from bot.trainer.corpus import LONGEST, Corpus, Example, entities, read_file, short
from bot.trainer.errors import BadFile, NoGit
from bot.trainer.project import Project

LONG = 800  # characters: the longest of today's stories has 607

KINDS = {
    pseudonyms.Kind.NAME: "un nom",
    pseudonyms.Kind.PHONE: "un numéro de téléphone",
    pseudonyms.Kind.EMAIL: "une adresse électronique",
    pseudonyms.Kind.ADDRESS: "une adresse",
    pseudonyms.Kind.PLATE: "une plaque d’immatriculation",
    pseudonyms.Kind.IBAN: "un compte bancaire",
    pseudonyms.Kind.CARD: "un numéro de carte bancaire",
    pseudonyms.Kind.NIR: "un numéro de sécurité sociale",
    pseudonyms.Kind.BIRTH: "une date de naissance",
    pseudonyms.Kind.DOCUMENT: "un numéro de document",
    pseudonyms.Kind.CASE: "un numéro de dossier",
    pseudonyms.Kind.BADGE: "un matricule",
    pseudonyms.Kind.HANDLE: "un nom de compte",
    pseudonyms.Kind.LINK: "un lien",
}
GUESSED = frozenset((pseudonyms.Kind.NAME, pseudonyms.Kind.ADDRESS))
_FIGURES = re.compile(r"@\w|http|www\.|\d(?:[ ./-]?\d){3}|[A-Za-z]{2}[ -]?\d{3}")
# What identifies somebody by itself, and is told from other words without doubt.
CERTAIN = frozenset(
    (
        pseudonyms.Kind.PHONE,
        pseudonyms.Kind.EMAIL,
        pseudonyms.Kind.IBAN,
        pseudonyms.Kind.CARD,
        pseudonyms.Kind.NIR,
    )
)


def check(
    examples: Iterable[Example], known: frozenset[str] | None, recorded: Collection[str] = ()
) -> Iterator[Finding]:
    """Every example. `known`: the entities of domain.yml, None when it cannot be read; `recorded`: texts of the last commit.

    Names and places are looked for in what is new: what is recorded has been read by somebody, and is public.
    """
    for example in examples:
        yield from length(example)
        yield from marks(example, known)
        yield from left_over(example, recorded)


def left_over(example: Example, recorded: Collection[str]) -> Iterator[Finding]:
    """What is left of a person in an example. `recorded`: texts of the last commit."""
    if example.text not in recorded:
        yield from personal(example)
    elif _FIGURES.search(example.text):  # all but names and places has figures or signs
        yield from personal(example, recorded=True)


def length(example: Example) -> Iterator[Finding]:
    """Longer than what the model reads, or than what one request takes."""
    count = len(example.text)
    what = f"« {short(example.text)} » fait {count} caractères"
    if count > LONGEST:
        yield error(
            "overlong",
            example.file,
            example.line or None,
            f"{what}, plus de {LONGEST} : Planton n’en lirait que le début et la fin.",
            "Gardez la partie qui dit la demande, retirez le reste.",
            intent=example.intent,
            text=example.text,
        )
    elif count > LONG:
        yield warning(
            "overlong",
            example.file,
            example.line or None,
            f"{what} : trop de mots sans rapport avec la demande.",
            "Gardez la partie qui dit la demande, retirez le reste.",
            intent=example.intent,
            text=example.text,
        )


def marks(example: Example, known: frozenset[str] | None) -> Iterator[Finding]:
    """Marks that cannot be read, or that name no entity."""
    try:
        found = entities(example.marked)
    except ValueError as wrong:
        yield error(
            "entity",
            example.file,
            example.line or None,
            f"« {short(example.marked)} » : une entité est mal marquée ({wrong}).",
            "Écrivez [mots](entité), ou retirez les crochets.",
            intent=example.intent,
            text=example.text,
        )
        return
    for entity in found:
        if known is not None and entity.name not in known:
            yield error(
                "entity",
                example.file,
                example.line or None,
                f"« {short(example.marked)} » : l’entité « {short(entity.name, 30)} » n’existe pas.",
                f"Choisissez parmi : {', '.join(sorted(known))} ; ou retirez les crochets.",
                intent=example.intent,
                text=example.text,
            )


def personal(example: Example, recorded: bool = False) -> Iterator[Finding]:
    """What is left of a person; of a recorded example without names and places, which rules alone guess badly.

    The words themselves are not told again: a finding may be copied anywhere.
    """
    for found in pseudonyms.leftovers(words_of(example.marked)):
        if recorded and found.kind in GUESSED:
            continue
        make = error if found.kind in CERTAIN else warning
        within = f" (caractères {found.start + 1} à {found.end})" if found.end <= len(example.text) else ""
        yield make(
            "personal",
            example.file,
            example.line or None,
            f"{KINDS[found.kind]} semble rester dans cet exemple{within}.",
            "Remplacez-le par un autre, inventé, ou réécrivez l’exemple.",
            intent=example.intent,
            text=example.text,
        )


def recorded(project: Project, corpus: Corpus) -> frozenset[str]:
    """The texts of the examples as the last commit has them; none without git. Blocks."""
    try:
        changed = {
            line[3:].strip('"')
            for line in project.git("status", "--porcelain", "--untracked-files=all", "--", "data").splitlines()
        }
        texts = {example.text for file in corpus.files if file.name not in changed for example in file.examples}
        for file in corpus.files:
            if file.name in changed:
                texts |= set(_committed(project, file.name))
        return frozenset(texts)
    except NoGit:
        return frozenset()


def _committed(project: Project, name: str) -> Iterator[str]:
    with contextlib.suppress(BadFile):
        text = project.git("show", f"HEAD:./{name}", check=False)
        yield from (example.text for example in read_file(name, text).examples)
