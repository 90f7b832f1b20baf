"""When an address leaves its text for a button."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.catalogue import said
from bot.core.dialogue import Link
from bot.core.messages import Platform
from bot.meta.template import Shape, shape

PAGE = "https://www.service-public.gouv.fr/particuliers/vosdroits/F1"
SHEET, MAP = Link("La fiche", PAGE), Link("Plainte\u202f: où\u202f?", f"{PAGE}/plan")
MESSENGER = Platform.MESSENGER


@pytest.mark.parametrize("link", [SHEET, MAP, Link("À lire", PAGE)])
def test_the_line_of_the_catalogue_becomes_a_button(link: Link) -> None:
    text = said("Appelez la mairie.\nElle garde un animal 8 jours.", link.url, link.title)
    assert shape(text, [link], MESSENGER) == Shape("Appelez la mairie.\nElle garde un animal 8 jours.", (link,))


def test_lines_before_and_after_stay_where_they_are() -> None:
    text = f"Je suis un assistant automatique. Oui.\n{SHEET.line}\n\nEn danger, le 17 ou le 114."
    rest = "Je suis un assistant automatique. Oui.\n\nEn danger, le 17 ou le 114."
    assert shape(text, [SHEET], MESSENGER) == Shape(rest, (SHEET,))


def test_two_answers_have_their_two_buttons_and_a_page_that_both_name_one() -> None:
    text = f"Un.\n{SHEET.line}\n\nDeux.\n{MAP.line}\n\nTrois.\n{SHEET.line}"
    assert shape(text, [SHEET, MAP, SHEET], MESSENGER) == Shape("Un.\n\nDeux.\n\nTrois.", (SHEET, MAP))


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("Oui.", [SHEET]),  # another text: worded anew
        (f"Oui. {SHEET.line}", [SHEET]),  # within a sentence
        (SHEET.line, [SHEET]),  # nothing would stand above the button
        (f"Oui.\n{SHEET.line}", []),
        (f"{'a' * 641}\n{SHEET.line}", [SHEET]),
        (f"{'🚔' * 321}\n{SHEET.line}", [SHEET]),  # as dear as Meta may count it
        *[(f"Oui.\n{one.line}", [one]) for one in (Link("x" * 21, PAGE), Link("", PAGE))],
        *[(f"Oui.\n{one.line}", [one]) for one in (Link("La fiche", "http://a.fr"), Link("La fiche", "tel:17"))],
        (f"Oui.\n{SHEET.line}\n{PAGE}", [SHEET, Link("La fiche", "https://autre.fr")]),
        ("Oui.\n" + "\n".join(f"{n}\u202f: {PAGE}" for n in range(4)), [Link(str(n), PAGE) for n in range(4)]),
        (
            "Oui.\n" + "\n".join(f"La fiche\u202f: {PAGE}/{n}" for n in "ab"),
            [Link("La fiche", f"{PAGE}/{n}") for n in "ab"],
        ),
    ],
)
def test_what_does_not_fit_stays_in_the_text(text: str, links: list[Link]) -> None:
    assert shape(text, links, MESSENGER) == Shape(text)


def test_the_longest_that_fits() -> None:
    link = Link("x" * 20, PAGE)
    assert shape(f"{'a' * 640}\n{link.line}", [link], MESSENGER) == Shape("a" * 640, (link,))


def test_instagram_keeps_the_text() -> None:
    text = f"Oui.\n{SHEET.line}"
    assert shape(text, [SHEET], Platform.INSTAGRAM) == Shape(text)


@given(st.text(), st.lists(st.builds(Link, st.text(), st.text()), max_size=4), st.sampled_from(Platform))
def test_no_address_is_ever_lost(text: str, links: list[Link], platform: Platform) -> None:
    for whole in (text, "\n".join([text, *(link.line for link in links)])):
        found = shape(whole, links, platform)
        assert found.text == whole if not found.links else set(found.links) == set(links)
