"""What this machine remembers without the database: its own alerts, and messages that a target has not taken yet.

One small file, written anew as a whole. A disk that is full or gone must not silence the heartbeat: then it is kept in
memory only.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.monitor.finding import Grade
from bot.monitor.ladder import Alert

log = logging.getLogger("planton.monitor")


@dataclass
class Waiting:
    """A message that a target has still to take. Times are aware."""

    target: str  # its id
    title: str
    body: str
    grade: Grade | None
    at: datetime
    tries: int
    next_at: datetime


@dataclass
class Memory:
    """`led`: whether this machine was the one that told the others' alerts when the database was last there.

    `targets`: how many are told; `doctor` in another terminal does not know the addresses."""

    path: Path
    alerts: list[Alert] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    led: bool = True
    targets: int = 0

    @classmethod
    def load(cls, path: Path) -> Memory:
        """What the file says; a fresh memory where there is none or it cannot be read."""
        memory = cls(path)
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            memory.alerts = [alert_of(row) for row in kept["alerts"]]
            memory.waiting = [Waiting(**_typed(Waiting, row)) for row in kept["waiting"]]
            memory.led, memory.targets = bool(kept["led"]), int(kept["targets"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("alerts' file not read: %s", type(error).__name__)
        return memory

    def save(self) -> None:
        """Write the file; what hinders it is logged."""
        kept = {
            "alerts": [asdict(alert) for alert in self.alerts],
            "waiting": [asdict(one) for one in self.waiting],
            "led": self.led,
            "targets": self.targets,
        }
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(kept, file, default=datetime.isoformat, ensure_ascii=False)
            draft.replace(self.path)
        except OSError as error:
            log.warning("alerts' file not written: %s", type(error).__name__)
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def alert_of(row: dict[str, Any]) -> Alert:
    """An alert from its fields, as the file or the table holds them."""
    return Alert(**_typed(Alert, row))


def _typed(kind: type, row: dict[str, Any]) -> dict[str, Any]:
    known = {name: row[name] for name in (one.name for one in fields(kind)) if name in row}
    for name, value in known.items():
        if isinstance(value, str) and (name == "at" or name == "since" or name.endswith("_at")):
            known[name] = datetime.fromisoformat(value)
        elif name == "grade" and value is not None:
            known[name] = Grade(value)
    return known
