"""The only reader of the environment. Every setting is PLANTON_<NAME>; a wrong value is one clear line in French.

A command reads only what it uses: `Settings` is read lazily, and each property checks its own value.
"""

from __future__ import annotations

import base64
import functools
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import tomllib

from bot.core import program, secret_files
from bot.core.errors import SettingsError
from bot.core.system_errors import reason
from bot.policy.retention import CONVERSATIONS, SHORTEST, Class, Limits

PREFIX = "PLANTON_"
NEVER = "jamais"
GRAPH_URL = "https://graph.facebook.com/v26.0"
# When Meta ends a version (Graph API changelog); `doctor` warns 60 days ahead.
GRAPH_VERSION_ENDS = {"v20.0": "2026-09-24", "v21.0": "2027-01-21"}

# Who may have an address of the database of its own: a role of `bot.store.grants` each.
DATABASE_PARTS = {
    "gateway": "la passerelle",
    "worker": "le traitement",
    "sender": "l’expéditeur",
    "console": "la console",
    "trainer": "l’atelier",
    "monitor": "la surveillance",
    "backup": "les sauvegardes",
}
DATABASE_URLS = tuple(f"DATABASE_URL_{part.upper()}" for part in DATABASE_PARTS)

# name → (default as text or None, what it means, in French). The documentation and `doctor` are tested against it.
KNOWN: dict[str, tuple[str | None, str]] = {
    "DATABASE_URL": (None, "adresse PostgreSQL (URI libpq) ; sans elle, un serveur embarqué démarre"),
    **{
        f"DATABASE_URL_{part.upper()}": (
            None,
            f"la même base pour {what}, sous son rôle PostgreSQL ; sans elle, DATABASE_URL",
        )
        for part, what in DATABASE_PARTS.items()
    },
    "VAR_DIR": ("var", "dossier de la base embarquée, des secrets créés et des journaux"),
    "PROJECT_DIR": (
        None,
        "dossier des fichiers des formateurs (domain.yml, data, models) ; sans lui, celui du programme",
    ),
    "GATEWAY_HOST": ("127.0.0.1", "adresse d’écoute de la passerelle"),
    "GATEWAY_PORT": ("8080", "port de la passerelle"),
    "CONSOLE_HOST": ("127.0.0.1", "adresse d’écoute de la console"),
    "CONSOLE_PORT": ("8090", "port de la console"),
    "SANDBOX_PORT": ("8070", "port du bac à sable (planton demo)"),
    "SENDER_HOST": ("127.0.0.1", "adresse d’écoute de l’expéditeur"),
    "SENDER_PORT": ("8060", "port interne de l’expéditeur"),
    "SENDER_URL": (
        None,
        "où passerelle et traitement joignent l’expéditeur, ou plusieurs séparés par des virgules ; sans elle, SENDER_PORT ici",
    ),
    "ENGINE_URL": ("http://127.0.0.1:5005", "adresse du moteur, ou plusieurs séparées par des virgules"),
    "ENGINE_HOST": (None, "adresse d’écoute des moteurs lancés ici ; sans elle, celle de ENGINE_URL"),
    "ENGINE_WALL": ("auto", "ce qui isole les moteurs de l’atelier : auto, bwrap, compte ou aucun"),
    "ENGINES_DIR": (
        None,
        "dossier où le lanceur des moteurs et l’atelier se parlent ; sans lui, VAR_DIR",
    ),
    "META_APP_SECRET": (None, "secret de l’application Meta (deux séparés par une virgule pendant une rotation)"),
    "META_VERIFY_TOKEN": (None, "jeton de vérification du webhook"),
    "META_APP_ID": (None, "identifiant de notre application Meta (facultatif)"),
    "META_PAGE_ID": (None, "identifiant de la page"),
    "META_PAGE_TOKEN": (None, "jeton de la page ; seul l’expéditeur le lit (deux pendant un renouvellement)"),
    "META_IG_ID": (None, "identifiant du compte Instagram lié à la page (facultatif)"),
    "ACCOUNTS": (None, "fichier TOML qui décrit plusieurs pages"),
    "META_GRAPH_URL": (GRAPH_URL, "adresse de l’API Graph, version comprise"),
    "TIMEZONE": ("Europe/Paris", "fuseau horaire"),
    "NIGHT_START": ("00:00", "début de la nuit"),
    "NIGHT_END": ("06:00", "fin de la nuit ; égale au début : pas de nuit"),
    "DESK_HOURS": ("06:00-24:00", "heures où les agents répondent"),
    "DEBOUNCE_MS": ("1500", "attente après un message, en millisecondes ; 0 : aucune"),
    "ENGINE_NOTICE": ("60", "secondes sans moteur avant de le dire, une fois, à qui attend ; de jour"),
    "ENGINE_HANDOFF": ("300", "secondes sans moteur avant de confier aux agents ce qui attend"),
    "OVERLOAD_NOTICE": (
        "120",
        "secondes d’attente avant de dire, une fois, que beaucoup de personnes écrivent ; de jour",
    ),
    "SEND_CEILING": ("40", "messages par seconde et par compte, pour tous les expéditeurs"),
    "CONSOLE_URL": (None, "adresse publique de la console (liens d’invitation, retour du fournisseur d’identité)"),
    "CONSOLE_PROXIES": (
        "0",
        "mandataires devant la console, dont elle croit X-Forwarded-For ; 0 : aucun, l’adresse est celle de la connexion",
    ),
    "OIDC_ISSUER": (None, "émetteur OpenID Connect du fournisseur d’identité ; sans lui, la console n’en propose pas"),
    "OIDC_CLIENT_ID": (None, "identifiant de la console chez le fournisseur d’identité"),
    "OIDC_CLIENT_SECRET": (None, "secret donné par le fournisseur d’identité ; sans lui, client public"),
    "OIDC_NAME": (None, "nom du fournisseur sur le bouton ; sans lui, son nom de machine"),
    "OIDC_SCOPES": ("openid profile email", "portées demandées au fournisseur"),
    "OIDC_SECOND_FACTOR": (
        None,
        "preuves qui valent second facteur, par exemple « acr:eidas2 amr:mfa » ; sans elles, aucune",
    ),
    "OIDC_NEW_ROLE": (None, "rôle donné à qui n’a pas de compte (agent, trainer ou auditor) ; sans lui, personne"),
    "ATTACHMENT_HOSTS": (
        "fbcdn.net,fbsbx.com,cdninstagram.com",
        "hôtes d’où la console ouvre les pièces jointes, par https seulement (les noms au-dessous aussi ; * : tous)",
    ),
    "PUBLICATION_SECOND": (
        "oui",
        "oui : une seconde personne relit ce qui change les réponses aux victimes et aux urgences ; non : personne",
    ),
    "RETENTION_EVERYDAY": ("180", "jours de conservation des conversations courantes (docs/rgpd.md)"),
    "RETENTION_COMPLAINTS": ("730", "jours de conservation des conversations avec une réclamation"),
    "RETENTION_SENSITIVE": ("365", "jours de conservation des conversations sensibles, urgentes ou avec un témoignage"),
    "RETENTION_EMERGENCIES": ("730", "jours de conservation des conversations avec une urgence"),
    "RETENTION_RAW": ("30", "jours de conservation des webhooks bruts"),
    "RETENTION_AUDIT": ("1095", "jours de conservation du journal des actions ; « jamais » : il n’est jamais effacé"),
    "RETENTION_STATISTICS": ("1826", "jours de conservation des statistiques ; « jamais » : jamais effacées"),
    "PURGE_HOURS": ("02:30-05:00", "heures de la purge de chaque nuit ; « jamais » : seulement par planton purge"),
    "ALERT_URLS": (
        None,
        "où partent les alertes : adresses Apprise séparées par des espaces ; elles contiennent des secrets",
    ),
    "ALERT_URLS_FILE": (None, "fichier (0600) de ces adresses, une par ligne"),
    "ALERT_UNREAD": ("5", "minutes avant d’alerter d’une urgence qu’aucun agent n’a ouverte"),
    "ALERT_DISK": ("2048", "mégaoctets libres sur le disque en dessous desquels alerter"),
    "ALERT_SERVICES": (None, "services surveillés sur cette machine ; sans lui, ceux que lance le même planton run"),
    "HEARTBEAT_URL": (None, "adresse appelée chaque minute tant que la surveillance tourne ; elle contient un secret"),
    "PUBLIC_URL": (None, "adresse publique de la passerelle (son certificat est surveillé)"),
    "BACKUP_RECIPIENTS": (
        None,
        "à qui les sauvegardes sont chiffrées : clés publiques age1…, ou empreintes de clés GPG",
    ),
    "BACKUP_DIR": (None, "dossier des sauvegardes ; sans lui, VAR_DIR/sauvegardes"),
    "LOG_FORMAT": (None, "forme des journaux : json ou texte ; sans lui, texte dans un terminal, json ailleurs"),
    "LOG_LEVEL": ("info", "finesse des journaux : info, ou debug (chaque étape de chaque message)"),
    "TRACES_URL": (None, "collecteur OpenTelemetry (OTLP, http) qui reçoit les traces ; sans lui, aucune"),
    "TRACES_RATIO": ("1", "part des messages dont la trace est gardée, de 0 à 1"),
    "METRICS_TOKEN": (None, "jeton qui ouvre /metrics de la passerelle (deux pendant une rotation)"),
    "METRICS_HOST": ("127.0.0.1", "adresse d’écoute des mesures du traitement et de la console"),
    "METRICS_PORT": (None, "port des mesures du traitement ; celles de la console : le suivant ; sans lui, aucun"),
    "SECRET_KEY": (
        None,
        "clé des formulaires de la console (deux pendant une rotation, la nouvelle d’abord)",
    ),
    "SENDER_KEY": (
        None,
        "clé de la porte de l’expéditeur et des marques de nos messages (deux pendant une rotation, la nouvelle d’abord)",
    ),
    "DATA_KEY": (
        None,
        "clé de chiffrement des messages enregistrés, 32 octets en base64 (deux pendant une rotation, la nouvelle d’abord)",
    ),
}

# Each may be given as well by PLANTON_<NAME>_FILE, or as a credential of systemd of this name.
SECRETS = (
    "META_APP_SECRET",
    "META_VERIFY_TOKEN",
    "META_PAGE_TOKEN",
    "METRICS_TOKEN",
    "SECRET_KEY",
    "SENDER_KEY",
    "DATA_KEY",
    "DATABASE_URL",  # may hold a password
    *DATABASE_URLS,
    "OIDC_CLIENT_SECRET",
)
ADDRESSES = ("ALERT_URLS", "HEARTBEAT_URL")  # addresses that hold secrets
GIVEN = "(donné)"  # stands for a secret that the running launcher has and that we must not know
CREDENTIALS = "CREDENTIALS_DIRECTORY"
METERED = ("worker", "console")  # on METRICS_PORT and the one after
# What the launcher tells its children beside settings. PAGES: ids of the pages, for those who may not open ACCOUNTS.
INTERNAL = frozenset({"PDEATHSIG", "DEMO", "PARENT", "ROLES", "PAGES"})

# GPG by whole fingerprints alone: a shorter id can be forged, and an address may lead to several keys.
_RECIPIENTS = {"age": r"age1[0-9a-z]{50,}", "gpg": r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}"}

_GENERATED = {
    "METRICS_TOKEN": lambda: secrets.token_urlsafe(32),
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "SENDER_KEY": lambda: secrets.token_urlsafe(48),
    "DATA_KEY": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
}


@dataclass(frozen=True)
class Account:
    """A page with its Instagram account. `token` is None for every process but the sender."""

    page_id: str
    ig_id: str | None
    token: str | None
    spare: str | None = None  # the other one while the token is renewed

    @property
    def tokens(self) -> tuple[str, ...]:
        """Those that are known, the current one first."""
        return tuple(one for one in (self.token, self.spare) if one)

    def __repr__(self) -> str:
        return f"Account(page_id={self.page_id!r}, ig_id={self.ig_id!r})"


@dataclass(frozen=True)
class Oidc:
    """The site's identity provider. `secret` None: a public client. `acr`, `amr`: what counts as a second factor."""

    issuer: str
    client_id: str
    secret: str | None
    name: str
    scopes: str
    acr: frozenset[str]
    amr: frozenset[str]
    new_role: str | None

    def __repr__(self) -> str:
        return f"Oidc(issuer={self.issuer!r}, client_id={self.client_id!r})"


def _wrong(name: str, what: str, remedy: str = "") -> SettingsError:
    """One line, whatever the value holds."""
    printable = "".join(c if c.isprintable() or c in "\u00a0\u202f" else "\ufffd" for c in what)
    return SettingsError(f"{PREFIX}{name}\u00a0: {printable}", remedy)


def _one_or_two(name: str, text: str) -> list[str]:
    both = [one.strip() for one in text.split(",") if one.strip()]
    if not both:
        raise _wrong(name, "aucun secret n’est donné.", f"Donnez-le\u00a0: {KNOWN[name][1]}.")
    if len(both) > 2:
        raise _wrong(name, "plus de deux secrets sont donnés.", "Gardez le nouveau et l’ancien.")
    return both


def _pair(tokens: list[str]) -> tuple[str | None, str | None]:
    return tokens[0] if tokens else None, tokens[1] if len(tokens) > 1 else None


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_safe(url: str) -> bool:
    """https, or http on this machine."""
    parts = urlsplit(url) if _is_http(url) else None
    return parts is not None and (parts.scheme == "https" or parts.hostname in ("127.0.0.1", "localhost", "::1"))


def _is_public(host: str) -> bool:
    """Whether it is an address of the internet; of a name nothing is known."""
    try:
        return ip_address(host).is_global
    except ValueError:
        return False


class Settings:
    """Settings read from a mapping (the environment by default). Every property raises SettingsError when wrong."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = dict(os.environ if environ is None else environ)

    @property
    def environ(self) -> dict[str, str]:
        """A copy of what was read, for the processes that we start."""
        return dict(self._environ)

    def raw(self, name: str) -> str | None:
        """The value as given, else the default; an empty value counts as absent."""
        given = self._environ.get(PREFIX + name, "").strip()
        if name in SECRETS:
            given = self._from_file(name, given)
        return given or KNOWN[name][0]

    def secret_file(self, name: str) -> Path | None:
        """The file that a secret is read from, or None: it is not given, or in the environment itself."""
        given = self._environ.get(f"{PREFIX}{name}_FILE", "").strip()
        if given:
            return Path(given)
        folder = self._environ.get(CREDENTIALS, "")
        credential = Path(folder, name) if folder else None
        direct = self._environ.get(PREFIX + name, "").strip()
        return credential if credential is not None and not direct and credential.exists() else None

    def has(self, name: str) -> bool:
        """Whether a secret is given at all; it is not read."""
        return bool(self._environ.get(PREFIX + name, "").strip()) or self.secret_file(name) is not None

    def _from_file(self, name: str, given: str) -> str:
        path = self.secret_file(name)
        if path is None:
            return given
        if given:
            raise _wrong(name, "ce secret est donné deux fois.", f"Retirez-le, ou retirez {PREFIX}{name}_FILE.")
        folder = self._environ.get(CREDENTIALS, "")
        try:
            return secret_files.read(path, bool(folder) and path.parent == Path(folder))
        except SettingsError as error:
            raise _wrong(f"{name}_FILE", error.what, error.remedy) from None

    def unknown(self) -> list[str]:
        """Variables that begin with our prefix and mean nothing: probably typing errors."""
        known = {*KNOWN, *INTERNAL, *(f"{name}_FILE" for name in SECRETS)}
        return sorted(k for k in self._environ if k.startswith(PREFIX) and k[len(PREFIX) :] not in known)

    def require(self, name: str, remedy: str = "") -> str:
        """The value, or SettingsError naming what is missing."""
        value = self.raw(name)
        if value is None:
            raise _wrong(name, "ce réglage manque.", remedy or f"Donnez-le\u00a0: {KNOWN[name][1]}.")
        return value

    # -- storage -------------------------------------------------------------------------------------------------

    @property
    def var_dir(self) -> Path:
        """Where generated files live."""
        return Path(self.require("VAR_DIR")).absolute()

    @property
    def project_dir(self) -> Path:
        """Where the trainers' files lie."""
        given = self.raw("PROJECT_DIR")
        return program.ROOT if given is None else Path(given).absolute()

    @property
    def database_url(self) -> str | None:
        """A libpq URI, or None for the embedded server."""
        return self._database_url("DATABASE_URL")

    def database_url_of(self, part: str) -> str | None:
        """The one of a part (DATABASE_PARTS), under a PostgreSQL role of its own; else everybody's."""
        own = self._database_url(f"DATABASE_URL_{part.upper()}") if part in DATABASE_PARTS else None
        return own or self.database_url

    @property
    def part_urls(self) -> list[str]:
        """Every one that is given for a part."""
        return [url for name in DATABASE_URLS if (url := self._database_url(name)) is not None]

    def _database_url(self, name: str) -> str | None:
        url = self.raw(name)
        if url is not None and not re.match(r"postgres(ql)?://", url):
            raise _wrong(name, "ce n’est pas une adresse PostgreSQL.", "Exemple : postgresql://user@host/planton")
        return url

    @property
    def embedded(self) -> bool:
        """Whether PostgreSQL is ours to start."""
        return self.database_url is None

    def secret(self, name: str) -> str:
        """The METRICS_TOKEN, SECRET_KEY or SENDER_KEY that is made with now; of DATA_KEY all, as `Codec` takes them."""
        both = self.secrets(name)
        return ",".join(both) if name == "DATA_KEY" else both[0]

    def secrets(self, name: str) -> list[str]:
        """METRICS_TOKEN, SECRET_KEY, SENDER_KEY or DATA_KEY, given or generated: one, or two in a rotation (the first makes)."""
        return _one_or_two(name, self._given_or_made(name))

    def _given_or_made(self, name: str) -> str:
        """As given, or generated beside the embedded database (file 0600)."""
        given = self.raw(name)
        if given is not None:
            return given
        if self.lacks_sender_key and name == "SENDER_KEY":
            return ",".join(self.secrets("SECRET_KEY"))
        if not self.embedded:
            raise _wrong(
                name, "ce réglage est obligatoire avec PLANTON_DATABASE_URL.", f"Donnez-le\u00a0: {KNOWN[name][1]}."
            )
        return _generated(self.var_dir / "secrets" / name.lower(), name)

    @property
    def lacks_sender_key(self) -> bool:
        """Whether SECRET_KEY still stands for it, as before there was one: an update must not shut the sender's door."""
        return not self.has("SENDER_KEY") and self.has("SECRET_KEY")

    # -- listeners -----------------------------------------------------------------------------------------------

    def port(self, name: str) -> int:
        """A TCP port by setting name, e.g. GATEWAY_PORT."""
        value = self.require(name)
        if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 65535:
            raise _wrong(name, f"« {value} » n’est pas un port.", "Donnez un nombre de 1 à 65535.")
        return int(value)

    def host(self, name: str) -> str:
        """A listening address by setting name, e.g. GATEWAY_HOST."""
        return self._inside(name, self.require(name)) if name == "SENDER_HOST" else self.require(name)

    def _inside(self, name: str, host: str) -> str:
        """Not an address of the internet: whoever reaches it may use it."""
        if _is_public(host):
            raise _wrong(
                name,
                f"« {host} » est une adresse publique.",
                "Donnez une adresse du réseau interne : seule la passerelle fait face à Internet.",
            )
        return host

    @property
    def engine_urls(self) -> list[str]:
        """At least one engine's address."""
        urls = [u.strip().rstrip("/") for u in self.require("ENGINE_URL").split(",") if u.strip()]
        for url in urls or [""]:
            if not _is_http(url):
                raise _wrong("ENGINE_URL", f"« {url} » n’est pas une adresse http.", "Exemple : http://127.0.0.1:5005")
            if url.startswith("http:") and _is_public(urlsplit(url).hostname or ""):
                raise _wrong(
                    "ENGINE_URL",
                    f"« {url} » est une adresse publique : ce que les gens écrivent y passerait en clair.",
                    "Donnez une adresse du réseau interne, ou https.",
                )
        return urls

    @property
    def log_format(self) -> str | None:
        """json, texte, or None: as the terminal wants."""
        value = self.raw("LOG_FORMAT")
        if value not in (None, "json", "texte"):
            raise _wrong("LOG_FORMAT", f"« {value} » n’est pas possible.", "Donnez json ou texte.")
        return value

    @property
    def log_level(self) -> str:
        """info or debug."""
        value = self.require("LOG_LEVEL")
        if value not in ("info", "debug"):
            raise _wrong("LOG_LEVEL", f"« {value} » n’est pas possible.", "Donnez info ou debug.")
        return value

    @property
    def traces_url(self) -> str | None:
        """Where spans go, without a final slash; None: nowhere."""
        url = self.raw("TRACES_URL")
        if url is not None and not _is_http(url):
            raise _wrong("TRACES_URL", f"« {url} » n’est pas une adresse http.", "Exemple : http://127.0.0.1:4318")
        return None if url is None else url.rstrip("/").removesuffix("/v1/traces")

    @property
    def traces_ratio(self) -> float:
        """The part of traces that is kept."""
        value = self.require("TRACES_RATIO").replace(",", ".")
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?|\.[0-9]+", value) or not 0 <= float(value) <= 1:
            raise _wrong("TRACES_RATIO", f"« {value} » n’est pas une part de 0 à 1.", "Exemple : 0.05")
        return float(value)

    def metrics_port(self, role: str) -> int | None:
        """Where a role without a port of its own tells its metrics: `worker` or `console`; None: nowhere."""
        if self.raw("METRICS_PORT") is None:
            return None
        port = self.port("METRICS_PORT") + METERED.index(role)
        if port > 65_535:
            raise _wrong("METRICS_PORT", "le port suivant n’existe pas.", "Donnez 65534 au plus.")
        return port

    @property
    def engine_host(self) -> str | None:
        """Where engines that start here listen, if it is not the loopback address by which ENGINE_URL names them."""
        given = self.raw("ENGINE_HOST")
        return None if given is None else self._inside("ENGINE_HOST", given)

    @property
    def sender_url(self) -> str:
        """Where the sender is asked directly, without a final slash; several are separated by commas, as `meta.direct` reads."""
        given = self.raw("SENDER_URL")
        if given is None:
            return f"http://127.0.0.1:{self.port('SENDER_PORT')}"
        urls = [url.strip().rstrip("/") for url in given.split(",") if url.strip()]
        for url in urls or [""]:
            if not _is_http(url):
                raise _wrong("SENDER_URL", f"« {url} » n’est pas une adresse http.", "Exemple : http://127.0.0.1:8060")
        return ",".join(urls)

    @property
    def engine_wall(self) -> str:
        """What isolates the engines that the trainer and the console start (bot/trainer/wall.py)."""
        given = self.require("ENGINE_WALL")
        if given not in ("auto", "bwrap", "compte", "aucun"):
            raise _wrong("ENGINE_WALL", f"« {given} » n’en est pas une valeur.", "Donnez auto, bwrap, compte ou aucun.")
        return given

    @property
    def engines_dir(self) -> Path:
        """Where who looks after engines says what they serve and hears what they shall serve (bot/trainer/engines.py)."""
        given = self.raw("ENGINES_DIR")
        return Path(given).absolute() if given else self.var_dir

    # -- Meta ----------------------------------------------------------------------------------------------------

    @property
    def app_secrets(self) -> list[str]:
        """One secret, or two during a rotation (the first signs)."""
        return _one_or_two("META_APP_SECRET", self.require("META_APP_SECRET"))

    @property
    def verify_token(self) -> str:
        """The webhook's verification token."""
        return self.require("META_VERIFY_TOKEN")

    @property
    def app_id(self) -> str | None:
        """Our own app id, if given."""
        return self.raw("META_APP_ID")

    @property
    def graph_url(self) -> str:
        """The Graph API's address with its version, without a final slash."""
        url = self.require("META_GRAPH_URL").rstrip("/")
        if not _is_http(url) or not re.search(r"/v\d+\.\d+$", url):
            raise _wrong("META_GRAPH_URL", f"« {url} » n’est pas une adresse avec version.", f"Exemple : {GRAPH_URL}")
        return url

    def accounts(self, with_tokens: bool = False) -> list[Account]:
        """The pages served. Only the sender asks `with_tokens`."""
        given = self.raw("ACCOUNTS")
        if given is not None:
            return self._accounts_file(Path(given), with_tokens)
        told = self._environ.get(PREFIX + "PAGES")
        if told is not None and not with_tokens:
            return [Account(page, ig or None, None) for page, _, ig in (one.partition(":") for one in told.split(","))]
        remedy = "Voyez docs/exploitation.md, « Relier une page »."
        tokens = _one_or_two("META_PAGE_TOKEN", self.require("META_PAGE_TOKEN", remedy)) if with_tokens else []
        return [Account(self.require("META_PAGE_ID", remedy), self.raw("META_IG_ID"), *_pair(tokens))]

    @property
    def accounts_hold_tokens(self) -> bool:
        """Whether the file of ACCOUNTS itself holds tokens, so that the sender alone may open it."""
        given = self.raw("ACCOUNTS")
        return given is not None and any("token" in page for page in self._pages(Path(given)))

    def _accounts_file(self, path: Path, with_tokens: bool) -> list[Account]:
        accounts = []
        for page in self._pages(path):
            ig = page.get("instagram")
            tokens = self._tokens(path, page) if with_tokens else []
            accounts.append(Account(str(page["id"]), None if ig is None else str(ig), *_pair(tokens)))
        if not accounts:
            raise _wrong("ACCOUNTS", f"{path} ne décrit aucune [[page]].")
        return accounts

    def _pages(self, path: Path) -> list[dict[str, object]]:
        try:
            pages = tomllib.loads(path.read_text(encoding="utf-8")).get("page", [])
            if isinstance(pages, list) and any(isinstance(page, dict) and "token" in page for page in pages):
                secret_files.check_private(path)
        except (OSError, ValueError) as error:
            raise _wrong(
                "ACCOUNTS", f"{path} ne se lit pas ({reason(error)}).", "Voyez docs/exploitation.md."
            ) from None
        except SettingsError as error:
            raise _wrong("ACCOUNTS", error.what, error.remedy) from None
        pages = pages if isinstance(pages, list) else []
        for page in pages:
            if not isinstance(page, dict) or "id" not in page:
                raise _wrong("ACCOUNTS", f"{path} : chaque [[page]] veut « id ».", "Voyez docs/exploitation.md.")
        return pages

    def _tokens(self, path: Path, page: Mapping[str, object]) -> list[str]:
        named = page.get("token_file")
        if ("token" in page) == (named is not None):
            raise _wrong(
                "ACCOUNTS",
                f"{path} : chaque [[page]] veut « token » ou « token_file ».",
                "Donnez l’un des deux : voyez docs/exploitation.md, « Les secrets ».",
            )
        if named is None:
            return _one_or_two("ACCOUNTS", str(page["token"]))
        file, credentials = path.parent / str(named), self._environ.get(CREDENTIALS, "")
        if credentials and not file.exists():
            file = Path(credentials, str(named))
        try:
            text = secret_files.read(file, bool(credentials) and file.parent == Path(credentials))
        except SettingsError as error:
            raise _wrong("ACCOUNTS", error.what, error.remedy) from None
        return _one_or_two("ACCOUNTS", text)

    # -- alerts --------------------------------------------------------------------------------------------------

    @property
    def alert_urls(self) -> tuple[str, ...]:
        """Apprise addresses, of the environment and of a file that nobody else may read. They hold secrets."""
        urls = [url for url in (self.raw("ALERT_URLS") or "").split() if url != GIVEN]
        given = self.raw("ALERT_URLS_FILE")
        if given is not None:
            urls += _lines("ALERT_URLS_FILE", Path(given))
        for number, url in enumerate(urls, 1):
            if not re.match(r"[A-Za-z]+://\S", url):
                raise _wrong("ALERT_URLS", f"adresse n° {number} : ce n’en est pas une.", "Voyez docs/exploitation.md.")
        return tuple(urls)

    @property
    def alert_unread(self) -> int:
        """Minutes that an emergency may stay unread."""
        return self._whole("ALERT_UNREAD", 1, 1440)

    @property
    def alert_disk(self) -> int:
        """Megabytes that should be free."""
        return self._whole("ALERT_DISK", 1, 10_000_000)

    @property
    def alert_services(self) -> tuple[str, ...] | None:
        """The services that are looked at on this machine, or None."""
        given = self.raw("ALERT_SERVICES")
        if given is None:
            return None
        names = tuple(name.strip() for name in given.split(",") if name.strip())
        for name in names:
            if name not in ("gateway", "sender", "console", "engine"):
                raise _wrong(
                    "ALERT_SERVICES", f"« {name} » n’est pas possible.", "Donnez gateway, sender, console ou engine."
                )
        return names

    @property
    def heartbeat_url(self) -> str | None:
        """Where the monitor says that it runs. Holds a secret, so no message quotes it."""
        url = self.raw("HEARTBEAT_URL")
        if url is not None and not _is_safe(url):
            raise _wrong("HEARTBEAT_URL", "ce n’est pas une adresse https.", "Donnez l’adresse du veilleur extérieur.")
        return url

    @property
    def public_url(self) -> str | None:
        """The gateway's public address without a final slash, or None."""
        return self._site_url("PUBLIC_URL", "https://planton.exemple.fr")

    # -- the console ---------------------------------------------------------------------------------------------

    @property
    def console_url(self) -> str | None:
        """The console's public address without a final slash, or None."""
        return self._site_url("CONSOLE_URL", "https://console.exemple.fr")

    @property
    def console_proxies(self) -> int:
        """How many trusted proxies stand before the console, each adding to X-Forwarded-For; 0: none is believed."""
        return self._whole("CONSOLE_PROXIES", 0, 10)

    def _site_url(self, name: str, example: str) -> str | None:
        url = self.raw(name)
        if url is None:
            return None
        url = url.rstrip("/")
        if not _is_safe(url) or urlsplit(url).path or urlsplit(url).query:
            raise _wrong(name, f"«\u00a0{url}\u00a0» n’est pas l’adresse https d’un site.", f"Exemple\u00a0: {example}")
        return url

    @property
    def oidc(self) -> Oidc | None:
        """The identity provider, or None."""
        issuer = self.raw("OIDC_ISSUER")
        if issuer is None:
            return None
        if not _is_safe(issuer):
            raise _wrong(
                "OIDC_ISSUER", f"«\u00a0{issuer}\u00a0» n’est pas une adresse https.", "Donnez l’émetteur exact."
            )
        if self.console_url is None:
            raise _wrong(
                "CONSOLE_URL", "ce réglage est obligatoire avec PLANTON_OIDC_ISSUER.", "Donnez l’adresse de la console."
            )
        role, scopes = self.raw("OIDC_NEW_ROLE"), self.require("OIDC_SCOPES").split()
        if role not in (None, "agent", "trainer", "auditor"):
            raise _wrong(
                "OIDC_NEW_ROLE", f"«\u00a0{role}\u00a0» n’est pas possible.", "Donnez agent, trainer ou auditor."
            )
        if "openid" not in scopes:
            raise _wrong("OIDC_SCOPES", "il y manque «\u00a0openid\u00a0».", "Exemple\u00a0: openid profile email")
        return Oidc(
            issuer,
            self.require("OIDC_CLIENT_ID"),
            self.raw("OIDC_CLIENT_SECRET"),
            self.raw("OIDC_NAME") or urlsplit(issuer).hostname or issuer,
            " ".join(scopes),
            self._second_factor("acr"),
            self._second_factor("amr"),
            role,
        )

    def _second_factor(self, claim: str) -> frozenset[str]:
        values = (self.raw("OIDC_SECOND_FACTOR") or "").split()
        for value in values:
            if not re.fullmatch(r"(acr|amr):\S+", value):
                raise _wrong(
                    "OIDC_SECOND_FACTOR",
                    f"«\u00a0{value}\u00a0» n’est pas une preuve.",
                    "Exemple\u00a0: acr:eidas2 amr:mfa",
                )
        return frozenset(value[4:] for value in values if value.startswith(claim + ":"))

    @property
    def attachment_hosts(self) -> tuple[str, ...]:
        """Names (and those below them) from which attachments are fetched; `*` any."""
        hosts = tuple(host.strip().lower() for host in self.require("ATTACHMENT_HOSTS").split(",") if host.strip())
        for host in hosts or ("",):
            if host != "*" and not re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*", host):
                raise _wrong(
                    "ATTACHMENT_HOSTS", f"« {host} » n’est pas un nom d’hôte.", "Exemple : fbcdn.net,fbsbx.com"
                )
        return hosts

    @property
    def publication_second(self) -> bool:
        """Whether a publication that changes what victims and people in danger are told waits for a second person."""
        value = self.require("PUBLICATION_SECOND")
        if value not in ("oui", "non"):
            raise _wrong("PUBLICATION_SECOND", f"« {value} » n’est pas possible.", "Donnez oui ou non.")
        return value == "oui"

    # -- policy --------------------------------------------------------------------------------------------------

    @property
    def zone(self) -> ZoneInfo:
        """The desk's time zone."""
        name = self.require("TIMEZONE")
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise _wrong("TIMEZONE", f"« {name} » n’est pas un fuseau connu.", "Exemple : Europe/Paris") from None

    def wall(self, name: str) -> time:
        """A wall time by setting name: NIGHT_START or NIGHT_END."""
        return _wall(name, self.require(name))

    @property
    def desk_hours(self) -> tuple[time, time | None]:
        """(start, end) of the desk; end None for 24:00."""
        value = self.require("DESK_HOURS")
        start, dash, end = value.partition("-")
        if not dash:
            raise _wrong("DESK_HOURS", f"« {value} » n’est pas une plage.", "Exemple : 06:00-24:00")
        return _wall("DESK_HOURS", start), None if end.strip() == "24:00" else _wall("DESK_HOURS", end)

    @property
    def debounce_ms(self) -> int:
        """Milliseconds to wait after a message."""
        return self._whole("DEBOUNCE_MS", 0, 60_000)

    @property
    def engine_patience(self) -> tuple[int, int]:
        """Seconds without the engine until a person is told, and until agents get what waits."""
        return self._whole("ENGINE_NOTICE", 0, 86_400), self._whole("ENGINE_HANDOFF", 0, 86_400)

    @property
    def overload_notice(self) -> int:
        """Seconds that a person who writes now waits before they are told that many do."""
        return self._whole("OVERLOAD_NOTICE", 5, 86_400)

    @property
    def send_ceiling(self) -> int:
        """Messages a second and account."""
        return self._whole("SEND_CEILING", 1, 10_000)

    # -- retention -----------------------------------------------------------------------------------------------

    @property
    def retention(self) -> Limits:
        """How long each class is kept."""
        days = {of: self._days(f"RETENTION_{of.value.upper()}", of) for of in Class}
        everyday, complaints, sensitive, emergencies = (days[of] or SHORTEST for of in CONVERSATIONS)
        raw = days[Class.RAW] or SHORTEST
        limits = Limits(everyday, complaints, sensitive, emergencies, raw, days[Class.AUDIT], days[Class.STATISTICS])
        longest = max(limits.days(of) or 0 for of in CONVERSATIONS)
        if limits.audit is not None and limits.audit < longest:
            raise _wrong(
                "RETENTION_AUDIT",
                f"{limits.audit} jours, c’est moins que la plus longue conservation des conversations ({longest} jours).",
                f"Donnez au moins {longest}\u00a0: qui a lu une conversation doit rester connu aussi longtemps qu’elle.",
            )
        return limits

    def _days(self, name: str, of: Class) -> int | None:
        value = self.require(name)
        may_stay = of in (Class.AUDIT, Class.STATISTICS)
        if value == NEVER and may_stay:
            return None
        low = 90 if of is Class.AUDIT else SHORTEST
        if not re.fullmatch(r"[0-9]{1,5}", value) or not low <= int(value) <= 36_500:
            raise _wrong(
                name,
                f"« {value} » n’est pas un nombre de jours de {low} à 36500.",
                "0 n’est pas accepté\u00a0; "
                + ("« jamais » garde sans limite." if may_stay else "ces données ont toujours une fin."),
            )
        return int(value)

    @property
    def purge_hours(self) -> tuple[time, time] | None:
        """(start, end) of the nightly purge, which may cross midnight; None: there is none."""
        value = self.require("PURGE_HOURS")
        if value == NEVER:
            return None
        start, dash, end = value.partition("-")
        if not dash or start.strip() == end.strip():
            raise _wrong("PURGE_HOURS", f"« {value} » n’est pas une plage.", "Exemple : 02:30-05:00, ou « jamais »")
        return _wall("PURGE_HOURS", start), _wall("PURGE_HOURS", end)

    # -- back-ups ------------------------------------------------------------------------------------------------

    @property
    def backup_dir(self) -> Path:
        """Where back-ups go unless the command says otherwise."""
        given = self.raw("BACKUP_DIR")
        return (self.var_dir / "sauvegardes" if given is None else Path(given)).absolute()

    @property
    def backup_recipients(self) -> tuple[str, tuple[str, ...]]:
        """(`age` or `gpg`, public keys) that back-ups are encrypted for."""
        name = "BACKUP_RECIPIENTS"
        values = tuple(
            self.require(
                name,
                "Donnez une clé publique age (age1…) ou l’empreinte d’une clé GPG ; docs/exploitation.md dit comment.",
            )
            .replace(",", " ")
            .split()
        )
        kinds = {kind for kind, shape in _RECIPIENTS.items() for value in values if re.fullmatch(shape, value)}
        for value in values:
            if not any(re.fullmatch(shape, value) for shape in _RECIPIENTS.values()):
                raise _wrong(
                    name,
                    f"« {value[:80]} » n’est ni une clé publique age (age1…), ni l’empreinte entière d’une clé GPG.",
                    "L’empreinte se lit avec : gpg --list-keys --with-colons",
                )
        if len(kinds) != 1:
            raise _wrong(name, "des clés age et GPG sont mêlées.", "Gardez les unes ou les autres.")
        return kinds.pop(), values

    def _whole(self, name: str, low: int, high: int) -> int:
        value = self.require(name)
        if not re.fullmatch(r"[0-9]+", value) or not low <= int(value) <= high:
            raise _wrong(
                name, f"« {value} » n’est pas un nombre entier de {low} à {high}.", f"Défaut : {KNOWN[name][0]}"
            )
        return int(value)


def _lines(name: str, path: Path) -> list[str]:
    """The lines of a file of secrets, without remarks."""
    try:
        if path.stat().st_mode & 0o077:
            raise _wrong(name, f"{path} est lisible par d’autres.", f"Faites\u00a0: chmod 600 {path}")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(name, f"{path} ne se lit pas ({reason(error)}).", "Donnez un fichier lisible.") from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _wall(name: str, value: str) -> time:
    match = re.fullmatch(r"\s*([01]?[0-9]|2[0-3]):([0-5][0-9])\s*", value)
    if not match:
        raise _wrong(name, f"« {value} » n’est pas une heure.", "Exemple : 06:00")
    return time(int(match[1]), int(match[2]))


@functools.cache
def _generated(path: Path, name: str) -> str:
    """Read or create a secret file. Two processes that create it at once end with the same value."""
    try:
        _make(path, name)
        return secret_files.read(path)
    except OSError as error:
        raise _wrong(
            "VAR_DIR",
            f"{path} ne s’écrit ou ne se lit pas ({reason(error)}).",
            "Donnez un dossier où vous pouvez écrire.",
        ) from None


def _make(path: Path, name: str) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(",".join([_GENERATED[name](), *_before(path, name)]))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()


def _before(path: Path, name: str) -> list[str]:
    """What did a generated secret's work in an installation that is older than it: marks of what was just sent stay ours."""
    older = path.with_name("secret_key")
    if name != "SENDER_KEY" or not older.exists() or not (path.parent.parent / "postgres" / "PG_VERSION").exists():
        return []
    return secret_files.read(older).split(",")[:1]
