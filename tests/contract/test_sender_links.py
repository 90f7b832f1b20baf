"""The links of a row on their way to Meta: buttons of a template, or lines of the text."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.core.dialogue import Link, QuickReply
from bot.core.messages import Platform
from tests.contract.test_sender_loops import World, running
from tests.fakes.graph import IG, PAGE, Mood, Script

LINK = Link("La fiche", "https://www.example.fr/fiche")
LINKED = f"Oui.\n{LINK.line}"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


async def test_a_link_leaves_as_a_button(world: World) -> None:
    kept = world.outbox.add(LINKED, links=(LINK,), quick_replies=(QuickReply("Non", "non"),))
    await world.settled(kept)
    [sent] = world.graph.sent
    assert (sent.text, sent.links, sent.quick_replies) == ("Oui.", (("La fiche", LINK.url),), ("Non",))
    assert kept.mids == [sent.mid]


@pytest.mark.parametrize(
    ("platform", "text"),
    [(Platform.INSTAGRAM, LINKED), (Platform.MESSENGER, f"{'a' * 640}.\n{LINK.line}"), (Platform.MESSENGER, "Autre.")],
)
async def test_a_link_that_cannot_be_a_button_leaves_in_the_text(world: World, platform: Platform, text: str) -> None:
    world.graph.graph.person_wrote("42", platform=platform)
    account = IG if platform is Platform.INSTAGRAM else PAGE
    kept = world.outbox.add(text, links=(LINK,), platform=platform, account=account)
    await world.settled(kept)
    assert [(sent.text, sent.links) for sent in world.graph.sent] == [(text, ())]


async def test_a_text_of_several_parts_keeps_its_link(world: World) -> None:
    words = "Bonjour. " * 250
    kept = world.outbox.add(f"{words}\n{LINK.line}", links=(LINK,))
    await world.settled(kept)
    assert len(world.graph.sent) == 2
    assert world.graph.sent[-1].text.endswith(LINK.line)
    assert [sent.links for sent in world.graph.sent] == [(), ()]


@pytest.mark.parametrize("subcode", [None, 2018294, 2018999])
async def test_a_template_that_meta_refuses_leaves_as_text(world: World, subcode: int | None) -> None:
    world.graph.script(Script(Mood.ERROR, code=100, subcode=subcode))
    kept = world.outbox.add(LINKED, links=(LINK,))
    await world.settled(kept)
    assert [(sent.text, sent.links) for sent in world.graph.sent] == [(LINKED, ())]
    assert (kept.status, kept.retries) == ("sent", [])


async def test_a_refusal_that_is_not_the_templates_is_not_tried_as_text(world: World) -> None:
    world.graph.script(Script(Mood.ERROR, code=551))
    kept = world.outbox.add(LINKED, links=(LINK,))
    await world.settled(kept)
    assert (kept.status, kept.slug, world.graph.sent) == ("failed", "person_unavailable", [])


async def test_the_echo_of_a_template_whose_answer_was_lost_is_found(world: World) -> None:
    world.graph.script(Script(Mood.RESET, accepted=True))
    kept = world.outbox.add(LINKED, links=(LINK,))
    await world.settled(kept)
    assert [sent.links for sent in world.graph.sent] == [(("La fiche", LINK.url),)]
    assert kept.mids == [world.graph.sent[0].mid]
