"""`planton model`: the engines of this machine change to a model while they answer, where the workbench is on another machine."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from bot.app.places import MODELS
from bot.app.say import say
from bot.core.errors import SetupError
from bot.settings import Settings
from bot.trainer import engines
from bot.trainer.engines import SUFFIX
from bot.trainer.publishing import SWITCH

LOOK = 0.2  # seconds between looks


def main(parsed: argparse.Namespace) -> int:
    """Change to this model (a name in models/, with or without its ending; the newest by default); the exit code."""
    settings = Settings()
    archive = wanted(MODELS, parsed.name)
    change(settings.engines_dir, archive)
    say(f"{archive.name} répond.")
    return 0


def wanted(models: Path, name: str | None) -> Path:
    """The archive of that name, or the newest. Raises SetupError."""
    archive = engines.newest(models) if name is None else models / (name.removesuffix(SUFFIX) + SUFFIX)
    if archive is None or archive.parent != models or not archive.is_file():
        what = "models/ ne contient aucun modèle." if name is None else f"« {name} » n’est pas dans models/."
        raise SetupError(
            what, "Copiez-y models/ depuis la machine de l’atelier : docs/passage-a-l-echelle.md dit comment."
        )
    return archive


def change(folder: Path, archive: Path, patience: float = SWITCH) -> None:
    """Have the launcher that `folder` (ENGINES_DIR) belongs to change its engines; returns once all serve the archive, which
    the next start takes too. Raises SetupError: no launcher, a model that does not load, `patience` seconds gone."""
    if not engines.held(folder):
        raise SetupError(
            "Aucun moteur ne tourne sur cette machine, ou pas avec ce dossier (VAR_DIR ou ENGINES_DIR).",
            "Lancez : planton run engine ; il prend le modèle le plus récent de models/.",
        )
    say(f"les moteurs de cette machine passent à {archive.name}, l’un après l’autre ; ils répondent pendant ce temps.")
    before = engines.in_service(archive.parent, folder)
    if engines.newest(archive.parent) != archive:
        engines.touch(archive)
    wish, end = engines.ask(folder, archive.name), time.monotonic() + patience
    while True:
        status = engines.status(folder)
        if status.wanted == wish.id and status.state != engines.SWITCHING:
            break
        if time.monotonic() > end:
            raise SetupError("Le lanceur ne dit pas ce qu’il en est.", "Voyez son journal, puis : planton doctor")
        time.sleep(LOOK)
    if status.state == engines.FAILED:
        if before is not None and before != archive:
            engines.touch(before)  # as it was: a restart must not find out again
        raise SetupError(
            f"Le modèle n’a pas changé : {status.failure}.".replace("..", "."), "Voyez le journal du moteur."
        )
