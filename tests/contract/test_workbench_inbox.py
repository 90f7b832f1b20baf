"""The inbox of understanding without a script: what waits and why, deciding, the example in the file, taking back."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from bot.console import workbench_inbox
from bot.core.clock import FrozenClock
from bot.core.dialogue import Understanding
from bot.core.messages import Edit
from bot.policy.emergency import Detection
from bot.store import alarms
from bot.store.codec import Codec
from bot.store.conversations import Conversations, Finish, Settlement
from bot.store.db import Database
from bot.store.workbench.readings import Confirmed, NewReading, alarm_judged, confirmed, keep, mark
from bot.trainer.project import Project
from bot.trainer.pseudonyms import Pseudonymiser
from tests.conftest import of_part
from tests.fakes.console import Browser, RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine
from tests.fakes.project import copied

NLU = "data/nlu.yml"


@dataclass
class Desk:
    """A console with a project of the test's own, and messages that the engine has read."""

    console: RunningConsole
    project: Project
    engine: ScriptedEngine
    readers: dict[str, Browser] = field(default_factory=dict)

    async def read(
        self,
        words: str,
        intent: str = "plainte_comment",
        confidence: float = 0.4,
        second: tuple[str, float] = ("suivi_plainte", 0.2),
        person: str = "",
        **more: Any,
    ) -> int:
        """Somebody wrote, the engine read it so; the event's number."""
        route = more.pop("route", "answer")
        clarified = more.pop("clarified", False)
        conversation = await self.console.says(person or f"p{hash(words) & 0xFFFF}", words)
        found = await self.console.rows("SELECT max(id) AS id FROM events WHERE conversation_id = :id", id=conversation)
        understanding = Understanding(
            intent,
            confidence,
            ((intent, confidence), second),
            danger=more.pop("danger", 0.01),
            model="scripted",
            **more,
        )
        return await self.keep(found[0].id, words, understanding, route, clarified)

    async def keep(
        self, event: int, words: str, understanding: Understanding, route: str = "answer", clarified: bool = False
    ) -> int:
        """The worker keeps what was made of an event."""
        now = self.console.clock.now()
        reading = NewReading((event,), now, words, understanding, route, clarified)
        async with self.console.database.begin() as connection:
            await keep(connection, self.console.codec, [reading], now)
        return event

    async def press(self, who: Browser, event: int, meant: str, query: str = "", **changes: str) -> Any:
        """Open a message and press a button there; `changes` replace what the page held ("" leaves a field out)."""
        page = (await who.get(f"/atelier/messages/{event}{query}")).page
        return await self.send(who, page, event, meant, query, **changes)

    async def send(self, who: Browser, page: str, event: int, meant: str, query: str = "", **changes: str) -> Any:
        """Press a button of a page that was opened before."""
        fields = {name: _hidden(page, name) for name in ("csrf", "lu", "vu", "vus", "jusqua", "montrees", "montre")}
        fields |= {"exemple": _example(page), "ajouter": "1", "groupe": "1", "sens": meant, **changes}
        return await who.post(
            f"/atelier/messages/{event}/decider{query}", **{name: value for name, value in fields.items() if value}
        )

    def examples(self, intent: str) -> list[str]:
        """The examples of an intent, as they stand in the file."""
        block = self.project.read(NLU).split(f"- intent: {intent}\n", 1)[1].split("- intent:", 1)[0]
        return re.findall(r"^ +- (.*)$", block, re.MULTILINE)


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    return found[1].replace("&#39;", "'") if found else ""


def _example(page: str) -> str:
    found = re.search(r'<textarea id="exemple"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    return found[1].replace("&#39;", "'") if found else ""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as the tests of this file begin with it."""
    return copied(tmp_path_factory.mktemp("project") / "it", small=True).root


@pytest.fixture
def project(template: Path) -> Iterator[Project]:
    """The same for each test: what one has changed is taken back."""
    project = Project(template)
    before = project.read(NLU)
    yield project
    if project.read(NLU) != before:
        project.write(NLU, before)


@pytest.fixture
async def desk(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, project: Project
) -> AsyncIterator[Desk]:
    """A console with that project and a scripted engine."""
    engine = ScriptedEngine()
    wall = FrozenClock(frozen_clock.now())
    async with running_console(
        database, database_url, codec, frozen_clock, wall, engine=engine, project=project
    ) as running:
        yield Desk(running, project, engine)


@pytest.fixture
async def ines(desk: Desk) -> AsyncIterator[Browser]:
    """A trainer."""
    async with Browser(desk.console) as browser:
        await desk.console.user("Inès", "trainer")
        await browser.log_in("Inès")
        yield browser


@pytest.fixture
async def theo(desk: Desk) -> AsyncIterator[Browser]:
    """Another one."""
    async with Browser(desk.console) as browser:
        await desk.console.user("Théo", "trainer")
        await browser.log_in("Théo")
        yield browser


WORDS = "on a cabossé ma portière sur le parking du marché, je fais quoi maintenant"


async def test_what_was_surely_understood_is_not_shown(desk: Desk, ines: Browser) -> None:
    await desk.read("je voudrais porter plainte pour un vol", confidence=0.97, second=("suivi_plainte", 0.01))
    page = (await ines.get("/atelier")).page
    assert 'data-testid="empty"' in page
    assert "Tout est regardé." in page


async def test_the_weightiest_comes_first_with_its_reasons(desk: Desk, ines: Browser) -> None:
    await desk.read(WORDS)
    await desk.read("je sais pas trop il me fait peur quand il crie", "violences_conjugales", 0.5, danger=0.12)
    page = (await ines.get("/atelier")).page
    assert page.index("il me fait peur") < page.index("cabossé")
    assert "Danger possible" in page
    assert "Confiance faible" in page
    filtered = (await ines.get("/atelier?raison=danger")).page
    assert "il me fait peur" in filtered
    assert "cabossé" not in filtered
    assert "cabossé" not in (await ines.get("/atelier?reseau=instagram")).page
    assert "cabossé" not in (await ines.get("/atelier?depuis=2030-01-01")).page
    assert "cabossé" in (await ines.get("/atelier?intention=plainte_comment&page=abc")).page


async def test_a_message_that_cannot_be_read_hides_no_other(desk: Desk, ines: Browser) -> None:
    lost = await desk.read("une question", person="lost")
    await desk.read("combien de temps pour recevoir la réponse du procureur", "suivi_plainte", 0.45)
    await desk.console.execute("UPDATE readings SET words = '\\x00' WHERE event_id = :id", id=lost)
    assert (await ines.get("/atelier")).page.count('data-testid="inbox-row"') == 1
    assert (await ines.get(f"/atelier/messages/{lost}")).status == 404


async def test_confirming_makes_a_one_line_change_and_leads_to_the_next(desk: Desk, ines: Browser) -> None:
    event = await desk.read(WORDS)
    other = await desk.read("le voisin a posé une caméra qui regarde chez moi", "autre_procedure", 0.3)
    before = desk.examples("plainte_comment")
    answer = await desk.press(ines, event, "intention:plainte_comment")
    assert answer.status == 303
    assert answer.headers["Location"].startswith(f"/atelier/messages/{other}?fait=")
    assert sorted(desk.examples("plainte_comment")) == sorted([*before, WORDS])
    assert desk.project.git("diff", "--numstat", NLU).split()[:2] == ["1", "0"]
    page = (await ines.get(answer.headers["Location"])).page
    assert "confirmé" in page
    assert "L’exemple est ajouté." in page
    async with desk.console.database.begin() as connection:
        since = desk.console.clock.now().replace(year=2000)
        told = await confirmed(connection, desk.console.codec, since)
    assert told == [Confirmed(event, WORDS, "plainte_comment")]
    rows = await desk.console.rows("SELECT kind, intent, marked, events FROM corrections")
    assert [tuple(row) for row in rows] == [("add", "plainte_comment", WORDS, [event])]


async def test_another_intent_may_be_chosen_without_an_example(desk: Desk, ines: Browser) -> None:
    event = await desk.read(WORDS)
    before = desk.project.read(NLU)
    answer = await desk.press(ines, event, "intention:contravention", ajouter="")
    assert answer.status == 303
    assert answer.headers["Location"].startswith("/atelier?fait=")
    assert desk.project.read(NLU) == before
    rows = await desk.console.rows("SELECT kind, intent FROM reading_decisions")
    assert [tuple(row) for row in rows] == [("chosen", "contravention")]


@pytest.mark.parametrize(("meant", "kind"), [("rien", "nothing"), ("passer", "skipped"), ("hors", "outside")])
async def test_nothing_of_ours_and_later(desk: Desk, ines: Browser, meant: str, kind: str) -> None:
    event = await desk.read("recette de la tarte aux mirabelles de ma grand mère", "hors_perimetre", 0.35)
    before = desk.project.read(NLU)
    assert (await desk.press(ines, event, meant)).status == 303
    rows = await desk.console.rows("SELECT kind FROM reading_decisions")
    assert [row.kind for row in rows] == [kind]
    assert (desk.project.read(NLU) != before) == (kind == "outside")
    assert "mirabelles" not in (await ines.get("/atelier")).page
    assert ("mirabelles" in (await ines.get("/atelier?etat=plus-tard")).page) == (kind == "skipped")


async def test_what_was_left_for_later_can_be_decided(desk: Desk, ines: Browser) -> None:
    event = await desk.read(WORDS)
    await desk.press(ines, event, "passer")
    assert (await desk.press(ines, event, "intention:plainte_comment", "?etat=plus-tard")).status == 303
    assert "cabossé" not in (await ines.get("/atelier?etat=plus-tard")).page
    assert WORDS in desk.examples("plainte_comment")


async def test_undo_takes_decision_and_example_back(desk: Desk, ines: Browser) -> None:
    event = await desk.read(WORDS)
    before = desk.project.read(NLU)
    await desk.press(ines, event, "intention:plainte_comment")
    page = await ines.get("/atelier")
    number = (await desk.console.rows("SELECT id FROM reading_decisions"))[0].id
    undone = await ines.post(f"/atelier/decisions/{number}/annuler", csrf=page.hidden("csrf"))
    assert undone.headers["Location"] == f"/atelier/messages/{event}"
    assert desk.project.read(NLU) == before
    assert "cabossé" in (await ines.get("/atelier")).page
    again = await ines.post(f"/atelier/decisions/{number}/annuler", csrf=page.hidden("csrf"))
    assert again.status == 409
    actions = [action for action, _ in await desk.console.audit()]
    assert {"reading_decided", "reading_undone", "example_added", "correction_undone"} <= set(actions)


async def test_messages_that_say_the_same_are_decided_together(desk: Desk, ines: Browser) -> None:
    events = [await desk.read(WORDS + end, person=f"g{i}") for i, end in enumerate(("", " ?", " !!", " svp"))]
    alone = await desk.read("combien de temps pour recevoir la réponse du procureur", "suivi_plainte", 0.45)
    page = (await ines.get("/atelier")).page
    assert "4 semblables" in page
    assert page.count('data-testid="inbox-row"') == 2
    one = (await ines.get(f"/atelier/messages/{events[0]}")).page
    assert "4 messages semblables" in one
    await desk.press(ines, events[0], "intention:plainte_comment")
    rows = await desk.console.rows("SELECT event_id, decision_id FROM readings ORDER BY event_id")
    decided = {row.event_id for row in rows if row.decision_id}
    assert decided == set(events)
    assert desk.examples("plainte_comment").count(WORDS) == 1
    assert alone not in decided


async def test_a_danger_is_never_decided_with_others(desk: Desk, ines: Browser) -> None:
    words = "combien de temps le procureur met il pour repondre à une plainte"
    for person, danger in (("p1", 0.01), ("p2", 0.01), ("p3", 0.2)):
        await desk.read(words, person=person, danger=danger)
    groups = await desk.console.rows("SELECT group_id, count(*) AS n FROM readings GROUP BY group_id ORDER BY n")
    assert [row.n for row in groups] == [1, 2]


async def test_a_reading_that_cannot_be_kept_costs_no_reply(desk: Desk) -> None:
    number = await desk.console.says("p9", "bonjour, une question")
    found = await desk.console.rows("SELECT max(id) AS id FROM events WHERE conversation_id = :id", id=number)
    store, now = Conversations(of_part(desk.console.database, "worker"), desk.console.codec), desk.console.clock.now()
    (claimed,) = await store.claim(now, 1, timedelta(minutes=1))
    impossible = NewReading((found[0].id, 2**70), now, "une question", Understanding("armes", 0.3), "answer")
    settled = Settlement((found[0].id,), "answered", None)
    await store.finish(claimed, Finish(settlements=(settled,), readings=(impossible,)), now)
    assert await desk.console.rows("SELECT FROM readings") == []
    (row,) = await desk.console.rows("SELECT disposition FROM events WHERE id = :id", id=found[0].id)
    assert row.disposition == "answered"


TYPED = "on m’a cabossé la portière au marché, que faire maintenant"


async def test_what_joined_the_group_meanwhile_is_not_decided_unseen(desk: Desk, ines: Browser) -> None:
    sure = await desk.read(WORDS, confidence=0.97, second=("suivi_plainte", 0.01), person="g0")
    events = [await desk.read(WORDS + end, person=f"g{i}") for i, end in enumerate((" ?", " !!"), 1)]
    page = (await ines.get(f"/atelier/messages/{events[0]}")).page
    (row,) = await desk.console.rows("SELECT conversation_id AS id FROM readings WHERE event_id = :id", id=sure)
    now = desk.console.clock.now()
    async with desk.console.database.begin() as connection:
        assert await mark(connection, desk.console.codec, row.id, "corrected", "armes", now)
    before = desk.project.read(NLU)
    refused = await desk.send(ines, page, events[0], "intention:plainte_comment", exemple=TYPED)
    assert refused.status == 409
    assert "Le groupe a changé" in refused.page
    assert _example(refused.page) == TYPED
    assert desk.project.read(NLU) == before
    assert await desk.console.rows("SELECT FROM reading_decisions") == []
    assert "3 messages semblables" in refused.page
    later = await desk.read(WORDS + " svp", person="g9")
    assert (await desk.send(ines, refused.page, events[0], "intention:plainte_comment")).status == 303
    waiting = await desk.console.rows("SELECT event_id FROM readings WHERE decision_id IS NULL")
    assert [row.event_id for row in waiting] == [later]  # nobody has seen it
    assert TYPED in desk.examples("plainte_comment")


async def test_a_message_that_was_read_again_is_not_decided_by_its_older_words(
    desk: Desk, ines: Browser, frozen_clock: FrozenClock
) -> None:
    event = await desk.read(WORDS)
    page = (await ines.get(f"/atelier/messages/{event}")).page
    frozen_clock.advance(minutes=1)
    newer = "finalement mon assurance ne me répond plus du tout"
    await desk.keep(event, newer, Understanding("autre_procedure", 0.4, (("autre_procedure", 0.4),)))
    for changes, stays in (({}, newer), ({"exemple": TYPED}, TYPED)):
        for group in ("", "1"):
            refused = await desk.send(ines, page, event, "intention:plainte_comment", groupe=group, **changes)
            assert refused.status == 409
            assert "Rien n’a été décidé" in refused.page
            assert newer in refused.page
            assert _example(refused.page) == stays
    assert await desk.console.rows("SELECT FROM reading_decisions") == []
    assert (await desk.send(ines, refused.page, event, "intention:autre_procedure")).status == 303


async def test_a_message_that_went_away_leaves_what_was_typed(desk: Desk, ines: Browser) -> None:
    await desk.read(WORDS, person="e")
    conversation = await desk.console.says("e", WORDS, mid="m_e")
    (edited,) = await desk.console.rows("SELECT id FROM events WHERE mid = 'm_e'")
    understood = Understanding("plainte_comment", 0.4, (("plainte_comment", 0.4),))
    await desk.keep(edited.id, WORDS, understood)
    page = (await ines.get(f"/atelier/messages/{edited.id}")).page
    await desk.console.event("e", Edit("m_e", "je voulais dire ma serrure"))
    gone = await desk.send(ines, page, edited.id, "intention:plainte_comment", exemple=TYPED)
    assert gone.status == 409
    assert "n’est plus là" in gone.page
    assert TYPED in gone.page.replace("&#39;", "'")
    blocked = await desk.read("un autre message, que l’on bloque ensuite", person="b")
    page = (await ines.get(f"/atelier/messages/{blocked}")).page
    (row,) = await desk.console.rows("SELECT conversation_id AS id FROM readings WHERE event_id = :id", id=blocked)
    assert row.id != conversation
    await desk.console.user("Claire")
    await desk.console.execute(
        "INSERT INTO blocks (conversation_id, at, user_id, reason) VALUES (:id, now(), :user, 'insultes')",
        id=row.id,
        user=desk.console.users["Claire"].id,
    )
    assert (await desk.send(ines, page, blocked, "rien")).status == 409
    assert await desk.console.rows("SELECT FROM reading_decisions") == []


async def test_an_edit_erases_the_reading_of_older_words_unless_it_was_decided(desk: Desk, ines: Browser) -> None:
    understood = Understanding("plainte_comment", 0.4, (("plainte_comment", 0.4),))
    for person in ("kept", "erased", "joined"):
        await desk.console.says(person, WORDS, mid=f"m_{person}")
    (kept, erased, joined) = await desk.console.rows("SELECT id FROM events ORDER BY id")
    await desk.keep(kept.id, WORDS, understood)
    await desk.keep(erased.id, WORDS + " ?", understood)
    await desk.console.says("joined", "et c'est urgent", mid="m_also")
    (also,) = await desk.console.rows("SELECT id FROM events WHERE mid = 'm_also'")
    now = desk.console.clock.now()
    async with desk.console.database.begin() as connection:
        together = NewReading((joined.id, also.id), now, WORDS, understood, "answer")
        await keep(connection, desk.console.codec, [together], now)
    assert (await desk.press(ines, kept.id, "intention:plainte_comment", groupe="")).status == 303
    for person, mid in (("kept", "m_kept"), ("erased", "m_erased"), ("joined", "m_also")):
        await desk.console.event(person, Edit(mid, "je voulais dire ma serrure"), mid=f"e_{person}")
    rows = await desk.console.rows("SELECT event_id FROM readings")
    assert [row.event_id for row in rows] == [kept.id]
    (edit,) = await desk.console.rows("SELECT id FROM events WHERE mid = 'e_erased'")
    await desk.keep(edit.id, "je voulais dire ma serrure", understood)
    page = (await ines.get("/atelier")).page
    assert "ma serrure" in page
    assert "cabossé" not in page
    # Edited once more: the reading of the first edit goes.
    await desk.console.event("erased", Edit("m_erased", "ma fenêtre"))
    assert "ma serrure" not in (await ines.get("/atelier")).page


async def test_an_alarm_of_the_gateway_is_told(desk: Desk, ines: Browser) -> None:
    event = await desk.read("il me tue de rire avec ses histoires", "salutation", 0.5, danger=0.3, route="emergency")
    assert "inbox-alarm" not in (await ines.get(f"/atelier/messages/{event}")).page
    await desk.console.execute("UPDATE events SET route = 'emergency', reason = 'lexicon' WHERE id = :id", id=event)
    page = (await ines.get(f"/atelier/messages/{event}")).page
    assert "L’alarme a été donnée par le lexique" in page
    assert "data/danger.yml" in page
    assert "Danger possible" in page


async def test_an_alarm_that_an_agent_took_back_is_told_with_its_words(desk: Desk, ines: Browser) -> None:
    event = await desk.read("il me tue de rire avec ses histoires", "salutation", 0.5, danger=0.95, route="emergency")
    console = desk.console
    (row,) = await console.rows("SELECT conversation_id AS id FROM readings")
    detection = Detection("danger", "score", "rire", evidence=("il me tue <b>",))
    async with console.database.begin() as connection:
        before = await alarms.ahead(connection, row.id)
        await alarms.keep(connection, console.codec, row.id, detection, before, None, [event], console.clock.now())
        await connection.execute(text("UPDATE alarms SET verdict = 'taken_back', verdict_at = now()"))
        await alarm_judged(connection, row.id, [event], false=True)
    page = (await ines.get("/atelier?raison=false_alarm")).page
    assert "il me tue de rire" in page and "Fausse alerte" in page
    page = (await ines.get(f"/atelier/messages/{event}")).page
    assert "donnée par le score de danger" in page and "Un agent a retiré cette alerte" in page
    assert "«\u00a0il me tue &lt;b&gt;\u00a0»" in page and "«&nbsp;rire&nbsp;»" in page


async def test_a_likely_danger_is_told_as_one(desk: Desk, ines: Browser) -> None:
    event = await desk.read("je n'ose plus rentrer", "hors_perimetre", 0.5, danger=0.4, route="handoff")
    console = desk.console
    (row,) = await console.rows("SELECT conversation_id AS id FROM readings")
    detection = Detection("danger", "engine", degree="likely", evidence=("plus rentrer",))
    async with console.database.begin() as connection:
        before = await alarms.ahead(connection, row.id)
        await alarms.keep(connection, console.codec, row.id, detection, before, None, [event], console.clock.now())
    page = (await ines.get(f"/atelier/messages/{event}")).page
    assert "Le modèle a vu un danger probable. Ce qui le dit&nbsp;: <bdi>«\u00a0plus rentrer\u00a0»</bdi>" in page
    assert "alarme a été donnée" not in page


async def test_the_others_of_a_group_stand_by_weight(desk: Desk, ines: Browser) -> None:
    lead = await desk.read(WORDS, person="g1")
    await desk.read(WORDS + " svp", person="g2")
    await desk.read(WORDS + " ?", person="g3", clarified=True)
    page = (await ines.get(f"/atelier/messages/{lead}")).page
    assert page.index(WORDS + " ?") < page.index(WORDS + " svp")


async def test_the_files_are_not_waited_for_with_a_message_in_hand(
    desk: Desk, ines: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = await desk.read(WORDS)
    page = (await ines.get(f"/atelier/messages/{event}")).page
    asked, lock = threading.Event(), Project.lock

    def told(project: Project, patience: float) -> Any:
        asked.set()
        return lock(project, patience)

    monkeypatch.setattr(workbench_inbox, "PATIENCE", 60)
    with desk.project.lock():
        monkeypatch.setattr(Project, "lock", told)
        pressed = asyncio.create_task(desk.send(ines, page, event, "intention:plainte_comment", exemple=TYPED))
        assert await asyncio.to_thread(asked.wait, 30)
        await desk.console.rows("SELECT FROM readings WHERE event_id = :id FOR UPDATE NOWAIT", id=event)
        assert not pressed.done()
    assert (await pressed).status == 303
    assert TYPED in desk.examples("plainte_comment")
    number = (await desk.console.rows("SELECT id FROM reading_decisions"))[0].id
    monkeypatch.setattr(workbench_inbox, "PATIENCE", 0)
    other = await desk.read("le voisin a posé une caméra qui regarde chez moi", "autre_procedure", 0.3)
    page = (await ines.get(f"/atelier/messages/{other}")).page
    monkeypatch.setattr(Project, "lock", lock)
    typed = "mon voisin a installé une caméra tournée vers mon jardin"
    with desk.project.lock():
        busy = await desk.send(ines, page, other, "intention:autre_procedure", exemple=typed)
        undone = await ines.post(f"/atelier/decisions/{number}/annuler", csrf=_hidden(page, "csrf"))
    assert busy.status == 422
    assert "Réessayez dans un instant" in busy.page
    assert _example(busy.page) == typed
    assert undone.status == 409
    assert "n’est pas annulée" in undone.page
    assert len(await desk.console.rows("SELECT FROM reading_decisions WHERE undone_at IS NULL")) == 1


async def test_one_of_a_group_may_be_decided_alone(desk: Desk, ines: Browser) -> None:
    events = [await desk.read(WORDS + end, person=f"g{i}") for i, end in enumerate(("", " ?"))]
    await desk.press(ines, events[0], "intention:plainte_comment", groupe="")
    rows = await desk.console.rows("SELECT event_id FROM readings WHERE decision_id IS NOT NULL")
    assert [row.event_id for row in rows] == [events[0]]


async def test_an_example_that_says_the_same_is_not_added_twice(desk: Desk, ines: Browser) -> None:
    standing = desk.examples("plainte_comment")[5].replace("[", "").split("](")[0]
    event = await desk.read(standing + " ?")
    before = desk.project.read(NLU)
    answer = await desk.press(ines, event, "intention:plainte_comment")
    assert "note=doublon" in answer.headers["Location"]
    assert desk.project.read(NLU) == before
    assert "rien n’a été ajouté" in (await ines.get(answer.headers["Location"])).page


async def test_personal_data_never_reaches_the_file(desk: Desk, ines: Browser) -> None:
    raw = "bonjour c'est au 06 39 98 12 34 ou camille.durand@courrier.invalid, on a cabossé ma portière, je fais quoi"
    event = await desk.read(raw)
    page = (await ines.get(f"/atelier/messages/{event}")).page
    proposed = _example(page)
    assert "06 39 98 12 34" not in proposed
    assert "camille.durand@courrier.invalid" not in proposed
    assert (await desk.press(ines, event, "intention:plainte_comment")).status == 303
    assert "06 39 98 12 34" not in desk.project.read(NLU)
    assert "camille.durand@courrier.invalid" not in desk.project.read(NLU)
    audit = await desk.console.rows("SELECT detail::text AS detail FROM audit")
    assert not any("camille" in row.detail or "cabossé" in row.detail for row in audit)


async def test_what_a_trainer_types_back_in_is_refused(desk: Desk, ines: Browser) -> None:
    event = await desk.read(WORDS)
    typed = WORDS + " écrivez à camille.durand@courrier.invalid"
    before = desk.project.read(NLU)
    answer = await desk.press(ines, event, "intention:plainte_comment", exemple=typed)
    assert answer.status == 422
    assert "donnée personnelle" in answer.page
    assert desk.project.read(NLU) == before
    assert await desk.console.rows("SELECT 1 FROM reading_decisions") == []


async def test_what_is_too_long_is_refused_before_it_is_read(
    desk: Desk, ines: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = await desk.read(WORDS)
    page = (await ines.get(f"/atelier/messages/{event}")).page
    read: list[int] = []
    find = Pseudonymiser.find
    monkeypatch.setattr(Pseudonymiser, "find", lambda self, text: [read.append(len(text)), *find(self, text)][1:])
    long = "mot " * 60_000 + "camille.durand@courrier.invalid"
    refused = await desk.send(ines, page, event, "intention:plainte_comment", exemple=long)
    assert refused.status == 422
    assert "plus de 2000" in refused.page
    assert "camille.durand" in _example(refused.page)  # nothing is lost
    assert max(read, default=0) <= 2_000
    huge = await desk.send(ines, page, event, "intention:plainte_comment", exemple="mot " * 250_000)
    assert huge.status == 413
    assert await desk.console.rows("SELECT FROM reading_decisions") == []


async def test_entities_are_marked_and_bad_marks_refused(desk: Desk, ines: Browser) -> None:
    event = await desk.read("on ma volé mon scooter à Lyon hier soir dans la cour", "vol_vehicule_fourriere", 0.4)
    marked = "on ma volé mon scooter à [Lyon](ville) hier soir dans la cour"
    wrong = await desk.press(
        ines, event, "intention:vol_vehicule_fourriere", exemple=marked.replace("ville", "planete")
    )
    assert wrong.status == 422
    assert "planete" in wrong.page
    assert (await desk.press(ines, event, "intention:vol_vehicule_fourriere", exemple=marked)).status == 303
    assert marked in desk.examples("vol_vehicule_fourriere")


async def test_two_trainers_do_not_decide_twice(desk: Desk, ines: Browser, theo: Browser) -> None:
    event = await desk.read(WORDS)
    both = await asyncio.gather(
        desk.press(ines, event, "intention:plainte_comment"), desk.press(theo, event, "intention:contravention")
    )
    assert sorted(answer.status for answer in both) == [303, 409]
    refused = next(answer for answer in both if answer.status == 409)
    assert "a déjà décidé" in refused.page
    rows = await desk.console.rows("SELECT intent FROM reading_decisions")
    assert len(rows) == 1
    added = [intent for intent in ("plainte_comment", "contravention") if WORDS in desk.examples(intent)]
    assert added == [rows[0].intent]


async def test_who_may_only_look_cannot_decide(desk: Desk, ines: Browser) -> None:
    event = await desk.read(WORDS)
    await desk.console.user("Odile", "auditor")
    async with Browser(desk.console) as odile:
        await odile.log_in("Odile")
        page = await odile.get(f"/atelier/messages/{event}")
        assert page.status == 200
        assert "Votre rôle permet de lire" in page.page
        answer = await odile.post(f"/atelier/messages/{event}/decider", csrf=page.hidden("csrf"), sens="rien")
        assert answer.status == 403


async def test_what_is_withdrawn_blocked_or_spam_disappears(desk: Desk, ines: Browser) -> None:
    from bot.core.messages import Unsend

    await desk.console.says("w", WORDS, mid="m_w")
    found = (await desk.console.rows("SELECT id, conversation_id FROM events WHERE mid = 'm_w'"))[0]
    now = desk.console.clock.now()
    understanding = Understanding("plainte_comment", 0.4, (("plainte_comment", 0.4),))
    async with desk.console.database.begin() as connection:
        reading = NewReading((found.id,), now, WORDS, understanding, "answer")
        await keep(connection, desk.console.codec, [reading], now)
    assert "cabossé" in (await ines.get("/atelier")).page
    await desk.console.event("w", Unsend("m_w"))
    assert await desk.console.rows("SELECT 1 FROM readings") == []
    blocked = await desk.read("message de quelqu’un que l’on bloque ensuite", person="b")
    spam = await desk.read("promotion incroyable sur les montres de luxe", person="s")
    conversations = {
        row.event_id: row.conversation_id
        for row in await desk.console.rows("SELECT event_id, conversation_id FROM readings")
    }
    await desk.console.user("Claire")
    await desk.console.execute(
        "INSERT INTO blocks (conversation_id, at, user_id, reason) VALUES (:id, now(), :user, 'insultes')",
        id=conversations[blocked],
        user=desk.console.users["Claire"].id,
    )
    await desk.console.hand_off(conversations[spam])
    await desk.console.execute(
        "UPDATE handoffs SET outcome = 'spam', closed_at = :now WHERE conversation_id = :id",
        now=now,
        id=conversations[spam],
    )
    page = (await ines.get("/atelier")).page
    assert "bloque ensuite" not in page
    assert "montres de luxe" not in page
    assert (await ines.get(f"/atelier/messages/{blocked}")).status == 404


async def test_the_page_says_why_and_without_an_engine_that_it_cannot(desk: Desk, ines: Browser) -> None:
    event = await desk.read("je veux porter plainte contre lui mais pas ici", confidence=0.5)
    page = (await ines.get(f"/atelier/messages/{event}")).page
    assert re.search(r'class="piece for[^>]*><bdi>plainte</bdi>', page)
    assert 'data-testid="inbox-near"' in page
    desk.engine.down = True
    page = (await ines.get(f"/atelier/messages/{event}")).page
    assert "Le moteur ne répond pas" in page


async def test_looking_is_recorded_without_words(desk: Desk, ines: Browser) -> None:
    event = await desk.read(WORDS)
    for _ in range(2):
        await ines.get("/atelier")
        await ines.get(f"/atelier/messages/{event}")
    rows = await desk.console.rows(
        "SELECT detail, conversations FROM audit WHERE action = 'reading_viewed' ORDER BY id"
    )
    assert [row.detail for row in rows] == [{}, {"event": event}]
    assert all(row.conversations for row in rows)


async def test_a_broken_file_is_said_and_nothing_is_decided(desk: Desk, ines: Browser) -> None:
    event = await desk.read(WORDS)
    sound = await ines.get(f"/atelier/messages/{event}")
    whole = desk.project.read(NLU)
    desk.project.write(NLU, whole.replace("- intent: contravention", "- intent: [contravention", 1))
    try:
        page = await ines.get(f"/atelier/messages/{event}")
        assert page.status == 503
        assert "ligne" in page.page
        answer = await ines.post(
            f"/atelier/messages/{event}/decider",
            csrf=sound.hidden("csrf"),
            sens="intention:plainte_comment",
            exemple=WORDS,
            ajouter="1",
        )
        assert answer.status == 422
        assert await desk.console.rows("SELECT 1 FROM reading_decisions") == []
    finally:
        desk.project.write(NLU, whole)


async def test_without_a_project_the_page_says_so(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock
) -> None:
    async with running_console(database, database_url, codec, frozen_clock, FrozenClock(frozen_clock.now())) as console:
        await console.user("Inès", "trainer")
        async with Browser(console) as ines:
            await ines.log_in("Inès")
            page = await ines.get("/atelier")
            assert page.status == 503
            assert "n’est pas sur cette machine" in page.page
