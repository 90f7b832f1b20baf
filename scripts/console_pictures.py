"""The console's pictures for the agents' guide: its real pages over invented conversations, without the engine."""

from __future__ import annotations

import base64
import contextlib
import tempfile
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from playwright.async_api import Browser, expect

from bot.core.clock import SystemClock
from bot.core.dialogue import Understanding
from bot.core.messages import Platform
from bot.store import understanding
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.embedded import Embedded
from bot.store.teams import Teams
from tests.browser.helpers import NAMES, live, someone, taken
from tests.browser.test_console_steering import month
from tests.fakes.console import RunningConsole, running_console
from tests.scenario.system import System, running

AT = datetime(2026, 1, 15, 14, 20, tzinfo=timezone.utc)  # a Thursday, 15:20 in Paris
SIZE = {"width": 1280, "height": 800}
AGENT, CHIEF, CABINET, COLLEAGUE = NAMES["agent"], NAMES["validator"], "Carole Petit", "Yanis Diallo"
FB, IG = Platform.MESSENGER, Platform.INSTAGRAM

# (name, what they say, category, why it was handed off, minutes ago, platform)
WAITING = (
    ("Karim T.", "quelqu’un essaie d’entrer chez moi", "emergency", "emergency_lexicon", 1, FB),
    ("Sofiane K.", "ma fille n’est pas rentrée du collège", "urgent", "disparition", 24, FB),
    ("Lucie M.", "mon ex me menace tous les jours par message", "sensitive", "violences_conjugales", 47, IG),
    ("Paul V.", "j’ai vu l’accident d’hier rue des Lilas", "witness", "temoignage_info_enquete", 130, FB),
    ("Hélène D.", "toujours aucune nouvelle de ma plainte", "complaint", "reclamation_delai", 500, FB),
    ("Inès R.", "je veux parler à quelqu’un pour mon dossier", "request", "parler_humain", 190, IG),
)
COMPLAINT = "votre collègue m’a mal parlé pendant un contrôle hier à Lyon"
REPLY = (
    "Bonjour Nadia, nous regrettons la façon dont ce contrôle s’est passé. Vous pouvez saisir l’inspection générale de la "
    "police nationale (IGPN) en ligne : votre signalement sera lu et suivi."
)
FLOOD = "Une forte crue touche le centre-ville. N’allez pas sur les quais et montez à l’étage. En danger : 17 ou 112, SMS au 114."
BRIDGE = "Est-ce que le pont de la gare est fermé ? Quand est-ce qu’il va rouvrir ?"
ALIKE = (
    BRIDGE,
    "est ce que le pont de la gare est fermé, quand est ce qu il va rouvrir",
    BRIDGE.upper(),
    BRIDGE + " Merci",
    "Pardon, " + BRIDGE,
    "🌊 " + BRIDGE,
    BRIDGE + " SVP",
    "Est ce que le pont de la gare est fermé ?? Quand est-ce qu’il va rouvrir",
)
CLOSED = "Le pont de la gare est fermé jusqu’à nouvel ordre. La préfecture publie l’heure de réouverture dès qu’elle est connue."


@contextlib.asynccontextmanager
async def console_of_the_pictures() -> AsyncIterator[tuple[RunningConsole, System]]:
    """A console over a database of its own, with gateway, worker and sender beside it."""
    with tempfile.TemporaryDirectory(prefix="planton-images-") as var, Embedded(Path(var), {"fsync": "off"}) as server:
        database = Database(server.url, size=8)
        await database.migrate()
        codec = Codec(base64.b64encode(bytes(range(32))).decode())
        clock = SystemClock(AT - datetime.now(timezone.utc))
        async with (
            running_console(database, server.url, codec, clock) as console,
            running(server.url, codec, Path(var), at=AT) as system,
        ):
            await _people(console)
            yield console, system
        await database.close()


async def take_pictures(browser: Browser, images: Path) -> None:
    """Everything that the guide shows of the console."""
    async with console_of_the_pictures() as (console, citizens):
        await _queue(browser, console, images)
        number = await _conversation(browser, console, images)
        await _validation(browser, console, images, number)
        await _search(browser, console, images)
        await _steering(browser, console, images)
        await _crisis(browser, console, citizens, images)


async def _people(console: RunningConsole) -> None:
    """Accounts, levels and two teams."""
    for name, role in ((AGENT, "agent"), (COLLEAGUE, "agent"), (CHIEF, "validator"), (CABINET, "validator")):
        await console.user(name, role)
    alix = await console.user(NAMES["administrator"], "administrator")
    for name, level in ((CHIEF, "service"), (CABINET, "cabinet")):
        await console.execute("UPDATE users SET validation_level = :level WHERE name = :name", level=level, name=name)
    teams = Teams(console.database)
    for team in ("Recrutement", "Réclamations"):
        await teams.add(alix, team, console.clock.now())


async def _settled(console: RunningConsole, number: int) -> None:
    """What was handed off by hand is nothing that the worker still has to look at."""
    await console.execute(
        "UPDATE events SET disposition = 'handed_off', settled_at = received_at WHERE conversation_id = :id", id=number
    )
    await console.execute("UPDATE conversations SET due_at = NULL WHERE id = :id", id=number)


async def _waits(
    console: RunningConsole, name: str, said: str, category: str, reason: str, minutes: int, platform: Platform
) -> int:
    """A conversation that has waited for so many minutes."""
    at = console.clock.now() - timedelta(minutes=minutes)
    number = await console.says(f"de {name}", said, at=at, platform=platform)
    await console.named(number, name)
    await _settled(console, number)
    await console.hand_off(number, category, reason, at=at)
    return number


async def _queue(browser: Browser, console: RunningConsole, images: Path) -> None:
    for line in WAITING:
        number = await _waits(console, *line)
    await console.execute(
        "UPDATE handoffs SET team_id = (SELECT id FROM teams WHERE name = 'Recrutement') WHERE conversation_id = :id",
        id=number,
    )
    async with someone(browser, console, name=AGENT, viewport={"width": 1280, "height": 985}) as page:
        await page.get_by_test_id("queue-refine").click()
        await expect(page.get_by_test_id("queue-row")).to_have_count(len(WAITING))
        await live(page)
        await page.screenshot(path=images / "file.png")
    async with someone(browser, console, name=AGENT, viewport={"width": 390, "height": 780}) as phone:
        await phone.screenshot(path=images / "telephone.png")


async def _conversation(browser: Browser, console: RunningConsole, images: Path) -> int:
    """A complaint in an agent's hands: the composer with its canned replies, then the hand-over, then the keys."""
    number = await _waits(console, "Nadia B.", COMPLAINT, "complaint", "reclamation_police", 38, IG)
    async with console.database.begin() as connection:
        event = (await console.rows("SELECT id FROM events WHERE conversation_id = :id", id=number))[0].id
        found = Understanding("reclamation_police", 0.94, entities={"ville": "Lyon", "date": "hier"})
        await understanding.keep(connection, console.codec, [event], found)
    await console.execute(
        "UPDATE events SET intent = 'reclamation_police', confidence = 0.94, route = 'handoff' WHERE id = :id", id=event
    )
    then = console.clock.now() - timedelta(minutes=37)
    await console.bot_says(
        number,
        "Je suis désolé de ce que vous décrivez. Un agent va lire votre message. À quelle heure était-ce ?",
        sent_at=then,
        read_at=then,
        created_at=then,
    )
    await _settled_message(console, "de Nadia B.", "vers 18 h, place Bellecour", 36)
    async with (
        someone(browser, console, name=AGENT, viewport={"width": 1280, "height": 900}) as page,
        someone(browser, console, name=COLLEAGUE) as other,
    ):
        await taken(page, console, number)
        await other.goto(f"{console.url}/conversations/{number}")
        await expect(page.get_by_test_id("presence")).to_contain_text(COLLEAGUE)
        await page.get_by_test_id("note-open").click()
        await page.get_by_test_id("note-text").fill("Déjà reçue au commissariat le 8 janvier.")
        await page.get_by_test_id("note-add").click()
        await expect(page.get_by_test_id("note")).to_be_visible()
        await page.get_by_test_id("composer").fill("/")
        await page.get_by_test_id("composer").press_sequentially("igpn")
        await expect(page.get_by_test_id("canned-option").first).to_be_visible()
        await page.screenshot(path=images / "conversation.png")
        await page.get_by_test_id("composer").fill("")
        await page.get_by_test_id("transfer-open").click()
        await page.get_by_test_id("transfer-to").select_option(label="Réclamations")
        await page.get_by_test_id("transfer-word").fill("L’heure et le lieu sont notés.")
        await page.screenshot(path=images / "transferer.png", clip={"x": 0, "y": 60, "width": 1280, "height": 600})
        await page.keyboard.press("Escape")
        await page.get_by_role("heading", level=1).click()
        await page.keyboard.press("?")
        await expect(page.get_by_test_id("keys-dialog")).to_be_visible()
        await page.screenshot(path=images / "raccourcis.png")
    return number


async def _settled_message(console: RunningConsole, person: str, said: str, minutes: int) -> None:
    at = console.clock.now() - timedelta(minutes=minutes)
    await _settled(console, await console.says(person, said, at=at, platform=IG))


async def _validation(browser: Browser, console: RunningConsole, images: Path, number: int) -> None:
    await console.execute("UPDATE validation_rules SET steps = '{service,cabinet}' WHERE category = 'complaint'")
    async with (
        someone(browser, console, name=AGENT) as page,
        someone(browser, console, name=CHIEF, viewport=SIZE) as chief,
    ):
        await page.goto(f"{console.url}/conversations/{number}")
        await page.get_by_test_id("composer").fill(REPLY)
        await page.get_by_test_id("send").click()
        await expect(page.get_by_test_id("validation-state")).to_be_visible()
        await chief.goto(f"{console.url}/validation")
        await chief.get_by_test_id("validation-row").first.get_by_role("link").click()
        await chief.get_by_test_id("validation-amend-open").scroll_into_view_if_needed()
        await live(chief)
        await chief.screenshot(path=images / "validation.png")


async def _search(browser: Browser, console: RunningConsole, images: Path) -> None:
    """Accents and inflection do not matter: « velos voles » finds the three."""
    for name, said, minutes in (
        ("Anaïs G.", "on m’a volé mon vélo devant la gare, que faire ?", 3000),
        ("Marc P.", "Un voisin vend des vélos volés dans notre rue", 700),
    ):
        number = await _waits(console, name, said, "request", "parler_humain", minutes, FB)
    async with someone(browser, console, name=AGENT, viewport=SIZE) as page:
        await taken(page, console, number)
        await page.get_by_test_id("note-open").click()
        await page.get_by_test_id("note-text").fill("Vélos volés : la gardienne de l’immeuble a tout vu.")
        await page.get_by_test_id("note-add").click()
        await expect(page.get_by_test_id("note")).to_be_visible()
        await page.get_by_test_id("nav-search").click()
        await page.get_by_test_id("search-query").fill("velos voles")
        await page.get_by_test_id("search-query").press("Enter")
        await expect(page.get_by_test_id("search-row")).to_have_count(3)
        await page.screenshot(path=images / "recherche.png")


async def _steering(browser: Browser, console: RunningConsole, images: Path) -> None:
    await month(console)
    async with someone(browser, console, name=CHIEF, viewport={"width": 1280, "height": 1120}) as page:
        await page.goto(f"{console.url}/pilotage?periode=7")
        await live(page)
        await page.screenshot(path=images / "pilotage.png")


async def _crisis(browser: Browser, console: RunningConsole, citizens: System, images: Path) -> None:
    """The mode is open, eight people ask the same, one message waits to be read, and the reply is ready to leave."""
    async with (
        someone(browser, console, name=AGENT) as page,
        someone(browser, console, name=CABINET) as cabinet,
        someone(browser, console, "administrator", viewport={"width": 1280, "height": 1000}) as alix,
    ):
        for each in (page, cabinet, alix):
            await each.goto(f"{console.url}/crise")
        await page.get_by_test_id("crisis-message").fill(FLOOD)
        await page.get_by_test_id("crisis-write").click()
        await cabinet.get_by_test_id("crisis-validate").click()
        await alix.get_by_test_id("crisis-opening").click()
        await alix.get_by_test_id("crisis-open").click()
        for i, words in enumerate(ALIKE):
            await citizens.say(f"41{i:02}", words)
        await citizens.say("4200", BRIDGE + " igpn")
        await citizens.settled(timeout=30)
        group = alix.get_by_test_id("crisis-group")
        await expect(group.locator("dd").first).to_have_text(str(len(ALIKE)), timeout=30_000)
        await group.get_by_role("link").click()
        await page.goto(alix.url)
        await page.get_by_test_id("group-reply").fill(CLOSED)
        await page.get_by_test_id("group-write").click()
        await cabinet.goto(alix.url)
        await cabinet.get_by_test_id("group-validate").click()
        await expect(alix.get_by_test_id("group-start")).to_be_visible()
        await alix.reload()
        await live(alix)
        await alix.screenshot(path=images / "crise.png")
