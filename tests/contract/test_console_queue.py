"""The queue, over real PostgreSQL and HTTP, without a script in the browser."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from bot.console import labels
from bot.core.messages import Attachment, Platform
from bot.policy.intents import INTENTS, PRIORITY
from bot.store.desk import queue as queues
from tests.fakes.console import Browser, RunningConsole


def test_every_value_of_the_store_has_french_words() -> None:
    assert set(labels.INTENTS) == set(INTENTS)
    assert set(labels.CATEGORIES) == set(PRIORITY)
    assert set(labels.FILTERS) == set(queues.FILTERS) == set(labels.EMPTY)
    for slug in (*INTENTS, "emergency_lexicon", "emergency_score", "emergency_engine", "emergency_old",
                 "emergency_follow_up", "window_closed", "autre_langue", "media", "incompris", "boucle", "moteur"):  # fmt: skip
        assert "_" not in labels.reason(slug)
        assert labels.reason(slug)[0].isupper()
    assert labels.intent("armes_chasse") == "armes"
    assert labels.reason("") == "Raison inconnue"


async def test_queue_orders_by_priority_then_age(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    for person, category, hours in (
        ("young", "request", 1),
        ("thanks", "thanks", 9),
        ("old", "request", 5),
        ("danger", "emergency", 0),
        ("grave", "sensitive", 2),
    ):
        reason = "emergency_lexicon" if person == "danger" else "parler_humain"
        number = await console.says(person, f"mots de {person}")
        await console.hand_off(number, category, reason, at=now - timedelta(hours=hours))
    page = await claire.get("/file")
    assert re.findall(r"mots de (\w+)", page.page) == ["danger", "grave", "old", "young", "thanks"]
    assert "Danger reconnu à ses mots" in page.page
    assert "5\u00a0h" in page.page


async def test_queue_says_who_where_what_and_how_long_is_left(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    first = await console.says("p1", "x" * 400, at=now - timedelta(hours=23), platform=Platform.INSTAGRAM)
    await console.hand_off(first, "complaint", "reclamation_police")
    second = await console.says(
        "p2", "", Attachment("image", url="https://cdn.example/photo.jpg"), at=now - timedelta(days=3)
    )
    await console.hand_off(second, "request", "media")
    await console.named(second, "Nadia B.")
    third = await console.says("p3", "vieux", at=now - timedelta(days=8))
    await console.hand_off(third)
    page = (await claire.get("/file")).page
    assert f"Personne\u00a0{first}" in page
    assert "Instagram" in page
    assert "x" * 140 + "…" in page
    assert "x" * 150 not in page
    assert "Réclamation sur la police" in page
    assert "1\u00a0h sur 24\u00a0h" in page
    assert "Nadia B." in page
    assert "<bdi>Photo</bdi>" in page
    assert "cdn.example" not in page
    assert "4\u00a0j sur 7\u00a0j" in page
    assert "fenêtre fermée" in page


async def test_filters_counts_and_paging(console: RunningConsole, claire: Browser) -> None:
    for i in range(queues.PAGE + 2):
        await console.waiting(f"p{i}", f"mots {i:02d}.")
        console.clock.advance(seconds=1)  # type: ignore[union-attr]
    first = await claire.get("/file")
    assert first.page.count('data-testid="queue-row"') == queues.PAGE
    following = re.search(r'href="([^"]+)" id="suite"', first.page)
    assert following is not None
    second = await claire.get(html.unescape(following[1]))
    assert re.findall(r"mots (\d\d)\.", second.page) == [str(queues.PAGE), str(queues.PAGE + 1)]
    assert 'id="suite"' not in second.page
    number = (await console.rows("SELECT min(id) AS id FROM conversations"))[0].id
    await claire.act(number, "prendre")
    mine = await claire.get("/file?etat=a-moi")
    assert mine.page.count('data-testid="queue-row"') == 1
    assert re.findall(r'class="count">(\d+)', mine.page) == [str(queues.PAGE + 1), "1", str(queues.PAGE + 2)]
    await claire.act(number, "clore")
    closed = await claire.get("/file?etat=closes")
    assert "mots 00." in closed.page
    assert "mots 01." not in closed.page


async def test_closed_ones_are_paged_too(console: RunningConsole, claire: Browser) -> None:
    for i in range(queues.PAGE + 1):
        number = await console.waiting(f"p{i}", f"mots {i:02d}.")
        await claire.act(number, "clore")
        console.clock.advance(seconds=1)  # type: ignore[union-attr]
    first = await claire.get("/file?etat=closes")
    assert re.findall(r"mots (\d\d)\.", first.page)[0] == str(queues.PAGE)
    following = re.search(r'href="([^"]+)" id="suite"', first.page)
    assert following is not None
    second = await claire.get(html.unescape(following[1]))
    assert re.findall(r"mots (\d\d)\.", second.page) == ["00"]


@pytest.mark.parametrize("after", ["x", "1_2", "9_9999999999999999_1", "1_1_999999999999999999", "-1_0_0", "١_1_1"])
async def test_a_strange_page_is_a_page(console: RunningConsole, claire: Browser, after: str) -> None:
    for which in queues.FILTERS:
        assert (await claire.get(f"/file?etat={which}&apres={after}")).status == 200


@pytest.mark.parametrize("which", queues.FILTERS)
async def test_an_empty_queue_says_what_to_do(claire: Browser, which: str) -> None:
    page = await claire.get(f"/file?etat={which}")
    assert html.escape(labels.EMPTY[which][1], quote=False) in page.page.replace("&#39;", "'")


async def test_the_page_asks_for_its_list_alone(console: RunningConsole, claire: Browser) -> None:
    await console.waiting()
    fragment = await claire.get("/file", X_Planton_Live="1")
    assert fragment.page.lstrip().startswith('<div id="queue"')
    assert "<html" not in fragment.page
