"""`planton demo`: everything on this machine, with two simulated phones in the place of Meta."""

from __future__ import annotations

import argparse
import hashlib
import hmac
import http.client
import ipaddress
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sanic import Sanic

from bot.app.child import Child
from bot.app.launcher import Launcher
from bot.app.ports import Listener, listeners
from bot.app.required import ROLES
from bot.app.say import complain, say
from bot.core.clock import MovedClock
from bot.core.errors import Explained, SettingsError
from bot.policy.night import Night
from bot.sandbox.app import SandboxDeps, create_sandbox
from bot.sandbox.graph import OWN_APP, Graph, GraphAccount, GraphServer
from bot.settings import KNOWN, PREFIX, Settings
from bot.store.bearer import Bearer
from bot.store.codec import Codec
from bot.store.db import Database

PAGE_ID, IG_ID = "104090000000001", "17841400000000001"
LATENCY = 0.15  # seconds that the simulated Graph API takes, as the real one
_FORBIDDEN = {
    "DATABASE_URL": "la démonstration n’emploie que sa propre base",
    "META_GRAPH_URL": "la démonstration ne parle qu’à une API Graph simulée",
    "META_PAGE_TOKEN": "un vrai jeton n’a rien à faire dans la démonstration",
    "ACCOUNTS": "la démonstration a ses propres pages",
}


def main(_parsed: argparse.Namespace | None = None) -> int:
    """Run the demo until it is stopped; the exit code."""
    try:
        settings = demo_settings(Settings())
        roles = [role for role in ROLES if role != "monitor"]  # nobody is on call for a demonstration
        launcher = DemoLauncher(settings, (*roles, "sandbox"))
        say("la démonstration démarre ; il faut une demi-minute (Ctrl+C arrête tout).")
        return launcher.run()
    except Explained as error:
        complain(error)
        return 2


def demo_settings(given: Settings) -> Settings:
    """The demo's own settings: its folder, its secrets, a page that does not exist. Raises SettingsError."""
    if wrong := refusals(given):
        raise SettingsError("\n".join(wrong))
    environ = given.environ
    environ[PREFIX + "VAR_DIR"] = str(given.var_dir / "demo")  # a demo never meets real data
    environ.pop(PREFIX + "DATABASE_URL", None)
    own = Settings(environ)
    environ.update(
        {
            PREFIX + "DEMO": "1",
            PREFIX + "META_APP_SECRET": _derived(own, "app secret"),
            PREFIX + "META_VERIFY_TOKEN": _derived(own, "verify token"),
            PREFIX + "META_APP_ID": OWN_APP,
            PREFIX + "META_PAGE_ID": PAGE_ID,
            PREFIX + "META_IG_ID": IG_ID,
            PREFIX + "META_PAGE_TOKEN": page_token(own),
            PREFIX + "META_GRAPH_URL": f"http://127.0.0.1:{_free_port()}/v26.0",
        }
    )
    return Settings(environ)


def refusals(given: Settings) -> list[str]:
    """Why this environment is not one for a demo, one line each: its log-in link opens the console to who can reach it."""
    lines = []
    for name in ("GATEWAY_HOST", "CONSOLE_HOST"):
        if not _is_loopback(given.host(name)):
            lines.append(
                f"{PREFIX}{name} : la démonstration n’écoute que sur cette machine. Retirez ce réglage, ou donnez 127.0.0.1."
            )
    for name, why in _FORBIDDEN.items():
        if given.raw(name) not in (None, KNOWN[name][0]):
            lines.append(f"{PREFIX}{name} : {why}. Retirez ce réglage, ou lancez « planton run ».")
    return lines


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def page_token(settings: Settings) -> str:
    """The demo's page token. The sandbox plays Meta and works it out; the launcher tells it to the sender alone."""
    return "EAA" + _derived(settings, "page token")


def _derived(settings: Settings, what: str) -> str:
    return hmac.new(settings.secret("SECRET_KEY").encode(), f"demo {what}".encode(), hashlib.sha256).hexdigest()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class DemoLauncher(Launcher):
    """The launcher, which says where to go once everything answers."""

    told: bool = False
    asked: float = 0.0

    def _watch(self, child: Child) -> None:
        super()._watch(child)
        if self.told or not all(one.ready for one in self.children if one.listeners):
            return
        if time.monotonic() > self.asked + 1.0:
            self.asked = time.monotonic()
            self.told = _ready(listeners(self.settings, "gateway")[0])
            if self.told:
                self._tell()

    def _tell(self) -> None:
        say(f"tout est prêt. Ouvrez {_url(self.settings, 'sandbox')}/ pour écrire en citoyen ;")
        say(f"la console des agents est à {_url(self.settings, 'console')} (un bouton du bac à sable y connecte,")
        say("un autre ouvre l’atelier des formateurs).")


def _ready(gateway: Listener) -> bool:
    """Whether the gateway reaches all it needs: the engine opens its port before it has read its model."""
    connection = http.client.HTTPConnection(gateway.near, gateway.port, timeout=1.5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _url(settings: Settings, role: str) -> str:
    parts = urlsplit(listeners(settings, role)[0].url)
    return f"{parts.scheme}://{parts.netloc}"


def sandbox_app(settings: Settings, database: Database, codec: Codec, clock: MovedClock) -> Sanic[Any, Any]:
    """The sandbox, wired from the settings that `demo_settings` made."""
    from bot.app import policy as policies  # late: the launcher needs neither
    from bot.app.asked import catalogue_of

    app_secret = settings.app_secrets[0]
    account = GraphAccount(PAGE_ID, page_token(settings), app_secret, IG_ID)
    graph = Graph([account], clock, latency=LATENCY)
    deps = SandboxDeps(
        database=database,
        codec=codec,
        clock=clock,
        night=Night(settings.zone, settings.wall("NIGHT_START"), settings.wall("NIGHT_END")),
        graph_server=GraphServer(graph, port=urlsplit(settings.graph_url).port or 0),
        gateway_url=_url(settings, "gateway"),
        console_url=_url(settings, "console"),
        sandbox_url=_url(settings, "sandbox"),
        app_secret=app_secret,
        bearer=Bearer(settings.secret("SECRET_KEY")),
        page_id=PAGE_ID,
        ig_id=IG_ID,
        catalogue=lambda: catalogue_of(lambda: policies.in_service(settings.engines_dir)),
    )
    return create_sandbox(deps)
