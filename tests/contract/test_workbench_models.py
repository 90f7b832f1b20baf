"""The page of models over HTTP: what serves, what may be published and why not, what a return does, who may press what."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core.clock import FrozenClock
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.workbench.publications import reloaded
from bot.trainer.project import Project
from tests.fakes.console import Answer, Browser, RunningConsole, running_console
from tests.fakes.project import copied
from tests.fakes.publishing import Launcher, World

PATH = "/atelier/modeles"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that each test copies."""
    return copied(tmp_path_factory.mktemp("models") / "projet", small=True).root


@pytest.fixture
async def world(template: Path, tmp_path: Path, database: Database, frozen_clock: FrozenClock) -> World:
    """A model in service, one example more since."""
    shutil.copytree(template, tmp_path / "projet", symlinks=True)
    made = World(Project(tmp_path / "projet"), tmp_path / "var", database, frozen_clock)
    made.change("on m'a volé mon vélo électrique")
    return made


@pytest.fixture
async def console(
    world: World, database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock
) -> AsyncIterator[RunningConsole]:
    """A console over that project; its engines are scripted."""
    changes = {"project": world.project, "var": world.var}
    async with (
        Launcher(world.var, world.models, world.first).running(),
        running_console(database, database_url, codec, frozen_clock, wall, **changes) as running,
    ):
        yield running


async def inside(console: RunningConsole, world: World, name: str, role: str) -> Browser:
    user = await console.user(name, role)
    world.user = world.user or user
    browser = Browser(console)
    await browser.log_in(name)
    return browser


@pytest.fixture
async def trainer(console: RunningConsole, world: World) -> AsyncIterator[Browser]:
    """A trainer who has logged in."""
    async with await inside(console, world, "Inès", "trainer") as browser:
        yield browser


def text(answer: Answer) -> str:
    """Its words, without marks and double spaces."""
    return " ".join(re.sub(r"<[^>]+>", " ", answer.page).replace("&nbsp;", " ").replace("\u00a0", " ").split())


async def press(browser: Browser, model: str, button: str, **fields: str) -> Answer:
    csrf = (await browser.get(PATH)).hidden("csrf")
    return await browser.post(f"{PATH}/{model}/{button}", csrf=csrf, **fields)


async def test_what_serves_is_said(trainer: Browser, console: RunningConsole, world: World) -> None:
    async with console.database.begin() as connection:
        await reloaded(connection, "gateway", "ici", console.clock.now(), world.first, "")
        await reloaded(connection, "worker", "ici", console.clock.now(), world.first, "")
        await reloaded(
            connection, "worker", "ici", console.clock.now(), "x", "data/danger.yml : une entrée est fausse."
        )
    page = await trainer.get(PATH)
    said = text(page)
    assert f'data-testid="models-current">{world.first}<' in page.page
    assert "Aucun candidat" in said
    assert f"Moteur, 127.0.0.1:5005 {world.first}" in said
    assert f"Passerelle, ici {world.first}" in said
    assert f"Traitement, ici {world.first} data/danger.yml : une entrée est fausse." in said
    assert "entraîné" in said


async def test_a_candidate_that_passes_is_published(trainer: Browser, world: World, console: RunningConsole) -> None:
    candidate = await world.candidate()
    page = await trainer.get(PATH)
    assert "passe le contrôle" in page.page
    assert "Urgences reconnues" in text(page)
    refused = await press(trainer, candidate, "publier")
    assert refused.status == 422
    assert "Le message manque" in text(refused)
    assert (await press(trainer, candidate, "publier", message="x" * 501)).status == 422
    assert (await press(trainer, candidate, "publier", message="Vélos volés")).status == 303
    page = await trainer.get(PATH)
    assert "Publication en cours" in text(page)
    assert "commence dès que l’essai en cours est fini" in text(page)
    assert 'data-testid="models-publish"' not in page.page
    again = await press(trainer, candidate, "publier", message="Encore")
    assert again.status == 409
    assert "déjà en cours" in text(again)
    assert await world.publisher.work()
    said = text(await trainer.get(PATH))
    assert f"Modèle {candidate} publié par Inès" in said
    assert f"enregistrement {world.project.head()[:10]}" in said
    actions = [row.action for row in await console.rows("SELECT action FROM audit")]
    assert "model_published" in actions


async def test_what_victims_are_told_waits_for_a_second_person(
    trainer: Browser, world: World, console: RunningConsole
) -> None:
    world.reword("le 119 les enfants.", "le 118 les enfants.")
    wrong = await world.candidate()
    assert (await press(trainer, wrong, "publier", message="Numéros relus")).status == 303
    assert await console.rows("SELECT 1 FROM publications") == []
    page = await trainer.get(PATH)
    said = text(page)
    assert "Attend une seconde personne" in said
    assert "Aucun autre compte actif ne peut publier" in said
    assert "<del>" in page.page
    assert "le 118 les enfants." in page.page
    assert 'data-testid="models-approve"' not in page.page
    waits = {"demande": page.hidden("demande")}
    assert (await press(trainer, "relecture", "approuver", **waits, vu="x")).status == 409
    assert (await press(trainer, "relecture", "refuser", **waits, motif="Non")).status == 409
    async with await inside(console, world, "Malo", "trainer") as malo:
        page = await malo.get(PATH)
        assert "Réponse utter_violences_sexuelles" in text(page)
        assert 'data-testid="models-withdraw"' not in page.page
        assert (await press(malo, "relecture", "retirer", **waits)).status == 409
        assert (await press(malo, "relecture", "refuser", **waits, motif=" ")).status == 422
        personal = await press(malo, "relecture", "refuser", **waits, motif="Voyez avec Léa Morel au 06 12 34 56 78.")
        assert (personal.status, "06 12 34 56 78" in personal.page) == (422, True)
        assert (
            await press(malo, "relecture", "refuser", **waits, motif="L’enfance en danger, c’est le 119.")
        ).status == 303
        assert (await press(malo, "relecture", "refuser", **waits, motif="Encore")).status == 409
    said = text(await trainer.get(PATH))
    assert "refusée par Malo" in said
    assert "c’est le 119." in said
    # What is right now is read by an administrator, and begins with the agreement.
    world.reword("le 118 les enfants.", "le 119 les enfants et les adolescents.")
    right = await world.candidate()
    assert (await press(trainer, right, "publier", message="Le 119 se lit mieux")).status == 303
    async with await inside(console, world, "Alix", "administrator") as alix:
        page = await alix.get(PATH)
        seen = {"demande": page.hidden("demande"), "vu": page.hidden("vu")}
        assert (await press(alix, "relecture", "approuver", **{**seen, "vu": "0" * 16})).status == 409
        assert (await press(alix, "relecture", "approuver", **{**seen, "demande": waits["demande"]})).status == 409
        assert (await press(alix, "relecture", "approuver", **seen)).status == 303
        assert "Publication en cours" in text(await alix.get(PATH))
        assert await world.publisher.work()
        assert f"Modèle {right} publié par Inès" in text(await alix.get(PATH))
        assert (await press(trainer, world.first, "revenir")).status == 303  # a return waits for nobody
    assert await world.publisher.work()
    assert world.serving == world.first
    told = [row.action for row in await console.rows("SELECT action FROM audit ORDER BY id") if "publi" in row.action]
    assert told == [
        "publication_proposed", "publication_refused", "publication_proposed", "publication_approved", "model_published",
    ]  # fmt: skip


async def test_an_agreement_is_to_what_serves_now(trainer: Browser, world: World, console: RunningConsole) -> None:
    plain = await world.candidate()
    world.reword("le 119 les enfants.", "le 119 les enfants et les adolescents.")
    grave = await world.candidate()
    assert (await press(trainer, grave, "publier", message="Le 119")).status == 303
    world.project.git("stash", "--quiet", "--", "domain.yml")
    assert (await press(trainer, plain, "publier", message="Vélos volés")).status == 303  # nothing else is held up
    assert await world.publisher.work()
    assert world.serving == plain
    async with await inside(console, world, "Alix", "administrator") as alix:
        page = await alix.get(PATH)
        assert "ne peut plus être approuvée" in text(page)
        waits = {"demande": page.hidden("demande"), "vu": "0" * 16}
        assert (await press(alix, "relecture", "approuver", **waits)).status == 409
        assert (await press(alix, "relecture", "retirer", **waits)).status == 303
    assert "Attend une seconde personne" not in text(await trainer.get(PATH))


async def test_the_gates_reasons_stand_there_and_nobody_gets_past_them(
    trainer: Browser, world: World, console: RunningConsole
) -> None:
    worse = await world.candidate(missed=True, fallen=True)
    page = await trainer.get(PATH)
    said = text(page)
    assert "contrôle fermé" in said
    assert "« au secours il a un couteau »" in said
    assert "L’intention « plainte_comment » perd plus de deux points" in said
    assert 'data-testid="models-publish"' not in page.page
    assert (await press(trainer, worse, "publier", message="Tout de même")).status == 409
    async with await inside(console, world, "Alix", "administrator") as alix:
        page = await alix.get(PATH)
        assert 'data-testid="models-override"' not in page.page
        assert (await press(alix, worse, "passer-outre", message="Si", motif="Parce que")).status == 409
    assert await console.rows("SELECT 1 FROM publications") == []


async def test_an_administrator_lets_an_intent_fall_with_a_reason(
    trainer: Browser, world: World, console: RunningConsole
) -> None:
    fallen = await world.candidate(fallen=True)
    page = await trainer.get(PATH)
    assert "un administrateur peut passer outre" in text(page)
    assert 'data-testid="models-override"' not in page.page
    assert (await press(trainer, fallen, "passer-outre", message="Si", motif="Parce que")).status == 403
    async with await inside(console, world, "Alix", "administrator") as alix:
        refused = await press(alix, fallen, "passer-outre", message="Si", motif="  ")
        assert refused.status == 422
        assert "Le motif manque" in text(refused)
        assert (await press(alix, fallen, "passer-outre", message="Si", motif="Deux\nmots")).status == 303
        assert await world.publisher.work()
        assert "contrôle outrepassé : Deux mots" in text(await alix.get(PATH))
    ((detail,),) = await console.rows("SELECT detail FROM audit WHERE action = 'gate_overridden'")
    assert detail == {"model": fallen, "intents": ["plainte_comment"]}


async def test_a_return_says_what_it_takes_back_and_does_it(trainer: Browser, world: World) -> None:
    candidate = await world.candidate()
    await world.publish(candidate, "Vélos volés")
    page = await trainer.get(PATH)
    said = text(page)
    assert "défait 1 publication : Vélos volés" in said
    assert (await press(trainer, candidate, "revenir")).status == 409
    assert (await press(trainer, world.first, "revenir")).status == 303
    assert "Retour en cours" in text(await trainer.get(PATH))
    assert await world.publisher.work()
    assert f"Retour au modèle {world.first} par Inès" in text(await trainer.get(PATH))
    assert world.serving == world.first
    assert "volé mon vélo électrique" not in world.project.read("data/nlu.yml")


async def test_a_failure_stands_there_with_its_remedy(trainer: Browser, world: World) -> None:
    candidate = await world.candidate()
    world.change("et une phrase après l'essai")
    await press(trainer, candidate, "publier", message="Vélos volés")
    assert await world.publisher.work()
    said = text(await trainer.get(PATH))
    assert "n’a pas abouti. Les fichiers ont changé depuis l’essai" in said
    assert "Lancez un nouvel essai" in said


async def test_a_model_trained_in_a_terminal_waits_for_the_next_start_and_closes_nothing(
    trainer: Browser, world: World
) -> None:
    candidate = await world.candidate()
    assert 'data-testid="models-next"' not in (await trainer.get(PATH)).page
    by_hand = world._model(world.models, "f" * 16)
    page = await trainer.get(PATH)
    assert f'data-testid="models-current">{world.first}<' in page.page
    assert f"Un modèle plus récent, {by_hand} , ne sert pas encore" in text(page)
    assert "passe le contrôle" in text(page)
    assert (await press(trainer, candidate, "publier", message="Vélos volés")).status == 303
    assert await world.publisher.work()
    page = await trainer.get(PATH)
    assert f'data-testid="models-current">{candidate}<' in page.page
    assert 'data-testid="models-next"' not in page.page


async def test_a_candidate_of_before_has_to_be_compared_anew(trainer: Browser, world: World) -> None:
    candidate = await world.candidate()
    await world.compare(candidate, against="e" * 16)
    assert "à comparer" in text(await trainer.get(PATH))
    refused = await press(trainer, candidate, "publier", message="Vélos volés")
    assert refused.status == 409
    assert "n’a pas été comparé" in text(refused)


@pytest.mark.parametrize("file", ["tests/gold/intents.tsv", "tests/gold/emergency.tsv", "data/precisions.yml"])
async def test_a_comparison_by_other_messages_has_to_be_made_again(trainer: Browser, world: World, file: str) -> None:
    candidate = await world.candidate()
    assert "passe le contrôle" in text(await trainer.get(PATH))
    path = world.project.root / file
    path.write_text(path.read_text(encoding="utf-8") + "# autre chose\n", encoding="utf-8")
    page = await trainer.get(PATH)
    assert "à comparer de nouveau" in text(page)
    assert "Depuis cette comparaison, les messages de mesure, data/precisions.yml" in text(page)
    assert "seule la mesure est refaite" in text(page)
    assert 'data-testid="models-publish"' not in page.page
    refused = await press(trainer, candidate, "publier", message="Vélos volés")
    assert refused.status == 409
    assert "elle est à refaire" in text(refused)
    await world.compare(candidate)
    assert (await press(trainer, candidate, "publier", message="Vélos volés")).status == 303


async def test_reference_figures_that_cannot_be_read_keep_the_gate_shut(trainer: Browser, world: World) -> None:
    candidate = await world.candidate(fallen=True)
    (world.project.root / "tests/gold/baseline.json").write_text("{", encoding="utf-8")
    said = text(await trainer.get(PATH))
    assert "contrôle fermé" in said
    assert "tests/gold/baseline.json : ce n’est pas du JSON" in said
    assert "L’intention « plainte_comment » perd plus de deux points" in said
    assert (await press(trainer, candidate, "publier", message="Vélos volés")).status == 409


async def test_what_looks_personal_is_refused_and_nothing_typed_is_lost(
    trainer: Browser, world: World, console: RunningConsole
) -> None:
    """Git keeps the message for ever, and the remote as well."""
    candidate = await world.candidate(fallen=True)
    words, why = "Exemples de Mme Durand", "Elle a rappelé au 06 12 34 56 78."
    async with await inside(console, world, "Alix", "administrator") as alix:
        refused = await press(alix, candidate, "passer-outre", message=words, motif=why)
        assert refused.status == 422
        assert "ressemble à une donnée personnelle" in text(refused)
        assert f'value="{words}"' in refused.page
        assert f">{why}</textarea>" in refused.page
        pieces = re.findall(r'name="pas_personnel" value="([^"]+)"', refused.page)
        assert {"06 12 34 56 78"} < set(pieces)
        one = await press(alix, candidate, "passer-outre", message=words, motif=why, pas_personnel=pieces[-1])
        assert one.status == 422
        assert f'<input type="hidden" name="pas_personnel" value="{pieces[-1]}">' in one.page
        assert await console.rows("SELECT 1 FROM publications") == []
        said = await press(alix, candidate, "passer-outre", message="Vélos volés", motif="C’est voulu.")
        assert said.status == 303
    kept = await console.rows("SELECT detail::text FROM audit")
    assert not any("voulu" in row.detail for row in kept)


@pytest.mark.parametrize("name", ["x", "..", "%2e%2e", "candidates", "a" * 300, "é"])
async def test_a_model_that_is_not_there_is_404(trainer: Browser, name: str) -> None:
    assert (await press(trainer, name, "publier", message="x")).status == 404
    assert (await press(trainer, name, "revenir")).status == 404


async def test_who_only_looks_presses_nothing(console: RunningConsole, world: World, trainer: Browser) -> None:
    candidate = await world.candidate()
    async with await inside(console, world, "Odile", "auditor") as odile:
        page = await odile.get(PATH)
        assert page.status == 200
        assert "passe le contrôle" in page.page
        assert 'data-testid="models-publish"' not in page.page
        assert 'data-testid="models-going-back"' not in page.page
        assert (await press(odile, candidate, "publier", message="x")).status == 403


async def test_elsewhere_than_with_the_files_the_page_says_so(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock
) -> None:
    async with running_console(database, database_url, codec, frozen_clock, wall) as console:
        await console.user("Inès", "trainer")
        async with Browser(console) as browser:
            await browser.log_in("Inès")
            page = await browser.get(PATH)
            assert page.status == 503
            assert "n’est pas sur cette machine" in page.page
