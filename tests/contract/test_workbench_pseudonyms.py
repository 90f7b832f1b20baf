"""The address that the script asks, and what a page refuses to write: piece by piece, in French."""

from __future__ import annotations

import json
import logging
from unittest.mock import Mock
from urllib.parse import urlencode

import pytest
from sanic.compat import Header
from sanic.request import Request

from bot.console import workbench_pseudonyms
from bot.trainer.pseudonyms import Kind
from tests.fakes.console import Answer, Browser, RunningConsole

PATH = "/atelier/pseudonymes"
RAW = "je mappelle karim benali, mon tel 06 39 98 27 14"


async def test_a_text_comes_back_with_stand_ins_and_nothing_is_logged(
    trainer: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await _ask(trainer, texte=RAW)
    assert answer.status == 200
    told = json.loads(answer.page)
    assert "karim" not in told["text"]
    assert "27 14" not in told["text"]
    assert "".join(piece["raw"] for piece in told["pieces"]) == RAW
    assert "".join(piece["new"] for piece in told["pieces"]) == told["text"]
    assert [(piece["kind"], piece["label"]) for piece in told["pieces"] if piece["kind"]] == [
        ("name", "nom ou prénom"),
        ("phone", "téléphone"),
    ]
    assert "karim" not in caplog.text.lower()


async def test_a_selection_gets_a_stand_in_of_the_kind_that_was_chosen(trainer: Browser) -> None:
    told = json.loads((await _ask(trainer, extrait=" zizou ", nature="name")).page)
    assert told["stand_in"].startswith(" ")
    assert told["stand_in"].strip().islower()
    assert "zizou" not in told["stand_in"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"texte": "  "},
        {"texte": "a" * 4001},
        {"extrait": "x", "nature": "couleur"},
        {"extrait": " ", "nature": "name"},
    ],
)
async def test_what_cannot_be_replaced_is_refused_in_french(trainer: Browser, fields: dict[str, str]) -> None:
    answer = await _ask(trainer, **fields)
    assert answer.status == 422
    told = json.loads(answer.page)
    assert told["what"].endswith(".")
    assert told["remedy"].endswith(".")


async def test_who_may_not_correct_may_not_ask(console: RunningConsole) -> None:
    for name, role in (("Claire", "agent"), ("Odile", "auditor")):
        await console.user(name, role)
        async with Browser(console) as browser:
            await browser.log_in(name)
            assert (await _ask(browser, texte=RAW)).status == 403


def test_every_kind_has_its_words() -> None:
    assert set(workbench_pseudonyms.KINDS) == set(Kind)


async def test_only_what_the_trainer_spoke_of_passes() -> None:
    """One box a piece: a tick for one name is no tick for another."""
    text = "écrivez à Karim Benali ou à lea.k@messagerie.example"
    everything = await workbench_pseudonyms.still_personal(_form(), text)
    assert [one.kind for one in everything] == [Kind.NAME, Kind.EMAIL]
    left = await workbench_pseudonyms.still_personal(_form("Karim Benali"), text)
    assert [one.original for one in left] == ["lea.k@messagerie.example"]
    assert await workbench_pseudonyms.still_personal(_form("Karim Benali", "lea.k@messagerie.example"), text) == []
    assert await workbench_pseudonyms.still_personal(_form("1"), text) != []


def _form(*confirmed: str) -> Request:
    """A posted form with these boxes ticked."""
    body = urlencode([(workbench_pseudonyms.CONFIRMED, words) for words in confirmed]).encode()
    posted = Request(b"/", Header({"content-type": "application/x-www-form-urlencoded"}), "1.1", "POST", Mock(), Mock())
    posted.body = body
    return posted


async def _ask(browser: Browser, **fields: str) -> Answer:
    """As the script does, with the token of a page at hand."""
    page = await browser.get("/mon-compte")
    return await browser.post(PATH, csrf=page.hidden("csrf"), **fields)
