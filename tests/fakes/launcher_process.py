"""`planton run engine` over a folder of models: python -m tests.fakes.launcher_process MODELS PATIENCE [real]

Without `real` the engines are `tests.fakes.engine_process`, started by the program that ENGINE_PROGRAM names, if it does.
SIGUSR2 makes it patient.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from bot.app import engines
from bot.app.launcher import Launcher
from bot.app.ports import Listener
from bot.settings import Settings


class Light(Launcher):
    """Needs no engine's environment."""

    def check_engine(self) -> None:
        """None is needed."""

    def engine_command(self, one: Listener) -> list[str]:
        """The light engine."""
        return [os.environ.get("ENGINE_PROGRAM", sys.executable), "-m", "tests.fakes.engine_process"]


if __name__ == "__main__":
    engines.PATIENCE = float(sys.argv[2])
    signal.signal(signal.SIGUSR2, lambda _number, _frame: setattr(engines, "PATIENCE", 60.0))
    kind = Launcher if sys.argv[3:] == ["real"] else Light
    sys.exit(kind(Settings(), ("engine",), models=Path(sys.argv[1])).run())
