"""`python -m bot.trainer.checks FOLDER DAY [--rasa WALL]`: every check of a project, as lines of JSON. The console runs it aside.

Lines: `{"step": "…"}` as it goes; `{"findings": […], "whole": true}` at the end, once before it without Rasa's (`whole` false).
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from bot.trainer.checks import rasa
from bot.trainer.checks.all import check_all
from bot.trainer.checks.finding import Finding, ordered
from bot.trainer.project import Project


def main(arguments: Sequence[str]) -> int:
    """Check the folder; the day is the second argument (2026-01-31), ENGINE_WALL for Rasa the fourth."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that Rasa's process ends with ours
    project, today = Project(Path(arguments[0])), date.fromisoformat(arguments[1])
    found = check_all(project, today=today, progress=_step)
    readable = not any(one.code == "file" for one in found)
    if "--rasa" in arguments and readable:
        _found(found, whole=False)
        _step("vérification par Rasa")
        found = ordered([*found, *rasa.check(project, found, arguments[3])])
    _found(found, whole=True)
    return 0


def _step(step: str) -> None:
    _say({"step": step})


def _found(found: Sequence[Finding], whole: bool) -> None:
    _say({"findings": [asdict(one) for one in found], "whole": whole})


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what, ensure_ascii=True), flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
