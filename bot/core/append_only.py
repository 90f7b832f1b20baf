"""Append-only files of a process, for what must outlive it without a database: on the disk when a call returns, and after a crash
never half of one file and half of another.
"""

from __future__ import annotations

import os
from pathlib import Path


def append(path: Path, lines: bytes, torn: bool) -> None:
    """Write whole lines at the end. `torn`: the last write failed, perhaps half-way, and its line must not be continued.

    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "wb") as file:
        file.write(b"\n" * torn + lines)
        file.flush()
        os.fsync(file.fileno())


def rewrite(path: Path, lines: bytes) -> None:
    """Put these lines in the place of all others. Raises OSError; the old file stands then."""
    fresh = path.with_name(path.name + ".new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else a crash could bring the old file back
    finally:
        os.close(folder)
