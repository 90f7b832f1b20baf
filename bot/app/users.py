"""`planton users add`: people of the console."""

from __future__ import annotations

import argparse
import getpass
import sys
import unicodedata

import psycopg
from argon2 import PasswordHasher
from psycopg.types.json import Json

from bot.app.access import reach
from bot.core.errors import SetupError
from bot.settings import Settings

SHORTEST = 12
LONGEST = 1024
_LONGEST_NAME = 100


def main(parsed: argparse.Namespace) -> int:
    """Create an account; the exit code."""
    name = _name(parsed.name)
    password = _password()
    with reach(Settings()) as url:
        add(url, name, parsed.role, password)
    print(f"Le compte «\u00a0{name}\u00a0» est créé ({parsed.role}).")
    return 0


def add(url: str, name: str, role: str, password: str) -> None:
    """Insert the account with the password's argon2id hash. Raises SetupError when the name is taken."""
    hashed = PasswordHasher().hash(password)
    with psycopg.connect(url, connect_timeout=3) as connection:
        row = connection.execute(
            "INSERT INTO users (name, role, password_hash) VALUES (%s, %s, %s) ON CONFLICT (name) DO NOTHING RETURNING id",
            (name, role, hashed),
        ).fetchone()
        if row is None:
            raise SetupError(f"Le compte « {name} » existe déjà.", "Choisissez un autre nom.")
        connection.execute(
            "INSERT INTO audit (action, detail) VALUES ('user_added', %s)", (Json({"user": row[0], "role": role}),)
        )


def _name(given: str) -> str:
    name = unicodedata.normalize("NFC", given).strip()
    printable = all(unicodedata.category(c)[0] != "C" for c in name)
    if not name or len(name) > _LONGEST_NAME or not printable:
        raise SetupError("Ce nom de compte ne convient pas.", f"Donnez de 1 à {_LONGEST_NAME} caractères visibles.")
    return name


def _password() -> str:
    """The password, from standard input; typed unseen on a terminal."""
    if sys.stdin.isatty():
        password = getpass.getpass("Mot de passe\u00a0: ", stream=sys.stderr)
    else:
        try:
            password = sys.stdin.buffer.read(64 * 1024).decode("utf-8")
        except UnicodeDecodeError:
            raise SetupError("Le mot de passe n’est pas du texte UTF-8.", "Donnez-le en UTF-8.") from None
    password = password.removesuffix("\n").removesuffix("\r")
    if "\n" in password or "\0" in password:
        raise SetupError("Le mot de passe tient sur une seule ligne.", "Donnez une seule ligne sur l’entrée standard.")
    if len(password) < SHORTEST:
        raise SetupError(
            f"Le mot de passe est trop court : {len(password)} caractères.", f"Donnez-en {SHORTEST} ou plus."
        )
    if len(password) > LONGEST:
        raise SetupError("Le mot de passe est trop long.", f"Donnez {LONGEST} caractères au plus.")
    return password
