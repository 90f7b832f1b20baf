"""Examples over HTTP, real files and git: searched, added, changed, moved, removed, undone; what is refused is told."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest

from bot.console.workbench_examples_words import key
from bot.trainer.corpus import NLU, Corpus, Example, Operation, apply
from bot.trainer.project import Project
from tests.fakes.console import Answer, Browser, RunningConsole
from tests.fakes.project import AUTHOR
from tests.fakes.refusing import commits_refused

PATH = "/atelier/exemples"
INTENT = "procuration"


def block(intent: str, *examples: str) -> str:
    """An intent as it stands in a file."""
    return f"  - intent: {intent}\n    examples: |\n" + "".join(f"      - {each}\n" for each in examples)


OWN = block(
    INTENT,
    "qui peut voter pour moi dimanche ?",
    "proc de vote sa marche cmt",
    "je suis à l'hôpital le jour du scrutin",
    "ma voisine a déjà une procuration, elle en prend deux ?",
    "annuler la procuration de mon frère",
    "le formulaire Cerfa pour faire voter tata",
) + block(
    "animaux", "un chien aboie depuis mardi", "jai trouvé un furet", "le chat du voisin est maigre", "un cygne boite"
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two intents and one file of the background, in a repository."""
    root = tmp_path / "project"
    (root / "data" / "fonds").mkdir(parents=True)
    (root / "docs").mkdir()
    head = '# En tête.\nversion: "3.1"\n\nnlu:\n'
    words = "  # Les listes.\n  - lookup: ville\n    examples: |\n      - Lyon\n"
    (root / NLU).write_text(head + OWN + words, encoding="utf-8")
    (root / "data" / "fonds" / "un.yml").write_text(
        "nlu:\n" + block(INTENT, "un fonds de tiroir électoral"), encoding="utf-8"
    )
    (root / "domain.yml").write_text(
        f"intents:\n- {INTENT}\n- animaux\nentities:\n- ville\n- corps\n", encoding="utf-8"
    )
    (root / "docs" / "guide-formateur.md").write_text(f"#### {INTENT}\n**Voter pour un autre.**\n", encoding="utf-8")
    (root / ".gitignore").write_text("/models\n")
    project = Project(root)
    project.git("init", "--quiet")
    project.git("add", ".")
    project.git("commit", "--quiet", "-m", "Début", author=AUTHOR)
    return project


async def inside(console: RunningConsole, name: str, role: str = "trainer") -> Browser:
    """Somebody who has logged in."""
    await console.user(name, role)
    browser = Browser(console)
    await browser.log_in(name)
    return browser


@pytest.fixture
async def ines(console: RunningConsole) -> AsyncIterator[Browser]:
    """A trainer."""
    async with await inside(console, "Inès") as browser:
        yield browser


def plain(answer: Answer) -> str:
    """What the page says, with one kind of space."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", "", answer.page)))


async def send(browser: Browser, path: str, **fields: str) -> Answer:
    """A form, and the page that it leads to."""
    csrf = (await browser.get(PATH)).hidden("csrf") if "csrf" not in fields else fields.pop("csrf")
    answer = await browser.post(path, csrf=csrf, **fields)
    return await browser.get(answer.headers["Location"]) if answer.status == 303 else answer


def example(project: Project, place: int = 0, intent: str = INTENT) -> Example:
    return Corpus.read(project).of(intent)[place]


def diff(project: Project) -> list[str]:
    """The changed lines of data/nlu.yml."""
    told = project.git("diff", "-U0", "--", "data").split("\n")
    return [line for line in told if line[:1] in "+-" and line[:3] not in ("+++", "---") and line]


async def test_words_that_are_looked_for_stand_in_no_address_and_the_place_is_kept(
    ines: Browser, console: RunningConsole, project: Project
) -> None:
    words = "VOTER moi"
    csrf = (await ines.get(PATH)).hidden("csrf")
    led = await ines.post(PATH, csrf=csrf, q=words, intention=INTENT, fichier="nlu")
    assert led.status == 303
    place = led.headers["location"]
    assert place.startswith(f"{PATH}/{INTENT}?fichier=nlu&r=")
    shown = await ines.get(place)
    assert shown.page.count('data-testid="example-row"') == 1
    assert f'value="{words}"' in shown.page
    opened = re.search(r'href="([^"]*modifier=[^"]*)"', shown.page)
    assert opened
    row = await ines.get(unescape(opened[1]).split("#")[0])
    assert 'data-testid="example-text"' in row.page
    for page in (shown, row):
        assert not [said for said in re.findall(r'(?:href|action)="([^"]*)"', page.page) if "VOTER" in unescape(said)]
    # What is done there leads back to the same place, refused or not.
    given = {"csrf": csrf, "fichier": "nlu", "r": row.hidden("r"), "cle": key(example(project)), "vers": INTENT}
    refused = await ines.post(f"{PATH}/{INTENT}", geste="enregistrer", texte=" ", **given)
    assert refused.status == 422
    assert refused.page.count('data-testid="example-row"') == 1
    done = await ines.post(f"{PATH}/{INTENT}", geste="enregistrer", texte="qui va voter pour moi dimanche ?", **given)
    assert "VOTER" not in done.headers["location"]
    again = await ines.get(done.headers["location"])
    assert again.page.count('data-testid="example-row"') == 1
    assert "modifié" in plain(again)
    # A seal that is none of ours shows everything; whoever may only look may look for words.
    assert (await ines.get(f"{PATH}/{INTENT}?r=abc")).page.count('data-testid="example-row"') == 7
    async with await inside(console, "Odile", "auditor") as odile:
        assert (await send(odile, PATH, q=words)).page.count('class="example"') == 1


async def test_intents_are_listed_with_their_counts(ines: Browser, project: Project) -> None:
    corpus = Corpus.read(project)
    answer = await ines.get(PATH)
    assert answer.status == 200
    assert answer.page.count('data-testid="intent-row"') == len(corpus.intents)
    row = answer.page.split(f'href="{PATH}/{INTENT}"')[1].split("</tr>")[0]
    own = sum(e.file == NLU for e in corpus.of(INTENT))
    assert re.findall(r'data-label="[^"]+">(\d+)', row) == [str(own), "1"]
    assert "Voter pour un autre." in row


async def test_words_are_looked_for_in_all_intents(ines: Browser) -> None:
    answer = await send(ines, PATH, q="ELECTORAL tiroir")
    assert "1 exemple contient « ELECTORAL tiroir »" in plain(answer)
    assert "un fonds de tiroir électoral" in answer.page
    assert "fonds · un.yml, ligne 4" in plain(answer)
    assert 'data-testid="empty"' in (await send(ines, PATH, q="xylophone quantique")).page


async def test_an_example_is_added_as_one_line_and_taken_back(
    ines: Browser, console: RunningConsole, project: Project
) -> None:
    before = project.read(NLU)
    answer = await send(ines, f"{PATH}/{INTENT}", geste="ajouter", texte="jpeux voter a la place de mémé ou pas")
    assert "« jpeux voter a la place de mémé ou pas » : ajouté à procuration." in plain(answer)
    assert diff(project) == ["+      - jpeux voter a la place de mémé ou pas"]
    (row,) = await console.rows("SELECT c.*, u.name FROM corrections c JOIN users u ON u.id = c.user_id")
    assert (row.kind, row.intent, row.name, row.events, row.undone_at) == ("add", INTENT, "Inès", [], None)
    assert "example_added" in {line.action for line in await console.rows("SELECT action FROM audit")}
    answer = await send(ines, f"{PATH}/annuler", correction=str(row.id), retour=INTENT)
    assert "Annulé" in plain(answer)
    assert project.read(NLU) == before
    (row,) = await console.rows(
        "SELECT v.name FROM corrections c JOIN users v ON v.id = c.undone_by WHERE undone_at IS NOT NULL"
    )
    assert row.name == "Inès"


async def test_several_lines_are_several_examples(ines: Browser, project: Project) -> None:
    answer = await send(
        ines, f"{PATH}/{INTENT}", geste="ajouter", texte="- un premier vote par autrui\r\n\r\nun second vote par autrui"
    )
    assert "2 exemples ajoutés" in plain(answer)
    assert sorted(diff(project)) == ["+      - un premier vote par autrui", "+      - un second vote par autrui"]


async def test_an_example_is_changed_where_it_stands(ines: Browser, project: Project) -> None:
    one = example(project)
    shown = await ines.get(f"{PATH}/{INTENT}?modifier={key(one)}")
    assert 'data-testid="example-save"' in shown.page
    answer = await send(
        ines, f"{PATH}/{INTENT}", geste="enregistrer", cle=key(one), vers=INTENT, texte="tout autrement à [Lyon](ville)"
    )
    assert diff(project) == [f"-      - {one.marked}", "+      - tout autrement à [Lyon](ville)"]
    assert "<mark>Lyon<small>" in answer.page
    assert example(project).text == "tout autrement à Lyon"


async def test_an_example_moves_to_another_intent_and_back(
    ines: Browser, console: RunningConsole, project: Project
) -> None:
    before, one = project.read(NLU), example(project, 3)
    await send(ines, f"{PATH}/{INTENT}", geste="enregistrer", cle=key(one), vers="animaux", texte=one.marked)
    assert sorted(line[0] for line in diff(project)) == ["+", "-"]
    assert one.text in [e.text for e in Corpus.read(project).of("animaux")]
    (row,) = await console.rows("SELECT id, kind, to_intent FROM corrections")
    assert (row.kind, row.to_intent) == ("move", "animaux")
    await send(ines, f"{PATH}/annuler", correction=str(row.id), retour=INTENT)
    assert project.read(NLU) == before


async def test_an_example_is_removed_and_comes_back_to_its_place(
    ines: Browser, console: RunningConsole, project: Project
) -> None:
    before, one = project.read(NLU), example(project, 5)
    await send(ines, f"{PATH}/{INTENT}", geste="retirer", cle=key(one), texte="peu importe")
    assert diff(project) == [f"-      - {one.marked}"]
    (row,) = await console.rows("SELECT id FROM corrections")
    await send(ines, f"{PATH}/annuler", correction=str(row.id), retour=INTENT)
    assert project.read(NLU) == before


async def test_the_background_only_loses_its_errors(ines: Browser, project: Project) -> None:
    (one,) = (e for e in Corpus.read(project).of(INTENT) if e.file != NLU)
    shown = await ines.get(f"{PATH}/{INTENT}?fichier=fonds&modifier={key(one)}")
    assert "Le fonds ne se corrige pas" in plain(shown)
    assert 'data-testid="example-save"' not in shown.page
    refused = await send(ines, f"{PATH}/{INTENT}", geste="enregistrer", cle=key(one), vers=INTENT, texte="autre")
    assert refused.status == 422
    assert diff(project) == []
    await send(ines, f"{PATH}/{INTENT}", geste="retirer", cle=key(one))
    assert diff(project) == [f"-      - {one.text}"]


async def test_what_somebody_else_changed_meanwhile_is_not_overwritten(
    ines: Browser, console: RunningConsole, project: Project
) -> None:
    one = example(project, 2)
    await send(
        ines, f"{PATH}/{INTENT}", geste="enregistrer", cle=key(one), vers=INTENT, texte="ma version de ce message"
    )
    apply(project, [Operation("edit", INTENT, "ma version de ce message", to_marked="la version de Yanis")])
    (row,) = await console.rows("SELECT id FROM corrections")
    refused = await send(ines, f"{PATH}/annuler", correction=str(row.id), retour=INTENT)
    assert refused.status == 409
    assert "« ma version de ce message » n’est plus dans « procuration » : quelqu’un l’a changé ou retiré" in plain(
        refused
    )
    assert "la version de Yanis" in project.read(NLU)
    stale = await send(
        ines, f"{PATH}/{INTENT}", geste="enregistrer", cle=key(one), vers=INTENT, texte="trop tard pour ça"
    )
    assert stale.status == 422
    assert "Cet exemple n’est plus dans cette intention" in plain(stale)
    assert "trop tard" not in project.read(NLU)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "L’exemple est vide"),
        ("ecrivez a julie.b@boite-inventee.fr pour la procuration", "« julie.b@boite-inventee.fr » (courriel)"),
        ("mon voisin Gaétan Le Bihan, 12 rue des Acacias, vote pour moi", "Rien n’a été enregistré"),
        ("[mon voisin](ville:06 12 34 56 78) vote pour moi", "ce n’est pas une donnée personnelle"),
        ("à [Lyon](vile)", "L’entité « vile » n’existe pas"),
        ("x" * 2_001, "plus de 2000"),
        ("\n".join(f"message numéro {n}" for n in range(51)), "51 exemples d’un coup"),
    ],
)
async def test_what_cannot_be_an_example_is_refused_and_given_back(
    ines: Browser, project: Project, text: str, said: str
) -> None:
    answer = await send(ines, f"{PATH}/{INTENT}", geste="ajouter", texte=text)
    assert answer.status == 422
    assert said in plain(answer)
    assert text.split("\n")[0] in unescape(answer.page)
    assert diff(project) == []


async def test_what_is_not_personal_after_all_is_kept_once_the_trainer_says_so(ines: Browser, project: Project) -> None:
    text = "Gaétan Le Bihan peut voter pour moi ?"
    refused = await send(ines, f"{PATH}/{INTENT}", geste="ajouter", texte=text)
    assert refused.status == 422
    pieces = re.findall(r'name="pas_personnel" value="([^"]+)"', refused.page)
    assert len(pieces) == 1
    kept = await send(ines, f"{PATH}/{INTENT}", geste="ajouter", texte=text, pas_personnel=pieces[0])
    assert kept.status == 200
    assert text in project.read(NLU)


async def test_checks_tell_while_one_types(ines: Browser, project: Project) -> None:
    csrf = (await ines.get(PATH)).hidden("csrf")
    other = example(project, 0, "animaux")
    told = await ines.post(f"{PATH}/verifier", csrf=csrf, texte=other.text, vers=INTENT)
    assert told.status == 200
    assert 'data-testid="finding"' in told.page
    fine = await ines.post(f"{PATH}/verifier", csrf=csrf, texte="mémé vote où si elle dort chez tonton", vers=INTENT)
    assert 'data-testid="finding-none"' in fine.page


async def test_a_damaged_file_is_told_with_its_place_and_stays_as_it_is(ines: Browser, project: Project) -> None:
    csrf = (await ines.get(PATH)).hidden("csrf")
    broken = project.read(NLU).replace("      - ", "      ", 1)
    project.write(NLU, broken)
    for answer in (
        await ines.get(PATH),
        await ines.get(f"{PATH}/{INTENT}"),
        await send(ines, f"{PATH}/{INTENT}", csrf=csrf, geste="ajouter", texte="un vote de plus"),
    ):
        assert answer.status == 503
        assert "data/nlu.yml, ligne 7, colonne 7" in plain(answer)
        assert "Le modèle en service n’est pas touché" in plain(answer)
    assert project.read(NLU) == broken


async def test_an_auditor_looks_and_an_agent_does_not(console: RunningConsole, project: Project) -> None:
    async with await inside(console, "Odile", "auditor") as odile:
        shown = await odile.get(f"{PATH}/{INTENT}")
        assert shown.status == 200
        assert 'data-testid="example-add"' not in shown.page
        assert (await send(odile, f"{PATH}/{INTENT}", geste="ajouter", texte="x")).status == 403
    async with await inside(console, "Claire", "agent") as claire:
        assert (await claire.get(PATH)).status == 403
    assert diff(project) == []


async def test_what_does_not_exist_is_not_found(ines: Browser) -> None:
    assert (await ines.get(f"{PATH}/inconnue")).status == 404
    assert (await send(ines, f"{PATH}/inconnue", geste="ajouter", texte="x")).status == 404
    assert (await send(ines, f"{PATH}/annuler", correction="987654321")).status in (404, 409)


RULE = "rules:\n- rule: animaux\n  steps:\n  - intent: animaux\n  - action: action_repondre\n"
REPLY = "responses:\n  utter_animaux:\n  - text: 'Bonjour'\n"
TEXTS = [f"un nid de frelons inventé, numéro {n}" for n in range(10)]


async def test_an_intent_is_created_whole(ines: Browser, console: RunningConsole, project: Project) -> None:
    project.write("data/rules.yml", RULE)
    project.write("domain.yml", project.read("domain.yml") + REPLY)
    assert (await ines.get("/atelier/intentions/nouvelle")).status == 200
    wanted = {"parente": "animaux", "suite": "Frelons", "definition": "Les nids.", "exemples": "\r\n".join(TEXTS)}
    refused = await send(ines, "/atelier/intentions/nouvelle", **wanted)
    assert refused.status == 422
    assert "Écrivez par exemple « animaux_frelons »" in plain(refused)
    assert TEXTS[4] in refused.page
    personal = await send(
        ines,
        "/atelier/intentions/nouvelle",
        **{**wanted, "suite": "frelons", "exemples": "\n".join([*TEXTS, "a julie@boite-inventee.fr"])},
    )
    assert personal.status == 422
    assert "Rien n’a été enregistré" in plain(personal)
    named = await send(
        ines, "/atelier/intentions/nouvelle", **{**wanted, "suite": "frelons", "frontieres": "comme Gaétan Le Bihan"}
    )
    assert (named.status, "ce n’est pas une donnée personnelle" in plain(named)) == (422, True)
    assert "frelons" not in project.read(NLU)
    done = await send(ines, "/atelier/intentions/nouvelle", **{**wanted, "suite": "frelons"})
    assert done.status == 200
    assert "Intention créée." in plain(done)
    assert 'href="/atelier/reponses/utter_animaux_frelons"' in done.page
    assert {e.text for e in Corpus.read(project).of("animaux_frelons")} == set(TEXTS)
    assert "- intent: animaux_frelons" in project.read("data/rules.yml")
    assert len(await console.rows("SELECT id FROM corrections WHERE intent = 'animaux_frelons'")) == 10
    (line,) = await console.rows("SELECT detail FROM audit WHERE action = 'intent_added'")
    assert line.detail == {"intent": "animaux_frelons"}


async def test_a_new_intent_is_taken_back_as_a_whole(ines: Browser, console: RunningConsole, project: Project) -> None:
    project.write("data/rules.yml", RULE)
    project.write("domain.yml", project.read("domain.yml") + REPLY)
    project.git("add", "data/rules.yml")
    project.git("commit", "--quiet", "--all", "-m", "Règle et réponse", author=AUTHOR)
    assert 'data-testid="intent-remove"' not in (await ines.get(f"{PATH}/{INTENT}")).page
    moved = example(project, 1, "animaux")
    texts = "\r\n".join([*TEXTS, moved.text])
    wanted = {"parente": "animaux", "suite": "frelons", "definition": "Les nids.", "exemples": texts}
    await send(ines, "/atelier/intentions/nouvelle", **wanted)
    name = "animaux_frelons"
    (one,) = [e for e in Corpus.read(project).of(name) if e.text == moved.text]
    # Rewritten since, it still goes back to where it came from, as it stood there.
    await send(ines, f"{PATH}/{name}", geste="enregistrer", cle=key(one), texte="un furet dans le nid", vers=name)
    page = await ines.get(f"{PATH}/{name}")
    given = {"vu": page.hidden("vu")}
    unsure = await send(ines, f"/atelier/intentions/{name}/retirer", **given)
    assert unsure.status == 422
    async with commits_refused(console.database):
        assert (await send(ines, f"/atelier/intentions/{name}/retirer", confirme="oui", **given)).status == 500
    assert len(Corpus.read(project).of(name)) == 11
    done = await send(ines, f"/atelier/intentions/{name}/retirer", confirme="oui", **given)
    assert "Intention retirée" in plain(done)
    assert project.git("status", "--porcelain") == ""
    assert await console.rows("SELECT 1 FROM corrections WHERE undone_at IS NULL") == []
    (line,) = await console.rows("SELECT detail FROM audit WHERE action = 'intent_removed'")
    assert line.detail["intent"] == name
    again = await send(ines, f"/atelier/intentions/{name}/retirer", confirme="oui", **given)
    assert again.status == 409


async def test_when_the_rows_cannot_be_kept_the_files_are_put_back(
    ines: Browser, console: RunningConsole, project: Project
) -> None:
    before = project.read(NLU)
    await console.execute("ALTER TABLE corrections ADD CHECK (marked <> 'un vote refusé par la base')")
    answer = await send(ines, f"{PATH}/{INTENT}", geste="ajouter", texte="un vote accepté\nun vote refusé par la base")
    assert answer.status == 500
    assert project.read(NLU) == before
    assert await console.rows("SELECT id FROM corrections") == []
