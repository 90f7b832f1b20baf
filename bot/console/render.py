"""Pages from templates."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bot.console import alarm_words, crisis_banner, dsfr, labels, navigation, words
from bot.console.deps import ConsoleDeps
from bot.console.shortcuts import SHORTCUTS, shortcut
from bot.store import preferences
from bot.store.accounts import User

VENDOR_FILES = ("pico.min.css", "htmx.min.js")
# Where a file may lie: flat, or as npm lays it.
_LAYOUTS = {
    "pico.min.css": ("pico.min.css", "@picocss/pico/css/pico.min.css", "pico/pico.min.css"),
    "htmx.min.js": ("htmx.min.js", "htmx.org/dist/htmx.min.js", "htmx/htmx.min.js"),
}
STATIC = Path(__file__).parent / "static"


class Renderer:
    """Renders templates with what all pages share. Everything is escaped; an unknown name is an error."""

    def __init__(self, deps: ConsoleDeps) -> None:
        self._deps = deps
        self.outage: Callable[[], datetime | None] = lambda: None  # since when the engine is out
        self.paths: frozenset[str] = frozenset()  # what the application serves; the navigation shows no other
        self._environment = Environment(
            loader=PackageLoader("bot.console", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            alarm_says=alarm_words,
            labels=labels,
            words=words,
            zone=deps.zone,
            pico=self._address("pico.min.css"),
            htmx=self._address("htmx.min.js"),
            asset=asset,
            dsfr=[f"/vendor/dsfr/{name}?{dsfr.VERSION}" for name in dsfr.STYLES] if dsfr.accepted(deps.dsfr) else [],
            shortcut=shortcut,
            crisis_since=crisis_banner.since,
            shortcuts=SHORTCUTS,
            workbench_tabs=lambda user: navigation.shown(navigation.WORKBENCH, user, self.paths),
        )

    def page(self, template: str, /, *, user: User | None, **values: Any) -> str:
        """The template as text. `now` is the desk's time; the navigation is the user's."""
        own = preferences.of(user) if user else {}
        return self._environment.get_template(template).render(
            now=self._deps.clock.now(),
            user=user,
            engine_out=self.outage(),
            own=own,
            theme=own["theme"] if own and own["theme"] != "auto" else None,
            places=navigation.shown(navigation.PLACES, user, self.paths) if user else [],
            own_places=navigation.shown(navigation.OWN, user, self.paths) if user else [],
            **values,
        )

    def vendor(self, name: str) -> Path | None:
        """The installed file, if there is one."""
        root = Path(__file__).parents[2] / "node_modules"
        for folder in (self._deps.vendor, root):
            for layout in _LAYOUTS[name]:
                if (folder / layout).is_file():
                    return folder / layout
        return None

    def _address(self, name: str) -> str | None:
        found = self.vendor(name)
        return None if found is None else f"/vendor/{name}?{_hash(found)}"


def asset(name: str) -> str:
    """The address of a file of `static`, e.g. `css/queue.css`; it changes with the file."""
    return f"/static/{name}?{_hash(STATIC / name)}"


@functools.cache
def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
