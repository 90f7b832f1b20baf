"""The inbox's filters as they stand in an address, e.g. `/atelier?raison=danger&reseau=instagram&depuis=2026-01-15`."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode

from bot.console import labels
from bot.policy.doubt import WEIGHTS
from bot.store.workbench.review import Filters

PATH = "/atelier"
INTENT_AT_MOST = 80
STATES = {"": "waiting", "plus-tard": "skipped"}


class Address:
    """What an address asks of the inbox. What it holds that means nothing is left out."""

    def __init__(self, args: Any) -> None:
        def given(name: str) -> str:
            return str(args.get(name) or "")

        reason, platform, state = given("raison"), given("reseau"), given("etat")
        self.since, self.until = _day(given("depuis")), _day(given("jusque"))
        self.chosen = {
            "etat": state if state in STATES else "",
            "raison": reason if reason in WEIGHTS else "",
            "intention": given("intention")[:INTENT_AT_MOST],
            "reseau": platform if platform in labels.PLATFORMS else "",
            "depuis": self.since.isoformat() if self.since else "",
            "jusque": self.until.isoformat() if self.until else "",
        }
        page = given("page")
        self.page = int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 6 else 1
        self.page = max(1, self.page)

    @property
    def filters(self) -> Filters:
        """For the store."""
        chosen = self.chosen
        return Filters(
            chosen["raison"],
            chosen["intention"],
            chosen["reseau"],
            self.since,
            self.until,
            "skipped" if chosen["etat"] else "waiting",
        )

    @property
    def refined(self) -> bool:
        """Whether anything but the state and the reason is asked."""
        return any(self.chosen[name] for name in ("intention", "reseau", "depuis", "jusque"))

    @property
    def narrowed(self) -> bool:
        """Whether anything is left out."""
        return self.refined or bool(self.chosen["raison"])

    def link(self, **changes: str) -> str:
        """The list's address with some of it changed; "" takes a filter away."""
        return PATH + self.query(**changes)

    def query(self, **changes: str) -> str:
        """What stands behind an address: « ?raison=danger », or nothing."""
        values = {name: value for name, value in {**self.chosen, **changes}.items() if value}
        return "?" + urlencode(values) if values else ""


def _day(given: str) -> date | None:
    try:
        found = date.fromisoformat(given)
    except ValueError:
        return None
    return found if 2000 <= found.year < 3000 else None
