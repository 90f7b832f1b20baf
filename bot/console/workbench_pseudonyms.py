"""Stand-ins for personal data, as trainers see them: what other pages include, and the address that their script asks.

A page that lets a trainer write an example includes `workbench/_pseudonyms.html` and asks `still_personal` before it writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import json

from bot.console.forms import field
from bot.console.site import Site, Topic
from bot.core.examples import words_of
from bot.policy.rights import Capability
from bot.trainer.corpus import must_be_short
from bot.trainer.errors import TrainerError
from bot.trainer.pseudonyms import Kind, Pseudonymised, Replacement, pseudonymiser

LONGEST = 4_000  # characters; Meta's longest message has 2,000
CONFIRMED = "pas_personnel"  # form field, once for each piece that the trainer says is not personal
# In the order in which a trainer looks for them.
KINDS = {
    Kind.NAME: "nom ou prénom",
    Kind.PHONE: "téléphone",
    Kind.ADDRESS: "adresse",
    Kind.EMAIL: "courriel",
    Kind.HANDLE: "nom de compte",
    Kind.LINK: "lien",
    Kind.PLATE: "plaque",
    Kind.CASE: "numéro de dossier",
    Kind.DOCUMENT: "numéro de pièce d’identité",
    Kind.BADGE: "matricule",
    Kind.BIRTH: "date de naissance",
    Kind.IBAN: "compte bancaire",
    Kind.CARD: "carte bancaire",
    Kind.NIR: "numéro de sécurité sociale",
}


class Personal(TrainerError):
    """What was to be kept still holds personal data; `found` says where."""

    def __init__(self, found: Sequence[Replacement]) -> None:
        super().__init__(
            "Le texte contient encore ce qui ressemble à une donnée personnelle. Rien n’a été enregistré.",
            "Remplacez-la, ou cochez «\u00a0Ce n’est pas une donnée personnelle\u00a0» en face de chacune.",
        )
        self.found = found


def routes(site: Site) -> Blueprint:
    """The address that the script asks."""
    topic = Topic("workbench_pseudonyms")
    topic.form("/atelier/pseudonymes", propose, Capability.CORRECT, "propose")
    return topic.blueprint


async def propose(request: Request) -> HTTPResponse:
    """`texte`: → {text, pieces: [{raw, new, number, kind, label}]}. `extrait` and `nature`: → {stand_in}. Wrong ones: 422."""
    words, nature = field(request, "extrait"), field(request, "nature")
    if words or nature:
        return await _one(words, nature)
    text = field(request, "texte")
    if not text.strip() or len(text) > LONGEST:
        return _refusal("Le texte est vide ou trop long.", "Il peut avoir 4 000 caractères.")
    seen = await asyncio.to_thread(pseudonymiser().replace, text)
    return json({"text": seen.text, "pieces": _pieces(seen)})


async def _one(words: str, nature: str) -> HTTPResponse:
    try:
        kind = Kind(nature)
    except ValueError:
        return _refusal("Cette nature de donnée n’existe pas.", "Choisissez-en une dans la liste.")
    if not words.strip() or len(words) > LONGEST:
        return _refusal("Rien n’est sélectionné.", "Sélectionnez dans le texte ce qu’il faut remplacer.")
    stand_in = await asyncio.to_thread(pseudonymiser().stand_in, words.strip(), kind)
    start = len(words) - len(words.lstrip())
    return json({"stand_in": words[:start] + stand_in + words[len(words.rstrip()) :]})


def _pieces(seen: Pseudonymised) -> list[dict[str, Any]]:
    return [
        {
            "raw": one.raw,
            "new": one.new,
            "number": one.number,
            "kind": one.kind,
            "label": KINDS[one.kind] if one.kind else "",
        }
        for one in seen.pieces
    ]


def _refusal(what: str, remedy: str) -> HTTPResponse:
    return json({"what": what, "remedy": remedy}, 422)


def confirmed(request: Request) -> frozenset[str]:
    """The pieces that the trainer says are not personal."""
    form = request.form
    return frozenset(str(words).strip() for words in (form.getlist(CONFIRMED) or ())) if form else frozenset()


def unconfirmed(found: Sequence[Replacement], said: Collection[str]) -> list[Replacement]:
    """What is left of `found` once the pieces that the trainer spoke of are taken out."""
    return [one for one in found if one.original.strip() not in said]


async def still_personal(request: Request, text: str) -> list[Replacement]:
    """What is personal in a text that is about to be written, and that the trainer has not said to be harmless.

    Each piece once. A text that is longer than what is looked through is refused: Personal would not find what it holds.
    """
    if len(text) > LONGEST:
        raise TrainerError(f"Ce texte dépasse {LONGEST} caractères.", "Raccourcissez-le.")
    found = await asyncio.to_thread(pseudonymiser().leftovers, text)
    return list({one.original.strip(): one for one in unconfirmed(found, confirmed(request))}.values())


async def must_be_public(request: Request, lines: Sequence[str], instead: str = "") -> None:
    """What is in `data/` is public: nothing personal gets there that the trainer has not looked at. `lines`: examples with their
    marks; `instead`: the example that one of them replaces. Raises Personal, TrainerError for a text that is too long."""
    left: dict[str, Replacement] = {}
    for line in lines:
        must_be_short(line)
    for line in lines:
        for one in await still_personal(request, words_of(line)):
            if one.original not in instead:
                left.setdefault(one.original.strip(), one)
    if left:
        raise Personal(list(left.values()))
