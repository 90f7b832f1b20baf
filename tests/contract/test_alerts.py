"""Alerts over a real PostgreSQL and a clock that the test moves: they open, are reminded of, close; who is told, and how."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from psycopg.rows import dict_row

from bot.app import doctor
from bot.app.cli import main
from bot.app.entitled import environ_of
from bot.app.launcher import engine_environ
from bot.app.monitor import Here, services
from bot.app.required import faults
from bot.app.vitals import access, certificates, told_to_nobody
from bot.app.wiring import run_role
from bot.core.clock import FrozenClock
from bot.core.errors import SettingsError
from bot.meta.send_api import SendApi
from bot.monitor.board import Away, Board
from bot.monitor.finding import Grade, Problem
from bot.monitor.heart import Heart
from bot.monitor.memory import Memory
from bot.monitor.post import Post
from bot.monitor.targets import Target, send_all, targets
from bot.monitor.wording import Message
from bot.sender.deps import SenderAccount
from bot.sender.tokens import Tokens
from bot.settings import Settings
from bot.store.db import Database
from tests.conftest import as_part, of_part
from tests.fakes.graph import IG, PAGE, SECRET, TOKEN, ScriptedGraph
from tests.fakes.receivers import Receiver, receiving

HIDDEN = "mot-de-passe-secret"
NOWHERE = "postgresql://planton@127.0.0.1:9/nowhere"


def at_noon() -> datetime:
    return datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


class Phone:
    """Takes what is sent to every target; a target may be out of order."""

    def __init__(self) -> None:
        self.got: list[tuple[int, Message]] = []
        self.broken: set[int] = set()

    def __call__(self, wanted: Sequence[tuple[Target, Message]]) -> dict[str, bool]:
        self.got += [(target.number, message) for target, message in wanted if target.number not in self.broken]
        return {target.id: target.number not in self.broken for target, _ in wanted}

    @property
    def titles(self) -> list[str]:
        return [message.title for _, message in self.got]


class Desk:
    """One machine with its heart."""

    def __init__(self, url: str, folder: Path, phone: Phone, clock: FrozenClock, targets: int = 1) -> None:
        self.url, self.phone, self.clock = url, phone, clock
        own = as_part(url, "monitor")
        environ = {
            "PLANTON_DATABASE_URL": own,
            "PLANTON_VAR_DIR": str(folder),
            "PLANTON_ALERT_SERVICES": ",",
            "PLANTON_ALERT_DISK": "1",
        }
        self.settings = Settings(environ)
        self.places = [Target(number, f"json://127.0.0.1/{number}") for number in range(1, targets + 1)]
        self.board = Board(own, patience=10)
        self.open()

    def open(self) -> None:
        """Start, or start again with what the file says."""
        memory = Memory.load(self.settings.var_dir / "alerts.json")
        self.site = Here(self.settings, self.clock)
        post = Post(self.places, memory, self.phone)
        self.heart = Heart(self.site, self.board, memory, post, self.clock, ZoneInfo("Europe/Paris"), "poste")

    def beat(self, *minutes: float) -> None:
        """A look now, or after each of these minutes."""
        for pause in minutes or (0,):
            self.clock.advance(minutes=pause)
            self.heart.beat()

    def let_go(self) -> None:
        """Wait until the lock of a connection that was given up is free, as it is long before the next look of a real heart."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            while connection.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted").fetchone():
                time.sleep(0.01)

    def sql(self, statement: str, *values: object) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement, values)


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Iterator[Desk]:
    one = Desk(database_url, tmp_path / "a", Phone(), FrozenClock(at_noon()))
    yield one
    one.board.close()


def stop_account(desk: Desk) -> None:
    desk.sql(
        "INSERT INTO accounts (account, stopped_slug, stopped_remedy, stopped_at) VALUES ('77', 'token', 'Renouvelez.', %s)",
        desk.clock.now(),
    )


def test_an_alert_opens_once_is_reminded_of_ever_more_rarely_and_closes_once(desk: Desk) -> None:
    stop_account(desk)
    desk.beat()
    assert desk.phone.got == []  # a hiccup would not ring
    desk.beat(*[1] * 60)
    assert desk.phone.titles == ["Planton, alerte : Le compte 77 n’envoie plus rien (token)."]
    assert "→ Renouvelez." in desk.phone.got[0][1].body
    desk.beat(1, 120, 119, 1)
    assert [title.split(" :")[0] for title in desk.phone.titles[1:]] == ["Planton, rappel"] * 2
    desk.beat(60 * 23, 60)
    assert len(desk.phone.got) == 4

    desk.sql("DELETE FROM accounts")
    desk.beat(*[1] * 30)
    assert [title.split(" :")[0] for title in desk.phone.titles[4:]] == ["Planton, rétabli"]


def test_what_comes_and_goes_is_one_alert(desk: Desk) -> None:
    stop_account(desk)
    desk.beat(0, 1)
    for _ in range(12):
        desk.sql("UPDATE accounts SET stopped_at = NULL")
        desk.beat(1, 1)
        desk.sql("UPDATE accounts SET stopped_at = now()")
        desk.beat(1, 1)
    assert len(desk.phone.got) == 1
    desk.sql("DELETE FROM accounts")
    desk.beat(*[1] * 61)
    assert desk.phone.titles[-1].startswith("Planton, rétabli") and len(desk.phone.got) == 2


def test_several_troubles_are_one_message(desk: Desk) -> None:
    stop_account(desk)
    desk.sql("INSERT INTO meta_flow (account, platform, subscription) VALUES ('77', 'messenger', 'lost')")
    desk.sql(
        "INSERT INTO meta_tokens (account, asked_at, valid, expires_at, missing) VALUES ('77', now(), true, %s, %s)",
        desk.clock.now() + timedelta(days=9),
        ["pages_messaging"],
    )
    desk.beat(0, 1, 1)
    ((_, message),) = desk.phone.got
    assert message.title == "Planton : 4 alertes"
    for words in ("le jeton expire le 19/03/2026", "pages_messaging", "planton meta subscribe", "n’envoie plus rien"):
        assert words in message.body
    assert message.body.count("→") == 4


def test_a_count_that_takes_too_long_keeps_no_other_alert_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(connection: psycopg.Connection[dict[str, object]]) -> doctor.Report:
        connection.execute("SET LOCAL statement_timeout = 20")
        connection.execute("SELECT pg_sleep(5)")
        return doctor.Report()

    monkeypatch.setattr(doctor, "counted", slow)
    stop_account(desk)
    desk.beat(0, 1, 1)
    assert desk.phone.titles == ["Planton, alerte : Le compte 77 n’envoie plus rien (token)."]


def test_shared_checks_that_fail_for_good_ring(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(connection: psycopg.Connection[dict[str, object]]) -> list[object]:
        connection.execute("SELECT 1 FROM nowhere")
        return []

    monkeypatch.setattr("bot.app.doctor.accounts", refused)
    for pause in (0, 1):
        desk.beat(pause)
        desk.let_go()
    assert desk.phone.got == []
    for _ in range(2):
        desk.beat(1)
        desk.let_go()
    assert [
        title.startswith("Planton, alerte : La surveillance ne peut pas lire la base") for title in desk.phone.titles
    ] == [True]


def test_hosts_that_do_not_answer_hold_nothing_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, ended = threading.Event(), Problem("Le certificat de a prend fin.", "x", key="certificate:a:443")

    def slow(*_: object) -> list[Problem]:
        gate.wait(10)
        return [ended]

    monkeypatch.setattr("bot.app.vitals.certificates", slow)
    monkeypatch.setattr("bot.app.monitor.WAIT", 0.01)
    stop_account(desk)
    desk.beat(0, 1)
    assert "77" in desk.phone.titles[0]
    gate.set()
    monkeypatch.setattr("bot.app.monitor.WAIT", 5.0)
    desk.beat(1, 1, 1)
    assert "certificat" in desk.phone.titles[-1]


def test_one_service_is_not_told_to_be_back_when_the_others_fall_too(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Problem("A.", "x", key="service:gateway:a", grade=Grade.CRITICAL, local=True)
    silent = [one]

    async def listening(settings: Settings, services: object) -> list[Problem]:
        return list(silent)

    monkeypatch.setattr("bot.app.doctor.listening", listening)
    desk.beat(0, 2)
    silent[:] = [Problem("Tout.", "x", key="service", grade=Grade.CRITICAL, local=True)]
    desk.beat(1, 2, 3)
    assert "Rétabli" not in "".join(message.body for _, message in desk.phone.got)
    silent.clear()
    desk.beat(1, 3)
    assert "Rétabli" in desk.phone.got[-1][1].body


def test_a_restart_repeats_nothing(desk: Desk) -> None:
    stop_account(desk)
    desk.beat(0, 1)
    desk.board.close()
    desk.open()
    desk.beat(0, 1, 1)
    assert len(desk.phone.got) == 1


def test_of_two_machines_one_tells_and_the_other_takes_over(desk: Desk, tmp_path: Path) -> None:
    stop_account(desk)
    other = Desk(desk.url, tmp_path / "b", desk.phone, desk.clock)
    for _ in range(5):
        desk.beat(1)
        other.beat(0)
    assert len(desk.phone.got) == 1
    assert desk.heart.leads and not other.heart.leads
    desk.board.close()
    other.beat(1, 1)
    assert other.heart.leads and len(desk.phone.got) == 1
    other.board.close()


def test_the_database_away_is_told_without_it(desk: Desk, tmp_path: Path) -> None:
    follower = Desk(desk.url, tmp_path / "b", Phone(), desk.clock)
    desk.beat()
    follower.beat()
    real = desk.url
    for one in (desk, follower):
        one.board.close()
        one.board = Board(NOWHERE, patience=10)
        one.open()  # as after a restart: only the file is left
    desk.beat(0, 1, 1)
    ((_, message),) = desk.phone.got
    assert message.title == "Planton, alerte : La base de données ne répond pas." and "Démarrez-la" in message.body
    follower.beat(0, 1, 1)
    assert follower.phone.got == []  # the one that tells is there, as far as it knows
    follower.beat(10)
    assert len(follower.phone.got) == 1

    desk.board = Board(real, patience=10)
    desk.open()
    desk.beat(1, 1, 1)
    assert desk.phone.titles[1:] == ["Planton, rétabli : La base de données ne répond pas."]
    desk.board.close()


def test_a_target_that_fails_is_tried_again_and_the_other_is_told(desk: Desk) -> None:
    desk.places.append(Target(2, "json://127.0.0.1/2"))
    desk.open()
    desk.phone.broken = {1}
    stop_account(desk)
    desk.beat(0, 1)
    assert [number for number, _ in desk.phone.got] == [2]
    desk.board.close()
    desk.open()  # what waits is in the file
    desk.beat(0.5)
    desk.phone.broken = set()
    desk.beat(0, 1, 1)
    assert [number for number, _ in desk.phone.got] == [2, 1]
    assert (desk.settings.var_dir / "alerts.json").stat().st_mode & 0o777 == 0o600


# -- emergencies that nobody reads ---------------------------------------------------------------------------------


def emergency(desk: Desk, person: str) -> int:
    """A conversation with an emergency that waits for a human since now; its number."""
    with psycopg.connect(desk.url, autocommit=True) as connection:
        row = connection.execute(
            """WITH c AS (INSERT INTO conversations (platform, account, person, category, owner)
                   VALUES ('messenger', '1', %s, 'emergency', 'waiting') RETURNING id)
               INSERT INTO handoffs (conversation_id, category, priority, reason, opened_at, raised_at, due_at, platform)
               SELECT id, 'emergency', 0, 'danger', %s, %s, %s, 'messenger' FROM c RETURNING conversation_id""",
            (person, *[desk.clock.now()] * 3),
        ).fetchone()
    assert row is not None
    return int(row[0])


def looked_at(desk: Desk, conversation: int) -> None:
    desk.sql("INSERT INTO audit (at, action, conversation_id) VALUES (%s, 'view', %s)", desk.clock.now(), conversation)


def test_emergencies_that_no_agent_opens_ring_and_a_further_one_rings_again(desk: Desk) -> None:
    desk.clock.at = datetime(2026, 3, 11, 2, 0, tzinfo=UTC)  # at night too
    first = emergency(desk, "a")
    desk.beat(0, 2, 2.9)
    assert desk.phone.got == []
    desk.beat(0.2)
    assert desk.phone.titles[0].startswith(
        "Planton, alerte : 1 urgence sans lecture par un agent depuis plus de 5 minutes"
    )
    second = emergency(desk, "b")
    desk.beat(*[1] * 16)
    assert len(desk.phone.got) == 2 and "2 urgences" in desk.phone.titles[1]

    looked_at(desk, first)
    desk.sql("UPDATE handoffs SET taken_at = %s WHERE conversation_id = %s", desk.clock.now(), second)
    desk.beat(1, 1, 1)
    assert desk.phone.titles[2].startswith("Planton, rétabli")
    desk.sql(
        """INSERT INTO events (conversation_id, platform, account, channel, key, kind, at, received_at, body, disposition)
           VALUES (%s, 'messenger', '1', 'messaging', 'k', 'text', %s, %s, '', 'emergency')""",
        first,
        desk.clock.now(),
        desk.clock.now(),
    )
    desk.beat(4, 1.5)
    assert len(desk.phone.got) == 4  # told a danger again after the agent's look


def history(desk: Desk, by_hour: dict[int, int], days: int = 60) -> None:
    """Messages received in earlier hours, by hour of the day (UTC)."""
    first = desk.clock.now().replace(hour=0) - timedelta(days=days)
    desk.sql(
        """INSERT INTO volume_hours (hour, counted_at)
           SELECT h, h FROM generate_series(%s::timestamptz, %s::timestamptz, '1 hour') h""",
        first,
        desk.clock.now() - timedelta(hours=1),
    )
    for hour, n in by_hour.items():
        desk.sql(
            """INSERT INTO volumes (hour, platform, measure, value, n)
               SELECT hour, 'messenger', 'received', '', %s FROM volume_hours
               WHERE extract(hour FROM hour AT TIME ZONE 'UTC') = %s""",
            n,
            hour,
        )


def test_webhooks_silent_for_longer_than_usual_at_that_hour(desk: Desk) -> None:
    desk.sql("INSERT INTO meta_flow (account, platform, webhook_at) VALUES ('77', 'messenger', %s)", desk.clock.now())
    desk.beat(30, 1)
    assert desk.phone.got == []  # nothing is known of earlier weeks
    desk.clock.at = at_noon()
    history(desk, {h: 3 if h < 6 else 40 for h in range(24)})
    desk.beat(9, 1, 1)
    assert desk.phone.got == []
    desk.beat(2, 1)  # forty an hour: eight should have come within twelve minutes
    assert "Messenger : aucun webhook depuis 14 minutes" in desk.phone.titles[0]

    desk.clock.at = at_noon() + timedelta(hours=14)
    desk.sql("UPDATE meta_flow SET webhook_at = %s", desk.clock.now())
    desk.beat(0, 2, 30, 30, 30)  # a night: three an hour
    assert desk.phone.titles[1:] == [f"Planton, rétabli : {desk.phone.titles[0].partition(' : ')[2]}"]


def test_a_queue_that_stands_still_and_dispositions_out_of_balance(desk: Desk) -> None:
    emergency(desk, "a")
    desk.sql("UPDATE handoffs SET taken_at = %s", desk.clock.now())
    desk.sql("UPDATE conversations SET due_at = %s", desk.clock.now())
    desk.sql(
        """INSERT INTO events (conversation_id, platform, account, channel, key, kind, at, received_at, body, disposition)
           SELECT id, 'messenger', '1', 'messaging', 'k', 'text', now(), now(), '', 'answered' FROM conversations"""
    )
    desk.sql(
        """INSERT INTO outbox (conversation_id, lane, author, message, created_at, due_at, status, error_slug)
           SELECT id, 'reply', 'bot', '', %(now)s, %(now)s, s, e
           FROM conversations, (VALUES ('queued', NULL), ('failed', 'permission')) AS v(s, e)""".replace(
            "%(now)s", "%s"
        ),
        desk.clock.now(),
        desk.clock.now(),
    )
    desk.beat(0, 1, 1, 1)
    told = "\n".join(message.body for _, message in desk.phone.got)
    for words in (
        "1 conversation attend depuis plus d’une minute.",
        "1 réponse attend d’être envoyée depuis plus d’une minute.",
        "1 message(s) sont notés « répondus » alors que leur réponse n’est pas partie.",
        "Messenger, compte 1 : 1 envoi refusé depuis une heure, une autorisation manque.",
    ):
        assert words in told
    assert len(desk.phone.got) <= 2


# -- this machine --------------------------------------------------------------------------------------------------


def test_an_engine_down_and_a_disk_that_fills_up(desk: Desk) -> None:
    environ = {
        **desk.settings.environ,
        "PLANTON_ALERT_SERVICES": "engine",
        "PLANTON_ALERT_DISK": "10000000",
        "PLANTON_ENGINE_URL": "http://127.0.0.1:9",
    }
    desk.settings = Settings(environ)
    desk.open()
    desk.beat(0, 1, 1)
    told = "\n".join(message.body for _, message in desk.phone.got)
    assert "Service « moteur » : rien ne répond à http://127.0.0.1:9." in told and "planton run engine" in told
    assert "Mo sur le disque de" in told and "Libérez de la place" in told
    with receiving() as engine:
        desk.settings = Settings(
            {**environ, "PLANTON_ALERT_DISK": "1", "PLANTON_ENGINE_URL": f"http://127.0.0.1:{engine.port}"}
        )
        desk.open()
        desk.beat(0, 1, 1)
    assert desk.phone.got[-1][1].body.startswith("Rétabli")


@pytest.mark.parametrize(
    ("days", "words", "grade"), [(22, "", None), (20, "prend fin le", "warning"), (6, "prend fin le", "critical")]
)
def test_a_certificate_near_its_end(tmp_path: Path, days: int, words: str, grade: str | None) -> None:
    with over_tls(tmp_path, days) as (port, trusted):
        settings = Settings({"PLANTON_PUBLIC_URL": f"https://127.0.0.1:{port}", "PLANTON_VAR_DIR": str(tmp_path)})
        found = list(certificates(settings, datetime.now(UTC), trusted))
        assert [problem.grade for problem in found] == ([grade] if grade else [])
        assert all(words in problem.what and problem.remedy for problem in found)
        unknown = list(certificates(settings, datetime.now(UTC)))
        assert len(unknown) == 1 and (days < 22 or "n’est pas accepté" in unknown[0].what)


@contextmanager
def over_tls(folder: Path, days: int) -> Iterator[tuple[int, ssl.SSLContext]]:
    """A server whose certificate ends so soon: its port, and a context that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days, minutes=-1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "c.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "k.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who does not trust it hangs up
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1], ssl.create_default_context(cafile=str(folder / "c.pem"))
    finally:
        server.shutdown()
        server.server_close()


# -- who is told ---------------------------------------------------------------------------------------------------


@pytest.fixture
def addresses() -> Iterator[tuple[list[str], list[Receiver]]]:
    """A mailbox, a Matrix room and a webhook on loopback, with their addresses."""
    with receiving(mail=True) as mail, receiving() as matrix, receiving() as hook:
        urls = [
            f"mailto://planton:{HIDDEN}@127.0.0.1:{mail.port}?from=planton@exemple.fr&to=astreinte@exemple.fr&mode=insecure",
            f"matrix://planton:{HIDDEN}@127.0.0.1:{matrix.port}/!astreinte:127.0.0.1",
            f"json://planton:{HIDDEN}@127.0.0.1:{hook.port}/hook",
        ]
        yield urls, [mail, matrix, hook]


def test_mail_matrix_and_webhook_take_a_message_and_no_secret_is_said(
    addresses: tuple[list[str], list[Receiver]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    urls, (mail, matrix, hook) = addresses
    file = tmp_path / "alertes"
    file.write_text("# astreinte\n" + "\n".join(urls))
    file.chmod(0o600)
    monkeypatch.setenv("PLANTON_ALERT_URLS_FILE", str(file))
    caplog.set_level(logging.DEBUG)
    assert main(["alert", "test"]) == 0
    said = capsys.readouterr().out.replace("\u00a0", " ")
    assert said.splitlines() == [
        "cible 1 (courriel) : message remis.",
        "cible 2 (Matrix) : message remis.",
        "cible 3 (webhook) : message remis.",
    ]
    (sent,) = mail.mails
    assert (
        sent["Subject"].replace("\u00a0", " ") == "Planton : message d’essai" and sent["To"] == "astreinte@exemple.fr"
    )
    assert "Les alertes de Planton arrivent ici." in sent.as_bytes().decode() or sent.get_body() is not None
    assert "Les alertes de Planton arrivent ici." in matrix.told[0] and "arrivent ici" in hook.told[0]

    hook.broken = True
    assert main(["alert", "test"]) == 1
    both = capsys.readouterr()
    assert "cible 3 (webhook) : message refusé" in both.out.replace("\u00a0", " ")
    assert len(mail.mails) == 2 and len(matrix.told) == 2
    assert HIDDEN not in both.out + both.err + caplog.text and HIDDEN not in repr(targets(urls))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///etc/passwd", "ce genre d’adresse n’est pas accepté"),
        (f"syslog://{HIDDEN}", "ce genre d’adresse n’est pas accepté"),
        (f"mailto://u:{HIDDEN}@exemple.fr?attach=/etc/passwd", "« attach » n’est pas accepté"),
        (f"mailto://u:{HIDDEN}@exemple.fr?pgpkey=/etc/passwd", "« pgpkey » n’est pas accepté"),
        (f"matrix://{HIDDEN}@", "elle ne se comprend pas"),
        (HIDDEN, "ce n’en est pas une"),
    ],
)
def test_an_address_that_does_not_do_is_one_clear_line_without_it(url: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        targets(Settings({"PLANTON_ALERT_URLS": f"json://127.0.0.1 {url}"}).alert_urls)
    assert words in caught.value.what and "n° 2" in caught.value.what
    assert HIDDEN not in str(caught.value) and "\n" not in str(caught.value)


def test_doctor_says_that_nobody_is_told(tmp_path: Path) -> None:
    settings = Settings({"PLANTON_VAR_DIR": str(tmp_path)})
    (problem,) = told_to_nobody(settings)
    assert problem.advice and "planton alert test" in problem.remedy
    memory = Memory(tmp_path / "alerts.json")
    Post([Target(1, "json://127.0.0.1")], memory)
    memory.save()  # as a monitor with addresses of its own does
    assert list(told_to_nobody(settings)) == []


def test_a_file_of_addresses_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "alertes"
    file.write_text("json://127.0.0.1")
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        _ = Settings({"PLANTON_ALERT_URLS_FILE": str(file)}).alert_urls


def test_a_target_that_hangs_does_not_hold_up_the_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf, receiving() as hook:
        both = targets([f"json://127.0.0.1:{deaf.getsockname()[1]}", f"json://127.0.0.1:{hook.port}/hook"])
        taken = send_all([(one, Message("t", "b", None)) for one in both], most=1.0)
    assert [taken[one.id] for one in both] == [False, True]


# -- tokens --------------------------------------------------------------------------------------------------------


async def test_the_end_of_a_token_and_a_permission_that_went_are_asked_of_meta(database: Database) -> None:
    now = at_noon()

    async def told(token: str) -> dict[str, str]:
        async with aiohttp.ClientSession() as session:
            api = SendApi(session, graph.url, PAGE, token, SECRET)
            for account in (SenderAccount(PAGE, PAGE, TOKEN), SenderAccount(IG, PAGE, TOKEN)):
                await Tokens(of_part(database, "sender"), FrozenClock(now)).look(account, api)
        with psycopg.connect(database.url, autocommit=True, row_factory=dict_row) as connection:
            return {problem.key: problem.what for problem in access(connection, now)}

    async with ScriptedGraph() as graph:
        assert await told(TOKEN) == {}
        graph.graph.token = {
            "expires_at": int((now + timedelta(days=5)).timestamp()),
            "scopes": ["pages_messaging", "public_profile"],
        }
        assert await told(TOKEN) == {
            f"token:{PAGE}": f"Compte {PAGE} : le jeton expire le 15/03/2026.",
            f"permission:{IG}": f"Compte {IG} : il manque au jeton l’autorisation instagram_manage_messages.",
        }
        refused = await told("another")
        assert refused[f"token:{PAGE}"] == f"Compte {PAGE} : Meta dit que le jeton n’est plus valable."
        graph.graph.token = {"is_valid": None}
        assert f"token:{PAGE}" not in await told(TOKEN)  # says nothing of use: what it said is forgotten


# -- the role ------------------------------------------------------------------------------------------------------


async def test_the_role_starts_without_the_database_and_tells_a_watcher_outside(tmp_path: Path) -> None:
    with receiving() as outside:
        settings = Settings(
            {
                "PLANTON_DATABASE_URL": NOWHERE,
                "PLANTON_VAR_DIR": str(tmp_path / "var"),
                "PLANTON_ALERT_SERVICES": ",",
                "PLANTON_HEARTBEAT_URL": f"http://127.0.0.1:{outside.port}/battement",
            }
        )
        running = asyncio.create_task(run_role("monitor", settings))
        while not outside.calls and not running.done():
            await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert outside.calls[0] == ("/battement", {})
    (kept,) = Memory.load(tmp_path / "var" / "alerts.json").alerts
    assert kept.key == "database" and kept.opened_at is None  # seen, not confirmed yet


def test_a_database_that_hangs_counts_as_away_and_is_asked_anew(database_url: str) -> None:
    board = Board(database_url, patience=0.3)
    with pytest.raises(Away):
        board.ask(lambda connection, _: connection.execute("SELECT pg_sleep(2)"))
    board.close()
    board = Board(database_url, patience=10)
    assert board.ask(lambda connection, _: connection.execute("SELECT 1 AS one").fetchone()) == {"one": 1}
    board.close()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ALERT_UNREAD", "0", "n’est pas un nombre entier de 1 à 1440"),
        ("ALERT_DISK", "2 Go", "n’est pas un nombre entier"),
        ("ALERT_SERVICES", "worker", "n’est pas possible"),
        ("ALERT_URLS", HIDDEN, "ce n’en est pas une"),
        ("ALERT_URLS", f"syslog://{HIDDEN}", "n’est pas accepté"),
        ("HEARTBEAT_URL", f"http://exemple.fr/{HIDDEN}", "ce n’est pas une adresse https"),
        ("PUBLIC_URL", "planton.exemple.fr", "n’est pas l’adresse https d’un site"),
    ],
)
def test_a_wrong_setting_stops_the_role_with_one_line(name: str, value: str, words: str) -> None:
    wrong = faults(Settings({"PLANTON_DATABASE_URL": NOWHERE, f"PLANTON_{name}": value}), ["monitor"])
    assert len(wrong) == 1
    assert words in wrong[0].what.replace("\u00a0", " ") and name in str(wrong[0]) and HIDDEN not in str(wrong[0])


@pytest.mark.parametrize(
    ("environ", "looked"),
    [
        ({}, ("gateway", "sender", "console", "engine")),
        ({"PLANTON_ROLES": "monitor"}, ("gateway", "sender", "console", "engine")),
        ({"PLANTON_ROLES": "worker,monitor"}, ("engine",)),
        ({"PLANTON_ROLES": "gateway,worker,monitor", "PLANTON_ALERT_SERVICES": "sender"}, ("sender",)),
    ],
)
def test_a_machine_looks_at_the_services_that_it_runs_or_uses(environ: dict[str, str], looked: tuple[str, ...]) -> None:
    assert services(Settings(environ)) == looked


def test_the_monitor_knows_the_addresses_and_no_other_secret_and_nobody_else_knows_them() -> None:
    given = {
        "ALERT_URLS": f"json://{HIDDEN}",
        "HEARTBEAT_URL": f"https://{HIDDEN}",
        "META_PAGE_TOKEN": "t",
        "DATA_KEY": "k",
    }
    settings = Settings({f"PLANTON_{name}": value for name, value in given.items()} | {"PLANTON_SECRET_KEY": "s" * 40})
    mine = environ_of("monitor", settings, NOWHERE)
    assert {name for name in mine if "TOKEN" in name or "KEY" in name} == set()
    assert HIDDEN in mine["PLANTON_ALERT_URLS"] and HIDDEN in mine["PLANTON_HEARTBEAT_URL"]
    assert HIDDEN not in str(environ_of("console", settings, NOWHERE)) + str(engine_environ(settings.environ))
