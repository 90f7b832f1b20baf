"""What a line of the queue says, and which stand first: over real PostgreSQL and HTTP."""

from __future__ import annotations

import html
import re
from datetime import timedelta

from sqlalchemy import text

from bot.core.messages import Attachment
from bot.policy.emergency import Detection
from bot.store import alarms
from bot.store import handoffs as store
from bot.store.deadlines import Deadlines
from bot.store.desk import queue as queues
from bot.store.desk.access import Desk
from bot.store.desk.said import Said, together
from tests.fakes.console import Browser, RunningConsole

SETTLED = "UPDATE events SET disposition = 'handed_off', intent = :intent, settled_at = :at WHERE conversation_id = :id"


def words_of(page: str) -> list[str]:
    """The first words of each line."""
    return [html.unescape(one) for one in re.findall(r'data-testid="queue-words"><bdi>([^<]*)<', page)]


def last_of(page: str) -> list[str]:
    """The last words of each line that shows them."""
    return [html.unescape(one) for one in re.findall(r'data-testid="queue-last">.*?<bdi>([^<]*)<', page)]


async def keep(console: RunningConsole, conversation: int, handoff: int, *quotes: str) -> None:
    """An alarm of the conversation's last message."""
    (event,) = await console.rows("SELECT max(id) AS id FROM events WHERE conversation_id = :id", id=conversation)
    seen = Detection("danger", "lexicon", evidence=quotes)
    async with console.database.begin() as connection:
        ahead = await alarms.ahead(connection, conversation)
        now = console.clock.now()
        await alarms.keep(connection, console.codec, conversation, seen, ahead, handoff, [event.id], now)


async def test_a_line_shows_what_opened_it_and_the_last_words_below(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    number = await console.says("p", "on a forcé ma porte cette nuit", at=now - timedelta(hours=3))
    await console.hand_off(number, "urgent", "cambriolage", at=now - timedelta(hours=3) + timedelta(seconds=5))
    page = (await claire.get("/file")).page
    assert (words_of(page), last_of(page)) == (["on a forcé ma porte cette nuit"], [])
    await console.says("p", "?", at=now)
    page = (await claire.get("/file")).page
    assert (words_of(page), last_of(page)) == (["on a forcé ma porte cette nuit"], ["?"])


async def test_messages_of_one_turn_opened_it_together(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    for i, said in enumerate(("bonjour", "on a forcé ma porte", "?")):
        number = await console.says("p", said, at=now - timedelta(seconds=30 - i))
    await console.execute(SETTLED, intent="cambriolage", at=now, id=number)
    await console.hand_off(number, "urgent", "cambriolage", "cambriolage", at=now)
    page = (await claire.get("/file")).page
    assert (words_of(page), last_of(page)) == (["bonjour on a forcé ma porte ?"], [])


async def test_what_raised_a_request_is_shown_instead_of_what_opened_it(
    console: RunningConsole, claire: Browser
) -> None:
    now = console.clock.now()
    for said, category, intent, minutes in (
        ("je veux parler à un agent", "request", "parler_humain", 50),
        ("ma fille a disparu", "urgent", "disparition", 20),
    ):
        at = now - timedelta(minutes=minutes)
        number = await console.says("p", said, at=at)
        await console.execute(SETTLED + " AND settled_at IS NULL", intent=intent, at=at, id=number)
        await console.hand_off(number, category, intent, intent, at=at)
    await console.says("p", "alors ?", at=now)
    page = (await claire.get("/file")).page
    assert (words_of(page), last_of(page)) == (["ma fille a disparu"], ["alors ?"])


async def test_an_alarms_own_words_stand_for_the_message(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    number = await console.says("p", "au secours il a un couteau venez", at=now - timedelta(minutes=4))
    handoff = await console.hand_off(number, "emergency", "emergency_lexicon", at=now - timedelta(minutes=4))
    await keep(console, number, handoff, "il a un couteau")
    await console.says("p", "?", at=now)
    page = (await claire.get("/file")).page
    assert "il a un couteau" in page[page.index('data-testid="queue-alarm"') :][:200]
    assert (words_of(page), last_of(page)) == ([], ["?"])


async def test_an_alarm_without_words_shows_the_message_that_raised_it(
    console: RunningConsole, claire: Browser
) -> None:
    now = console.clock.now()
    await console.hand_off(await console.says("p", "un agent svp", at=now - timedelta(hours=2)), at=now)
    number = await console.says("p", "ils reviennent pour moi", at=now - timedelta(minutes=4))
    await keep(console, number, await console.hand_off(number, "emergency", "emergency_engine", at=now))
    await console.says("p", "vite", at=now)
    page = (await claire.get("/file")).page
    assert (words_of(page), last_of(page)) == (["ils reviennent pour moi"], ["vite"])


async def test_the_newest_danger_stands_first(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()

    async def danger(person: str, minutes: float) -> int:
        number = await console.says(person, f"mots de {person}", at=now - timedelta(minutes=minutes))
        await console.hand_off(number, "emergency", "emergency_lexicon", at=now - timedelta(minutes=minutes))
        return number

    stale = [await danger(f"vieux{day}", day * 1440) for day in (4, 3, 2, 1)]
    await danger("neuf", 1)
    await console.hand_off(await console.says("autre", "mots de autre"), "urgent", at=now - timedelta(days=9))

    async def order() -> list[str]:
        return re.findall(r'queue-words"><bdi>mots de (\w+)', (await claire.get("/file")).page)

    assert await order() == ["neuf", "vieux1", "vieux2", "vieux3", "vieux4", "autre"]
    # A harmless word after a danger is no newer danger; another danger is, also within the same hand-off.
    await console.hand_off(stale[1], "emergency", store.FOLLOW_UP, at=now)
    assert (await order())[0] == "neuf"
    await console.hand_off(stale[1], "emergency", "emergency_score", at=now)
    assert await order() == ["vieux3", "neuf", "vieux1", "vieux2", "vieux4", "autre"]
    # A late request that turns into a danger is as new as the danger.
    late = await console.says("requête", "mots de requete")
    await console.hand_off(late, "request", at=now - timedelta(days=5))
    await console.hand_off(late, "emergency", "emergency_lexicon", at=now + timedelta(seconds=1))
    assert (await order())[:2] == ["requete", "vieux3"]


async def test_pages_go_from_dangers_to_others_and_lose_none(console: RunningConsole) -> None:
    now = console.clock.now()
    for i in range(5):
        at = now - timedelta(minutes=i // 2)  # some were raised at the same moment
        await console.hand_off(await console.says(f"d{i}", "mots"), "emergency", "emergency_lexicon", at=at)
        await console.hand_off(await console.says(f"r{i}", "mots"), "request", at=at)
    desk = queues.QueueStore(Desk(console.database, console.codec, {}))
    user = await console.user("Zoé", "agent")
    whole = [row.handoff.id for row in (await desk.page(user, queues.Wanted(), now)).rows]
    assert len(whole) == 10
    for size in (1, 2, 3, 5, 7):
        found: list[int] = []
        after = None
        while True:
            page = await desk.page(user, queues.Wanted(), now, after, size)
            found += [row.handoff.id for row in page.rows]
            after = page.following
            if after is None:
                break
        assert found == whole, size


async def test_a_page_is_two_ranges_of_one_index(console: RunningConsole) -> None:
    async with console.database.begin() as connection:
        await connection.execute(
            text("""
                WITH people AS (INSERT INTO conversations (platform, account, person, owner)
                    SELECT 'messenger', 'page', 'many' || n, 'waiting' FROM generate_series(1, 6000) n RETURNING id)
                INSERT INTO handoffs (conversation_id, platform, category, priority, reason, opened_at, raised_at, due_at)
                SELECT id, 'messenger', 'request', CASE WHEN id % 40 = 0 THEN 0 ELSE 4 END, 'parler_humain', now(), now(), now()
                FROM people
            """)
        )
        await connection.execute(text("ANALYZE handoffs"))
        for after in (None, queues.Cursor(0, console.clock.now(), 9), queues.Cursor(4, console.clock.now(), 9)):
            found = queues._open(["h.closed_at IS NULL"], after)
            values = {"most": 31} | ({} if after is None else {"at": after.at, "after": after.id, "priority": 4})
            used = queues._used(found, values)
            plan = "\n".join(row[0] for row in await connection.execute(text("EXPLAIN " + found), used))
            assert "Seq Scan" not in plan, plan
            assert plan.count("handoffs_due") == (1 if after and after.priority else 2), plan
            assert "Incremental Sort" not in plan.split("priority > 0")[-1], plan


async def test_thanks_are_never_among_deadlines(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    for days in (2.99, 40):  # about to be late, and long since, were they asked for
        number = await console.says(f"p{days}", "merci à vous", at=now - timedelta(days=days))
        await console.hand_off(number, "thanks", "remerciements", at=now - timedelta(days=days))
    page = (await claire.get("/file")).page
    assert page.count('data-testid="queue-row"') == 2
    assert 'data-testid="queue-rising"' not in page and 'data-testid="queue-due"' not in page
    assert page.count("<dt>Échéance</dt>") == page.count(">aucune</dd>") == 2
    for late in ("depassee", "bientot"):
        assert 'data-testid="queue-row"' not in (await claire.get(f"/file?etat=toutes&delai={late}")).page
    assert "retard" not in (await claire.get("/file/alertes")).page
    assert await Deadlines(console.database).look(now) == (0, 0)
    assert "À répondre avant" not in (await claire.get(f"/conversations/{number}")).page


async def test_lateness_is_said_in_words(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    for person, late in (("a", timedelta(days=2, hours=3)), ("b", timedelta(days=1)), ("c", timedelta(hours=3))):
        number = await console.says(person, "mots")
        await console.hand_off(number)
        await console.execute("UPDATE handoffs SET due_at = :at WHERE conversation_id = :id", at=now - late, id=number)
    page = (await claire.get("/file")).page
    assert re.findall(r'data-testid="queue-due">([^<]+)<', page) == [
        "En retard de 2\u00a0jours",
        "En retard de 1\u00a0jour",
        "En retard de 3\u00a0h",
    ]


def test_messages_are_said_as_one() -> None:
    photo = Attachment("image", url="https://cdn.example/photo.jpg")
    assert together([]) is None
    assert together([Said("a"), Said(kind="unreadable"), Said("b", (photo,))]) == Said("a b", (photo,))
    assert together([Said(kind="unreadable")]) == Said(kind="unreadable")
