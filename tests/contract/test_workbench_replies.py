"""Replies over HTTP, real files and git: one change is one line, rules refuse, two people at once, undo."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from bot.core.clock import FrozenClock
from bot.store.codec import Codec
from bot.store.db import Database
from bot.trainer.project import Project
from bot.trainer.replies import Replies
from tests.fakes.console import Answer, Browser, RunningConsole, running_console
from tests.fakes.project import AUTHOR, copied
from tests.fakes.refusing import commits_refused

ONE = "utter_permis_points"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Files of the test's own."""
    return copied(tmp_path / "project")


def fields(answer: Answer) -> dict[str, str]:
    """The editor's form as a browser would send it."""
    form = answer.page.split('id="reponse"')[1].split("</form>")[0]
    found = dict(re.findall(r'<input[^>]*? name="([\w-]+)" value="([^"]*)"', form))
    found |= dict(re.findall(r'<textarea id="[\w-]+" name="([\w-]+)"[^>]*>\n(.*?)</textarea>', form, re.DOTALL))
    return {name: unescape(value) for name, value in found.items()}


async def editor(browser: Browser, name: str = ONE) -> dict[str, str]:
    """The form of a reply."""
    answer = await browser.get(f"/atelier/reponses/{name}")
    assert answer.status == 200
    return fields(answer)


def diff(project: Project) -> list[str]:
    """The lines that differ from what was committed."""
    lines = project.git("diff", "--unified=0", "domain.yml").splitlines()
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


async def press(browser: Browser, path: str, **given: str) -> Answer:
    """A form of one button."""
    return await browser.post(path, csrf=(await browser.get("/atelier/reponses")).hidden("csrf"), **given)


async def sought(browser: Browser, words: str, chosen: str = "toutes") -> Answer:
    """Look for words; no address holds them."""
    led = await press(browser, "/atelier/reponses", q=words, filtre=chosen)
    assert led.status == 303
    assert words.split()[0] not in led.headers["location"]
    answer = await browser.get(led.headers["location"])
    assert not [href for href in re.findall(r'(?:href|action)="([^"]*)"', answer.page) if words.split()[0] in href]
    return answer


async def save(browser: Browser, given: dict[str, str], name: str = ONE, act: str = "enregistrer") -> Answer:
    """Press a button of the editor."""
    return await browser.post(f"/atelier/reponses/{name}", geste=act, **given)


async def test_one_change_is_one_line_and_is_recorded_and_undone(
    console: RunningConsole, trainer: Browser, project: Project
) -> None:
    before = project.read("domain.yml")
    given = await editor(trainer)
    assert (await save(trainer, given)).headers["location"].endswith("fait=pareil")
    assert project.read("domain.yml") == before
    given["texte-0"] += "\r\nUne ligne de plus."
    assert (await save(trainer, given)).headers["location"].endswith("fait=enregistre")
    assert diff(project) == ["+      Une ligne de plus."]
    (row,) = await console.rows("SELECT names, undone_at FROM reply_changes")
    assert (row.names, row.undone_at) == ([ONE], None)
    page = await trainer.get(f"/atelier/reponses/{ONE}?fait=enregistre")
    assert "prochaine publication" in page.page
    assert "Inès" in page.page
    number = page.hidden("changement")
    assert (await press(trainer, f"/atelier/reponses/{ONE}/annuler", changement=number)).status == 303
    assert project.read("domain.yml") == before
    assert [action for action, _ in await console.audit()][-2:] == ["reply_changed", "reply_undone"]
    # Again: nothing more happens.
    assert (await press(trainer, f"/atelier/reponses/{ONE}/annuler", changement=number)).status == 303
    assert (await press(trainer, "/atelier/reponses/utter_armes/annuler", changement=number)).status == 404


async def test_domain_yml_given_up_settles_its_replies(
    console: RunningConsole, trainer: Browser, project: Project
) -> None:
    given = await editor(trainer)
    given["texte-0"] += "\r\nPubliée."
    await save(trainer, given)
    project.git("commit", "--quiet", "-m", "Publié", "--", "domain.yml", author=AUTHOR)
    recorded = project.read("domain.yml")
    for more in ("Une ligne de plus.", "Et une autre."):
        given = await editor(trainer)
        given["texte-0"] += f"\r\n{more}"
        await save(trainer, given)
    page = await trainer.get("/atelier/changements")
    fields = {"fichier": "domain.yml", "vu": page.hidden("vu"), "confirme": "oui"}
    async with commits_refused(console.database):
        assert (await press(trainer, "/atelier/changements/abandonner", **fields)).status == 500
    assert diff(project) == ["+      Une ligne de plus.", "+      Et une autre."]
    assert (await press(trainer, "/atelier/changements/abandonner", **fields)).status == 303
    assert project.read("domain.yml") == recorded
    rows = await console.rows("SELECT undone_at IS NULL AS stands FROM reply_changes ORDER BY id")
    assert [row.stands for row in rows] == [True, False, False]


async def test_a_reply_and_its_row_go_back_together(
    console: RunningConsole, trainer: Browser, project: Project
) -> None:
    given = await editor(trainer)
    given["texte-0"] += "\r\nUne ligne de plus."
    async with commits_refused(console.database):
        assert (await save(trainer, given)).status == 500
    assert diff(project) == []
    await save(trainer, given)
    number = (await trainer.get(f"/atelier/reponses/{ONE}")).hidden("changement")
    async with commits_refused(console.database):
        assert (await press(trainer, f"/atelier/reponses/{ONE}/annuler", changement=number)).status == 500
    assert diff(project) == ["+      Une ligne de plus."]
    assert await console.rows("SELECT 1 FROM reply_changes WHERE undone_at IS NOT NULL") == []


BROKEN = (
    ("texte-0", "é" * 501, "2 de trop"),
    ("texte-0", "", "le texte est vide"),
    ("texte-0", "Appelez le 0612345678.", "0612345678"),
    ("texte-0", "Voir https://exemple.org", "exemple.org"),
    ("texte-0", "Veuillez attendre.", "formule administrative"),
    ("texte-0", "Bonjour!", "espace fine"),
    ("texte-0", "Bonjour {prenom}.", "accolades"),
    ("texte-0", "un\x07deux", "caractère invisible"),
    ("source-0", "http://ants.gouv.fr", "source"),
    ("verifiee-0", "hier", "date de vérification"),
    ("verifiee-0", "2999-01-01", "avenir"),
    ("titre-0-0", "Un titre beaucoup trop long", "caractères"),
    ("suite-0-0", "/danger_immediat", "danger"),
    ("suite-0-0", "/rien", "n’existe pas"),
)


async def test_what_breaks_a_rule_is_not_saved_and_is_kept_in_the_form(trainer: Browser, project: Project) -> None:
    before, whole = project.read("domain.yml"), await editor(trainer)
    for field, value, says in BROKEN:
        title = {"titre-0-0": "Suite"} if field.startswith("suite") else {}
        answer = await save(trainer, {**whole, **title, field: value})
        assert answer.status == 422, value
        assert says in unescape(answer.page), value
        assert value in unescape(answer.page)
        assert project.read("domain.yml") == before


async def test_a_warning_can_be_saved(trainer: Browser, project: Project) -> None:
    given = await editor(trainer)
    given["texte-0"] = "Votre solde de points est sur https://mespoints.permisdeconduire.gouv.fr\n" + "Oui. " * 120
    looked = await save(trainer, given, act="apercu")
    assert 'data-testid="reply-warning"' in looked.page
    assert 'data-testid="reply-error"' not in looked.page
    assert diff(project) == []
    assert (await save(trainer, given)).status == 303
    assert diff(project)


async def test_two_people_at_once_see_both_texts(console: RunningConsole, trainer: Browser, project: Project) -> None:
    await console.user("Hugo", "trainer")
    mine, name = await editor(trainer), f"/atelier/reponses/{ONE}"
    async with Browser(console) as hugo:
        await hugo.log_in("Hugo")
        theirs = await editor(hugo)
        theirs["texte-0"] += "\nLe texte de Hugo."
        assert (await save(hugo, theirs)).status == 303
        mine["texte-0"] += "\nMon texte."
        refused = await save(trainer, mine)
        assert refused.status == 409
        assert "Le texte de Hugo." in refused.page
        assert "Mon texte." in refused.page
        assert "Hugo" in refused.page.split('data-testid="reply-theirs"')[1].split("</h2>")[0]
        assert "Mon texte." not in project.read("domain.yml")
        # Having seen both, one may go on; the other's change can then no longer be undone.
        number = (await hugo.get(name)).hidden("changement")
        assert (await save(trainer, fields(refused))).status == 303
        assert "Mon texte." in project.read("domain.yml")
        late = await press(hugo, f"{name}/annuler", changement=number)
        assert late.status == 409
        assert "encore été changée" in late.page
        assert "Mon texte." in project.read("domain.yml")


async def test_spaces_are_set_and_shown_before_they_are_saved(trainer: Browser, project: Project) -> None:
    given = await editor(trainer)
    given["texte-0"] = "Ici : l'adresse ! https://ants.gouv.fr/?a:b"
    answer = await save(trainer, given, act="espaces")
    assert "Ici\u00a0: l’adresse\u202f! https://ants.gouv.fr/?a:b" in unescape(answer.page)
    assert "3 endroits corrigés" in answer.page
    assert diff(project) == []


async def test_wordings_come_and_go_without_a_script(trainer: Browser, project: Project) -> None:
    given = fields(await save(trainer, await editor(trainer), act="variante"))
    assert given["variantes"] == "2"
    given["texte-1"] = "Votre solde est en ligne."
    assert (await save(trainer, given)).status == 303
    lines = diff(project)
    assert "+  - text: |-" in lines
    assert all(line.startswith("+") for line in lines)
    given = fields(await save(trainer, await editor(trainer), act="retirer-1"))
    assert (await save(trainer, given)).status == 303
    assert diff(project) == []


async def test_a_source_is_checked_in_one_click(console: RunningConsole, trainer: Browser, project: Project) -> None:
    page = await trainer.get("/atelier/reponses?filtre=a-verifier")
    names = re.findall(r"/atelier/reponses/(utter_\w+)/verifiee", page.page)
    assert names
    seen = page.hidden("vu")
    answer = await press(
        trainer, f"/atelier/reponses/{names[0]}/verifiee", vu=seen, retour="liste", filtre="a-verifier"
    )
    assert answer.status == 303
    today = console.clock.now().date().isoformat()
    assert set(diff(project)) == {"-      checked: null", f"+      checked: {today}"}
    assert names[0] not in re.findall(
        r"/atelier/reponses/(utter_\w+)/verifiee", (await trainer.get("/atelier/reponses?filtre=a-verifier")).page
    )
    # The page that was open is not as it was.
    assert (await press(trainer, f"/atelier/reponses/{names[0]}/verifiee", vu=seen)).status == 409
    assert "Réponse" in (await save(trainer, await editor(trainer, names[0]), names[0], "aujourdhui-0")).page


async def test_filters_and_search(trainer: Browser, project: Project) -> None:
    made = project.read("domain.yml").replace("checked: null", "checked: 2025-01-31", 1)
    project.write("domain.yml", made)
    name = next(one.name for one in Replies.parse(made).responses.values() if one.variations[0].checked)
    assert name == "utter_salutation"  # a text of our own: no page to open again
    assert 'data-testid="empty"' in (await trainer.get("/atelier/reponses?filtre=anciennes")).page
    block = Replies.read(project).responses[ONE].block
    project.write("domain.yml", made.replace(block, block.replace("checked: null", "checked: 2025-01-31")))
    old = await trainer.get("/atelier/reponses?filtre=anciennes")
    assert re.findall(r'data-testid="reply-open"><code>(\w+)', old.page) == [ONE]
    assert "31/01/2025" in old.page
    found = await sought(trainer, "Permis POINTS")
    assert ONE in found.page
    assert "utter_animaux<" not in found.page
    assert "Rien ne répond" in (await sought(trainer, "zzzz")).page
    assert (await trainer.get("/atelier/reponses?filtre=x&de=99999")).status == 200


async def test_the_emergency_text_and_its_twin_change_together(trainer: Browser, project: Project) -> None:
    given = await editor(trainer, "utter_urgence")
    given["texte-0"] = (
        given["texte-0"].replace("15", "le 15", 1) if "le 15" not in given["texte-0"] else given["texte-0"] + " Merci."
    )
    assert (await save(trainer, given, "utter_urgence")).status == 303
    responses = Replies.read(project).responses
    assert responses["utter_urgence"].variations[0].text == given["texte-0"].replace("\r\n", "\n").strip()
    assert responses["utter_danger_immediat"].variations[0].text == responses["utter_urgence"].variations[0].text
    given = await editor(trainer, "utter_urgence")
    without = await save(trainer, {**given, "texte-0": given["texte-0"].replace("114", "")}, "utter_urgence")
    assert without.status == 422
    assert "114" in without.page


async def test_markup_is_shown_as_text(trainer: Browser) -> None:
    given = await editor(trainer)
    answer = await save(trainer, {**given, "texte-0": "<script>alert(1)</script><b>Oui</b>"}, act="apercu")
    assert "<script>alert(1)" not in answer.page
    assert "&lt;b&gt;Oui&lt;/b&gt;" in answer.page


async def test_a_file_broken_by_hand_is_told_with_its_line(trainer: Browser, project: Project) -> None:
    project.write("domain.yml", project.read("domain.yml").replace("responses:\n", "responses:\n\tx: y\n", 1))
    answer = await trainer.get("/atelier/reponses")
    assert answer.status == 503
    assert re.search(r"domain\.yml, ligne \d+, colonne \d+", answer.page)
    assert "tabulation" in answer.page


async def test_rights(console: RunningConsole, project: Project) -> None:
    await console.user("Odile", "auditor")
    async with Browser(console) as odile:
        await odile.log_in("Odile")
        page = await odile.get(f"/atelier/reponses/{ONE}")
        assert page.status == 200
        assert 'data-testid="reply-save"' not in page.page
        assert (await press(odile, f"/atelier/reponses/{ONE}", geste="enregistrer")).status == 403
    assert diff(project) == []


async def test_a_console_without_the_folder_says_so(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock
) -> None:
    async with running_console(database, database_url, codec, frozen_clock, wall) as bare, Browser(bare) as browser:
        await bare.user("Inès", "trainer")
        await browser.log_in("Inès")
        for path in ("/atelier/reponses", f"/atelier/reponses/{ONE}"):
            answer = await browser.get(path)
            assert (answer.status, "n’est pas sur cette machine" in answer.page) == (503, True)
