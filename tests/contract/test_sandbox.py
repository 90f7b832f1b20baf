"""The sandbox over HTTP: gestures become Meta's webhooks, the page's sends become bubbles, the hour moves for all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from bot.core.dialogue import Reply
from bot.core.messages import Echo, Edit, Message, Unsend
from bot.meta.payloads import parse
from bot.meta.send_api import Outgoing
from bot.sandbox import hours
from bot.store import demo, facts, outbox
from bot.store.codec import Codec
from bot.store.db import Database, Listener
from bot.store.inbox import Inbox, InboxRules
from tests.conftest import of_part
from tests.fakes.asked import LATE, ONLINE
from tests.fakes.sandbox import BEARER, IG, PAGE, RunningSandbox, answered, running_sandbox

PARIS = ZoneInfo("Europe/Paris")


@pytest.fixture
async def box(database: Database, codec: Codec) -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(database, codec) as running:
        yield running


async def test_text_is_a_signed_webhook_escaped_as_meta_does(box: RunningSandbox) -> None:
    assert await box.do("texte", text="Où déposer plainte à l'hôtel de police / Lille ? 😀") == 204
    await box.until(lambda: box.gateway.events)
    event, raw = box.gateway.events[0], box.gateway.bodies[0]
    assert raw.isascii()
    assert b"O\\u00f9" in raw
    assert b"\\/ Lille" in raw
    assert b"\\ud83d\\ude00" in raw
    assert event.body == Message(text="Où déposer plainte à l'hôtel de police / Lille ? 😀")
    assert (event.account, event.person, event.kind) == (PAGE, box.phone().person, "text")
    await box.until(lambda: box.phone().bubbles[0].state == "delivered")


async def test_instagram_has_its_own_object_account_and_ids(box: RunningSandbox) -> None:
    await box.do("texte", "instagram", text="slt")
    await box.until(lambda: box.gateway.events)
    assert json.loads(box.gateway.bodies[0])["object"] == "instagram"
    assert box.gateway.events[0].account == IG
    assert box.gateway.events[0].person == box.phone("instagram").person != box.phone().person


@pytest.mark.parametrize(
    ("gesture", "platform", "kind"),
    [
        ("photo", "messenger", "image"),
        ("vocal", "instagram", "audio"),
        ("pouce", "messenger", "image"),
        ("coeur", "instagram", "like_heart"),
        ("position", "messenger", "location"),
    ],
)
async def test_attachments(box: RunningSandbox, gesture: str, platform: str, kind: str) -> None:
    assert await box.do(gesture, platform) == 204
    await box.until(lambda: box.gateway.events)
    body = box.gateway.events[0].body
    assert isinstance(body, Message)
    assert [a.type for a in body.attachments] == [kind]
    assert (body.attachments[0].lat is not None) == (gesture == "position")
    assert (body.attachments[0].url is not None) == (gesture in ("photo", "vocal", "pouce"))


async def test_media_that_the_webhooks_name_exist(box: RunningSandbox) -> None:
    for name, kind in (("photo.png", "image/png"), ("pouce.png", "image/png"), ("vocal.wav", "audio/wav")):
        async with box.client.get(f"{box.url}/medias/{name}") as response:
            assert response.status == 200, name
            assert response.content_type == kind
            assert len(await response.read()) > 1000


async def test_a_batch_is_one_webhook_with_three_messages(box: RunningSandbox) -> None:
    await box.do("lot")
    await box.until(lambda: box.gateway.events)
    assert len(box.gateway.bodies) == 1
    assert [e.kind for e in box.gateway.events] == ["text"] * 3
    assert len({e.key for e in box.gateway.events}) == 3
    assert [e.at for e in box.gateway.events] == sorted(e.at for e in box.gateway.events)


async def test_a_duplicate_is_the_same_bytes(box: RunningSandbox) -> None:
    assert await box.do("double") == 409
    await box.do("texte", text="Bonjour")
    await box.until(lambda: box.phone().bubbles[0].state == "delivered")
    assert await box.do("double") == 204
    await box.until(lambda: box.phone().bubbles[0].times == 2)
    assert box.gateway.bodies[0] == box.gateway.bodies[1]


async def test_edits_name_the_message_and_end_after_five(box: RunningSandbox) -> None:
    assert await box.do("modifier", text="rien") == 409
    await box.do("texte", text="Bonjour")
    for number in range(1, 6):
        assert await box.do("modifier", text=f"Bonsoir {number}") == 204
    assert await box.do("modifier", text="encore") == 409
    await box.until(lambda: len(box.gateway.events) == 6)
    mid = box.gateway.events[0].mid
    assert box.gateway.events[-1].body == Edit(str(mid), "Bonsoir 5", 5)
    await box.do("texte", "instagram", text="Bonjour")
    assert await box.do("modifier", "instagram", text="non") == 409


async def test_a_withdrawal_names_the_last_message_still_there(box: RunningSandbox) -> None:
    for words in ("un", "deux"):
        await box.do("texte", text=words)
    assert await box.do("retirer") == 204
    assert await box.do("retirer") == 204
    assert await box.do("retirer") == 409
    await box.until(lambda: len(box.gateway.events) == 4)
    first, second = (e.mid for e in box.gateway.events[:2])
    assert [e.body for e in box.gateway.of("unsend")] == [Unsend(str(second)), Unsend(str(first))]


async def test_a_reply_is_a_bubble_with_echo_delivery_and_read(box: RunningSandbox) -> None:
    await box.do("texte", text="Bonjour")
    async with box.client.get(f"{box.url}/flux"):  # somebody looks at the page
        await box.until(lambda: box.sandbox.state() and box.sandbox._watchers)
        mid = await box.answer("Que puis-je faire ?", "messenger", ("Plainte", "plainte"))
        await box.until(lambda: box.gateway.of("read"))
    echo, delivery, read = (box.gateway.of(kind)[0].body for kind in ("echo", "delivery", "read"))
    assert isinstance(echo, Echo)
    assert (echo.text, echo.metadata) == ("Que puis-je faire ?", "mark")
    assert delivery.mids == (mid,)
    assert read.watermark is not None
    shown = box.sandbox.state()["phones"]["messenger"]
    assert [b["text"] for b in shown["bubbles"]] == ["Bonjour", "Que puis-je faire ?"]
    assert shown["bubbles"][0]["seen"]
    assert shown["offered"] == [{"title": "Plainte", "payload": "plainte"}]

    assert await box.do("reponse", title="Plainte", payload="invented") == 409
    assert await box.do("reponse", title="Plainte", payload="plainte") == 204
    await box.until(lambda: box.gateway.of("quick_reply"))
    assert box.gateway.of("quick_reply")[0].body == Message(text="Plainte", quick_reply="plainte")
    assert box.sandbox.state()["phones"]["messenger"]["offered"] == []


async def test_instagram_tells_no_delivery_and_reads_by_message(box: RunningSandbox) -> None:
    await box.do("texte", "instagram", text="slt")
    async with box.client.get(f"{box.url}/flux"):
        await box.until(lambda: box.sandbox._watchers)
        mid = await box.answer("Bonjour", "instagram")
        await box.until(lambda: box.gateway.of("read") and box.gateway.of("echo"))
    assert box.gateway.of("read")[0].body.target == mid
    assert box.gateway.of("delivery") == []


async def test_nobody_reads_a_closed_page(box: RunningSandbox) -> None:
    await box.do("texte", text="Bonjour")
    await box.answer("Bonjour")
    await box.until(lambda: box.gateway.of("delivery"))
    await asyncio.sleep(1.2)
    assert box.gateway.of("read") == []


async def test_seen_and_typing_marks(box: RunningSandbox) -> None:
    await box.do("texte", text="Bonjour")
    person = box.phone().person
    await box.api.action(person, "mark_seen")
    await box.api.action(person, "typing_on")
    shown = box.sandbox.state()["phones"]["messenger"]
    assert shown["typing"]
    assert shown["bubbles"][0]["seen"]
    await box.answer("Bonjour")
    assert not box.sandbox.state()["phones"]["messenger"]["typing"]


async def test_meta_tries_again_while_the_gateway_is_away(box: RunningSandbox) -> None:
    box.gateway.status = 503
    await box.do("texte", text="Bonjour")
    await box.do("texte", text="Allô ?")
    await box.until(lambda: box.phone().bubbles[0].state == "waiting")
    assert box.sandbox.state()["away"]
    box.gateway.status = 200
    await box.until(lambda: len(box.gateway.events) == 2)
    assert [e.body.text for e in box.gateway.events] == ["Bonjour", "Allô ?"]
    await box.until(lambda: not box.sandbox.state()["away"])


async def test_a_refusal_is_shown_and_not_repeated(box: RunningSandbox) -> None:
    box.gateway.status = 403
    await box.do("texte", text="Bonjour")
    await box.until(lambda: box.phone().bubbles[0].state == "refused")


async def test_a_new_citizen_has_another_id_and_an_empty_phone(box: RunningSandbox) -> None:
    await box.do("texte", text="Bonjour")
    before = box.phone().person
    assert await box.do("nouveau") == 204
    assert box.phone().person != before
    assert box.phone().bubbles == []
    await box.api.send(box.phone().platform, before, Outgoing("tard"))
    assert box.phone().bubbles == []


async def test_an_empty_text_and_an_unknown_gesture_are_refused(box: RunningSandbox) -> None:
    assert await box.do("texte", text="  ") == 409
    assert await box.do("danser") == 409
    assert await box.do("texte", "minitel", text="a") == 400
    assert box.gateway.events == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
async def test_other_sites_cannot_post_here(box: RunningSandbox, headers: dict[str, str], status: int) -> None:
    data = json.dumps({"platform": "messenger", "geste": "texte", "text": "a"})
    headers = {"Content-Type": "application/json", **headers}
    async with box.client.post(f"{box.url}/gestes", data=data, headers=headers) as response:
        assert response.status == status
    assert box.phone().bubbles == []


async def test_the_page_allows_only_its_own_files(box: RunningSandbox) -> None:
    async with box.client.get(box.url) as response:
        policy, body = response.headers["Content-Security-Policy"], await response.text()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style=" not in body
    assert "onclick" not in body


# -- the hour ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "value", "then"),
    [
        ("2026-01-15T10:00", "02:30", "2026-01-16T02:30"),
        ("2026-01-15T10:00", "15:00", "2026-01-15T15:00"),
        ("2026-01-16T02:30", "06:01", "2026-01-16T06:01"),
        ("2026-01-15T15:00", "15:00", "2026-01-16T15:00"),
        ("2026-03-28T10:00", "02:30", "2026-03-29T03:30"),  # a time that does not exist
        ("2026-01-15T10:00", "plus-25h", "2026-01-16T11:00"),
    ],
)
def test_the_hour_runs_forward(now: str, value: str, then: str) -> None:
    choice = next(c for c in hours.CHOICES if c.value == value)
    simulated = datetime.fromisoformat(now).replace(tzinfo=PARIS)
    real = datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert real + hours.offset_for(choice, simulated, real, PARIS) == datetime.fromisoformat(then).replace(tzinfo=PARIS)


async def test_setting_the_hour_tells_and_wakes_everybody(box: RunningSandbox, database: Database) -> None:
    listener = Listener(database.url, ("planton_due", "planton_outbox", "planton_emergency"))
    listener.start()
    try:
        for channel in ("planton_due", "planton_outbox", "planton_emergency"):
            await listener.wait(channel, 30)  # what it tells itself at the start
        async with box.client.post(f"{box.url}/heure", json={"heure": "02:30"}) as response:
            assert response.status == 200
            assert (await response.json())["recule"] is False
        for channel in ("planton_due", "planton_outbox", "planton_emergency"):
            assert await listener.wait(channel, 30)
    finally:
        await listener.close()
    assert box.clock.now().astimezone(PARIS).strftime("%H:%M") == "02:30"
    async with database.begin() as connection:
        stored = await facts.get(connection, facts.CLOCK_OFFSET)
    assert stored == box.clock.offset.total_seconds()
    await box.do("texte", text="Bonsoir")
    await box.until(lambda: box.gateway.bodies)
    assert parse(box.gateway.bodies[0], box.clock.now())[0].at.astimezone(PARIS).strftime("%H:%M") == "02:30"


async def test_going_back_leaves_nothing_waiting_for_a_simulated_time(
    box: RunningSandbox, database: Database, codec: Codec
) -> None:
    async with box.client.post(f"{box.url}/heure", json={"heure": "plus-25h"}):
        pass
    ahead = box.clock.now() + timedelta(hours=3)
    async with database.begin() as connection:
        conversation = await connection.scalar(
            text(
                "INSERT INTO conversations (platform, account, person, due_at) VALUES ('messenger', :a, '1', :at) RETURNING id"
            ),
            {"a": PAGE, "at": ahead},
        )
        await outbox.add(connection, codec, outbox.NewRow(conversation, "reply", "bot", Reply("a"), ahead))
        await connection.execute(
            text("INSERT INTO accounts (account, second, used) VALUES (:a, 4000000000, 9)"), {"a": PAGE}
        )
    async with box.client.post(f"{box.url}/heure", json={"heure": "maintenant"}) as response:
        assert (await response.json())["recule"] is True
    async with database.begin() as connection:
        late = [
            await connection.scalar(text(f"SELECT count(*) FROM {table} WHERE due_at > now()"))
            for table in ("conversations", "outbox")
        ]
        second = await connection.scalar(text("SELECT second FROM accounts"))
    assert (late, second) == ([0, 0], 0)


async def test_the_hour_outlives_the_sandbox(database: Database, codec: Codec) -> None:
    await demo.set_clock_offset(database, timedelta(hours=5), None)
    async with running_sandbox(database, codec) as box:
        assert box.clock.offset == timedelta(hours=5)
        assert box.sandbox.state()["simulated"]


# -- console and panel ---------------------------------------------------------------------------------------------


async def test_the_console_link_works_once_for_the_demo_agent(box: RunningSandbox, database: Database) -> None:
    tokens = []
    for _ in range(2):
        async with box.client.post(f"{box.url}/console", allow_redirects=False) as response:
            assert response.status == 303
            address = response.headers["Location"]
        assert address.startswith("http://127.0.0.1:9/entrer?jeton=")
        assert address.endswith("&suite=/file")
        tokens.append(address.partition("jeton=")[2].partition("&")[0])
    async with database.begin() as connection:
        rows = (
            await connection.execute(
                text("""
                    SELECT l.token_hash, u.name, u.role, l.expires_at - now() AS lasts FROM login_links l
                    JOIN users u ON u.id = l.user_id
                """)
            )
        ).all()
    assert {bytes(row.token_hash) for row in rows} == {BEARER.mark("link", token) for token in tokens}
    assert {(row.name, row.role) for row in rows} == {("agent.demo", "agent")}
    assert all(timedelta(0) < row.lasts <= timedelta(minutes=10) for row in rows)


async def test_the_workbench_link_is_the_demo_trainers(box: RunningSandbox, database: Database) -> None:
    for role, name, page in (("formateur", "formateur.demo", "/atelier"), ("chef", "agent.demo", "/file")):
        async with box.client.post(f"{box.url}/console", data={"role": role}, allow_redirects=False) as response:
            assert response.headers["Location"].endswith(f"&suite={page}")
        async with database.begin() as connection:
            assert (
                await connection.scalar(text("SELECT role FROM users WHERE name = :name"), {"name": name}) is not None
            )
    async with database.begin() as connection:
        assert await connection.scalar(text("SELECT role FROM users WHERE name = 'formateur.demo'")) == "trainer"


async def test_the_panel_tells_the_persons_story(box: RunningSandbox, database: Database, codec: Codec) -> None:
    rules = InboxRules(frozenset({PAGE}), None, timedelta(0), lambda _: None, lambda *_: None, lambda _: None)
    inbox = Inbox(of_part(database, "gateway"), codec, rules)
    await box.do("texte", text="Comment porter plainte ?")
    await box.until(lambda: box.gateway.bodies)
    now = box.clock.now()
    await inbox.take(box.gateway.bodies[0], [(e, None) for e in box.gateway.events], now)
    async with database.begin() as connection:
        conversation = await connection.scalar(text("SELECT id FROM conversations"))
        row = await outbox.add(connection, codec, outbox.NewRow(conversation, "reply", "bot", Reply("Voici"), now))
        await connection.execute(
            text(
                "UPDATE events SET disposition = 'answered', intent = 'plainte_comment', confidence = 0.93, outbox_id = :o"
            ),
            {"o": row},
        )
    async with box.client.get(f"{box.url}/flux"):
        await box.until(lambda: (box.sandbox.state()["stories"].get("messenger") or {}).get("lines"))
    story = box.sandbox.state()["stories"]["messenger"]
    assert story["who"] == "l’assistant"
    incoming = next(line for line in story["lines"] if line["way"] == "in")
    outgoing = next(line for line in story["lines"] if line["way"] == "out")
    assert (incoming["title"], incoming["words"], incoming["outcome"]) == (
        "Message",
        "Comment porter plainte ?",
        "répondu",
    )
    assert (incoming["intent"], incoming["confidence"]) == ("plainte_comment", 93)
    assert (outgoing["words"], outgoing["outcome"]) == ("Réponse de l’assistant", "va partir")
    assert box.sandbox.state()["stories"]["instagram"] is None


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        (
            {"nearest": ONLINE, "nearest_chance": 0.87, "question": ONLINE},
            (True, "Comment porter plainte en ligne\u202f?", 87, "réponse exacte"),
        ),
        (
            {"nearest": LATE, "nearest_chance": 0.87, "question": ONLINE},  # the first of two
            (True, "Comment porter plainte en ligne\u202f?", None, "réponse exacte"),
        ),
        (
            {"nearest": ONLINE, "nearest_chance": 0.31, "offers": [ONLINE, LATE]},
            (False, "Comment porter plainte en ligne\u202f?", 31, "2 questions proposées"),
        ),
        (
            {"nearest": ONLINE, "nearest_chance": 0.31, "offers": [ONLINE]},
            (False, "Comment porter plainte en ligne\u202f?", 31, "une question proposée"),
        ),
        ({"nearest": "armes/retiree", "nearest_chance": 0.02}, (False, "armes/retiree", 2, "réponse générale")),
        (
            {"nearest": "armes/x", "nearest_chance": 0, "route": "clarify"},
            (False, "armes/x", 0, "reformulation demandée"),
        ),
        (
            {"nearest": "armes/x", "nearest_chance": 0.6, "disposition": "handed_off"},
            (False, "armes/x", 60, "confié aux agents"),
        ),
    ],
)
async def test_under_a_reply_stands_what_was_recognised(
    box: RunningSandbox, database: Database, codec: Codec, sets: dict[str, Any], told: tuple[Any, ...]
) -> None:
    await answered(box, database, codec, **sets)
    async with box.client.get(f"{box.url}/flux"):
        await box.until(lambda: any(bubble["note"] for bubble in shown(box)))
    mine, reply = shown(box)
    assert mine["note"] is None
    assert tuple(reply["note"][key] for key in ("recognised", "question", "chance", "next")) == told


async def test_a_reply_without_a_question_has_nothing_under_it(
    box: RunningSandbox, database: Database, codec: Codec
) -> None:
    await answered(box, database, codec)
    async with box.client.get(f"{box.url}/flux"):
        await box.until(lambda: (box.sandbox.state()["stories"].get("messenger") or {}).get("lines"))
    assert [bubble["note"] for bubble in shown(box)] == [None, None]


def shown(box: RunningSandbox) -> list[dict[str, Any]]:
    """The bubbles on the phone."""
    return list(box.sandbox.state()["phones"]["messenger"]["bubbles"])
