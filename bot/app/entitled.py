"""What each role's process may know: its secrets by a table, nothing by default.

The rule of four: page tokens are the sender's alone, so that nobody speaks to a citizen past the rules that it keeps.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Mapping
from pathlib import Path

from bot.core.errors import SettingsError
from bot.settings import ADDRESSES, CREDENTIALS, DATABASE_URLS, INTERNAL, KNOWN, PREFIX, SECRETS, Settings

_STORED = ("DATABASE_URL", "DATA_KEY")
NEEDS: Mapping[str, tuple[str, ...]] = {
    "gateway": (*_STORED, "SENDER_KEY", "METRICS_TOKEN", "META_APP_SECRET", "META_VERIFY_TOKEN"),
    "worker": (*_STORED, "SENDER_KEY"),
    "sender": (*_STORED, "SENDER_KEY", "META_APP_SECRET", "META_PAGE_TOKEN"),
    "console": (*_STORED, "SECRET_KEY", "OIDC_CLIENT_SECRET"),
    "trainer": _STORED,
    "sandbox": (*_STORED, "SECRET_KEY", "META_APP_SECRET"),  # it plays Meta in the demonstration
    "monitor": ("DATABASE_URL", *ADDRESSES, "ALERT_URLS_FILE"),
    "migrate": ("DATABASE_URL", *DATABASE_URLS),
}
_OTHERS = {"ACCOUNTS", *ADDRESSES, "ALERT_URLS_FILE"}  # hold secrets, or say where they are
_MADE = ("METRICS_TOKEN", "SECRET_KEY", "SENDER_KEY", "DATA_KEY")  # by the launcher, if they are not given
_PAGES = ("gateway", "worker")  # they know our pages by their ids
_PR_SET_DUMPABLE = 4


def environ_of(role: str, settings: Settings, url: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a role's process. `url`: of the database. `extra`: goes before what the settings say."""
    given = Settings({**settings.environ, **(extra or {})})
    kept = {name: value for name, value in given.environ.items() if _plain(name)}
    for name, where in (("VAR_DIR", given.var_dir), ("PROJECT_DIR", given.project_dir)):
        if PREFIX + name in kept:  # a role starts in another folder than we
            kept[PREFIX + name] = str(where)
    kept[PREFIX + "DATABASE_URL"] = url
    for name in NEEDS[role]:
        if name in _MADE:
            kept[PREFIX + name] = ",".join(given.secrets(name))
        elif name == "META_PAGE_TOKEN":
            kept |= _tokens(given)
        elif name != "DATABASE_URL" and (value := given.raw(name)) is not None:
            kept[PREFIX + name] = value
    if role in _PAGES and given.raw("ACCOUNTS") is not None:
        pages = given.accounts()
        kept[PREFIX + "PAGES"] = ",".join(f"{page.page_id}:{page.ig_id or ''}" for page in pages)
    return kept


def _plain(name: str) -> bool:
    """Whether a variable is nobody's secret. Of ours, only what is known not to be one."""
    if name in (CREDENTIALS, "PYTHONDONTWRITEBYTECODE"):
        return False
    if not name.startswith(PREFIX):
        return True
    own = name[len(PREFIX) :]
    return own in INTERNAL - {"PAGES"} or (own in KNOWN and own not in SECRETS and own not in _OTHERS)


def _tokens(given: Settings) -> dict[str, str]:
    """Where the sender finds page tokens. A file stays a file: it is read again when Meta refuses what it held."""
    found = {}
    accounts, file = given.raw("ACCOUNTS"), given.secret_file("META_PAGE_TOKEN")
    if accounts is not None:
        found[PREFIX + "ACCOUNTS"] = str(Path(accounts).absolute())
    elif file is not None:
        found[PREFIX + "META_PAGE_TOKEN_FILE"] = str(file.absolute())
    elif (token := given.raw("META_PAGE_TOKEN")) is not None:
        found[PREFIX + "META_PAGE_TOKEN"] = token
    folder = given.environ.get(CREDENTIALS)
    return found | ({CREDENTIALS: folder} if folder else {})


def token_fault(settings: Settings, roles: frozenset[str]) -> SettingsError | None:
    """Why roles that run without the sender may not open the file of ACCOUNTS, if they may not."""
    if "sender" in roles or not roles & set(_PAGES):
        return None
    with contextlib.suppress(SettingsError):  # told by who needs it
        if settings.accounts_hold_tokens:
            return SettingsError(
                f"{PREFIX}ACCOUNTS\u00a0: ce fichier contient des jetons, que seul l’expéditeur (sender) peut lire.",
                "Remplacez-y « token » par « token_file » : voyez docs/exploitation.md, « Les secrets ».",
            )
    return None


def close_memory() -> None:
    """Keep other processes of the same user from reading our memory, environment and open files; no core is dumped."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0)
