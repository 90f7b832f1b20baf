"""Who is told, through Apprise: e-mail, Matrix (Tchap), webhooks and a few messengers.

A target's address holds secrets: it is never logged nor shown, and Apprise's own logs, which may quote it, are cut off. Of
Apprise only the services below are used, one address at a time: no configuration file, no attachment, no other plugin.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from bot.core.errors import SettingsError
from bot.monitor.finding import Grade
from bot.monitor.wording import Message

SERVICES = {
    "mailto": "courriel",
    "mailtos": "courriel",
    "matrix": "Matrix",
    "matrixs": "Matrix",
    "json": "webhook",
    "jsons": "webhook",
    "form": "webhook",
    "forms": "webhook",
    "mmost": "Mattermost",
    "mmosts": "Mattermost",
    "rocket": "Rocket.Chat",
    "rockets": "Rocket.Chat",
    "nctalk": "Nextcloud Talk",
    "nctalks": "Nextcloud Talk",
    "ntfy": "ntfy",
    "ntfys": "ntfy",
    "gotify": "Gotify",
    "gotifys": "Gotify",
    "signal": "Signal",
    "signals": "Signal",
}
SEVERAL = 25.0  # seconds that all targets together may take
_ONE = 20.0
# What would have Apprise read a file of this machine.
_FILES = ("attach", "attachment", "template", "pgpkey", "pgpkeyfile", "config", "image", "cert", "key")
_QUIET = ("apprise", "urllib3", "requests", "requests_oauthlib", "oauthlib", "charset_normalizer")
_EXAMPLE = "Exemple : mailtos://compte:mot-de-passe@smtp.exemple.fr?to=astreinte@exemple.fr"


@dataclass(frozen=True)
class Target:
    """One address. `number`: its place in the settings, from 1."""

    number: int
    url: str = field(repr=False)

    @property
    def id(self) -> str:
        """What stands for it where messages wait: tells nothing of the address."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """For people and logs."""
        return f"cible {self.number} ({SERVICES[self.url.partition(':')[0].lower()]})"


def targets(urls: Sequence[str]) -> tuple[Target, ...]:
    """The targets of these addresses. Raises SettingsError, which names the place, never the address."""
    found = tuple(Target(number, url) for number, url in enumerate(urls, 1))
    for target in found:
        _check(target)
    return found


def _check(target: Target) -> None:
    scheme = target.url.partition("://")[0].lower()
    if scheme not in SERVICES:
        known = ", ".join(SERVICES)
        raise _wrong(target, "ce genre d’adresse n’est pas accepté", f"Commencez-la par l’un de ceux-ci : {known}.")
    try:
        query = urlsplit(target.url).query
    except ValueError:
        query = ""
    if named := [name for name, _ in parse_qsl(query) if name.lower().lstrip("+-:") in _FILES]:
        raise _wrong(target, f"« {named[0]} » n’est pas accepté", "Retirez ce paramètre.")
    if _service(target) is None:
        raise _wrong(target, "elle ne se comprend pas", _EXAMPLE)


def _wrong(target: Target, what: str, remedy: str) -> SettingsError:
    return SettingsError(f"PLANTON_ALERT_URLS : adresse n° {target.number} : {what}.", remedy)


def hush() -> None:
    """Cut off the logs of Apprise and of what it sends with: they may quote an address or what was answered."""
    for name in _QUIET:
        logger = logging.getLogger(name)
        logger.handlers[:] = [logging.NullHandler()]
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)


def _service(target: Target) -> Any:  # Apprise's own type, known only once it is imported
    hush()
    import apprise  # late: it loads all of its services

    asset = apprise.AppriseAsset(
        app_id="Planton",
        app_desc="Planton",
        app_url="",
        plugin_paths=(),
        storage_mode="memory",
        service_timeout=_ONE,
        allow_templates=False,
        secure_logging=True,
        async_mode=False,
        http_redirects=False,
        image_url_mask="",
        image_url_logo="",
    )
    hush()  # it may have made its own loggers
    try:
        return apprise.Apprise.instantiate(target.url, asset=asset, suppress_exceptions=True)
    except Exception:  # whatever it thinks of the address, its words may quote it
        return None


def send(target: Target, message: Message) -> bool:
    """Send one message; whether the target took it. Never raises."""
    try:
        import apprise

        service = _service(target)
        if service is None:
            return False
        kinds = {Grade.CRITICAL: apprise.NotifyType.FAILURE, Grade.WARNING: apprise.NotifyType.WARNING}
        kind = apprise.NotifyType.SUCCESS if message.grade is None else kinds[message.grade]
        taken = service.notify(body=message.body, title=message.title, notify_type=kind, body_format="text")
        return bool(taken)
    except Exception:  # as above
        return False


def send_all(wanted: Sequence[tuple[Target, Message]], most: float = SEVERAL) -> dict[str, bool]:
    """Send at the same time, each in a thread that may not hold up the others; target's id → whether it took it.

    What has not answered in time counts as not taken: told twice is better than never."""
    done: dict[str, bool] = {}

    def one(target: Target, message: Message) -> None:
        done[target.id] = send(target, message)

    threads = [threading.Thread(target=one, args=pair, daemon=True) for pair in wanted]
    for thread in threads:
        thread.start()
    until = time.monotonic() + most
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return {target.id: done.get(target.id, False) for target, _ in wanted}
