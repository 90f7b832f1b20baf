"""`make theme-dsfr`: show the terms of the State's design system, record who accepts them, install the theme.

The terms are shown before anything is downloaded, since downloading is accepting them.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from bot.console.dsfr import FILES, RECORD, TERMS, VERSION, Acceptance
from bot.core.errors import Explained
from bot.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "themes" / "dsfr"
WORD = "j’accepte"


class Refused(Explained):
    """The theme is not installed."""


def ask(given: str | None, accept: bool) -> str:
    """Show the terms; the name of who accepts them. Raises Refused."""
    print((SOURCE / "conditions.txt").read_text(encoding="utf-8"))
    account = f"{getpass.getuser()}@{socket.gethostname()}"
    if accept:
        return given or account
    if not sys.stdin.isatty():
        raise Refused(
            "Personne n’est là pour accepter.", "Si vous acceptez ces conditions\u00a0: make theme-dsfr ACCEPTER=1"
        )
    if input(f"Tapez «\u00a0{WORD}\u00a0» pour les accepter\u00a0: ").strip().lower().replace("'", "’") != WORD:
        raise Refused("Les conditions n’ont pas été acceptées.", "Rien n’a été téléchargé.")
    name = given or input("Vos nom et service (ils seront gardés avec la date)\u00a0: ").strip()
    if not name:
        raise Refused("Il manque le nom de la personne qui accepte.", "Rien n’a été téléchargé.")
    return f"{name} ({account})"


def download(folder: Path) -> Path:
    """The package as the lock says, without running anything of it; where its files are. Raises Refused."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCE / name, folder)
    path = f"{os.environ.get('PATH', '')}{os.pathsep}{ROOT / '.venv' / 'bin'}"  # npm comes with the environment
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    said = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    if said.returncode:
        print(said.stderr[-1000:], file=sys.stderr)
        raise Refused("Le téléchargement a échoué (ci-dessus).", "Vérifiez l’accès au réseau, puis relancez.")
    package = folder / "node_modules" / "@gouvfr" / "dsfr"
    if hashlib.sha256((package / "doc" / "legal" / "cgu.md").read_bytes()).hexdigest() != TERMS:
        raise Refused(
            "Les conditions du paquet ne sont pas celles que vous avez lues.",
            "Le thème n’est pas installé\u00a0: lisez-les.",
        )
    return package


def install(package: Path, target: Path, acceptance: Acceptance) -> None:
    """Put the files and the terms in place, the record last."""
    fresh = target.with_name(target.name + ".nouveau")
    shutil.rmtree(fresh, ignore_errors=True)
    for name in FILES:
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(package / "dist" / name, fresh / name)
    for name in ("LICENSE.md", "doc/legal/cgu.md"):
        shutil.copy(package / name, fresh)
    (fresh / RECORD).write_text(acceptance.written(), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description="Thème du Système de Design de l’État")
    parser.add_argument("--accepter", action="store_true", help="accepter les conditions sans question")
    parser.add_argument("--par", help="nom et service de la personne qui accepte")
    parser.add_argument("--retirer", action="store_true", help="revenir au thème de Planton")
    given = parser.parse_args(arguments)
    target = Settings().var_dir / "theme-dsfr"
    if given.retirer:
        shutil.rmtree(target, ignore_errors=True)
        print("Le thème est retiré. Relancez la console.")
        return 0
    try:
        by = ask(given.par, given.accepter)
        target.parent.mkdir(parents=True, exist_ok=True)
        print("Téléchargement…")
        with tempfile.TemporaryDirectory() as folder:
            package = download(Path(folder))
            install(package, target, Acceptance(by, datetime.now(timezone.utc), VERSION, TERMS))
    except (Refused, EOFError, KeyboardInterrupt) as error:
        print(f"{error.what} {error.remedy}" if isinstance(error, Refused) else "\nInterrompu.", file=sys.stderr)
        return 1
    print(f"Accepté par {by}. Le thème est dans {target}. Relancez la console pour le voir.")
    print("Pour revenir au thème de Planton\u00a0: make theme-dsfr RETIRER=1")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
