"""The Send API client against a scripted Graph API: real HTTP on loopback."""

from __future__ import annotations

import asyncio
import socket
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import aiohttp
import pytest

from bot.core.clock import FrozenClock
from bot.core.dialogue import Link, QuickReply
from bot.core.messages import Platform
from bot.meta import limits
from bot.meta.limits import Verdict
from bot.meta.profile import Profile, profile
from bot.meta.send_api import GraphDown, GraphError, GraphTimeout, Outgoing, SendApi, Usage, usage
from tests.fakes.graph import PAGE, SECRET, TOKEN, Mood, Script, ScriptedGraph

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
MESSENGER, INSTAGRAM = Platform.MESSENGER, Platform.INSTAGRAM


@dataclass
class World:
    graph: ScriptedGraph
    api: SendApi
    session: aiohttp.ClientSession
    clock: FrozenClock

    async def send(self, text: str = "Bonjour", person: str = "42", **more: object) -> str:
        return (await self.api.send(MESSENGER, person, Outgoing(text, **more))).message_id  # type: ignore[arg-type]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    clock = FrozenClock(NOW)
    async with ScriptedGraph(clock) as graph, aiohttp.ClientSession() as session:
        yield World(graph, SendApi(session, graph.url, PAGE, TOKEN, SECRET), session, clock)


async def test_response_with_all_its_parts(world: World) -> None:
    replies = (QuickReply("Un titre de plus de vingt caractères", "menu"), QuickReply("Non", "non"))
    mid = await world.send("Ça va ?", quick_replies=replies, metadata="pl1.5.abc")
    call = world.graph.calls[-1]
    assert call.path == f"{PAGE}/messages"
    assert call.body["messaging_type"] == "RESPONSE"
    assert "tag" not in call.body
    assert call.body["message"] == {
        "text": "Ça va ?",
        "metadata": "pl1.5.abc",
        "quick_replies": [
            {"content_type": "text", "title": "Un titre de plus de ", "payload": "menu"},
            {"content_type": "text", "title": "Non", "payload": "non"},
        ],
    }
    assert world.graph.sent[-1].mid == mid
    assert call.params == {}  # nothing secret in an address


async def test_links_travel_as_a_template_with_the_quick_replies(world: World) -> None:
    link = Link("La fiche", "https://www.example.fr/fiche")
    mid = await world.send("Oui.", links=(link,), quick_replies=(QuickReply("Non", "non"),), metadata="pl1.5.abc")
    assert world.graph.calls[-1].body["message"] == {
        "attachment": {
            "type": "template",
            "payload": {
                "template_type": "button",
                "text": "Oui.",
                "buttons": [{"type": "web_url", "url": "https://www.example.fr/fiche", "title": "La fiche"}],
            },
        },
        "quick_replies": [{"content_type": "text", "title": "Non", "payload": "non"}],
        "metadata": "pl1.5.abc",
    }
    sent = world.graph.sent[-1]
    assert (sent.mid, sent.text, sent.links) == (mid, "Oui.", (("La fiche", link.url),))


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("a" * 641, [Link("La fiche", "https://a.fr")]),
        ("", [Link("La fiche", "https://a.fr")]),
        ("Oui.", [Link("x" * 21, "https://a.fr")]),
        ("Oui.", [Link("La fiche", "http://a.fr")]),
        ("Oui.", [Link(str(n), "https://a.fr") for n in range(4)]),
    ],
)
async def test_limits_of_a_template_are_kept_by_the_graph(world: World, text: str, links: list[Link]) -> None:
    with pytest.raises(GraphError) as caught:
        await world.send(text, links=tuple(links))
    assert caught.value.row.slug == "bad_message"
    assert world.graph.sent == []


async def test_tag_travels_as_message_tag(world: World) -> None:
    world.graph.graph.person_wrote("42", NOW - timedelta(days=2))
    with pytest.raises(GraphError) as caught:
        await world.send()
    assert caught.value.row.slug == "outside_window"
    assert world.graph.texts("42") == []
    await world.send(tag="HUMAN_AGENT")
    assert world.graph.calls[-1].body["messaging_type"] == "MESSAGE_TAG"
    assert world.graph.sent[-1].tag == "HUMAN_AGENT"
    world.clock.advance(days=6)
    with pytest.raises(GraphError):
        await world.send(tag="HUMAN_AGENT")


@pytest.mark.parametrize("row", [row for row in limits.TABLE if row.code], ids=lambda row: f"{row.code}/{row.subcode}")
async def test_each_line_of_the_table_comes_back(world: World, row: limits.ErrorRow) -> None:
    world.graph.script(Script(Mood.ERROR, code=row.code, subcode=row.subcode))
    with pytest.raises(GraphError) as caught:
        await world.send()
    assert caught.value.row == row


async def test_limits_are_kept_by_the_graph(world: World) -> None:
    world.graph.instagram("7")
    await world.send("a" * 1999)
    with pytest.raises(GraphError):
        await world.send("a" * 2000)
    await world.api.send(INSTAGRAM, "7", Outgoing("é" * 500))
    with pytest.raises(GraphError) as caught:
        await world.api.send(INSTAGRAM, "7", Outgoing("é" * 501))
    assert caught.value.row.slug == "bad_message"


async def test_more_quick_replies_than_meta_takes_are_left_out(world: World) -> None:
    await world.send(quick_replies=tuple(QuickReply(str(n), f"p{n}") for n in range(20)))
    assert world.graph.sent[-1].quick_replies == tuple(str(n) for n in range(13))


async def test_rate_headers_are_read(world: World) -> None:
    headers = {
        "Retry-After": "17",
        "X-App-Usage": '{"call_count": 28, "total_time": 91, "total_cputime": 1}',
        "X-Business-Use-Case-Usage": '{"1000": [{"type": "messenger", "call_count": 100,'
        ' "estimated_time_to_regain_access": 3}]}',
    }
    world.graph.script(Script(Mood.ERROR, code=613, headers=headers))
    with pytest.raises(GraphError) as caught:
        await world.send()
    assert caught.value.row.verdict is Verdict.RATE
    assert caught.value.retry_after == 17
    assert caught.value.usage == Usage(100, timedelta(minutes=3))


@pytest.mark.parametrize("bad", ["", "no json", "[1]", '{"a": 1}', '{"a": ["x"]}', '{"a": [{"call_count": "x"}]}'])
def test_broken_usage_headers_count_as_nothing(bad: str) -> None:
    found = usage({"X-App-Usage": bad, "X-Page-Usage": bad, "X-Business-Use-Case-Usage": bad})
    assert (found, found.told) == (Usage(), False)


def test_the_highest_use_of_all_headers_counts() -> None:
    found = usage({"X-App-Usage": '{"call_count": 28}', "X-Page-Usage": '{"call_count": 3, "total_time": 81}'})
    assert (found.percent, found.told) == (81, True)
    assert usage({"X-Page-Usage": '{"call_count": 0}'}).told


async def test_server_errors_are_temporary(world: World) -> None:
    world.graph.script(Script(Mood.ERROR, status=503), Script(Mood.ERROR, status=500, code=2))
    for _ in range(2):
        with pytest.raises(GraphError) as caught:
            await world.send()
        assert caught.value.row.verdict is Verdict.RETRY


@pytest.mark.parametrize("mood", [Mood.RESET, Mood.GARBAGE])
async def test_lost_answers(world: World, mood: Mood) -> None:
    world.graph.script(Script(mood, accepted=True))
    with pytest.raises(GraphTimeout):
        await world.send()
    assert world.graph.texts("42") == ["Bonjour"]


async def test_no_answer_in_time(world: World) -> None:
    short = aiohttp.ClientTimeout(total=1.0)
    world.graph.script(Script(Mood.HANG, accepted=True))
    api = SendApi(world.session, world.graph.url, PAGE, TOKEN, SECRET, timeout=short)
    with pytest.raises(GraphTimeout):
        await api.send(MESSENGER, "42", Outgoing("Bonjour"))
    assert world.graph.texts("42") == ["Bonjour"]


async def test_refused_connection_is_surely_not_sent(world: World) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    api = SendApi(world.session, f"http://127.0.0.1:{port}/v26.0", PAGE, TOKEN, SECRET)
    with pytest.raises(GraphDown):
        await api.send(MESSENGER, "42", Outgoing("Bonjour"))


async def test_no_secret_in_any_error(world: World) -> None:
    world.graph.script(Script(Mood.ERROR, code=190, status=401), Script(Mood.RESET), Script(Mood.GARBAGE))
    words = "j'ai peur"
    for _ in range(3):
        with pytest.raises((GraphError, GraphTimeout)) as caught:
            await world.send(words)
        shown = "".join(traceback.format_exception(caught.value, chain=True)) + repr(caught.value) + repr(world.api)
        shown += repr(vars(caught.value))
        for secret in (TOKEN, SECRET, words):
            assert secret not in shown


async def test_wrong_token_or_proof(world: World) -> None:
    bad_token = SendApi(world.session, world.graph.url, PAGE, "other", SECRET)
    with pytest.raises(GraphError) as caught:
        await bad_token.me()
    assert caught.value.row.slug == "token"
    with pytest.raises(GraphError):
        await SendApi(world.session, world.graph.url, PAGE, TOKEN, "wrong").me()
    assert await world.api.me() == PAGE


async def test_actions(world: World) -> None:
    await world.api.action("42", "mark_seen")
    await world.api.action("42", "typing_on")
    assert world.graph.actions == [("42", "mark_seen"), ("42", "typing_on")]
    with pytest.raises(GraphError):
        await world.api.action("42", "dance")


async def test_profiles(world: World) -> None:
    world.graph.graph.person_wrote("42", name="Anne Durand")
    world.graph.graph.person_wrote("7", platform=INSTAGRAM, name="Karim")
    assert await profile(world.api, MESSENGER, "42") == Profile("Anne Durand")
    assert await profile(world.api, INSTAGRAM, "7") == Profile("Karim", "u7")
    assert await profile(world.api, MESSENGER, "nobody") is None
    world.graph.graph.person_wrote("9").blocked = True
    assert await profile(world.api, MESSENGER, "9") is None


async def test_thread_control(world: World) -> None:
    person = world.graph.graph.person_wrote("42")
    person.owner = "999"
    with pytest.raises(GraphError) as caught:
        await world.send()
    assert caught.value.row.verdict is Verdict.WAIT_CONTROL
    owner = await world.api.get(f"{PAGE}/thread_owner", {"recipient": "42"})
    assert owner == {"data": [{"thread_owner": {"app_id": "999"}}]}
    await world.api.post(f"{PAGE}/take_thread_control", {"recipient": {"id": "42"}})
    await world.send()
    await world.api.post(f"{PAGE}/release_thread_control", {"recipient": {"id": "42"}})
    with pytest.raises(GraphError):
        await world.send()


async def test_catch_up_calls(world: World) -> None:
    world.graph.graph.person_wrote("42")
    mid = await world.send("Réponse")
    assert (await world.api.post(f"{PAGE}/subscribed_apps", {"subscribed_fields": "messages"})) == {"success": True}
    found = await world.api.get(f"{PAGE}/conversations", {"platform": "messenger"})
    assert [c["id"] for c in found["data"]] == ["t_42"]
    messages = await world.api.get("t_42", {"fields": "messages"})
    assert messages["messages"]["data"] == [{"id": mid}]
    assert (await world.api.get(mid, {"fields": "id,created_time,from,to,message"}))["message"] == "Réponse"


async def test_echo_comes_to_the_callback() -> None:
    bodies: list[dict[str, object]] = []

    async def take(body: dict[str, object]) -> None:
        bodies.append(body)

    async with ScriptedGraph(on_echo=take) as graph, aiohttp.ClientSession() as session:
        api = SendApi(session, graph.url, PAGE, TOKEN, SECRET)
        graph.instagram("7")
        for person in ("42", "7"):
            await api.send(MESSENGER, person, Outgoing("Salut", metadata="pl1.1.x"))
        await asyncio.sleep(0.05)
    assert [(b["object"], b["entry"][0]["id"]) for b in bodies] == [("page", PAGE), ("instagram", "2000")]  # type: ignore[index]
    message = bodies[0]["entry"][0]["messaging"][0]  # type: ignore[index]
    assert message["message"]["metadata"] == "pl1.1.x"
    assert message["sender"] == {"id": PAGE}
