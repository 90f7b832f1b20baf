"""Which wall the workbench's engines get on this machine: told by `planton doctor` and the pages.

One that isolates is tried once a process. Anything less is tried again for the next engine: the moment may have been a bad one.
"""

from __future__ import annotations

from bot.app.launcher import engine_python
from bot.core import program
from bot.settings import Settings
from bot.trainer.wall import Program, Wall, choose


def engine_program() -> Program:
    """What an engine consists of here."""
    return Program(engine_python(), [program.ROOT / "bot", program.ROOT / "actions"])


def wall(settings: Settings | None = None) -> Wall:
    """Raises SettingsError, and SetupError where ENGINE_WALL demands one that does not hold here. Blocks at the first call."""
    way = (settings or Settings()).engine_wall
    found = _whole.get(way) or choose(way, engine_program())
    if found.whole:
        _whole[way] = found
    return found


_whole: dict[str, Wall] = {}
