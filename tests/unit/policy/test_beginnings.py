"""What is shown of an answer beside its question."""

from __future__ import annotations

import pytest

from bot.core import catalogue
from bot.policy.beginnings import LONGEST, beginning
from tests.unit.test_domain import ROOT

LONG = "Il faut avoir dix-huit ans et présenter une pièce d’identité."
SITE = "Le seuil est de 1,5 g par kilo, voyez service-public.gouv.fr avant tout."
CODE = "Voyez l’art. L. 312 du code, à l’adresse que M. Dupont ou le n° 3 vous donne."
CASE = "Vous avez déjà payé, par carte ou par virement, ce véhicule\u202f?"


@pytest.mark.parametrize(
    ("answer", "begins"),
    [
        (f"{LONG} Venez tôt.", LONG),
        (f"{LONG}\nVenez tôt.", LONG),
        (LONG, LONG),
        # No stop: a decimal, an abbreviation, the name of a site.
        (f"{SITE} Venez.", SITE),
        (f"{CODE} Venez tôt.", CODE),
        # What says little alone goes with the next sentence, if that fits.
        ("Oui. Venez avec la carte. Puis attendez.", "Oui. Venez avec la carte."),
        (f"Oui. {'Mot ' * 60}fin.", "Oui."),
        ("Oui, dans ces cas.\n• Un vol.\n• Une fraude.", "Oui, dans ces cas."),
        # A case, which would seem to be a question of ours.
        (f"{CASE} Appelez la banque.", f"{CASE} Appelez la banque."),
        (f"Cela arrive. {CASE}", "Cela arrive."),
        (f"{CASE} {'Mot ' * 60}fin.", ""),
        # Neither lists nor what is too long.
        ("Trois façons\u202f:\n• sur place\u202f;\n• en ligne. Venez tôt.", ""),
        ("• Né à l’étranger\u202f: le même site.\nAilleurs\u202f: le tribunal.", ""),
        (f"{'Mot ' * 60}fin. Venez.", ""),
        ("Sans point final", ""),
        ("", ""),
    ],
)
def test_an_answer_begins_with_its_first_sentence(answer: str, begins: str) -> None:
    assert beginning(answer) == begins


def test_most_answers_of_the_catalogue_have_a_beginning_and_whole_sentences_in_it() -> None:
    answers = [one.variants[0].text for one in catalogue.read(ROOT).questions.values()]
    found = [(answer, begins) for answer in answers if (begins := beginning(answer))]
    assert len(found) > 0.8 * len(answers)
    for answer, begins in found:
        assert len(begins) <= LONGEST and begins[-1] in ".!…" and "\n" not in begins
        assert " ".join(answer.split()).startswith(" ".join(begins.split()))
