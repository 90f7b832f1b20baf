"""What is past its time goes, what may not go stays, and what went can be proven."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from bot.app.cli import main
from bot.app.wiring import Store, purging
from bot.core.clock import FrozenClock, MovedClock
from bot.core.messages import Event, Message, Platform, Unsend
from bot.policy.retention import Class, Limits
from bot.settings import Settings
from bot.store import audit, retention
from bot.store.db import Database
from bot.store.purge import Origin, Purge, Report, nightly, verify
from bot.store.volumes import RollUp, read
from bot.store.workbench.drift import Drift
from bot.worker.purge import NightPurge, night_of
from tests.conftest import of_part
from tests.fakes.console import PAGE, RunningConsole
from tests.fakes.retention import MARKER, deliver, dump, everywhere, plant
from tests.fakes.sealed import opened, opened_json

PARIS = ZoneInfo("Europe/Paris")
# Days: short, so that few hours have to be counted.
LIMITS = Limits(everyday=12, complaints=20, sensitive=16, emergencies=24, raw=10, audit=30, statistics=None)
COMMAND = Origin("command")
CONTENT = (Class.EVERYDAY, Class.COMPLAINTS, Class.SENSITIVE, Class.EMERGENCIES)


def a_purge(console: RunningConsole, limits: Limits = LIMITS) -> Purge:
    counting = (RollUp(of_part(console.database, "worker")), Drift(of_part(console.database, "worker"), PARIS))
    return Purge(of_part(console.database, "worker"), console.codec, limits, counting, share=0)


def by_hand(console: RunningConsole, limits: Limits = LIMITS) -> Purge:
    """Of the command, which the owner runs."""
    counting = (RollUp(console.database), Drift(console.database, PARIS))
    return Purge(console.database, console.codec, limits, counting, share=0)


async def after(console: RunningConsole, days: int, limits: Limits = LIMITS) -> Report:
    return await a_purge(console, limits).run(console.clock.now() + timedelta(days=days), COMMAND)


async def settled(console: RunningConsole, person: str, category: str | None = None, words: str = "bonjour") -> int:
    """A conversation that is over."""
    number = await console.says(person, words)
    if category is not None:
        await console.hand_off(number, category)
    await over(console, number)
    return number


async def over(console: RunningConsole, number: int) -> None:
    now = console.clock.now()
    for statement in (
        "UPDATE events SET disposition = 'answered', settled_at = :now WHERE conversation_id = :id AND disposition IS NULL",
        "UPDATE handoffs SET closed_at = :now, outcome = 'answered' WHERE conversation_id = :id AND closed_at IS NULL",
        "UPDATE conversations SET owner = 'bot', due_at = NULL, category = 'none' WHERE id = :id",
    ):
        await console.execute(statement, **({"now": now} if ":now" in statement else {}), id=number)


async def standing(console: RunningConsole) -> dict[int, bool]:
    """Conversation → whether its words and its person are still there."""
    rows = await console.rows("SELECT id, erased_at FROM conversations")
    return {row.id: row.erased_at is None for row in rows}


async def test_every_table_says_what_becomes_of_it(console: RunningConsole) -> None:
    tables = {
        row.name
        for row in await console.rows(
            "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
    }
    assert tables == set(retention.TABLES) | set(retention.WITHOUT_PERSON)
    # Sealed words, or a way to a conversation or a message, are never in a table that claims to have nothing of a person.
    close = await console.rows("""
        SELECT table_name AS name, column_name AS column FROM information_schema.columns WHERE table_schema = 'public'
            AND (column_name IN ('conversation_id', 'event_id', 'outbox_id', 'handoff_id', 'person', 'mid', 'delivery_id')
                OR data_type = 'bytea')
    """)
    ours = {"audit", "deletions", "sessions", "login_links", "second_factors", "recovery_codes", "oidc_logins"}
    assert {row.name for row in close} - set(retention.TABLES) <= ours


async def test_nothing_is_left_of_an_erased_conversation(console: RunningConsole) -> None:
    kept, gone = await console.says("p2", "autre chose"), await plant(console)
    before = await everywhere(console)
    assert {table for table, _ in before} >= {
        "deliveries", "events", "outbox", "handoffs", "notes", "drafts", "readings", "submissions", "validations",
        "legal_holds", "conversations",
    }  # fmt: skip
    # Each table that is named was really filled: what the test did not plant, it could not miss.
    for table in set(retention.TABLES) - {"message_groups", "corrections"}:
        assert await console.rows(f"SELECT 1 FROM {table} LIMIT 1"), table
    async with console.database.begin() as connection:
        counts = await retention.erase_conversation(connection, gone)
    assert await everywhere(console) == []
    assert set(counts) == set(retention.TABLES)
    rows = await console.rows("SELECT id FROM conversations")
    assert [row.id for row in rows] == [kept]
    assert await console.rows("SELECT 1 FROM events WHERE conversation_id = :id", id=kept)


async def test_a_pseudonymised_conversation_keeps_its_history_and_nobody(console: RunningConsole) -> None:
    number = await plant(console)
    async with console.database.begin() as connection:
        await retention.pseudonymise(connection, console.codec, [number], console.clock.now())
    assert await everywhere(console) == []
    row = await console.conversation(number)
    assert row.person.startswith("efface:")
    assert row.profile is None and row.state is None
    assert await console.rows("SELECT 1 FROM handoffs WHERE conversation_id = :id AND slots IS NULL", id=number)
    # The person who writes again is somebody new.
    assert await console.says(MARKER, "me revoilà") != number


TIMES = {
    None: (LIMITS.everyday, "erased"),
    "thanks": (LIMITS.everyday, "erased"),
    "complaint": (LIMITS.complaints, "pseudonymised"),
    "witness": (LIMITS.sensitive, "pseudonymised"),
    "urgent": (LIMITS.sensitive, "pseudonymised"),
    "emergency": (LIMITS.emergencies, "pseudonymised"),
}


async def test_each_class_has_its_time(console: RunningConsole) -> None:
    numbers = {category: await settled(console, f"p-{category}", category) for category in TIMES}
    for days in sorted({days for days, _ in TIMES.values()}):
        before = await standing(console)
        await after(console, days - 1)
        assert await standing(console) == before
        await after(console, days + 1)
        now = await standing(console)
        for category, (limit, way) in TIMES.items():
            expected = True if limit > days else None if way == "erased" else False
            assert now.get(numbers[category]) is expected, (category, days)


async def test_the_longest_class_applies_and_the_history_goes_with_the_audit(console: RunningConsole) -> None:
    number = await settled(console, "p1", "complaint")
    await console.hand_off(number, "sensitive")
    await over(console, number)
    await after(console, LIMITS.sensitive + 2)
    assert (await standing(console)) == {number: True}
    await after(console, LIMITS.complaints + 2)
    assert (await standing(console)) == {number: False}
    assert LIMITS.audit is not None
    await after(console, LIMITS.audit + 2)
    assert (await standing(console)) == {}


PROTECTED = {
    "open": "UPDATE handoffs SET closed_at = NULL WHERE conversation_id = :id",
    "agent": "UPDATE conversations SET owner = 'agent' WHERE id = :id",
    "in_flight": "UPDATE events SET disposition = NULL WHERE conversation_id = :id",
    "validation": """
        INSERT INTO submissions (conversation_id, user_id, body, seen, category, priority, steps, created_at, dedup)
        SELECT :id, u.id, '', 0, 'complaint', 3, '{service}', '2026-01-15', 'x' FROM users u LIMIT 1""",
    "held": """
        INSERT INTO legal_holds (conversation_id, placed_at, placed_by, reason)
        SELECT :id, '2026-01-15', u.id, '' FROM users u LIMIT 1""",
}


async def test_what_somebody_is_at_stays(console: RunningConsole) -> None:
    await console.user("Claire")
    other = await settled(console, "p0")
    kept = {why: await settled(console, f"p-{why}", "request") for why in PROTECTED}
    for why, number in kept.items():
        await console.execute(PROTECTED[why], id=number)
    preview = await by_hand(console).preview(console.clock.now() + timedelta(days=28))
    report = await after(console, 28)
    assert dict(report.protected) == dict(preview.protected) == dict.fromkeys(PROTECTED, 1)
    assert await standing(console) == dict.fromkeys(kept.values(), True), other
    for number in kept.values():
        assert await console.rows("SELECT 1 FROM events WHERE conversation_id = :id", id=number)


async def test_a_legal_hold_is_stronger_than_any_code(console: RunningConsole) -> None:
    await console.user("Claire")
    number = await settled(console, "p1")
    await console.execute(PROTECTED["held"], id=number)
    with pytest.raises(retention.Held):
        async with console.database.begin() as connection:
            await retention.erase_conversation(connection, number)
    with pytest.raises(DBAPIError, match="legal hold"):
        await console.execute("DELETE FROM conversations WHERE id = :id", id=number)
    # Its webhooks stay as they came, although raw bodies go sooner.
    await after(console, LIMITS.raw + 2)
    assert await console.rows("SELECT 1 FROM deliveries")
    await console.execute("UPDATE legal_holds SET lifted_at = placed_at")
    await after(console, 28)
    assert await standing(console) == {}
    assert await console.rows("SELECT 1 FROM deliveries") == []


async def test_a_conversation_that_goes_on_loses_its_old_messages(console: RunningConsole) -> None:
    assert isinstance(console.clock, FrozenClock)
    number = await settled(console, "p1", "request", "ancien message")
    await console.bot_says(number, "ancienne réponse", created_at=console.clock.now())
    console.clock.advance(days=LIMITS.everyday - 1)
    await settled(console, "p1", words="message récent")
    report = await after(console, 3)
    assert [key[1] for key in report.people][:1] == ["trimmed"]
    kept = [opened_json(console.codec, "events.body", r) for r in await console.rows("SELECT * FROM events")]
    assert [body["text"] for body in kept] == ["message récent"]
    assert await console.rows("SELECT 1 FROM handoffs") == [] and await console.rows("SELECT 1 FROM outbox") == []
    assert await standing(console) == {number: True}


async def figures(console: RunningConsole, now: datetime) -> dict[tuple[str, str, str], int]:
    async with console.database.begin() as connection:
        return dict((await read(connection, now - timedelta(days=60), now)).totals)


async def test_figures_survive_the_purge_and_a_recount(console: RunningConsole) -> None:
    for n in range(3):
        await settled(console, f"p{n}", "request")
    now = console.clock.now() + timedelta(days=LIMITS.everyday + 2)
    await RollUp(of_part(console.database, "worker")).catch_up(now)
    before = await figures(console, now)
    assert before[("messenger", "received", "")] == 3
    await a_purge(console).run(now, COMMAND)
    assert await standing(console) == {}
    assert await figures(console, now) == before
    day = timedelta(days=1)
    assert (
        await RollUp(of_part(console.database, "worker")).rebuild(
            now, console.clock.now() - day, console.clock.now() + day
        )
        > 10
    )
    await RollUp(of_part(console.database, "worker")).catch_up(now + 10 * day)
    assert await figures(console, now) == before


async def test_the_register_is_chained_and_only_grows(console: RunningConsole) -> None:
    for n in range(3):
        await settled(console, f"p{n}")
        await after(console, LIMITS.everyday + 2 + n)
    chain = await verify(console.database)
    assert chain.broken is None and chain.lines >= 3
    rows = await console.rows("SELECT class, way, origin, days, conversations, counts FROM deletions ORDER BY id")
    assert (rows[0].way, rows[0].origin, rows[0].days, rows[0].conversations) == (
        "erased",
        "command",
        LIMITS.everyday,
        1,
    )
    assert rows[0].counts["events"] == 1
    ends = await console.rows("SELECT detail FROM audit WHERE action = 'purge' ORDER BY id DESC LIMIT 1")
    assert ends[0].detail["print"] == chain.head
    for change in ("UPDATE deletions SET conversations = 0", "DELETE FROM deletions", "TRUNCATE deletions"):
        with pytest.raises(DBAPIError, match="append-only"):
            await console.execute(change)
    await console.execute("ALTER TABLE deletions DISABLE TRIGGER ALL")
    await console.execute("UPDATE deletions SET conversations = 7 WHERE id = 2")
    assert (await verify(console.database)).broken == 2


async def test_the_audit_goes_when_its_time_is_over_and_not_before(console: RunningConsole) -> None:
    now, limits = datetime.now(UTC), replace(LIMITS, audit=400)
    async with console.database.begin() as connection:
        for days in (401, 399, 5):
            await audit.record(connection, now - timedelta(days=days), None, "login", n=days)
    with pytest.raises(DBAPIError, match="append-only"):
        await console.execute("DELETE FROM audit WHERE at < now() - interval '100 days'")
    async with console.database.begin() as connection:
        await connection.execute(text("SELECT set_config('planton.audit_expires', 'on', true)"))
        with pytest.raises(DBAPIError, match="append-only"):
            await connection.execute(text("DELETE FROM audit WHERE at > now() - interval '10 days'"))
    await a_purge(console, limits).run(now, COMMAND)
    left = await console.rows("SELECT detail FROM audit WHERE action = 'login' ORDER BY id")
    assert [row.detail["n"] for row in left] == [399, 5]


async def test_ways_into_the_console_that_ended_go(console: RunningConsole) -> None:
    user = await console.user("Claire Martin")
    await console.says("p1", "bonjour")  # figures are counted, and nothing younger than they are goes
    now = console.clock.now() + timedelta(days=LIMITS.everyday - 1)
    for days in (LIMITS.raw + 1, LIMITS.raw - 1):
        at, mark = now - timedelta(days=days), f"d{days}"
        for statement in (
            """INSERT INTO sessions (token_hash, user_id, csrf, created_at, seen_at, method, stage)
               VALUES (CAST(:mark AS bytea), :user, :mark, :at, :at, 'password', 'open')""",
            """INSERT INTO login_links (token_hash, user_id, expires_at, purpose)
               VALUES (CAST(:mark AS bytea), :user, :at, 'login')""",
            "INSERT INTO oidc_logins (state_hash, value, expires_at) VALUES (CAST(:mark AS bytea), CAST(:mark AS bytea), :at)",
            "INSERT INTO login_failures (subject, at) VALUES (:mark, :at)",
        ):
            values = {"mark": mark, "at": at, **({"user": user.id} if ":user" in statement else {})}
            await console.execute(statement, **values)
    ended = {"sessions": 1, "login_links": 1, "oidc_logins": 1, "login_failures": 1}
    for report in (await by_hand(console).preview(now), await a_purge(console).run(now, COMMAND)):
        went = report.done[(Class.RAW, "erased")]
        assert {table: went[table] for table in ended} == ended
    for table in ended:
        assert (await console.rows(f"SELECT count(*) AS n FROM {table}"))[0].n == 1


async def test_closed_accounts_lose_their_names_with_the_audit(console: RunningConsole) -> None:
    """Only those: one that is open, one the audit still names, one whose words are held, stay whole."""
    names = ("Claire Martin", "Denis Aubry", "Inès Roux", "Karim Diallo", "Alix Morel", "Sacha Petit")
    gone, open_, named, held, late, subject = [await console.user(name) for name in names]
    now = datetime.now(UTC)  # as PostgreSQL has it: it lets no account go that was closed these last days
    for change in (
        "ALTER TABLE audit DISABLE TRIGGER audit_append_only",
        "UPDATE audit SET at = at - interval '500 days'",  # their creation is out of its time
        "ALTER TABLE audit ENABLE TRIGGER audit_append_only",
    ):
        await console.execute(change)
    team = (await console.rows("INSERT INTO teams (name) VALUES ('Nuit') RETURNING id"))[0].id
    for user in (gone, open_):
        await console.execute("INSERT INTO team_members (team_id, user_id) VALUES (:team, :id)", team=team, id=user.id)
    for user, days in ((gone, 401), (named, 401), (held, 401), (late, 399), (subject, 401)):
        await console.execute(
            "UPDATE users SET disabled_at = :at, email = :mail, preferences = '{\"theme\": \"dark\"}' WHERE id = :id",
            at=now - timedelta(days=days), mail=f"{user.id}@police.test", id=user.id,
        )  # fmt: skip
    async with console.database.begin() as connection:
        await audit.record(connection, now - timedelta(days=5), named.id, "login")
        await audit.record(connection, now - timedelta(days=5), open_.id, "user_reset", subject_id=subject.id)
    await console.execute(
        "INSERT INTO oidc_identities (issuer, subject, user_id) VALUES ('https://id.test', 's-1', :id)", id=gone.id
    )
    number = await console.says("p1", "bonjour")
    await console.execute(
        "INSERT INTO notes (conversation_id, user_id, at, body) VALUES (:id, :user, now(), 'x')",
        id=number,
        user=held.id,
    )
    await console.execute(
        "INSERT INTO legal_holds (conversation_id, placed_at, placed_by, reason) VALUES (:id, now(), :user, 'x')",
        id=number, user=open_.id,
    )  # fmt: skip
    never = await a_purge(console, replace(LIMITS, audit=None)).run(now, COMMAND)
    assert (Class.AUDIT, "pseudonymised") not in never.done
    purge = a_purge(console, replace(LIMITS, audit=400))
    assert (await by_hand(console, replace(LIMITS, audit=400)).preview(now)).done[(Class.AUDIT, "pseudonymised")] == {
        "users": 1
    }
    report = await purge.run(now, COMMAND)
    assert report.done[(Class.AUDIT, "pseudonymised")] == {"users": 1, "team_members": 1}
    rows = await console.rows("SELECT id, name, email, password_hash, preferences FROM users ORDER BY id")
    assert [row.name for row in rows] == [f"Ancien compte n°\u00a0{gone.id}", *names[1:]]
    assert tuple(rows[0])[2:] == (None, None, {})
    # By it the provider's account is found to be closed, and opens no new one.
    assert [row.user_id for row in await console.rows("SELECT user_id FROM oidc_identities")] == [gone.id]
    assert (Class.AUDIT, "pseudonymised") not in (await purge.run(now, COMMAND)).done  # once
    assert (await verify(console.database)).broken is None


async def test_the_preview_says_what_the_purge_does_and_changes_nothing(console: RunningConsole) -> None:
    await settled(console, "p1")
    await settled(console, "p2", "complaint")
    now = console.clock.now() + timedelta(days=LIMITS.complaints + 2)
    purge = a_purge(console)
    await RollUp(of_part(console.database, "worker")).catch_up(now)
    preview = await by_hand(console).preview(now)
    assert len(await standing(console)) == 2
    report = await purge.run(now, COMMAND)
    assert preview.people == report.people
    assert (await verify(console.database)).broken is None


async def test_no_purge_in_a_crisis_and_one_a_night(console: RunningConsole, database: Database) -> None:
    assert isinstance(console.clock, FrozenClock)
    await settled(console, "p1")
    denis, claire = await console.user("Denis"), await console.user("Claire")
    await console.execute(
        """INSERT INTO crises (message, written_by, written_at, validated_by, validated_at, opened_at)
            VALUES ('m', :a, now(), :b, now(), now())""",
        a=denis.id,
        b=claire.id,
    )
    console.clock.advance(days=LIMITS.everyday + 2)
    night = NightPurge(a_purge(console), console.clock, (time(2, 30), time(5)), PARIS)
    assert await night.step() is None  # noon
    console.clock.advance(hours=15)  # 03:00 in Paris
    assert len(await standing(console)) == 1
    report = await night.step()
    assert report is not None and report.stopped == "crisis"
    assert len(await standing(console)) == 1 and await nightly(database) is None
    await console.execute("UPDATE crises SET closed_at = now()")
    report = await night.step()
    assert report is not None and report.stopped is None
    assert await standing(console) == {} and await nightly(database) is not None
    assert await night.step() is None


def test_a_night_is_named_by_the_date_of_its_start() -> None:
    def at(hour: int, day: int = 15) -> datetime:
        return datetime(2026, 1, day, hour, tzinfo=PARIS)

    quiet, across = (time(2), time(5)), (time(23), time(4))
    assert [night_of(at(h), quiet, PARIS) for h in (1, 2, 5)] == [None, date(2026, 1, 15), None]
    assert [night_of(at(h), across, PARIS) for h in (23, 3, 12)] == [date(2026, 1, 15), date(2026, 1, 14), None]


async def test_a_long_conversation_goes_in_slices(console: RunningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.purge.ROWS", 10)
    number = await settled(console, "p1", "complaint")
    for n in range(33):
        await console.says("p1", f"message {n}")
    await over(console, number)
    report = await after(console, LIMITS.complaints + 2)
    assert await standing(console) == {number: False}
    assert (
        report.done[(Class.COMPLAINTS, "trimmed")]["events"]
        + report.done[(Class.COMPLAINTS, "pseudonymised")]["events"]
        == 34
    )
    assert report.batches > 4


async def test_the_command_says_what_goes_then_does_it(
    console: RunningConsole, database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await settled(console, "p1", words=MARKER)
    kept = await settled(console, "p2", "complaint")
    monkeypatch.setenv("PLANTON_DATABASE_URL", database_url)
    monkeypatch.setenv("PLANTON_DATA_KEY", base64.b64encode(bytes(range(32))).decode())

    async def planton(*arguments: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, ["purge", *arguments])
        return code, capsys.readouterr().out.replace("\u00a0", " ")

    code, said = await planton("--simuler")
    assert code == 0 and said.startswith("Partiraient :") and "conversations courantes : 1 effacée," in said
    assert len(await standing(console)) == 2
    code, said = await planton()
    assert code == 0 and said.startswith("Partis :") and "conversations courantes : 1 effacée," in said
    assert MARKER not in said and MARKER not in dump(database_url)
    assert await standing(console) == {kept: True}
    code, said = await planton("--verifier")
    assert code == 0 and "Le registre est intact" in said
    assert (await planton("--simuler"))[1].startswith("Partiraient : rien.")


def test_catching_up_brings_nothing_back_that_was_erased(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catchup", "--depuis", "2020-01-01"]) == 2
    assert "plus de 30 jours" in capsys.readouterr().err


async def test_a_worker_purges_at_night(console: RunningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    await settled(console, "p1")
    clock = FrozenClock(console.clock.now() + timedelta(days=200))
    opened = Store(console.database, console.codec, console.listener, MovedClock(clock))
    settings = Settings({"PLANTON_PURGE_HOURS": "00:00-23:59"})
    task = asyncio.create_task(
        purging(
            settings,
            opened,
            (RollUp(of_part(console.database, "worker")), Drift(of_part(console.database, "worker"), PARIS)),
        )
    )
    try:
        async with asyncio.timeout(60):
            while await nightly(console.database) is None:
                await asyncio.sleep(0.1)
    finally:
        task.cancel()
    assert await standing(console) == {}
    assert (await console.rows("SELECT DISTINCT origin FROM deletions"))[0].origin == "nightly"


# -- what its author withdrew -----------------------------------------------------------------------------------------


async def test_a_withdrawn_message_is_nowhere(console: RunningConsole, database_url: str) -> None:
    number = await plant(console, "p1", "m-1", agents=False)
    assert {table for table, _ in await everywhere(console)} == {
        "events", "deliveries", "handoffs", "alarms", "readings", "conversations"
    }  # fmt: skip
    await console.event("p1", Unsend("m-1"))
    assert await everywhere(console) == []
    assert MARKER not in dump(database_url)
    row = (await console.rows("SELECT * FROM events WHERE mid = 'm-1'"))[0]
    assert (row.disposition, row.intent, row.confidence, row.entities) == ("handed_off", None, None, None)
    assert await console.rows("SELECT 1 FROM search_documents WHERE kind = 'event' AND ref = :id", id=row.id) == []
    assert await console.rows("SELECT 1 FROM likenesses WHERE conversation_id = :id", id=number) == []
    groups = await console.rows("SELECT bands FROM message_groups")
    assert [list(group.bands) for group in groups] == [[]]


@pytest.mark.parametrize("before", [0, 1, 2])
async def test_a_webhook_sent_again_brings_nothing_back(console: RunningConsole, before: int) -> None:
    for n in range(4):
        if n == before:
            await console.event("p1", Unsend("m-1"))
        await deliver(console, "p1", Message(MARKER), "m-1")
    assert await everywhere(console) == []


async def test_what_came_by_the_conversations_api_goes_with_its_webhook(console: RunningConsole) -> None:
    number = await deliver(console, "p1", Message(MARKER), "api-1")
    await console.execute(
        "INSERT INTO caught SELECT id, conversation_id, at, 'm-1' FROM events WHERE conversation_id = :id", id=number
    )
    await deliver(console, "p1", Message(MARKER), "m-1")
    await console.event("p1", Unsend("m-1"))
    assert await everywhere(console) == []


async def test_a_withdrawal_takes_nothing_of_what_another_persons_hold_keeps(console: RunningConsole) -> None:
    await console.user("Claire")
    said = {"p1": ("m-1", MARKER), "p2": ("m-2", "une menace")}
    items = [{"sender": {"id": who}, "message": {"mid": mid, "text": words}} for who, (mid, words) in said.items()]
    raw = json.dumps({"object": "page", "entry": [{"id": PAGE, "messaging": items}]}).encode()
    now = console.clock.now()
    events = [
        (Event(Platform.MESSENGER, PAGE, who, mid, now, Message(words), mid=mid), None)
        for who, (mid, words) in said.items()
    ]
    await console.inbox.take(raw, events, now)
    number = (await console.rows("SELECT id FROM conversations WHERE person = 'p2'"))[0].id
    await console.execute(PROTECTED["held"], id=number)
    await console.event("p1", Unsend("m-1"))
    assert await everywhere(console) == []
    bodies = [opened(console.codec, "deliveries.raw", row) for row in await console.rows("SELECT * FROM deliveries")]
    assert sum(b"une menace" in body for body in bodies) == 1
    assert all(MARKER.encode() not in body for body in bodies)


async def test_other_messages_keep_their_words_and_fields(console: RunningConsole) -> None:
    number = await plant(console, "p1", "m-1", agents=False)
    await deliver(console, "p1", Message("à Lille, hier soir"), "m-2")
    there = (await console.handoff(number)).id
    sealed = console.codec.seal_json({"lieu": MARKER, "ville": "Lille"}, "handoffs.slots", number, there)
    await console.execute("UPDATE handoffs SET slots = :s WHERE conversation_id = :id", s=sealed, id=number)
    await console.event("p1", Unsend("m-1"))
    assert opened_json(console.codec, "handoffs.slots", await console.handoff(number)) == {"ville": "Lille"}
    bodies = await console.rows("SELECT * FROM events WHERE mid = 'm-2'")
    assert opened_json(console.codec, "events.body", bodies[0])["text"] == "à Lille, hier soir"
    assert await console.rows("SELECT 1 FROM deliveries d JOIN events e ON e.delivery_id = d.id WHERE e.mid = 'm-2'")
