"""A trainer's whole day, everything real but Meta: ten messages misunderstood in the sandbox are corrected, a question of the
catalogue is written, the difference is read, a model is trained, compared, published; the sandbox answers rightly, and to that
question exactly; then all of it is taken back."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from bot.app.launcher import engine_environ, engine_python
from bot.core.catalogue import read
from bot.policy.intents import EMERGENCY, policy_of
from bot.policy.scripts import NONE
from bot.trainer.corpus import Corpus
from bot.trainer.project import Project
from scripts.screenshots import PORTS, ready
from tests.browser.helpers import accessible, picture
from tests.fakes.ports import free_port
from tests.fakes.project import AUTHOR, BLOCK, LINE, copied, thin

ROOT = Path(__file__).resolve().parents[2]
SUBJECT = "animaux"
RIGHT = "Animal trouvé ou perdu"  # how the reply about animals begins, and no other
# Known about animals before: hardly anything, and nothing of dogs.
KNOWN = ("une tortue traverse la route", "qui s'occupe des pigeons blessés", "un cygne est coincé dans le canal")
# More than are corrected: of some, the model in service is sure, rightly or not, and they do not come up by themselves.
SAID = (
    "mon chien a disparu depuis hier soir",
    "j'ai trouvé un chien sans collier",
    "le chien du voisin est attaché au soleil toute la journée",
    "perdu chien noir, que faire",
    "un chien errant dort devant chez moi",
    "mon chien s'est sauvé par le portail",
    "on maltraite un chien au troisième étage",
    "chien abandonné sur l'aire de repos",
    "ma chienne n'est pas rentrée",
    "qui appeler pour un chien blessé",
    "chien trouvé près de l'école",
    "un gros chien rôde sans laisse",
    "le chien d'en face a mordu mon fils",
    "chien perdu secteur gare",
    "des chiots laissés dans un carton",
    "un chien pleure dans une voiture fermée",
    "signaler un élevage de chiens douteux",
    "mon chien a mangé du poison",
    "j'ai recueilli un chien hier",
    "où déposer un chien trouvé",
)
CORRECTED = 10
ANEW = "bonjour, j'ai perdu mon chien ce matin"
# A question that the catalogue of this small project lacks, as a trainer writes it into the form: field → what is typed.
MOWING = {
    "question-examples": """le voisin tond sa pelouse le dimanche matin, c'est autorisé
à quelle heure a-t-on le droit de passer la tondeuse
jpeu sortir ma tondeuse 1 dimanche
horaires pour tondre le gazon chez soi
jusqu'à quelle heure la tondeuse est permise le soir
tondre la pelouse un jour férié, est-ce permis
mon voisin passe la tondeuse à 7h du matin, il a le droit
tondeuse thermique samedi aprem c bon ou pas""",
    "question-name": "tondeuse",
    "question-words": "À quelle heure peut-on passer la tondeuse\u202f?",
    "question-title": "Tondeuse, horaires",
    "question-text": "C’est votre mairie qui fixe les heures. Demandez-lui son arrêté sur le bruit.",
    "question-source": "https://www.service-public.gouv.fr/particuliers/vosdroits/F612",
    "question-seen": "26/03/2026",
    "question-review": "2028-10-01",
}
MOWS = "bonjour, à quelle heure j'ai le droit de passer la tondeuse chez moi"
PATIENCE = 900_000  # ms: a training, or a change of engines, on a machine that is busy with seven other things


@dataclass(frozen=True)
class Installation:
    """A demo that runs from a folder of its own. `url`: its sandbox."""

    project: Project
    url: str


def installed(folder: Path) -> Project:
    """The program itself in a folder, with little training data, and none about dogs."""
    project = thin(copied(folder))
    for name in ("bot", "actions", "scripts"):  # the program finds its folder by where it lies
        (folder / name).unlink()
        shutil.copytree(ROOT / name, folder / name)
    kept, inside = [], False
    for line in project.read("data/nlu.yml").splitlines(keepends=True):
        if line.startswith(BLOCK):
            inside = line.strip() == f"- intent: {SUBJECT}"
        if inside and line.startswith(LINE):
            continue
        kept.append(line)
        if inside and line.strip() == "examples: |":
            kept += [f"{LINE}{text}\n" for text in KNOWN]
    kept = [line for line in kept if not re.search(r"\bchiens?\b", line)]
    project.write("data/nlu.yml", "".join(kept))
    measures(project)
    project.git("commit", "--quiet", "--all", "--message", "Rien sur les chiens", author=AUTHOR)
    subprocess.run(
        [str(engine_python()), "-m", "bot.engine", "train"],
        cwd=folder,
        env=engine_environ(os.environ),
        check=True,
        capture_output=True,
    )
    return project


def measures(project: Project) -> None:
    """Measuring sets that so small a model passes, before and after: the first examples of each intent. What the gate stops has
    tests of its own."""
    project.path("tests/gold/baseline.json").unlink()  # the figures of a whole model
    project.write("tests/gold/scripts.tsv", f"text\tscript\tsecond\nbonjour, je cherche un commissariat\t{NONE}\t\n")
    sets: dict[str, list[str]] = {"intents": [], "emergency": []}
    first: dict[str, int] = {}
    for example in Corpus.read(project).examples:
        first[example.intent] = first.get(example.intent, 0) + 1
        if first[example.intent] <= 2:
            route = policy_of(example.intent).route
            sets["emergency" if route == EMERGENCY else "intents"].append(
                f"{example.text}\t{example.intent}\t\t{route}\n"
            )
    for name, rows in sets.items():
        project.write(f"tests/gold/{name}.tsv", "".join(["text\tintent\tsecond\troute\n", *rows]))


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Installation]:
    """`planton demo` from that folder, on free ports."""
    project = await asyncio.to_thread(installed, tmp_path / "planton")
    ports = {name: free_port() for name in PORTS}
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PLANTON_")}
    environ |= {f"PLANTON_{name}": str(port) for name, port in ports.items()}
    environ |= {"PLANTON_ENGINE_URL": f"http://127.0.0.1:{free_port()}", "PLANTON_DEBOUNCE_MS": "0"}
    process = subprocess.Popen([sys.executable, "-m", "bot", "demo"], cwd=project.root, env=environ)
    try:
        await ready(f"http://127.0.0.1:{ports['GATEWAY_PORT']}/readyz", process)
        yield Installation(project, f"http://127.0.0.1:{ports['SANDBOX_PORT']}/")
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 25) == 0


async def says(page: Page, words: str) -> str:
    """A new citizen says that; everything that is answered."""
    await page.get_by_role("button", name="Nouveau citoyen sur Messenger").click()
    bubbles = page.get_by_test_id("thread-messenger").locator("[data-bubbles] > li")
    await expect(bubbles).to_have_count(0)
    await page.get_by_test_id("text-messenger").fill(words)
    await page.get_by_test_id("send-messenger").click()
    await expect(page.get_by_test_id("thread-messenger").get_by_test_id("reply").first).to_be_visible(timeout=60_000)
    return await page.get_by_test_id("thread-messenger").inner_text()


async def test_a_trainers_day(demo: Installation, page: Page) -> None:
    project, start = demo.project, demo.project.head()
    await page.goto(demo.url)
    await page.select_option("#hour-choice", "15:00")
    await page.get_by_role("button", name="Régler").click()
    await page.wait_for_timeout(2500)
    for words in SAID:
        await says(page, words)
    assert RIGHT not in await says(page, ANEW)
    assert MOWING["question-text"] not in await says(page, MOWS)

    async with page.context.expect_page() as opened:
        await page.get_by_test_id("open-workbench").click()
    bench = await opened.value
    await corrects(bench, project)
    await writes(bench, project)
    await trains(bench)

    # Published: the sandbox answers rightly.
    await bench.get_by_test_id("workbench-tab-models").click()
    candidate = bench.get_by_test_id("models-candidate").first
    await expect(candidate).to_contain_text("passe le contrôle")
    await candidate.get_by_test_id("models-message").fill("Les chiens perdus, trouvés, maltraités")
    await picture(bench, "workbench-story-gate")
    await candidate.get_by_test_id("models-publish").click()
    await expect(bench.get_by_test_id("models-done")).to_contain_text("publié par", timeout=PATIENCE)
    await picture(bench, "workbench-story-published")
    assert RIGHT in await says(page, ANEW)
    assert MOWING["question-text"] in await says(page, MOWS)
    note = page.get_by_test_id("thread-messenger").get_by_test_id("note")
    await expect(note).to_contain_text(f"«\u00a0{MOWING['question-words']}\u00a0»", timeout=60_000)
    await expect(note).to_contain_text("réponse exacte")
    await picture(page, "workbench-story-answered")
    assert "Les chiens perdus" in project.git("log", "-1", "--format=%s%n%b")
    assert project.git("status", "--porcelain", "data", "domain.yml") == ""

    # Taken back: model and data are those of before.
    await bench.get_by_test_id("models-version").last.locator("summary").first.click()
    await bench.get_by_test_id("models-back").last.click()
    await expect(bench.get_by_test_id("models-done")).to_contain_text("Retour au modèle", timeout=PATIENCE)
    assert RIGHT not in await says(page, ANEW)
    assert MOWING["question-text"] not in await says(page, MOWS)
    assert project.git("diff", start, "--", "data") == ""
    assert int(project.git("rev-list", "--count", f"{start}..HEAD")) == 2


async def corrects(bench: Page, project: Project) -> None:
    """Ten messages are found in the inbox and given their subject; the difference is read."""
    await bench.wait_for_url("**/atelier")
    await expect(bench.get_by_test_id("inbox-row").first).to_be_visible()
    await picture(bench, "workbench-story-inbox")
    await bench.get_by_test_id("inbox-start").click()
    done: list[str] = []
    while True:
        words = await bench.get_by_test_id("inbox-words").inner_text()
        if words not in SAID:
            await bench.keyboard.press("p")
            await expect(bench.get_by_test_id("inbox-words")).not_to_have_text(words)
            continue
        await bench.keyboard.press("i")
        await bench.get_by_test_id("inbox-search").fill(SUBJECT)
        await bench.keyboard.press("ArrowDown")
        await bench.keyboard.press("Enter")
        await expect(bench.get_by_test_id("inbox-told")).to_be_visible()
        done.append(words)
        if len(done) == CORRECTED:
            break
        await expect(bench.get_by_test_id("inbox-words")).not_to_have_text(words)
    await bench.get_by_test_id("workbench-tab-changes").click()
    await expect(bench.get_by_test_id("change-line")).to_have_count(CORRECTED)
    await accessible(bench)
    await picture(bench, "workbench-story-changes")
    added = [line for line in project.git("diff", "data/nlu.yml").splitlines() if re.match(r"[+-] ", line)]
    assert sorted(added) == sorted(f"+{LINE}{words}" for words in done)


async def writes(bench: Page, project: Project) -> None:
    """A new question stands in the catalogue, without an error."""
    await bench.get_by_test_id("workbench-tab-catalogue").click()
    await bench.get_by_test_id("catalogue-new").click()
    await bench.get_by_test_id("question-topic").select_option("nuisances_sonores")
    for field, typed in MOWING.items():
        await bench.get_by_test_id(field).fill(typed)
    await bench.get_by_test_id("question-create").click()
    await expect(bench.get_by_test_id("question-told")).to_contain_text("Question créée")
    await expect(bench.get_by_test_id("question-fine")).to_be_visible()
    await picture(bench, "workbench-story-question")
    assert len(read(project.root).questions["nuisances_sonores/tondeuse"].examples) == 8


async def trains(bench: Page) -> None:
    """A candidate is trained and compared with the model in service."""
    await bench.get_by_test_id("workbench-tab-trainings").click()
    await bench.get_by_test_id("training-ask").click()
    await expect(bench.locator("#essai-fini")).to_be_visible(timeout=PATIENCE)
    await bench.locator("#essai-fini").get_by_role("link").click()
    await expect(bench.get_by_test_id("training-figures")).to_be_visible()
    await picture(bench, "workbench-story-comparison")
