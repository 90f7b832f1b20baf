"""Conversations of the workbench: who may read what, how they are found, stories and tests made of them."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator

import pytest

from bot.core.clock import FrozenClock
from bot.core.dialogue import Link
from bot.core.messages import Attachment, Message
from bot.store.codec import Codec
from bot.store.db import Database
from bot.trainer.project import Project
from bot.trainer.pseudonyms import pseudonymiser
from tests.fakes import project as projects
from tests.fakes import talks
from tests.fakes.console import Browser, RunningConsole, running_console
from tests.fakes.refusing import commits_refused

LIST = "/atelier/conversations"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Project:
    pseudonymiser().leftovers(
        "bonjour"
    )  # the French model is read once a process, which takes its time on a busy machine
    return projects.copied(tmp_path_factory.mktemp("talks") / "project", small=True)


@pytest.fixture
async def console(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock, files: Project
) -> AsyncIterator[RunningConsole]:
    start = files.head()
    async with running_console(database, database_url, codec, frozen_clock, wall, project=files) as running:
        yield running
    files.git("reset", "--quiet", "--hard", start)
    files.git("clean", "--quiet", "-fd", "tests", "data")


@pytest.fixture
async def ines(console: RunningConsole) -> AsyncIterator[Browser]:
    """A trainer who has logged in."""
    await console.user("Inès", "trainer")
    async with Browser(console) as browser:
        assert (await browser.log_in("Inès")).status == 303
        yield browser


def opened(page: str) -> list[str]:
    """Conversations of the list, in order."""
    return re.findall(r'href="/atelier/conversations/(\d+)" data-testid="talks-open"', page)


def plain(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


async def passport(console: RunningConsole) -> tuple[int, list[int]]:
    """Two turns: which document, then which. Returns the conversation and its events."""
    number, first = await talks.turn(
        console,
        "p1",
        "bonjour, c'est Karim Benali, j'ai perdu mes papiers",
        "perte_vol_documents",
        "De quel document s’agit-il ?",
        also=(("plainte_comment", 0.1),),
    )
    _, second = await talks.turn(
        console,
        "p1",
        "mon passeport",
        "perte_vol_documents",
        "Voici la marche à suivre.",
        entities={"document": "passeport"},
    )
    await console.named(number, "Karim Benali")
    return number, [first, second]


# -- the door --------------------------------------------------------------------------------------------------------


async def test_a_trainer_reads_here_what_the_agents_pages_keep_from_her(console: RunningConsole, ines: Browser) -> None:
    number, _ = await passport(console)
    note = console.codec.seal(b"un mot entre agents", "notes.body")
    await console.execute(
        "INSERT INTO notes (conversation_id, user_id, at, body) SELECT :id, id, now(), :body FROM users LIMIT 1",
        id=number,
        body=note,
    )
    page = await ines.get(f"{LIST}/{number}")
    assert page.status == 200
    assert "j&#39;ai perdu mes papiers" in page.page
    assert "un mot entre agents" not in page.page
    assert "Karim Benali" not in re.sub(r"c&#39;est Karim Benali", "", page.page)
    assert "/conversations/" + str(number) + '">Ouvrir la page des agents' not in page.page
    assert (await ines.get(f"/conversations/{number}")).status == 403
    assert (await ines.get(f"{LIST}/9999")).status == 404


@pytest.mark.parametrize(
    ("role", "opens"), [("agent", False), ("validator", False), ("auditor", True), ("administrator", True)]
)
async def test_who_opens_it(console: RunningConsole, someone: Browser, role: str, opens: bool) -> None:
    number, _ = await passport(console)
    await console.user("X", role)
    await someone.log_in("X")
    for path in (LIST, f"{LIST}/{number}", f"{LIST}/9999"):
        status = (await someone.get(path)).status
        assert status == (403 if not opens else 404 if path.endswith("9999") else 200)
    if role == "auditor":
        assert 'data-testid="talk-story"' not in (await someone.get(f"{LIST}/{number}")).page


async def test_reading_is_recorded_once_and_the_list_shows_no_words(console: RunningConsole, ines: Browser) -> None:
    number, _ = await passport(console)
    page = (await ines.get(LIST)).page
    assert opened(page) == [str(number)]
    assert "papiers" not in page
    assert "documents perdus ou volés" in plain(page)
    assert await console.audit() == [("login", None)]
    for _ in range(2):
        await ines.get(f"{LIST}/{number}")
    read = await console.rows("SELECT conversation_id FROM audit WHERE action = 'talk_read'")
    assert [row.conversation_id for row in read] == [number]


# -- finding ----------------------------------------------------------------------------------------------------------


async def test_conversations_are_found_by_what_was_made_of_them(console: RunningConsole, ines: Browser) -> None:
    answered, _ = await talks.turn(console, "a", "procuration", "procuration", "Voici.")
    once, _ = await talks.turn(console, "b", "euh", "hors_perimetre", "Pardon ?", route="clarify")
    twice, _ = await talks.turn(console, "c", "euh", "hors_perimetre", "Pardon ?", route="clarify")
    await talks.turn(console, "c", "bah", "procuration", "Un agent.", route="handoff", reason="incompris")
    two = await talks.turn(console, "d", "hmm", "procuration", "Pardon ?", route="clarify")
    await talks.turn(console, "d", "ah", "procuration", "Pardon ?", route="clarify")
    danger, _ = await talks.turn(console, "e", "il a un couteau", "danger_immediat", "Appelez le 17", route="emergency")
    silent = await console.says("f", "rien n'a été lu")
    expected = {
        "": [silent, danger, two[0], twice, once, answered],
        "voir=answer": [answered],
        "voir=clarify": [two[0], twice, once],
        "voir=twice": [two[0], twice],
        "voir=handoff": [twice],
        "voir=emergency": [danger],
        "sujet=procuration": [two[0], twice, answered],
        "voir=clarify&sujet=procuration": [two[0]],
        "voir=twice&sujet=procuration": [two[0]],
        "voir=nimporte&sujet=../etc": [silent, danger, two[0], twice, once, answered],
        "apres=abc": [silent, danger, two[0], twice, once, answered],
    }
    for query, wanted in expected.items():
        page = await ines.get(f"{LIST}?{query}")
        assert (page.status, opened(page.page)) == (200, [str(n) for n in wanted]), query


async def test_pages_follow_each_other_without_loss(console: RunningConsole, ines: Browser) -> None:
    everyone = []
    for n in range(35):
        number, _ = await talks.turn(console, f"p{n}", "procuration", "procuration", "Voici.", kept=False)
        everyone.append(str(number))
    await talks.turn(console, "p3", "encore", "procuration", "Voici.", kept=False)  # the newest now, and only once
    everyone.append(everyone.pop(3))
    for query in ("", "sujet=procuration", "voir=answer"):
        seen, path = [], f"{LIST}?{query}"
        while path:
            page = (await ines.get(path)).page
            seen += opened(page)
            found = re.search(r'href="([^"]+)" data-testid="next-page"', page)
            path = html.unescape(found[1]) if found else ""
        assert seen == everyone[::-1], query


# -- a conversation as the model saw it -----------------------------------------------------------------------------------


async def test_each_turn_shows_what_the_model_made_of_it(console: RunningConsole, ines: Browser) -> None:
    number, events = await passport(console)
    await talks.remembers(
        console,
        number,
        {
            "v": 1,
            "slots": {"document": "passeport", "relance": "x"},
            "question": {"slot": "perte_vol_documents", "at": 1},
            "misses": 1,
            "told": {"date": ["hier soir", 1]},
        },
    )
    page = (await ines.get(f"{LIST}/{number}")).page
    said = plain(page)
    assert 'aria-label="Classement des intentions"' in page
    for words in (
        "documents perdus ou volés",
        "82 %",
        "porter plainte",
        "10 %",
        "l’assistant répond",
        "Document : passeport",
        "De quel document s’agit-il ?",
        "Assistant",
        "a1b2c3d4",
        "Question en attente documents perdus ou volés",
        "Incompris de suite 1",
        "hier soir",
    ):
        assert words in said.replace("\u00a0", " "), words
    assert f'id="e{events[0]}"' in page


async def test_messages_read_together_are_one_turn(console: RunningConsole, ines: Browser) -> None:
    number, first = await talks.turn(console, "p", "bonjour", "procuration", kept=False)
    _, second = await talks.turn(console, "p", "pour voter", "procuration", "Voici.", kept=False)
    await console.execute("UPDATE events SET outbox_id = (SELECT max(id) FROM outbox)")
    page = (await ines.get(f"{LIST}/{number}")).page
    assert page.count('data-testid="talk-turn"') == 1
    assert "bonjour\npour voter" in page
    assert f'<span id="e{second}">' in page
    assert f'id="e{first}"' in page


async def test_what_people_send_is_shown_and_cannot_break_the_page(console: RunningConsole, ines: Browser) -> None:
    words = "<script>alert(1)</script> שלום " + "mot " * 600
    number, _ = await talks.turn(console, "p", words, "procuration", "<b>Voici</b>")
    await console.says(
        "p", "", Attachment("location", lat=48.85, long=2.35), Attachment("image", url="https://x/y.jpg")
    )
    page = (await ines.get(f"{LIST}/{number}")).page
    assert "<script>alert" not in page
    assert "<b>Voici" not in page
    assert "Lire la suite" in page
    assert "48.85" not in page  # where somebody is is none of a trainer's business
    assert "Position" in page


async def test_a_message_leads_to_its_place(console: RunningConsole, ines: Browser) -> None:
    number, first = await talks.turn(console, "p", "le tout premier", "procuration", "Voici.")
    for n in range(130):
        await console.says("p", f"m{n}")
    page = (await ines.get(f"{LIST}/{number}")).page
    assert "le tout premier" not in page
    assert 'data-testid="older"' in page
    page = (await ines.get(f"{LIST}/{number}?message={first}")).page
    assert "le tout premier" in page
    assert 'data-testid="newest"' in page
    older = re.search(r'href="([^"]+avant=[^"]+)"', (await ines.get(f"{LIST}/{number}")).page)
    assert older is not None
    assert "m20" in (await ines.get(older[1])).page


# -- stories and tests --------------------------------------------------------------------------------------------------


async def prepared(
    browser: Browser, number: int, kind: str, name: str, events: list[int], **more: str
) -> tuple[int, str]:
    page = await browser.get(f"{LIST}/{number}")
    fields = [("csrf", page.hidden("csrf")), ("sorte", kind), ("nom", name), *(("message", str(e)) for e in events)]
    answer = await browser._client.post(
        browser._console.url + f"{LIST}/{number}/{more.pop('to', 'preparer')}",
        data=[*fields, *more.items()],
        allow_redirects=False,
    )
    return answer.status, await answer.text()


async def test_a_conversation_becomes_a_story_and_can_be_taken_back(
    console: RunningConsole, ines: Browser, files: Project
) -> None:
    number, events = await passport(console)
    before = files.read("data/stories.yml")
    status, page = await prepared(ines, number, "story", "papiers, puis passeport de Lyon", events)
    assert status == 200
    assert "- document: passeport" in page
    assert files.read("data/stories.yml") == before
    status, _ = await prepared(ines, number, "story", "papiers, puis passeport de Lyon", events, to="ajouter")
    assert status == 303
    added = files.git("diff", "--unified=0", "data/stories.yml").splitlines()
    assert [line for line in added if line.startswith("-") and not line.startswith("---")] == []
    assert "+- story: papiers, puis passeport de Lyon" in added
    assert "Karim" not in files.read("data/stories.yml")
    page = (await ines.get(f"{LIST}/{number}")).page
    assert "papiers, puis passeport de Lyon" in page
    made = re.search(r'name="fait" value="(\d+)"', page)
    assert made is not None
    csrf = (await ines.get(LIST)).hidden("csrf") or (await ines.get(f"{LIST}/{number}")).hidden("csrf")
    assert (await ines.post(f"{LIST}/{number}/annuler", csrf=csrf, fait=made[1])).status == 303
    assert files.read("data/stories.yml") == before
    assert (await ines.post(f"{LIST}/{number}/annuler", csrf=csrf, fait=made[1])).status == 409
    assert [a for a, _ in await console.audit()][-2:] == ["story_added", "story_undone"]


async def test_every_word_of_a_test_is_looked_through_or_refused(
    console: RunningConsole, ines: Browser, files: Project
) -> None:
    mail = "camille.durand@courrier.invalid"
    number, first = await talks.turn(console, "p1", "mot " * 450, "procuration", "Voici.")
    events = [first]
    for _ in range(5):
        events.append((await talks.turn(console, "p1", "mot " * 450, "procuration", "Voici."))[1])
    _, long = await talks.turn(console, "p1", "mot " * 1_600 + mail, "procuration", "Voici.")
    status, page = await prepared(ines, number, "test", "un long message", [long])
    assert status == 422
    assert "plus de 2000" in page
    status, page = await prepared(ines, number, "test", "de longs messages", events)
    assert status == 422
    assert "plus de 10000" in page
    words = "mot " * 1_600 + mail
    given = {f"mots_{first}": words, "to": "ajouter"}
    status, page = await prepared(ines, number, "test", "un long message", [first], **given)
    assert status == 422
    assert "plus de 2000" in page
    assert mail in page  # what was typed stays
    assert not list(files.path("tests/engine/conversations").glob("*long*"))


async def test_a_story_and_its_row_come_and_go_together(console: RunningConsole, ines: Browser, files: Project) -> None:
    number, events = await passport(console)
    before = files.read("data/stories.yml")
    async with commits_refused(console.database):
        assert (await prepared(ines, number, "story", "une suite", events, to="ajouter"))[0] == 500
        assert (
            await prepared(
                ines,
                number,
                "test",
                "une suite",
                events,
                to="ajouter",
                **{f"mots_{events[0]}": "perdu mes papiers", f"mots_{events[1]}": "passeport"},
            )
        )[0] == 500
    assert files.read("data/stories.yml") == before
    assert not list(files.path("tests/engine/conversations").glob("*suite*"))
    await prepared(ines, number, "story", "une suite", events, to="ajouter")
    added = files.read("data/stories.yml")
    page = await ines.get(f"{LIST}/{number}")
    fields = {"csrf": page.hidden("csrf"), "fait": page.hidden("fait")}
    async with commits_refused(console.database):
        assert (await ines.post(f"{LIST}/{number}/annuler", **fields)).status == 500
    assert files.read("data/stories.yml") == added != before
    # Given up with its file, it counts as taken back.
    page = await ines.get("/atelier/changements")
    given = {"csrf": page.hidden("csrf"), "fichier": "data/stories.yml", "vu": page.hidden("vu"), "confirme": "oui"}
    assert (await ines.post("/atelier/changements/abandonner", **given)).status == 303
    assert files.read("data/stories.yml") == before
    assert await console.rows("SELECT 1 FROM stories_made WHERE undone_at IS NULL") == []


async def test_what_was_edited_since_is_not_taken_back(console: RunningConsole, ines: Browser, files: Project) -> None:
    number, events = await passport(console)
    await prepared(ines, number, "story", "une suite", events, to="ajouter")
    files.write(
        "data/stories.yml", files.read("data/stories.yml").replace("story: une suite", "story: une autre suite")
    )
    page = await ines.get(f"{LIST}/{number}")
    made = re.search(r'name="fait" value="(\d+)"', page.page)
    assert made is not None
    refused = await ines.post(f"{LIST}/{number}/annuler", csrf=page.hidden("csrf"), fait=made[1])
    assert refused.status == 409
    assert "a été modifié ou retiré depuis" in plain(refused.page)
    assert "une autre suite" in files.read("data/stories.yml")


@pytest.mark.parametrize(
    ("name", "kind", "chosen", "why"),
    [
        ("", "story", True, "Il manque un nom"),
        ("x" * 90, "story", True, "compte 90 caractères"),
        ("quelle ville", "story", True, "s’appelle déjà"),
        ("une suite", "story", False, "Aucun message n’est choisi"),
        ("une suite", "autre", True, "Ni histoire ni test"),
        ("quel document, perdu ou volé !", "test", False, "Aucun message n’est choisi"),
    ],
)
async def test_what_makes_no_story_is_refused_in_french(
    console: RunningConsole, ines: Browser, files: Project, name: str, kind: str, chosen: bool, why: str
) -> None:
    number, events = await passport(console)
    before = files.read("data/stories.yml")
    for to in ("preparer", "ajouter"):
        status, page = await prepared(ines, number, kind, name, events if chosen else [], to=to)
        assert status == 422
        assert why in plain(page)
    assert files.read("data/stories.yml") == before


async def test_a_test_holds_the_words_that_were_confirmed_and_no_others(
    console: RunningConsole, ines: Browser, files: Project
) -> None:
    number, events = await passport(console)
    status, page = await prepared(ines, number, "test", "papiers de Karim", events)
    assert status == 200
    assert 'data-testid="pseudonyms-one"' in page  # his name has a stand-in
    words = re.findall(r'data-testid="talk-words"[^>]*>\n([^<]*)</textarea>', page)
    assert len(words) == 2
    assert "Karim Benali" not in words[0]
    own = {f"mots_{events[0]}": "bonjour, j'ai perdu mes papiers à Lyon", f"mots_{events[1]}": "mon passeport"}
    status, page = await prepared(ines, number, "test", "papiers retrouvés", events, to="ajouter", **own)
    assert status == 303, plain(page)
    written = list(files.path("tests/engine/conversations").glob("*.yml"))
    assert [path.name for path in written] == ["01_papiers_retrouves.yml"]
    text = written[0].read_text()
    assert "- user: 'bonjour, j''ai perdu mes papiers à Lyon'" in text
    assert "Karim" not in text
    assert "intent: perte_vol_documents" in text
    assert files.git("log", "-1", "--format=%an|%s", "--stat").split("\n")[0] == "Inès|Test : papiers retrouvés"
    assert files.git("show", "--name-only", "--format=").split() == [
        "tests/engine/conversations/01_papiers_retrouves.yml"
    ]
    page = await ines.get(f"{LIST}/{number}")
    fields = {"csrf": page.hidden("csrf"), "fait": page.hidden("fait")}
    assert (await ines.post(f"{LIST}/{number}/annuler", **fields)).status == 303
    assert not written[0].exists()
    assert files.git("log", "-1", "--format=%an|%s").strip() == "Inès|Test annulé : papiers retrouvés"
    assert files.git("status", "--porcelain") == ""


async def test_personal_data_left_in_a_test_is_refused_until_the_trainer_says_that_it_is_none(
    console: RunningConsole, ines: Browser, files: Project
) -> None:
    number, events = await passport(console)
    own = {
        f"mots_{events[0]}": "appelez-moi au 06 12 34 56 78, j'ai perdu mes papiers",
        f"mots_{events[1]}": "passeport",
    }
    status, page = await prepared(ines, number, "test", "un numéro", events, to="ajouter", **own)
    assert status == 422
    assert "06 12 34 56 78" in page
    assert not list(files.path("tests/engine/conversations").glob("*.yml"))
    status, _ = await prepared(
        ines, number, "test", "un numéro", events, to="ajouter", pas_personnel="06 12 34 56 78", **own
    )
    assert status == 303


async def test_an_emergency_makes_no_story(console: RunningConsole, ines: Browser) -> None:
    number, event = await talks.turn(console, "e", "il a un couteau", "danger_immediat", "Le 17", route="emergency")
    assert 'data-testid="talk-tick"' not in (await ines.get(f"{LIST}/{number}")).page
    status, page = await prepared(ines, number, "story", "danger", [event])
    assert (status, "Aucun message n’est choisi" in plain(page)) == (422, True)


async def test_messages_of_others_cannot_be_slipped_in(console: RunningConsole, ines: Browser) -> None:
    number, events = await passport(console)
    _, foreign = await talks.turn(console, "p2", "un secret", "procuration", "Voici.")
    status, page = await prepared(ines, number, "test", "mélange", [*events, foreign])
    assert status == 200
    assert "un secret" not in page


async def test_an_auditor_writes_nothing(console: RunningConsole, odile: Browser, files: Project) -> None:
    number, events = await passport(console)
    for to in ("preparer", "ajouter", "annuler"):
        assert (await prepared(odile, number, "story", "x", events, to=to))[0] == 403


async def test_a_tap_stays_a_tap(console: RunningConsole, ines: Browser) -> None:
    number, event = await talks.turn(
        console,
        "p",
        "",
        "plainte_comment",
        "Voici.",
        body=Message("Porter plainte", quick_reply="/plainte_comment"),
        kept=False,
    )
    await console.execute("UPDATE events SET kind = 'quick_reply' WHERE id = :id", id=event)
    status, page = await prepared(ines, number, "test", "une touche", [event])
    assert status == 200
    assert "payload: &#39;/plainte_comment&#39;" in page


async def test_without_the_files_the_page_reads_and_says_that_it_cannot_write(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock
) -> None:
    async with running_console(database, database_url, codec, frozen_clock, wall) as console, Browser(console) as ines:
        await console.user("Inès", "trainer")
        await ines.log_in("Inès")
        number, events = await passport(console)
        assert (await ines.get(f"{LIST}/{number}")).status == 200
        status, page = await prepared(ines, number, "story", "x", events)
        assert status == 503
        assert "n’est pas sur cette machine" in plain(page)


async def test_an_older_conversation_has_no_ranking(console: RunningConsole, ines: Browser) -> None:
    number, _ = await talks.turn(console, "p", "procuration", "procuration", "Voici.", kept=False)
    page = plain((await ines.get(f"{LIST}/{number}")).page)
    assert "non conservé pour ce message" in page
    assert "82" in page


async def test_the_page_that_a_reply_names_is_a_button(console: RunningConsole, ines: Browser) -> None:
    link = Link("La fiche", "https://www.service-public.gouv.fr/particuliers/vosdroits/F1")
    number, _ = await talks.turn(console, "p1", "un chat perdu", "procuration", f"Oui.\n{link.line}", links=(link,))
    page = (await ines.get(f"{LIST}/{number}")).page
    assert f'<a href="{link.url}" title="{link.url}" target="_blank" rel="noopener noreferrer"' in page
    assert link.line not in html.unescape(page)
