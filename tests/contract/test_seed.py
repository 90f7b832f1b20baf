"""`planton seed`: invented conversations, whole and consistent, encrypted and findable like real ones."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bot.app import seed
from bot.app.cli import main
from bot.core.errors import SetupError
from bot.core.messages import body_from_json
from bot.store import search
from bot.store.codec import Codec
from bot.store.embedded import Embedded
from bot.store.places import event
from tests.conftest import fresh_database

NOW = datetime(2026, 3, 10, 14, 0, tzinfo=timezone.utc)
CONVERSATIONS, MESSAGES = 300, 3000


@pytest.fixture(scope="module")
def seeded(postgres_url: str, template_url: str) -> Any:
    """A database with invented conversations, for the tests that only look."""
    with fresh_database(postgres_url) as url:
        seed.fill(url, _codec(), CONVERSATIONS, MESSAGES, now=NOW)
        with psycopg.connect(url) as connection:
            yield connection


def _codec() -> Codec:
    import base64

    return Codec(base64.b64encode(bytes(range(32))).decode())


def _all(connection: Any, query: str) -> list[Any]:
    return list(connection.execute(query).fetchall())


def _said(connection: Any) -> list[tuple[Any, ...]]:
    """Everything that was said, opened."""
    codec = _codec()
    events = _all(connection, f"SELECT id, conversation_id, at, body, {event('events')} FROM events ORDER BY id")
    sent = _all(connection, "SELECT id, author, status, message, conversation_id FROM outbox ORDER BY id")
    names = _all(connection, "SELECT id, profile FROM conversations ORDER BY id")
    return [
        *((*row[:3], codec.open_json(row[3], "events.body", row[4])["text"]) for row in events),
        *((*row[:3], codec.open_json(row[3], "outbox.message", row[4], row[0])["text"]) for row in sent),
        *((row[0], codec.open_json(row[1], "conversations.profile", row[0])["name"]) for row in names),
    ]


def test_as_many_as_were_asked_for(seeded: Any) -> None:
    assert _all(seeded, "SELECT count(*) FROM conversations") == [(CONVERSATIONS,)]
    assert _all(seeded, "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM outbox)") == [(MESSAGES,)]


def test_every_kind_of_matter_is_there(seeded: Any) -> None:
    states = {(state, category) for state, category in _all(seeded, "SELECT state, category FROM handoffs")}
    assert {state for state, _ in states} == {"open", "snoozed", "closed", "spam"}
    assert {category for _, category in states} == {
        "emergency", "urgent", "sensitive", "complaint", "witness", "request", "thanks",
    }  # fmt: skip
    assert {row[0] for row in _all(seeded, "SELECT status FROM outbox")} >= {"sent", "failed", "cancelled"}
    assert {row[0] for row in _all(seeded, "SELECT author FROM outbox")} >= {"bot", "night", "emergency", "agent"}
    assert {row[0] for row in _all(seeded, "SELECT answer FROM satisfaction")} == {"up", "down", None}
    for table in ("notes", "volumes", "teams", "team_members"):
        assert _all(seeded, f"SELECT count(*) > 0 FROM {table}") == [(True,)]


def test_the_stories_hold_together(seeded: Any) -> None:
    for query in (
        "SELECT e.id FROM events e LEFT JOIN outbox o ON o.id = e.outbox_id AND o.conversation_id = e.conversation_id "
        "WHERE e.outbox_id IS NOT NULL AND o.id IS NULL",
        "SELECT id FROM events WHERE disposition IS NULL OR disposition = 'answered' AND outbox_id IS NULL",
        "SELECT id FROM handoffs WHERE taken_at < opened_at OR replied_at < taken_at OR closed_at < replied_at",
        "SELECT c.id FROM conversations c WHERE (c.owner IN ('waiting', 'agent')) <> EXISTS "
        "(SELECT FROM handoffs h WHERE h.conversation_id = c.id AND h.closed_at IS NULL)",
        "SELECT c.id FROM conversations c WHERE c.last_person_at IS DISTINCT FROM "
        "(SELECT max(at) FROM events e WHERE e.conversation_id = c.id)",
    ):
        assert _all(seeded, query) == []
    assert _all(seeded, "SELECT max(at) FROM events")[0][0] <= NOW
    assert _all(seeded, "SELECT min(at) FROM events")[0][0] < NOW - timedelta(days=300)


def test_words_are_encrypted_and_findable_like_real_ones(seeded: Any) -> None:
    codec = _codec()
    rows = _all(
        seeded,
        f"SELECT e.id, e.conversation_id, e.at, e.body, d.tokens, {event('e')} FROM events e "
        "JOIN search_documents d ON d.kind = 'event' AND d.ref = e.id ORDER BY e.id LIMIT 200",
    )
    assert len(rows) == 200
    for number, conversation, at, body, tokens, place in rows:
        written = body_from_json(codec.open_json(body, "events.body", place))
        document = search.of_event(number, conversation, at, written)
        assert document is not None
        assert tokens == search.tokens([codec], document)
    names = _all(seeded, "SELECT count(*) FROM search_documents WHERE kind = 'name'")[0][0]
    assert names > CONVERSATIONS / 2


def test_what_the_engine_made_of_messages_waits_or_was_looked_at(seeded: Any) -> None:
    rows = _all(
        seeded,
        f"SELECT e.id, {event('e')}, e.body, r.words, r.weight, r.reasons, r.decision_id, e.at, "
        "r.group_id IS NOT NULL FROM readings r "
        "JOIN events e ON e.id = r.event_id",
    )
    assert rows
    codec = _codec()
    for number, place, body, words, weight, reasons, decision, at, grouped in rows:
        said = codec.open_json(body, "events.body", place)["text"]
        assert codec.open(words, "readings.words", number).decode() == said
        assert (weight > 0) == bool(reasons)
        assert grouped
        assert (decision is not None) == (bool(reasons) and at < NOW - timedelta(days=30))
    assert any(weight and decision is None for _, _, _, _, weight, _, decision, _, _ in rows)


def test_an_alarm_quotes_the_message_that_raised_it(seeded: Any) -> None:
    rows = _all(
        seeded,
        "SELECT a.id, a.conversation_id, a.evidence, a.verdict, h.closed_at, h.category, h.reason, a.detector, e.body, "
        f"{event('e')} "
        "FROM alarms a JOIN handoffs h ON h.id = a.handoff_id JOIN events e ON e.id = a.events[1]",
    )
    assert rows
    codec = _codec()
    for number, conversation, evidence, verdict, closed, category, reason, detector, body, place in rows:
        (quote,) = codec.open_json(evidence, "alarms.evidence", conversation, number)
        assert codec.open_json(body, "events.body", place)["text"].split()[:6] == quote.split()
        assert (category, reason) == ("emergency", f"emergency_{detector}")
        assert (verdict is None) == (closed is None)


def test_new_rows_get_new_ids_and_every_index_is_back(seeded: Any, template_url: str) -> None:
    seeded.execute("INSERT INTO conversations (platform, account, person) VALUES ('messenger', 'a', 'b')")
    seeded.rollback()
    query = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexdef"
    with psycopg.connect(template_url) as template:
        assert _all(seeded, query) == _all(template, query)


def test_the_same_seed_tells_the_same(postgres_url: str, template_url: str) -> None:
    told = []
    for number in (7, 7, 8):
        with fresh_database(postgres_url) as url:
            seed.fill(url, _codec(), 20, 200, seed=number, now=NOW)
            with psycopg.connect(url) as connection:
                told.append(_said(connection))
    assert told[0] == told[1] != told[2]


def test_what_is_there_is_not_mixed_with_inventions(database_url: str) -> None:
    seed.fill(database_url, _codec(), 3, 30, now=NOW)
    with pytest.raises(SetupError, match="contient déjà des conversations"):
        seed.fill(database_url, _codec(), 3, 30, now=NOW)
    seed.fill(database_url, _codec(), 4, 40, now=NOW, forced=True)
    with psycopg.connect(database_url) as connection:
        assert _all(connection, "SELECT count(*) FROM conversations") == [(7,)]


def test_an_interrupted_filling_leaves_nothing(database_url: str) -> None:
    def stop(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seed.fill(database_url, _codec(), 5, 50, now=NOW, tell=stop)
    with psycopg.connect(database_url) as connection:
        assert _all(connection, "SELECT count(*) FROM conversations") == [(0,)]
        assert _all(connection, "SELECT count(*) FROM pg_indexes WHERE indexname = 'search_documents_tokens'") == [(1,)]


def test_only_a_demos_database_is_filled_without_insisting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], database_url: str
) -> None:
    monkeypatch.setenv("PLANTON_DATABASE_URL", database_url)
    assert main(["seed", "--conversations", "3", "--messages", "30"]) == 2
    assert "n’est pas celle d’une démonstration" in capsys.readouterr().err
    assert main(["seed", "--conversations", "30", "--messages", "3"]) == 2
    assert "Donnez au moins autant de messages" in capsys.readouterr().err


def test_the_demo_is_filled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.delenv("PLANTON_DATABASE_URL", raising=False)
    monkeypatch.setenv("PLANTON_VAR_DIR", str(tmp_path))
    assert main(["seed", "--conversations", "10", "--messages", "100"]) == 0
    assert "100 messages sont en place" in capsys.readouterr().err
    with Embedded(tmp_path / "demo") as server, psycopg.connect(server.url) as connection:
        assert _all(connection, "SELECT count(*) FROM conversations") == [(10,)]
