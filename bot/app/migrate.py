"""`planton migrate`: the owner of the database brings its schema and every role's rights up to date, and does nothing else."""

from __future__ import annotations

import argparse

from bot.app.access import reach
from bot.app.say import say
from bot.settings import Settings


def main(_parsed: argparse.Namespace) -> int:
    """0 once everything is up to date. Raises SetupError (away, busy, newer, not the owner) or SettingsError."""
    with reach(Settings()):
        say("le schéma de la base et les droits de ses rôles sont à jour.")
    return 0
