"""Steering in a real Chromium: a month of figures, what stands right now, a person's thumb; light, dark, on the phone."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.browser.helpers import accessible, live, picture, someone, taken
from tests.fakes.asked import ONLINE, WORDS
from tests.fakes.console import RunningConsole
from tests.scenario.system import System

# A month that looks like one: nights are quiet, evenings are not.
EVENTS = """
    INSERT INTO events (conversation_id, platform, account, key, kind, channel, at, received_at, body, disposition, route,
        intent)
    SELECT CASE (n + h) % 3 WHEN 0 THEN :instagram ELSE :messenger END,
        CASE (n + h) % 3 WHEN 0 THEN 'instagram' ELSE 'messenger' END,
        '1', gen_random_uuid(), 'text', 'messaging', x.at, x.at, '',
        (ARRAY['answered', 'answered', 'answered', 'answered', 'answered', 'answered', 'answered', 'handed_off', 'to_agent',
            'emergency'])[1 + (n * 31 + d + h) % 10],
        (ARRAY['answer', 'answer', 'answer', 'answer', 'answer', 'clarify', 'answer', 'handoff', NULL, 'emergency'])
            [1 + (n * 31 + d + h) % 10],
        (ARRAY['recrutement_concours', 'plainte_comment', 'perte_vol_documents', 'procuration', 'recrutement_conditions',
            'reclamation_police', 'contravention', 'remerciements', 'arnaque_cyber', 'temoignage_info_enquete', 'armes',
            'nuisances_sonores', 'disparition', 'violences_conjugales'])
            [1 + floor(14 * ((n * 37 + h * 17 + d * 11) % 100 / 100.0) ^ 2)]
    FROM generate_series(0, 65) d, generate_series(0, 23) h,
        LATERAL generate_series(1, (ARRAY[2,1,0,1,0,1,2,4,6,8,9,9,8,7,8,8,7,9,10,9,7,5,4,3])[h + 1]
            + (d * 7 + h * 5) % 4 - 2 * CAST(d % 7 IN (3, 4) AS integer)) n,
        LATERAL (SELECT CAST(:midnight AS timestamptz) - d * interval '1 day' + h * interval '1 hour'
            + n * interval '4 minutes' AS at) x
    WHERE x.at < :now
"""
# What these asked: three in four were surely one of a dozen questions, the others had a general reply, with buttons or not.
QUESTIONS = """
    UPDATE events e SET nearest = q.id, nearest_chance = CASE WHEN e.id % 4 = 0 THEN 0.2 ELSE 0.9 END,
        question = CASE WHEN e.id % 4 > 0 AND e.disposition = 'answered' THEN q.id END,
        offers = CASE WHEN e.id % 8 = 0 AND e.disposition = 'answered' THEN ARRAY[q.id] END
    FROM (SELECT id, (CAST(:asked AS text[]))[1 + floor(12 * ((id * 41) % 100 / 100.0) ^ 2)] AS id_of FROM events) x(number, id_of),
        LATERAL (SELECT x.id_of) AS q(id)
    WHERE e.id = x.number
"""
HANDOFFS = """
    INSERT INTO handoffs (conversation_id, platform, category, priority, reason, opened_at, raised_at, due_at, taken_at,
        replied_at, closed_at, outcome)
    SELECT conversation_id, platform, p.category, p.priority, 'r', received_at, received_at, received_at + d.within,
        received_at + 0.4 * w.span, received_at + w.span, received_at + 2 * w.span, 'closed'
    FROM events e, LATERAL (SELECT (e.id * 7919) % 97 AS r) r,
        LATERAL (SELECT
            (ARRAY['emergency', 'urgent', 'sensitive', 'complaint', 'request', 'request', 'request', 'thanks'])[1 + r.r % 8],
            (ARRAY[0, 1, 2, 3, 4, 4, 4, 5])[1 + r.r % 8]) AS p(category, priority)
        JOIN deadlines d ON d.priority = p.priority,
        LATERAL (SELECT d.within * ((r.r % 50 + 3) / 44.0) AS span) w
    WHERE e.id % 9 = 0 AND received_at + 2 * w.span < :now
"""
THUMBS = """
    INSERT INTO satisfaction (conversation_id, handoff_id, asked_at, answered_at, answer)
    SELECT conversation_id, id, closed_at, closed_at + interval '3 minutes', CASE id % 6 WHEN 0 THEN 'down' ELSE 'up' END
    FROM handoffs WHERE category IN ('request', 'complaint') AND id % 3 = 0 AND closed_at IS NOT NULL
"""


async def month(console: RunningConsole) -> None:
    """Two months of messages, hand-offs and thumbs."""
    now = console.clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=1)
    ids = {}
    for platform in ("messenger", "instagram"):
        await console.execute(
            "INSERT INTO conversations (platform, account, person) VALUES (:p, '1', 'past')", p=platform
        )
        ids[platform] = (await console.rows("SELECT max(id) AS id FROM conversations"))[0].id
    await console.execute(EVENTS, now=now, midnight=midnight, **ids)
    names = [*WORDS, *(f"recrutement_concours/question_{number}" for number in range(2, 11))]
    await console.execute(QUESTIONS, asked=names)
    await console.execute(HANDOFFS, now=now)
    await console.execute(THUMBS)


async def test_a_thumb_reaches_the_steering_page(
    agent: Page, console: RunningConsole, browser: Browser, citizen: System
) -> None:
    async with someone(browser, console, "validator") as chief:
        await chief.goto(f"{console.url}/pilotage")
        await expect(chief.get_by_test_id("empty")).to_contain_text("Choisissez une période plus longue")
        await accessible(chief)
        await picture(chief, "pilotage-vide")
        await live(chief)
        await citizen.say("4000", "je veux parler à un humain")
        # what waits is seen by itself
        await expect(chief.get_by_test_id("steering-now-waiting")).to_have_text("1", timeout=60_000)
        await expect(chief.get_by_test_id("steering-now-agents")).to_have_text("2")
        await citizen.settled()
        number = (await console.rows("SELECT id FROM conversations WHERE person = '4000'"))[0].id
        await taken(agent, console, number)
        await agent.get_by_test_id("composer").fill("Voici la page officielle.")
        await agent.get_by_test_id("send").click()
        await expect(agent.get_by_test_id("thread")).to_contain_text("Voici la page officielle.")
        await expect(chief.get_by_test_id("steering-now-waiting")).to_have_text("0", timeout=60_000)
        await citizen.settled()
        await agent.get_by_test_id("close").click()
        await expect(agent).to_have_url(f"{console.url}/file")
        await citizen.settled()
        assert citizen.graph.texts("4000")[-1] == "Avez-vous été bien renseigné\u202f?"
        await citizen.say("4000", "👍 Oui", quick_reply={"payload": "satisfaction:oui"})
        await citizen.settled()
        assert citizen.graph.texts("4000")[-1] == "Merci de votre réponse."
        await chief.reload()
        await expect(chief.get_by_test_id("steering-satisfaction")).to_have_text("100\u00a0%")
        await expect(chief.get_by_test_id("steering-received")).to_have_text("1")
        assert len(await citizen.handoffs("4000")) == 1


async def test_news_refresh_once_in_a_few_seconds(console: RunningConsole, browser: Browser) -> None:
    async with someone(browser, console, "auditor") as first:
        page = await first.context.new_page()
        await page.clock.install()
        await page.goto(f"{console.url}/pilotage")
        await page.clock.run_for(10_000)
        tell = """tokens => {
            window.looks ??= 0;
            window.planton.refresh = () => window.looks++;
            for (let i = 0; i < 50; i++)
                document.dispatchEvent(new CustomEvent("planton:news", { detail: { tokens, ours: false } }));
        }"""
        looks = []
        for tokens, time in ((["7"], 10), (["8", "9"], 3000), (["8"], 2000), (["presence:3"], 20_000), (["alert"], 10)):
            await page.evaluate(tell, tokens)
            await page.clock.run_for(time)
            looks.append(await page.evaluate("window.looks"))
        assert looks == [1, 1, 2, 2, 3]  # at once, then not before four seconds; what is no figure asks for nothing


async def test_a_month_at_a_glance_and_as_tables(console: RunningConsole, browser: Browser, tmp_path: Path) -> None:
    await month(console)
    await console.waiting("waiting", name="Nadia B.")
    async with someone(browser, console, "administrator") as chief:
        await chief.get_by_test_id("nav-steering").click()
        await expect(chief.get_by_test_id("steering-chart-volumes").locator(".column").nth(22)).to_be_attached()
        await accessible(chief)
        await chief.screenshot(path="test-artefacts/console-pilotage-jour.png", full_page=True)
        # by keyboard: the month, its table, the way back
        await chief.get_by_test_id("steering-period-30").focus()
        await chief.keyboard.press("Enter")
        await expect(chief.get_by_test_id("steering-period")).to_have_text("Les 30 derniers jours")
        await chief.get_by_test_id("steering-table-volumes").focus()
        await chief.keyboard.press("Enter")
        await expect(chief.locator("#volumes-tableau tbody tr")).to_have_count(30)
        # which questions came, and the other half of them by keyboard
        asked = chief.get_by_test_id("steering-questions")
        await expect(asked.locator("tbody tr").first).to_contain_text(WORDS[ONLINE][1])
        await asked.locator("summary").focus()
        await chief.keyboard.press("Enter")
        await expect(asked.locator("details tbody tr")).to_have_count(2)
        await expect(chief.get_by_test_id("steering-general").locator("tbody tr").first).to_be_visible()
        await accessible(chief)
        await chief.screenshot(path="test-artefacts/console-pilotage-mois.png", full_page=True)
        async with chief.expect_download() as coming:
            await chief.get_by_test_id("steering-export").click()
        file = tmp_path / "pilotage.csv"
        await (await coming.value).save_as(file)
        rows = list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines(), delimiter=";"))
        shown = await chief.get_by_test_id("steering-received").inner_text()
        total = sum(int(row[5]) for row in rows if row[3] == "Messages reçus")
        assert total == int(shown.replace("\u202f", "")) > 4000
        # a period of one's own that cannot be
        today = console.clock.now().date()
        own = await chief.context.new_page()  # the browser's console notes the status
        await own.goto(f"{console.url}/pilotage")
        await own.get_by_test_id("steering-own").click()
        await own.get_by_test_id("steering-from").fill(f"{today}")
        await own.get_by_test_id("steering-to").fill(f"{today - timedelta(days=3)}")
        await own.get_by_test_id("steering-apply").click()
        await expect(own.get_by_test_id("alert")).to_contain_text("avant la date de début")
        await expect(own.get_by_test_id("steering-from")).to_have_value(f"{today}")
        await accessible(own)
    for name, settings in (
        ("sombre", {"color_scheme": "dark"}),
        ("telephone", {"viewport": {"width": 320, "height": 640}}),
    ):
        async with someone(browser, console, "auditor", **settings) as page:
            await page.goto(f"{console.url}/pilotage?periode=7")
            await page.get_by_test_id("steering-table-volumes").click()
            await accessible(page)
            await page.screenshot(path=f"test-artefacts/console-pilotage-{name}.png", full_page=True)
