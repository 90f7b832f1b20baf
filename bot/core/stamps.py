"""When what was read of a file is still what stands there: whoever keeps it asks for the file's stamp first."""

from __future__ import annotations

from pathlib import Path

Stamp = tuple[int, int, int]  # when it was written, its size, its inode: a write replaces the whole file


def stamp(path: Path) -> Stamp:
    """The stamp of a file; zeros where there is none."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0, 0
    return status.st_mtime_ns, status.st_size, status.st_ino
