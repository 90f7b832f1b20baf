"""The address of an answer of the catalogue: a button on Messenger, in the text elsewhere; its echo is ours."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from bot.core.dialogue import Link, QuickReply
from bot.core.messages import Platform
from bot.sandbox.graph import Sent
from bot.store import outbox
from bot.store.places import numbers
from tests.fakes.graph import PAGE, Mood, Script
from tests.scenario.system import System

ONLINE = "plainte_comment/en_ligne"
PAGE_OF_IT = "https://www.masecurite.interieur.gouv.fr/fr/demarches-en-ligne/plainte-en-ligne"
LINK = Link("Plainte en ligne", PAGE_OF_IT)
HELLO = "Je suis un assistant automatique."
NEAR = QuickReply("Délai", "/plainte_comment/delai")


@pytest.fixture
def system(system: System) -> System:
    """With an engine whose answer has a link, and a question beside it."""
    system.engine.questions = {"internet": ((ONLINE, 0.91),)}
    system.engine.links = {ONLINE: (LINK,)}
    system.engine.beside = {ONLINE: (NEAR,)}
    return system


def shown(sent: Sent) -> tuple[str, tuple[tuple[str, str], ...], tuple[str, ...]]:
    """What a person has on the screen."""
    return sent.text, sent.links, sent.quick_replies


async def test_on_messenger_the_address_is_a_button_in_the_same_message(system: System) -> None:
    await system.say("p1", "porter plainte sur internet")
    await system.settled()
    assert [shown(sent) for sent in system.graph.sent] == [(f"{HELLO} {ONLINE}", ((LINK.title, LINK.url),), ("Délai",))]
    [call] = [call for call in system.graph.calls if "message" in call.body]
    assert call.body["message"]["attachment"]["payload"] == {
        "template_type": "button",
        "text": f"{HELLO} {ONLINE}",
        "buttons": [{"type": "web_url", "url": LINK.url, "title": LINK.title}],
    }
    assert "text" not in call.body["message"]


async def test_on_instagram_it_stays_in_the_text(system: System) -> None:
    system.graph.instagram("i1")
    await system.post(system.body(system.message("i1", "porter plainte sur internet"), instagram=True))
    await system.settled()
    [sent] = system.graph.sent
    assert shown(sent) == (f"{HELLO} {ONLINE}\n{LINK.line}", (), ("Délai",))
    assert sent.platform is Platform.INSTAGRAM


async def test_what_is_said_besides_may_make_it_too_long(system: System) -> None:
    words = "a" * 620
    system.engine.answers = {ONLINE: words}
    for _ in range(2):
        await system.say("p1", "porter plainte sur internet")
        await system.settled()
    assert [shown(sent)[:2] for sent in system.graph.sent] == [
        (f"{HELLO} {words}\n{LINK.line}", ()),
        (words, ((LINK.title, LINK.url),)),
    ]


async def test_a_title_that_is_too_long_stays_in_the_text(system: System) -> None:
    link = Link("x" * 21, PAGE_OF_IT)
    system.engine.links = {ONLINE: (link,)}
    await system.say("p1", "porter plainte sur internet")
    await system.settled()
    assert [shown(sent)[:2] for sent in system.graph.sent] == [(f"{HELLO} {ONLINE}\n{link.line}", ())]


async def test_what_a_person_wrote_is_no_button(system: System) -> None:
    await system.say("p1", f"bonjour\n{LINK.line}")
    await system.settled()
    assert [sent.links for sent in system.graph.sent] == [()]


@pytest.mark.parametrize("known", ["metadata", "mid"])
async def test_the_echo_of_a_template_is_no_agents_message(system: System, known: str) -> None:
    """Neither by its mark, nor, where Meta leaves that out, by its id."""
    await system.say("p1", "porter plainte sur internet")
    await system.settled()
    [sent] = system.graph.sent
    body = system.graph.graph.echo_of(next(iter(system.graph.graph.accounts.values())), sent, None)
    message = body["entry"][0]["messaging"][0]["message"]
    assert "text" not in message
    assert message["attachments"][0]["type"] == "template"
    if known == "mid":
        del message["metadata"]
    assert await system.post(body) == 200
    await system.settled()
    [echo] = await system.rows("SELECT disposition, reason FROM events WHERE kind = 'echo'")
    assert (echo.disposition, echo.reason) == ("ignored", "own_echo")
    [one] = await system.rows("SELECT owner FROM conversations WHERE person = 'p1'")
    assert one.owner == "bot"
    await system.say("p1", "et une procuration ?")
    await system.settled()
    assert len(system.graph.sent) == 2


async def test_a_template_of_somebody_in_metas_inbox_is_theirs(system: System) -> None:
    await system.say("p1", "porter plainte sur internet")
    await system.settled()
    payload = {"template_type": "button", "text": "Voici.", "buttons": []}
    item = system.message(PAGE, None, is_echo=True, attachments=[{"type": "template", "payload": payload}])
    item["sender"], item["recipient"] = {"id": PAGE}, {"id": "p1"}
    await system.later(minutes=5)
    item["timestamp"] = int(system.clock.now().timestamp() * 1000)
    await system.post(system.body(item))
    await system.settled()
    [one] = await system.rows("SELECT owner FROM conversations WHERE person = 'p1'")
    assert one.owner == "inbox"


async def test_an_answer_that_was_lost_is_not_sent_twice(system: System) -> None:
    async def echo(body: dict[str, Any]) -> None:
        await system.post(body)

    system.graph.graph.on_echo = echo
    system.graph.script(Script(Mood.RESET, accepted=True))
    await system.say("p1", "porter plainte sur internet")
    await system.settled()
    assert [sent.links for sent in system.graph.sent] == [((LINK.title, LINK.url),)]


async def test_the_stored_message_keeps_its_address_in_the_text(system: System) -> None:
    """An older sender, the search and an export read the text alone."""
    await system.say("p1", "porter plainte sur internet")
    await system.settled()
    [row] = await system.rows("SELECT id, conversation_id, message FROM outbox")
    message = system.codec.open_json(row.message, "outbox.message", row.conversation_id, row.id)
    assert message["text"] == f"{HELLO} {ONLINE}\n{LINK.line}"
    assert message["links"] == [[LINK.title, LINK.url]]


async def test_a_row_of_before_leaves_as_it_stands(system: System) -> None:
    await system.say("p1", "porter plainte sur internet")
    await system.settled()
    [conversation] = await system.rows("SELECT id, account FROM conversations")
    async with system.database.begin() as connection:
        number = (await numbers(connection, "outbox"))[0]
        message = {"text": f"Hier.\n{LINK.line}", "quick_replies": []}
        sealed = system.codec.seal_json(message, "outbox.message", conversation.id, number)
        await connection.execute(
            text("""
                INSERT INTO outbox (id, conversation_id, account, lane, author, message, priority, created_at, due_at)
                OVERRIDING SYSTEM VALUE VALUES (:id, :conversation, :account, 'reply', 'bot', :message, 4, :now, :now)
            """),
            {
                "id": number,
                "conversation": conversation.id,
                "account": conversation.account,
                "message": sealed,
                "now": system.clock.now(),
            },
        )
    await system.wake()
    await system.settled()
    assert shown(system.graph.sent[-1]) == (f"Hier.\n{LINK.line}", (), ())
    assert outbox.links_of(message) == ()
