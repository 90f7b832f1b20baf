"""Legal holds by people, the page of what is kept and what went, and conversations whose words are gone."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.policy.retention import Class
from bot.store import retention
from bot.store.purge import Origin, register
from tests.fakes.console import Browser, RunningConsole


async def test_a_head_of_service_holds_and_lifts(
    console: RunningConsole, denis: Browser, claire: Browser, odile: Browser
) -> None:
    number = await console.waiting()
    await console.open_sessions("Denis")
    here = f"/conversations/{number}"
    assert 'data-testid="hold-open"' in (await denis.get(here)).page
    assert 'data-testid="hold-open"' not in (await claire.get(here)).page
    refused = await denis.act(number, "conservation", raison="  ")
    assert refused.status == 422 and "Donnez la raison" in refused.page
    placed = await denis.act(number, "conservation", raison="Procédure 2026/17")
    assert placed.status == 303
    for browser in (denis, claire):
        page = (await browser.get(here)).page
        assert 'data-testid="hold"' in page and "Procédure 2026/17" in page
    assert 'data-testid="hold-lift"' not in (await claire.get(here)).page
    assert (await denis.act(number, "conservation", raison="encore")).status == 409
    # The reason may name somebody: it is sealed, and not in the audit.
    assert b"2026/17" not in bytes((await console.rows("SELECT reason FROM legal_holds"))[0].reason)
    listed = (await odile.get("/conservation")).page
    assert "Procédure 2026/17" in listed and "180\u00a0jours" in listed
    assert (await denis.act(number, "conservation", annuler="1")).status == 303
    assert 'data-testid="hold"' not in (await claire.get(here)).page
    assert ("hold_placed", number) in await console.audit() and ("hold_lifted", number) in await console.audit()


async def test_an_agent_neither_holds_nor_sees_the_list(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting()
    assert (await claire.act(number, "conservation", raison="x")).status == 403
    assert (await claire.get("/conservation")).status == 403
    assert await console.rows("SELECT 1 FROM legal_holds") == []


async def test_what_is_gone_is_said_and_nothing_more_is_done_there(console: RunningConsole, claire: Browser) -> None:
    number = await console.waiting(name="Camille")
    await console.execute("UPDATE handoffs SET closed_at = now(), outcome = 'answered'")
    await console.execute("UPDATE conversations SET owner = 'closed'")
    async with console.database.begin() as connection:
        await retention.pseudonymise(connection, console.codec, [number], console.clock.now())
    page = await claire.get(f"/conversations/{number}")
    assert page.status == 200 and 'data-testid="erased"' in page.page and "Camille" not in page.page
    for action in ("prendre", "rouvrir", "note"):
        answer = await claire.act(number, action, note="x", mot="x")
        assert answer.status == 409, action
        assert "a été effacé" in answer.page
    assert (await claire.get("/file?etat=toutes")).status == 200


async def test_the_page_shows_the_register(console: RunningConsole, odile: Browser) -> None:
    async with console.database.begin() as connection:
        counts: retention.Counts = retention.Counts({"events": 1200, "conversations": 100})
        await register(
            connection, datetime(2026, 1, 14, tzinfo=UTC), Origin("nightly"), Class.EVERYDAY, "erased", 180, 100, counts
        )
    page = (await odile.get("/conservation")).page
    assert "14/01/2026" in page and "1\u202f300" in page and "purge de nuit" in page
    assert "Intact, 1 ligne." in page
