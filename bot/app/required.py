"""What each role needs to be set before it starts; every fault is told at once, one line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bot.app.entitled import token_fault
from bot.app.ports import listeners
from bot.core.errors import SettingsError
from bot.monitor.targets import targets
from bot.settings import GIVEN, Settings
from bot.store.codec import Codec

ROLES = ("gateway", "worker", "sender", "engine", "console", "trainer", "monitor")
Check = Callable[[Settings], object]


def _data_key(settings: Settings) -> object:
    key = settings.secret("DATA_KEY")
    return None if key == GIVEN else Codec(key)


def _secret(name: str) -> Check:
    return lambda settings: settings.secret(name)


def _wall(name: str) -> Check:
    return lambda settings: settings.wall(name)


_STORED: tuple[Check, ...] = (lambda s: (s.database_url, s.part_urls), _data_key)
_HOURS: tuple[Check, ...] = (lambda s: s.zone, _wall("NIGHT_START"), _wall("NIGHT_END"), lambda s: s.desk_hours)

_CHECKS: dict[str, tuple[Check, ...]] = {
    "gateway": (
        *_STORED,
        _secret("SENDER_KEY"),
        _secret("METRICS_TOKEN"),
        lambda s: s.app_secrets,
        lambda s: s.verify_token,
        lambda s: s.accounts(),
        lambda s: s.engine_urls,
        lambda s: s.sender_url,
        lambda s: s.debounce_ms,
        *_HOURS,
    ),
    "worker": (
        *_STORED,
        _secret("SENDER_KEY"),
        lambda s: s.accounts(),
        lambda s: s.engine_urls,
        lambda s: s.sender_url,
        lambda s: s.debounce_ms,
        lambda s: s.engine_patience,
        lambda s: s.retention,
        lambda s: s.purge_hours,
        *_HOURS,
    ),
    "sender": (
        *_STORED,
        _secret("SENDER_KEY"),
        lambda s: s.app_secrets,
        lambda s: s.accounts(with_tokens=True),
        lambda s: s.debounce_ms,  # what it catches up with is taken in as the gateway does
        *_HOURS,
        lambda s: s.graph_url,
        lambda s: s.send_ceiling,
    ),
    "engine": (lambda s: s.engine_urls,),
    "console": (
        *_STORED,
        _secret("SECRET_KEY"),
        *_HOURS,
        lambda s: s.console_url,
        lambda s: s.console_proxies,
        lambda s: s.oidc,
        lambda s: s.attachment_hosts,
        lambda s: s.retention,
    ),
    "trainer": _STORED,
    "monitor": (
        lambda s: (s.database_url, s.part_urls),
        lambda s: s.zone,
        lambda s: targets(s.alert_urls),
        lambda s: s.alert_unread,
        lambda s: s.alert_disk,
        lambda s: s.alert_services,
        lambda s: s.heartbeat_url,
        lambda s: s.public_url,
        lambda s: s.console_url,
        lambda s: s.engine_urls,
    ),
    "sandbox": (*_STORED, _secret("SECRET_KEY"), lambda s: s.app_secrets),
}


# Of every process that says what it does; the engine has a form of its own.
_TOLD: tuple[Check, ...] = (
    lambda s: s.log_format,
    lambda s: s.log_level,
    lambda s: s.traces_url,
    lambda s: s.traces_ratio,
)


def _listen(role: str) -> Check:
    return lambda settings: listeners(settings, role)


def faults(settings: Settings, roles: Iterable[str]) -> list[SettingsError]:
    """Every wrong or missing setting of these roles, each once."""
    found: dict[str, SettingsError] = {}
    roles = list(roles)
    if barred := token_fault(settings, frozenset(roles)):
        return [barred]
    for role in roles:
        for check in (*_CHECKS[role], *(() if role == "engine" else _TOLD), _listen(role)):
            try:
                check(settings)
            except SettingsError as error:
                found.setdefault(error.what, error)
    return list(found.values())
