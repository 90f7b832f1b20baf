"""Something of one person planted in every table, and ways to find it again: through every codec column, and in a dump."""

from __future__ import annotations

import re
import subprocess
from datetime import timedelta
from typing import Any

from bot.core.dialogue import Understanding
from bot.core.errors import SettingsError
from bot.core.messages import Body, Event, Message, Platform
from bot.policy.emergency import Detection
from bot.store import alarms, search
from bot.store.conversations import STATE
from bot.store.embedded import _find_binaries
from bot.store.workbench import readings
from tests.fakes.console import PAGE, RunningConsole
from tests.fakes.sealed import opened

MARKER = "Zorglonde7431"


async def deliver(console: RunningConsole, person: str, body: Body, mid: str) -> int:
    """A webhook whose raw body holds the words, as a real one does; the conversation."""
    event = Event(Platform.MESSENGER, PAGE, person, mid, console.clock.now(), body, mid=mid)
    words = getattr(body, "text", "")
    await console.inbox.take(
        f'{{"from": "{person}", "text": "{words}"}}'.encode(), [(event, None)], console.clock.now()
    )
    rows = await console.rows("SELECT id FROM conversations WHERE person = :p", p=person)
    return int(rows[0].id)


async def plant(console: RunningConsole, person: str = MARKER, mid: str = "m-" + MARKER, agents: bool = True) -> int:
    """One conversation with something of it in every table; `agents` False: only what comes of the person's message."""
    number = await deliver(console, person, Message(f"Je m’appelle {MARKER} et j’habite à {MARKER}."), mid)
    event = (await console.rows("SELECT id FROM events WHERE mid = :mid", mid=mid))[0].id
    seal, now = console.codec.seal_json, console.clock.now()
    state = {
        "v": 1,
        "slots": {"ville": MARKER},
        "told": {"lieu": [MARKER, 1.0]},
        "events": [["u", "plainte_comment", []], ["s", "ville", MARKER]],
    }
    await console.execute(
        """UPDATE events SET disposition = 'handed_off', settled_at = :now, intent = 'plainte_comment', confidence = 0.9,
            entities = :entities WHERE id = :id""",
        now=now,
        entities=seal({"lieu": MARKER}, "events.entities"),
        id=event,
    )
    await console.execute(
        "UPDATE conversations SET state = :state, due_at = NULL WHERE id = :id", state=seal(state, STATE), id=number
    )
    handoff = await console.hand_off(number, slots={"lieu": MARKER})
    async with console.database.begin() as connection:
        understanding = Understanding(intent="plainte_comment", confidence=0.4, ranking=(("plainte_comment", 0.4),))
        new = readings.NewReading((event,), now, f"je suis {MARKER}", understanding, "answer")
        await readings.keep(connection, console.codec, [new], now)
        ahead = await alarms.ahead(connection, number)
        detection = Detection("danger", "score", evidence=(f"j’habite à {MARKER}",))
        await alarms.keep(connection, console.codec, number, detection, ahead, handoff, [event], now)
    await console.execute(
        "INSERT INTO likenesses (event_id, conversation_id, at, bands) VALUES (:e, :c, :now, '{1,2}')",
        e=event,
        c=number,
        now=now,
    )
    await console.execute(
        "INSERT INTO message_groups (kind, sample_id, created_at, bands) VALUES ('same_words', :e, :now, '{1,2}')",
        e=event,
        now=now,
    )
    if agents:
        await _agents(console, number, handoff, event)
    return number


async def _agents(console: RunningConsole, number: int, handoff: int, event: int) -> None:
    """What people at work and trainers add."""
    seal, now = console.codec.seal_json, console.clock.now()
    claire = (await console.user("Claire")).id
    denis = (await console.user("Denis", "validator")).id
    outbox = await console.bot_says(number, f"Bonjour {MARKER}", mids=["sent-" + MARKER], created_at=now)
    await console.named(number, MARKER)
    async with console.database.begin() as connection:
        await search.index(connection, console.codec, [search.of_name(number, now, MARKER)])
    plain = MARKER.encode()
    values = {"c": number, "h": handoff, "e": event, "o": outbox, "u": claire, "v": denis, "now": now}
    sealed = {
        "draft": console.codec.seal(plain, "drafts.body"),
        "note": console.codec.seal(plain, "notes.body"),
        "body": seal(MARKER, "submissions.body"),
        "before": seal(MARKER, "validations.before"),
        "word": seal(MARKER, "validations.word"),
        "reason": console.codec.seal(plain, "legal_holds.reason"),
    }
    for statement in (
        "INSERT INTO drafts (conversation_id, user_id, body, updated_at) VALUES (:c, :u, :draft, :now)",
        "INSERT INTO notes (conversation_id, user_id, at, body) VALUES (:c, :u, :now, :note)",
        """INSERT INTO submissions (conversation_id, handoff_id, user_id, body, seen, category, priority, steps, status,
            created_at, outbox_id, dedup) VALUES (:c, :h, :u, :body, :e, 'complaint', 3, '{service}', 'approved', :now, :o, 'd')""",
        """INSERT INTO validations (submission_id, step, user_id, decision, before, word, at)
            SELECT id, 0, :v, 'amended', :before, :word, :now FROM submissions""",
        """INSERT INTO group_members (group_id, conversation_id, handoff_id, seen, status, outbox_id)
            SELECT id, :c, :h, :e, 'sent', :o FROM message_groups""",
        "INSERT INTO satisfaction (conversation_id, handoff_id, asked_at) VALUES (:c, :h, :now)",
        "INSERT INTO blocks (conversation_id, at, user_id, reason) VALUES (:c, :now, :u, 'autre')",
        "INSERT INTO presence (conversation_id, user_id, seen_at) VALUES (:c, :u, :now)",
        """INSERT INTO corrections (at, user_id, kind, file, intent, marked, events)
            VALUES (:now, :u, 'add', 'data/nlu.yml', 'autre_procedure', 'un exemple', ARRAY[CAST(:e AS bigint)])""",
        """INSERT INTO stories_made (conversation_id, at, user_id, kind, name, file, text)
            VALUES (:c, :now, :u, 'story', 'n', 'data/stories.yml', 'pseudonymisé')""",
        """INSERT INTO legal_holds (conversation_id, placed_at, placed_by, reason, lifted_at, lifted_by)
            VALUES (:c, :now, :u, :reason, :now, :u)""",
        "INSERT INTO caught (event_id, conversation_id, at) VALUES (:e, :c, :now)",
    ):
        given = {**values, **sealed}
        await console.execute(statement, **{k: v for k, v in given.items() if re.search(rf"(?<!:):{k}\b", statement)})
    await console.execute("UPDATE conversations SET due_at = NULL WHERE id = :id", id=number)
    await console.execute(
        "UPDATE handoffs SET closed_at = :now WHERE id = :id", now=now + timedelta(minutes=1), id=handoff
    )


async def everywhere(console: RunningConsole, marker: str = MARKER) -> list[tuple[str, str]]:
    """(table, column) of every value of the database in which the marker stands, sealed ones opened."""
    columns = await console.rows("""
        SELECT c.table_name AS table, c.column_name AS column, c.data_type = 'bytea' AS sealed
        FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
        WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
    """)
    hits = []
    for one in columns:
        name = f'"{one.column}"'
        if not one.sealed:
            query = f"SELECT 1 FROM {one.table} WHERE {name}::text LIKE :like LIMIT 1"
            if await console.rows(query, like=f"%{marker}%"):
                hits.append((one.table, one.column))
            continue
        for row in await console.rows(f"SELECT *, {name} AS value FROM {one.table} WHERE {name} IS NOT NULL"):
            if marker in _opened(console, row, bytes(row.value), f"{one.table}.{one.column}"):
                hits.append((one.table, one.column))
                break
    return hits


def _opened(console: RunningConsole, row: Any, value: bytes, column: str) -> str:
    try:
        return opened(console.codec, column, row).decode(errors="replace")
    except (KeyError, SettingsError, ValueError, IndexError):
        return value.decode(errors="replace")


def dump(url: str) -> str:
    """The whole database as `pg_dump` writes it."""
    done = subprocess.run(
        [str(_find_binaries() / "pg_dump"), "--inserts", url], capture_output=True, text=True, check=True
    )
    return done.stdout
