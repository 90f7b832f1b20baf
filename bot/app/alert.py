"""`planton alert test`: a test message to every target, and whether each one took it."""

from __future__ import annotations

import argparse
import socket

from bot.app.monitor import typeset_and_send
from bot.app.say import typeset
from bot.core.errors import SetupError
from bot.monitor.targets import targets
from bot.monitor.wording import Message
from bot.settings import Settings


def main(parsed: argparse.Namespace) -> int:
    """Send; 0 when every target took the message, else 1. Raises SettingsError or SetupError."""
    wanted = targets(Settings().alert_urls)
    if not wanted:
        raise SetupError(
            "Aucune adresse d’alerte n’est donnée.",
            "Donnez PLANTON_ALERT_URLS_FILE ou PLANTON_ALERT_URLS (docs/exploitation.md, « Alertes »).",
        )
    test = Message(
        "Planton : message d’essai",
        f"Les alertes de Planton arrivent ici. Rien n’est à faire.\nEnvoyé de {socket.gethostname()}.",
        None,
    )
    taken = typeset_and_send([(target, test) for target in wanted])
    for target in wanted:
        said = (
            "message remis."
            if taken[target.id]
            else "message refusé ou sans réponse. Vérifiez son adresse et l’accès au réseau."
        )
        print(typeset(f"{target.name} : {said}"))
    return 0 if all(taken.values()) else 1
