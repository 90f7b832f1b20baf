"""The narrower reply that the words of a message call for, where an action must know it before it is uttered."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Optional

from ruamel.yaml import YAML

from bot.policy.precisions import Precisions

FILE = Path(__file__).resolve().parents[1] / "data" / "precisions.yml"


def narrower(general: str, text: str) -> Optional[str]:
    """Name of the reply that will stand in for `general`; None for a tap or if the general one will do."""
    return None if text.startswith("/") else _table().find(general, text)


@functools.cache
def _table() -> Precisions:
    return Precisions.from_mapping(YAML(typ="safe").load(FILE.read_text("utf-8")))
