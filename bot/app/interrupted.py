"""What the database did to a command in the middle of its work: its true cause and its remedy, in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError

from bot.core.errors import SetupError
from bot.store.faults import Fault, fault_of, sqlstate

_OTHERS = "d’autres opérations tenaient les mêmes lignes de la base", "Relancez dans un moment"
_AWAY = "la base de données ne répond plus", "Vérifiez-la (planton doctor), puis relancez"
_FULL = "le serveur de la base manque de place, de mémoire ou de connexions", "Faites-lui de la place, puis relancez"
_RIGHTS = "l’utilisateur de la base n’en a pas le droit", "Donnez-lui ses droits (docs/exploitation.md), puis relancez"


def told(error: DBAPIError) -> tuple[str, str]:
    """(cause, remedy), French, nothing of a statement or its values in them; the remedy goes on with « : » or ends there."""
    state, fault = sqlstate(error), fault_of(error)
    if fault is Fault.MET:
        return _OTHERS
    if state.startswith("53"):
        return _FULL
    if state in ("42501", "25006"):
        return _RIGHTS
    if fault is Fault.AWAY:
        return _AWAY
    return f"la base a refusé une opération (code {state})", "Vérifiez-la (planton doctor), puis relancez"


@contextlib.contextmanager
def interrupted(what: str, then: str) -> Iterator[None]:
    """Turn what the database raises into SetupError. `what`: French, what broke off; `then`: where it stands, what a further
    call does."""
    try:
        yield
    except DBAPIError as error:
        cause, remedy = told(error)
        raise SetupError(f"{what} : {cause}.", f"{remedy} : {then}") from None
