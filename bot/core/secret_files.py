"""Secrets in files: read only when nobody else can read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bot.core.errors import SettingsError
from bot.core.system_errors import reason

_MOST = 65_536  # bytes


def read(path: Path, by_systemd: bool = False) -> str:
    """The secret in a file; of several lines (two secrets during a rotation), one value separated by commas.

    `by_systemd`: one of $CREDENTIALS_DIRECTORY. systemd opens these to the service's user by an access list, which the
    group's bits of the mode stand for: only the bits of others are looked at. Raises SettingsError.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise SettingsError(f"{path} n’est pas un fichier.", "Donnez un fichier qui ne contient que le secret.")
        _check(path, found, 0o007 if by_systemd else 0o077)
        raw = path.read_bytes()[: _MOST + 1]
        text = raw.decode()
    except OSError as error:
        raise SettingsError(
            f"{path} ne se lit pas ({reason(error)}).", "Donnez un fichier que ce service peut lire."
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(
            f"{path} n’est pas du texte UTF-8.", "Donnez un fichier qui ne contient que le secret."
        ) from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise SettingsError(f"{path} est vide.", "Écrivez-y le secret.")
    if len(raw) > _MOST:
        raise SettingsError(f"{path} est trop long.", "Donnez un fichier qui ne contient que le secret.")
    return ",".join(lines)


def check_private(path: Path) -> None:
    """Raise SettingsError when others can read the file, and OSError when it cannot be looked at."""
    _check(path, path.stat(), 0o077)


def _check(path: Path, found: os.stat_result, others: int) -> None:
    if found.st_mode & others:
        raise SettingsError(f"{path} est lisible par d’autres.", f"Faites : chmod 600 {path}")
    if os.geteuid() != 0 and found.st_uid not in (0, os.geteuid()):
        raise SettingsError(
            f"{path} appartient à un autre utilisateur, qui peut le changer.", f"Faites : chown {os.geteuid()} {path}"
        )
