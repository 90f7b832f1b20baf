"""A person's rights: everything that stands of them is handed over, and all of it goes and stays gone."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.app.cli import main
from bot.core.clock import FrozenClock
from bot.core.messages import Attachment, Echo, Edit, Event, Message, Platform, Postback, Reaction, Read
from bot.gateway.ports import Mark
from bot.gateway.recall import Recall
from bot.gateway.spool import Spool
from bot.store import retention
from bot.store.erased import KEPT
from bot.store.inbox import Inbox
from bot.store.persons import Persons, Standing
from bot.store.purge import verify
from bot.store.sightings import Sightings
from tests.conftest import of_part
from tests.fakes.console import PAGE, RunningConsole
from tests.fakes.retention import MARKER, deliver, dump, everywhere, plant
from tests.fakes.sealed import opened

Planton = Callable[..., Awaitable[tuple[int, str]]]
OTHER = "Bergamote"


@pytest.fixture
def planton(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Planton:
    """`planton person …`: (exit code, everything said)."""
    monkeypatch.setenv("PLANTON_DATABASE_URL", database_url)
    monkeypatch.setenv("PLANTON_DATA_KEY", base64.b64encode(bytes(range(32))).decode())
    monkeypatch.setenv("PLANTON_VAR_DIR", str(tmp_path))

    async def run(*arguments: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, ["person", *arguments])
        said = capsys.readouterr()
        return code, (said.out + said.err).replace("\u00a0", " ")

    return run


def item(person: str, mid: str, words: str) -> dict[str, Any]:
    return {"sender": {"id": person}, "recipient": {"id": PAGE}, "message": {"mid": mid, "text": words}}


def event(console: RunningConsole, person: str, mid: str, body: Any) -> Event:
    return Event(Platform.MESSENGER, PAGE, person, mid, console.clock.now(), body, mid=mid)


async def shared(console: RunningConsole) -> None:
    """A webhook with words of two people in it, and one whose account is not ours."""
    raw = {
        "object": "page",
        "entry": [{"id": PAGE, "messaging": [item(MARKER, "m-s1", MARKER), item(OTHER, "m-s2", OTHER)]}],
    }
    events = [event(console, MARKER, "m-s1", Message(MARKER)), event(console, OTHER, "m-s2", Message(OTHER))]
    await console.inbox.take(json.dumps(raw).encode(), [(one, None) for one in events], console.clock.now())


async def whole_person(console: RunningConsole) -> int:
    """`plant`, and every other kind of thing that a person sends."""
    number = await plant(console)
    for body in (
        Edit("m-2", f"en fait {MARKER}", 1),
        Postback(MARKER, "menu"),
        Message("", attachments=(Attachment("image", f"https://cdn.example/{MARKER}"),)),
        Reaction("m-" + MARKER, "react", "❤"),
        Echo(f"Cher {MARKER}", app_id="7"),
    ):
        await console.event(MARKER, body)
    await shared(console)
    emergency = await console.hand_off(number, "emergency", slots={"lieu": MARKER})
    await console.execute("UPDATE handoffs SET closed_at = opened_at WHERE id = :id", id=emergency)
    await console.execute(
        """UPDATE conversations SET due_at = NULL, owner = 'bot', night = '2026-01-14', emergency_at = :now
            WHERE id = :id""",
        now=console.clock.now(),
        id=number,
    )
    await console.execute(
        "UPDATE events SET disposition = 'answered', settled_at = received_at WHERE disposition IS NULL"
    )
    return number


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def of(console: RunningConsole, number: int) -> list[Any]:
    """What stands of a conversation, as it is in the tables."""
    found = []
    for table in ("events", "search_documents"):
        found += await console.rows(f"SELECT * FROM {table} WHERE conversation_id = :id ORDER BY 1, 2", id=number)
    return found


async def test_nothing_is_left_of_an_erased_person(
    console: RunningConsole, planton: Planton, database_url: str, tmp_path: Path
) -> None:
    number = await whole_person(console)
    other = int((await console.rows("SELECT id FROM conversations WHERE person = :p", p=OTHER))[0].id)
    claire = console.users["Claire"].id
    await console.execute(  # their raw body is kept for them
        "INSERT INTO legal_holds (conversation_id, placed_at, placed_by, reason) VALUES (:c, now(), :u, '')",
        c=other,
        u=claire,
    )
    mark = Mark(Platform.MESSENGER, PAGE, MARKER, "m-9", "danger", console.clock.now(), console.clock.now())
    spool = Spool(tmp_path / "emergency.log")
    await spool.add(mark)
    before, hits = await of(console, other), await everywhere(console)
    assert {table for table, _ in hits} >= {"deliveries", "events", "outbox", "handoffs", "notes", "drafts", "readings"}

    code, said = await planton("erase", MARKER, "--simuler")
    assert code == 0 and "Notes internes des agents : 1" in said and "emergency.log" in said
    assert await everywhere(console) == hits
    code, said = await planton("erase", MARKER, "--oui")
    assert code == 0 and said.count("Effacé : 1 conversation,") == 1
    assert "data/nlu.yml, autre_procedure (exemple ajouté)" in said and "data/stories.yml" in said
    assert "Effacé" in said and MARKER not in said

    assert await everywhere(console) == []
    assert MARKER not in dump(database_url)
    assert [p.name for p in files(tmp_path) if MARKER.encode() in p.read_bytes()] == []
    assert await of(console, other) == before
    raw = [opened(console.codec, "deliveries.raw", r) for r in await console.rows("SELECT * FROM deliveries")]
    assert [OTHER.encode() in one for one in raw] == [True]
    lines = await console.rows("SELECT action, user_id, detail FROM audit WHERE conversation_id = :id", id=number)
    assert [(one.action, one.user_id) for one in lines][-1:] == [("person_erased", None)]
    assert lines[-1].detail["operator"] and lines[-1].detail["rows"] > 10
    origins = await console.rows("SELECT origin, way, days FROM deletions")
    assert ("person", "erased", None) in [(o.origin, o.way, o.days) for o in origins]
    assert (await verify(console.database)).broken is None
    # The gateway that runs has the emergency in its memory as well.
    recall = Recall(
        spool, None, console.clock, 0, 5, lambda marks: console.inbox.answered_to_nobody(marks, console.clock.now())
    )
    await console.execute("UPDATE erased_messages SET at = :now", now=console.clock.now())
    await recall.once()
    assert len(spool) == 0 and not (tmp_path / "emergency.log").read_bytes()


@pytest.fixture
async def gone(console: RunningConsole) -> RunningConsole:
    """A console where a person was erased."""
    await deliver(console, "p1", Message("bonjour"), "m-1")
    await console.bot_says(1, "Bonjour", mids=["sent-1"])
    await console.execute("UPDATE conversations SET due_at = NULL")
    await console.execute("UPDATE events SET disposition = 'answered', settled_at = received_at")
    persons = Persons(console.database, console.codec)
    await persons.erase(await persons.find("p1"), "x", console.clock.now())
    assert await console.rows("SELECT 1 FROM conversations") == []
    return console


async def test_a_late_webhook_brings_nothing_back(gone: RunningConsole) -> None:
    now = gone.clock.now()
    bodies = [
        ("m-1", Message("bonjour")),
        ("sent-1", Echo("Bonjour", metadata="x")),
        ("r-1", Reaction("m-1", "react")),
        ("r-2", Read(now)),
    ]
    for mid, body in bodies:
        await gone.inbox.take(json.dumps({"entry": [{"messaging": [item("p1", mid, "bonjour")]}]}).encode(),
            [(event(gone, "p1", mid, body), None)], now)  # fmt: skip
    for table in ("conversations", "events"):
        assert await gone.rows(f"SELECT 1 FROM {table}") == [], table
    assert await everywhere(gone, "p1") == [] and ("deliveries", "raw") not in await everywhere(gone, "bonjour")


async def test_a_late_webhook_that_others_share_brings_them_alone(gone: RunningConsole) -> None:
    raw = json.dumps({"entry": [{"messaging": [item("p1", "m-1", "bonjour"), item("p2", "m-2", "bonsoir")]}]}).encode()
    events = [event(gone, "p1", "m-1", Message("bonjour")), event(gone, "p2", "m-2", Message("bonsoir"))]
    await gone.inbox.take(raw, [(one, None) for one in events], gone.clock.now())
    assert [row.person for row in await gone.rows("SELECT person FROM conversations")] == ["p2"]
    assert await everywhere(gone, "p1") == [] and ("deliveries", "raw") in await everywhere(gone, "bonsoir")


async def test_the_catch_up_brings_nothing_back(gone: RunningConsole) -> None:
    now = gone.clock.now()
    inbox = Inbox(of_part(gone.database, "sender"), gone.codec, gone.inbox._rules)  # whose it is
    for mid, body in (
        ("m-1", Message("bonjour")),
        ("autre-1", Message("bonjour")),  # Meta may name it otherwise here
        ("autre-2", Echo("Bonjour")),
    ):
        assert await inbox.catch_up(b"{}", [(event(gone, "p1", mid, body), None)], [mid], now) == []
    assert await gone.rows("SELECT 1 FROM conversations") == []
    # What never came is no erased message: it is taken in.
    assert await inbox.catch_up(b"{}", [(event(gone, "p1", "m-7", Message("au secours")), None)], [], now)


async def test_who_writes_again_begins_anew(gone: RunningConsole) -> None:
    assert isinstance(gone.clock, FrozenClock)
    again = await gone.says("p1", "bonjour", mid="m-2")
    assert len(await gone.rows("SELECT 1 FROM events WHERE conversation_id = :id", id=again)) == 1
    await deliver(gone, "p1", Message("bonjour"), "m-1")
    assert [row.mid for row in await gone.rows("SELECT mid FROM events")] == ["m-2"]
    gone.clock.advance(days=KEPT.days + 1)
    await deliver(gone, "p1", Message("bonjour"), "m-1")  # Meta sends nothing again so late: it is another
    assert len(await gone.rows("SELECT 1 FROM events")) == 2


async def test_what_somebody_is_at_is_refused(console: RunningConsole, planton: Planton) -> None:
    number = await deliver(console, "p1", Message("bonjour"), "m-1")
    await console.hand_off(number, "emergency")
    for change, why, remedy in (
        ("SELECT 1", "Une urgence est ouverte", "--malgre"),
        ("UPDATE handoffs SET category = 'request'", "Une demande de cette personne est ouverte", "--malgre"),
        ("UPDATE handoffs SET closed_at = now()", "Un agent suit cette conversation", "--malgre"),
    ):
        await console.execute(change)
        code, said = await planton("erase", "p1", "--oui")
        assert code == 2 and why in said and remedy in said
    await console.execute("UPDATE conversations SET owner = 'bot'")
    code, said = await planton("erase", "p1", "--simuler")
    assert code == 0 and "l’effacement serait refusé. Un message de cette personne attend sa réponse" in said
    assert "Relancez plus tard" in said and "terme" not in said
    await console.execute("UPDATE conversations SET lease_until = clock_timestamp() + interval '1 hour'")
    persons = Persons(console.database, console.codec)
    found = await persons.find("p1")
    for anyway in (False, True):  # a worker has it in hand: even then one waits
        with pytest.raises(Standing):
            await persons.erase(found, "x", console.clock.now(), anyway, patience=0)
    await console.execute("UPDATE conversations SET lease_until = NULL")
    claire = await console.user("Claire")
    hold = "INSERT INTO legal_holds (conversation_id, placed_at, placed_by, reason) VALUES (:c, now(), :u, '')"
    await console.execute(hold, c=number, u=claire.id)
    code, said = await planton("erase", "p1", "--oui", "--malgre")
    assert code == 2 and "conservation légale" in said and "Levez" in said
    assert await console.rows("SELECT 1 FROM events WHERE mid = 'm-1'")
    await console.execute("UPDATE legal_holds SET lifted_at = now()")
    assert (await planton("erase", "p1", "--oui", "--malgre"))[0] == 0
    assert await console.rows("SELECT 1 FROM conversations") == []
    code, said = await planton("erase", "p1", "--oui")
    assert code == 2 and "Rien n’est enregistré" in said


async def test_a_long_conversation_goes_in_slices(console: RunningConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.store.persons.ROWS", 6)
    for n in range(17):
        number = await console.says("p1", f"message {n}", mid=f"m-{n}")
    await console.execute("UPDATE conversations SET due_at = NULL")
    await console.execute("UPDATE events SET disposition = 'answered', settled_at = received_at")
    persons = Persons(console.database, console.codec)
    done = await persons.erase(await persons.find("p1"), "x", console.clock.now())
    assert done.counts["events"] == 17 and done.conversations == 1 and number
    ways = [row.way for row in await console.rows("SELECT way FROM deletions ORDER BY id")]
    assert ways.count("trimmed") > 2 and "erased" in ways
    await deliver(console, "p2", Message("bonsoir"), "m-20")
    await console.inbox.take(b"{}", [(event(console, "p1", "m-0", Message("message 0")), None)], console.clock.now())
    assert [row.mid for row in await console.rows("SELECT mid FROM events")] == ["m-20"]


async def test_everything_is_handed_over(
    console: RunningConsole, planton: Planton, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = await whole_person(console)
    seen = Sightings(console.database)  # a list that showed this person among others
    await seen.record(console.users["Claire"].id, "queue_viewed", console.clock.now(), [number, 987_654], page="file")
    target = tmp_path / "demande.json"
    code, said = await planton("export", "--conversation", str(number), "--vers", str(target))
    assert code == 0 and MARKER not in said
    document = json.loads(target.read_text())
    assert {p.stat().st_mode & 0o777 for p in files(tmp_path) if p.stem == "demande"} == {0o600}
    lines = document["tables"]["audit"]["lignes"]
    assert "queue_viewed" in json.dumps(lines) and "987654" not in json.dumps(lines)
    everything = set(retention.TABLES) - {"message_groups"}
    assert set(document["tables"]) >= everything
    spoken = {name for name, one in document["tables"].items() if MARKER in json.dumps(one, ensure_ascii=False)}
    assert spoken >= {"conversations", "events", "outbox", "handoffs", "notes", "drafts", "submissions", "validations",
        "readings", "deliveries"}  # fmt: skip
    page = target.with_suffix(".html").read_text()
    for words in (target.read_text(), page):
        assert f"https://cdn.example/{MARKER}" in words
        assert "Claire" not in words and OTHER not in words and "non communiqué" in words
    assert "Notes internes des agents (1)" in page and page.count("à relire") > 3
    audit = await console.rows("SELECT detail FROM audit WHERE action = 'person_exported'")
    assert audit[0].detail["rows"] > 20 and audit[0].detail["operator"]
    code, said = await planton("export", MARKER, "--vers", str(target))
    assert code == 2 and "existe déjà" in said

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with monkeypatch.context() as at_a_terminal:
        at_a_terminal.setattr(sys, "stdout", Terminal())
        code = await asyncio.to_thread(main, ["person", "export", MARKER])
        assert code == 2 and MARKER not in sys.stdout.getvalue()  # type: ignore[attr-defined]
    code, said = await planton("export", MARKER)
    assert code == 0 and json.loads(said[: said.rindex("}") + 1])["personne"] == MARKER


async def test_what_no_key_opens_hinders_no_export_and_no_erasure(console: RunningConsole, planton: Planton) -> None:
    number = await whole_person(console)
    await console.inbox.take(b"{}", [(event(console, MARKER, "m-u", Message(MARKER)), None)], console.clock.now())
    await console.inbox.take(b"{}", [(event(console, OTHER, "m-o", Message(OTHER)), None)], console.clock.now())
    lost = "SELECT delivery_id FROM events WHERE mid IN ('m-o', 'm-u')"
    await console.execute(f"UPDATE deliveries SET raw = decode('01ffff', 'hex') WHERE id IN ({lost})")
    await console.execute("UPDATE events SET body = decode('01ffff', 'hex') WHERE mid = 'm-u'")
    await console.execute(
        "UPDATE events SET disposition = 'answered', settled_at = received_at WHERE conversation_id = :id", id=number
    )
    await console.execute("UPDATE conversations SET due_at = NULL")
    code, said = await planton("export", MARKER)
    assert code == 0 and "2 webhooks bruts sont illisibles" in said
    code, said = await planton("erase", MARKER, "--oui")
    assert code == 0, said
    assert "Un webhook brut est illisible (aucune clé ne l’ouvre) : il reste" in said
    left = await console.rows(
        "SELECT d.id FROM deliveries d WHERE substring(raw FROM 1 FOR 3) = decode('01ffff', 'hex')"
    )
    assert len(left) == 1  # the other person's
    assert await console.rows("SELECT 1 FROM conversations WHERE person = :p", p=MARKER) == []


async def test_an_erasure_that_the_database_cuts_off_says_what_went_and_goes_on(
    console: RunningConsole, planton: Planton, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.store.persons.ROWS", 6)
    for n in range(17):
        await console.says(MARKER, f"message {n}", mid=f"m-{n}")
    await console.execute("UPDATE conversations SET due_at = NULL")
    await console.execute("UPDATE events SET disposition = 'answered', settled_at = received_at")
    await console.execute(
        """CREATE FUNCTION met() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION 'of a citizen' USING ERRCODE = '40P01'; END $$"""
    )
    await console.execute("CREATE TRIGGER met BEFORE DELETE ON conversations FOR EACH ROW EXECUTE FUNCTION met()")
    code, said = await planton("erase", MARKER, "--oui")
    assert code == 2 and "of a citizen" not in said and "Traceback" not in said
    assert "Effacé jusque-là : 0 conversation, " in said and "jusque-là : 0 conversation, 0" not in said
    assert "d’autres opérations tenaient les mêmes lignes" in said and "la même commande finit" in said
    await console.execute("DROP TRIGGER met ON conversations")
    code, said = await planton("erase", MARKER, "--oui")
    assert code == 0 and "Effacé : 1 conversation, " in said
    assert await console.rows("SELECT 1 FROM events") == []


async def test_the_wrong_key_erases_nothing(
    console: RunningConsole, planton: Planton, monkeypatch: pytest.MonkeyPatch
) -> None:
    await whole_person(console)
    monkeypatch.setenv("PLANTON_DATA_KEY", base64.b64encode(bytes(32)).decode())
    before = await console.rows("SELECT id FROM deliveries")
    code, said = await planton("erase", MARKER, "--oui")
    assert code == 2 and "PLANTON_DATA_KEY" in said
    assert await console.rows("SELECT id FROM deliveries") == before


def test_the_prints_outlive_what_may_bring_a_message_back() -> None:
    assert timedelta(days=8) < KEPT
