"""A browser in words, for the list of one's sessions."""

from __future__ import annotations

from ua_parser import parse

from bot.core.clean import clean

_LONGEST = 500
_WORDS = 100


def words(user_agent: str | None) -> str:
    """« Firefox sous Windows »; what is not recognised is « navigateur inconnu »."""
    found = parse((user_agent or "")[:_LONGEST])
    browser = found.user_agent.family if found.user_agent else "navigateur inconnu"
    said = f"{browser} sous {found.os.family}" if found.os else browser
    return clean(said).replace("\n", " ")[:_WORDS]  # some names are taken from what the browser says of itself
