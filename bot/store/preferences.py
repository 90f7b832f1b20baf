"""What a person has chosen for their own screens; kept in `users.preferences`."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import text

from bot.store.accounts import User
from bot.store.db import Database

# name → the values that it may have; what is absent is the first of them.
KNOWN: Mapping[str, tuple[str | bool, ...]] = {
    "theme": ("auto", "light", "dark"),
    "keys": (True, False),  # shortcuts of a single key (WCAG 2.1.4)
    "sound": (False, True),
    "notifications": (False, True),
    "ring": ("all", "urgent"),  # what rings: every new request, or emergencies, urgent ones and deadlines
    "tour": (False, True),  # the first visit's tour was seen
}


def of(user: User) -> dict[str, str | bool]:
    """Every preference of that person; one that holds a value of another version counts as absent."""
    kept = user.preferences
    return {name: kept[name] if kept.get(name) in values else values[0] for name, values in KNOWN.items()}


class Preferences:
    """Changing them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def change(self, user: User, changes: Mapping[str, str | bool]) -> None:
        """Keep these; the others stay. Raises ValueError for a name or a value that is not KNOWN."""
        for name, value in changes.items():
            if name not in KNOWN or value not in KNOWN[name]:
                raise ValueError(f"no such preference: {name}")
        async with self._db.begin() as connection:
            await connection.execute(
                text("UPDATE users SET preferences = preferences || CAST(:changes AS jsonb) WHERE id = :id"),
                {"changes": json.dumps(dict(changes)), "id": user.id},
            )
