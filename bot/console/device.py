"""A browser in words, for the list of one's sessions."""

from __future__ import annotations

from ua_parser import parse

_LONGEST = 500


def words(user_agent: str | None) -> str:
    """« Firefox sous Windows »; what is not recognised is « navigateur inconnu »."""
    found = parse((user_agent or "")[:_LONGEST])
    browser = found.user_agent.family if found.user_agent else "navigateur inconnu"
    return f"{browser} sous {found.os.family}" if found.os else browser
