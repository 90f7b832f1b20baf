"""Which wall the workbench's engines get on this machine: tried once a process, told by `planton doctor` and the pages."""

from __future__ import annotations

import functools

from bot.app.launcher import engine_python
from bot.core import program
from bot.settings import Settings
from bot.trainer.wall import Program, Wall, choose


def engine_program() -> Program:
    """What an engine consists of here."""
    return Program(engine_python(), [program.ROOT / "bot", program.ROOT / "actions"])


def wall(settings: Settings | None = None) -> Wall:
    """Raises SettingsError, and SetupError where ENGINE_WALL demands one that does not hold here. Blocks at the first call."""
    return _chosen((settings or Settings()).engine_wall)


@functools.cache
def _chosen(way: str) -> Wall:
    return choose(way, engine_program())
