"""Who listens where: the listeners of each role, and whether their ports are free."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from bot.core.errors import SettingsError, SetupError
from bot.settings import METERED, PREFIX, Settings

LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Listener:
    """One address that a role listens on. `setting` is what a person changes to move it."""

    role: str
    host: str
    port: int
    setting: str
    path: str = ""

    @property
    def near(self) -> str:
        """The host to reach it from this machine."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104

    @property
    def url(self) -> str:
        """The address that people open."""
        host = f"[{self.near}]" if ":" in self.near else self.near
        return f"http://{host}:{self.port}{self.path}"


def local_engines(settings: Settings) -> list[Listener]:
    """The engines of ENGINE_URL that `planton run` starts: those on loopback."""
    found = []
    for url in settings.engine_urls:
        parts = urlsplit(url)
        if parts.hostname not in LOOPBACK:
            continue
        try:
            port = parts.port
        except ValueError:
            port = None
        if port is None:
            raise SettingsError(
                f"{PREFIX}ENGINE_URL\u00a0: « {url} » n’a pas de port.", "Exemple\u00a0: http://127.0.0.1:5005"
            )
        found.append(Listener("engine", settings.engine_host or parts.hostname, port, "ENGINE_URL"))
    return found


def listeners(settings: Settings, role: str) -> list[Listener]:
    """What a role listens on; what people open first."""
    port = settings.metrics_port(role) if role in METERED else None
    if port is None:
        return _listeners(settings, role)
    metrics = Listener(role, settings.host("METRICS_HOST"), port, "METRICS_PORT", "/metrics")
    return [*_listeners(settings, role), metrics]


def _listeners(settings: Settings, role: str) -> list[Listener]:
    if role == "engine":
        return local_engines(settings)
    if role == "gateway":
        host, port = settings.host("GATEWAY_HOST"), settings.port("GATEWAY_PORT")
        return [Listener(role, host, port, "GATEWAY_PORT", "/webhooks/meta")]
    if role == "console":
        host, port = settings.host("CONSOLE_HOST"), settings.port("CONSOLE_PORT")
        return [Listener(role, host, port, "CONSOLE_PORT", "/connexion")]
    if role == "sender":
        return [Listener(role, settings.host("SENDER_HOST"), settings.port("SENDER_PORT"), "SENDER_PORT")]
    if role == "sandbox":
        return [Listener(role, "127.0.0.1", settings.port("SANDBOX_PORT"), "SANDBOX_PORT", "/")]
    return []


def check_free(wanted: Iterable[Listener], patience: float = 3.0) -> None:
    """Raise SetupError, one line a port, when something else listens there.

    `patience`: what a launcher that was killed a second ago left behind is still closing.
    """
    wanted = list(wanted)
    _check_distinct(wanted)
    deadline = time.monotonic() + patience
    while True:
        problems = [problem for one in wanted if (problem := _taken(one))]
        if not problems:
            return
        if time.monotonic() > deadline:
            raise SetupError("\n".join(problems))
        time.sleep(0.1)


def _check_distinct(wanted: list[Listener]) -> None:
    seen: dict[int, Listener] = {}
    for one in wanted:
        other = seen.setdefault(one.port, one)
        if other is not one:
            raise SettingsError(
                f"{PREFIX}{one.setting} et {PREFIX}{other.setting} donnent le même port, {one.port}.",
                "Changez l’un des deux.",
            )


def _taken(one: Listener) -> str | None:
    try:
        family, kind, _, _, address = socket.getaddrinfo(one.host, one.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        setting = f"{PREFIX}{one.setting}"
        if error.errno == errno.EADDRINUSE:
            return f"Le port {one.port} est déjà pris. Libérez-le, ou donnez-en un autre avec {setting}."
        if error.errno == errno.EACCES:
            return f"Le port {one.port} est réservé à root. Donnez-en un au-dessus de 1023 avec {setting}."
        host = setting.replace("_PORT", "_HOST")
        return f"L’adresse « {one.host} » ne convient pas ({error.strerror}). Corrigez {host}."
    return None


def answers(one: Listener, timeout: float = 0.25) -> bool:
    """Whether the role is ready there: it accepts connections; the engine, which listens before it has loaded its model,
    must also say that it is well."""
    try:
        with socket.create_connection((one.near, one.port), timeout=timeout) as connection:
            if one.role != "engine":
                return True
            connection.settimeout(timeout)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b" 200 " in connection.recv(64)
    except OSError:
        return False
