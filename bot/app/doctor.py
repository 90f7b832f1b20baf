"""`planton doctor`: the balance of the messages, and what is wrong with the set-up, each with its remedy."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.rows import dict_row
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

import bot.store
from bot.app import bound, ports, rights, rotation, several, validators
from bot.app.access import reach
from bot.app.child import ROOT
from bot.app.launcher import FRENCH, engine_environ, engine_python, recall
from bot.app.places import PROJECT
from bot.app.required import ROLES, faults
from bot.app.say import typeset
from bot.app.vitals import (
    FRENCH_PLATFORMS,
    access,
    certificates,
    data_directory,
    disk,
    numbered,
    quiet,
    told_to_nobody,
    unread,
)
from bot.app.wall import wall
from bot.app.wiring import provider_of
from bot.core import catalogue
from bot.core.catalogue import Catalogue
from bot.core.clock import SystemClock
from bot.core.errors import Explained, SettingsError, SetupError
from bot.meta.limits import REMEDIES
from bot.monitor.finding import Grade, Problem
from bot.settings import GIVEN, GRAPH_VERSION_ENDS, PREFIX, Settings
from bot.store import facts, its_clock, places
from bot.store.administration import ABLE
from bot.store.codec import Codec
from bot.store.purge import FACT as PURGED
from bot.trainer import record
from bot.trainer.errors import BadFile, NoGit
from bot.trainer.project import Project
from bot.trainer.replies import Replies
from bot.trainer.reply_rules import stale
from bot.trainer.wall import NONE

DISPOSITIONS = {
    "answered": "répondus",
    "emergency": "urgences",
    "handed_off": "confiés à un agent",
    "to_agent": "remis à un agent déjà en charge",
    "ignored": "sans suite utile",
    "failed": "en échec",
}
OUTBOX = {"queued": "en attente", "sent": "partis", "failed": "en échec", "cancelled": "annulés"}
SERVICES = ("gateway", "sender", "console", "engine")  # those that listen; the engine last
ENDS_SOON = timedelta(days=60)
LATE = timedelta(seconds=60)
USAGE_ALERT = 80  # percent of Meta's limits
UNPURGED = timedelta(days=3)  # without a purge that came to its end
CAUGHT_UP = timedelta(hours=2)  # the sender catches up every quarter of an hour
STALE_SHOWN = 5  # names
Row = dict[str, Any]


@dataclass
class Report:
    """What doctor found. Counts are None when the database does not answer."""

    received: int | None = None
    in_flight: int | None = None
    dispositions: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(DISPOSITIONS))
    outbox: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(OUTBOX))
    problems: list[Problem] = field(default_factory=list)
    catalogue: Catalogue = field(default_factory=Catalogue)

    @property
    def ok(self) -> bool:
        """No problem; advice does not count."""
        return all(problem.advice for problem in self.problems)

    def as_json(self) -> dict[str, Any]:
        """The contract of `doctor --json`."""
        return {
            "ok": self.ok,
            "received": self.received,
            "in_flight": self.in_flight,
            "dispositions": self.dispositions,
            "outbox": self.outbox,
            "problems": [
                {"what": typeset(p.what), "remedy": typeset(p.remedy)} | ({"level": "advice"} if p.advice else {})
                for p in self.problems
            ],
        }


def main(parsed: argparse.Namespace) -> int:
    """Print the report; 0 when nothing is wrong, else 1."""
    report = examine(recall(Settings()))
    print(json.dumps(report.as_json(), ensure_ascii=False, indent=2) if parsed.json else as_text(report))
    return 0 if report.ok else 1


def examine(settings: Settings, at: datetime | None = None, root: Path = PROJECT) -> Report:
    """Look at everything. `at`: another moment than the present, which PostgreSQL's clock tells of what is stored, and this
    machine's of its files."""
    now = at or datetime.now(UTC)
    report = Report()
    wrong = faults(settings, ROLES)
    report.problems += [Problem(error.what, error.remedy) for error in wrong]
    report.problems += _unknown(settings)
    report.problems += _permissions(settings)
    report.problems += graph_version(settings, now.date())
    report.problems += proxies(settings)
    with contextlib.suppress(SettingsError):  # told by `faults`
        report.problems += rotation.sender_key(settings)
    report.problems += _surroundings(settings, now)
    report.problems += _database(settings, report, at)
    report.problems += asyncio.run(listening(settings))
    report.problems += asyncio.run(_provider(settings))
    report.problems += _model(root)
    report.problems += _unchecked(root / "domain.yml")
    report.problems += _stale(root, now.date())
    report.problems += _catalogue(root, now.date(), report)
    report.problems += _git(root)
    report.problems += _walled(settings)
    report.problems = list({(one.what, one.remedy): one for one in report.problems}.values())  # each once
    return report


# -- the set-up --------------------------------------------------------------------------------------------------


def _unknown(settings: Settings) -> Iterator[Problem]:
    for name in settings.unknown():
        yield Problem(f"{name} : ce réglage n’existe pas.", "Corrigez son nom, ou retirez-le.")


def _permissions(settings: Settings) -> Iterator[Problem]:
    var = settings.var_dir
    for path in (var, var / "secrets"):
        if path.is_dir() and path.stat().st_mode & (0o077 if path != var else 0o022):
            yield Problem(f"{path} est ouvert à d’autres utilisateurs.", f"Faites : chmod 700 {path}")


def _surroundings(settings: Settings, now: datetime) -> Iterator[Problem]:
    with contextlib.suppress(SettingsError):  # told already
        yield from disk(settings)
        yield from certificates(settings, now)
        yield from told_to_nobody(settings)


def proxies(settings: Settings) -> Iterator[Problem]:
    """A console that is reached by https stands behind a proxy, and must know it."""
    try:
        behind = (settings.console_url or "").startswith("https:") and settings.console_proxies == 0
    except SettingsError:
        return  # told already
    if behind:
        yield Problem(
            "La console est en https (CONSOLE_URL), donc derrière un mandataire, mais CONSOLE_PROXIES est à 0 : tous les agents "
            "semblent venir de la même adresse, et les mots de passe faux d’un seul freinent tout le monde.",
            "Donnez à la console PLANTON_CONSOLE_PROXIES=1 (le nombre de mandataires), puis relancez-la.",
            advice=True,
        )


def graph_version(settings: Settings, today: date) -> Iterator[Problem]:
    """The version of the Graph API that is asked for ends soon, or has ended."""
    found = re.search(r"/(v\d+\.\d+)/?$", settings.raw("META_GRAPH_URL") or "")
    end = GRAPH_VERSION_ENDS.get(found[1]) if found else None
    if found is None or end is None or date.fromisoformat(end) - ENDS_SOON > today:
        return
    gone = date.fromisoformat(end) <= today
    when = f"a cessé le {_day(end)}" if gone else f"cessera le {_day(end)}"
    yield Problem(
        f"La version {found[1]} de l’API Graph {when}.",
        f"Retirez {PREFIX}META_GRAPH_URL, ou donnez-y une version plus récente.",
        key="graph_version",
    )


def _day(iso: str) -> str:
    return f"{date.fromisoformat(iso):%d/%m/%Y}"


def _model(root: Path) -> Iterator[Problem]:
    if not engine_python().exists():
        yield Problem("Le moteur n’est pas installé.", "Faites : make install")
        return
    models = list((root / "models").glob("*.tar.gz"))
    if not models:
        yield Problem("Aucun modèle n’est entraîné.", "Faites : planton train")
    elif not (root / "models" / f"{_fingerprint(root)}.tar.gz").exists():
        yield Problem(
            "Le modèle est plus ancien que ses données : il reste des changements à publier.",
            "Atelier : lancez un essai, puis publiez-le. Sans console : planton train, puis relancez Planton.",
            advice=True,
        )


def _walled(settings: Settings) -> Iterator[Problem]:
    """What isolates the workbench's engines, by a try."""
    if not engine_python().exists():
        return  # told already
    try:
        found = wall(settings)
    except SettingsError:
        return  # told already
    except SetupError as error:
        yield Problem(error.what, error.remedy)
        return
    if not found.whole:
        told = "ne sont pas isolés" if found.kind == NONE else "gardent le réseau"
        yield Problem(
            f"Les moteurs que lance l’atelier {told} : {found.missing}.",
            "Faites : apt install bubblewrap (docs/exploitation.md, « Les moteurs de l’atelier »).",
            advice=True,
        )


def _fingerprint(root: Path) -> str:
    """What the model's inputs amount to now; asked of the engine's environment, whose packages count as well."""
    code = (
        "import sys, pathlib; from bot.engine.inputs import fingerprint; print(fingerprint(pathlib.Path(sys.argv[1])))"
    )
    command = [str(engine_python()), "-c", code, str(root)]
    done = subprocess.run(command, cwd=ROOT, env=engine_environ(), capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _unchecked(domain: Path) -> Iterator[Problem]:
    try:
        responses = YAML(typ="safe").load(domain.read_text(encoding="utf-8")).get("responses", {})
    except (OSError, YAMLError, AttributeError):
        yield Problem(f"{domain.name} ne se lit pas.", "Faites : make check")
        return
    dated = [v["metadata"] for vs in responses.values() for v in vs if isinstance(v, dict) and "metadata" in v]
    count = sum(1 for one in dated if "checked" in one and one["checked"] is None)
    if count:
        yield Problem(
            f"{count} réponses n’ont pas encore été relues sur leur page officielle.",
            "Ouvrez la page « source » de chacune, puis notez la date dans « checked » (domain.yml).",
            advice=True,
        )


def _stale(root: Path, today: date) -> Iterator[Problem]:
    try:
        found = stale(Replies.read(Project(root)), today)
    except BadFile:
        return  # told already
    if found:
        names = ", ".join(dict.fromkeys(name for name, _, _ in found[:STALE_SHOWN]))
        more = f" et {len(found) - STALE_SHOWN} autres" if len(found) > STALE_SHOWN else ""
        yield Problem(
            f"La source de {len(found)} réponses a été vérifiée il y a plus de six mois : {names}{more}.",
            "Lancez : planton check links, rouvrez ces pages, puis notez la date (console, Atelier, Réponses).",
            advice=True,
        )


def _catalogue(root: Path, today: date, report: Report) -> Iterator[Problem]:
    """Questions that nobody has checked against their page, or whose day of review has passed."""
    try:
        report.catalogue = catalogue.read(root)
    except SetupError as error:
        yield Problem(error.what, error.remedy)
        return
    questions = report.catalogue.questions.values()
    overdue = [one.id for one in questions if one.overdue(today)]
    unchecked = sum(one.checked is None for one in questions)
    if not (overdue or unchecked):
        return
    more = f" et {len(overdue) - STALE_SHOWN} autres" if len(overdue) > STALE_SHOWN else ""
    late = f" : {', '.join(overdue[:STALE_SHOWN])}{more}" if overdue else ""
    yield Problem(
        f"Catalogue : {len(questions)} questions, {unchecked} jamais vérifiées sur leur page officielle, "
        f"{len(overdue)} dont la date de relecture est passée{late}.",
        "Ouvrez la page « source » de chacune, corrigez la réponse s’il le faut, puis notez « checked » et un nouveau "
        "« review_by » (data/answers). La liste : docs/reponses.md.",
        advice=True,
    )


def _git(root: Path) -> Iterator[Problem]:
    """Publishing needs it; answering does not."""
    try:
        record.suits(Project(root).git("--version"))
    except NoGit as error:
        yield Problem(error.what, error.remedy, advice=True)


# -- who answers -------------------------------------------------------------------------------------------------


async def listening(settings: Settings, services: Iterable[str] = SERVICES) -> list[Problem]:
    """The services that do not answer where they should."""
    wanted: list[tuple[str, str]] = []
    try:
        for role in SERVICES[:-1]:
            wanted += [(role, one.url.removesuffix(one.path)) for one in ports.listeners(settings, role)]
        wanted += [("engine", url) for url in settings.engine_urls]
        wanted = [(role, url) for role, url in wanted if role in services]
    except SettingsError:
        return []  # told already
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        alive = await asyncio.gather(*(_alive(session, role, url) for role, url in wanted))
    silent = [one for one, answers in zip(wanted, alive, strict=True) if not answers]
    if len(silent) == len(wanted) > 1:
        return [
            Problem(
                "Planton ne tourne pas : aucun de ses services ne répond.",
                "Lancez : planton run (ou make demo).",
                key="service",
                grade=Grade.CRITICAL,
                local=True,
            )
        ]
    return [
        Problem(
            f"Service « {FRENCH[role]} » : rien ne répond à {url}.",
            f"Lancez : planton run {role}"
            if role != "engine"
            else "Il met jusqu’à une minute à démarrer ; ensuite, lancez : planton run engine",
            key=f"service:{role}:{url}",
            grade=Grade.CRITICAL,
            local=True,
        )
        for role, url in silent
    ]


async def _alive(session: aiohttp.ClientSession, role: str, url: str) -> bool:
    path = "/connexion" if role == "console" else "/healthz"
    try:
        async with session.get(url + path, allow_redirects=False) as response:
            return response.status < 500
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def _provider(settings: Settings) -> list[Problem]:
    """Whether the identity provider publishes what log-ins need."""
    from bot.console.provider import Provider, ProviderAway

    try:
        config = provider_of(settings)
    except SettingsError:
        return []  # told already
    if config is None:
        return []
    try:
        await Provider(config, SystemClock()).check()
    except ProviderAway as error:
        return [
            Problem(
                f"Le fournisseur d’identité {config.issuer} ne répond pas comme prévu ({error.detail}).",
                "Vérifiez PLANTON_OIDC_ISSUER et l’accès de la console au fournisseur ; les mots de passe ouvrent encore.",
            )
        ]
    return []


# -- the database ------------------------------------------------------------------------------------------------


def _database(settings: Settings, report: Report, at: datetime | None) -> list[Problem]:
    try:
        with (
            reach(settings, create=False) as url,
            psycopg.connect(url, connect_timeout=3, autocommit=True, row_factory=dict_row) as connection,
        ):
            if problem := schema(connection):
                return [problem]
            now = at or its_clock.shown(connection)
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                _count(connection, report)
                found = [*balance(connection, report), *accounts(connection), *webhooks(connection, now)]
                found += [*access(connection, now), *quiet(connection, now)]
                found += [*waiting(connection, now), *_traffic(connection, now)]
                found += [
                    *bound.problems(connection, now),
                    *rotation.problems(connection, now),
                    *several.problems(connection, now),
                ]
                with contextlib.suppress(SettingsError):  # told already
                    found += unread(connection, now, settings.alert_unread)
                    folder = data_directory(connection)
                    if folder is not None and not settings.embedded:
                        found += [p for p in disk(settings, [folder]) if p.key == f"disk:{folder}"]
                found += [
                    *_administrators(connection),
                    *validators.problems(connection),
                    *reloads(connection),
                    *_purge(connection, settings, now),
                ]
                return [
                    *found,
                    *_server_log(connection),
                    *rights.problems(connection, settings),
                    *_key(connection, settings),
                ]
    except Explained as error:
        return [Problem(error.what, error.remedy)]
    except psycopg.Error as error:
        return [Problem(f"La base de données ne répond pas comme il faut ({error.sqlstate}).", "Voyez son journal.")]


def reloads(connection: psycopg.Connection[Row]) -> Iterator[Problem]:
    """Roles that could not read what was published, and a publication that came to nothing."""
    for row in connection.execute("SELECT role, host, fault FROM reloads WHERE fault <> '' ORDER BY role, host"):
        role = FRENCH.get(row["role"], row["role"])
        yield Problem(
            f"Service « {role} » ({row['host']}) : {row['fault']}",
            "Corrigez le fichier nommé, puis publiez de nouveau (Atelier, Modèles) ou relancez Planton.",
            key=f"reload:{row['role']}:{row['host']}",
        )
    last = connection.execute(
        """SELECT state, failure, remedy FROM publications WHERE state IN ('done', 'failed')
           ORDER BY finished_at DESC, id DESC LIMIT 1"""
    ).fetchone()
    if last and last["state"] == "failed":
        yield Problem(
            f"La dernière publication n’a pas abouti. {last['failure']}",
            last["remedy"] or "Voyez la page « Modèles » de l’atelier.",
            advice=True,
        )


def webhooks(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    """What the sender last heard of the subscriptions, and whether it catches up: it alone can ask Meta."""
    for row in connection.execute("SELECT * FROM meta_flow ORDER BY account"):
        name = f"{FRENCH_PLATFORMS.get(row['platform'], row['platform'])}, compte {row['account']}"
        if row["subscription"] == "lost":
            yield Problem(
                f"{name} : Meta n’envoie plus les messages.",
                "Lancez : planton meta subscribe",
                key=f"subscription:{row['account']}",
                grade=Grade.CRITICAL,
            )
        elif row["subscription"] == "partial":
            yield Problem(
                f"{name} : l’abonnement aux webhooks est incomplet, il manque {', '.join(row['missing'])}.",
                "Lancez : planton meta subscribe",
                key=f"subscription:{row['account']}",
            )
        if row["walk_error"] is not None:
            yield Problem(
                f"{name} : le rattrapage des messages s’est arrêté ({row['walk_error']}).",
                "Il reprend de lui-même. Si cela dure, lancez : planton catchup, qui dit pourquoi.",
                key=f"catchup:{row['account']}",
            )
        elif row["complete_until"] is not None and now - row["complete_until"] > CAUGHT_UP:
            yield Problem(
                f"{name} : aucun rattrapage ne s’est terminé depuis le {row['complete_until']:%d/%m/%Y}.",
                "Lancez : planton run sender, ou planton catchup.",
                key=f"catchup:{row['account']}",
            )


def _purge(connection: psycopg.Connection[Row], settings: Settings, now: datetime) -> Iterator[Problem]:
    """Whether what is past its time goes, and whether the register of that stands as it was written."""
    row = connection.execute(f"""
        SELECT (SELECT value #>> '{{}}' FROM facts WHERE name = '{PURGED}') AS night,
            (SELECT min(created_at) FROM conversations) AS first,
            (SELECT min(id) FROM (SELECT d.id, d.hash <> deletions_digest(d)
                OR d.previous <> coalesce(lag(d.hash) OVER (ORDER BY d.id), sha256('')) AS bad FROM deletions d) c
             WHERE bad) AS broken
    """).fetchone()  # noqa: S608
    if row is None:
        return
    if row["broken"] is not None:
        yield Problem(
            f"Le registre des effacements n’est pas intact (ligne {row['broken']}).",
            "Prévenez le délégué à la protection des données, et voyez qui a accès à la base.",
        )
    nights = UNPURGED.days
    try:
        wanted = settings.purge_hours is not None
    except SettingsError:
        return  # told already
    last = date.fromisoformat(row["night"]) if row["night"] else row["first"] and row["first"].date()
    if wanted and last and now.date() - last > UNPURGED:
        yield Problem(
            f"La purge de nuit n’est pas allée à son terme depuis plus de {nights} nuits.",
            "Un worker doit tourner pendant PURGE_HOURS, hors crise ; sinon lancez : planton purge",
            advice=True,
        )


def schema(connection: psycopg.Connection[Row]) -> Problem | None:
    """The schema is not the one that this version knows."""
    config = Config()
    config.set_main_option("script_location", str(Path(bot.store.__file__).parent / "migrations"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    known = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL AS known").fetchone()
    if known and known["known"]:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        if row and row["version_num"] == newest:
            return None
    return Problem(
        "Le schéma de la base n’est pas à jour.",
        "Relancez : planton run (il le met à jour).",
        key="schema",
        grade=Grade.CRITICAL,
    )


def counted(connection: psycopg.Connection[Row]) -> Report:
    """Where every message is."""
    report = Report()
    _count(connection, report)
    return report


def _count(connection: psycopg.Connection[Row], report: Report) -> None:
    report.dispositions = dict.fromkeys(DISPOSITIONS, 0)
    report.outbox = dict.fromkeys(OUTBOX, 0)
    row = connection.execute("SELECT count(*) AS n FROM events").fetchone()
    report.received = int(row["n"]) if row else 0
    row = connection.execute("SELECT count(*) AS n FROM events WHERE disposition IS NULL").fetchone()
    report.in_flight = int(row["n"]) if row else 0
    for row in connection.execute(
        "SELECT disposition, count(*) AS n FROM events WHERE disposition IS NOT NULL GROUP BY disposition"
    ):
        report.dispositions[row["disposition"]] = int(row["n"])
    for row in connection.execute("SELECT status, count(*) AS n FROM outbox GROUP BY status"):
        report.outbox[row["status"]] = int(row["n"])


def balance(connection: psycopg.Connection[Row], report: Report) -> Iterator[Problem]:
    """Messages received against messages settled and in flight."""
    settled = sum(n or 0 for n in report.dispositions.values())
    if report.received != settled + (report.in_flight or 0):
        yield Problem(
            f"Le compte n’est pas juste : {report.received} reçus, {settled} réglés, {report.in_flight} en cours.",
            "Gardez une copie de la base et signalez-le.",
            key="balance:count",
            grade=Grade.CRITICAL,
        )
    checks = (
        (
            "balance:answered",
            "SELECT count(*) AS n FROM events e LEFT JOIN outbox o ON o.id = e.outbox_id"
            " WHERE e.disposition = 'answered' AND (o.id IS NULL OR o.status IN ('failed', 'cancelled'))",
            "message(s) sont notés « répondus » alors que leur réponse n’est pas partie.",
            "Ouvrez ces conversations dans la console et signalez-le.",
        ),
        (
            "balance:waiting",
            "SELECT count(*) AS n FROM events e LEFT JOIN conversations c ON c.id = e.conversation_id"
            " WHERE e.disposition IS NULL AND (c.id IS NULL OR (c.due_at IS NULL AND c.lease_until IS NULL))",
            "message(s) attendent sans que personne ne doive les lire.",
            "Relancez : planton run worker ; si cela reste, signalez-le.",
        ),
    )
    for key, query, what, remedy in checks:
        row = connection.execute(query).fetchone()
        if row and row["n"]:
            yield Problem(f"{row['n']} {what}", remedy, key=key, grade=Grade.CRITICAL)


def accounts(connection: psycopg.Connection[Row]) -> Iterator[Problem]:
    """Accounts from which nothing leaves, and what Meta told our pages."""
    for row in connection.execute(
        "SELECT *, trouble_at > clock_timestamp() - interval '1 day' AS recent_trouble,"
        " CASE WHEN usage_at > clock_timestamp() - interval '5 minutes' THEN usage_percent END AS usage"
        " FROM accounts ORDER BY account"
    ):
        if row["stopped_at"] is not None:
            yield Problem(
                f"Le compte {row['account']} n’envoie plus rien ({row['stopped_slug']}).",
                row["stopped_remedy"] or "Voyez le journal de l’expéditeur.",
                key=f"stopped:{row['account']}",
                grade=Grade.CRITICAL,
            )
        yield from _meta_limits(row)
        if row["notice"]:
            yield Problem(
                f"Meta a averti le compte {row['account']} : {row['notice']}",
                "Ouvrez la « Qualité de la Page » dans Meta Business Suite et suivez ce qui y est demandé.",
                key=f"notice:{row['account']}",
            )


_TROUBLES = {
    "unknown": "Cherchez ce code dans la documentation de Meta, et signalez-le ; d’ici là, les envois sont répétés.",
}


def _meta_limits(row: Row) -> Iterator[Problem]:
    """What Meta refused with a code that asks for an operator, and how much of its limits is used. `row`: of `accounts`."""
    if row["recent_trouble"]:
        yield Problem(
            f"Meta a refusé des envois du compte {row['account']} (code {row['trouble_code']}, {row['trouble_slug']}).",
            _TROUBLES.get(row["trouble_slug"])
            or REMEDIES.get(row["trouble_slug"], "Voyez le journal de l’expéditeur."),
            key=f"trouble:{row['account']}:{row['trouble_code']}",
        )
    if (percent := row["usage"] or 0) >= USAGE_ALERT:
        slowed = f" : les réponses ralentissent à {row['slowed_to']} par seconde" if row["slowed_to"] else ""
        yield Problem(
            f"Meta compte {percent} % de ses limites pour le compte {row['account']}{slowed}.",
            "Baissez SEND_CEILING ; à 100 %, Meta bloque tout, urgences comprises.",
            key=f"usage:{row['account']}",
        )


def _administrators(connection: psycopg.Connection[Row]) -> Iterator[Problem]:
    """People work here, and nobody could let in another one."""
    row = connection.execute(
        f"SELECT EXISTS (SELECT 1 FROM users) AS people, EXISTS (SELECT 1 FROM users u WHERE {ABLE}) AS led"  # noqa: S608
    ).fetchone()
    if row and row["people"] and not row["led"]:
        yield Problem(
            "Aucun administrateur ne peut se connecter à la console.",
            "Créez-en un : planton users add NOM --role administrator --password-stdin",
            advice=True,
        )


def waiting(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    """What waits for too long."""
    late = connection.execute(
        "SELECT count(*) AS n FROM conversations"
        " WHERE due_at < %s AND (lease_until IS NULL OR lease_until < clock_timestamp())",
        (now - LATE,),
    ).fetchone()
    if late and late["n"]:
        yield Problem(
            f"{numbered(late['n'], 'conversation attend', 'conversations attendent')} depuis plus d’une minute.",
            "Vérifiez le moteur et le traitement ; au besoin : planton run worker sur une autre machine.",
            key="queue",
            grade=Grade.CRITICAL,
        )
    yield from _without_engine(connection, now)
    yield from _unsent(connection, now)


def _traffic(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    for row in connection.execute(
        "SELECT error_slug, max(error_remedy) AS remedy, count(*) AS n FROM outbox"
        " WHERE status = 'failed' AND due_at > %s GROUP BY error_slug ORDER BY n DESC",
        (now - timedelta(hours=24),),
    ):
        yield Problem(
            f"{numbered(row['n'], 'envoi a échoué', 'envois ont échoué')} depuis 24 heures"
            f" ({row['error_slug'] or 'sans raison connue'}).",
            row["remedy"] or "Ces conversations sont dans la file des agents.",
        )
    echoes = connection.execute(
        "SELECT count(*) AS n FROM events WHERE reason = 'inbox_automation' AND received_at > %s",
        (now - timedelta(days=7),),
    ).fetchone()
    if echoes and echoes["n"]:
        yield Problem(
            f"Les réponses automatiques de Meta ont écrit {echoes['n']} fois en 7 jours, en plus de Planton.",
            "Coupez-les dans Meta Business Suite : Boîte de réception, Automatisations.",
        )


def _unsent(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    """Replies that could leave and that no sender takes; those behind another one of their conversation wait for it."""
    row = connection.execute(
        """SELECT count(*) AS n FROM outbox o JOIN conversations c ON c.id = o.conversation_id
           LEFT JOIN accounts a ON a.account = c.account
           WHERE o.status = 'queued' AND o.lane IN ('emergency', 'reply') AND o.due_at < %s
             AND (o.lease_until IS NULL OR o.lease_until < clock_timestamp())
             AND a.stopped_at IS NULL AND (a.paused_until IS NULL OR a.paused_until < %s)
             AND NOT EXISTS (SELECT FROM outbox p
                 WHERE p.conversation_id = o.conversation_id AND p.status = 'queued' AND p.id < o.id)""",
        (now - LATE, now),
    ).fetchone()
    if row and row["n"]:
        yield Problem(
            f"{numbered(row['n'], 'réponse attend d’être envoyée', 'réponses attendent d’être envoyées')}"
            " depuis plus d’une minute.",
            "Vérifiez l’expéditeur : planton run sender",
            key="outbox",
            grade=Grade.CRITICAL,
        )


def _without_engine(connection: psycopg.Connection[Row], now: datetime) -> Iterator[Problem]:
    """They are looked at every few seconds, so that none is late; and nobody can understand them."""
    row = connection.execute(
        "SELECT count(*) AS n FROM conversations WHERE engine_away_since < %s", (now - LATE,)
    ).fetchone()
    if row and row["n"]:
        yield Problem(
            f"{numbered(row['n'], 'conversation attend', 'conversations attendent')} le moteur depuis plus d’une minute.",
            "Vérifiez-le : planton run engine. Après PLANTON_ENGINE_HANDOFF secondes, les agents ont leurs messages.",
            key="engine_waiting",
            grade=Grade.CRITICAL,
        )


def _server_log(connection: psycopg.Connection[Row]) -> Iterator[Problem]:
    """What a given server would write of statements and values. Words come to it encrypted; ids and accounts’ names do not."""
    names = (
        "log_statement",
        "log_parameter_max_length",
        "log_parameter_max_length_on_error",
        "log_min_duration_statement",
    )
    rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(names),))
    found = {row["name"]: row["setting"] for row in rows}
    spoken = found.get("log_statement") in ("mod", "all") or found.get("log_min_duration_statement", "-1") != "-1"
    loud = [name for name in names[:1] if spoken and found.get(name) in ("mod", "all")]
    loud += [name for name in names[1:2] if spoken and found.get(name) != "0"]
    loud += [name for name in names[2:3] if found.get(name) != "0"]
    if loud:
        yield Problem(
            f"PostgreSQL peut écrire des requêtes ou des valeurs dans son journal ({', '.join(loud)}).",
            "Réglez-le comme le dit docs/exploitation.md, « Les secrets ».",
            advice=True,
        )


def _key(connection: psycopg.Connection[Row], settings: Settings) -> Iterator[Problem]:
    """Whether DATA_KEY opens what is stored, and whether one of two keys may go."""
    if settings.raw("DATA_KEY") == GIVEN:
        return
    rows = connection.execute(
        "SELECT name, value FROM facts WHERE name = ANY(%s)", ([facts.KEY_CANARY, facts.DATA_KEYS],)
    )
    kept = {row["name"]: row["value"] for row in rows}
    canary, known = kept.get(facts.KEY_CANARY), kept.get(facts.DATA_KEYS)
    row = connection.execute(
        f"SELECT body, {places.event('events')} FROM events ORDER BY id DESC LIMIT 1"  # noqa: S608 (names of ours)
    ).fetchone()
    try:
        codec = Codec(settings.secret("DATA_KEY"))
        if canary is not None:
            facts.fits(codec, canary, known)
        if row is not None:
            codec.open(row["body"], "events.body", row["place"])
    except SettingsError as error:
        yield Problem(error.what, error.remedy)
        return
    if canary is not None:
        yield from bound.unfinished(connection, codec, settings.var_dir)
    if len(codec.parts) == 2 and canary is not None:
        done = known["used"] == [codec.names[0]] if known else facts.of_canary(codec, canary) == codec.names[0]
        remedy = "L’ancienne ne sert plus : retirez-la, puis relancez." if done else "Faites : planton keys rotate"
        yield Problem("DATA_KEY contient deux clés.", remedy, advice=True)


# -- for people --------------------------------------------------------------------------------------------------


def as_text(report: Report) -> str:
    """The report in French, aligned."""
    return typeset("\n".join(_lines(report)))


def _lines(report: Report) -> Iterator[str]:
    wrong = [p for p in report.problems if not p.advice]
    advice = [p for p in report.problems if p.advice]
    plural = "s" if len(wrong) > 1 else ""
    yield "Planton : tout va bien." if report.ok else f"Planton : {len(wrong)} problème{plural}."
    yield ""
    yield _count_line("Messages reçus", report.received)
    for name, french in DISPOSITIONS.items():
        yield _count_line(f"  {french}", report.dispositions[name])
    yield _count_line("  en cours", report.in_flight)
    yield _count_line("Envois", _total(report.outbox.values()))
    for name, french in OUTBOX.items():
        yield _count_line(f"  {french}", report.outbox[name])
    if report.catalogue.questions:
        yield _count_line("Questions du catalogue", len(report.catalogue.questions))
    for title, found in (("Problèmes", wrong), ("À faire quand vous pourrez", advice)):
        if found:
            yield ""
            yield title
            for problem in found:
                yield f"  • {problem.what}"
                yield f"    → {problem.remedy}"


def _total(counts: Iterable[int | None]) -> int | None:
    known = [n for n in counts if n is not None]
    return sum(known) if known else None


def _count_line(label: str, count: int | None) -> str:
    shown = "inconnu" if count is None else f"{count:,}".replace(",", "\u202f")
    return f"{label:<36}{shown:>12}"
