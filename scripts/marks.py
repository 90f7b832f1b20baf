"""The blocks of a page that programs write, each between two marks of its own."""

from __future__ import annotations


def around(text: str, start: str, end: str) -> tuple[str, str, str]:
    """What stands up to and with the first mark, between both, from the second on. Raises LookupError without both in order."""
    before, _, rest = text.partition(start)
    inside, found, after = rest.partition(end)
    if not found:
        raise LookupError(f"no marks {start} … {end}")
    return before + start, inside, end + after
