"""The workbench's pictures for the trainers' guide: its real pages over invented conversations; no engine, nothing trained."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, expect

from bot.core.clock import SystemClock
from bot.core.dialogue import Reply, Turn, Understanding
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.embedded import Embedded
from bot.store.workbench.readings import NewReading, keep
from bot.trainer.candidates import Model
from bot.trainer.pseudonyms import pseudonymiser
from bot.trainer.trial import READY, State, Trial
from tests.browser.helpers import NAMES, someone
from tests.fakes import talks
from tests.fakes.console import RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine
from tests.fakes.project import copied
from tests.fakes.publishing import Launcher, World
from tests.fakes.trial import ScriptedCandidate, scripted_judge

AT = datetime(2026, 1, 15, 14, 20, tzinfo=timezone.utc)  # a Thursday, 15:20 in Paris
SIZE = {"width": 1280, "height": 800}
TRAINER = NAMES["trainer"]
LOST = "g perdu ma carte grise dans le tram à Lyon, rappelez Camille Durand au 06 12 34 56 78"
# (person, words, the two best intents with their chances): what the inbox shows.
READ = (
    ("Camille D.", LOST, ("perte_vol_documents", 0.38, "contravention", 0.30)),
    (
        "Nadia K.",
        "on a cabossé ma portière sur le parking, contre qui porter plainte",
        ("plainte_comment", 0.41, "contravention", 0.33),
    ),
    ("Paul V.", "qui peut aller voter à ma place si je suis hospitalisé", ("procuration", 0.5, "autre_procedure", 0.4)),
    (
        "Yann B.",
        "vous vendez des billets pour le concert de samedi ?",
        ("hors_perimetre", 0.44, "commissariat_contact_horaires", 0.2),
    ),
)
ASKED = "combien de temps faut-il attendre la réponse du procureur après une plainte"


class Known(ScriptedEngine):
    """The model in service of the pictures: it does not know « vélo »."""

    words: tuple[tuple[str, str, float, str], ...] = (
        ("vélo", "hors_perimetre", 0.34, "Pouvez-vous le dire avec d’autres mots\u202f?"),
    )

    def _read(self, text: str) -> Understanding:
        if "carte grise" in text:
            return Understanding(
                "perte_vol_documents", 0.38, (("perte_vol_documents", 0.38), ("contravention", 0.3)), danger=0.01
            )
        return super()._read(text)

    async def turn(self, sender: str, text: str, state: dict[str, Any] | None, payload: str | None = None) -> Turn:
        """Its answer to the words it knows, else the scripted one."""
        found = await super().turn(sender, text, state, payload)
        for word, intent, chance, said in self.words:
            if word in text:
                ranking = ((intent, chance), ("autre_procedure", round((1 - chance) / 2, 2)))
                meant = Understanding(intent, chance, ranking, danger=0.01)
                return replace(found, understanding=meant, replies=(Reply(said),), clarify=chance < 0.5)
        return found


class Learned(Known):
    """The candidate of the pictures: it has learnt."""

    words = (
        (
            "vélo",
            "plainte_comment",
            0.88,
            "Un vélo volé se déclare par une plainte, en ligne ou au commissariat de votre choix. Apportez la facture et le numéro "
            "gravé sur le cadre.",
        ),
    )


@dataclass
class Scene:
    """A console with everything that the pictures need."""

    console: RunningConsole
    world: World
    images: Path


@contextlib.asynccontextmanager
async def scene(images: Path) -> AsyncIterator[Scene]:
    """A console over a database and a project of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="planton-images-") as var,
        Embedded(Path(var) / "db", {"fsync": "off"}) as server,
    ):
        database = Database(server.url, size=8)
        await database.migrate()
        codec = Codec(base64.b64encode(bytes(range(32))).decode())
        clock = SystemClock(AT - datetime.now(timezone.utc))
        project = await asyncio.to_thread(copied, Path(var) / "planton")
        world = World(project, Path(var) / "var", database, clock)
        scripted = ScriptedCandidate(engine=Learned())
        changes = {
            "project": project,
            "var": world.var,
            "engine": Known(),
            "trial": Trial(scripted, scripted_judge()),
        }
        async with (
            running_console(database, server.url, codec, clock, **changes) as console,
            Launcher(world.var, world.models, world.first).running(),
        ):
            await console.user(TRAINER, "trainer")
            world.user = console.users[TRAINER]
            world.change("on m'a volé mon vélo électrique", "plainte_comment")
            made = await world.candidate()
            archive = world.models / "candidates" / f"{made}.tar.gz"
            scripted.state = State(READY, Model(archive, project.root), TRAINER)
            yield Scene(console, world, images)
        await database.close()


async def take_pictures(browser: Browser, images: Path) -> None:
    """Everything that the guide shows of the workbench."""
    await asyncio.to_thread(pseudonymiser().leftovers, "bonjour")  # the French model is read once
    async with scene(images) as made, someone(browser, made.console, "trainer", viewport=SIZE) as page:
        await _inbox(made, page)
        await _replies(made, page)
        await _talk(made, page)
        await _trial(made, page)
        await _models(made, page)


async def _taken(made: Scene, page: Page, name: str, height: int = SIZE["height"]) -> None:
    await page.set_viewport_size({"width": SIZE["width"], "height": height})
    await page.evaluate("window.scrollTo(0, 0)")
    await page.mouse.move(0, 0)
    await page.screenshot(path=made.images / f"atelier-{name}.png", animations="disabled")
    await page.set_viewport_size(SIZE)


async def _read(console: RunningConsole, person: str, words: str, ranking: tuple[Any, ...]) -> int:
    """Somebody wrote, and the model read it so."""
    _, event = await talks.turn(
        console,
        person,
        words,
        ranking[0],
        "Pouvez-vous le dire avec d’autres mots\u202f?",
        route="clarify",
        confidence=ranking[1],
        kept=False,
    )
    found = Understanding(ranking[0], ranking[1], ((ranking[0], ranking[1]), (ranking[2], ranking[3])), danger=0.01)
    now = console.clock.now()
    async with console.database.begin() as connection:
        await keep(connection, console.codec, [NewReading((event,), now, words, found, "clarify", True)], now)
    return event


async def _inbox(made: Scene, page: Page) -> None:
    """The list, then one message with its decision."""
    events = [await _read(made.console, person, words, ranking) for person, words, ranking in READ]
    for number, end in enumerate(("", " ?", " svp")):
        await _read(made.console, f"g{number}", ASKED + end, ("suivi_plainte", 0.48, "plainte_comment", 0.4))
    await page.goto(f"{made.console.url}/atelier")
    await expect(page.get_by_test_id("inbox-row").first).to_be_visible()
    await _taken(made, page, "messages")
    await page.goto(f"{made.console.url}/atelier/messages/{events[0]}")
    await expect(page.get_by_test_id("inbox-guesses")).to_be_visible()
    await _taken(made, page, "message", 1180)


async def _replies(made: Scene, page: Page) -> None:
    """A reply and both phones."""
    await page.goto(f"{made.console.url}/atelier/reponses/utter_permis_points")
    await expect(page.get_by_test_id("phone-messenger")).to_be_visible()
    await _taken(made, page, "reponse", 1000)


async def _talk(made: Scene, page: Page) -> None:
    """A conversation as the model saw it."""
    console = made.console
    number, _ = await talks.turn(
        console,
        "Hélène D.",
        "bonjour j'ai perdu mes papiers hier soir",
        "perte_vol_documents",
        "De quel document s’agit-il\u202f?",
        confidence=0.71,
        also=(("plainte_comment", 0.14), ("autre_procedure", 0.06)),
    )
    await talks.turn(
        console,
        "Hélène D.",
        "mon passeport",
        "perte_vol_documents",
        "Passeport perdu\u00a0: faites la déclaration de perte en demandant le nouveau.",
        confidence=0.93,
        entities={"document": "passeport"},
    )
    await talks.remembers(console, number, {"v": 1, "slots": {"document": "passeport"}, "question": None, "misses": 0})
    await page.goto(f"{console.url}/atelier/conversations/{number}")
    await page.get_by_test_id("talk-name").fill("papiers perdus, puis passeport")
    await _taken(made, page, "conversation")


async def _trial(made: Scene, page: Page) -> None:
    """Both models on one message."""
    await page.goto(f"{made.console.url}/atelier/essayer")
    await page.get_by_test_id("trial-message").fill("on m'a volé mon vélo cette nuit")
    await page.get_by_test_id("trial-send").click()
    await expect(page.get_by_test_id("trial-exchange")).to_have_count(1)
    await _taken(made, page, "cote-a-cote")


async def _models(made: Scene, page: Page) -> None:
    """A candidate that passes the gate."""
    await page.goto(f"{made.console.url}/atelier/modeles")
    await page.get_by_test_id("models-message").fill("Vol de vélo : dix exemples de plus")
    await _taken(made, page, "modeles")
