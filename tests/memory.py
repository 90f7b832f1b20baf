"""Temporary files of a test run, in memory where the machine has room for them.

Each test copies a database, hundreds of files that it removes again; some make servers, projects, browsers' profiles. On a
disk, making and removing files is most of what a short test costs, even without a byte that is waited for.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM = 4_000_000_000  # bytes, many times what a run has at once
_PREFIX = "planton-tests-"
_YOUNG = 60.0  # seconds


def roomy(memory: Path = MEMORY, meminfo: Path = Path("/proc/meminfo")) -> bool:
    """Whether that file system, and the machine's memory behind it, have ROOM."""
    try:
        available = re.search(r"^MemAvailable:\s*(\d+) kB$", meminfo.read_text(), re.M)
        return available is not None and min(int(available[1]) * 1024, shutil.disk_usage(memory).free) >= ROOM
    except OSError:
        return False


@contextlib.contextmanager
def temporary_files(memory: Path = MEMORY) -> Iterator[None]:
    """What this process and those that it starts take for /tmp is a folder in memory, removed at the end. Without room there,
    or where TMPDIR says what to take, nothing changes."""
    _sweep(memory)
    if "TMPDIR" in os.environ or not roomy(memory):
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=memory))
    folder.chmod(0o1777)  # as /tmp: some programs run under other users
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    before, tempfile.tempdir, os.environ["TMPDIR"] = tempfile.tempdir, None, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
        del os.environ["TMPDIR"]
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _sweep(memory: Path) -> None:
    """Remove what a run that was killed has left: nobody holds it."""
    for left in memory.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime < _YOUNG:
                continue  # its run may be about to hold it
            found = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(found)
