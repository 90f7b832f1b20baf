"""What the command line says to the person at the terminal: calm lines on standard error."""

from __future__ import annotations

import re
import sys

from bot.core.errors import Explained


def typeset(text: str) -> str:
    """French spaces, so that a line never breaks before a colon or inside quotation marks."""
    return re.sub("« ", "«\u00a0", re.sub(" ([:;?!»])", "\u00a0\\1", text))


def say(line: str) -> None:
    """One line for the operator."""
    print(typeset(f"planton : {line}"), file=sys.stderr, flush=True)


def complain(error: Explained) -> None:
    """An expected error: one line for each thing that is wrong, its remedy beside it."""
    for line in str(error).splitlines():
        say(line)
