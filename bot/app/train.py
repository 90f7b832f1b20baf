"""`planton train`: runs the training inside the engine's environment and passes its output through."""

from __future__ import annotations

import argparse
import os
import subprocess

from bot.app.child import ROOT
from bot.app.launcher import engine_environ, engine_python
from bot.app.places import PROJECT
from bot.core.errors import SetupError
from bot.store.embedded import die_with_parent


def main(parsed: argparse.Namespace) -> int:
    """Train when the inputs changed; the exit code."""
    if not engine_python().exists():
        raise SetupError("Le moteur n’est pas installé.", "Faites : make install")
    command = [str(engine_python()), "-m", "bot.engine", "train", "--root", str(PROJECT)]
    command += ["--force"] if parsed.force else []
    environ = engine_environ(os.environ)
    process = subprocess.Popen(command, cwd=ROOT, env=environ, preexec_fn=die_with_parent(15))
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
