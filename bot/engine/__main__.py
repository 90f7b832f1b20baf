"""python -m bot.engine serve | train | batch | fingerprint. Runs in `.venv-engine` (Python 3.10)."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Optional

from bot.core.errors import Explained
from bot.engine import quiet

ROOT = Path(__file__).resolve().parents[2]
PR_SET_PDEATHSIG = 1


def main(argv: Optional[list[str]] = None) -> int:
    """Exit codes: 0 done, 2 something to correct (said in French on standard error)."""
    options = _parser().parse_args(argv)
    _die_with_parent()
    root = options.root.resolve()
    os.chdir(root)  # Rasa finds our components by module path, as a project at the root
    quiet.silence()
    stdout = quiet.claim_stdout() if options.command in ("serve", "batch") else -1
    try:
        return _run(options, root, stdout)
    except Explained as error:
        print(f"{error.what}\n{error.remedy}".strip(), file=sys.stderr)
        return 2


def _run(options: argparse.Namespace, root: Path, stdout: int) -> int:
    if options.command == "fingerprint":
        from bot.engine.inputs import fingerprint

        print(fingerprint(root))
        return 0
    if options.command == "train":
        from bot.engine import light, train

        light.for_training()
        out = options.out.resolve() if options.out else root / "models"
        return train.run(train.Order(root, out, options.force, options.frugal, options.signs, options.meanings))
    from bot.engine import batch, server

    model = options.model or root / "models"
    if options.command == "batch":
        return batch.run(model, stdout)
    if options.fd is not None:  # under `planton run`, whose socket it is
        return asyncio.run(server.take_over(options.fd, options.ready, model))
    return asyncio.run(server.serve(options.port, model, options.unix))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot.engine", description="Le moteur de dialogue (Rasa), sans mémoire."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="répond en HTTP sur 127.0.0.1")
    serve.add_argument("--port", type=int, default=5005)
    serve.add_argument("--unix", type=Path, help="un socket Unix à la place du port")
    serve.add_argument("--fd", type=int, help="un socket déjà ouvert, donné par « planton run »")
    serve.add_argument("--ready", type=int, default=-1, help="où dire que le modèle est chargé")
    batch = commands.add_parser("batch", help="lit un objet JSON par ligne, en écrit un par ligne")
    for command in (serve, batch):
        command.add_argument("--model", type=Path, help="un modèle, ou un dossier : le plus récent (models/ sinon)")
    train = commands.add_parser("train", help="apprend si quelque chose a changé")
    train.add_argument("--force", action="store_true", help="apprend même si rien n’a changé")
    train.add_argument("--out", type=Path, help="où va le modèle (models/ sinon)")
    train.add_argument(
        "--frugal", action="store_true", help="une chose après l’autre : moins de mémoire, plus de temps"
    )
    train.add_argument("--signs", action="store_true", help="dit aussi l’avancement à un programme")
    train.add_argument(
        "--meanings", type=Path, help="le sens des textes d’un apprentissage précédent (models/meanings.npz sinon)"
    )
    named = commands.add_parser("fingerprint", help="le nom du modèle que donneraient les fichiers présents")
    for command in (serve, batch, train, named):
        command.add_argument(
            "--root", type=Path, default=ROOT, help="le dossier des fichiers (celui du programme sinon)"
        )
    return parser


def _die_with_parent() -> None:
    """Ask the kernel to end this process with the one that started it, so that no engine is left alone."""
    if os.environ.get("PLANTON_PDEATHSIG") != "1":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended meanwhile
        sys.exit(0)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a thread that still imports Rasa must not delay the end
