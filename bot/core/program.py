"""Where the program lies, and what its engines may know. The trainers' files may lie in a folder of their own, without it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What a program of Python's needs to know; no name of ours or of another's that may hold a secret.
_NAMES = frozenset(
    "PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR XDG_CACHE_HOME LD_LIBRARY_PATH".split()  # noqa: SIM905
)
_FAMILIES = ("LC_", "OMP_", "MKL_", "OPENBLAS_", "TF_", "RASA_", "PYTHON", "MPL", "SSL_CERT_", "PYENV_")


def of(files: Path) -> Path:
    """The folder of the program that goes with a folder of trainers' files: the same one where it holds the program, else ours."""
    return files if (files / "bot").exists() else ROOT


def harmless(environ: Mapping[str, str]) -> dict[str, str]:
    """Of an environment, what trainers' code may see. Bytecode may be written: without it Rasa starts twice as slowly."""
    return {
        name: value
        for name, value in environ.items()
        if (name in _NAMES or name.startswith(_FAMILIES)) and name != "PYTHONDONTWRITEBYTECODE"
    }
