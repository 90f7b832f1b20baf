"""Alarms over real PostgreSQL: kept sealed with the words that say so, shown, taken back, put back, confirmed, counted."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from bot.app import policy as policies
from bot.app.policy import Policy
from bot.core.clock import FrozenClock
from bot.core.dialogue import Understanding
from bot.core.messages import Edit, Event, Message, Platform, Unsend
from bot.policy import route
from bot.policy.emergency import Detection
from bot.settings import Settings
from bot.store import unstorable
from bot.store.alarms import EVIDENCE
from bot.store.conversations import Conversations, Finish, Likely, Settlement
from bot.store.inbox import Inbox, InboxRules
from bot.store.volumes import RollUp
from bot.store.workbench.alarms import Alarms
from bot.store.workbench.readings import NewReading
from bot.worker.alarms import AlarmReader
from tests.conftest import of_part
from tests.fakes.console import PAGE, Browser, RunningConsole
from tests.fakes.engine import ScriptedEngine
from tests.fakes.sealed import opened_json

KNIFE = "au secours il a un couteau"
AFRAID = "je n'ose plus rentrer chez moi"


@pytest.fixture(scope="module")
def policy() -> Policy:
    return policies.build(Settings({}))


class Town:
    """People who write, through the gateway's own lexicon, score and texts, under the gateway's role."""

    def __init__(self, console: RunningConsole, policy: Policy) -> None:
        self.console, self.policy = console, policy
        rules = InboxRules(frozenset(), None, timedelta(0), policy.triage, policy.plan, lambda mark: None)
        self.inbox = Inbox(of_part(console.database, "gateway"), console.codec, rules)
        self._number = 0

    async def says(self, words: str, person: str = "p1", mid: str | None = None) -> int:
        """The conversation."""
        return await self.sends(Message(words), person, mid)

    async def sends(self, body: Any, person: str = "p1", mid: str | None = None) -> int:
        self._number += 1
        now = self.console.clock.now()
        key = mid or f"m-{self._number}"
        at = now + timedelta(milliseconds=self._number)
        event = Event(Platform.MESSENGER, PAGE, person, key, at, body, mid=key)
        words = getattr(body, "text", "")
        await self.inbox.take(b"{}", [(event, self.policy.triage(words) if words else None)], now)
        rows = await self.console.rows("SELECT id FROM conversations WHERE person = :p", p=person)
        return int(rows[0].id)

    async def doubts(
        self, words: str = AFRAID, person: str = "p1", intent: str = "hors_perimetre", kind: Any = "danger"
    ) -> int:
        """Somebody writes what the worker holds for a likely danger, and hands off as one; the conversation."""
        number = await self.says(words, person)
        console, now = self.console, self.console.clock.now()
        store = Conversations(of_part(console.database, "worker"), console.codec)
        (claimed,) = [one for one in await store.claim(now, 8, timedelta(seconds=9)) if one.id == number]
        ids = tuple(event.id for event in claimed.pending)
        read = Understanding(intent, 0.5, ((intent, 0.5),), danger=0.4, model="m")
        finish = Finish(
            settlements=(Settlement(ids, "handed_off", "danger_probable", None, "handoff", read),),
            readings=(NewReading(ids, now, words, read, "handoff"),),
            likely=(Likely(Detection(kind, "engine", degree="likely", evidence=("n'ose plus rentrer",)), ids),),
            handoff=route.likely("danger", read, None),
            handoff_intent=intent,
        )
        await store.finish(claimed, finish, now)
        return number

    async def alarms(self) -> list[Any]:
        return await self.console.rows("SELECT * FROM alarms ORDER BY id")

    async def replies(self, conversation: int) -> list[str]:
        """Emergency replies, in full and short ones."""
        return [said for lane, _, _, said in await self.console.outgoing(conversation) if lane == "emergency"]


@pytest.fixture
async def town(console: RunningConsole, policy: Policy) -> Town:
    return Town(console, policy)


async def press(browser: Browser, number: int, action: str = "fausse-alerte", **fields: str) -> Any:
    """Open the page and press a button of the alarm."""
    page = await browser.get(f"/conversations/{number}")
    held = {"csrf": page.hidden("csrf"), "vu": page.hidden("vu"), "alerte": page.hidden("alerte")}
    return await browser.post(f"/conversations/{number}/{action}", **{**held, **fields})


async def test_an_alarm_is_kept_with_the_words_that_say_so(town: Town, claire: Browser) -> None:
    number = await town.says(f"Bonjour, {KNIFE} vite")
    (alarm,) = await town.alarms()
    (event,) = await town.console.rows("SELECT id FROM events")
    handoff = await town.console.handoff(number)
    assert (alarm.conversation_id, alarm.handoff_id, alarm.events) == (number, handoff.id, [event.id])
    assert (alarm.kind, alarm.detector, alarm.platform, alarm.stood) == ("danger", "lexicon", "messenger", None)
    quotes = opened_json(town.console.codec, EVIDENCE, alarm)
    assert quotes and "il a un couteau" in quotes[0]
    assert b"couteau" not in bytes(alarm.evidence)
    page = (await claire.get(f"/conversations/{number}")).page
    assert "il a un couteau" in page[page.index('data-testid="alarm-evidence"') :][:400]
    assert "(lexique, " in page
    row = (await claire.get("/file")).page
    assert "il a un couteau" in row[row.index('data-testid="queue-alarm"') :][:200] and "(lexique)" in row


@pytest.mark.refused
@pytest.mark.parametrize(
    "broken",
    [
        "ALTER TABLE alarms ADD CHECK (id < 0) NOT VALID",
        "REVOKE INSERT ON alarms FROM planton_gateway",
        "REVOKE ALL ON SEQUENCE alarms_id_seq FROM planton_gateway",
    ],
)
async def test_an_alarm_that_cannot_be_kept_costs_neither_the_reply_nor_the_hand_off(
    town: Town, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    async with town.console.database.begin() as connection:
        await connection.execute(text(broken))
    number = await town.says(KNIFE)
    assert await town.alarms() == []
    (reply,) = await town.replies(number)
    assert "17" in reply and "114" in reply
    handoff = await town.console.handoff(number)
    assert (handoff.category, handoff.priority, handoff.reason) == ("emergency", 0, "emergency_lexicon")
    assert "an alarm is not kept" in caplog.text and "couteau" not in caplog.text


async def test_a_danger_told_in_pieces_quotes_them_and_a_withdrawal_takes_the_quote(town: Town) -> None:
    await town.says("mon mari me", mid="m-b")
    number = await town.says("frappe", mid="m-c")
    alarms = await town.alarms()
    assert [len(one.events) for one in alarms] == [2]
    assert opened_json(town.console.codec, EVIDENCE, alarms[-1]) == ["mon mari me frappe"]
    await town.sends(Unsend("m-b"))
    gone = await town.alarms()
    assert [one.id for one in gone] == [one.id for one in alarms]
    assert (gone[-1].evidence, gone[-1].entry) == (None, None)
    assert (await town.console.handoff(number)).category == "emergency"


async def test_a_false_alarm_goes_back_to_its_ordinary_place(town: Town, claire: Browser) -> None:
    number = await town.says(KNIFE)
    assert (await press(claire, number)).status == 303
    handoff, row = await town.console.handoff(number), await town.console.conversation(number)
    assert (handoff.category, handoff.priority, handoff.intent, handoff.reason) == ("request", 4, None, "false_alarm")
    assert (handoff.closed_at, row.owner, row.category) == (None, "waiting", "request")
    within = (await town.console.rows("SELECT within FROM deadlines WHERE priority = 4"))[0].within
    assert handoff.due_at == handoff.opened_at + within
    (alarm,) = await town.alarms()
    claires = town.console.users["Claire"].id
    assert (alarm.verdict, alarm.verdict_at, alarm.verdict_by) == ("taken_back", town.console.clock.now(), claires)
    assert await town.console.audit() == [("login", None), ("alarm_taken_back", number)]
    page = (await claire.get(f"/conversations/{number}")).page
    assert "retirée par <bdi>Claire</bdi>" in page and 'data-testid="alarm-put-back"' in page
    assert 'data-testid="alarm"' not in page
    assert 'data-testid="queue-alarm"' not in (await claire.get("/file")).page
    rings = await town.console.rows(
        "SELECT n FROM unread_emergencies(:a, :b)", a=row.last_person_at, b=row.last_person_at
    )
    assert rings[0].n == 0
    again = await press(claire, number)
    assert again.status == 409 and "plus d’alerte" in again.page


async def test_a_false_alarm_never_silences_the_next_danger(town: Town, claire: Browser) -> None:
    number = await town.says(KNIFE)
    first = await town.replies(number)
    await press(claire, number)
    town.console.clock.advance(minutes=1)  # type: ignore[union-attr]
    await town.says("et il fait beau")  # no longer part of an emergency
    assert await town.replies(number) == first
    await town.says("au secours il me frappe il va me tuer")
    assert await town.replies(number) == [*first, *first]  # in full, although one went out a minute ago
    handoff = await town.console.handoff(number)
    assert (handoff.category, handoff.priority, handoff.reason) == ("emergency", 0, "emergency_lexicon")
    assert [one.verdict for one in await town.alarms()] == ["taken_back", None]
    page = (await claire.get(f"/conversations/{number}")).page
    assert "il me frappe" in page[page.index('data-testid="alarm-evidence"') :][:400]


async def test_nothing_is_taken_back_that_was_not_read(town: Town, claire: Browser) -> None:
    number = await town.says(KNIFE)
    page = await claire.get(f"/conversations/{number}")
    read = {name: page.hidden(name) for name in ("vu", "alerte")}
    await town.says("il monte l'escalier")
    stale = await press(claire, number, vu=read["vu"])
    assert stale.status == 409 and "l’alerte n’a pas été retirée" in stale.page
    # An alarm that the engine raised since, of words that the page showed.
    await town.console.execute(
        """INSERT INTO alarms (conversation_id, handoff_id, platform, at, kind, detector)
           SELECT conversation_id, id, platform, opened_at, 'danger', 'engine' FROM handoffs"""
    )
    newer = await press(claire, number, alerte=read["alerte"])
    assert newer.status == 409 and "Une autre alerte" in newer.page
    assert (await town.console.handoff(number)).category == "emergency"
    assert {one.verdict for one in await town.alarms()} == {None}


async def test_closed_in_the_same_gesture_and_put_back(town: Town, claire: Browser, yanis: Browser) -> None:
    number = await town.says(KNIFE)
    await claire.act(number, "prendre")
    left = await press(claire, number, clore="1")
    assert (left.status, left.headers["Location"]) == (303, "/file")
    assert "Fausse alerte" in (await claire.get("/file")).page
    closed, row = await town.console.handoff(number), await town.console.conversation(number)
    assert (closed.outcome, closed.close_reason, closed.category) == ("closed", "fausse_alerte", "request")
    assert (row.owner, row.emergency_at) == ("closed", None)
    assert "fausse alerte" in (await claire.get(f"/conversations/{number}")).page
    assert (await press(yanis, number, "alerte")).status == 303  # whoever reads it may
    back, row = await town.console.handoff(number), await town.console.conversation(number)
    assert (back.id, back.category, back.priority, back.closed_at) == (closed.id, "emergency", 0, None)
    assert (back.reason, back.intent, row.owner, row.category) == (
        "emergency_lexicon", "danger_immediat", "waiting", "emergency",
    )  # fmt: skip
    assert [(one.verdict, one.verdict_at, one.verdict_by) for one in await town.alarms()] == [(None, None, None)]
    assert [action for action, _ in await town.console.audit()][-2:] == ["alarm_taken_back", "alarm_put_back"]
    nothing = await press(yanis, number, "alerte")
    assert nothing.status == 409 and "pas d’alerte à remettre" in nothing.page


async def test_a_request_that_stood_there_before_is_what_it_was(town: Town, claire: Browser) -> None:
    number = await town.says("je veux me plaindre de votre accueil")
    await town.console.hand_off(number, "complaint", "reclamation_police", "reclamation_police")
    await town.says(KNIFE)
    assert (await town.alarms())[0].stood == {
        "category": "complaint", "intent": "reclamation_police", "reason": "reclamation_police",
    }  # fmt: skip
    await press(claire, number)
    handoff = await town.console.handoff(number)
    assert (handoff.category, handoff.intent, handoff.reason) == (
        "complaint", "reclamation_police", "reclamation_police",
    )  # fmt: skip


async def test_confirmed_by_a_word_or_by_passing_it_on_not_by_an_answer(town: Town, claire: Browser) -> None:
    first = await town.says(KNIFE, "p1")
    assert (await press(claire, first, "danger-confirme")).status == 303
    assert (await press(claire, first, "danger-confirme")).status == 303  # a double click
    page = (await claire.get(f"/conversations/{first}")).page
    assert "Danger confirmé par <bdi>Claire</bdi>" in page and 'data-testid="alarm-confirm"' not in page
    for person, reason in (("p2", "transmis"), ("p3", "repondu")):
        number = await town.says(KNIFE, person)
        await claire.act(number, "prendre")
        assert (await claire.act(number, "clore", motif=reason, confirme="emergency")).status == 303
    assert [one.verdict for one in await town.alarms()] == ["confirmed", "confirmed", None]
    assert [action for action, _ in await town.console.audit()].count("alarm_confirmed") == 2
    # What was confirmed by a slip may still be taken back.
    assert (await press(claire, first)).status == 303
    assert (await town.alarms())[0].verdict == "taken_back"


async def test_who_may(town: Town, claire: Browser, yanis: Browser, odile: Browser, trainer: Browser) -> None:
    number = await town.says(KNIFE)
    seen = (await odile.get(f"/conversations/{number}")).page
    assert "il a un couteau" in seen and 'data-testid="alarm-false"' not in seen
    for browser in (odile, trainer):
        for action in ("fausse-alerte", "alerte", "danger-confirme"):
            assert (
                await browser.post(f"/conversations/{number}/{action}", csrf=(await browser.get("/moi")).hidden("csrf"))
            ).status == 403
    assert "couteau" not in (await trainer.get("/file")).page
    await claire.act(number, "prendre")
    refused = await press(yanis, number)
    assert refused.status == 409 and "Claire" in refused.page
    assert (await press(yanis, number, "danger-confirme")).status == 409
    assert 'data-testid="alarm-false"' not in (await yanis.get(f"/conversations/{number}")).page
    assert (await town.alarms())[0].verdict is None
    assert (await press(claire, number)).status == 303
    assert (await town.console.conversation(number)).owner == "agent"  # she still has it


async def test_an_emergency_without_a_detector_is_taken_back_too(town: Town, claire: Browser) -> None:
    number = await town.says("bonjour")
    await town.console.hand_off(number, "emergency", "emergency_unseen", "detresse_suicide")
    assert "sans détecteur" in (await claire.get(f"/conversations/{number}")).page
    assert (await press(claire, number)).status == 303
    (alarm,) = await town.alarms()
    assert (alarm.detector, alarm.kind, alarm.verdict, alarm.evidence) == ("other", "distress", "taken_back", None)
    assert (await press(claire, number, "alerte")).status == 303
    handoff = await town.console.handoff(number)
    assert (handoff.category, handoff.intent, handoff.reason) == ("emergency", "detresse_suicide", "emergency_other")


async def test_what_can_never_be_stored_keeps_no_words(town: Town) -> None:
    detection = Detection("danger", "score", evidence=("il a un couteau",))
    event = Event(Platform.MESSENGER, PAGE, "p9", "m-x", town.console.clock.now(), Message(KNIFE), mid="m-x")
    gateway = of_part(town.console.database, "gateway")
    await unstorable.keep(gateway, town.console.codec, event, True, "22P05", town.console.clock.now(), detection)
    (alarm,) = await town.alarms()
    assert (alarm.detector, alarm.evidence, alarm.events) == ("score", None, [])


async def test_trainers_see_what_was_taken_back(town: Town, claire: Browser) -> None:
    engine = ScriptedEngine()
    reader = AlarmReader(
        Alarms(of_part(town.console.database, "worker"), town.console.codec),
        engine, town.console.clock, lambda words: town.policy.triage(words) is not None, rest=0,
    )  # fmt: skip
    # The engine is as sure as the lexicon: nothing doubtful, until an agent says so.
    number = await town.says("au secours ma roue est voilee il a un couteau")
    while await reader.step():
        pass
    assert [row.weight for row in await town.console.rows("SELECT weight FROM readings")] == [0]
    await press(claire, number)
    (row,) = await town.console.rows("SELECT event_id, reasons, weight FROM readings")
    assert (list(row.reasons), row.weight) == (["false_alarm"], 80)
    await press(claire, number, "alerte")
    assert [list(row.reasons) for row in await town.console.rows("SELECT reasons FROM readings")] == [[]]
    # One that was told in pieces is no alarm by itself: it is read all the same once it was taken back, and once only.
    await town.says("mon mari me", "p2")
    pieces = await town.says("frappe", "p2")
    while await reader.step():
        pass
    assert len(await town.console.rows("SELECT FROM readings")) == 1
    await press(claire, pieces)
    while await reader.step():
        pass
    rows = await town.console.rows("SELECT reasons FROM readings ORDER BY event_id")
    assert len(rows) == 2 and "false_alarm" in rows[1].reasons
    assert await reader.step() == 0


async def test_they_are_counted_by_detector(town: Town, claire: Browser, denis: Browser) -> None:
    clock = town.console.clock
    assert isinstance(clock, FrozenClock)
    for person in ("p1", "p2", "p3"):
        await town.says(KNIFE, person)
    await town.console.execute("UPDATE alarms SET detector = 'score' WHERE id = (SELECT max(id) FROM alarms)")
    conversations = [one.conversation_id for one in await town.alarms()]
    await press(claire, conversations[0])
    await press(claire, conversations[1], "danger-confirme")
    clock.advance(minutes=1)
    page = (await claire.get("/pilotage")).page
    table = page[page.index('data-testid="steering-alarms"') :]
    cells = [part.split("<")[0] for part in table[: table.index("</table>")].split("<td>")[1:]]
    assert cells == ["2", "1", "1", "50\u00a0%", "1", "0", "0", "–", "3", "1", "1", "50\u00a0%"]
    assert "Lexique des urgences" in table and "Score de danger" in table
    # As many from the roll-up, also when the messages are gone.
    clock.advance(hours=2)
    await RollUp(of_part(town.console.database, "worker")).catch_up(clock.now())
    await town.console.execute("DELETE FROM alarms")
    assert cells == [
        part.split("<")[0]
        for part in (await claire.get("/pilotage"))
        .page.split('data-testid="steering-alarms"')[1]
        .split("</table>")[0]
        .split("<td>")[1:]
    ]
    file = (await denis.get("/pilotage.csv")).page.lstrip("\ufeff")
    lines = [tuple(line[3:6]) for line in csv.reader(io.StringIO(file), delimiter=";")]
    assert ("Alertes de danger", "Lexique des urgences", "2") in lines
    assert ("Alertes de danger", "Score de danger", "1") in lines
    assert ("Alertes confirmées", "Lexique des urgences", "1") in lines
    assert ("Fausses alertes retirées", "Lexique des urgences", "1") in lines


async def test_an_edit_that_tells_a_danger_is_an_alarm_of_its_own(town: Town) -> None:
    await town.says("bonjour", mid="m-e")
    await town.sends(Edit("m-e", KNIFE))
    (alarm,) = await town.alarms()
    assert "il a un couteau" in opened_json(town.console.codec, EVIDENCE, alarm)[0]
    await town.sends(Unsend("m-e"))
    assert (await town.alarms())[0].evidence is None


# Likely dangers


async def test_a_likely_danger_shows_what_says_so_and_not_as_an_alarm(town: Town, claire: Browser) -> None:
    number = await town.doubts()
    (alarm,) = await town.alarms()
    handoff = await town.console.handoff(number)
    assert (alarm.degree, alarm.detector, alarm.handoff_id, alarm.stood) == ("likely", "engine", handoff.id, None)
    assert opened_json(town.console.codec, EVIDENCE, alarm) == ["n'ose plus rentrer"]
    assert (handoff.category, handoff.priority, handoff.reason) == ("sensitive", 1, "danger_probable")
    page = (await claire.get(f"/conversations/{number}")).page
    banner = page[page.index('data-testid="likely"') :][:700]
    assert (
        "<strong>Danger probable</strong>" in banner and "n&#39;ose plus rentrer" in banner and "(assistant, " in banner
    )
    assert 'data-testid="alarm"' not in page
    row = (await claire.get("/file")).page
    line = row[row.index('data-testid="queue-alarm"') - 30 :][:250]
    assert "row-alarm likely" in line and "Danger probable" in line and "n&#39;ose plus rentrer" in line
    rings = await town.console.rows(
        "SELECT n FROM unread_emergencies(:at, :at)", at=town.console.clock.now() + timedelta(hours=1)
    )
    assert rings[0].n == 0  # it does not ring as an emergency does


async def test_a_likely_danger_goes_back_to_its_ordinary_place_and_returns(town: Town, claire: Browser) -> None:
    number = await town.doubts()
    assert (await press(claire, number)).status == 303
    handoff, row = await town.console.handoff(number), await town.console.conversation(number)
    assert (handoff.category, handoff.priority, handoff.reason) == ("request", 4, "false_alarm")
    assert (row.category, row.owner) == ("request", "waiting")
    page = (await claire.get(f"/conversations/{number}")).page
    assert (
        "revenue à sa place\u00a0: demande" in page.replace("&nbsp;", "\u00a0") and 'data-testid="likely"' not in page
    )
    assert 'data-testid="queue-alarm"' not in (await claire.get("/file")).page
    (reading,) = await town.console.rows("SELECT event_id, reasons FROM readings")
    assert "false_alarm" in reading.reasons
    assert (await press(claire, number)).status == 409
    assert (await press(claire, number, "alerte")).status == 303
    handoff = await town.console.handoff(number)
    assert (handoff.category, handoff.priority, handoff.reason) == ("sensitive", 1, "danger_probable")
    assert (await town.console.conversation(number)).category == "sensitive"
    (reading,) = await town.console.rows("SELECT reasons FROM readings")
    assert "false_alarm" not in reading.reasons
    assert [one.verdict for one in await town.alarms()] == [None]


async def test_what_was_grave_or_asked_before_stays_so(town: Town, claire: Browser) -> None:
    grave = await town.doubts(person="p1", intent="violences_conjugales")
    await press(claire, grave)
    handoff = await town.console.handoff(grave)
    assert (handoff.category, handoff.priority, handoff.intent) == ("sensitive", 2, "violences_conjugales")
    asked = await town.says("je veux me plaindre de votre accueil", "p2")
    await town.console.hand_off(asked, "complaint", "reclamation_police", "reclamation_police")
    await town.doubts(person="p2")
    assert (await town.console.handoff(asked)).priority == 1
    await town.says(KNIFE, "p2")  # both were false: not where the likely danger had put it
    await press(claire, asked)
    handoff = await town.console.handoff(asked)
    assert (handoff.category, handoff.priority, handoff.reason) == ("complaint", 3, "reclamation_police")
    assert [one.verdict for one in await town.alarms()] == ["taken_back"] * 3
    # Put back together, it is an emergency.
    assert (await press(claire, asked, "alerte")).status == 303
    handoff = await town.console.handoff(asked)
    assert (handoff.category, handoff.priority, handoff.reason) == ("emergency", 0, "emergency_lexicon")


@pytest.mark.parametrize("action", ["fausse-alerte", "danger-confirme"])
async def test_a_likely_danger_that_was_judged_never_silences_a_sure_one(
    town: Town, claire: Browser, action: str
) -> None:
    number = await town.doubts()
    assert (await press(claire, number, action)).status == 303
    assert await town.replies(number) == []
    town.console.clock.advance(minutes=1)  # type: ignore[union-attr]
    await town.says(KNIFE)
    (reply,) = await town.replies(number)
    assert "17" in reply and "114" in reply  # in full
    handoff = await town.console.handoff(number)
    assert (handoff.category, handoff.priority, handoff.reason) == ("emergency", 0, "emergency_lexicon")
    rings = await town.console.rows(
        "SELECT n FROM unread_emergencies(:at, :at)", at=town.console.clock.now() + timedelta(hours=1)
    )
    assert rings[0].n == 1
    page = (await claire.get(f"/conversations/{number}")).page
    banner = page[page.index('data-testid="alarm"') :][:900]
    assert "il a un couteau" in banner and 'data-testid="alarm-confirm"' in page
    assert 'data-testid="alarm-confirmed"' not in page
    row = (await claire.get("/file")).page
    assert "il a un couteau" in row[row.index('data-testid="queue-alarm"') :][:250]


async def test_the_subject_that_an_agent_gave_outlives_the_alarm(town: Town, claire: Browser) -> None:
    number = await town.doubts()
    async with town.console.database.begin() as connection:
        await connection.exec_driver_sql("UPDATE readings SET agent_intent = 'violences_conjugales'")
    assert (await press(claire, number)).status == 303
    handoff = await town.console.handoff(number)
    assert (handoff.category, handoff.intent) == ("sensitive", "violences_conjugales")


async def test_a_disappearance_told_beside_a_likely_danger_stays_one(town: Town, claire: Browser) -> None:
    number = await town.doubts()
    await town.console.hand_off(number, "urgent", "disparition", "disparition")
    assert (await press(claire, number)).status == 303
    handoff = await town.console.handoff(number)
    assert (handoff.category, handoff.priority, handoff.reason) == ("urgent", 1, "disparition")
    assert [one.verdict for one in await town.alarms()] == ["taken_back"]


async def test_an_emergency_told_by_hand_after_a_likely_danger_is_put_back_as_one(town: Town, claire: Browser) -> None:
    number = await town.doubts()
    await town.console.hand_off(number, "emergency", "emergency_unseen", "danger_immediat")
    await press(claire, number)
    assert [(one.degree, one.detector, one.verdict) for one in await town.alarms()] == [
        ("likely", "engine", "taken_back"),
        ("sure", "other", "taken_back"),
    ]
    await press(claire, number, "alerte")
    assert (await town.console.handoff(number)).category == "emergency"


async def test_an_alarm_that_cannot_be_kept_costs_no_hand_off(town: Town, claire: Browser) -> None:
    number = await town.doubts(kind="unheard of")
    assert await town.alarms() == []
    assert (await town.console.handoff(number)).reason == "danger_probable"
    assert 'data-testid="likely"' not in (await claire.get(f"/conversations/{number}")).page
    assert (await press(claire, number)).status == 409


async def test_likely_dangers_are_counted_apart(town: Town, claire: Browser, denis: Browser) -> None:
    await town.says(KNIFE, "p0")
    numbers = [await town.doubts(person=person) for person in ("p1", "p2", "p3")]
    await press(claire, numbers[0])
    await press(claire, numbers[1], "danger-confirme")
    town.console.clock.advance(minutes=1)  # type: ignore[union-attr]
    page = (await claire.get("/pilotage")).page

    def cells(name: str) -> list[str]:
        table = page.split(f'data-testid="{name}"')[1].split("</table>")[0]
        return [part.split("<")[0] for part in table.split("<td>")[1:]]

    assert cells("steering-alarms") == ["1", "0", "0", "–"] * 2
    assert cells("steering-likely") == ["3", "1", "1", "50\u00a0%"] * 2
    file = (await denis.get("/pilotage.csv")).page.lstrip("\ufeff")
    lines = [tuple(line[3:6]) for line in csv.reader(io.StringIO(file), delimiter=";")]
    assert ("Alertes de danger", "Lexique des urgences", "1") in lines
    assert ("Dangers probables", "Assistant (moteur)", "3") in lines
    assert ("Dangers probables confirmés", "Assistant (moteur)", "1") in lines
    assert ("Dangers probables retirés", "Assistant (moteur)", "1") in lines
