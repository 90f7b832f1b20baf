"""The catalogue over HTTP, real files and git: listed, sought, edited, taught, moved, created, split, joined, undone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from html import unescape
from pathlib import Path

import pytest

from bot.console import workbench_catalogue_words as says
from bot.console.question_counts import QuestionCount
from bot.core.catalogue import Question, read
from bot.core.clock import FrozenClock
from bot.store.codec import Codec
from bot.store.db import Database
from bot.trainer.project import Project
from tests.contract.test_workbench_examples import inside, plain
from tests.fakes.answered import CATALOGUE, FILE, with_answers
from tests.fakes.checked import clean
from tests.fakes.console import Answer, Browser, RunningConsole, running_console
from tests.fakes.project import AUTHOR
from tests.fakes.refusing import commits_refused

PATH = "/atelier/catalogue"
CAT, BITE = "animaux/chat_perdu", "animaux/morsure"
SOURCE = "https://www.service-public.gouv.fr/particuliers/vosdroits/F1"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small project with two questions."""
    return with_answers(clean(tmp_path / "project"))


@pytest.fixture
async def trainer(console: RunningConsole) -> AsyncIterator[Browser]:
    """Inès, a trainer."""
    async with await inside(console, "Inès") as browser:
        yield browser


def diff(project: Project) -> list[str]:
    """The changed lines of the catalogue."""
    told = project.git("diff", "-U0", "--", "data/answers").split("\n")
    return [line for line in told if line and line[0] in "+-" and line[:3] not in ("+++", "---")]


def question(project: Project, id_: str = CAT) -> Question:
    return read(project.root).questions[id_]


def fields(answer: Answer, form: str = 'id="reponse"') -> dict[str, str]:
    """A form as a browser would send it, its buttons aside."""
    part = answer.page.split(form)[1].split("</form>")[0]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", part):
        held = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if held.get("type") != "checkbox" or " checked" in tag:
            found[held.get("name", "")] = held.get("value", "")
    found |= dict(re.findall(r'<textarea[^>]* name="([\w-]+)"[^>]*>\n?(.*?)</textarea>', part, re.DOTALL))
    found.pop("", None)
    return {name: unescape(value) for name, value in found.items()}


async def send(browser: Browser, path: str, **given: str) -> Answer:
    """A form, and the page that it leads to."""
    csrf = given.pop("csrf", "") or (await browser.get(PATH)).hidden("csrf")
    answer = await browser.post(path, csrf=csrf, **given)
    return await browser.get(answer.headers["location"]) if answer.status == 303 else answer


async def save(browser: Browser, id_: str = CAT, **changes: str) -> Answer:
    """The answer's form with some fields changed."""
    given = fields(await browser.get(f"{PATH}/{id_}")) | {"geste": "enregistrer"} | changes
    return await send(browser, f"{PATH}/{id_}", **given)


async def test_the_topics_and_what_is_sought(trainer: Browser, project: Project) -> None:
    page = plain(await trainer.get(PATH))
    assert "animaux" in page.casefold()
    listed = await trainer.get(f"{PATH}?theme=animaux")
    assert listed.page.count('data-testid="catalogue-row"') == 2
    assert "8 exemples" in plain(listed)
    assert "copie du 26/03/2024" in plain(listed)
    led = await trainer.post(PATH, csrf=listed.hidden("csrf"), q="FALAISE mordue", theme="animaux")
    assert "falaise" not in led.headers["location"].lower()
    found = await trainer.get(led.headers["location"])
    assert found.page.count('data-testid="catalogue-row"') == 1
    assert BITE in found.page
    assert (await trainer.get(f"{PATH}?filtre=a-relire")).page.count('data-testid="catalogue-row"') == 0
    project.write(FILE, CATALOGUE.replace("review_by: '2027-11-01'", "review_by: '2020-11-01'", 1))
    late = plain(await trainer.get(f"{PATH}?filtre=a-relire"))
    assert "à relire depuis le 01/11/2020" in late
    for path in (
        f"{PATH}/animaux/rien",
        f"{PATH}/animaux/{'x' * 300}",
        f"{PATH}/a/b%2F..",
        f"{PATH}/animaux/rien/reunir",
    ):
        assert (await trainer.get(path)).status == 404


async def test_how_often_each_question_came(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, project: Project
) -> None:
    async def counted(since: datetime) -> Mapping[str, QuestionCount]:
        assert since < frozen_clock.now()
        return {CAT: QuestionCount(12, 5, 2), "animaux/parti": QuestionCount(9)}

    async with running_console(
        database, database_url, codec, frozen_clock, project=project, question_counts=counted
    ) as console:
        async with await inside(console, "Inès") as ines:
            assert "posée 12 fois" in plain(await ines.get(f"{PATH}?theme=animaux"))
            page = plain(await ines.get(f"{PATH}/{CAT}"))
        assert "posée 12 fois en trois mois, 5 pouces levés, 2 baissés" in page


async def test_an_answer_is_edited_recorded_and_undone(
    console: RunningConsole, trainer: Browser, project: Project
) -> None:
    assert "Rien n’avait changé" in plain(await save(trainer))
    assert diff(project) == []
    page = await save(trainer, titre="Chat égaré", lien="", **{"lien-titre": "", "texte-0": "Appelez la mairie.\r\n"})
    assert "prochaine publication" in plain(page)
    assert question(project).title == "Chat égaré"
    assert (question(project).link, question(project).related) == ("", (BITE,))
    assert len(diff(project)) == 7
    (row,) = await console.rows("SELECT names, undone_at FROM reply_changes")
    assert (row.names, row.undone_at) == ([CAT], None)
    changed = await trainer.get("/atelier/changements")
    assert f'href="{PATH}/{CAT}"' in changed.page
    assert "Inès" in plain(changed)
    number = page.hidden("changement")
    assert (await send(trainer, f"{PATH}/{BITE}/annuler", changement=number)).status == 404
    assert "annulée" in plain(await send(trainer, f"{PATH}/{CAT}/annuler", changement=number))
    assert diff(project) == []
    assert [action for action, _ in await console.audit()][-2:] == ["reply_changed", "reply_undone"]


async def test_the_rules_refuse_and_what_was_typed_stays(trainer: Browser, project: Project) -> None:
    page = await save(trainer, titre="Un titre qui ne tient pas", **{"texte-0": "Appelez le 06 11 22 55 66."})
    assert page.status == 422
    assert "numéro 06 11 22 55 66" in plain(page)
    assert "Un titre qui ne tient pas" in page.page
    assert (await save(trainer, relire="demain")).status == 422
    assert "Kevin Delattre" in plain(
        refused := await save(trainer, question="Où est le chat de Monsieur Kevin Delattre ?")
    )
    assert refused.status == 422
    assert diff(project) == []
    given = fields(await trainer.get(f"{PATH}/{CAT}")) | {"texte-0": "Voyez 3640."}
    looked = await trainer.post(f"{PATH}/{CAT}/apercu", **given)
    assert "Voyez 3640." in plain(looked)
    assert "question-error" in looked.page


def refusals(answer: Answer) -> list[str]:
    """What a refused form is told, point by point."""
    points = re.findall(r'<li data-testid="question-refused">(.*?)</li>', answer.page, re.DOTALL)
    return [re.sub(r"\s+", " ", unescape(point)) for point in points]


def told(points: list[str], *wanted: str) -> bool:
    """Whether each of these stands in a point of its own, and there are no others."""
    return len(points) == len(wanted) and all(sum(one in point for point in points) == 1 for one in wanted)


async def test_all_that_is_wrong_is_told_at_once(trainer: Browser, project: Project) -> None:
    wrong = {"titre": "Un titre qui ne tient pas", "relire": "demain", "texte-0": "Appelez le 06 11 22 55 66."}
    page = await save(trainer, question="Où est le chat de Monsieur Kevin Delattre ?", **wrong)
    assert page.status == 422
    rules = ("Le titre « Un titre qui ne tient pas » a 25 caractères", "06 11 22 55 66")
    assert told(refusals(page), "La date de relecture ne se lit pas", "une donnée personnelle", *rules)
    assert "pas_personnel" in page.page
    page = await send(trainer, f"{PATH}/nouvelle", **(NEW | wrong | {"nom": "Ma Durée", "source": "", "lien": ""}))
    assert page.status == 422
    assert told(
        refusals(page),
        "« Ma Durée » n’est pas le nom",
        "La date de relecture ne se lit pas",
        "Elle n’a pas de source",
        "« link » et « link_title » vont ensemble",
        *rules,
    )
    assert diff(project) == []
    assert not project.path("data/answers/procuration.yml").exists()


async def test_two_people_at_once(console: RunningConsole, trainer: Browser, project: Project) -> None:
    given = fields(await trainer.get(f"{PATH}/{CAT}")) | {"geste": "enregistrer", "texte-0": "Mon texte."}
    async with await inside(console, "Hugo") as hugo:
        await save(hugo, **{"texte-0": "Le texte de Hugo."})
    page = await send(trainer, f"{PATH}/{CAT}", **given)
    assert page.status == 409
    assert "Le texte de Hugo." in plain(page)
    assert "Mon texte." in page.page
    await send(trainer, f"{PATH}/{CAT}", **(fields(page) | {"geste": "enregistrer"}))
    assert question(project).answer.text == "Mon texte."


async def test_verified_today_by_whom(trainer: Browser, project: Project, frozen_clock: FrozenClock) -> None:
    page = await trainer.get(f"{PATH}/{CAT}")
    assert "vérifiée" in plain(await send(trainer, f"{PATH}/{CAT}/verifiee", vu=page.hidden("vu")))
    assert question(project).checked == frozen_clock.now().date()
    assert question(project).checked_by == "Inès"
    assert (await send(trainer, f"{PATH}/{CAT}/verifiee", vu=page.hidden("vu"))).status == 409


async def test_examples_come_change_move_and_go(trainer: Browser, project: Project) -> None:
    here = f"{PATH}/{CAT}/exemples"
    more = "- minou introuvable depuis le déménagement\r\nma chatte tigrée envolée\r\n"
    assert "Exemple ajouté" in plain(await send(trainer, here, geste="ajouter", texte=more))
    assert len(question(project).examples) == 10
    refused = await send(trainer, here, geste="ajouter", texte="le chat de Monsieur Kevin Delattre")
    assert refused.status == 422
    assert "pas_personnel" in refused.page
    assert (await send(trainer, here, geste="ajouter", texte="vote depuis garage")).status == 422  # of another intent
    key = says.key(CAT, "ma chatte tigrée envolée")
    opened = await trainer.get(f"{PATH}/{CAT}?modifier={key}")
    assert "ma chatte tigrée envolée</textarea>" in opened.page
    given = {"geste": "enregistrer", "cle": key, "texte": "ma chatte tigrée partie", "vers": CAT}
    await send(trainer, here, **given)
    assert "ma chatte tigrée partie" in question(project).examples
    assert (await send(trainer, here, **given)).status == 422  # it is not there any more
    key = says.key(CAT, "ma chatte tigrée partie")
    moved = await send(trainer, here, geste="enregistrer", cle=key, texte="ma chatte a mordu partie", vers=BITE)
    assert "déplacé" in plain(moved)
    assert "ma chatte a mordu partie" in question(project, BITE).examples
    undo = {"changement": moved.hidden("changement")}
    await send(trainer, f"{PATH}/{CAT}/annuler", **undo)
    assert "ma chatte tigrée partie" in question(project).examples
    await send(trainer, here, geste="retirer", cle=key)
    assert len(question(project).examples) == 9
    thin = await send(trainer, here, geste="retirer", cle=says.key(BITE, "rien"))
    assert thin.status == 422


NEW = {
    "theme": "procuration",
    "nom": "duree",
    "titre": "Durée",
    "question": "Combien de temps vaut une procuration ?",
    "texte-0": "Elle vaut jusqu’à la date que vous choisissez.",
    "source": f"{SOURCE}\r\n{SOURCE}2",
    "copie": "26/03/2024",
    "relire": "2027-11-01",
    "lien": SOURCE,
    "lien-titre": "La fiche",
    "voisine-0": CAT,
    "exemples": "\r\n".join(
        f"procuration valable {word}" for word in ["un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit"]
    ),
}


async def test_a_new_question_is_in_the_draft(trainer: Browser, project: Project) -> None:
    assert 'name="theme"' in (await trainer.get(f"{PATH}/nouvelle?theme=procuration")).page
    for wrong in (
        {"nom": "../x"},
        {"theme": ""},
        {"theme": "inconnu"},
        {"exemples": "un seul"},
        {"source": ""},
        {"relire": "x"},
    ):
        refused = await send(trainer, f"{PATH}/nouvelle", **(NEW | wrong))
        assert refused.status == 422, wrong
        assert "jusqu’à la date" in refused.page
    assert not project.path("data/answers/procuration.yml").exists()
    page = await send(trainer, f"{PATH}/nouvelle", **NEW)
    assert "Question créée" in plain(page)
    one = question(project, "procuration/duree")
    assert (one.title, len(one.examples), one.checked, len(one.source)) == ("Durée", 8, None, 2)
    assert one.related == (CAT,)
    assert "nouveau" in plain(await trainer.get("/atelier/changements"))
    assert (await send(trainer, f"{PATH}/nouvelle", **NEW)).status == 422
    await send(trainer, f"{PATH}/procuration/duree/annuler", changement=page.hidden("changement"))
    assert not project.path("data/answers/procuration.yml").exists()


async def test_split_and_joined(trainer: Browser, project: Project) -> None:
    form = await trainer.get(f"{PATH}/{CAT}/separer")
    given = fields(form, 'data-testid="question-splitting"')
    given |= {
        "nom": "chat_cave",
        "titre": "Chat à la cave",
        "question": "Où chercher, à la cave ?",
        "csrf": form.hidden("csrf"),
    }
    assert (await send(trainer, f"{PATH}/{CAT}/separer", **given)).status == 422  # nothing leaves
    given["part"] = says.key(CAT, "mon chat a disparu cave")
    assert (await send(trainer, f"{PATH}/{CAT}/separer", **given)).status == 422  # too few on both sides
    given["plus-ici"] = "minou introuvable depuis le déménagement"
    given["plus-la"] = "\r\n".join(
        f"souterrain {word}" for word in ["obscur", "humide", "profond", "voûté", "étroit", "inondé", "glacé"]
    )
    page = await send(trainer, f"{PATH}/{CAT}/separer", **given)
    assert "séparée" in plain(page)
    assert list(read(project.root).questions) == [CAT, "animaux/chat_cave", BITE]
    joined = await trainer.get(f"{PATH}/animaux/chat_cave/reunir")
    assert CAT in joined.page
    page = await send(trainer, f"{PATH}/animaux/chat_cave/reunir", vu=joined.hidden("vu"), avec=CAT)
    assert "réunies" in plain(page)
    assert list(read(project.root).questions) == [CAT, BITE]
    assert len(question(project).examples) == 16
    assert question(project).related == (BITE,)
    for number in (page.hidden("changement"), ""):
        await send(trainer, f"{PATH}/{CAT}/annuler", changement=number)
        if number:
            assert list(read(project.root).questions) == [CAT, "animaux/chat_cave", BITE]


async def test_files_and_rows_go_together(console: RunningConsole, trainer: Browser, project: Project) -> None:
    async with commits_refused(console.database):
        given = fields(await trainer.get(f"{PATH}/{CAT}")) | {"geste": "enregistrer", "titre": "Autre"}
        assert (await trainer.post(f"{PATH}/{CAT}", **given)).status == 500
    assert diff(project) == []


async def test_given_up_with_its_file(console: RunningConsole, trainer: Browser, project: Project) -> None:
    await save(trainer, titre="Publié")
    project.git("commit", "--quiet", "-am", "Publié", author=AUTHOR)
    await save(trainer, titre="Pas publié")
    await save(trainer, BITE, titre="Pas publié 2")
    page = await trainer.get("/atelier/changements")
    await send(trainer, "/atelier/changements/abandonner", fichier=FILE, vu=page.hidden("vu"), confirme="oui")
    assert question(project).title == "Publié"
    rows = await console.rows("SELECT undone_at IS NULL AS stands FROM reply_changes ORDER BY id")
    assert [row.stands for row in rows] == [True, False, False]


async def test_an_auditor_looks_only(console: RunningConsole, project: Project) -> None:
    async with await inside(console, "Odile", "auditor") as odile:
        page = await odile.get(f"{PATH}/{CAT}")
        assert page.status == 200
        assert "question-save" not in page.page
        assert (await odile.get(f"{PATH}/nouvelle")).status == 403
        assert (await odile.post(f"{PATH}/{CAT}", csrf=page.hidden("csrf"), geste="enregistrer")).status == 403


async def test_a_damaged_file_is_told(trainer: Browser, project: Project) -> None:
    project.write(FILE, CATALOGUE + "  oups\n")
    page = await trainer.get(PATH)
    assert page.status == 503
    assert "data/answers/animaux.yml, ligne" in plain(page)
    assert (await trainer.get(f"{PATH}/{CAT}")).status == 503


async def test_no_project_no_catalogue(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock
) -> None:
    async with (
        running_console(database, database_url, codec, frozen_clock) as console,
        await inside(console, "Inès") as ines,
    ):
        assert (await ines.get(PATH)).status == 503


async def test_the_link_is_a_button_on_messenger_and_stands_in_the_text_on_instagram(trainer: Browser) -> None:
    page = (await trainer.get(f"{PATH}/{CAT}")).page
    messenger, instagram = page.split('data-testid="phone-messenger"')[1].split('data-testid="phone-instagram"')
    assert f'<a href="{SOURCE}"' in messenger
    assert f"La fiche\u202f: {SOURCE}" not in unescape(messenger)
    assert "/ 640 caractères" in messenger
    assert f"La fiche\u202f: {SOURCE}" in unescape(instagram.split("</figure>")[0])
    assert "page-button" not in instagram.split("</figure>")[0]
