"""Silence Rasa before it is imported: by default it prints citizens' words to stdout and to its logs.

Our own lines carry ids only. A line of somebody else's code is reduced to where it came from: logger, level, function,
and for an exception its type and frames, never a message that could quote a citizen.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from pathlib import Path
from types import TracebackType
from typing import Optional

_ENVIRONMENT = {
    "RASA_TELEMETRY_ENABLED": "false",
    "SQLALCHEMY_SILENCE_UBER_WARNING": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    # One linear model a message: more threads only fight for the cores.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Rasa's cache does not see changes in our helper modules, and `planton train` has its own hash.
    "RASA_MAX_CACHE_SIZE": "0",
}


class SafeFormatter(logging.Formatter):
    """Formats our own records in full and others by their origin alone."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, followed by the frames of an exception."""
        ours = record.name == "bot" or record.name.startswith("bot.")
        what = record.getMessage() if ours else f"{record.module}.{record.funcName}:{record.lineno}"
        line = f"{self.formatTime(record)} {record.levelname} {record.name} {what}"
        if record.exc_info and record.exc_info[0] is not None:
            line += "\n" + frames(record.exc_info[0], record.exc_info[2])
        return line


def frames(kind: type[BaseException], trace: Optional[TracebackType]) -> str:
    """An exception's type and frames, without its message."""
    steps = [f"  {f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)[-8:]]
    return "\n".join([*steps, f"  {kind.__module__}.{kind.__name__}"])


def silence() -> None:
    """Call this before the first import of Rasa."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Filters are reset by some of the packages that Rasa imports; where a warning would be shown is not.
    warnings.showwarning = _no_warning
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter())
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    logging.getLogger("bot").setLevel(logging.INFO)
    logging.raiseExceptions = False  # a failing log line must not print its arguments

    import structlog

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL), cache_logger_on_first_use=True
    )


def _no_warning(*_: object, **__: object) -> None:
    """Rasa's warnings quote what they are about."""


def claim_stdout() -> int:
    """Keep the real standard output for ourselves (its descriptor is returned); whatever others print goes to stderr."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    return ours


class Aside:
    """Standard output and error go to a file meanwhile: Rasa's training talks too much, and in English."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Aside:
        sys.stdout.flush()
        sys.stderr.flush()
        self._kept = os.dup(1), os.dup(2)
        with self._path.open("wb") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for target, kept in zip((1, 2), self._kept, strict=False):
            os.dup2(kept, target)
            os.close(kept)

    def tail(self, count: int = 12) -> str:
        """The last lines said, progress bars left out."""
        lines = self._path.read_text("utf-8", "replace").replace("\r", "\n").splitlines()
        return "\n".join([line for line in lines if line.strip() and "it/s" not in line][-count:])
