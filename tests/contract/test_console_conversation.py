"""A conversation's page, over real PostgreSQL and HTTP, without a script in the browser."""

from __future__ import annotations

import html
import re

from bot.core.messages import Attachment, Channel, Echo, Edit, Reaction, Unsend
from tests.fakes.console import Browser, RunningConsole


def texts(page: str) -> list[str]:
    """The texts of a thread, in order."""
    return [html.unescape(t) for t in re.findall(r'<p class="text"><bdi dir="auto">(.*?)</bdi>', page, re.DOTALL)]


async def test_thread_in_order_with_author_time_state_and_understanding(
    console: RunningConsole, claire: Browser
) -> None:
    number = await console.says("p1", "bonjour", mid="m1")
    await console.execute("UPDATE events SET intent = 'reclamation_police', confidence = 0.874")
    await console.bot_says(number, "réponse du bot", delivered_at=console.clock.now())
    await console.bot_says(number, "message de nuit", author="night", read_at=console.clock.now())
    await console.bot_says(number, "appelez le 17", author="emergency")
    gone = {"error_slug": "person_unavailable", "error_remedy": "La personne n’est plus joignable."}
    await console.bot_says(number, "ratée", "failed", **gone)
    await console.bot_says(number, "annulée", "cancelled", error_slug="agent_took")
    await console.says("p1", "et alors ?", mid="m2")
    await console.hand_off(
        number, "complaint", "reclamation_police", "reclamation_police", slots={"ville": "Lyon", "date": "hier"}
    )
    page = (await claire.get(f"/conversations/{number}")).page
    assert texts(page) == [
        "bonjour",
        "réponse du bot",
        "message de nuit",
        "appelez le 17",
        "ratée",
        "annulée",
        "et alors ?",
    ]
    assert re.findall(r'data-author="(\w+)"', page) == ["person", "bot", "night", "emergency", "bot", "bot", "person"]
    assert ">12:00</time>" in page  # 11:00 UTC in winter
    assert "compris&nbsp;: réclamation sur la police (87&nbsp;%)" in page
    assert "· remis" in page
    assert "· lu à\u00a012:00" in page
    assert "échec\u00a0: La personne n’est plus joignable." in page
    assert "non envoyé\u00a0: un agent a pris la conversation" in page
    assert "<dt>Ville</dt><dd><bdi>Lyon</bdi>" in page
    assert "Aujourd’hui" in page


async def test_edits_unsent_attachments_places_reactions_and_others_echoes(
    console: RunningConsole, claire: Browser
) -> None:
    number = await console.says("p1", "premier texte", mid="m1")
    await console.event("p1", Edit("m1", "second texte", 1))
    await console.says("p1", "regretté", mid="m2")
    await console.event("p1", Unsend("m2"), "m2u")
    await console.says("p1", "", Attachment("audio", url="https://cdn.example/voice.mp4"), mid="m3")
    await console.says("p1", "", Attachment("location", lat=48.8566, long=2.3522), mid="m4")
    await console.event("p1", Reaction("m1", "react", "❤"), "m5")
    await console.event("p1", Echo("d’un collègue chez Meta"), "m6")
    await console.event("p1", Echo("la nôtre"), "m7")
    await console.execute(
        """UPDATE events SET disposition = 'ignored', reason = CASE mid WHEN 'm6' THEN 'inbox_reply' ELSE 'own_echo' END
           WHERE kind = 'echo'"""
    )
    await console.says("p1", "adressé à une autre", mid="m8", channel=Channel.STANDBY)
    page = (await claire.get(f"/conversations/{number}")).page
    assert texts(page)[0] == "second texte"
    assert "premier texte" in page
    assert "· modifié" in page
    assert "message retiré" in page
    assert "regretté" not in page
    assert "Message vocal" in page
    assert "Position\u00a0: 48.85660, 2.35220" in page
    assert "cdn.example" not in page
    assert "<bdi>❤</bdi>" in page
    assert "d’un collègue chez Meta" in page
    assert "Boîte de réception Meta" in page
    assert "la nôtre" not in page
    assert "adressé à une autre application" in page


async def test_what_a_person_writes_is_text(console: RunningConsole, claire: Browser) -> None:
    nasty = '</bdi><script>alert(1)</script><img src=x onerror="alert(2)"> {{ 7*7 }} \u202eabc\u2066 👮🏽‍♀️'
    number = await console.says("p1", nasty)
    await console.says("p1", "mot " * 2500)
    await console.says("p1", "\u200b\u200d\u2060")
    await console.hand_off(number, slots={"ville": "<i>Lyon</i>"})
    await console.named(number, "<b>Zoé</b> \u202exe")
    page = (await claire.get(f"/conversations/{number}")).page
    assert nasty in texts(page)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "<i>Lyon" not in page
    assert "<b>Zoé" not in page
    assert "49" not in "".join(texts(page))
    assert ("mot " * 2500).strip() in texts(page)
    assert "Lire le message entier (9999 caractères)" in page
    assert "message sans caractère visible" in page
    title = re.search("<title>(.*?)</title>", page)
    assert title is not None
    assert "\u202e" not in title[1]


async def test_a_long_thread_is_read_by_pieces(console: RunningConsole, claire: Browser) -> None:
    for i in range(6):
        number = await console.says("p1", f"mot {i}")
    page = await claire.get(f"/conversations/{number}?messages=4")
    assert texts(page.page) == ["mot 2", "mot 3", "mot 4", "mot 5"]
    assert f"/conversations/{number}?messages=20" in page.page
    assert "anciens" not in (await claire.get(f"/conversations/{number}?messages=20")).page
