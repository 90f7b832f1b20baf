"""The audit's page and its file: what is in it, who may read it, and that nobody rewrites it."""

from __future__ import annotations

import ast
import asyncio
import csv
import html
import io
import re
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.console import audit_words
from bot.core.clock import FrozenClock
from bot.store import audit
from bot.store.audit_log import BATCH, PAGE
from bot.store.db import Database
from bot.store.sightings import Sightings
from tests.fakes.console import Browser, RunningConsole

ROOT = Path(__file__).resolve().parents[2]
RECORDS = ("record", "record_once", "done", "_done")  # what writes a line of the audit


def actions(page: str) -> list[str]:
    return re.findall(r'data-testid="audit-row" data-action="(\w+)"', page)


def rows(page: str) -> list[str]:
    """The lines of the page as text."""
    found = re.findall(r'<tr role="row" data-testid="audit-row".*?</tr>', page, re.DOTALL)
    return [" ".join(html.unescape(re.sub("<[^>]+>", " ", row)).split()) for row in found]


def after(console: RunningConsole, **delta: float) -> datetime:
    assert isinstance(console.clock, FrozenClock)
    return console.clock.advance(**delta)


def test_every_detail_that_is_recorded_has_french_words() -> None:
    recorded = set()
    for path in (ROOT / "bot").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) in RECORDS:
                recorded |= {keyword.arg for keyword in call.keywords if keyword.arg}
    assert {"results", "names", "handoff"} <= recorded
    assert recorded - {"subject_id", "seen"} <= set(audit_words._KEYS)


async def many(console: RunningConsole, size: int) -> None:
    """Views, three at the same moment."""
    insert = text("INSERT INTO audit (at, user_id, action, conversation_id) VALUES (:at, NULL, 'wake', :number)")
    now = console.clock.now() - timedelta(days=30)
    values = [{"at": now + timedelta(seconds=i // 3), "number": i + 1} for i in range(size)]
    async with console.database.begin() as connection:
        await connection.execute(insert, values)


def test_every_action_stands_in_one_family() -> None:
    placed = [action for _, family in audit_words.FAMILIES.values() for action in family]
    assert sorted(placed) == sorted(audit.ACTIONS)
    assert not set(audit_words.FAMILIES) & audit.ACTIONS - {"export"}


async def test_what_people_do_is_there_in_words_with_filters(
    console: RunningConsole, claire: Browser, odile: Browser
) -> None:
    first, second = await console.waiting("p1", "des mots secrets", "Zoé"), await console.waiting("p2")
    await claire.act(first, "prendre")
    await claire.act(first, "repondre", message="ma réponse secrète")
    after(console, days=1)
    await claire.get(f"/conversations/{second}")
    page = (await odile.get("/journal")).page
    assert {"take", "reply", "view", "login"} <= set(actions(page))
    assert not re.search("secret|secrète|Zoé", page), "never a citizen's or an agent's words"
    took = next(row for row in rows(page) if "Conversation prise" in row)
    assert took.startswith("15/01/2026 à 12:00")
    assert "Claire agent" in took
    assert f"Conversation {first}" in took
    assert "demande n° 1" in took.replace("\xa0", " ")

    me = console.users["Claire"].id
    assert set(actions((await odile.get(f"/journal?personne={me}&action=take")).page)) == {"take"}
    looks = await odile.get("/journal?action=consultation")
    assert set(actions(looks.page)) == {"view", "audit_read"}
    one = (await odile.get(f"/journal?conversation={second}")).page
    assert actions(one) == ["view"]
    old = (await odile.get("/journal?du=2026-01-15&au=2026-01-15&conversation=" + str(first))).page
    assert set(actions(old)) == {"view", "take", "reply"}
    assert actions((await odile.get(f"/journal?du=2026-01-16&conversation={first}")).page) == []
    assert "Rien ne correspond" in (await odile.get("/journal?personne=planton&action=take")).page


async def test_reading_it_is_recorded_with_what_was_looked_for(console: RunningConsole, odile: Browser) -> None:
    await odile.get("/journal?action=login&conversation=7&du=2026-01-01")
    await odile.get("/journal.csv?personne=planton")
    found = await console.rows(
        "SELECT action, user_id, detail FROM audit WHERE action IN ('audit_read', 'export') ORDER BY id"
    )
    assert [(row.action, row.user_id) for row in found] == [
        ("audit_read", console.users["Odile"].id), ("export", console.users["Odile"].id),
    ]  # fmt: skip
    since = datetime.fromisoformat(found[0].detail.pop("since"))
    assert since == datetime(2025, 12, 31, 23, tzinfo=timezone.utc)
    assert found[0].detail == {"actions": ["login"], "sought_conversation": 7}
    assert found[1].detail == {"what": "journal", "system": True}
    page = rows((await odile.get("/journal?action=audit_read")).page)
    assert "conversation cherchée n° 7" in page[0].replace("\xa0", " ")
    assert "actions cherchées : connexion" in page[0].replace("\xa0", " ")


async def test_pages_follow_each_other_without_loss_or_double(console: RunningConsole, odile: Browser) -> None:
    await many(console, 3 * PAGE - 10)
    seen: list[str] = []
    path = "/journal?action=wake&personne=planton"
    while path:
        page = (await odile.get(path)).page
        seen += re.findall(r">Conversation (\d+)</a>", page)
        following = re.search(r'href="([^"]+)" data-testid="next-page"', page)
        path = html.unescape(following[1]) if following else ""
    assert seen == [str(number) for number in range(3 * PAGE - 10, 0, -1)]
    assert "Revenir au début" in page
    assert "bout du journal" in (await odile.get("/journal?action=wake&apres=1-1")).page


async def test_the_file_holds_everything_and_no_formula(
    console: RunningConsole, odile: Browser, claire: Browser
) -> None:
    await many(console, BATCH + 5)
    await console.user('=HYPERLINK("http://x")', "agent")
    async with console.database.begin() as connection:
        hostile = console.users['=HYPERLINK("http://x")'].id
        await audit.record(connection, console.clock.now(), hostile, "logout", name='+33 1; "x"\r\n=1')
    answer = await odile.get("/journal.csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="journal-2026-01-15.csv"' in answer.headers["Content-Disposition"]
    assert answer.page.startswith("\ufeff")
    lines = list(csv.reader(io.StringIO(answer.page[1:], newline=""), delimiter=";"))
    assert lines[0][:3] == ["Numéro", "Date et heure", "Personne"]
    total = await console.rows("SELECT count(*) AS n FROM audit WHERE action <> 'export'")
    assert len(lines) - 1 == total[0].n
    evil = next(line for line in lines if line[5] == "logout")
    assert evil[2] == '\'=HYPERLINK("http://x")'
    assert not any(cell.startswith(("=", "+", "-", "@")) for line in lines for cell in line)
    assert lines[-1][1].endswith("+01:00")
    assert (await claire.get("/journal.csv")).status == 403
    wrong = await odile.get("/journal.csv?du=demain")
    assert (wrong.status, "Cette date n’existe pas" in wrong.page) == (422, True)


async def test_bad_filters_are_said_and_the_others_hold(console: RunningConsole, odile: Browser) -> None:
    await many(console, 1)
    for query, name in (
        ("personne=987654", "personne"), ("personne=x", "personne"), ("action=manger", "action"),
        ("conversation=abc", "conversation"), ("conversation=-1", "conversation"), ("conversation=" + "9" * 30, "conversation"),
        ("du=2026-02-30", "du"), ("du=hier", "du"), ("au=0001-01-01", "au"), ("au=9999-12-31", "au"),
        ("du=2025-12-02&au=2025-12-01", "au"), ("conversation=%3Cb%3E", "conversation"),
    ):  # fmt: skip
        answer = await odile.get("/journal?action=wake&" + query if name != "action" else "/journal?" + query)
        assert answer.status == 422, query
        assert f'data-testid="audit-error-{name}"' in answer.page, query
        assert "<b>" not in answer.page
        if name != "action":
            assert set(actions(answer.page)) == {"wake"}, query
    for query in ("apres=x", "apres=1-", "apres=" + "9" * 40, "apres=-"):
        assert (await odile.get(f"/journal?{query}")).status == 200


async def test_only_auditors_and_administrators_read_it(
    console: RunningConsole, claire: Browser, denis: Browser, alix: Browser
) -> None:
    for browser in (claire, denis):
        refused = await browser.get("/journal")
        assert refused.status == 403
        assert "auditeurs et aux administrateurs" in refused.page
        assert 'data-testid="nav-audit"' not in (await browser.get("/file")).page
    assert (await alix.get("/journal")).status == 200
    assert 'data-testid="nav-audit"' in (await alix.get("/file")).page


async def test_nobody_rewrites_it_not_even_the_pages_own_role(console: RunningConsole, database: Database) -> None:
    user = await console.user("Claire")
    async with database.begin() as connection:
        await audit.record(connection, console.clock.now(), user.id, "login")
    before = await console.rows("SELECT * FROM audit")
    for quiet in ("", "SET LOCAL session_replication_role = replica"):
        for change in (
            "UPDATE audit SET user_id = NULL",
            "UPDATE audit SET detail = '{}' WHERE false OR true",
            "DELETE FROM audit",
            "TRUNCATE audit",
            "TRUNCATE users CASCADE",
        ):
            with pytest.raises(DBAPIError, match="append-only"):
                await _tries(database, quiet, change)
    assert await console.rows("SELECT * FROM audit") == before


async def _tries(database: Database, *statements: str) -> None:
    async with database.begin() as connection:
        for statement in filter(None, statements):
            await connection.execute(text(statement))


# -- what lists showed -----------------------------------------------------------------------------------------------


async def _lines(console: RunningConsole) -> list[tuple[str, datetime, list[int]]]:
    found = await console.rows(
        """SELECT u.name, a.at, a.conversations FROM audit a JOIN users u ON u.id = a.user_id
           WHERE action = 'queue_viewed' ORDER BY a.id"""
    )
    return [(row.name, row.at, list(row.conversations)) for row in found]


async def test_a_list_that_refreshes_itself_tells_what_is_new_and_each_showing_lies_in_a_lines_span(
    console: RunningConsole, claire: Browser, yanis: Browser, odile: Browser
) -> None:
    first, second = await console.waiting("p1", name="Zoé"), await console.waiting("p2")
    begin = console.clock.now()
    for _ in range(4):
        await claire.get("/file", X_Planton_Live="1")
    assert await _lines(console) == [("Claire", begin, [first, second])]
    third = await console.waiting("p3")
    later = after(console, seconds=299)
    await asyncio.gather(*(who.get("/file", X_Planton_Live="1") for who in (claire, yanis, claire)))
    assert sorted((await _lines(console))[1:]) == [("Claire", later, [third]), ("Yanis", later, [first, second, third])]
    again = after(console, seconds=1)  # the first line's span is over, not that of the second
    await claire.get("/file", X_Planton_Live="1")
    assert (await _lines(console))[3:] == [("Claire", again, [first, second])]
    after(console, minutes=-3)  # a clock that was set back: the lines that lie ahead say nothing of now
    await claire.get("/file", X_Planton_Live="1")
    assert len(await _lines(console)) == 5

    page = (await odile.get(f"/journal?conversation={third}")).page
    assert actions(page) == ["queue_viewed"] * 3
    assert "File d’attente vue" in page
    assert "dans : la file" in rows(page)[0].replace("\xa0", " ")
    assert f'href="/conversations/{third}"' in page
    lines = list(csv.reader(io.StringIO((await odile.get("/journal.csv?action=queue_viewed")).page[1:]), delimiter=";"))
    assert lines[0][6] == "Conversations"
    assert {f"{first}, {second}", f"{first}, {second}, {third}", f"{third}"} <= {line[6] for line in lines[1:]}
    ends = [datetime.fromisoformat(line[9]) - datetime.fromisoformat(line[1]) for line in lines[1:]]
    assert set(ends) == {audit.SPAN}


async def test_nothing_is_shown_whose_line_was_not_written(
    console: RunningConsole, claire: Browser, yanis: Browser
) -> None:
    await console.waiting("p1", name="Zoé")
    await console.execute("ALTER TABLE audit ADD CONSTRAINT shut CHECK (action <> 'queue_viewed') NOT VALID")
    for who in (claire, yanis):
        refused = await who.get("/file")
        assert (refused.status, "Zoé" in refused.page) == (500, False)
    await console.execute("ALTER TABLE audit DROP CONSTRAINT shut")
    assert "Zoé" in (await claire.get("/file")).page
    assert {name for name, _, _ in await _lines(console)} >= {"Claire"}, (
        "what was rolled back is not remembered as written"
    )


async def test_fifty_who_hear_of_a_change_share_a_transaction_and_a_refresh_asks_nothing(
    console: RunningConsole, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, now = await console.user("Claire"), console.clock.now()
    own = Database(database_url, size=2)
    transactions, real = 0, own.begin

    def counted(durable: bool = True) -> AbstractAsyncContextManager[AsyncConnection]:
        nonlocal transactions
        transactions += 1
        return real(durable)

    monkeypatch.setattr(own, "begin", counted)
    seen = Sightings(own)

    async def everybody(shown: range) -> None:
        await asyncio.gather(*(seen.record(user.id, "queue_viewed", now, shown, page=str(n)) for n in range(50)))

    await everybody(range(1, 31))
    assert transactions == 2, "the first one's, and that of all who came meanwhile"
    assert len(await _lines(console)) == 50
    await everybody(range(1, 31))
    assert transactions == 2
    await everybody(range(2, 32))
    assert transactions == 4
    assert {tuple(shown) for _, _, shown in (await _lines(console))[50:]} == {(31,)}
    with pytest.raises(ValueError, match="no such action"):
        await seen.record(user.id, "looked", now, [1])
    await own.close()


async def test_two_looks_of_one_page_at_once_are_one_line(console: RunningConsole) -> None:
    seen, user, now = Sightings(console.database), await console.user("Claire"), console.clock.now()
    await asyncio.gather(*(seen.record(user.id, "queue_viewed", now, shown) for shown in ([1, 2], [2, 1], [2, 3])))
    told = [one for _, _, shown in await _lines(console) for one in shown]
    assert sorted(told) == [1, 2, 3]
