"""Steering over real PostgreSQL and HTTP: figures against small data counted by hand, the roll-up, the file, the thumbs."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import text

from bot.app import policy as policies
from bot.core.clock import FrozenClock
from bot.core.messages import Message
from bot.settings import Settings
from bot.store import volumes
from bot.store.conversations import Conversations
from bot.store.steering import GeneralCounts, Kept, QuestionCounts, Steering, figures
from bot.store.volumes import RollUp
from bot.worker.turn import TurnRules, TurnTaker
from bot.worker.worker import Worker, WorkerDeps
from tests.conftest import of_part
from tests.fakes.asked import LATE, ONLINE
from tests.fakes.console import TAPS, THUMBS, Browser, RunningConsole
from tests.fakes.engine import ScriptedEngine

NOON = datetime(2026, 1, 15, 11, 0, tzinfo=timezone.utc)  # in Paris
MIDNIGHT = datetime(2026, 1, 14, 23, 0, tzinfo=timezone.utc)  # the day begins in Paris


async def person(console: RunningConsole, name: str, platform: str = "messenger") -> int:
    """A conversation."""
    await console.execute(
        "INSERT INTO conversations (platform, account, person) VALUES (:platform, '1', :name)",
        platform=platform, name=name,
    )  # fmt: skip
    return int((await console.rows("SELECT max(id) AS id FROM conversations"))[0].id)


async def message(console: RunningConsole, conversation: int, at: datetime, **sets: Any) -> int:
    """Something that a person wrote, settled or not."""
    values = {"kind": "text", "disposition": "answered", "route": "answer", "intent": "armes", "reason": None, **sets}
    rows = await console.rows(
        """INSERT INTO events (conversation_id, platform, account, key, kind, channel, at, received_at, body, disposition,
               route, intent, reason)
           SELECT :id, platform, '1', gen_random_uuid(), :kind, 'messaging', :at, :at, '', :disposition, :route, :intent, :reason
           FROM conversations WHERE id = :id RETURNING id""",
        id=conversation, at=at, **values,
    )  # fmt: skip
    return int(rows[0].id)


async def request(console: RunningConsole, conversation: int, opened: datetime, **minutes: float | str) -> int:
    """A hand-off with a deadline of one hour; `taken`, `replied`, `closed`: minutes after it opened."""
    at = {
        name: None if name not in minutes else opened + timedelta(minutes=float(minutes[name]))
        for name in ("taken", "replied", "closed")
    }
    rows = await console.rows(
        """INSERT INTO handoffs (conversation_id, platform, category, priority, reason, opened_at, raised_at, due_at, taken_at,
               replied_at, closed_at, outcome)
           SELECT id, platform, 'request', :priority, 'parler_humain', :opened, :opened, :due, :taken, :replied, :closed, :outcome
           FROM conversations WHERE id = :id RETURNING id""",
        id=conversation, opened=opened, due=opened + timedelta(hours=1), priority=int(minutes.get("priority", 4)),
        outcome=minutes.get("outcome", "closed" if "closed" in minutes else None), **at,
    )  # fmt: skip
    return int(rows[0].id)


async def small_day(console: RunningConsole) -> None:
    """Counted by hand: 6 messages today, 2 yesterday before noon, 1 yesterday after noon."""
    m, i = await person(console, "m"), await person(console, "i", "instagram")
    at = MIDNIGHT
    await message(console, m, at, intent="armes")  # on the stroke of midnight: today's
    await message(console, m, at + timedelta(hours=9, minutes=5), intent="armes")
    await message(console, i, at + timedelta(hours=9, minutes=59), intent="animaux")
    await message(
        console, i, at + timedelta(hours=10), disposition="handed_off", route="handoff", intent="parler_humain"
    )
    await message(console, m, at + timedelta(hours=11), disposition="to_agent", route=None, intent=None)
    await message(console, m, NOON - timedelta(minutes=2), disposition=None, route=None, intent=None)
    # not messages: a reading, a tap on the thumbs, one under an emergency reply
    await message(console, m, NOON - timedelta(minutes=3), kind="read", disposition="ignored")
    await message(
        console, m, NOON - timedelta(minutes=3), kind="quick_reply", disposition="ignored", reason="satisfaction"
    )
    await message(console, m, NOON - timedelta(minutes=3), kind="quick_reply", route=None, reason="emergency_tap")
    # yesterday
    await message(console, m, at - timedelta(seconds=1))
    await message(console, m, NOON - timedelta(days=1, minutes=1))
    await message(console, i, NOON - timedelta(days=1, hours=2))
    # hand-offs: waits of 2, 4, 10 minutes; first replies after 10, 20, 90 minutes; deadline one hour
    await request(console, m, at + timedelta(hours=8), taken=2, replied=10, closed=30)
    await request(console, i, at + timedelta(hours=8), taken=4, replied=20, closed=40, priority=3)
    await request(console, m, at + timedelta(hours=9), taken=10, replied=90, closed=100)  # late at 10 h
    await request(console, await person(console, "p3"), at + timedelta(hours=9))  # late at 10 h, still open
    await request(console, m, at + timedelta(hours=9), closed=5)  # closed in time without a reply: neither
    await request(console, m, at + timedelta(hours=9), closed=70, outcome="spam")  # neither
    await request(console, await person(console, "p4"), NOON - timedelta(minutes=58))  # late in two minutes


async def read(console: RunningConsole, since: datetime = MIDNIGHT, until: datetime = NOON) -> Any:
    return figures(await Steering(console.database).counts(since, until))


def check(found: Any) -> None:
    """The figures of `small_day`, by hand."""
    assert found.received == 6
    assert dict(found.platforms) == {"messenger": 4, "instagram": 2}
    assert dict(found.intents) == {"armes": 2, "animaux": 1, "parler_humain": 1, "": 2}
    assert dict(found.routes) == {"answer": 3, "handoff": 1, "agent": 1, "waiting": 1}
    assert found.bot_share == 3 / 5  # one is still in flight
    assert found.wait.n == found.first_reply.n == 3
    for value, minutes in (
        (found.wait.median, 4), (found.wait.p90, 10), (found.first_reply.median, 20), (found.first_reply.p90, 90),
        (found.first_reply_by_priority[3].median, 20),
    ):  # fmt: skip
        assert abs(value / timedelta(minutes=minutes) - 1) <= 0.05
    assert found.deadlines == {3: Kept(1, 0), 4: Kept(1, 2)}
    assert found.kept.share == 0.5


async def test_figures_are_those_counted_by_hand_before_and_after_the_roll_up(console: RunningConsole) -> None:
    await small_day(console)
    check(await read(console))
    yesterday = await read(console, MIDNIGHT - timedelta(days=1), NOON - timedelta(days=1))
    assert yesterday.received == 2  # what came after noon is not compared with this morning
    counted = await RollUp(of_part(console.database, "worker")).catch_up(NOON + timedelta(minutes=3))
    assert counted == 26  # from yesterday 9 h to 11 h today, whole hours
    assert await RollUp(of_part(console.database, "worker")).catch_up(NOON + timedelta(minutes=3)) == 0
    check(await read(console))
    assert await read(console, MIDNIGHT - timedelta(days=1), NOON - timedelta(days=1)) == yesterday


async def test_the_roll_up_alone_gives_the_same_and_never_counts_twice(console: RunningConsole) -> None:
    await small_day(console)
    later = NOON + timedelta(hours=1, minutes=10)
    roll_up = RollUp(of_part(console.database, "worker"))
    await roll_up.catch_up(later)
    before = await console.rows("SELECT * FROM volumes ORDER BY 1, 2, 3, 4")
    assert await roll_up.rebuild(later) == 27
    assert await console.rows("SELECT * FROM volumes ORDER BY 1, 2, 3, 4") == before
    await console.execute("UPDATE handoffs SET closed_at = opened_at WHERE closed_at IS NULL")
    await console.execute("DELETE FROM events")  # as a purge would, when the hours have been counted
    check(await read(console))


async def test_what_comes_late_or_is_settled_late_is_counted(console: RunningConsole) -> None:
    m = await person(console, "m")
    at = MIDNIGHT + timedelta(hours=9, minutes=30)
    waiting = await message(console, m, at, disposition=None, route=None, intent=None)
    roll_up, now = RollUp(of_part(console.database, "worker")), at + timedelta(minutes=33)
    await roll_up.catch_up(now)
    assert dict((await read(console)).dispositions) == {"waiting": 1}
    await console.execute("UPDATE events SET disposition = 'answered' WHERE id = :id", id=waiting)
    await message(console, m, at)  # a gateway that was held up
    assert dict((await read(console)).dispositions) == {"waiting": 1}
    await roll_up.catch_up(now + timedelta(minutes=5))  # something of that hour was in flight
    assert dict((await read(console)).dispositions) == {"answered": 2}
    await message(console, m, at)
    await roll_up.catch_up(now + timedelta(minutes=9))
    assert (await read(console)).received == 2
    await roll_up.catch_up(now + timedelta(minutes=85))  # at twice its age
    assert (await read(console)).received == 3
    ages = await console.rows(
        "SELECT again_at - counted_at AS span FROM volume_hours WHERE hour = :h", h=at.replace(minute=0)
    )
    assert ages[0].span > timedelta(hours=1)


async def test_older_data_and_a_clock_set_back(console: RunningConsole) -> None:
    m = await person(console, "m")
    await message(console, m, NOON - timedelta(hours=3))
    roll_up = RollUp(of_part(console.database, "worker"))
    await roll_up.catch_up(NOON)
    await message(console, m, NOON - timedelta(days=40))  # brought in
    await message(console, m, NOON - timedelta(days=20))
    assert await roll_up.catch_up(NOON) == 40 * 24 - 3
    assert (await read(console, NOON - timedelta(days=50))).received == 3
    final = await console.rows("SELECT count(*) AS n FROM volume_hours WHERE again_at IS NULL")
    assert final[0].n == 32 * 24
    await roll_up.catch_up(NOON - timedelta(hours=2))  # the sandbox's clock
    assert (await console.rows("SELECT max(hour) AS h FROM volume_hours"))[0].h == NOON - timedelta(hours=4)
    await message(console, m, NOON - timedelta(hours=2, minutes=30))
    await roll_up.catch_up(NOON)
    assert (await read(console, NOON - timedelta(days=50))).received == 4


async def test_two_processes_count_at_once(console: RunningConsole) -> None:
    await small_day(console)
    async with console.database.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": volumes._LOCK})
        assert await RollUp(of_part(console.database, "worker")).catch_up(NOON) == 0  # the other one is at it
    assert await RollUp(of_part(console.database, "worker")).catch_up(NOON) > 0


# -- the questions of the catalogue ----------------------------------------------------------------------------------------


async def asked(
    console: RunningConsole, conversation: int, at: datetime, nearest: str, chance: float, **sets: Any
) -> int:
    """A message that asks something of the catalogue; `question`, `offers`, `reply` (the number of its row in the outbox)."""
    own = {name: sets.pop(name, None) for name in ("question", "offers", "reply")}
    event = await message(console, conversation, at, **sets)
    await console.execute(
        """UPDATE events SET nearest = :nearest, nearest_chance = :chance, question = :question, offers = :offers,
               outbox_id = :reply WHERE id = :id""",
        id=event, nearest=nearest, chance=chance, **own,
    )  # fmt: skip
    return event


async def questions_of_a_day(console: RunningConsole) -> None:
    """Counted by hand: one question asked three times, once of these answered as the one that may be meant, another once, a thumb
    each; three messages without an answer of the catalogue."""
    m, i = await person(console, "m"), await person(console, "i", "instagram")
    at = MIDNIGHT + timedelta(hours=9)
    reply = await console.bot_says(m, "En ligne.", created_at=at)
    for second in (1, 2):  # read as one
        await asked(
            console,
            m,
            at + timedelta(seconds=second),
            ONLINE,
            0.9,
            question=ONLINE,
            reply=reply,
            intent="plainte_comment",
        )
    await asked(console, i, at, ONLINE, 1.0, question=ONLINE, kind="quick_reply", intent="plainte_comment")
    await asked(console, i, at, ONLINE, 0.4, question=ONLINE, offers=[LATE], intent="plainte_comment")
    await asked(console, i, at, ONLINE, 0.2, offers=[ONLINE, LATE], intent="plainte_comment")
    await asked(console, m, at, ONLINE, 0.1, intent="plainte_comment")
    await asked(console, m, at, LATE, 0.05, route="clarify", intent="hors_perimetre")
    await asked(console, m, at, LATE, 0.01, intent="salutation")  # asks nothing
    for handed, chance in ((m, 0.8), (i, 0.3)):  # an agent answers; the second may have meant anything
        more = {"disposition": "handed_off", "route": "handoff", "intent": "reclamation_delai"}
        await asked(console, handed, at + timedelta(minutes=1), LATE, chance, **more)
    await asked(console, m, at - timedelta(days=3), LATE, 0.9, question=LATE)  # long before
    for who, answer in ((m, "down"), (i, "up")):
        handoff = await request(console, who, at + timedelta(minutes=2), taken=1, replied=2, closed=9)
        await console.execute(
            """INSERT INTO satisfaction (conversation_id, handoff_id, asked_at, answered_at, answer)
               VALUES (:c, :h, :asked, :at, :answer)""",
            c=who, h=handoff, asked=at + timedelta(minutes=11), at=at + timedelta(hours=1), answer=answer,
        )  # fmt: skip


async def test_what_was_asked_and_what_had_no_answer(console: RunningConsole) -> None:
    await questions_of_a_day(console)
    now = await read(console)
    assert now.questions == (QuestionCounts(ONLINE, 3, 1, 0, 1), QuestionCounts(LATE, 1, 0, 1))
    assert now.general == (
        GeneralCounts("plainte_comment", ONLINE, 2, 1),
        GeneralCounts("hors_perimetre", LATE, 1, 0),
    )
    await RollUp(of_part(console.database, "worker")).catch_up(NOON)
    assert await read(console) == now


async def test_a_message_that_is_withdrawn_is_no_question_any_more(console: RunningConsole) -> None:
    m = await person(console, "m")
    event = await asked(console, m, MIDNIGHT + timedelta(hours=9), ONLINE, 0.9, question=ONLINE)
    assert [one.question for one in (await read(console)).questions] == [ONLINE]
    await console.execute(
        "UPDATE events SET nearest = NULL, nearest_chance = NULL, question = NULL WHERE id = :id", id=event
    )
    assert (await read(console)).questions == ()


async def test_the_page_names_the_questions_and_the_file_has_them(console: RunningConsole, denis: Browser) -> None:
    await questions_of_a_day(console)
    m = await person(console, "gone")
    await asked(console, m, MIDNIGHT + timedelta(hours=9), "armes/retiree", 0.7, question="armes/retiree")
    page = (await denis.get("/pilotage")).page
    listed = page.partition('data-testid="steering-questions"')[2].partition("</section>")[0]
    rows = re.findall(r"<bdi>(.*?)</bdi>.*?<td>(\d+)</td><td>(\d+)</td><td>(\d+)</td><td>(\d+)</td>", listed, re.DOTALL)
    assert rows == [
        ("Comment porter plainte en ligne\u202f?", "3", "1", "1", "0"),
        ("Combien de temps ai-je pour contester une amende majorée\u202f?", "1", "0", "0", "1"),
        ("armes/retiree", "1", "0", "0", "0"),
    ]
    without = page.partition('data-testid="steering-general"')[2].partition("</section>")[0]
    assert re.findall(r"<bdi>(.*?)</bdi>", without) == [
        "Porter plainte", "Comment porter plainte en ligne\u202f?",
        "Hors de notre domaine", "Combien de temps ai-je pour contester une amende majorée\u202f?",
    ]  # fmt: skip
    async with denis._client.get(console.url + "/pilotage.csv?periode=jour") as answer:
        file = list(csv.reader(io.StringIO((await answer.read()).decode("utf-8-sig")), delimiter=";"))
    assert ["15/01/2026", "09:00", "Instagram", "Questions du catalogue", ONLINE, "2", "nombre"] in file
    likely = "Questions du catalogue, réponses probables"
    assert ["15/01/2026", "09:00", "Instagram", likely, ONLINE, "1", "nombre"] in file
    general = f"Porter plainte ({ONLINE})"
    assert [
        "15/01/2026",
        "09:00",
        "Messenger",
        "Réponses générales, par sujet et question proche",
        general,
        "1",
        "nombre",
    ] in file


async def test_a_day_without_a_question_says_so(console: RunningConsole, claire: Browser) -> None:
    await small_day(console)
    page = (await claire.get("/pilotage")).page
    assert "Aucune question du catalogue n’a été reconnue sur cette période." in page
    assert "Aucune sur cette période." in page


# -- the page ----------------------------------------------------------------------------------------------------------


def figure(page: str, name: str) -> str:
    found = re.search(rf'data-testid="steering-{name}"[^>]*>([^<]*)<', page)
    assert found, name
    return found[1].strip()


async def test_the_page_shows_them_with_the_period_before(console: RunningConsole, claire: Browser) -> None:
    await small_day(console)
    page = (await claire.get("/pilotage")).page
    assert figure(page, "received") == "6"
    assert "hier à la même heure\u00a0: 2 (+\u202f200\u00a0%)" in page.replace("&nbsp;", "\u00a0")
    assert figure(page, "bot-share") == "60\u00a0%"
    assert figure(page, "deadlines") == "50\u00a0%"
    assert figure(page, "first-reply") in ("19\u00a0min", "20\u00a0min", "21\u00a0min")
    assert figure(page, "now-waiting") == "2"
    assert figure(page, "now-oldest") == "3\u00a0h"
    assert (figure(page, "now-late"), figure(page, "now-soon")) == ("1", "1")
    assert figure(page, "now-agents") == "1"
    assert "style=" not in page
    assert "<script>" not in page
    # drawn and as a table: nine o'clock in Paris has two messages
    assert re.search(
        r"<th scope=\"row\">15/01 de 9\u00a0h à 10\u00a0h</th><td>2</td><td>1</td><td>1</td><td>0</td>", page
    )
    assert page.count('class="column"') == 24
    assert 'href="/pilotage.csv' not in page  # an agent does not export
    assert "/file/delais" not in page
    live = (await claire.get("/pilotage", X_Planton_Live="1")).page
    assert live.strip().startswith('<section id="en-ce-moment" data-live')
    assert "steering-received" not in live


async def test_periods(console: RunningConsole, claire: Browser) -> None:
    await small_day(console)
    assert figure((await claire.get("/pilotage?periode=7")).page, "received") == "9"
    month = (await claire.get("/pilotage?periode=30")).page
    assert figure(month, "received") == "9"
    assert month.count('class="column"') == 30 + 24
    own = (await claire.get("/pilotage?periode=choix&du=2026-01-14&au=2026-01-14")).page
    assert (await claire.get("/pilotage?du=2026-01-14&au=2026-01-14")).page.count('value="2026-01-14"') == 2
    assert figure(own, "received") == "3"
    assert "Le 14/01/2026" in own
    empty = (await claire.get("/pilotage?periode=choix&du=2025-01-01&au=2025-03-31")).page
    assert "Rien à compter sur cette période" in empty
    assert (await claire.get("/pilotage?periode=nimporte")).status == 200


BAD = {
    "du=&au=2026-01-01": "Donnez la date de début",
    "du=2026-01-01&au=hier": "La date de fin n’est pas une date",
    "du=2026-01-10&au=2026-01-01": "La date de fin est avant la date de début",
    "du=2024-01-01&au=2026-01-01": "trop longue",
    "du=2026-02-01&au=2026-02-02": "pas encore commencé",
    "du=9999-01-01&au=9999-02-02": "hors de ce qui peut être compté",
    "du=%3Cscript%3E&au=2026-01-01": "n’est pas une date",
}


async def test_a_period_that_cannot_be(denis: Browser) -> None:
    for query, says in BAD.items():
        page = await denis.get(f"/pilotage?periode=choix&{query}")
        assert page.status == 422
        assert says in page.page
        assert "<script>" not in page.page
        assert (await denis.get(f"/pilotage.csv?periode=choix&{query}")).status == 422


async def test_a_day_of_23_hours_has_23_bars(console: RunningConsole, claire: Browser) -> None:
    assert isinstance(console.clock, FrozenClock)
    console.clock.at = datetime(2026, 3, 30, 10, 0, tzinfo=timezone.utc)
    m = await person(console, "m")
    await message(console, m, datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc))  # 3:30 in Paris: 2 h does not exist
    page = (await claire.get("/pilotage?periode=choix&du=2026-03-29&au=2026-03-29")).page
    assert page.count('class="column"') == 23
    assert "29/03 de 3\u00a0h à 4\u00a0h" in page


# -- the file -------------------------------------------------------------------------------------------------------------


async def test_the_file_opens_in_a_french_spreadsheet(console: RunningConsole, denis: Browser) -> None:
    await small_day(console)
    m = await person(console, "mal")
    await message(console, m, MIDNIGHT + timedelta(hours=9), intent='=HYPERLINK("http://mal.example";"clic")')
    await message(console, m, MIDNIGHT + timedelta(hours=9), intent="-2+3+cmd|' /C calc'!A0")
    async with denis._client.get(console.url + "/pilotage.csv?periode=jour") as answer:
        raw, headers = await answer.read(), answer.headers
    assert raw.startswith(b"\xef\xbb\xbf")
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["Content-Disposition"] == 'attachment; filename="pilotage-2026-01-15-2026-01-15.csv"'
    header, *rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig")), delimiter=";"))
    assert header == ["Date", "Heure", "Plateforme", "Mesure", "Détail", "Nombre", "Unité"]
    assert ["15/01/2026", "09:00", "Instagram", "Messages reçus", "", "1", "nombre"] in rows
    assert sum(int(row[5]) for row in rows if row[3] == "Messages reçus") == 8
    assert sum(int(row[5]) for row in rows if row[3] == "Messages par sujet" and row[4] == "Armes") == 2
    assert ["15/01/2026", "10:00", "Messenger", "Délais", "Demande\u00a0: dépassé", "2", "nombre"] in rows
    (median,) = (row for row in rows if row[3:5] == ["Première réponse humaine", "Toutes priorités\u00a0: médiane"])
    assert 19 <= float(median[5].replace(",", ".")) <= 21
    cells = [cell for row in rows for cell in row]
    assert any("HYPERLINK" in cell for cell in cells)
    assert not [cell for cell in cells if re.match(r"\s*[=+\-@|%\t\r]", cell)]
    audit = await console.rows("SELECT detail FROM audit WHERE action = 'export'")
    assert audit[0].detail == {"what": "pilotage", "since": "2026-01-15", "until": "2026-01-15", "rows": len(rows)}


async def test_who_exports_and_who_sets_deadlines(claire: Browser, odile: Browser, alix: Browser) -> None:
    assert (await claire.get("/pilotage.csv")).status == 403
    assert (await odile.get("/pilotage.csv")).status == 200
    assert "/file/delais" not in (await odile.get("/pilotage")).page
    assert (await alix.get("/pilotage")).status == 200


# -- the thumbs -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def worker(console: RunningConsole) -> Worker:
    """Takes what is due, with the replies of domain.yml."""
    policy = policies.build(Settings({}))
    rules = TurnRules(
        policy.night, policy.desk, timedelta(0), policy.texts, policy.detect, policy.plan, None, policy.facts
    )
    conversations = Conversations(of_part(console.database, "worker"), console.codec)
    turns = TurnTaker(conversations, ScriptedEngine(), console.clock, rules)
    return Worker(WorkerDeps(conversations, turns, console.listener, console.clock))


async def closed(console: RunningConsole, claire: Browser, number: int, reply: str = "Voici la réponse.") -> None:
    """An agent takes, answers and closes."""
    await claire.act(number, "prendre")
    if reply:
        await claire.act(number, "repondre", message=reply)
    category = (await console.handoff(number)).category  # what is grave is confirmed by its name
    motive = "repondu" if (await console.handoff(number)).replied_at else "sans_suite"
    assert (await claire.act(number, "clore", motif=motive, confirme=category)).status == 303


async def said(console: RunningConsole, number: int) -> list[str]:
    return [words for _, _, status, words in await console.outgoing(number) if status != "cancelled"]


async def test_after_closing_one_is_asked_and_one_tap_counts(
    console: RunningConsole, claire: Browser, worker: Worker
) -> None:
    number = await console.waiting()
    await closed(console, claire, number)
    assert await said(console, number) == ["Voici la réponse.", THUMBS]
    await console.execute("UPDATE outbox SET status = 'sent' WHERE status = 'queued'")
    console.clock.advance(minutes=5)  # type: ignore[union-attr]
    for i, tap in enumerate(("satisfaction:oui", "satisfaction:non", "satisfaction:oui")):
        await console.event("p1", Message(TAPS[tap], quick_reply=tap), mid=f"tap-{i}")
        await worker.step()
        console.clock.advance(minutes=1)  # type: ignore[union-attr]
    assert await said(console, number) == ["Voici la réponse.", THUMBS, "Merci de votre réponse."]
    assert (await console.conversation(number)).owner == "closed"
    assert (await console.handoff(number)).closed_at is not None
    assert len(await console.rows("SELECT FROM handoffs")) == 1
    rows = await console.rows("SELECT answer, asked_at, answered_at - asked_at AS took FROM satisfaction")
    assert [(row.answer, row.took) for row in rows] == [("up", timedelta(minutes=5))]
    taps = await console.rows("SELECT disposition, reason FROM events WHERE kind = 'quick_reply'")
    assert {tuple(row) for row in taps} == {("ignored", "satisfaction")}
    page = (await claire.get("/pilotage")).page
    assert figure(page, "satisfaction") == "100\u00a0%"
    assert "1 oui, 0 non, sur 1 avis demandé" in page
    # words instead of a tap are a message like any other
    await console.says("p1", "bonjour")
    await worker.step()
    assert "salutation n° 1" in (await said(console, number))[-1]
    # and the same person is not asked again so soon
    await console.hand_off(number)
    await closed(console, claire, number)
    assert (await said(console, number)).count(THUMBS) == 1


async def test_who_is_not_asked(console: RunningConsole, claire: Browser) -> None:
    now = console.clock.now()
    numbers = {}
    for name in ("victim", "danger", "unanswered", "night", "aside"):
        numbers[name] = await console.waiting(name)
    await console.execute(
        "UPDATE handoffs SET category = 'sensitive' WHERE conversation_id = :id", id=numbers["victim"]
    )
    await console.execute("UPDATE conversations SET emergency_at = :at WHERE id = :id", at=now, id=numbers["danger"])
    for name, number in numbers.items():
        if name == "night":  # past 24 hours, only an agent's own words may leave
            early = now - timedelta(hours=25)
            await console.execute("UPDATE conversations SET last_person_at = :at WHERE id = :id", at=early, id=number)
        if name == "aside":
            await console.execute("UPDATE conversations SET standby = true WHERE id = :id", id=number)
        await closed(console, claire, number, "" if name == "unanswered" else "Bien reçu.")
        assert THUMBS not in await said(console, number), name
    assert await console.rows("SELECT FROM satisfaction") == []


async def test_a_tap_under_an_agent_is_kept_without_a_second_voice(
    console: RunningConsole, claire: Browser, worker: Worker
) -> None:
    number = await console.waiting()
    await closed(console, claire, number)
    await console.execute("UPDATE outbox SET status = 'sent' WHERE status = 'queued'")
    await claire.act(number, "prendre")
    await console.event("p1", Message("👎 Non", quick_reply="satisfaction:non"), mid="tap")
    await worker.step()
    assert "Merci de votre réponse." not in await said(console, number)
    assert [row.answer for row in await console.rows("SELECT answer FROM satisfaction")] == ["down"]
    # a tap without a question opens nothing either
    other = await console.event("p9", Message("👍 Oui", quick_reply="satisfaction:oui"), mid="other")
    await worker.step()
    assert await console.outgoing(other) == []
    assert len(await console.rows("SELECT FROM handoffs")) == 2  # the first, and the one taken up again


async def test_a_question_that_never_left_is_not_counted_as_asked(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    await closed(console, claire, number)
    await claire.act(number, "prendre")  # taken again before it left: cancelled
    assert THUMBS not in await said(console, number)
    assert (await read(console, until=NOON + timedelta(minutes=1))).asked == 0
