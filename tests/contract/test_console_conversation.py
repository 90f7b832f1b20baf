"""A conversation's page, over real PostgreSQL and HTTP, without a script in the browser."""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta

from sqlalchemy import text

from bot.core.clock import FrozenClock
from bot.core.dialogue import Understanding
from bot.core.messages import Attachment, Channel, Echo, Edit, Message, Reaction, Unsend, body_to_json
from bot.store import understanding
from bot.store.conversations import BODY
from bot.store.desk.thread import GROWS_TO, PAGE, mark
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
    assert "Compris&nbsp;: réclamation sur la police (87&nbsp;%)" in page
    assert "<dt>Sujet compris</dt><dd>Réclamation sur la police (87&nbsp;%)" in page
    assert "· remis à\u00a012:00" in page
    assert "· lu à\u00a012:00" in page
    assert "échec\u00a0: personne injoignable" in page
    assert ">La personne n’est plus joignable.</p>" in page
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
    assert "Texte d’origine" in page
    assert "premier texte" in page
    assert "· modifié" in page
    assert "message retiré" in page
    assert "regretté" not in page
    assert "Message vocal" in page
    assert "Position\u00a0: 48.85660, 2.35220" in page
    address = "https://www.openstreetmap.org/?mlat=48.85660&amp;mlon=2.35220#map=17/48.85660/2.35220"
    assert f'href="{address}" target="_blank" rel="noopener noreferrer"' in page
    assert page.count("openstreetmap.org") == 1  # a link, which nothing but a click opens: no picture, no frame
    assert not re.search(r'(src|href)="[^"]*cdn\.example', page)
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
    assert "Afficher tout (9\u202f999 caractères)" in page
    assert "message sans caractère visible" in page
    assert page.count('data-testid="turned"') == 1  # what is read there is not what was written
    title = re.search("<title>(.*?)</title>", page)
    assert title is not None
    assert "\u202e" not in title[1]


def ids(page: str) -> list[str]:
    """The entries of a page, in order."""
    return re.findall(r'<article [^>]*id="(\w+)"', page)


async def test_a_long_thread_is_read_by_parts_and_nothing_is_lost_or_doubled(
    console: RunningConsole, claire: Browser
) -> None:
    number = await _long(console, 250)
    page = (await claire.get(f"/conversations/{number}")).page
    read = [ids(page)]
    assert len(read[0]) == PAGE
    assert texts(page)[-1] == "mot 249"
    older = re.search(r'href="(/conversations/\d+\?avant=\d+)" id="anciens"', page)
    while older is not None:
        part = (await claire.get(older[1], X_Planton_Live="1")).page
        assert "<html" not in part
        read.insert(0, ids(part))
        mark = re.search(r'data-older="(\d+)"', part)
        older = re.match("(.*)", f"/conversations/{number}?avant={mark[1]}") if mark else None
    together = [entry for part in read for entry in part]
    assert len(together) == len(set(together)) == 250
    everything = await console.rows("SELECT id FROM events ORDER BY at, id")
    assert together == [f"e{row.id}" for row in everything]


async def test_a_page_that_stays_open_grows_and_then_starts_anew(console: RunningConsole, claire: Browser) -> None:
    number = await _long(console, 150)
    page = (await claire.get(f"/conversations/{number}")).page
    shown = re.search(r'data-since="(\d+)"', page)
    assert shown is not None
    _pass(console, timedelta(hours=1))
    for i in range(3):
        await console.says("p1", f"encore {i}")
    live = (await claire.get(f"/conversations/{number}?depuis={shown[1]}", X_Planton_Live="1")).page
    assert ids(live)[: len(ids(page))] == ids(page)
    assert texts(live)[-1] == "encore 2"
    await _long(console, GROWS_TO, start=4000)
    live = (await claire.get(f"/conversations/{number}?depuis={shown[1]}", X_Planton_Live="1")).page
    assert PAGE - 3 < len(ids(live)) <= PAGE


async def test_an_older_part_says_so_and_offers_no_reply(console: RunningConsole, claire: Browser) -> None:
    number = await _long(console, 150)
    first = (await console.rows("SELECT min(at) AS at FROM events"))[0].at
    await console.hand_off(number)
    await claire.act(number, "prendre")
    page = (await claire.get(f"/conversations/{number}?le={mark(first)}")).page
    assert texts(page)[0] == "mot 0"
    assert len(ids(page)) == PAGE
    assert "Revenir aux derniers messages" in page
    assert 'data-testid="composer"' not in page
    assert 'data-testid="composer"' in (await claire.get(f"/conversations/{number}")).page


async def test_odd_addresses_show_a_page(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "bonjour")
    for query in ("avant=0", "avant=x", "le=" + "9" * 18, "depuis=-1", "avant=1", "le=²"):
        assert (await claire.get(f"/conversations/{number}?{query}")).status == 200, query
        assert (await claire.get(f"/conversations/{number}?{query}", X_Planton_Live="1")).status == 200, query


async def _long(console: RunningConsole, size: int, start: int = 0) -> int:
    """A thread of many messages, a second apart but for some that share their moment."""
    number = 1 if start else await console.says("p1", "x", mid="premier")
    insert = text("""INSERT INTO events (conversation_id, platform, account, key, kind, channel, mid, at, received_at, body)
                     VALUES (:c, 'messenger', '1000', :k, 'text', 'messaging', :k, :at, :at, :body)""")
    rows = [
        {
            "c": number,
            "k": f"m{i}",
            "at": console.clock.now() + timedelta(seconds=i - i % 3),
            "body": console.codec.seal_json(body_to_json(Message(f"mot {i}")), BODY),
        }
        for i in range(start, start + size)
    ]
    async with console.database.begin() as connection:
        await connection.execute(insert, rows)
        await connection.execute(text("DELETE FROM events WHERE mid = 'premier'"))
    return number


# -- edits, what was understood, earlier requests ---------------------------------------------------------------------


async def test_every_earlier_text_is_kept_wherever_the_message_stands(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "le premier", mid="m1")
    await console.event("p1", Edit("m1", "le deuxième", 1))
    for i in range(PAGE):
        await console.says("p1", f"mot {i}", mid=f"x{i}")
    await console.event("p1", Edit("m1", "le troisième", 2))
    await console.event("p1", Edit("m0", "d’un message jamais reçu", 1))
    page = (await claire.get(f"/conversations/{number}")).page
    assert "le troisième" not in page, "the edit stands with its message, further up"
    assert texts(page)[-1] == "d’un message jamais reçu"
    changes = re.search(r'data-changes="(\d+)"', page)
    older = re.search(r"avant=\d+", page)
    assert older is not None
    part = (await claire.get(f"/conversations/{number}?{older[0]}")).page
    assert texts(part)[0] == "le troisième"
    assert "Textes précédents (2)" in part
    assert part.index("le premier") < part.index("le deuxième")
    await console.event("p1", Unsend("m1"), "m1u")
    page = (await claire.get(f"/conversations/{number}?{older[0]}")).page
    assert "le premier" not in page
    assert "le troisième" not in page
    assert "message retiré par son auteur" in page
    again = re.search(r'data-changes="(\d+)"', page)
    assert changes is not None
    assert again is not None
    assert int(again[1]) > int(changes[1])


async def test_what_was_understood_of_each_message_is_kept_encrypted(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "on m’a volé ma carte à Lyon", mid="m1")
    event = (await console.rows("SELECT id FROM events"))[0].id
    async with console.database.begin() as connection:
        understood = Understanding(
            "perte_vol_documents", 0.91, entities={"ville": "Lyon", "document": "carte_identite"}
        )
        await understanding.keep(connection, console.codec, [event], understood)
        await connection.execute(text("UPDATE events SET intent = 'perte_vol_documents', confidence = 0.91"))
    assert b"Lyon" not in bytes((await console.rows("SELECT entities FROM events"))[0].entities)
    page = (await claire.get(f"/conversations/{number}")).page
    line = re.search(r'data-testid="understood">(.*?)</p>', page)
    assert line is not None
    assert line[1] == (
        "Compris&nbsp;: documents perdus ou volés (91&nbsp;%) · Ville&nbsp;: <bdi>Lyon</bdi>"
        " · Document&nbsp;: <bdi>carte d’identité</bdi>"
    )
    await console.event("p1", Unsend("m1"), "m1u")
    assert (await console.rows("SELECT entities FROM events WHERE mid = 'm1'"))[0].entities is None


async def test_earlier_requests_lead_to_their_place_in_the_thread(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting(said="la première fois")
    await claire.act(number, "prendre")
    await claire.act(number, "clore", motif="repondu")
    _pass(console, timedelta(days=3))
    await console.says("p1", "la deuxième fois")
    await console.hand_off(number, "complaint", "reclamation_police", "reclamation_police")
    page = (await claire.get(f"/conversations/{number}")).page
    card = page[page.index('data-testid="earlier"') :]
    link = re.search(r'href="(/conversations/\d+\?le=\d+)">15/01/2026', card)
    assert link is not None
    assert "par Claire" in card, card[:900]
    assert "Demande à parler à un agent" in card
    assert texts((await claire.get(link[1])).page)[0] == "la première fois"


# -- the window, deliveries -------------------------------------------------------------------------------------------


async def test_the_window_says_until_when_and_what_remains(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    for hours, present, text_ in ((1, 0, "24\u00a0h"), (30, 1, "agent seulement"), (200, 2, "Plus aucun message")):
        _pass(console, timedelta(hours=hours) - (console.clock.now() - (await _wrote(console, number))))
        page = (await claire.get(f"/conversations/{number}")).page
        steps = re.findall(r'<li class="(past|present|coming)"', page)
        assert steps == ["past"] * present + ["present"] + ["coming"] * (2 - present)
        current = re.search(r'class="present" aria-current="step">(.*?)</li>', page)
        assert current is not None
        assert text_ in current[1]
        assert ('data-testid="window-closed-help"' in page) is (present == 2)


def _pass(console: RunningConsole, time: timedelta) -> None:
    assert isinstance(console.clock, FrozenClock)
    console.clock.advance(seconds=time.total_seconds())


async def _wrote(console: RunningConsole, number: int) -> datetime:
    at = (await console.conversation(number)).last_person_at
    assert isinstance(at, datetime)
    return at


STATES = (
    ({"status": "queued"}, "queued", "en attente d’envoi", ""),
    ({"status": "queued", "error_slug": "token"}, "queued", "accès de la page à renouveler", "renouveler par un"),
    ({"status": "failed", "error_slug": "outside_window"}, "failed", "délai de Meta dépassé", "écrive de nouveau"),
    ({"status": "failed", "error_slug": "no_such_slug"}, "failed", "raison inconnue", "l’exploitant"),
    (
        {"status": "failed", "error_slug": "media", "error_remedy": "Sans elle : oui."},
        "failed",
        "pièce",
        "elle\u00a0: oui",
    ),
    ({"status": "cancelled", "error_slug": "emergency"}, "cancelled", "remplacé par la réponse d’urgence", ""),
    ({"status": "sent"}, "sent", "envoyé", ""),
)


async def test_what_became_of_each_message_and_what_to_do(console: RunningConsole, claire: Browser) -> None:
    number = await console.says("p1", "bonjour")
    for sets, *_ in STATES:
        await console.bot_says(number, "réponse", **sets)
    articles = (await claire.get(f"/conversations/{number}")).page.split("<article")[2:]
    assert len(articles) == len(STATES)
    for article, (_, level, said, remedy) in zip(articles, STATES, strict=True):
        state = re.search(rf'class="state {level}" data-testid="delivery">· (.*?)</span>', article)
        assert state is not None
        assert said in state[1]
        told = re.search(r'<p class="remedy \w+">(.*?)</p>', article)
        assert remedy in (told[1] if told else "")
        assert bool(told) is bool(remedy)


# -- who looked -------------------------------------------------------------------------------------------------------


async def test_each_look_is_recorded_once_in_a_while_however_it_comes(
    console: RunningConsole, claire: Browser, yanis: Browser
) -> None:
    async def looks() -> int:
        return len(await console.rows("SELECT 1 FROM audit WHERE action = 'view'"))

    number = await console.waiting()
    await claire.get(f"/conversations/{number}", X_Planton_Live="1")
    assert await looks() == 1, "the page's own refresh shows the words too"
    await claire.get(f"/conversations/{number}")
    _pass(console, timedelta(minutes=4))
    await claire.get(f"/conversations/{number}", X_Planton_Live="1")
    assert await looks() == 1
    await yanis.get(f"/conversations/{number}?avant={mark(console.clock.now())}", X_Planton_Live="1")
    assert await looks() == 2
    _pass(console, timedelta(minutes=2))
    csrf = (await claire.get("/file")).hidden("csrf")
    refused = await claire.post(f"/conversations/{number}/repondre", csrf=csrf, message="bonjour", vu="0", cle="k")
    assert refused.status == 409
    assert await looks() == 3, "a refused form shows the page as well"
    assert (await claire.get("/conversations/987654")).status == 404
    assert await looks() == 3
