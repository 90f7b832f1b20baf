"""Someone who may log in."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.policy.rights import SECOND_FACTOR, Capability, Role, may
from bot.store.passwords import AccountError

ROLES = tuple(role.value for role in Role)
NAME_AT_MOST = 100

# Columns of `users u` that `user_of` reads.
USER = "u.id, u.name, u.role, u.validation_level, u.preferences"


@dataclass(frozen=True)
class User:
    """Someone who may log in. `level`: how high their validation reaches; `preferences`: theme, sound, tour seen."""

    id: int
    name: str
    role: str
    level: str | None = None
    preferences: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)

    def may(self, capability: Capability | str) -> bool:
        """Whether this person has that capability; templates give its name."""
        return may(self.role, capability)

    @property
    def owes_factor(self) -> bool:
        """Whether this role asks for a second factor."""
        return self.role in SECOND_FACTOR


def user_of(row: Any) -> User:
    """From a row with the columns USER."""
    return User(row.id, row.name, row.role, row.validation_level, row.preferences)


def checked_name(given: str) -> str:
    """The name of an account. Raises AccountError for an empty or invisible one."""
    name = unicodedata.normalize("NFC", given).strip()
    if not name or len(name) > NAME_AT_MOST or not name.isprintable():
        raise AccountError(
            "Ce nom de compte ne convient pas.", f"Donnez un nom de 1 à {NAME_AT_MOST} caractères visibles."
        )
    return name


def checked_role(role: str) -> str:
    """A role that exists. Raises AccountError."""
    if role not in ROLES:
        raise AccountError(f"Le rôle «\u00a0{role}\u00a0» n’existe pas.", f"Rôles\u00a0: {', '.join(ROLES)}.")
    return role
