"""The engines that `planton run` looks after. Their sockets are the launcher's and stay open whoever serves.

- A new model: a second engine starts on the same socket, accepts once it has loaded its model, then the old one stops
  accepting, finishes its turns and leaves. What waits in the socket's queue is taken by either; nothing is refused.
  If the new one fails or takes too long, the old one goes on as if nothing had been.
- No engine serves (it starts, it crashed): the launcher itself accepts and answers 503 at once, so that nobody hangs in
  a queue that nobody empties.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bot.app.child import Child
from bot.app.ports import Listener
from bot.app.say import say
from bot.core.errors import SetupError
from bot.trainer import engines as files
from bot.trainer.engines import Serving, Status, Wanted

LOOK = 0.5  # seconds between looks for a wish
PATIENCE = 300.0  # seconds that a new engine has to load its model; the old one answers meanwhile, so that waiting costs nothing
LEAVE = 20.0  # seconds that an engine has to finish and leave
BACKLOG = 1024
OUTLIVED = "le lanceur a redémarré entre-temps, et ce modèle n’est plus le plus récent"
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 21\r\n"
    b'Connection: close\r\n\r\n{"error": "starting"}'
)
_AT_ONCE, _READING = 64, 2.0  # connections that we answer at a time; seconds that each has to ask


class StandIn:
    """Answers 503 on a listening socket. Never blocks: the launcher has one thread."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._open: dict[socket.socket, float] = {}

    @property
    def readers(self) -> list[socket.socket]:
        """What to wait for."""
        return [self._listening, *self._open] if len(self._open) < _AT_ONCE else list(self._open)

    def serve(self) -> None:
        """Take who waits, answer who has asked, let go of who does not ask."""
        while len(self._open) < _AT_ONCE:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                break
            connection.setblocking(False)
            self._open[connection] = time.monotonic() + _READING
        for connection, until in list(self._open.items()):
            try:
                asked = bool(connection.recv(65536))
            except BlockingIOError:
                if time.monotonic() < until:
                    continue
                asked = False
            except OSError:
                asked = False
            if asked:
                with contextlib.suppress(OSError):
                    connection.send(_REFUSAL)
                    connection.shutdown(socket.SHUT_WR)
            connection.close()
            del self._open[connection]

    def leave(self) -> None:
        """Somebody serves again."""
        for connection in self._open:
            connection.close()
        self._open.clear()


@dataclass
class EngineChild(Child):
    """An engine on the launcher's socket. `model`: the archive that it loads; `proven`: whether it ever did; `failure`: what it
    said when it could not."""

    listening: socket.socket = None  # type: ignore[assignment]  # always given
    model: Path | None = None
    proven: bool = False
    failure: str = ""
    since: float = 0.0  # since the epoch; 0 while it is not ready
    _word: int = -1
    _said: bytes = b""

    def start(self) -> None:
        """Start it with a pipe on which it says that it is ready."""
        self.close()
        self.failure, self.since, self._said = "", 0.0, b""
        read, write = os.pipe()
        os.set_blocking(read, False)
        self._word = read
        fd = self.listening.fileno()
        words = [*self.command, "--fd", str(fd), "--ready", str(write)]
        try:
            self.spawn([*words, *(["--model", str(self.model)] if self.model else [])], (fd, write))
        finally:
            os.close(write)

    def listens(self) -> bool:
        """Whether it has said that its model is loaded."""
        with contextlib.suppress(OSError):  # nothing was said, or nobody is there to say it
            self._said += os.read(self._word, 4096)
        line, newline, _ = self._said.partition(b"\n")
        if not newline:
            return False
        with contextlib.suppress(ValueError, AttributeError):
            word = json.loads(line)
            self.failure = str(word.get("failed", ""))
            if "model" in word:
                self.since, self.proven = self.since or time.time(), True
                return True
        return False

    @property
    def serves(self) -> bool:
        """Whether it accepts connections."""
        return self.ready and self.running

    def close(self) -> None:
        """Forget the pipe."""
        if self._word >= 0:
            os.close(self._word)
            self._word = -1

    @property
    def word(self) -> int:
        """The descriptor on which it will say that it is ready; -1 once nothing is to be heard."""
        return -1 if self.ready else self._word


@dataclass
class Seat:
    """One address: the engine that serves there, the one that gets ready, those that leave."""

    listener: Listener
    listening: socket.socket
    serving: EngineChild
    stand_in: StandIn
    coming: EngineChild | None = None
    until: float = 0.0  # when we lose patience with the one that comes
    leaving: list[tuple[EngineChild, float]] = field(default_factory=list)

    @property
    def children(self) -> list[EngineChild]:
        """Every engine at this address."""
        return [self.serving, *([self.coming] if self.coming else []), *(child for child, _ in self.leaving)]


class Engines:
    """All of them. The launcher's loop calls `look` at each turn and waits for `readers`."""

    def __init__(
        self,
        wanted: Sequence[Listener],
        command: Callable[[Listener], list[str]],
        environ: Mapping[str, str],
        models: Path,
        var: Path,
    ) -> None:
        self._command, self._environ = command, environ
        self._models, self._var = models, var
        self.seats: list[Seat] = []
        self._wish: Wanted | None = None
        self._to_do: list[Seat] = []
        self._status = Status()
        self._looked = 0.0
        self._held = files.hold(var) if wanted else None
        before = files.status(var) if self._held is not None else Status()
        again = self._cut_short(before)
        for listener in wanted:
            listening = listen(listener)
            model = (self._before(before, listener) if again else None) or files.newest(models)
            self.seats.append(Seat(listener, listening, self._child(listener, listening, model), StandIn(listening)))
        if self._held is not None:
            self._tell(self._answer(before, again))  # no engine serves yet

    def _cut_short(self, before: Status) -> bool:
        """Whether the launcher before us ended in the middle of a hand-over that is still wanted: it is done anew."""
        wish, newest = files.wanted(self._var), files.newest(self._models)
        return before.state == files.SWITCHING and None not in (wish, newest) and wish.model == newest.name  # type: ignore[union-attr]

    def _before(self, before: Status, listener: Listener) -> Path | None:
        """What an address served then, and is known to load; None when it is gone."""
        found = [self._models / one.model for one in before.engines if one.url == listener.url]
        return found[0] if found and found[0].is_file() else None

    def _answer(self, before: Status, again: bool) -> Status:
        """What becomes of the last wish. Whoever wished waits for a word."""
        if again:
            return Status()  # it is taken up once more
        if before.state == files.SWITCHING:
            return Status(wanted=before.wanted, state=files.FAILED, failure=OUTLIVED, at=time.time())
        return Status(wanted=before.wanted, state=before.state, failure=before.failure, at=before.at)

    def _child(self, listener: Listener, listening: socket.socket, model: Path | None) -> EngineChild:
        return EngineChild(
            "engine", self._command(listener), self._environ, (listener,), listening=listening, model=model
        )

    @property
    def serving(self) -> list[EngineChild]:
        """The engines that are kept alive."""
        return [seat.serving for seat in self.seats]

    @property
    def all(self) -> list[EngineChild]:
        """Every engine, also those that come and go."""
        return [child for seat in self.seats for child in seat.children]

    @property
    def readers(self) -> list[socket.socket | int]:
        """What the launcher waits for besides signals."""
        found: list[socket.socket | int] = []
        for seat in self.seats:
            found += [child.word for child in seat.children if child.word >= 0 and child.running]
            if not seat.serving.serves:
                found += seat.stand_in.readers
        return found

    def again(self, child: EngineChild) -> None:
        """Before a crashed engine is started anew: it takes the model that it had, or the newest if it never got ready with it."""
        if not child.proven or child.model is None or not child.model.exists():
            child.model, child.proven = files.newest(self._models), False

    def look(self) -> None:
        """One turn: answer in the place of an engine that is away, go on with a hand-over, look for a wish."""
        for seat in self.seats:
            if seat.serving.serves:
                seat.stand_in.leave()
            else:
                seat.stand_in.serve()
            self._see_off(seat)
        if self._held is None:
            return
        now = time.monotonic()
        if self._wish is None and now - self._looked >= LOOK:
            self._looked = now
            self._take_up()
        if self._wish is not None:
            self._go_on(now)
        self._tell()

    # -- a hand-over ---------------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        wish = files.wanted(self._var)
        if wish is None or wish.id == self._status.wanted:
            return
        self._wish, self._to_do = wish, list(self.seats)
        for seat in self.seats:
            seat.until = 0.0
        self._tell(Status(wanted=wish.id, state=files.SWITCHING, at=time.time()))

    def _go_on(self, now: float) -> None:
        """The engines, one after the other."""
        assert self._wish is not None
        model = self._models / self._wish.model
        while self._to_do:
            seat = self._to_do[0]
            if seat.coming is None and seat.serving.model == model:
                if not seat.serving.serves:  # it starts with that very model
                    seat.until = seat.until or now + PATIENCE
                    if now >= seat.until:
                        self._end(f"le moteur n’était pas prêt au bout de {PATIENCE:.0f} s")
                    return
            elif not self._one(seat, model, now):
                return
            if self._wish is None:
                return
            self._to_do.pop(0)
        self._end()

    def _one(self, seat: Seat, model: Path, now: float) -> bool:
        """Whether the seat is done with; the wish is gone when it failed."""
        if seat.coming is None:
            if not model.is_file():
                self._end(f"{model.name} n’est pas dans models/.")
                return True
            coming = self._child(seat.listener, seat.listening, model)
            try:
                coming.start()
            except (OSError, subprocess.SubprocessError) as error:  # no process, no memory: the old one goes on
                coming.close()
                self._end(f"un second moteur ne démarre pas ({type(error).__name__})")
                return True
            seat.coming, seat.until = coming, now + PATIENCE
            say(f"moteur : un second démarre avec {model.name}, le premier répond jusqu’à ce qu’il soit prêt.")
            return False
        coming = seat.coming
        alive = coming.running  # asked first: what it said before it ended is heard below
        if coming.listens():
            coming.ready = True
            seat.coming = None
            self._take_over(seat, coming, now)
            return True
        if alive and not coming.failure and now < seat.until:
            return False
        if alive and not coming.failure:
            why = f"le nouveau moteur n’était pas prêt au bout de {PATIENCE:.0f} s"
        else:
            code = coming.process.returncode if coming.process else 0
            why = f"le nouveau moteur n’a pas démarré ({coming.failure or f'arrêt, code {code}'})"
        coming.signal(signal.SIGKILL)
        seat.leaving.append((coming, now))
        seat.coming = None
        self._end(why)
        return True

    def _take_over(self, seat: Seat, coming: EngineChild, now: float) -> None:
        old, seat.serving = seat.serving, coming
        old.signal(signal.SIGTERM)
        seat.leaving.append((old, now + LEAVE))
        say(
            f"moteur : {coming.model.name if coming.model else 'le nouveau'} répond désormais ; l’ancien finit et part."
        )

    def _end(self, failure: str = "") -> None:
        assert self._wish is not None
        state = files.FAILED if failure else files.DONE
        if failure:
            say(f"moteur : le modèle n’a pas changé ({failure}).")
        wish, self._wish, self._to_do = self._wish, None, []
        self._tell(Status(wanted=wish.id, state=state, failure=failure, at=time.time()))

    def _see_off(self, seat: Seat) -> None:
        """Who leaves has finished, or is ended."""
        for child, until in list(seat.leaving):
            if child.running:
                if time.monotonic() > until:
                    child.signal(signal.SIGKILL)
                continue
            child.close()
            seat.leaving.remove((child, until))

    def _tell(self, status: Status | None = None) -> None:
        """Write down what changed."""
        status = status or self._status
        engines = tuple(
            Serving(seat.listener.url, seat.serving.model.name, seat.serving.process.pid, seat.serving.since)
            for seat in self.seats
            if seat.serving.ready and seat.serving.model and seat.serving.process
        )
        chosen = tuple(seat.serving.model.name for seat in self.seats if seat.serving.model)
        new = Status(engines, status.wanted, status.state, status.failure, status.at, chosen)
        if new != self._status:
            self._status = new
            with contextlib.suppress(OSError):  # a full disk must not end the launcher
                files.tell(self._var, new)


def listen(one: Listener) -> socket.socket:
    """The socket of an engine. Raises SetupError when the port is taken."""
    host = "127.0.0.1" if one.host == "localhost" else one.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, one.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SetupError(
            f"Le port {one.port} ne s’ouvre pas ({os.strerror(error.errno or 0)}).",
            f"Libérez-le, ou donnez-en un autre avec PLANTON_{one.setting}.",
        ) from None
    listening.setblocking(False)
    return listening


def wait_for(readers: Iterable[socket.socket | int], wake: int, pause: float) -> None:
    """Sleep until there is something to read, or `pause` seconds."""
    import select

    poll = select.poll()  # unlike select(), without a limit on descriptors
    poll.register(wake, select.POLLIN)
    for reader in readers:
        poll.register(reader, select.POLLIN)
    poll.poll(max(0.0, pause) * 1000)
