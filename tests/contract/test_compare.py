"""`planton compare`: what it measures with, what it prints; the training is scripted (a real one: trainer/test_conduct.py)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bot.app import compare
from bot.app.cli import main
from bot.settings import Settings
from bot.store.codec import Codec
from bot.store.workbench.readings import WORDS
from bot.trainer.comparison import SETS, Comparison
from bot.trainer.conduct import Halt, Outcome
from bot.trainer.errors import TrainerError
from tests.fakes.training import CANDIDATE, CURRENT, Scripted, compared

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
SAID = "on a cabossé ma portière sur le parking du marché"
Run = Callable[..., tuple[int, str, str, Scripted]]


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command over a real database; its exit code, what it printed and said, and the training in its place."""
    for name in ("DATABASE_URL", "DATA_KEY", "VAR_DIR"):
        given = {"DATABASE_URL": database_url, "DATA_KEY": KEY, "VAR_DIR": str(tmp_path / "var")}[name]
        monkeypatch.setenv(f"PLANTON_{name}", given)

    def go(*arguments: str, scripted: Scripted | None = None) -> tuple[int, str, str, Scripted]:
        training = scripted or Scripted()

        def conductor(_python: Path, _environ: Any, measure: Any, report: Any, **more: Any) -> Any:
            assert measure is compare.measure
            assert more["answers"] is compare.answers
            return training(report, Halt())

        monkeypatch.setattr(compare, "Conductor", conductor)
        code = main(["compare", *arguments])
        printed = capsys.readouterr()
        return code, printed.out.replace("\u00a0", " "), printed.err.replace("\u00a0", " "), training

    return go


def confirm(url: str, words: str, age: timedelta, intent: str = "plainte_comment") -> int:
    """A trainer confirmed what a citizen meant; the event's number."""
    sealed, at = Codec(KEY).seal(words.encode(), WORDS), datetime.now(UTC) - age
    with psycopg.connect(url) as connection:
        conversation = connection.execute(
            "INSERT INTO conversations (platform, account, person) VALUES ('messenger', '1', gen_random_uuid()::text) RETURNING id"
        ).fetchone()
        assert conversation is not None
        event = connection.execute(
            """INSERT INTO events (conversation_id, platform, account, key, kind, channel, at, received_at, body)
               VALUES (%s, 'messenger', '1', gen_random_uuid()::text, 'text', 'messaging', %s, %s, '') RETURNING id""",
            (conversation[0], at, at),
        ).fetchone()
        assert event is not None
        connection.execute(
            """WITH decided AS (
                   INSERT INTO reading_decisions (at, user_id, kind, intent, messages)
                   VALUES (%(at)s, (SELECT min(id) FROM users), 'confirmed', %(intent)s, 1) RETURNING id)
               INSERT INTO readings (event_id, conversation_id, platform, at, read_at, words, ranking, intent, confidence, danger,
                   clarified, model, unknown, reasons, weight, group_id, decision_id)
               SELECT %(event)s, %(conversation)s, 'messenger', %(at)s, %(at)s, %(words)s, '[]', %(intent)s, 0.5, 0, false, 'm', 0,
                   '{}', 0, %(event)s, id FROM decided""",
            {"at": at, "intent": intent, "event": event[0], "conversation": conversation[0], "words": sealed},
        )
    return int(event[0])


@pytest.fixture
def trainer(database_url: str) -> None:
    """Somebody who decides."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO users (name, role, password_hash, created_at) VALUES ('Inès', 'trainer', '', now())"
        )


def test_the_sets_side_by_side_with_what_was_lost(run: Run, database_url: str, trainer: None) -> None:
    event = confirm(database_url, SAID, timedelta(days=30))
    confirm(database_url, "un message d’avant-hier en huit", timedelta(days=32))
    code, out, err, training = run()
    assert code == 0
    (order,) = training.orders
    assert [(case.text, case.intent, case.route) for case in order.confirmed] == [(SAID, "plainte_comment", "answer")]
    assert order.events == [event]
    assert order.training == 0
    lines = out.splitlines()
    assert lines[0] == f"candidat {CANDIDATE}, en service {CURRENT}"
    rows = {line[:38].strip(): line[38:].split() for line in lines[3:7]}
    assert list(rows) == [compare.NAMES[name] for name in SETS]
    whole = compared(order.confirmed, order.events)
    for name in SETS:
        each, row = whole.set(name), rows[compare.NAMES[name]]
        assert each.candidate is not None
        assert row[0] == str(each.candidate.n)
        assert row[5:7] == [str(each.test.gains), str(each.test.losses)]
    assert "recul (p = 0.004)" in out
    lost = whole.set("emergency").losses
    assert len(lost) == 9
    assert all(row.text in out for row in lost)
    assert "  … et " in out  # there are more in the other sets
    assert "Une remarque : elle est lue." in out
    assert f"message {event}" in out
    assert SAID not in out + err  # a citizen's words are measured with, never shown
    assert "planton : apprentissage des intentions…" in err


def test_answers_of_the_catalogue_side_by_side_with_what_changed(run: Run) -> None:
    _, out, _, _ = run()
    lines = [line.split() for line in out.partition("Réponses du catalogue, messages (100)")[2].splitlines()[1:4]]
    assert [line[-7:] for line in lines] == [
        ["exacte", "60,0", "%", "49,0", "%", "−11,0", "pt"],
        ["bouton", "100,0", "%", "88,0", "%", "−12,0", "pt"],
        ["question", "0,0", "%", "12,0", "%", "+12,0", "pt"],
    ]
    assert "moins bien, 12 :" in out
    assert "mieux, 1 :" in out
    rows = out.partition("moins bien, 12 :")[2].splitlines()[1:4]
    assert [row.strip() for row in rows] == [
        "ma procu, n° 0 ?",
        "« Faire sa procuration en ligne ? »",
        "en service la réponse exacte, candidat la réponse à une autre question (« Une procuration depuis l’étranger ? »)",
    ]
    assert "Réponses du catalogue, conversations (2)" in out


def test_json_holds_the_whole_comparison(run: Run) -> None:
    code, out, _, _ = run("--json")
    kept = json.loads(out)
    assert (code, kept["candidate"], kept["current"]) == (0, CANDIDATE, CURRENT)
    assert Comparison.from_json(kept["comparison"]) == compared()


def test_nothing_to_train_is_said(run: Run) -> None:
    unchanged = Outcome(CURRENT, CURRENT, None)
    code, out, _, _ = run(scripted=Scripted(unchanged))
    assert (code, out.strip()) == (
        0,
        f"Rien n’a changé : le modèle en service ({CURRENT}) a été entraîné avec ces mêmes fichiers.",
    )
    assert json.loads(run("--json", scripted=Scripted(unchanged))[1])["comparison"] is None


def test_what_trainers_must_correct_is_one_line(run: Run) -> None:
    code, out, err, _ = run(scripted=Scripted(raises=TrainerError("data/nlu.yml, ligne 3 : faux.", "Corrigez-la.")))
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == "planton : data/nlu.yml, ligne 3 : faux. Corrigez-la."


def test_without_a_database_the_gold_sets_are_compared(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTON_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    code, out, _, training = run()
    assert code == 0
    assert "Urgences" in out
    (order,) = training.orders
    assert (order.confirmed, order.no_confirmed) == ([], "La base de données ne répond pas")


@pytest.mark.parametrize(
    ("url", "waits"),
    [("", frozenset()), ("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1", None)],
    ids=["never a database", "away"],
)
def test_who_waits_for_a_candidate_is_not_known_while_the_database_is_away(
    tmp_path: Path, url: str, waits: frozenset[str] | None
) -> None:
    settings = Settings({"PLANTON_DATABASE_URL": url, "PLANTON_VAR_DIR": str(tmp_path), "PLANTON_DATA_KEY": KEY})
    assert compare._waiting(settings) == waits
