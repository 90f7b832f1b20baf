"""Connections of our HTTP servers: whoever sends slowly, or opens many and says nothing, keeps nobody else out."""

from __future__ import annotations

import resource
from typing import Any

from sanic.http.constants import Stage
from sanic.server.protocols.http_protocol import HttpProtocol

_KEPT_FREE = 200  # descriptors for the database, the engines, files
_AT_LEAST, _AT_MOST = 100, 10_000
_LAST_WORD = 1.0  # seconds for the answer of a request that came too slowly


def most() -> int:
    """How many connections a process holds at once, as its limit of open files allows."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _AT_MOST if soft == resource.RLIM_INFINITY else max(_AT_LEAST, min(soft - _KEPT_FREE, _AT_MOST))


class BoundedProtocol(HttpProtocol):
    """Sanic's, with three bounds more.

    - The time for a request runs from its first byte: Sanic counts from the last one, so that a byte now and then would
      keep a connection for ever (« slowloris »).
    - When that time is over the connection ends: Sanic answers, then reads what is left of the body for as long as it comes,
      and keeps no time at all where the request says « Upgrade: websocket ».
    - Beyond `at_most` connections the one that has kept us waiting longest for a request makes room.
    """

    at_most = most()

    def connection_made(self, transport: Any) -> None:
        """One more; the longest wait ends when that is too many."""
        super().connection_made(transport)  # type: ignore[no-untyped-call]
        if len(self.connections) <= self.at_most:
            return
        waiting = [one for one in self.connections if one is not self and one.transport is not None and one.waits]
        if waiting:
            min(waiting, key=lambda one: one._time).transport.abort()

    def data_received(self, data: bytes) -> None:
        """More of a request, which is none the younger for it."""
        begun = self._time if self.http is not None and self.http.stage is not Stage.IDLE else None
        super().data_received(data)
        if begun is not None:
            self._time = begun

    def check_timeouts(self) -> None:
        """As Sanic's, and the connection ends with it."""
        before = self._callback_check_timeouts
        super().check_timeouts()  # type: ignore[no-untyped-call]
        if self._task is not None and self._callback_check_timeouts is before:  # it looks no more
            self.loop.call_later(_LAST_WORD, self._hang_up)

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    @property
    def waits(self) -> bool:
        """Whether a request is still to come, or its end."""
        http = self.http
        return http is None or http.stage in (Stage.IDLE, Stage.REQUEST) or bool(http.request_body)
