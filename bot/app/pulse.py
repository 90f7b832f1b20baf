"""Whether a process that lives still answers: asked now and then, without ever blocking the launcher's one thread.

A process that hangs looks alive to whoever only waits for its end. Any answer counts, an error as well; misses are counted
rather than seconds, so that a machine that slept does not find all of them dead.
"""

from __future__ import annotations

import contextlib
import errno
import socket

from bot.app.ports import Listener

EVERY = 5.0  # seconds between an answer and the next question
WAIT = 20.0  # seconds that an answer may take, on a machine that is busy beyond measure
MISSES = 8  # in a row, three minutes, and it is taken for hanging
_ASK = b"GET /healthz HTTP/1.1\r\nHost: planton\r\nConnection: close\r\n\r\n"
_CONNECTING = (errno.ENOTCONN, errno.EINPROGRESS)


class Pulse:
    """Of one listener. The launcher's loop calls `hangs` at each turn, while the process is ready and runs."""

    def __init__(self, listener: Listener) -> None:
        self._address = (listener.near, listener.port)
        self._socket: socket.socket | None = None
        self._asked = False
        self._until = self._next = 0.0
        self._misses = 0

    def hangs(self, now: float) -> bool:
        """One look, at a moment in monotonic seconds; whether it has missed too many questions in a row."""
        if self._socket is None:
            if now >= self._next:
                self._open(now)
            return False
        answered = self._answered()
        if answered is None and now < self._until:
            return False
        self.close()
        self._next = now + EVERY
        self._misses = 0 if answered else self._misses + 1
        return self._misses >= MISSES

    def close(self) -> None:
        """Drop the question under way."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self, now: float) -> None:
        host, _ = self._address
        try:
            self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        except OSError:  # no descriptor left: says nothing of the process, and must not end the launcher
            self._next = now + EVERY
            return
        self._socket.setblocking(False)
        self._asked, self._until = False, now + WAIT
        with contextlib.suppress(OSError):
            self._socket.connect(self._address)

    def _answered(self) -> bool | None:
        """True: it said something; False: it never will over this connection; None: not yet."""
        assert self._socket is not None
        try:
            if not self._asked:
                self._socket.send(_ASK)
                self._asked = True
            return bool(self._socket.recv(1))
        except BlockingIOError:
            return None
        except OSError as error:
            return None if error.errno in _CONNECTING else False
