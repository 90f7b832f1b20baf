"""The project's folder: the files that trainers edit, one writer at a time, and git as their record."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from bot.core import yaml_text
from bot.core.system_errors import reason
from bot.trainer.errors import BadFile, NoGit, TrainerError

BIGGEST_FILE = 20_000_000  # bytes; data/nlu.yml has 300,000
PATIENCE = 10.0  # seconds that a writer waits for another
GIT_PATIENCE = 30.0  # seconds; pushing over a network takes its time
# What a publication records: everything that a model or a reply is made from, and the guide, where a new intent has its lines.
RECORDED = ("config.yml", "domain.yml", "data", "docs/guide-formateur.md")


@dataclass(frozen=True)
class Project:
    """A folder that holds `config.yml`, `domain.yml`, `data/` and `models/`.

    Reading takes no lock: every write replaces a whole file at once. Whoever reads in order to write does both inside `lock()`.
    """

    root: Path

    def path(self, name: str) -> Path:
        """The place of a file, named from the root (`data/nlu.yml`). Raises ValueError for one outside."""
        found = (self.root / name).resolve()
        if not found.is_relative_to(self.root.resolve()):
            raise ValueError(f"{name} is outside the project")
        return found

    def read(self, name: str) -> str:
        """The text of a file. Raises BadFile when it is missing, too big or not UTF-8."""
        place = self.path(name)
        try:
            if place.stat().st_size > BIGGEST_FILE:
                raise BadFile(name, "le fichier dépasse 20 Mo.", "Rétablissez-le depuis git.")
            raw = place.read_bytes()
        except OSError as error:
            raise BadFile(name, f"le fichier ne se lit pas ({reason(error)}).", "Rétablissez-le depuis git.") from None
        try:
            return yaml_text.decode(raw)
        except yaml_text.Damaged as error:
            raise BadFile(name, error.what, error.remedy, error.line, error.column) from None

    def write(self, name: str, text: str) -> None:
        """Replace a file at once: a reader sees the old one or the new one, a crash leaves one of them."""
        self.replace(name, text.encode("utf-8"))

    def replace(self, name: str, raw: bytes) -> None:
        """As `write`, of bytes."""
        place = self.path(name)
        try:
            handle, draft = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}-")
            try:
                with os.fdopen(handle, "wb") as out:
                    out.write(raw)
                    out.flush()
                    os.fsync(out.fileno())
                os.chmod(draft, place.stat().st_mode & 0o777 if place.exists() else 0o644)
                os.replace(draft, place)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(draft)
                raise
        except OSError as error:
            raise TrainerError(
                f"{name} ne s’écrit pas ({reason(error)}).", "Vérifiez droits et place sur le disque."
            ) from None

    @contextlib.contextmanager
    def lock(self, patience: float = PATIENCE) -> Iterator[None]:
        """One writer at a time, over all processes of this machine. Blocks its thread: keep it out of the event loop.

        Raises TrainerError after `patience` seconds.
        """
        models = self.root / "models"
        models.mkdir(exist_ok=True)
        with (models / ".workbench.lock").open("a") as held:
            deadline = time.monotonic() + patience
            while True:
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise TrainerError(
                            "Quelqu’un d’autre écrit dans les fichiers en ce moment.", "Réessayez dans un instant."
                        ) from None
                    time.sleep(0.05)
            yield

    # -- git -----------------------------------------------------------------------------------------------------

    def git(self, *arguments: str, author: str | None = None, check: bool = True) -> str:
        """What a git command prints. `author`: « Name <address> » of what it records. Raises NoGit.

        Never asks anything (credentials, editor), runs no hook of ours, and fails after GIT_PATIENCE.
        """
        said = self._asked(arguments, author=author, check=check)
        return said.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")

    def recorded(self, names: Sequence[str]) -> dict[str, Optional[bytes]]:
        """Files as the last commit has them, byte for byte; None for one that it does not have. Raises NoGit without a commit."""
        self.head()
        wanted = "".join(f"HEAD:./{name}\n" for name in names)
        said = self._asked(("cat-file", "--batch"), given=wanted.encode())
        found: dict[str, Optional[bytes]] = {}
        at = 0
        for name in names:  # « <hash> blob <size> », the content, a line's end; « HEAD:./a.yml missing »
            end = said.index(b"\n", at)
            about, at = said[at:end].split(b" "), end + 1
            found[name] = None
            if about[-1] != b"missing":
                size = int(about[-1])
                found[name] = said[at : at + size] if about[-2] == b"blob" else None
                at += size + 1
        return found

    def _asked(
        self, arguments: Sequence[str], author: Optional[str] = None, check: bool = True, given: Optional[bytes] = None
    ) -> bytes:
        """As `git`, in bytes. `given`: what the command reads."""
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PLANTON_", "GIT_"))},
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_EDITOR": "true",
            "LC_ALL": "C.UTF-8",
        }
        identity: Sequence[str] = ()
        if author is not None:
            name, _, address = author.rpartition(" <")
            identity = ("-c", f"user.name={name}", "-c", f"user.email={address.rstrip('>')}")
        try:
            done = subprocess.run(
                ["git", "-c", "core.quotepath=off", *identity, *arguments],
                cwd=self.root,
                env=environ,
                capture_output=True,
                input=given or b"",
                timeout=GIT_PATIENCE,
            )
        except FileNotFoundError:
            raise NoGit("git n’est pas installé.", "Installez-le (sous Debian : apt install git).") from None
        except OSError as error:  # no memory, no process
            raise NoGit(f"git ne démarre pas ({reason(error)}).", "Libérez de la mémoire, puis réessayez.") from None
        except subprocess.TimeoutExpired:
            raise NoGit(
                f"git {arguments[0]} ne répond pas.", "Réessayez ; vérifiez le réseau s’il s’agit d’un envoi."
            ) from None
        if check and done.returncode:
            said = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
            raise NoGit(
                f"git {arguments[0]} a refusé : {said[-1] if said else f'code {done.returncode}'}",
                "Vérifiez que le dossier de Planton est un dépôt git, avec au moins un enregistrement.",
                done.returncode,
            )
        return done.stdout

    def head(self) -> str:
        """The present commit, forty hex digits. Raises NoGit."""
        return self.git("rev-parse", "HEAD").strip()
