"""What the role `trainer` and the launcher say to each other: two small files in ENGINES_DIR, each written by one of them.

`engines-wanted.json` (trainer): which model shall serve. `engines.json` (launcher): which engines there are, with which model,
and what became of the last wish. While a launcher looks after engines it holds `engines.lock`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

WANTED, STATUS, LOCK = "engines-wanted.json", "engines.json", "engines.lock"
SWITCHING, DONE, FAILED = "switching", "done", "failed"
SUFFIX = ".tar.gz"
LOOKS = 10


@dataclass(frozen=True)
class Wanted:
    """A wish. `model`: the file name of an archive in `models/`; `id`: never the same twice."""

    id: str
    model: str


@dataclass(frozen=True)
class Serving:
    """One engine. `model`: its archive's file name, empty while it starts; `since`: seconds since the epoch."""

    url: str
    model: str
    pid: int
    since: float


@dataclass(frozen=True)
class Status:
    """What the launcher says. `wanted`: the id of the last wish that it took up; `failure`: why it came to nothing, in French;
    `chosen`: the archives that its engines have or start with, also while none answers."""

    engines: tuple[Serving, ...] = ()
    wanted: str = ""
    state: str = ""
    failure: str = ""
    at: float = 0.0
    chosen: tuple[str, ...] = ()

    @property
    def models(self) -> set[str]:
        """The models that serve."""
        return {one.model for one in self.engines}


def ask(var: Path, model: str) -> Wanted:
    """Leave a wish for the launcher, which looks twice a second."""
    wanted = Wanted(uuid.uuid4().hex, model)
    _write(var / WANTED, asdict(wanted))
    return wanted


def wanted(var: Path) -> Wanted | None:
    """The last wish; None when there is none, or none that can be read."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        found = Wanted(**json.loads((var / WANTED).read_text(encoding="utf-8")))
        if isinstance(found.id, str) and isinstance(found.model, str) and found.model == Path(found.model).name:
            return found
    return None


def tell(var: Path, status: Status) -> None:
    """What the launcher says of itself."""
    _write(var / STATUS, asdict(status))


def status(var: Path) -> Status:
    """What the launcher said last; an empty one when it never did."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        kept: dict[str, Any] = json.loads((var / STATUS).read_text(encoding="utf-8"))
        serving = tuple(Serving(**one) for one in kept["engines"])
        return Status(**{**kept, "engines": serving, "chosen": tuple(map(str, kept.get("chosen", ())))})
    return Status()


def hold(var: Path) -> int | None:
    """Say that we look after the engines of this folder; the descriptor to keep, None when somebody else does."""
    var.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(var / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    for _ in range(LOOKS):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        time.sleep(0.02)  # somebody may only be asking (`held`), for a moment
    os.close(descriptor)
    return None


def held(var: Path) -> bool:
    """Whether a launcher looks after engines here."""
    try:
        descriptor = os.open(var / LOCK, os.O_RDONLY | os.O_CLOEXEC)  # who only asks need not be able to write
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def in_service(models: Path, var: Path | None) -> Path | None:
    """The archive that answers: the engines' own word where a launcher looks after them, else the newest.

    While engines change, it is the one of before: the new one is in service once all have it.
    """
    if var is not None and held(var):
        said, wish = status(var), wanted(var)
        names = said.models or set(said.chosen)
        if said.state == SWITCHING and wish is not None:
            names = names - {wish.model} or names
        found = [path for path in _dated(models) if path.name in names]
        if found:
            return found[-1]
    return newest(models)


def newest(models: Path) -> Path | None:
    """The newest archive, which engines take when they start."""
    found = _dated(models)
    return found[-1] if found else None


def _dated(models: Path) -> list[Path]:
    """The archives, the oldest first."""
    found: list[tuple[int, str, Path]] = []
    for path in models.glob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # moved or forgotten in this very moment
            found.append((path.stat().st_mtime_ns, path.name, path))
    return [path for _, _, path in sorted(found)]


def touch(archive: Path, at: float | None = None) -> None:
    """Make an archive the newest one, its danger score with it."""
    now = time.time() if at is None else at
    for path in (archive.with_name(archive.name[: -len(SUFFIX)] + ".danger.json"), archive):
        with contextlib.suppress(FileNotFoundError):
            os.utime(path, (now, now))


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(value), encoding="utf-8")
    draft.replace(path)
