"""Code that only the engine's Python can run."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from bot.app.route import ENGINE_PYTHON
from bot.core.program import ROOT


def in_engine(code: str, *arguments: str) -> Any:
    """Run code in the engine's environment; its last line is JSON."""
    ran = subprocess.run(
        [str(ENGINE_PYTHON), "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout.strip().splitlines()[-1])
