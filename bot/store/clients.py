"""PostgreSQL's own client programs: pg_dump, pg_restore and psql of a version that suits the server.

Passwords go through the environment, never through arguments, which every user of the machine can read.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bot.core.errors import SetupError
from bot.store import embedded

PROGRAMS = ("pg_dump", "pg_restore", "psql")
_DEBIAN = Path("/usr/lib/postgresql")
_KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGPASSFILE",
    "PGUSER",
)


@dataclass(frozen=True)
class Clients:
    """The programs of one version, pointed at one database."""

    folder: Path
    major: int
    conninfo: str
    environ: dict[str, str]

    def command(self, program: str, *arguments: str) -> list[str]:
        """A command line without any secret."""
        return [str(self.folder / program), *arguments]


def clients(url: str) -> Clients:
    """The programs for the server at `url`: of its version, else newer. Raises SetupError, psycopg.OperationalError."""
    with psycopg.connect(url, connect_timeout=5) as connection:
        server = connection.info.server_version // 10_000
    found = sorted(_installed(), key=lambda one: (one[0] != server, one[0]))
    suits = [one for one in found if one[0] >= server]
    if not suits:
        newest = max((one[0] for one in found), default=None)
        have = "aucun n’est installé" if newest is None else f"le plus récent ici est en version {newest}"
        raise SetupError(
            f"Le serveur PostgreSQL est en version {server} ; ses programmes pg_dump, pg_restore et psql manquent ({have}).",
            f"Installez-les : apt install postgresql-client-{server}",
        )
    given = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    environ = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environ["PGAPPNAME"] = "planton-backup"
    if "password" in given:
        environ["PGPASSWORD"] = given.pop("password")
    major, folder = suits[0]
    return Clients(folder, major, make_conninfo("", **given), environ)


def _installed() -> Iterator[tuple[int, Path]]:
    """(major version, folder) of every complete set of programs: ours, Debian's, the one on PATH."""
    folders = [*sorted(_DEBIAN.glob("*/bin"))]
    with contextlib.suppress(SetupError):
        folders.insert(0, embedded.programs())
    on_path = shutil.which("pg_dump")
    if on_path is not None:
        folders.append(Path(on_path).parent)
    for folder in dict.fromkeys(folders):
        if all((folder / program).exists() for program in PROGRAMS) and (major := _major(folder)) is not None:
            yield major, folder


def _major(folder: Path) -> int | None:
    try:
        said = subprocess.run(
            [str(folder / "pg_dump"), "--version"], capture_output=True, text=True, check=True, timeout=20
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else None
