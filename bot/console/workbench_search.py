"""Words that trainers look for: sealed in addresses, because they are often a citizen's."""

from __future__ import annotations

from bot.console import sealed
from bot.store.codec import Codec

_PURPOSE = "workbench.query"


def seal_words(codec: Codec, query: str) -> str:
    """The words as an address carries them."""
    return sealed.seal(codec, {"q": query}, _PURPOSE)


def searched(codec: Codec, given: str) -> tuple[str, str]:
    """(words, the same sealed) of an address; none when it is not one of ours: the page then shows everything."""
    try:
        return (sealed.unseal(codec, given, _PURPOSE).get("q", ""), given) if given else ("", "")
    except ValueError:
        return "", ""
