"""data/precisions.yml as it went with the model, read for Rasa's replies and for the actions."""

from __future__ import annotations

import functools
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from bot.core import served
from bot.core.errors import SetupError
from bot.policy.precisions import Precisions

ROOT = Path(__file__).resolve().parents[2]
NAME = "data/precisions.yml"
_place = ROOT / NAME  # a process has one model


def follow(archive: Path) -> Precisions:
    """Read from now on what goes with this model. Raises SetupError."""
    global _place
    _place = served.beside(archive, ROOT) / NAME
    return present()


def present() -> Precisions:
    """The table of this process. Raises SetupError with what is wrong, in French."""
    return _read(_place)


@functools.cache
def _read(path: Path) -> Precisions:
    try:
        return Precisions.from_mapping(YAML(typ="safe").load(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, YAMLError, ValueError) as error:
        raise SetupError(
            f"{path}\u00a0: {error}.", "Corrigez ce fichier\u202f; sa forme est expliquée à son début."
        ) from None
