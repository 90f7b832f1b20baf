"""`planton _merge-nlu %O %A %B`: git's merge driver for the files of examples; `make install` tells git of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bot.app.say import complain, say
from bot.core.errors import Explained
from bot.trainer.merge import drive


def main(files: Sequence[str]) -> int:
    """Merge base, ours and theirs into ours; 0 when nothing is left to decide, as git wants it."""
    try:
        conflicts = drive(*(Path(file) for file in files))
    except Explained as error:
        complain(error)
        return 1
    for conflict in conflicts:
        say(conflict)
    return 1 if conflicts else 0
