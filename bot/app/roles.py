"""`planton roles`: whether each PostgreSQL role has its rights and no more; or what an administrator runs to make them."""

from __future__ import annotations

import argparse

import psycopg
from psycopg.rows import dict_row

from bot.app import rights
from bot.app.access import reach
from bot.app.doctor import schema
from bot.app.launcher import recall
from bot.app.say import say, typeset
from bot.core.errors import SetupError
from bot.settings import Settings
from bot.store import granting


def main(parsed: argparse.Namespace) -> int:
    """0 when every role is as it must be, else 1. Raises SettingsError or SetupError."""
    settings = recall(Settings())
    with (
        reach(settings, create=False) as url,
        psycopg.connect(url, connect_timeout=5, autocommit=True, row_factory=dict_row) as connection,
    ):
        if problem := schema(connection):
            raise SetupError(problem.what, problem.remedy)
        if parsed.sql:
            print("\n".join(granting.script(rights.run_on(connection))))
            return 0
        found = list(rights.problems(connection, settings))
    for one in found:
        print(typeset(f"{one.what} {one.remedy}"))
    if not found:
        say("chaque rôle de la base a les droits qu’il lui faut, et aucun autre.")
    return 1 if found else 0
