"""Stored scripts, in real Chromium: what could run is planted in every field, every page is walked, nothing runs.

The policy of contents is there as well, but what is escaped never meets it: one report of it fails the walk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from playwright.async_api import Browser, Page, Response, async_playwright, expect

from bot.core.messages import Attachment, Echo, Edit, Postback, Reaction, Referral
from bot.store.conversations import PROFILE
from bot.store.desk.access import Desk
from bot.store.desk.drafts import DraftStore
from bot.store.desk.holds import HoldStore
from bot.store.desk.notes import NoteStore
from bot.store.desk.validation import ValidationStore
from bot.store.user import User
from bot.trainer.project import Project
from tests.browser import test_console_walk as walk
from tests.browser.conftest import ARGUMENTS, chromium_path, part  # noqa: F401 (fixtures)
from tests.browser.helpers import NAMES, enter
from tests.browser.test_console_walk import address, console, furnished, pages, project  # noqa: F401 (fixtures)
from tests.browser.test_workbench_inbox import SAID, read
from tests.fakes.console import RunningConsole
from tests.fakes.trial import candidate

WATCH = """
    window.pris = 0;
    document.addEventListener('securitypolicyviolation', (e) => console.error('refused: ' + e.violatedDirective));
"""
# What a page says and what its fields hold.
READ = """() => [document.body.textContent, ...[...document.querySelectorAll('input, textarea, option, details')].map((one) =>
    one.value || one.textContent)].join('\\n')"""
DIRECTIVES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def trap(label: str) -> str:
    """Runs wherever it is not text: as markup, out of an attribute, in a script, in a template."""
    return (
        f"</p>\"'><img src=x alt={label} onerror=pris=1><script>pris=1</script><svg onload=pris=1>{{%raw%}}`-pris=1-`"
    )


@pytest.fixture
async def browser(chromium_path: str) -> AsyncIterator[Browser]:  # noqa: F811
    """A browser of its own: that of the pages' tests does not leave their folder."""
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=chromium_path, args=list(ARGUMENTS))
        yield opened
        await part(opened)
        await opened.close()


@pytest.fixture
async def planted(
    console: RunningConsole,  # noqa: F811
    project: Project,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[User, dict[str, int], int]:
    """(an administrator, one of everything, a conversation of theirs)."""
    monkeypatch.setattr(walk, "MESSAGE", trap("crisis"))
    monkeypatch.setattr(walk, "ASKED", walk.ASKED + trap("group"))
    boss = await console.user(NAMES["administrator"], "administrator")
    one = await furnished(console)
    number, now = one["conversations"], console.clock.now()
    hostile = 'https://ailleurs.example/"><script>pris=1</script>'
    await console.says(
        "n", trap("words"), Attachment("fallback", "javascript:pris=1", title=trap("title")),
        Attachment("file", hostile, title=trap("file")), Attachment("location", title=trap("place"), lat=1.0, long=2.0),
        mid="hostile",
    )  # fmt: skip
    for body, mid in (
        (Postback(trap("tap"), trap("payload"), referral=trap("referral")), "x1"),
        (Referral(trap("ref"), trap("source")), "x2"),
        (Edit("n2", trap("edit"), 1), "x3"),
        (Reaction("hostile", "react", "<script>pris=1</script>", trap("reaction")), "x4"),
        (Echo(trap("echo"), app_id="1"), "x5"),
    ):
        await console.event("n", body, mid)
    profile = console.codec.seal_json({"name": trap("name"), "username": trap("handle")}, PROFILE)
    await console.execute("UPDATE conversations SET profile = :p WHERE id = :id", p=profile, id=number)
    await console.bot_says(number, trap("reply"), "failed", error_slug="media", error_remedy=trap("remedy"))
    slots = {"ville": trap("slot"), "date": trap("date"), "lieu": trap("spot")}
    await console.hand_off(number, "complaint", "reclamation_police", slots=slots)
    mine = await console.waiting("z", trap("other"))
    await console.execute("UPDATE conversations SET owner = 'agent', agent_id = :u WHERE id = :id", u=boss.id, id=mine)
    desk = Desk(console.database, console.codec, {})
    await NoteStore(desk).write(boss, number, trap("note"), "k", now)
    await DraftStore(desk).keep(boss, mine, trap("draft"), 0, "k", now)
    await HoldStore(desk).place(boss, mine, trap("hold"), now)
    await refused(console, desk, boss)
    for statement in (
        "INSERT INTO canned_replies (shortcut, title, body, updated_at) VALUES ('attaque', :canned, :body, now())",
        "UPDATE teams SET name = :team",
        "UPDATE users SET name = :user, email = :mail WHERE name = 'Claire Martin'",
        "INSERT INTO audit (action, detail) VALUES ('intent_added', jsonb_build_object('intent', CAST(:detail AS text)))",
        """INSERT INTO publications (kind, model, author, message, reason, state, asked_at, finished_at)
           VALUES ('publish', 'abc', :author, :message, :reason, 'done', now(), now())""",
        "UPDATE events SET reason = 'inbox_reply' WHERE kind = 'echo'",
        """INSERT INTO publications (kind, model, author, message, reason, state, failure, remedy, asked_at, finished_at)
           VALUES ('publish', 'abc', :author, :message, :reason, 'failed', :failure, :cure, now(), now())""",
    ):
        values = {name: trap(label) for name, label in PLAIN.items() if f":{name}" in statement}
        await console.execute(statement, **values)
    talk = one["atelier/conversations"]
    await console.execute(
        """INSERT INTO stories_made (conversation_id, at, user_id, kind, name, file, text)
           VALUES (:id, now(), :user, 'story', :story, 'data/stories.yml', :lines)""",
        id=talk, user=boss.id, story=trap("story"), lines=trap("lines"),
    )  # fmt: skip
    await console.execute("UPDATE submissions SET raised_at = :at", at=now - timedelta(minutes=1))
    one["atelier/messages"] = await read(console, "w9", trap("reading"), *SAID[1][1])
    candidate(project, "0123456789abcdef", trap("trainer"))
    project.path("models/abc.tar.gz").write_bytes(b"no real model")
    nlu, domain = project.read("data/nlu.yml"), project.read("domain.yml")
    project.write("data/nlu.yml", nlu.replace("      - procuration\n", f"      - {trap('example')}\n", 1))
    begin = "  utter_procuration:\n  - text: |-\n"
    assert begin in domain
    project.write("domain.yml", domain.replace(begin, f"{begin}      {trap('wording')}\n", 1))
    return boss, one, mine


async def refused(console: RunningConsole, desk: Desk, boss: User) -> None:  # noqa: F811
    """A reply of the administrator's that the head of service sent back."""
    number = await console.says("r", "bonjour")
    await console.hand_off(number, "complaint", "reclamation_police")
    chief = replace(console.users[NAMES["validator"]], level="service")
    now, store = console.clock.now(), ValidationStore(desk)
    await console.execute(
        "UPDATE conversations SET owner = 'agent', agent_id = :u WHERE id = :id", u=boss.id, id=number
    )
    seen = (await console.rows("SELECT max(id) AS id FROM events WHERE conversation_id = :id", id=number))[0].id
    asked = await store.submit(boss, number, trap("submitted"), seen, "k", now)
    assert asked is not None
    await store.refuse(chief, asked, 0, trap("refusal"), now)


PLAIN = {
    "canned": "canned", "body": "body", "team": "team", "user": "user", "mail": "mail", "detail": "detail",
    "author": "author", "message": "message", "reason": "reason", "failure": "failure", "cure": "cure",
}  # fmt: skip
# What a page has to show, as it was typed.
SHOWN = {
    "crisis", "group", "words", "title", "file", "tap", "edit", "echo", "name", "handle", "reply", "remedy", "slot", "note",
    "draft", "other", "canned", "body", "team", "user", "mail", "detail", "author", "message", "reason", "failure", "cure", "story",
    "reading", "example", "wording", "live", "search", "hold", "refusal", "submitted", "trainer", "trial",
}  # fmt: skip


def policy_of(answer: Response) -> None:
    """Every page bears the strict policy."""
    if "text/html" not in answer.headers.get("content-type", ""):
        return
    given = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert {name: given.get(name) for name in DIRECTIVES} == DIRECTIVES, answer.url
    assert "unsafe" not in str(given), answer.url
    assert answer.headers["x-frame-options"] == "DENY", answer.url
    assert answer.headers["cache-control"] == "no-store", answer.url


async def test_nothing_that_anybody_typed_runs(
    console: RunningConsole,  # noqa: F811
    browser: Browser,
    planted: tuple[User, dict[str, int], int],
) -> None:
    boss, one, mine = planted
    context = await browser.new_context(locale="fr-FR", reduced_motion="reduce")
    context.set_default_timeout(60_000)
    await context.add_init_script(WATCH)
    page = await context.new_page()
    wrong: list[str] = []
    answers: list[Response] = []
    page.on("dialog", lambda dialog: wrong.append("dialog " + dialog.message))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("response", lambda answer: answers.append(answer))
    seen = ""

    async def look(page: Page) -> None:
        nonlocal seen
        assert await page.evaluate("window.pris") == 0, page.url
        assert await page.locator("img[onerror], svg[onload], img[src=x]").count() == 0, page.url
        seen += await page.evaluate(READ)

    await enter(page, console, boss.name)
    await page.goto(f"{console.url}/crise")
    await expect(page.get_by_test_id("crisis-group").first).to_be_visible(timeout=60_000)
    one["crise/groupes"] = (await console.rows("SELECT min(id) AS id FROM message_groups"))[0].id
    for pattern in pages(console):
        path = address(pattern, one)
        if path.startswith("/atelier/essais/"):
            continue  # figures alone; nobody types there
        answer = await page.goto(console.url + path)
        assert answer is not None
        assert answer.status == 200, path
        await look(page)
    # What comes in while the page is open, and what scripts put there.
    await page.goto(f"{console.url}/conversations/{mine}")
    await page.wait_for_timeout(300)
    await console.says("z", trap("live"))
    await expect(page.get_by_test_id("thread")).to_contain_text("alt=live", timeout=60_000)
    await look(page)
    await page.get_by_test_id("composer").fill("")
    await page.get_by_test_id("composer").press_sequentially("/att")
    await expect(page.locator("body")).to_contain_text("alt=canned", timeout=60_000)
    await look(page)
    last = (await console.rows("SELECT conversation_id AS id FROM submissions WHERE status = 'refused'"))[0].id
    await page.goto(f"{console.url}/conversations/{last}")
    await expect(page.get_by_test_id("validation-alert")).to_contain_text("alt=refusal")
    await look(page)
    await page.goto(f"{console.url}/atelier/essayer")
    await page.get_by_test_id("trial-start").click()
    await expect(page.get_by_test_id("trial-state")).to_have_attribute("data-phase", "ready")
    await page.get_by_test_id("trial-message").fill(trap("trial"))
    await page.get_by_test_id("trial-send").click()
    await expect(page.get_by_test_id("trial-exchange")).to_contain_text("alt=trial")
    await look(page)
    await page.goto(f"{console.url}/recherche")
    await page.locator('[name="mots"]').first.fill("passeport " + trap("search"))
    await page.locator('[name="mots"]').first.press("Enter")
    await page.wait_for_url("**/recherche?r=*")
    await look(page)
    for answer in answers:
        policy_of(answer)
    missing = {label for label in SHOWN if trap(label) not in seen}
    assert missing == set()
    assert [line for line in wrong if "Failed to load resource" not in line] == []
    await context.close()
