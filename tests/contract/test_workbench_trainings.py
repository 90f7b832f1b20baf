"""Trainings over HTTP and real PostgreSQL: asked for once, followed, stopped, failed in French, compared; leases that run out."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.core.clock import FrozenClock
from bot.store.codec import Codec
from bot.store.db import TRAINER, Database, Listener
from bot.store.workbench.runs import LEASE, Runs, Step
from bot.trainer.comparison import Comparison
from bot.trainer.conduct import Outcome
from bot.trainer.errors import TrainerError
from bot.trainer.project import Project
from bot.trainer.runs import Trainings, comparison_of
from tests.conftest import of_part
from tests.fakes.console import Answer, Browser, RunningConsole, running_console
from tests.fakes.project import copied
from tests.fakes.training import CANDIDATE, CURRENT, Scripted, compared

PATH = "/atelier/essais"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Files that nobody changes here."""
    return copied(tmp_path_factory.mktemp("trainings") / "project", small=True)


@pytest.fixture
async def role(console: RunningConsole, project: Project, database_url: str) -> AsyncIterator[Role]:
    """The role `trainer`, by hand."""
    listener = Listener(database_url, (TRAINER,))
    listener.start()
    yield Role(console, project, listener)
    await listener.close()


class Role:
    """Takes one training at a time, as the test tells."""

    def __init__(self, console: RunningConsole, project: Project, listener: Listener) -> None:
        self._console, self._project, self._listener = console, project, listener

    async def take(self, scripted: Scripted) -> bool:
        """One training, if one waits."""
        console = self._console
        return await Trainings(
            self._project, of_part(console.database, "trainer"), console.codec, self._listener, console.clock, scripted
        ).take()


async def ask(browser: Browser) -> int:
    """Press « Entraîner »; the number of the training."""
    answer = await browser.post(f"{PATH}/lancer", csrf=(await browser.get(PATH)).hidden("csrf"))
    assert answer.status == 303
    return int(answer.headers["Location"].rpartition("/")[2])


def text(answer: Answer) -> str:
    """What is read."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.page)).replace("\u202f", " ")


async def test_what_is_waited_for_is_known_when_old_candidates_are_forgotten(
    trainer: Browser, console: RunningConsole, role: Role
) -> None:
    await ask(trainer)
    scripted = Scripted()
    assert await role.take(scripted)
    (order,) = scripted.orders
    assert await asyncio.to_thread(order.waiting) == frozenset()
    for state, model in (("open", "a"), ("withdrawn", "b")):
        await console.execute(
            "INSERT INTO proposals (model, previous, user_id, message, touches, asked_at, state, decided_by) "
            f"SELECT '{model}', 'z', max(id), '', '{{}}', now(), '{state}', "
            f"CASE '{state}' WHEN 'open' THEN NULL ELSE max(id) END FROM users"
        )
    await console.execute(
        "INSERT INTO publications (kind, model, previous, user_id, author, message, asked_at) "
        "SELECT 'publish', 'c', 'z', max(id), '', '', now() FROM users"
    )
    assert await asyncio.to_thread(order.waiting) == {"a", "c"}


async def test_one_that_waits_stands_for_all(trainer: Browser, console: RunningConsole, role: Role) -> None:
    assert "Aucun essai" in text(await trainer.get(PATH))
    number = await ask(trainer)
    assert await ask(trainer) == number
    assert "En attente" in text(await trainer.get(f"{PATH}/{number}"))
    scripted = Scripted()
    assert await role.take(scripted)
    assert not await role.take(scripted)
    assert await ask(trainer) == number + 1
    actions = [entry[0] for entry in await console.audit()]
    assert actions.count("training_asked") == 2


async def test_the_comparison_is_read_side_by_side(trainer: Browser, console: RunningConsole, role: Role) -> None:
    number = await ask(trainer)
    await role.take(Scripted())
    page = await trainer.get(f"{PATH}/{number}")
    said = text(page)
    assert "recul" in said  # nine dangers are missed: no chance
    assert "9 pertes" in said
    assert "aucun message confirmé ce dernier mois" in said
    assert page.page.count('data-testid="training-judgement"') == 9  # the losses are shown first
    assert page.page.count('class="judgement loss"') == 9 + 12  # and the catalogue's answers that are lost
    assert "<svg" in page.page
    assert 'data-testid="training-matrix"' in page.page
    assert 'data-testid="training-reliability"' in page.page

    noise = await trainer.get(f"{PATH}/{number}?jeu=intents")
    assert "C’est du bruit" in text(noise)
    one = await trainer.get(f"{PATH}/{number}?jeu=intents&voir=gains")
    gains = int(re.search(r"Gains <span class=\"count\">(\d+)", one.page)[1])  # type: ignore[index]
    assert 0 < gains == one.page.count('data-testid="training-judgement"')
    intent = re.search(r'<option value="(recrutement_\w+)"', one.page)[1]  # type: ignore[index]
    only = await trainer.get(f"{PATH}/{number}?jeu=intents&voir=tous&intention={intent}")
    wanted = re.findall(r"<dt>Annoté</dt><dd><code>(\w+)</code>", only.page)
    assert wanted
    assert set(wanted) == {intent}
    folds = text(await trainer.get(f"{PATH}/{number}?jeu=folds"))
    assert "autres sont justes des deux côtés" in folds
    odd = await trainer.get(f"{PATH}/{number}?jeu=rien&voir=rien&intention=%3Cb%3E&de=99999999")
    assert odd.status == 200
    kept = await comparison_of(console.database, CANDIDATE)
    assert isinstance(kept, Comparison)
    assert kept.current == CURRENT
    assert len(kept.set("emergency").lost_emergencies) == 9


async def test_the_catalogue_s_answers_are_read_side_by_side(trainer: Browser, role: Role) -> None:
    number = await ask(trainer)
    await role.take(Scripted())
    page = await trainer.get(f"{PATH}/{number}")
    said = text(page).replace("&nbsp;", " ").replace("\xa0", " ")
    assert "Messages 100 Réponse exacte 60,0 % 49,0 % − 11,0 pt" in said
    assert "Messages 100 Réponse à une autre question 0,0 % 12,0 % + 12,0 pt" in said
    assert "Messages : moins bien, 12" in said
    assert page.page.count('data-testid="training-answer-topics"') == 2
    assert "Procuration 100 60,0 % → 49,0 % 100,0 % → 88,0 % 0,0 % → 12,0 %" in said
    assert "Sans question du catalogue 1 " in said  # a turn
    assert "Messages : mieux, 1" in said
    assert page.page.count('data-testid="training-answer-loss"') == 12
    assert page.page.count('data-testid="training-answer-gain"') == 1
    assert "Faire sa procuration en ligne ?" in said
    assert "la réponse à une autre question : Une procuration depuis l’étranger ?" in said


async def test_a_comparison_without_sets_of_answers_has_no_such_part(trainer: Browser, role: Role) -> None:
    number = await ask(trainer)
    await role.take(Scripted(Outcome(CANDIDATE, CURRENT, replace(compared(), answers=()))))
    page = await trainer.get(f"{PATH}/{number}")
    assert 'data-testid="training-summary"' in page.page
    assert 'data-testid="training-answers"' not in page.page


async def test_confirmed_messages_are_measured_and_never_written(
    trainer: Browser, console: RunningConsole, role: Role, frozen_clock: FrozenClock
) -> None:
    words = "mon saxophone mauve a disparu à la gare"
    event = await console.says("4001", words)
    sealed = console.codec.seal(words.encode(), "readings.words")
    await console.execute(
        """WITH d AS (
               INSERT INTO reading_decisions (at, user_id, kind, intent, messages)
               SELECT :now, id, 'chosen', 'autre_procedure', 1 FROM users LIMIT 1 RETURNING id)
           INSERT INTO readings (event_id, conversation_id, platform, at, read_at, words, ranking, confidence, danger, clarified,
               model, unknown, reasons, weight, group_id, decision_id)
           SELECT e.id, e.conversation_id, e.platform, :now, :now, :words, '[]', 0.4, 0, false, '', 0, '{}', 1, e.id, d.id
           FROM events e, d WHERE e.id = :event
           ON CONFLICT (event_id) DO UPDATE SET decision_id = EXCLUDED.decision_id, words = EXCLUDED.words""",
        now=frozen_clock.now(), words=sealed, event=event,
    )  # fmt: skip
    number = await ask(trainer)
    scripted = Scripted()
    await role.take(scripted)
    (order,) = scripted.orders
    assert [(case.text, case.intent, case.route) for case in order.confirmed] == [(words, "autre_procedure", "answer")]
    page = await trainer.get(f"{PATH}/{number}?jeu=confirmed&voir=tous")
    assert f'href="/atelier/messages/{event}"' in page.page
    assert "saxophone" not in page.page
    kept = await console.rows("SELECT result::text AS kept FROM trainings WHERE id = :id", id=number)
    assert "saxophone" not in kept[0].kept
    assert f'"event": {event}' in kept[0].kept


async def test_what_failed_is_told_with_its_remedy(trainer: Browser, role: Role) -> None:
    number = await ask(trainer)
    wrong = TrainerError("data/nlu.yml, ligne 12, colonne 3 : ce n’est pas du YAML correct.", "Vérifiez les retraits.")
    await role.take(Scripted(raises=wrong))
    said = text(await trainer.get(f"{PATH}/{number}"))
    assert "data/nlu.yml, ligne 12, colonne 3 : ce n’est pas du YAML correct. Vérifiez les retraits." in said
    assert "Le modèle en service n’a pas changé" in said
    number = await ask(trainer)
    await role.take(Scripted(raises=ZeroDivisionError("secret")))
    said = text(await trainer.get(f"{PATH}/{number}"))
    assert "une erreur de Planton (ZeroDivisionError)" in said
    assert "secret" not in said


async def test_nothing_changed_is_said(trainer: Browser, role: Role) -> None:
    number = await ask(trainer)
    await role.take(Scripted(outcome=Outcome(CURRENT, CURRENT, None, {})))
    assert "Il n’y avait rien à apprendre" in text(await trainer.get(f"{PATH}/{number}"))


async def test_a_training_is_stopped_at_once(trainer: Browser, role: Role) -> None:
    number = await ask(trainer)
    scripted = Scripted(hold=threading.Event())
    doing = asyncio.create_task(role.take(scripted))
    await asyncio.to_thread(scripted.begun.wait)
    while "Apprentissage des intentions" not in (page := text(await trainer.get(f"{PATH}/{number}"))):
        await asyncio.sleep(0.02)
    assert "encore environ" in page
    csrf = (await trainer.get(PATH)).hidden("csrf")
    assert (await trainer.post(f"{PATH}/{number}/arreter", csrf=csrf)).status == 303
    assert await doing
    assert "Cet essai a été arrêté" in text(await trainer.get(f"{PATH}/{number}"))
    waiting = await ask(trainer)
    await trainer.post(f"{PATH}/{waiting}/arreter", csrf=csrf)
    assert not await role.take(Scripted())


async def test_a_killed_process_lets_go_and_it_is_begun_anew_once(
    trainer: Browser, console: RunningConsole, role: Role, frozen_clock: FrozenClock
) -> None:
    number = await ask(trainer)
    runs = Runs(console.database)
    for attempt in (1, 2):
        taken = await runs.claim(frozen_clock.now())
        assert taken is not None
        assert taken.attempts == attempt
        assert await runs.claim(frozen_clock.now()) is None  # nobody else has it meanwhile
        frozen_clock.advance(seconds=LEASE.total_seconds() + 1)
    late = Step("training", "learning", 0.5, {})
    assert await runs.claim(frozen_clock.now()) is None
    assert not await runs.beat(taken, frozen_clock.now(), late, tell=False)
    assert "interrompu deux fois" in text(await trainer.get(f"{PATH}/{number}"))


async def test_an_orderly_end_costs_no_try(
    trainer: Browser, console: RunningConsole, role: Role, frozen_clock: FrozenClock
) -> None:
    number = await ask(trainer)
    scripted = Scripted(hold=threading.Event())
    doing = asyncio.create_task(role.take(scripted))
    await asyncio.to_thread(scripted.begun.wait)
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    again = await Runs(console.database).claim(frozen_clock.now())
    assert again is not None
    assert (again.id, again.attempts) == (number, 1)


async def test_who_only_looks_may_not_train(console: RunningConsole, trainer: Browser, project: Path) -> None:
    await console.user("Odile", "auditor")
    async with Browser(console) as odile:
        await odile.log_in("Odile")
        page = await odile.get(PATH)
        assert page.status == 200
        assert 'data-testid="training-ask"' not in page.page
        assert (await odile.post(f"{PATH}/lancer", csrf=page.hidden("csrf"))).status == 403


async def test_without_the_folder_the_page_says_so(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock
) -> None:
    async with running_console(database, database_url, codec, frozen_clock, wall) as running:
        await running.user("Inès", "trainer")
        async with Browser(running) as browser:
            await browser.log_in("Inès")
            answer = await browser.get(PATH)
            assert answer.status == 503
            assert "pas sur cette machine" in text(answer)
