"""The catalogue beside the composer: its search, and a message that was answered by another question than was understood."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.core.catalogue import Catalogue, parse
from bot.core.clock import FrozenClock
from bot.policy.catalogue_search import CatalogueSearch
from bot.policy.retention import DEFAULT, in_words
from bot.store.codec import Codec
from bot.store.db import Database
from tests.fakes.catalogue import ELECTIONS, entry, file, search
from tests.fakes.console import Browser, RunningConsole, running_console


class Shelf:
    """The catalogue of the model in service, as the test changes it."""

    def __init__(self) -> None:
        self.now = search()

    def __call__(self) -> CatalogueSearch:
        return self.now


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def console(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock, shelf: Shelf
) -> AsyncIterator[RunningConsole]:
    """A console with a catalogue."""
    async with running_console(database, database_url, codec, frozen_clock, wall, catalogue=shelf) as running:
        yield running


async def _found(claire: Browser, query: str) -> tuple[int, list[dict[str, Any]]]:
    answer = await claire.get(f"/catalogue?{query}")
    assert answer.status == 200
    told = json.loads(answer.page)
    return told["count"], told["questions"]


async def test_words_find_a_question_with_its_answer_as_a_person_reads_it(claire: Browser) -> None:
    count, (first, *_) = await _found(claire, "q=PROCU+ligne")
    assert (count, first["id"], first["question"]) == (
        1,
        "procuration/en_ligne",
        "Comment faire une procuration en ligne ?",
    )
    assert first["topic"] == "procuration"
    assert first["text"].endswith(f"\nProcuration de vote\u202f: {ELECTIONS}")
    assert await _found(claire, "q=xylophone") == (0, [])


async def test_without_words_all_are_shown_those_of_the_request_first(claire: Browser) -> None:
    count, found = await _found(claire, "q=&sujet=recrutement_aptitude")
    assert (count, len(found), found[0]["id"]) == (5, 5, "recrutement_aptitude/taille")
    assert [one["id"] for one in found[1:3]] == ["procuration/en_ligne", "procuration/etranger"]


async def test_a_thousand_questions_are_shown_in_part(
    claire: Browser, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.console.catalogue.OFFERED", 2)
    count, found = await _found(claire, "q=")
    assert (count, len(found)) == (5, 2)


async def test_what_is_kept_is_told_with_this_sites_limits(claire: Browser, shelf: Shelf) -> None:
    kept = entry("salutation/donnees", "Que gardez-vous ?", "Données", "Durée : {courantes}.", "mes données")
    (question,) = parse("data/answers/salutation.yml", file(kept)).questions
    shelf.now = CatalogueSearch(Catalogue({question.id: question}))  # another model is in service
    count, (found,) = await _found(claire, "q=gardez")
    assert (count, found["text"]) == (1, f"Durée : {in_words(DEFAULT.everyday)}.")


async def test_the_panel_is_there_for_who_may_write_and_where_there_is_a_catalogue(
    console: RunningConsole, claire: Browser, shelf: Shelf
) -> None:
    number = await console.waiting()
    assert "catalogue-panel" not in (await claire.get(f"/conversations/{number}")).page
    await claire.act(number, "prendre")
    page = (await claire.get(f"/conversations/{number}")).page
    assert "catalogue-panel" in page
    assert "Chercher parmi 5 questions" in page
    shelf.now = CatalogueSearch()
    assert "catalogue-" not in (await claire.get(f"/conversations/{number}")).page.replace("catalogue.js", "")


async def test_an_unknown_question_and_a_conversation_of_nobody_are_refused(
    console: RunningConsole, claire: Browser
) -> None:
    number = await console.waiting()
    assert (await claire.act(number, "catalogue", question="procuration/en_ligne")).status == 204
    assert (await claire.act(number, "catalogue", question="procuration/disparue")).status == 404
    assert (await claire.act(number + 99, "catalogue", question="procuration/en_ligne")).status == 404
