"""How a back-up is encrypted and opened: by the programs age or GnuPG, so that it can be opened without Planton too.

Encrypting needs public keys only: who steals the machine that makes back-ups cannot read the older ones.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.core.errors import SettingsError, SetupError
from bot.settings import Settings

AGE, GPG, PLAIN = "age", "gpg", "none"
SUFFIX = {AGE: ".age", GPG: ".gpg", PLAIN: ""}
_PACKAGE = {AGE: "age", GPG: "gpg"}
_ARMOR = (b"-----BEGIN AGE ENCRYPTED FILE-----", b"-----BEGIN PGP MESSAGE-----")
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "GNUPGHOME", "GPG_TTY", "XDG_RUNTIME_DIR")


@dataclass(frozen=True)
class Sealing:
    """One way to encrypt. `command` is empty for a plain back-up."""

    kind: str
    command: tuple[str, ...] = ()


def environ() -> dict[str, str]:
    """What these programs need, and none of our secrets."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ}


def sealing(settings: Settings, plain: bool) -> Sealing:
    """As BACKUP_RECIPIENTS says. Raises SettingsError, SetupError."""
    if plain:
        return Sealing(PLAIN)
    kind, recipients = settings.backup_recipients
    program = _program(kind)
    if kind == AGE:
        return Sealing(AGE, (program, "--encrypt", *_each("--recipient", recipients)))
    _check_known(program, recipients)
    options = ("--batch", "--yes", "--no-tty", "--quiet", "--no-auto-key-locate", "--trust-model", "always")
    return Sealing(
        GPG,
        (program, *options, "--compress-algo", "none", *_each("--recipient", recipients), "--output", "-", "--encrypt"),
    )


def _each(option: str, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for value in values for part in (option, value))


def _program(kind: str) -> str:
    found = shutil.which(kind)
    if found is None:
        raise SetupError(
            f"Le programme {kind} manque : sans lui, une sauvegarde ne se chiffre ni ne s’ouvre.",
            f"Installez-le : apt install {_PACKAGE[kind]}",
        )
    return found


def _check_known(program: str, recipients: tuple[str, ...]) -> None:
    """gpg fails only once the dump has begun; its message would be of no help."""
    for one in recipients:
        known = subprocess.run(
            [program, "--batch", "--no-tty", "--quiet", "--list-keys", one],
            capture_output=True,
            env=environ(),
            check=False,
        )
        if known.returncode != 0:
            raise SettingsError(
                f"PLANTON_BACKUP_RECIPIENTS : la clé GPG {one} n’est pas dans le trousseau de cet utilisateur.",
                "Importez la clé publique : gpg --import clé.asc",
            )


def kind_of(head: bytes) -> str | None:
    """What encrypts a file, by its first bytes; None for a file of something else."""
    if head.startswith(b"PGDMP"):
        return PLAIN
    if head.startswith((b"age-encryption.org/", _ARMOR[0])):
        return AGE
    # A public-key encrypted session key packet, in the old or the new format.
    if head.startswith(_ARMOR[1]) or head[:1] in (b"\x84", b"\x85", b"\x86", b"\xc1"):
        return GPG
    return None


@dataclass(frozen=True)
class Opening:
    """What opens a file: a command that reads it and writes the dump. Empty for a plain back-up."""

    command: tuple[str, ...]
    environ: Mapping[str, str]


@contextlib.contextmanager
def opening(kind: str, identity: Path | None) -> Iterator[Opening]:
    """`identity`: a file with age's identity, or a secret GPG key; None: the user's GPG keyring. Raises SetupError."""
    if kind == PLAIN:
        yield Opening((), {})
        return
    program = _program(kind)
    if identity is not None and not os.access(identity, os.R_OK):
        raise SetupError(f"La clé {identity} ne se lit pas.", "Vérifiez le chemin et les droits.")
    if kind == AGE:
        if identity is None:
            raise SetupError(
                "Cette sauvegarde est chiffrée avec age.", "Donnez la clé qui l’ouvre : --identite FICHIER"
            )
        yield Opening((program, "--decrypt", "--identity", str(identity)), environ())
        return
    with _keyring(program, identity) as given:
        yield Opening((program, "--quiet", "--output", "-", "--decrypt"), {**environ(), **given})


@contextlib.contextmanager
def _keyring(program: str, identity: Path | None) -> Iterator[dict[str, str]]:
    """The user's, or one that holds the given key and is gone afterwards."""
    if identity is None:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="planton-gpg-", ignore_cleanup_errors=True) as home:
        given = {"GNUPGHOME": home}
        try:
            done = subprocess.run(
                [program, "--batch", "--quiet", "--import", str(identity)],
                capture_output=True,
                env={**environ(), **given},
                check=False,
            )
            if done.returncode != 0:
                raise SetupError(f"{identity} n’est pas une clé GPG.", "Donnez une clé secrète exportée par gpg.")
            yield given
        finally:
            subprocess.run(["gpgconf", "--kill", "all"], env={**environ(), **given}, capture_output=True, check=False)
