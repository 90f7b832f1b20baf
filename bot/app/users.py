"""`planton users add`: people of the console."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys

from bot.app.access import reach
from bot.app.say import say
from bot.core.errors import SetupError
from bot.settings import Settings
from bot.store import passwords
from bot.store.accounts import Accounts, User
from bot.store.db import Database
from bot.store.user import checked_name


def main(parsed: argparse.Namespace) -> int:
    """Create an account; the exit code."""
    settings = Settings()
    name = checked_name(parsed.name)
    password = passwords.checked(_password(), name, advise_only=True)
    with reach(settings) as url:
        user = add(url, name, parsed.role, password)
    print(f"Le compte «\u00a0{user.name}\u00a0» est créé ({user.role}).")
    if passwords.guessed(password, name):
        say(
            "ce mot de passe se devine vite. Faites-le changer dès la première connexion : quatre mots sans lien, par exemple."
        )
    if user.owes_factor:
        print("À la première connexion, la console demandera de relier une application de codes à usage unique.")
    return 0


def add(url: str, name: str, role: str, password: str) -> User:
    """Make the account. Raises AccountError when the name is taken."""

    async def made() -> User:
        database = Database(url, size=1, name="planton-users")
        try:
            # Nothing is counted or sealed here, so no key is needed.
            return await Accounts(database, "").add(name, role, password)
        finally:
            await database.close()

    return asyncio.run(made())


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
    return password
