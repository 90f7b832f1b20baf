"""`planton run` with every role, over the light engine: python -m tests.fakes.planton_process MODELS"""

from __future__ import annotations

import sys
from pathlib import Path

from bot.app import pulse
from bot.settings import Settings
from tests.fakes.launcher_process import Light

if __name__ == "__main__":
    pulse.WAIT = 8.0  # a minute and a half in all until a process that hangs is ended
    sys.exit(Light(Settings(), models=Path(sys.argv[1])).run())
