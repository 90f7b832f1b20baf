"""The queue's filters as they stand in an address, e.g. `/file?etat=toutes&categorie=urgent&qui=e3&age=plus-24h`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from bot.console import labels
from bot.store.accounts import User
from bot.store.desk.queue import FILTERS, LATE, SOON, TAKE, Cursor, Wanted, Whom

PATH = "/file"
NAMES = ("categorie", "reseau", "qui", "age", "delai")

# In the address → (words, waits longer than, waits no longer than).
AGES: Mapping[str, tuple[str, timedelta | None, timedelta | None]] = {
    "moins-1h": ("moins d’1\u00a0heure", None, timedelta(hours=1)),
    "plus-1h": ("plus d’1\u00a0heure", timedelta(hours=1), None),
    "plus-24h": ("plus de 24\u00a0heures", timedelta(hours=24), None),
    "plus-3j": ("plus de 3\u00a0jours", timedelta(days=3), None),
    "plus-7j": ("plus de 7\u00a0jours", timedelta(days=7), None),
}
DUES: Mapping[str, tuple[str, str]] = {"bientot": ("bientôt dépassée", SOON), "depassee": ("dépassée", LATE)}
MINE, NOBODY = "moi", "personne"
_WHOM = re.compile(r"([ue])(\d{1,18})", re.ASCII)
_CURSOR = re.compile(r"(\d)_(\d{1,16})_(\d{1,18})", re.ASCII)


class Address:
    """What an address asks of the queue. What it holds that means nothing is left out."""

    def __init__(self, args: Any, user: User, zone: ZoneInfo) -> None:
        given = args.get("etat")
        self.which = given if given in FILTERS else TAKE
        known = {
            "categorie": labels.CATEGORIES,
            "reseau": labels.PLATFORMS,
            "age": AGES,
            "delai": DUES,
        }
        self.chosen = {name: str(args.get(name) or "") for name in NAMES}
        for name, values in known.items():
            if self.chosen[name] not in values:
                self.chosen[name] = ""
        whom = _whom(self.chosen["qui"], user)
        if whom is None:
            self.chosen["qui"] = ""
        _, older, younger = AGES.get(self.chosen["age"], ("", None, None))
        self.wanted = Wanted(
            self.which,
            self.chosen["categorie"] or None,
            self.chosen["reseau"] or None,
            whom,
            older,
            younger,
            DUES[self.chosen["delai"]][1] if self.chosen["delai"] else None,
        )
        self.after = _read(str(args.get("apres") or ""), zone)

    def link(self, **changes: str) -> str:
        """The address with some of it changed; "" takes a filter away. A page that others may follow is the first."""
        values = {"etat": self.which, **self.chosen, **changes}
        return PATH + "?" + urlencode({name: value for name, value in values.items() if value})

    def following(self, cursor: Cursor) -> str:
        """The address of the page after that line."""
        return self.link(apres=f"{cursor.priority}_{int(cursor.at.timestamp() * 1_000_000)}_{cursor.id}")


def _whom(given: str, user: User) -> Whom | None:
    if given == MINE:
        return Whom("user", user.id)
    if given == NOBODY:
        return Whom("nobody")
    match = _WHOM.fullmatch(given)
    return Whom("team" if match[1] == "e" else "user", int(match[2])) if match else None


def _read(given: str, zone: ZoneInfo) -> Cursor | None:
    match = _CURSOR.fullmatch(given)
    if match is None:
        return None
    seconds, micro = divmod(int(match[2]), 1_000_000)
    try:
        at = datetime.fromtimestamp(seconds, tz=zone).replace(microsecond=micro)
    except (ValueError, OverflowError, OSError):
        return None
    return Cursor(int(match[1]), at, int(match[3]))
