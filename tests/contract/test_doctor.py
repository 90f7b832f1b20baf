"""`planton doctor` and `planton users add` over a real database."""

from __future__ import annotations

import io
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from argon2 import PasswordHasher
from psycopg.rows import dict_row

from bot.app import users
from bot.app.cli import main
from bot.app.doctor import DISPOSITIONS, OUTBOX, Report, as_text, examine, proxies
from bot.app.launcher import recall, remember
from bot.app.vitals import data_directory, told_to_nobody
from bot.settings import Settings
from bot.store.accounts import AccountError
from bot.store.codec import Codec
from bot.store.embedded import Embedded
from tests.fakes.answered import CATALOGUE, FILE

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


class _Ok(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def answering() -> Iterator[int]:
    """Something that answers 200 to everything; its port."""
    server = HTTPServer(("127.0.0.1", 0), _Ok)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project folder with a domain of three replies, one of them unchecked, and no model."""
    (tmp_path / "domain.yml").write_text(
        "responses:\n"
        "  utter_a: [{text: a, metadata: {source: x, seen: 2026-01-01, checked: null}}]\n"
        "  utter_b: [{text: b, metadata: {source: x, seen: 2026-01-01, checked: 2026-02-01}}]\n"
        "  utter_c: [{text: c}]\n"
    )
    return tmp_path


@pytest.fixture
def environ(database_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Settings with which everything answers."""
    with answering() as one, answering() as two, answering() as three, answering() as four:
        yield {
            "PLANTON_DATABASE_URL": database_url,
            "PLANTON_VAR_DIR": str(tmp_path / "var"),
            "PLANTON_META_APP_SECRET": "s",
            "PLANTON_META_VERIFY_TOKEN": "v",
            "PLANTON_META_PAGE_ID": "1",
            "PLANTON_META_PAGE_TOKEN": "t",
            "PLANTON_SECRET_KEY": "k" * 40,
            "PLANTON_SENDER_KEY": "d" * 40,
            "PLANTON_METRICS_TOKEN": "m",
            "PLANTON_DATA_KEY": KEY,
            "PLANTON_GATEWAY_PORT": str(one),
            "PLANTON_SENDER_PORT": str(two),
            "PLANTON_CONSOLE_PORT": str(three),
            "PLANTON_ENGINE_URL": f"http://127.0.0.1:{four}",
        }


def found(environ: dict[str, str], root: Path, now: datetime = NOW, **changes: str | None) -> list[str]:
    """What doctor finds, without what this test folder lacks."""
    merged = {**environ, **{f"PLANTON_{k}": v for k, v in changes.items() if v is not None}}
    for name, value in changes.items():
        if value is None:
            del merged[f"PLANTON_{name}"]
    problems = examine(Settings(merged), now, root).problems
    assert all(p.what and p.remedy for p in problems)
    return [p.what for p in problems if "modèle" not in p.what and not p.advice]


def converse(url: str, due: datetime | None = None) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "INSERT INTO conversations (platform, account, person, due_at) VALUES ('messenger', '1', '2', %s) RETURNING id",
            (due,),
        ).fetchone()
    assert row is not None
    return int(row[0])


def event(url: str, conversation: int, key: str, **columns: Any) -> None:
    values = {
        "conversation_id": conversation,
        "platform": "messenger",
        "account": "1",
        "key": key,
        "kind": "text",
        "channel": "messaging",
        "at": NOW,
        "received_at": NOW,
        "body": Codec(KEY).seal(b"{}", "events.body"),
        **columns,
    }
    names = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    with psycopg.connect(url) as connection:
        connection.execute(f"INSERT INTO events ({names}) VALUES ({marks})", list(values.values()))  # type: ignore[arg-type]


def send(url: str, conversation: int, status: str, slug: str | None = None, remedy: str | None = None) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "INSERT INTO outbox (conversation_id, lane, author, message, status, created_at, due_at, error_slug, error_remedy)"
            " VALUES (%s, 'reply', 'bot', '', %s, %s, %s, %s, %s) RETURNING id",
            (conversation, status, NOW, NOW, slug, remedy),
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_nothing_wrong(environ: dict[str, str], root: Path) -> None:
    assert found(environ, root) == []


def test_the_balance(environ: dict[str, str], database_url: str, root: Path) -> None:
    conversation = converse(database_url, NOW + timedelta(minutes=5))
    sent = send(database_url, conversation, "sent")
    send(database_url, conversation, "queued")
    for number, (disposition, reply) in enumerate(
        [("answered", sent), ("answered", sent), ("emergency", None), ("ignored", None), (None, None)]
    ):
        event(database_url, conversation, str(number), disposition=disposition, outbox_id=reply)
    report = examine(Settings(environ), NOW, root).as_json()
    assert list(report) == ["ok", "received", "in_flight", "dispositions", "outbox", "problems"]
    assert (report["received"], report["in_flight"]) == (5, 1)
    assert set(report["dispositions"]) == set(DISPOSITIONS)
    assert set(report["outbox"]) == set(OUTBOX)
    assert report["dispositions"] | {"answered": 0} == dict.fromkeys(DISPOSITIONS, 0) | {"emergency": 1, "ignored": 1}
    assert report["dispositions"]["answered"] == 2
    assert report["received"] == sum(report["dispositions"].values()) + report["in_flight"]
    assert report["outbox"] == {"queued": 1, "sent": 1, "failed": 0, "cancelled": 0}


def test_an_answer_that_never_left_is_a_problem(environ: dict[str, str], database_url: str, root: Path) -> None:
    conversation = converse(database_url)
    event(
        database_url, conversation, "1", disposition="answered", outbox_id=send(database_url, conversation, "cancelled")
    )
    assert found(environ, root) == ["1 message(s) sont notés « répondus » alors que leur réponse n’est pas partie."]


def test_a_message_that_nobody_will_read_is_a_problem(environ: dict[str, str], database_url: str, root: Path) -> None:
    event(database_url, converse(database_url), "1")
    assert found(environ, root) == ["1 message(s) attendent sans que personne ne doive les lire."]


def test_what_waits_for_the_engine_is_a_problem(environ: dict[str, str], database_url: str, root: Path) -> None:
    conversation = converse(database_url, NOW + timedelta(seconds=3))
    event(database_url, conversation, "1")
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE conversations SET engine_away_since = %s", (NOW - timedelta(seconds=61),))
    assert found(environ, root) == ["1 conversation attend le moteur depuis plus d’une minute."]


def test_what_waits_for_more_than_a_minute_is_a_problem(environ: dict[str, str], database_url: str, root: Path) -> None:
    event(database_url, converse(database_url, NOW - timedelta(seconds=61)), "1")
    assert found(environ, root) == ["1 conversation attend depuis plus d’une minute."]
    assert found(environ, root, NOW - timedelta(seconds=30)) == []


def test_failed_sends_are_told_for_a_day_with_the_sender_s_remedy(
    environ: dict[str, str], database_url: str, root: Path
) -> None:
    send(database_url, converse(database_url), "failed", "token_expired", "Renouvelez le jeton.")
    problem = next(p for p in examine(Settings(environ), NOW, root).problems if "envoi a échoué" in p.what)
    assert "token_expired" in problem.what
    assert problem.remedy == "Renouvelez le jeton."
    assert found(environ, root, NOW + timedelta(hours=25)) == []


def test_a_stopped_account_and_a_notice(environ: dict[str, str], database_url: str, root: Path) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO accounts (account, stopped_slug, stopped_remedy, stopped_at, notice)"
            " VALUES ('42', 'token_expired', 'Renouvelez le jeton.', now(), 'warning: spam')"
        )
    told = found(environ, root)
    assert told == [
        "Le compte 42 n’envoie plus rien (token_expired).",
        "Meta a averti le compte 42 : warning: spam",
    ]


def test_what_meta_limits_or_refuses_with_a_strange_code(
    environ: dict[str, str], database_url: str, root: Path
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO accounts (account, usage_percent, usage_at, slowed_to, trouble_slug, trouble_code, trouble_at) VALUES"
            " ('42', 80, now(), 17, 'unknown', '98765/12', now() - interval '23 hours'),"
            " ('43', 79, now(), 18, 'unknown', '98765/12', now() - interval '25 hours'),"
            " ('44', 99, now() - interval '6 minutes', 1, NULL, NULL, NULL)"
        )
    told = [p for p in examine(Settings(environ), NOW, root).problems if "Meta" in p.what]
    assert [p.what.replace("\u00a0", " ") for p in told] == [
        "Meta a refusé des envois du compte 42 (code 98765/12, unknown).",
        "Meta compte 80 % de ses limites pour le compte 42 : les réponses ralentissent à 17 par seconde.",
    ]
    assert "Cherchez ce code" in told[0].remedy
    assert [p.key for p in told] == ["trouble:42:98765/12", "usage:42"]  # alerts too


def test_meta_s_own_automation_is_told(environ: dict[str, str], database_url: str, root: Path) -> None:
    event(database_url, converse(database_url), "1", disposition="ignored", reason="inbox_automation", kind="echo")
    assert any("réponses automatiques de Meta" in what for what in found(environ, root))
    assert found(environ, root, NOW + timedelta(days=8)) == []


def test_each_service_that_does_not_answer(environ: dict[str, str], root: Path) -> None:
    told = found(environ, root, ENGINE_URL="http://127.0.0.1:9")
    assert told == ["Service « moteur » : rien ne répond à http://127.0.0.1:9."]
    nobody = found(
        environ, root, ENGINE_URL="http://127.0.0.1:9", GATEWAY_PORT="7", SENDER_PORT="11", CONSOLE_PORT="13"
    )
    assert nobody == ["Planton ne tourne pas : aucun de ses services ne répond."]


def test_settings_that_are_missing_wrong_or_misspelt(environ: dict[str, str], root: Path) -> None:
    told = found(environ, root, META_PAGE_TOKEN=None, TIMEZONE="Mars", SEND_CELING="3")
    assert [line.replace("\u00a0", " ").partition(" : ")[0] for line in told] == [
        "PLANTON_TIMEZONE",
        "PLANTON_META_PAGE_TOKEN",
        "PLANTON_SEND_CELING",
    ]


def test_a_wrong_setting_that_the_database_is_looked_at_with_is_told_once(
    environ: dict[str, str], database_url: str, root: Path
) -> None:
    event(database_url, converse(database_url), "1", disposition="ignored")
    merged = {**environ, "PLANTON_PURGE_HOURS": "la nuit"}
    report = examine(Settings(merged), NOW, root)
    assert sum("PURGE_HOURS" in p.what for p in report.problems) == 1
    assert report.received == 1


def test_a_console_behind_a_proxy_must_know_it(environ: dict[str, str]) -> None:
    for url, count, advised in (
        (None, "0", 0),
        ("https://console.exemple.fr", "0", 1),
        ("https://console.exemple.fr", "1", 0),
        ("http://localhost:8002", "0", 0),
        ("n’importe quoi", "0", 0),
    ):
        given = {"PLANTON_CONSOLE_URL": url} if url else {}
        advice = list(proxies(Settings({**environ, **given, "PLANTON_CONSOLE_PROXIES": count})))
        assert len(advice) == advised and all(one.advice for one in advice), url


def test_a_graph_version_near_its_end(environ: dict[str, str], root: Path) -> None:
    old = "https://graph.facebook.com/v21.0"  # ends on 2027-01-21
    assert found(environ, root, META_GRAPH_URL=old) == []
    soon = found(environ, root, datetime(2026, 12, 1, tzinfo=UTC), META_GRAPH_URL=old)
    assert soon == ["La version v21.0 de l’API Graph cessera le 21/01/2027."]
    gone = found(environ, root, datetime(2027, 2, 1, tzinfo=UTC), META_GRAPH_URL=old)
    assert gone == ["La version v21.0 de l’API Graph a cessé le 21/01/2027."]


def test_another_key_than_the_one_the_messages_were_stored_with(
    environ: dict[str, str], database_url: str, root: Path
) -> None:
    event(database_url, converse(database_url), "1", disposition="ignored")
    assert found(environ, root) == []
    other = found(environ, root, DATA_KEY="Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=")
    assert len(other) == 1
    assert "ne s’ouvrent pas avec la clé" in other[0]


def test_a_database_that_is_away_leaves_the_counts_unknown(environ: dict[str, str], root: Path) -> None:
    away = {**environ, "PLANTON_DATABASE_URL": "postgresql://u@127.0.0.1:9/none"}
    report = examine(Settings(away), NOW, root)
    assert report.received is None
    assert not report.ok
    assert any("La base de données ne répond pas." in p.what for p in report.problems)
    assert "inconnu" in as_text(report)


def test_beside_a_demo_it_says_where_the_demo_is(environ: dict[str, str], root: Path, tmp_path: Path) -> None:
    embedded = {name: value for name, value in environ.items() if name != "PLANTON_DATABASE_URL"}

    def remedy() -> str:
        problems = examine(Settings(embedded), NOW, root).problems
        return next(p.remedy for p in problems if p.what == "La base embarquée n’existe pas encore.")

    assert "démonstration" not in remedy()
    demo = Embedded(tmp_path / "var" / "demo")
    demo.acquire(0)
    try:
        assert f"PLANTON_VAR_DIR={tmp_path}/var/demo" in remedy()
    finally:
        demo.stop()


def test_an_empty_database_is_told(environ: dict[str, str], postgres_url: str, root: Path) -> None:
    told = found({**environ, "PLANTON_DATABASE_URL": postgres_url}, root)
    assert told == ["Le schéma de la base n’est pas à jour."]


def test_a_folder_open_to_others_is_told(environ: dict[str, str], root: Path) -> None:
    (root / "var").mkdir()
    (root / "var").chmod(0o777)
    assert [what for what in found(environ, root) if "ouvert à d’autres" in what]


def test_replies_to_reread_are_advice_and_do_not_make_it_ill(environ: dict[str, str], root: Path) -> None:
    report = examine(Settings(environ), NOW, root)
    advice = [p for p in report.problems if p.advice and not p.what.startswith("Les alertes")]
    superuser, *advice = sorted(advice, key=lambda p: "superutilisateur" not in p.what)  # as the tests' server has it
    assert superuser.what == "PLANTON_DATABASE_URL est celle d’un superutilisateur de PostgreSQL."
    assert [p.what for p in advice] == ["1 réponses n’ont pas encore été relues sur leur page officielle."]
    report.problems = advice
    assert report.ok
    assert "tout va bien" in as_text(report)
    assert "À faire quand vous pourrez" in as_text(report)


def test_questions_to_read_again_are_counted_and_named(environ: dict[str, str], root: Path) -> None:
    def told(report: Report) -> list[dict[str, str]]:
        return [one for one in report.as_json()["problems"] if "Catalogue" in one["what"]]

    assert told(examine(Settings(environ), NOW, root)) == []
    (root / FILE).parent.mkdir(parents=True)
    (root / FILE).write_text(CATALOGUE.replace("'2027-11-01'", f"'{NOW.date() - timedelta(days=1)}'", 1))
    report = examine(Settings(environ), NOW, root)
    (one,) = told(report)
    assert one["level"] == "advice"
    assert "2 questions, 2 jamais vérifiées" in one["what"]
    assert "1 dont la date de relecture est passée\u00a0: animaux/chat_perdu." in one["what"]
    assert re.search(r"Questions du catalogue +2", as_text(report))
    (root / FILE).write_text("nlu: [")
    (broken,) = [p for p in examine(Settings(environ), NOW, root).problems if FILE in p.what]
    assert not broken.advice


def test_sources_checked_more_than_six_months_ago_are_advice(environ: dict[str, str], root: Path) -> None:
    def reply(name: str, checked: str) -> str:
        source = "https://www.service-public.fr/particuliers/vosdroits/F1435"
        metadata = f"      source: {source}\n      seen: 2025-09-01\n      checked: {checked}\n"
        return f"  {name}:\n  - text: |-\n      Bonjour.\n    metadata:\n{metadata}"

    replies = [reply(f"utter_{n}", "2025-09-07") for n in range(7)]
    fresh = reply("utter_frais", "2025-09-08")  # 183 days before NOW
    (root / "domain.yml").write_text("responses:\n" + fresh + "".join(replies))
    (stale,) = [p for p in examine(Settings(environ), NOW, root).problems if "six mois" in p.what]
    assert stale.what == (
        "La source de 7 réponses a été vérifiée il y a plus de six mois : "
        "utter_0, utter_1, utter_2, utter_3, utter_4 et 2 autres."
    )
    assert "planton check links" in stale.remedy
    assert stale.advice
    (root / "domain.yml").write_text("responses:\n" + fresh)
    assert not [p for p in examine(Settings(environ), NOW, root).problems if "six mois" in p.what]


def test_a_git_that_cannot_take_a_publication_back_is_advice(
    environ: dict[str, str], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not [p for p in examine(Settings(environ), NOW, root).problems if p.what.startswith("git ")]
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.39.5\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (old,) = [p for p in examine(Settings(environ), NOW, root).problems if p.what.startswith("git ")]
    assert "2.39.5 est trop ancien" in old.what
    assert "2.40" in old.remedy
    assert old.advice


def test_the_command_prints_json_and_its_exit_code_says_ok(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**environ, "PLANTON_META_PAGE_TOKEN": ""}.items():
        monkeypatch.setenv(name, value)
    assert main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert all(set(p) - {"level"} == {"what", "remedy"} for p in report["problems"])


def test_doctor_in_another_terminal_knows_the_settings_of_the_run_but_no_secret(tmp_path: Path) -> None:
    var = tmp_path / "var"
    run = Settings(
        {"PLANTON_VAR_DIR": str(var), "PLANTON_GATEWAY_PORT": "1234", "PLANTON_META_PAGE_TOKEN": "very-secret"}
    )
    here = Settings({"PLANTON_VAR_DIR": str(var)})
    owner = Embedded(var)
    owner.acquire(0)
    try:
        remember(run, {"PLANTON_DEMO": "1"})
        assert recall(here).port("GATEWAY_PORT") == 1234
        assert recall(here).raw("META_PAGE_TOKEN") == "(donné)"
        assert "very-secret" not in (var / "running.json").read_text()
        remember(run, {})
        assert [one.advice for one in told_to_nobody(recall(here))] == [True]
        remember(Settings({**run.environ, "PLANTON_ALERT_URLS": "json://u:very-secret@h json://h"}), {})
        assert list(told_to_nobody(recall(here))) == []
        assert recall(here).alert_urls == ()  # how many there are is not for who stands here
        assert "very-secret" not in (var / "running.json").read_text()
    finally:
        owner.stop()
    assert recall(here).port("GATEWAY_PORT") == 8080  # nobody runs any more


# -- the console ---------------------------------------------------------------------------------------------------


def test_an_identity_provider_that_does_not_answer_is_told(environ: dict[str, str], root: Path) -> None:
    environ |= {
        "PLANTON_CONSOLE_URL": "http://127.0.0.1:8090",
        "PLANTON_OIDC_ISSUER": f"http://127.0.0.1:{environ['PLANTON_CONSOLE_PORT']}",  # answers, and knows nothing
        "PLANTON_OIDC_CLIENT_ID": "planton",
    }
    told = [p.what for p in examine(Settings(environ), NOW, root).problems if "fournisseur d’identité" in p.what]
    assert len(told) == 1
    assert "discovery" in told[0]


def test_a_purge_that_does_not_come_to_its_end_is_told(environ: dict[str, str], root: Path, database_url: str) -> None:
    def told(**more: str) -> list[str]:
        return [p.what for p in examine(Settings({**environ, **more}), NOW, root).problems if "purge de nuit" in p.what]

    assert told() == []
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO conversations (platform, account, person, created_at) VALUES ('messenger', '1', 'p', '2026-03-01')"
        )
        assert len(told()) == 1
        assert told(PLANTON_PURGE_HOURS="jamais") == []
        connection.execute("INSERT INTO facts VALUES ('purge_night', '\"2026-03-09\"')")
        assert told() == []


def test_a_console_without_administrator_is_told(environ: dict[str, str], root: Path, database_url: str) -> None:
    def told() -> list[str]:
        return [p.what for p in examine(Settings(environ), NOW, root).problems if "administrateur" in p.what]

    assert told() == []  # nobody works here yet
    users.add(database_url, "Zoé", "agent", "mot de passe long")
    assert len(told()) == 1
    users.add(database_url, "Alix", "administrator", "mot de passe long")
    assert told() == []


def test_rules_of_validation_that_ask_for_nobody_or_that_nobody_meets_are_told(
    environ: dict[str, str], root: Path, database_url: str
) -> None:
    def told() -> list[tuple[bool, str]]:
        problems = examine(Settings(environ), NOW, root).problems
        return [(p.advice, p.what) for p in problems if "validation" in p.remedy or "valid" in p.what]

    def change(statement: str) -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute(statement)

    assert told() == []  # nobody works here yet
    users.add(database_url, "Denis", "validator", "mot de passe long")
    [(advice, what)] = told()
    assert advice
    assert "(urgence vitale, urgent, sensible, réclamation, témoignage, demande, remerciements, sans catégorie)" in what
    change("UPDATE validation_rules SET steps = '{service}' WHERE category <> 'complaint'")
    change("UPDATE validation_rules SET steps = '{service,cabinet}' WHERE category = 'complaint'")
    nobody = [
        "témoignage, demande, remerciements, sans catégorie) : aucun compte actif n’a le niveau « chef de service »",
        "(réclamation) : aucun compte actif n’a le niveau « cabinet »",
    ]
    found = told()
    assert [advice for advice, _ in found] == [False, False]
    assert all(part in what for part, (_, what) in zip(nobody, found, strict=True))
    change("UPDATE users SET validation_level = 'service'")
    assert [nobody[1] in what for _, what in told()] == [True]
    change("UPDATE users SET validation_level = 'cabinet'")
    assert told() == []
    change("UPDATE users SET disabled_at = now()")
    users.add(database_url, "Claire", "agent", "mot de passe long")
    assert len(told()) == 3  # nor could anybody agree to the crisis's message


# -- users -------------------------------------------------------------------------------------------------------


@pytest.fixture
def add(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PLANTON_DATABASE_URL", database_url)

    def call(name: str, password: bytes, role: str = "agent") -> int:
        stdin = SimpleNamespace(isatty=lambda: False, buffer=io.BytesIO(password))
        monkeypatch.setattr(users.sys, "stdin", stdin)
        return main(["users", "add", name, "--role", role, "--password-stdin"])

    return call


def row(url: str, name: str) -> tuple[Any, ...] | None:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT role, password_hash FROM users WHERE name = %s", (name,)).fetchone()


def test_an_account_is_created_with_an_argon2id_hash(add: Any, database_url: str) -> None:
    assert add("Éloïse", "mot de passe très long\n".encode(), "validator") == 0
    created = row(database_url, "Éloïse")
    assert created is not None
    assert created[0] == "validator"
    assert created[1].startswith("$argon2id$")
    assert PasswordHasher().verify(created[1], "mot de passe très long")


@pytest.mark.parametrize(
    ("name", "password", "words"),
    [
        ("Zoé", b"court\n", "trop court : 5 caractères. Donnez-en 12 ou plus"),
        ("Zoé", b"onze caract\n", "trop court : 11"),
        ("Zoé", b"", "trop court : 0"),
        ("Zoé", b"x" * 2000, "trop long"),
        ("Zoé", b"deux lignes de\nmot de passe\n", "une seule ligne"),
        ("Zoé", b"\xff\xfe latin mot de passe", "UTF-8"),
        ("  ", b"mot de passe long", "nom de compte ne convient pas"),
        ("a\nb", b"mot de passe long", "nom de compte ne convient pas"),
    ],
)
def test_what_is_refused_is_one_line(
    add: Any, database_url: str, capsys: pytest.CaptureFixture[str], name: str, password: bytes, words: str
) -> None:
    assert add(name, password) == 2
    said = capsys.readouterr().err.replace("\u00a0", " ")
    assert len(said.splitlines()) == 1
    assert words in said
    assert row(database_url, name) is None


def test_a_name_taken_is_one_line_and_changes_nothing(add: Any, database_url: str) -> None:
    assert add("Zoé", b"premier mot de passe") == 0
    before = row(database_url, "Zoé")
    with pytest.raises(AccountError, match="existe déjà"):
        users.add(database_url, "ZOÉ", "auditor", "second mot de passe")
    assert row(database_url, "Zoé") == before


def test_users_add_works_beside_a_running_embedded_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, add: Any
) -> None:
    monkeypatch.setenv("PLANTON_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.delenv("PLANTON_DATABASE_URL")
    with Embedded(tmp_path / "var", {"shared_buffers": "16MB"}) as server:
        assert add("Zoé", b"mot de passe long") == 0
        assert row(server.url, "Zoé") is not None
        pid = server.pid
        assert pid is not None


def test_users_add_starts_the_embedded_server_for_its_own_duration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, add: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PLANTON_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.delenv("PLANTON_DATABASE_URL")
    assert add("Zoé", b"mot de passe long") == 0
    assert "se devine vite" in capsys.readouterr().err  # told, not refused: who has the machine decides
    assert not Embedded(tmp_path / "var").held
    assert not (tmp_path / "var" / "postgres" / "postmaster.pid").exists()
    with Embedded(tmp_path / "var") as server:
        assert row(server.url, "Zoé") is not None


def test_a_role_that_could_not_read_what_was_published_is_named(
    database_url: str, environ: dict[str, str], root: Path
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO reloads (role, host, at, model, fault) VALUES ('gateway', 'front-1', %s, 'a', 'domain.yml : faux.'),"
            " ('worker', 'front-1', %s, 'b', '')",
            (NOW, NOW),
        )
        connection.execute(
            "INSERT INTO publications (kind, model, author, message, state, failure, asked_at, finished_at)"
            " VALUES ('publish', 'b', 'Inès', 'x', 'failed', 'Le moteur n’a pas démarré.', %s, %s)",
            (NOW, NOW),
        )
    told = [problem for problem in examine(Settings(environ), NOW, root).problems]
    (role,) = [problem for problem in told if "front-1" in problem.what]
    assert role.what == "Service « passerelle » (front-1) : domain.yml : faux."
    assert not role.advice
    (failed,) = [problem for problem in told if "publication" in problem.what]
    assert "Le moteur n’a pas démarré." in failed.what
    assert failed.advice


def test_a_role_of_the_database_without_privileges_is_enough(database_url: str) -> None:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        connection.execute("CREATE ROLE plain; SET LOCAL ROLE plain")
        assert data_directory(connection) is None
        assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}  # what comes after is still answered
        connection.rollback()
