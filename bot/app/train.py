"""`planton train`: runs the training inside the engine's environment and passes its output through."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
from pathlib import Path

from bot.app.child import ROOT
from bot.app.launcher import engine_environ, engine_python
from bot.app.places import PROJECT
from bot.app.say import say
from bot.core.errors import Explained, SetupError
from bot.core.served import SUFFIX
from bot.settings import Settings
from bot.store.embedded import die_with_parent
from bot.trainer import engines, grave
from bot.trainer.project import Project

log = logging.getLogger("planton.train")
SHOWN = 8  # names


def main(parsed: argparse.Namespace) -> int:
    """Train when the inputs changed; the exit code."""
    if not engine_python().exists():
        raise SetupError("Le moteur n’est pas installé.", "Faites : make install")
    command = [str(engine_python()), "-m", "bot.engine", "train", "--root", str(PROJECT)]
    command += ["--force"] if parsed.force else []
    environ = engine_environ(os.environ)
    models = PROJECT / "models"
    before = engines.newest(models)
    process = subprocess.Popen(command, cwd=ROOT, env=environ, preexec_fn=die_with_parent(15))
    try:
        code = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    after = engines.newest(models)
    if code == 0 and before is not None and after is not None and Settings().publication_second:
        for line in unread(Project(PROJECT), before, after):
            say(line)
    return code


def unread(project: Project, before: Path, after: Path) -> list[str]:
    """What to say of a model that took another's place without the workbench: whoever has the machine decides, and knows."""
    if before.name == after.name:
        return []
    try:
        touched = grave.touches(project, before.parent, before.name.removesuffix(SUFFIX), after)
    except (Explained, OSError) as error:
        log.debug("not compared: %s", type(error).__name__)
        return []
    if not touched:
        return []
    names = ", ".join(one.name for one in touched[:SHOWN]) + (", …" if len(touched) > SHOWN else "")
    return [
        f"ce modèle change ce qui est répondu aux victimes ou aux urgences : {names}.",
        "Personne d’autre ne l’a relu ici : faites-le relire avant de redémarrer, ou publiez depuis l’atelier.",
    ]
