"""The narrower reply that the words of a message call for, where an action must know it before it is uttered."""

from __future__ import annotations

from typing import Optional

from bot.engine import precisions_file


def narrower(general: str, text: str) -> Optional[str]:
    """Name of the reply that will stand in for `general`; None for a tap or if the general one will do."""
    return None if text.startswith("/") else precisions_file.present().find(general, text)
