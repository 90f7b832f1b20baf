"""Each example by itself: its length, its entity marks, and whether it holds personal data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bot.trainer import pseudonyms
from bot.trainer.checks.finding import Finding, error, warning
from bot.trainer.corpus import LONGEST, Example, entities, short

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


def check(examples: Iterable[Example], known: frozenset[str] | None) -> Iterator[Finding]:
    """Every example. `known`: the entities of domain.yml, None when it cannot be read."""
    for example in examples:
        yield from length(example)
        yield from marks(example, known)
        yield from personal(example)


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


def personal(example: Example) -> Iterator[Finding]:
    """What is left of a person. The words themselves are not told again: a finding may be copied anywhere."""
    for found in pseudonyms.leftovers(example.text):
        make = error if found.kind in CERTAIN else warning
        yield make(
            "personal",
            example.file,
            example.line or None,
            f"{KINDS[found.kind]} semble rester dans cet exemple (caractères {found.start + 1} à {found.end}).",
            "Remplacez-le par un autre, inventé, ou réécrivez l’exemple.",
            intent=example.intent,
        )
