"""Runs the checks of the whole project beside the console, in a process of its own: they take ten seconds of a processor."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.trainer.checks.finding import Finding
from bot.trainer.corpus import Corpus, Example
from bot.trainer.errors import TrainerError
from bot.trainer.project import Project

log = logging.getLogger("planton.console")

ROOT = Path(__file__).resolve().parents[2]
LONGEST_LINE = 64_000_000  # bytes of one answer: a file turned upside down has a finding a line
AGAIN = 30.0  # seconds between two runs that nobody asked for
# What a run depends on; a page says when it has changed since.
WATCHED = (
    "config.yml", "domain.yml", "data/*.yml", "data/fonds/*.yml", "data/answers/*.yml", "tests/gold/*.tsv",
    "docs/guide-formateur.md",
)  # fmt: skip

Stamp = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Result:
    """What a run found. `whole`: Rasa has looked too, as far as it could; `places`: the example at (file, line)."""

    found: Sequence[Finding]
    at: datetime
    stamp: Stamp
    whole: bool
    places: dict[tuple[str, int], Example]


def stamp(project: Project) -> Stamp:
    """What the files look like from outside. Blocks for a millisecond."""
    found = []
    for pattern in WATCHED:
        for path in sorted(project.root.glob(pattern)):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((str(path), status.st_mtime_ns, status.st_size))
    return tuple(found)


class Runner:
    """One run at a time; its last result stays in memory. `tell` is awaited whenever there is something new to show."""

    def __init__(
        self, project: Project, now: Callable[[], datetime], tell: Callable[[], Awaitable[None]], way: str
    ) -> None:
        """`way`: ENGINE_WALL, for what Rasa runs."""
        self._way = way
        self._project = project
        self._now = now
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self._ended = float("-inf")
        self.step = ""  # what is being done, "" when nothing is
        self.failed = False  # the last run did not end
        self.result: Result | None = None

    @property
    def running(self) -> bool:
        """Whether a run is under way."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Run now, if no run is under way."""
        if not self.running:
            self.step, self.failed = "lecture des fichiers", False
            self._task = asyncio.create_task(self._run(), name="checks")

    async def start_if_stale(self) -> bool:
        """Run if there is no result, or the files have changed since; whether what is shown is older than the files."""
        if self.result is None:
            if not self.failed:
                self.start()
            return False
        stale = await asyncio.to_thread(stamp, self._project) != self.result.stamp
        if stale and not self.running and asyncio.get_running_loop().time() - self._ended > AGAIN:
            self.start()
        return stale

    async def stop(self) -> None:
        """End a run that is under way."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        try:
            seen = await asyncio.to_thread(stamp, self._project)
            async for line in self._lines():
                if "step" in line:
                    self.step = str(line["step"])
                else:
                    self.result = await self._result(line, seen)
                await self._tell()
            self.failed = self.result is None or not self.result.whole or self.result.stamp != seen
        except Exception as error:  # the page says that it did not work, and offers to try again
            log.warning("checks did not run: %s", type(error).__name__)
            self.failed = True
        finally:
            self.step, self._ended = "", asyncio.get_running_loop().time()
        with contextlib.suppress(Exception):  # the database is away: who opens the page sees the result
            await self._tell()

    async def _lines(self) -> Any:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot.trainer.checks",
            str(self._project.root.resolve()),
            self._now().date().isoformat(),
            *("--rasa", self._way),
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith("PLANTON_")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # a trace could quote an example
            limit=LONGEST_LINE,
            preexec_fn=_behind,
        )
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                yield json.loads(line)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                await process.wait()

    async def _result(self, line: dict[str, Any], seen: Stamp) -> Result:
        found = [Finding(**each) for each in line["findings"]]
        places = await asyncio.to_thread(_places, self._project, {(one.file, one.line) for one in found if one.text})
        return Result(found, self._now(), seen, bool(line["whole"]), places)


def _behind() -> None:
    """Whoever works in the console comes first."""
    os.nice(5)


def _places(project: Project, wanted: set[tuple[str, int | None]]) -> dict[tuple[str, int], Example]:
    try:
        corpus = Corpus.read(project)
    except TrainerError:
        return {}
    return {(each.file, each.line): each for each in corpus.examples if (each.file, each.line) in wanted}
