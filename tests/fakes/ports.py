"""Ports that nothing listens on, for what is started a moment later."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

# Below those that the kernel gives to connections, which could take one before it is bound; a thousand for each of xdist's
# workers. Where in them a process begins differs, for two suites may run at once.
_FIRST = 10_000 + 1000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 20)
_numbers = itertools.count(os.getpid() % 1000)


def free_port() -> int:
    """A loopback port that nothing listens on."""
    for _ in range(1000):
        port = _FIRST + next(_numbers) % 1000
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


def free_ports(count: int) -> int:
    """The first of several ports in a row that nothing listens on."""
    while True:
        ports = [free_port() for _ in range(count)]
        if ports == list(range(ports[0], ports[0] + count)):
            return ports[0]
