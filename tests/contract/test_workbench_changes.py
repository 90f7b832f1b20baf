"""What changed since the last publication, over HTTP: who did what, one line taken back, a file given up."""

from __future__ import annotations

import re

import pytest

from bot.trainer import changes as trainer_changes
from bot.trainer.corpus import NLU, Corpus, Operation, apply
from bot.trainer.merge import merge
from bot.trainer.project import Project
from tests.contract.test_workbench_examples import INTENT, example, ines, inside, key, plain, project, send
from tests.fakes.answered import CATALOGUE, FILE, with_answers
from tests.fakes.console import Answer, Browser, RunningConsole
from tests.fakes.project import AUTHOR
from tests.fakes.refusing import commits_refused

__all__ = ["ines", "project"]  # fixtures
EXAMPLES, CHANGES = "/atelier/exemples", "/atelier/changements"


def lines(answer: Answer) -> list[str]:
    """What stands in each line: sign, text, who."""
    found = re.findall(r'<li class="change-line.*?</li>', answer.page, re.DOTALL)
    return [re.sub(r"\s+", " ", plain(Answer(200, one, answer.headers, ""))).strip() for one in found]


async def test_nothing_has_changed(ines: Browser) -> None:
    answer = await ines.get(CHANGES)
    assert answer.status == 200
    assert 'data-testid="empty"' in answer.page


async def test_each_line_says_who_did_it_and_is_taken_back(
    ines: Browser, console: RunningConsole, project: Project
) -> None:
    before = project.read(NLU)
    async with await inside(console, "Yanis") as yanis:
        await send(yanis, f"{EXAMPLES}/{INTENT}", geste="retirer", cle=key(example(project, 1)))
    await send(ines, f"{EXAMPLES}/{INTENT}", geste="ajouter", texte="voter a la place de mémé")
    apply(project, [Operation("add", "animaux", "un lapin écrit à la main")])
    answer = await ines.get(CHANGES)
    assert [line.split(", ligne")[0] for line in sorted(lines(answer))] == ["+ Ajouté", "+ Ajouté", "− Retiré"]
    added, by_hand, removed = sorted(lines(answer), key=lambda line: ("mémé" not in line, "lapin" not in line))
    assert "Inès, " in added
    assert "Yanis, " in removed
    assert "à la main" in by_hand
    assert "2 lignes ajoutées" in plain(answer)
    # The one that Yanis removed, by its correction; the one written by hand, as a line.
    (row,) = await console.rows("SELECT id FROM corrections WHERE kind = 'remove'")
    back = await send(ines, f"{EXAMPLES}/annuler", correction=str(row.id), retour="changements")
    assert back.path.startswith(CHANGES)
    assert len(lines(back)) == 2
    back = await send(
        ines,
        f"{CHANGES}/ligne",
        signe="+",
        fichier=NLU,
        intention="animaux",
        exemple="un lapin écrit à la main",
        apres="",
    )
    (left,) = lines(back)
    assert "mémé" in left
    (row,) = await console.rows("SELECT id FROM corrections WHERE kind = 'add'")
    await send(ines, f"{EXAMPLES}/annuler", correction=str(row.id), retour="changements")
    assert project.read(NLU) == before


async def test_a_line_removed_by_hand_comes_back_to_its_place(ines: Browser, project: Project) -> None:
    before, one = project.read(NLU), example(project, 3)
    apply(project, [Operation("remove", INTENT, one.marked)])
    form = (await ines.get(CHANGES)).page.split(f'action="{CHANGES}/ligne"')[1].split("</form>")[0]
    after = re.search(r'name="apres" value="([^"]*)"', form)
    assert after
    await send(
        ines,
        f"{CHANGES}/ligne",
        signe="-",
        fichier=NLU,
        intention=INTENT,
        exemple=one.marked,
        apres=example(project, 2).marked,
    )
    assert project.read(NLU) == before


async def test_what_is_no_change_is_not_written_from_there(ines: Browser, project: Project) -> None:
    before = project.read(NLU)
    answer = await send(
        ines, f"{CHANGES}/ligne", signe="-", fichier=NLU, intention=INTENT, exemple="appelez Gaétan Le Bihan", apres=""
    )
    assert answer.status == 409
    assert "n’est plus un changement" in plain(answer)
    assert project.read(NLU) == before


async def test_a_file_is_given_up_only_when_confirmed_and_as_it_was_shown(
    ines: Browser, console: RunningConsole, project: Project
) -> None:
    before = project.read(NLU)
    await send(ines, f"{EXAMPLES}/{INTENT}", geste="ajouter", texte="voter a la place de mémé")
    page = (await ines.get(CHANGES)).page
    seen = page.split('name="vu" value="')[1].split('"')[0]
    unsure = await send(ines, f"{CHANGES}/abandonner", fichier=NLU, vu=seen)
    assert unsure.status == 422
    await send(ines, f"{EXAMPLES}/{INTENT}", geste="ajouter", texte="voter a la place de papy")
    late = await send(ines, f"{CHANGES}/abandonner", fichier=NLU, vu=seen, confirme="oui")
    assert late.status == 409
    assert "a encore changé depuis que cette page est ouverte" in plain(late)
    assert "papy" in project.read(NLU)
    lost = project.read(NLU)
    seen = late.page.split('name="vu" value="')[1].split('"')[0]
    done = await send(ines, f"{CHANGES}/abandonner", fichier=NLU, vu=seen, confirme="oui")
    assert 'data-testid="empty"' in done.page
    assert project.read(NLU) == before
    rows = await console.rows("SELECT v.name FROM corrections c JOIN users v ON v.id = c.undone_by")
    assert [row.name for row in rows] == ["Inès", "Inès"]
    (line,) = await console.rows("SELECT detail FROM audit WHERE action = 'file_discarded'")
    assert project.git("cat-file", "-p", line.detail["kept"]) == lost, "what was given up is still in git's store"


async def given_up(browser: Browser, name: str = NLU) -> Answer:
    """Give a file up, as the page shows it now."""
    part = (await browser.get(CHANGES)).page.split(f'name="fichier" value="{name}"')[1]
    return await send(
        browser,
        f"{CHANGES}/abandonner",
        fichier=name,
        vu=part.split('name="vu" value="')[1].split('"')[0],
        confirme="oui",
    )


async def test_all_that_was_done_to_a_file_is_settled_with_it_and_nothing_that_was_published(
    ines: Browser, console: RunningConsole, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"{EXAMPLES}/{INTENT}"

    async def edit(old: str, new: str) -> None:
        (one,) = [e for e in Corpus.read(project).of(INTENT) if e.text == old]
        await send(ines, place, geste="enregistrer", cle=key(one), texte=new, vers=INTENT)

    await send(ines, place, geste="ajouter", texte="voter a la place de mémé")
    await edit("voter a la place de mémé", "voter à la place de mamie")
    project.git("commit", "--quiet", "--all", "-m", "Publié", author=AUTHOR)
    recorded = project.read(NLU)
    # Not published: rewritten twice, moved, removed; the page shows three lines of it.
    await send(ines, place, geste="ajouter", texte="le tampon du commissariat")
    await edit("le tampon du commissariat", "le tampon du commissaire")
    await edit("voter à la place de mamie", "voter à la place de papy")
    await send(ines, place, geste="retirer", cle=key(example(project, 2)))
    one = example(project, 3)
    await send(ines, place, geste="enregistrer", cle=key(one), texte=one.marked, vers="animaux")
    monkeypatch.setattr(trainer_changes, "MOST", 3)
    assert len(lines(await ines.get(CHANGES))) == 3
    await given_up(ines)
    assert project.read(NLU) == recorded
    rows = await console.rows("SELECT kind, undone_at IS NULL AS stands FROM corrections ORDER BY id")
    assert [(row.kind, row.stands) for row in rows] == [
        ("add", True),
        ("edit", True),
        ("add", False),
        ("edit", False),
        ("edit", False),
        ("remove", False),
        ("move", False),
    ]
    (line,) = await console.rows("SELECT detail FROM audit WHERE action = 'file_discarded'")
    assert line.detail["count"] == 5


async def test_a_file_that_was_deleted_settles_them_too(
    ines: Browser, console: RunningConsole, project: Project
) -> None:
    await send(ines, f"{EXAMPLES}/{INTENT}", geste="ajouter", texte="publié depuis")
    project.git("commit", "--quiet", "--all", "-m", "Publié", author=AUTHOR)
    await send(ines, f"{EXAMPLES}/{INTENT}", geste="ajouter", texte="perdu avec le fichier")
    project.path(NLU).unlink()
    await given_up(ines)
    rows = await console.rows("SELECT marked FROM corrections WHERE undone_at IS NULL")
    assert [row.marked for row in rows] == ["publié depuis"]


async def test_a_file_that_cannot_be_settled_is_not_given_up(
    ines: Browser, console: RunningConsole, project: Project
) -> None:
    await send(ines, f"{EXAMPLES}/{INTENT}", geste="ajouter", texte="voter a la place de mémé")
    before = project.read(NLU)
    async with commits_refused(console.database):
        assert (await given_up(ines)).status == 500
    assert project.read(NLU) == before
    assert len(lines(await ines.get(CHANGES))) == 1
    assert await console.rows("SELECT 1 FROM corrections WHERE undone_at IS NOT NULL") == []


async def test_a_damaged_file_is_shown_and_can_be_given_up(ines: Browser, project: Project) -> None:
    before = project.read(NLU)
    project.write(NLU, before.replace("      - proc", "      proc"))
    answer = await ines.get(CHANGES)
    assert "data/nlu.yml, ligne 8, colonne 7" in plain(answer)
    assert len(lines(answer)) == 2
    seen = answer.page.split('name="vu" value="')[1].split('"')[0]
    await send(ines, f"{CHANGES}/abandonner", fichier=NLU, vu=seen, confirme="oui")
    assert project.read(NLU) == before


async def test_a_merge_that_somebody_has_to_decide_is_shown_with_its_line(ines: Browser, project: Project) -> None:
    before = project.read(NLU)
    ours, theirs = (before.replace("proc de vote sa marche", f"{word} sa marche") for word in ("procu", "le pouvoir"))
    project.write(NLU, merge(before, ours, theirs).text)
    answer = await ines.get(CHANGES)
    assert "data/nlu.yml, ligne 8, colonne 1 : deux branches se contredisent ici" in plain(answer)
    assert len(lines(answer)) == 6, "the old line went; two versions and three marks came"
    assert "procu sa marche cmt" in plain(answer)
    assert "le pouvoir sa marche cmt" in plain(answer)
    broken = await ines.get(f"{EXAMPLES}/{INTENT}")
    assert broken.status == 503
    assert "gardez l’une des deux versions" in plain(broken)


async def test_replies_and_new_files_are_shown_too(ines: Browser, project: Project) -> None:
    project.write("domain.yml", project.read("domain.yml") + "responses:\n  utter_animaux:\n  - text: 'Bonjour'\n")
    project.write("data/precisions.yml", "- mots: [chat]\n")
    page = plain(await ines.get(CHANGES))
    assert "domain.yml" in page
    assert "utter_animaux" in page
    assert "data/precisions.yml" in page
    assert "nouveau" in page


async def test_the_questions_of_the_catalogue_are_shown_by_name(ines: Browser, project: Project) -> None:
    with_answers(project)
    project.write(FILE, CATALOGUE.replace("la mairie", "votre mairie", 1).replace("- mon chat a", "- ma chatte a", 1))
    answer = await ines.get(CHANGES)
    assert plain(answer).count("animaux/chat_perdu") == 1
    assert "/atelier/reponses/animaux" not in answer.page
    assert len(lines(answer)) == 4
    assert 'data-testid="change-line-undo"' not in answer.page
    seen = answer.page.split('name="vu" value="')[1].split('"')[0]
    await send(ines, f"{CHANGES}/abandonner", fichier=FILE, vu=seen, confirme="oui")
    assert project.read(FILE) == CATALOGUE


async def test_an_auditor_looks_only(console: RunningConsole, project: Project) -> None:
    apply(project, [Operation("add", "animaux", "un lapin de plus")])
    async with await inside(console, "Odile", "auditor") as odile:
        shown = await odile.get(CHANGES)
        assert len(lines(shown)) == 1
        assert "change-discard" not in shown.page
        refused = await send(odile, f"{CHANGES}/abandonner", fichier=NLU, confirme="oui")
        assert refused.status == 403
    assert "un lapin de plus" in project.read(NLU)
