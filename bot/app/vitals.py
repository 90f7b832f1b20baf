"""What `doctor` and the heartbeat look at besides the set-up: tokens, silence, unread emergencies, disk, certificates."""

from __future__ import annotations

import shutil
import socket
import ssl
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from cryptography import x509

from bot.meta.limits import REMEDIES
from bot.monitor import silence
from bot.monitor.finding import Grade, Problem
from bot.monitor.memory import Memory
from bot.monitor.targets import targets
from bot.settings import GIVEN, Settings
from bot.store.emergencies import UNREAD

MEMORY = "alerts.json"  # in VAR_DIR
Row = dict[str, Any]
FRENCH_PLATFORMS = {"messenger": "Messenger", "instagram": "Instagram"}
ACCESS = (
    "token",
    "permission",
    "instagram_unlinked",
    "page_blocked",
    "policy_block",
    "app_secret",
)  # slugs that need an operator
EXPIRES_SOON, EXPIRES_NOW = timedelta(days=14), timedelta(days=3)
RENEW_SOON, RENEW_NOW = timedelta(days=21), timedelta(days=7)
_RENEW = (
    "Faites renouveler le jeton par un détenteur du compte, remplacez META_PAGE_TOKEN, puis redémarrez l’expéditeur."
)
_REMEDIES = {slug: REMEDIES[slug] for slug in ACCESS}


def account_name(row: Row) -> str:
    """An account of ours, as texts call it."""
    return f"{FRENCH_PLATFORMS.get(row['platform'], row['platform'])}, compte {row['account']}"


def numbered(n: int, one: str, many: str) -> str:
    """« 1 conversation », « 2 conversations »."""
    return f"{n} {many if n > 1 else one}"


# -- tokens and permissions --------------------------------------------------------------------------------------


def access(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    """What Meta refuses, and what it says of the tokens; the sender asked."""
    yield from _refused(connection)
    yield from _tokens(connection, now)
    yield from _permissions(connection, now)


def _refused(connection: psycopg.Connection[Row]) -> Iterator[Problem]:
    rows = connection.execute(
        "SELECT account, platform, subscription_error FROM meta_flow WHERE subscription_error = ANY(%s) ORDER BY account",
        (list(ACCESS),),
    )
    for row in rows:
        yield Problem(
            f"{account_name(row)} : Meta refuse l’accès ({row['subscription_error']}).",
            _REMEDIES[row["subscription_error"]],
            key=f"access:{row['account']}",
            grade=Grade.CRITICAL,
        )


def _tokens(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    for row in connection.execute("SELECT * FROM meta_tokens ORDER BY account"):
        key, name = f"token:{row['account']}", f"Compte {row['account']}"
        if not row["valid"]:
            what = f"{name} : Meta dit que le jeton n’est plus valable."
            yield Problem(what, _RENEW, key=key, grade=Grade.CRITICAL)
            continue
        for column, what in (("expires_at", "le jeton expire"), ("data_expires_at", "l’accès aux données prend fin")):
            end = row[column]
            if end is not None and end - now < EXPIRES_SOON:
                grade = Grade.CRITICAL if end - now < EXPIRES_NOW else Grade.WARNING
                yield Problem(f"{name} : {what} le {end:%d/%m/%Y}.", _RENEW, key=key, grade=grade)
                break
        if row["missing"]:
            yield Problem(
                f"{name} : il manque au jeton l’autorisation {', '.join(row['missing'])}.",
                "Redonnez-la à l’application Meta, puis renouvelez le jeton.",
                key=f"permission:{row['account']}",
                grade=Grade.CRITICAL,
            )


def _permissions(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    """Sends that Meta refused within the hour: codes 10 and 200."""
    rows = connection.execute(
        """SELECT c.account, c.platform, count(*) AS n FROM outbox o JOIN conversations c ON c.id = o.conversation_id
           WHERE o.created_at > %(day)s AND o.error_slug = 'permission' AND o.status IN ('queued', 'failed')
             AND o.due_at > %(hour)s GROUP BY 1, 2 ORDER BY 1""",
        {"day": now - timedelta(days=1), "hour": now - timedelta(hours=1)},
    )
    for row in rows:
        yield Problem(
            f"{account_name(row)} : {numbered(row['n'], 'envoi refusé', 'envois refusés')} depuis une heure, "
            "une autorisation manque.",
            _REMEDIES["permission"],
            key=f"sends:{row['account']}",
            grade=Grade.CRITICAL,
        )


# -- silence -----------------------------------------------------------------------------------------------------


def quiet(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    """No webhook for longer than usual at that hour, by platform."""
    rows = connection.execute(
        "SELECT platform, max(webhook_at) AS last FROM meta_flow WHERE webhook_at IS NOT NULL GROUP BY platform ORDER BY 1"
    ).fetchall()
    for row in rows:
        if now - row["last"] < silence.AT_LEAST:
            continue
        if silence.silent(_history(connection, row["platform"], now), row["last"], now):
            name = FRENCH_PLATFORMS.get(row["platform"], row["platform"])
            yield Problem(
                f"{name} : aucun webhook depuis {_span(now - row['last'])}, ce n’est pas habituel à cette heure.",
                "Demandez à Meta : planton meta status ; puis voyez l’adresse du webhook et metastatus.com.",
                key=f"silence:{row['platform']}",
                grade=Grade.CRITICAL,
            )


def _history(connection: psycopg.Connection[Row], platform: str, now: datetime) -> dict[datetime, int]:
    rows = connection.execute(
        """SELECT h.hour, coalesce(sum(v.n), 0)::integer AS n FROM volume_hours h
           LEFT JOIN volumes v ON v.hour = h.hour AND v.measure = 'received' AND v.platform = %(platform)s
           WHERE h.hour > %(since)s GROUP BY h.hour""",
        {"platform": platform, "since": now - timedelta(weeks=silence.WEEKS, days=2)},
    )
    return {row["hour"].astimezone(UTC): row["n"] for row in rows}


def _span(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} heures"


# -- emergencies -------------------------------------------------------------------------------------------------


def unread(connection: psycopg.Connection[Row], now: datetime, minutes: int) -> Iterator[Problem]:
    """Emergencies that no agent has opened, by day and by night."""
    row = connection.execute(UNREAD, {"before": now - timedelta(minutes=minutes), "now": now}).fetchone()
    if row and row["n"]:
        many = row["n"] > 1
        yield Problem(
            f"{row['n']} urgence{'s' if many else ''} sans lecture par un agent depuis plus de {minutes} minutes"
            f" (la plus ancienne : {_span(now - row['since'])}).",
            "Appelez l’agent de permanence : console, « File », demandes marquées « Urgence vitale ».",
            key="emergencies",
            grade=Grade.CRITICAL,
            mark=row["newest"],
        )


# -- this machine ------------------------------------------------------------------------------------------------


def disk(settings: Settings, others: Iterable[Path] = ()) -> Iterator[Problem]:
    """Room where we and PostgreSQL write; one line a file system."""
    seen: set[int] = set()
    for path in (settings.var_dir, *others):
        there = next((p for p in (path, *path.parents) if p.exists()), path)
        try:
            device, free = there.stat().st_dev, shutil.disk_usage(there).free // 1_000_000
        except OSError:
            continue
        if device in seen or free >= settings.alert_disk:
            continue
        seen.add(device)
        yield Problem(
            f"Il ne reste que {free} Mo sur le disque de {path} ({socket.gethostname()}).",
            "Libérez de la place (anciens modèles, journaux, sauvegardes), ou agrandissez le disque.",
            key=f"disk:{path}",
            grade=Grade.CRITICAL if free < settings.alert_disk // 4 else Grade.WARNING,
            local=True,
        )


def data_directory(connection: psycopg.Connection[Row]) -> Path | None:
    """PostgreSQL's folder, where it is on this machine and we may know it."""
    row = connection.execute("""
        SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') THEN current_setting('data_directory', true) END AS folder
    """).fetchone()
    folder = Path(row["folder"]) if row and row["folder"] else None
    try:
        if (
            folder is None or folder.is_relative_to("/proc") or not folder.exists()
        ):  # the embedded server's own view of VAR_DIR
            return None
        return folder
    except OSError:
        return None


# -- certificates ------------------------------------------------------------------------------------------------


def certificates(settings: Settings, now: datetime, trusted: ssl.SSLContext | None = None) -> Iterator[Problem]:
    """The certificates of our public addresses; an address that does not answer from here is advice only."""
    for name in ("PUBLIC_URL", "CONSOLE_URL"):
        url = settings.public_url if name == "PUBLIC_URL" else settings.console_url
        parts = urlsplit(url or "")
        if parts.scheme == "https" and parts.hostname:
            yield from _certificate(name, parts.hostname, parts.port or 443, now, trusted)


def _certificate(name: str, host: str, port: int, now: datetime, trusted: ssl.SSLContext | None) -> Iterator[Problem]:
    key = f"certificate:{host}:{port}"
    remedy = "Renouvelez-le sur le serveur TLS, puis rechargez ce serveur : Meta refuse un certificat périmé."
    try:
        end = _end_of(host, port)
    except (OSError, ValueError):
        yield Problem(
            f"{host}:{port} ({name}) ne répond pas en TLS depuis cette machine.",
            "Vérifiez le serveur TLS et le nom ; si ce nom n’est joignable que de l’extérieur, retirez ce réglage.",
            advice=True,
        )
        return
    if end - now < RENEW_SOON:
        gone = "a pris fin" if end <= now else "prend fin"
        grade = Grade.CRITICAL if end - now < RENEW_NOW else Grade.WARNING
        yield Problem(f"Le certificat de {host} {gone} le {end:%d/%m/%Y}.", remedy, key=key, grade=grade)
    elif fault := _fault(host, port, trusted):
        yield Problem(f"Le certificat de {host} n’est pas accepté ({fault}).", remedy, key=key, grade=Grade.CRITICAL)


def _end_of(host: str, port: int) -> datetime:
    pem = _shown(host, port)
    return x509.load_der_x509_certificate(pem).not_valid_after_utc


def _shown(host: str, port: int) -> bytes:
    """The certificate that is shown, whatever it is worth."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        found = secure.getpeercert(binary_form=True)
    if not found:
        raise ValueError("no certificate")
    return found


def _fault(host: str, port: int, trusted: ssl.SSLContext | None) -> str:
    try:
        with (
            socket.create_connection((host, port), timeout=5) as plain,
            (trusted or ssl.create_default_context()).wrap_socket(plain, server_hostname=host),
        ):
            return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message or "inconnu"
    except OSError:
        return ""


# -- the alerts themselves ---------------------------------------------------------------------------------------


def told_to_nobody(settings: Settings) -> Iterator[Problem]:
    """Alerts that would go nowhere."""
    if (
        settings.environ.get("PLANTON_DEMO") == "1"
        or settings.raw("ALERT_URLS") == GIVEN
        or targets(settings.alert_urls)
    ):
        return
    if not Memory.load(settings.var_dir / MEMORY).targets:  # of a monitor that was given them in its own environment
        yield Problem(
            "Les alertes ne partent vers personne : aucune adresse n’est donnée.",
            "Donnez PLANTON_ALERT_URLS_FILE (docs/exploitation.md, « Alertes »), puis essayez : planton alert test",
            advice=True,
        )
