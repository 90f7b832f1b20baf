"""Programs joined by pipes that pass through us, so that what flows is hashed and every fault is told apart."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO

CHUNK = 1 << 18


class Program:
    """A running program; what it complains of is kept aside."""

    def __init__(
        self, command: Sequence[str], environ: Mapping[str, str], reads: bool = True, writes: bool = True
    ) -> None:
        """`reads`, `writes`: whether its standard input and output are pipes of ours."""
        self.name = command[0].rpartition("/")[2]
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
            stdout=subprocess.PIPE if writes else subprocess.DEVNULL,
            stderr=self._complaints,
            env=dict(environ),
        )

    @property
    def stdin(self) -> IO[bytes]:
        """Its input."""
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """Its output."""
        assert self.process.stdout is not None
        return self.process.stdout

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        return self.process.wait()

    def complaint(self) -> str:
        """Everything that it wrote to its standard error. May quote data: for recognising a cause, not for people."""
        self._complaints.seek(0)
        return self._complaints.read(20_000).decode(errors="replace")

    def close(self) -> None:
        """End it, whatever it does."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._complaints.close()


class Pump(threading.Thread):
    """Copies `source` to every sink until its end; then closes those of `closes`. Its hash and size are of what it copied."""

    def __init__(self, source: IO[bytes], sinks: Sequence[IO[bytes]], closes: Sequence[IO[bytes]] = ()) -> None:
        super().__init__(daemon=True)
        self._source, self._sinks, self._closes = source, sinks, closes
        self._digest = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        return self._digest.hexdigest()

    @property
    def full(self) -> bool:
        """Whether a disk had no room."""
        return self.error is not None and self.error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

    def run(self) -> None:
        """Copy."""
        try:
            while chunk := self._source.read(CHUNK):
                self._digest.update(chunk)
                self.size += len(chunk)
                for sink in self._sinks:
                    sink.write(chunk)
        except OSError as error:
            self.error = error
            self._source.close()  # who writes to us stops too
        for sink in self._closes:
            try:
                sink.close()
            except OSError as error:
                self.error = self.error or error
