"""What agents see and do, over real PostgreSQL and HTTP, without a script in the browser."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bot.console import labels, words
from bot.core.clock import FrozenClock
from bot.core.messages import Attachment, Channel, Echo, Edit, Platform, Reaction, Unsend
from bot.policy.intents import INTENTS, PRIORITY
from bot.store import desk as desks
from bot.store.codec import Codec
from bot.store.conversations import STATE
from bot.store.db import Database
from tests.fakes.console import ARRIVES, BACK, Browser, RunningConsole, running_console


@pytest.fixture
async def console(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock
) -> AsyncIterator[RunningConsole]:
    async with running_console(database, database_url, codec, frozen_clock) as running:
        yield running


@pytest.fixture
async def claire(console: RunningConsole) -> AsyncIterator[Browser]:
    """An agent who has logged in."""
    await console.user("Claire")
    async with Browser(console) as browser:
        assert (await browser.log_in("Claire")).status == 303
        yield browser


@pytest.fixture
async def yanis(console: RunningConsole) -> AsyncIterator[Browser]:
    """Another agent."""
    await console.user("Yanis")
    async with Browser(console) as browser:
        assert (await browser.log_in("Yanis")).status == 303
        yield browser


async def waiting(console: RunningConsole, person: str = "p1", said: str = "je veux parler à un agent") -> int:
    """A conversation that waits for a human."""
    number = await console.says(person, said)
    await console.execute(
        "UPDATE events SET disposition = 'handed_off', settled_at = now() WHERE conversation_id = :id", id=number
    )
    await console.hand_off(number)
    return number


# -- the queue ----------------------------------------------------------------------------------------------------


def test_every_value_of_the_store_has_french_words() -> None:
    assert set(labels.INTENTS) == set(INTENTS)
    assert set(labels.CATEGORIES) == set(PRIORITY)
    assert set(labels.FILTERS) == set(desks.FILTERS) == set(labels.EMPTY)
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
    for i in range(desks.PAGE + 2):
        await waiting(console, f"p{i}", f"mots {i:02d}.")
        console.clock.advance(seconds=1)  # type: ignore[union-attr]
    first = await claire.get("/file")
    assert first.page.count('data-testid="queue-row"') == desks.PAGE
    following = re.search(r'href="([^"]+)" id="suite"', first.page)
    assert following is not None
    second = await claire.get(html.unescape(following[1]))
    assert re.findall(r"mots (\d\d)\.", second.page) == [str(desks.PAGE), str(desks.PAGE + 1)]
    assert 'id="suite"' not in second.page
    number = (await console.rows("SELECT min(id) AS id FROM conversations"))[0].id
    await claire.act(number, "prendre")
    mine = await claire.get("/file?etat=a-moi")
    assert mine.page.count('data-testid="queue-row"') == 1
    assert re.findall(r'class="count">(\d+)', mine.page) == [str(desks.PAGE + 1), "1", str(desks.PAGE + 2)]
    await claire.act(number, "clore")
    closed = await claire.get("/file?etat=closes")
    assert "mots 00." in closed.page
    assert "mots 01." not in closed.page


async def test_closed_ones_are_paged_too(console: RunningConsole, claire: Browser) -> None:
    for i in range(desks.PAGE + 1):
        number = await waiting(console, f"p{i}", f"mots {i:02d}.")
        await claire.act(number, "clore")
        console.clock.advance(seconds=1)  # type: ignore[union-attr]
    first = await claire.get("/file?etat=closes")
    assert re.findall(r"mots (\d\d)\.", first.page)[0] == str(desks.PAGE)
    following = re.search(r'href="([^"]+)" id="suite"', first.page)
    assert following is not None
    second = await claire.get(html.unescape(following[1]))
    assert re.findall(r"mots (\d\d)\.", second.page) == ["00"]


@pytest.mark.parametrize("after", ["x", "1_2", "9_9999999999999999_1", "1_1_999999999999999999", "-1_0_0", "١_1_1"])
async def test_a_strange_page_is_a_page(console: RunningConsole, claire: Browser, after: str) -> None:
    for which in desks.FILTERS:
        assert (await claire.get(f"/file?etat={which}&apres={after}")).status == 200


@pytest.mark.parametrize("which", desks.FILTERS)
async def test_an_empty_queue_says_what_to_do(claire: Browser, which: str) -> None:
    page = await claire.get(f"/file?etat={which}")
    assert html.escape(labels.EMPTY[which][1], quote=False) in page.page.replace("&#39;", "'")


async def test_the_page_asks_for_its_list_alone(console: RunningConsole, claire: Browser) -> None:
    await waiting(console)
    fragment = await claire.get("/file", X_Planton_Live="1")
    assert fragment.page.lstrip().startswith('<div id="queue"')
    assert "<html" not in fragment.page


# -- the thread ---------------------------------------------------------------------------------------------------


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


# -- take ---------------------------------------------------------------------------------------------------------


async def test_take_silences_the_bot_and_tells_the_person_once(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    await console.says("p1", "encore une chose")  # not handled yet
    await console.bot_says(number, "le bot allait dire", "queued")
    await console.bot_says(number, "bonne nuit", "queued", author="night")
    before = await console.conversation(number)
    assert (await claire.act(number, "prendre")).status == 303
    after = await console.conversation(number)
    assert (after.owner, after.agent_id) == ("agent", console.users["Claire"].id)
    assert after.owner_version == before.owner_version + 1
    assert await console.outgoing(number) == [
        ("reply", "bot", "cancelled", "le bot allait dire"),
        ("reply", "night", "queued", "bonne nuit"),
        ("agent", "system", "queued", ARRIVES),
    ]
    pending = await console.rows("SELECT disposition, reason FROM events ORDER BY id")
    assert pending[-1] == ("to_agent", "agent")
    handoff = await console.handoff(number)
    assert (handoff.taken_at, handoff.user_id) == (console.clock.now(), console.users["Claire"].id)
    assert (await claire.act(number, "prendre")).status == 303  # again: nothing more
    assert len(await console.outgoing(number)) == 3
    assert await console.audit() == [("login", None), ("take", number)]


async def test_an_echo_keeps_waiting_for_the_worker(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    await console.event("p1", Echo("du téléphone d’un chef"), "m9")
    await claire.act(number, "prendre")
    assert (await console.rows("SELECT disposition FROM events WHERE kind = 'echo'"))[0].disposition is None


async def test_no_word_to_the_person_when_the_window_is_closed(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    console.clock.advance(hours=25)  # type: ignore[union-attr]
    await claire.act(number, "prendre")
    assert await console.outgoing(number) == []
    assert (await console.conversation(number)).owner == "agent"


async def test_a_conversation_of_the_bot_can_be_taken(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "bonjour")
    await claire.act(number, "prendre")
    handoff = await console.handoff(number)
    assert (handoff.reason, handoff.category) == ("agent", "request")
    assert (await console.conversation(number)).owner == "agent"


async def test_two_agents_press_take_at_once(console: RunningConsole, claire: Browser, yanis: Browser) -> None:
    number = await waiting(console)
    a, b = await asyncio.gather(claire.act(number, "prendre"), yanis.act(number, "prendre"))
    assert sorted((a.status, b.status)) == [303, 409]
    refused = a if a.status == 409 else b
    assert "vient de prendre cette conversation" in refused.page
    assert [m[1] for m in await console.outgoing(number)] == ["system"]


async def test_an_agent_takes_over_knowingly(console: RunningConsole, claire: Browser, yanis: Browser) -> None:
    number = await waiting(console)
    await claire.act(number, "prendre")
    page = await yanis.get(f"/conversations/{number}")
    assert "Prendre à la place de <bdi>Claire</bdi>" in page.page
    assert (await yanis.act(number, "prendre")).status == 409  # the form says who had it
    held = str(console.users["Claire"].id)
    assert (await yanis.act(number, "prendre", tenue_par=held)).status == 303
    assert (await console.conversation(number)).agent_id == console.users["Yanis"].id
    assert len(await console.outgoing(number)) == 1  # told once


# -- reply --------------------------------------------------------------------------------------------------------


async def test_reply_goes_out_and_is_recorded(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    await claire.act(number, "prendre")
    console.clock.advance(minutes=3)  # type: ignore[union-attr]
    answer = await claire.act(number, "repondre", message="Bonjour,\r\nje m’en occupe.")
    assert answer.status == 303
    assert (await console.outgoing(number))[-1] == ("agent", "agent", "queued", "Bonjour,\nje m’en occupe.")
    row = (await console.rows("SELECT * FROM outbox ORDER BY id DESC LIMIT 1"))[0]
    assert (row.user_id, row.owner_version) == (console.users["Claire"].id, None)
    assert (await console.conversation(number)).last_agent_at == console.clock.now()
    assert (await console.handoff(number)).replied_at == console.clock.now()
    page = (await claire.get(f"/conversations/{number}")).page
    assert "je m’en occupe." in page
    assert "· en attente" in page
    assert (await console.audit())[-1] == ("reply", number)
    details = (await console.rows("SELECT detail FROM audit WHERE action = 'reply'"))[0].detail
    assert set(details) == {"outbox", "characters"}


async def test_a_double_click_sends_once(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    await claire.act(number, "prendre")
    page = await claire.get(f"/conversations/{number}")
    form = {name: page.hidden(name) for name in ("csrf", "vu", "cle")}
    path = f"/conversations/{number}/repondre"
    sent = await asyncio.gather(*(claire.post(path, **form, message="une fois") for _ in range(4)))
    assert [a.status for a in sent] == [303] * 4
    assert [m[3] for m in await console.outgoing(number)] == [ARRIVES, "une fois"]
    # The person answers meanwhile, and the second click arrives late: it was sent, so there is nothing to refuse.
    await console.says("p1", "merci")
    assert (await claire.post(path, **form, message="une fois")).status == 303
    # Gone back to the form and changed it: another message.
    form["vu"] = (await claire.get(f"/conversations/{number}")).hidden("vu")
    assert (await claire.post(path, **form, message="deux fois")).status == 303
    assert [m[3] for m in await console.outgoing(number)] == [ARRIVES, "une fois", "deux fois"]


async def test_a_stale_reply_is_refused_with_the_message_and_the_draft(
    console: RunningConsole, claire: Browser
) -> None:
    number = await waiting(console)
    await claire.act(number, "prendre")
    page = await claire.get(f"/conversations/{number}")
    form = {name: page.hidden(name) for name in ("csrf", "vu", "cle")}
    await console.says("p1", "attendez, c’est pire")
    path = f"/conversations/{number}/repondre"
    refused = await claire.post(path, **form, message="Bonne <journée> !")
    assert refused.status == 409
    assert "rien n’a été envoyé" in refused.page
    assert "attendez, c’est pire" in refused.page
    assert "Bonne &lt;journée&gt; !</textarea>" in refused.page
    assert [m[1] for m in await console.outgoing(number)] == ["system"]
    again = {name: refused.hidden(name) for name in ("csrf", "vu", "cle")}
    assert (await claire.post(path, **again, message="Bonne <journée> !")).status == 303
    assert (await console.outgoing(number))[-1][3] == "Bonne <journée> !"


@pytest.mark.parametrize("body", [Edit("m1", "autre", 1), Unsend("m1")])
async def test_an_edit_or_a_withdrawal_makes_a_reply_stale(
    console: RunningConsole, claire: Browser, body: Edit | Unsend
) -> None:
    number = await console.says("p1", "un", mid="m1")
    await claire.act(number, "prendre")
    seen = (await claire.get(f"/conversations/{number}")).hidden("vu")
    await console.event("p1", body, "m2")
    assert (await claire.act(number, "repondre", message="ok", vu=seen)).status == 409


async def test_only_the_holder_replies(console: RunningConsole, claire: Browser, yanis: Browser) -> None:
    number = await waiting(console)
    page = await yanis.get(f"/conversations/{number}")
    assert 'data-testid="composer"' not in page.page
    untaken = await yanis.act(number, "repondre", message="moi", cle="k")
    assert untaken.status == 409
    assert "moi\n</textarea>" in untaken.page.replace("moi</textarea>", "moi\n</textarea>")
    await claire.act(number, "prendre")
    other = await yanis.act(number, "repondre", message="moi", cle="k")
    assert other.status == 409
    assert "Claire a pris cette conversation" in other.page
    assert (await yanis.act(number, "rendre")).status == 409
    assert (await yanis.act(number, "clore")).status == 409
    assert [m[1] for m in await console.outgoing(number)] == ["system"]


async def test_window_of_seven_days(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    await claire.act(number, "prendre")
    console.clock.advance(days=6, hours=23)  # type: ignore[union-attr]
    page = (await claire.get(f"/conversations/{number}")).page
    assert "seul un agent peut encore écrire" in page
    assert (await claire.act(number, "repondre", message="tard")).status == 303
    open_page = await claire.get(f"/conversations/{number}")
    form = {name: open_page.hidden(name) for name in ("csrf", "vu", "cle")}
    console.clock.advance(hours=1)  # type: ignore[union-attr]
    closed = await claire.get(f"/conversations/{number}")
    assert 'data-testid="composer"' not in closed.page
    assert "Meta n’accepte plus de message" in closed.page
    refused = await claire.post(f"/conversations/{number}/repondre", **form, message="trop tard")
    assert refused.status == 422
    assert "La fenêtre de 7 jours de Meta est fermée" in refused.page
    assert "trop tard</textarea>" in refused.page
    assert (await console.outgoing(number))[-1][3] == "tard"


@pytest.mark.parametrize(
    ("message", "what"),
    [("", "vide"), (" \n\t", "vide"), ("\u200b\u200e", "vide"), ("\x00\x01", "vide"), ("a" * 10_001, "10001")],
)
async def test_what_cannot_be_sent(console: RunningConsole, claire: Browser, message: str, what: str) -> None:
    number = await waiting(console)
    await claire.act(number, "prendre")
    refused = await claire.act(number, "repondre", message=message)
    assert refused.status == 422
    assert what in refused.page
    assert [m[1] for m in await console.outgoing(number)] == ["system"]


async def test_ten_thousand_characters_are_sent_whole(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    await claire.act(number, "prendre")
    assert (await claire.act(number, "repondre", message="é" * 10_000)).status == 303
    assert (await console.outgoing(number))[-1][3] == "é" * 10_000


# -- give back, close ---------------------------------------------------------------------------------------------


async def test_give_back_starts_the_bot_afresh_and_says_so_once(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    await console.execute("UPDATE conversations SET state = :s", s=console.codec.seal_json({"old": 1}, STATE))
    await claire.act(number, "prendre")
    await console.execute("UPDATE outbox SET status = 'sent'")
    version = (await console.conversation(number)).owner_version
    await console.says("p1", "autre question")  # not handled yet: the bot will answer it
    assert (await claire.act(number, "rendre")).status == 303
    after = await console.conversation(number)
    assert (after.owner, after.agent_id, after.category, after.state) == ("bot", None, "none", None)
    assert after.owner_version == version + 1
    handoff = await console.handoff(number)
    assert (handoff.closed_at, handoff.outcome) == (console.clock.now(), "given_back")
    assert (await console.outgoing(number))[-1] == ("agent", "system", "queued", BACK)
    assert (await console.rows("SELECT disposition FROM events ORDER BY id"))[-1].disposition is None
    assert (await claire.act(number, "rendre")).status == 303
    assert len(await console.outgoing(number)) == 2
    assert [a for a, _ in await console.audit()] == ["login", "take", "give_back"]


async def test_taken_and_given_back_before_anything_left(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    await claire.act(number, "prendre")
    await claire.act(number, "rendre")
    assert [(m[2], m[3]) for m in await console.outgoing(number)] == [("cancelled", ARRIVES), ("queued", BACK)]
    await console.hand_off(number)
    await claire.act(number, "prendre")  # a second hand-off: the person is told of it
    assert [(m[2], m[3]) for m in await console.outgoing(number)][1:] == [("cancelled", BACK), ("queued", ARRIVES)]


async def test_an_agents_reply_leaves_even_after_it_is_given_back(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    await claire.act(number, "prendre")
    await claire.act(number, "repondre", message="voilà")
    await claire.act(number, "rendre")
    assert ("agent", "agent", "queued", "voilà") in await console.outgoing(number)


async def test_metas_inbox_can_be_given_back(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "bonjour")
    await console.execute("UPDATE conversations SET owner = 'inbox', owner_until = now()")
    assert (await claire.act(number, "rendre")).status == 303
    after = await console.conversation(number)
    assert (after.owner, after.owner_until) == ("bot", None)


async def test_close_ends_it_in_silence(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    await claire.act(number, "prendre")
    await console.execute("UPDATE outbox SET status = 'sent'")
    await console.says("p1", "merci")
    assert (await claire.act(number, "clore")).status == 303
    after = await console.conversation(number)
    assert (after.owner, after.agent_id, after.category) == ("closed", None, "none")
    assert (await console.handoff(number)).outcome == "closed"
    assert len(await console.outgoing(number)) == 1
    assert (await console.rows("SELECT disposition, reason FROM events ORDER BY id"))[-1] == ("to_agent", "closed")
    assert (await claire.act(number, "clore")).status == 303
    assert [a for a, _ in await console.audit()] == ["login", "take", "close"]


async def test_close_is_refused_when_the_person_has_just_written(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    await claire.act(number, "prendre")
    seen = (await claire.get(f"/conversations/{number}")).hidden("vu")
    await console.says("p1", "au secours")
    refused = await claire.act(number, "clore", vu=seen)
    assert refused.status == 409
    assert "la conversation n’a pas été close" in refused.page
    assert (await console.conversation(number)).owner == "agent"


async def test_an_administrator_frees_what_an_absent_agent_holds(console: RunningConsole, claire: Browser) -> None:
    number = await waiting(console)
    await claire.act(number, "prendre")
    await console.user("Chef", "administrator")
    async with Browser(console) as chief:
        await chief.log_in("Chef")
        assert (await chief.act(number, "rendre")).status == 303
    assert (await console.conversation(number)).owner == "bot"


# -- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "moins d’1 min"), (59, "moins d’1 min"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (11_100, "3 h 05"),
     (86_400, "1 j"), (187_200, "2 j 4 h"), (-5, "moins d’1 min")],
)  # fmt: skip
def test_durations(seconds: int, said: str) -> None:
    assert words.duration(timedelta(seconds=seconds)).replace("\u00a0", " ") == said


def test_window_levels(frozen_clock: FrozenClock) -> None:
    now = frozen_clock.now()
    ages = {"open": 1, "soon": 22.5, "human": 24, "closed": 168}
    assert {level: words.window_left(now - timedelta(hours=h), now).level for level, h in ages.items()} == {
        k: k for k in ages
    }
    assert words.window_left(None, now).level == "closed"
    assert not words.window_left(None, now).can_write
