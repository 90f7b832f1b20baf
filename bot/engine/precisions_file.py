"""data/precisions.yml, read for Rasa's replies and for the actions."""

from __future__ import annotations

import functools
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from bot.core.errors import SetupError
from bot.policy.precisions import Precisions

FILE = Path(__file__).resolve().parents[2] / "data" / "precisions.yml"


@functools.cache
def read(path: Path = FILE) -> Precisions:
    """The table of a file. Raises SetupError with what is wrong, in French."""
    try:
        return Precisions.from_mapping(YAML(typ="safe").load(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, YAMLError, ValueError) as error:
        raise SetupError(
            f"{path}\u00a0: {error}.", "Corrigez ce fichier\u202f; sa forme est expliquée à son début."
        ) from None
