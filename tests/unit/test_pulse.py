"""A process that lives and does not answer is found; one that is slow, or answers with an error, is left alone."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from bot.app import pulse
from bot.app.ports import Listener
from bot.app.pulse import Pulse


class Process:
    """A listening socket that answers when it is told to."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(2)
        self.pulse = Pulse(Listener("sender", "127.0.0.1", self.listening.getsockname()[1], "SENDER_PORT"))
        self.now = 0.0

    def look(self, seconds: float = 0.0) -> bool:
        self.now += seconds
        return self.pulse.hangs(self.now)

    def answer(self, words: bytes) -> None:
        """To the question under way."""
        connection, _ = self.listening.accept()
        assert not self.look()
        assert connection.recv(100).startswith(b"GET /healthz")
        if words:
            connection.sendall(words)
        connection.close()
        time.sleep(0.01)


@pytest.fixture
def process() -> Iterator[Process]:
    made = Process()
    yield made
    made.pulse.close()
    made.listening.close()


def test_one_that_hangs_is_found_after_some_questions(process: Process) -> None:
    looks = 0
    while not process.look(1.0):
        looks += 1
        assert looks < 1000
    assert pulse.MISSES * pulse.WAIT < process.now < pulse.MISSES * (pulse.WAIT + pulse.EVERY) + 10


@pytest.mark.parametrize("words", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 503 Service Unavailable\r\n\r\n"])
def test_any_answer_counts_however_late(process: Process, words: bytes) -> None:
    for _ in range(3 * pulse.MISSES):
        assert not process.look(pulse.EVERY + 1)
        process.look(pulse.WAIT - 1)
        process.answer(words)
        assert not process.look()


def test_a_connection_that_closes_without_a_word_is_a_miss(process: Process) -> None:
    for n in range(pulse.MISSES):
        assert not process.look(pulse.EVERY + 1)
        process.answer(b"")
        assert process.look() is (n == pulse.MISSES - 1)


def test_nobody_listens(process: Process) -> None:
    process.listening.close()
    assert any(process.look(pulse.EVERY + 1) for _ in range(4 * pulse.MISSES))


def test_a_machine_that_slept_finds_nobody_dead(process: Process) -> None:
    assert not process.look(1)
    assert not process.look(100_000)
