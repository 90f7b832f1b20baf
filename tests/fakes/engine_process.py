"""The engine's own server, as the launcher starts it, over a model that is a small JSON file instead of Rasa.

{"word": "a", "load": 0.2, "fail": false, "slow": 0.0, "loads": 2}: its answer, seconds to load, whether it fails, seconds a turn,
how many times it loads at all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from bot.core.errors import SetupError
from bot.engine import server


class Model:
    """Stands for `bot.engine.runtime.Runtime`."""

    def __init__(self, path: Path) -> None:
        self.model = path
        self._kept = json.loads(path.read_text())
        time.sleep(self._kept.get("load", 0))
        if self._kept.get("fail") or not self._may_load():
            raise SetupError(f"Le modèle {path.name} ne convient pas.", "Lancez : planton train.")

    def _may_load(self) -> bool:
        if "loads" not in self._kept:
            return True
        with self.model.with_suffix(".loads").open("a+") as counted:
            counted.write("x")
            return counted.tell() <= int(self._kept["loads"])

    async def understand(self, text: str) -> dict[str, Any]:
        """The model's word and the process that says it."""
        if text == "slow":
            await asyncio.sleep(self._kept.get("slow", 0))
        found = {"intent": self._kept["word"], "confidence": 1.0, "ranking": [], "entities": {}}
        return {**found, "danger": 0.0, "french": True, "pid": os.getpid()}

    async def turn(
        self,
        text: str,
        state: dict[str, Any] | None,
        payload: str | None,
        at: float | None = None,
        meant: str | None = None,
    ) -> dict[str, Any]:
        """One answer, counted in the dialogue's state."""
        count = int((state or {}).get("turns", 0)) + 1
        reply = {"text": f"{self._kept['word']} n° {count}", "quick_replies": []}
        outcome = {"handoff": None, "clarify": False, "silence": False, "state": {"turns": count}}
        return {"understanding": await self.understand(text), "replies": [reply], **outcome}


class LightServer(server.Server):
    """Loads such a model."""

    def load(self) -> None:
        self._runtime = Model(self._model)  # type: ignore[assignment]


def main() -> int:
    """As `python -m bot.engine serve --fd`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fd", type=int)
    parser.add_argument("--ready", type=int)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    server.Server = LightServer  # type: ignore[misc]
    try:
        return asyncio.run(server.take_over(options.fd, options.ready, options.model))
    except SetupError as error:
        print(error.what, file=sys.stderr)
        return 2


if __name__ == "__main__":
    os._exit(main())  # a thread that still loads must not delay the end
