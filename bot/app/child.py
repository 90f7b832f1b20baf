"""A process that the launcher keeps alive."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.app.ports import Listener, answers
from bot.app.pulse import Pulse
from bot.store.embedded import die_with_parent

ROOT = Path(__file__).resolve().parents[2]
FIRST_DELAY, LAST_DELAY, SETTLED = 0.2, 5.0, 10.0  # seconds: back-off, and the life that resets it


@dataclass
class Child:
    """A process that is kept alive. `once`: it has done its work when it ends well."""

    role: str
    command: Sequence[str]
    environ: Mapping[str, str]
    listeners: Sequence[Listener] = ()
    once: bool = False
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    delay: float = FIRST_DELAY
    due: float = 0.0
    ready: bool = False
    pulses: Sequence[Pulse] = ()

    @property
    def running(self) -> bool:
        """Whether the process lives; reaps it when it does not."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the process in our group."""
        self.spawn(self.command)

    def spawn(self, command: Sequence[str], descriptors: Sequence[int] = ()) -> None:
        """Start a command; `descriptors` are what it inherits."""
        self.ready = False
        for pulse in self.pulses:
            pulse.close()
        self.pulses = [Pulse(one) for one in self.listeners]
        self.process = subprocess.Popen(
            list(command),
            env=dict(self.environ),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            stderr=sys.stderr.fileno(),
            pass_fds=descriptors,
            preexec_fn=die_with_parent(signal.SIGKILL),  # a clean end would overlap with the next start
        )
        self.started = time.monotonic()

    def listens(self) -> bool:
        """Whether it answers where it should; asked until it does."""
        return all(answers(one) for one in self.listeners)

    def hangs(self, now: float) -> bool:
        """Whether it lives and has answered nothing for long; asked for as long as it is ready."""
        return any([pulse.hangs(now) for pulse in self.pulses])

    def signal(self, number: int) -> None:
        """Send a signal if it still lives."""
        if self.running and self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def next_delay(self, now: float) -> float:
        """The pause before it is started again, longer each time; `due` says when that is."""
        if now - self.started > SETTLED:
            self.delay = FIRST_DELAY
        pause, self.delay = self.delay, min(self.delay * 2, LAST_DELAY)
        self.due = now + pause
        return pause
