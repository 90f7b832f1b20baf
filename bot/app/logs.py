"""Logs of the roles: one line an entry on standard error, ids only, never a citizen's words.

On a terminal the line is for people; elsewhere it is a JSON object (LOG_FORMAT decides otherwise). Whatever is logged while
a message is handled carries its trace (`bot.core.trace`), the same in gateway, worker and sender, and our own numbers. An
exception is told by its type and where it was raised: its message may quote what somebody wrote, so it stays out.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType

from bot.core.trace import current

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_OURS = ("planton", "bot")
_QUIET = ("sanic.access", "sanic.root", "sanic.server", "sqlalchemy", "asyncio", "alembic", "aiohttp.access")


def describe(error: BaseException) -> str:
    """An exception without its message: type, SQL state if any, and the last places in our own code."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    places = _places(error.__traceback__)
    return type(error).__name__ + (f" [{state}]" if state else "") + (f" ({' < '.join(places)})" if places else "")


def _places(trace: TracebackType | None, most: int = 4) -> list[str]:
    frames = traceback.extract_tb(trace)
    ours = [f for f in frames if "/site-packages/" not in f.filename and "/lib/python" not in f.filename]
    return [f"{f.filename.rpartition('/bot/')[2]}:{f.lineno}" for f in reversed(ours[-most:] or frames[-1:])]


class Line(logging.Formatter):
    """One line an entry."""

    def __init__(self, role: str, people: bool) -> None:
        super().__init__()
        self._role = role
        self._people = people

    def format(self, record: logging.LogRecord) -> str:
        """JSON, or a line for people."""
        at = datetime.fromtimestamp(record.created, UTC)
        entry = {
            "at": at.isoformat(timespec="milliseconds"),
            "role": self._role,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage().replace("\n", " "),
            **_about(),
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        if record.exc_info and record.exc_info[1] is not None:
            entry["error"] = describe(record.exc_info[1])
        if not self._people:
            return _BREAKS.sub(_escaped, json.dumps(entry, ensure_ascii=False, default=str))
        rest = " ".join(f"{name}={value}" for name, value in entry.items() if name not in _HEAD)
        line = f"{at.astimezone():%H:%M:%S} {self._role} {entry['level']} {entry['message']} {rest}".rstrip()
        return _BREAKS.sub(_escaped, line)


def _about() -> dict[str, str | int]:
    """The message that this task handles."""
    trace = current()
    return {} if trace is None else {**({"trace": trace.id} if trace.id else {}), **dict(trace.ids)}


# What ends a line or moves a terminal: nobody writes a second entry, or hides one, through a name.
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


_HEAD = {"at", "role", "level", "logger", "message"}


def configure(role: str, form: str | None = None, level: str = "info") -> None:
    """Send every log of this process to standard error in our form: `json`, `texte`, or as the terminal wants (None).

    `debug` is for our own modules alone: what libraries say at that level may quote what they carry.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line(role, sys.stderr.isatty() if form is None else form == "texte"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns in PostgreSQL's words, which may quote a citizen's
