"""What the role `trainer` does all day: takes what is asked for, one thing at a time, and never disturbs the service."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ctypes.util
import functools
import logging
import os
import platform
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from bot.core.clock import Clock
from bot.core.errors import Explained
from bot.policy.intents import policy_of
from bot.store import faults
from bot.store.codec import Codec
from bot.store.db import TRAINER, Database, Listener
from bot.store.workbench import readings
from bot.store.workbench.publications import Publications
from bot.store.workbench.runs import MEASURING, TRAINING, Run, Runs, Step
from bot.trainer.comparison import Comparison
from bot.trainer.conduct import (
    ANSWERS,
    Conductor,
    Halt,
    Measure,
    MeasureAnswers,
    MeasureWords,
    Order,
    Outcome,
    Stopped,
    inputs,
)
from bot.trainer.gold import Case
from bot.trainer.project import Project
from bot.trainer.wall import OPEN, Wall

log = logging.getLogger("planton.trainer")

POLL = 1.0  # seconds between looks when nothing wakes us
BEAT = 1.0  # seconds between heartbeats
TELL = 5.0  # seconds after which open pages look again
SINCE = timedelta(days=31)  # the last month's confirmed messages
_IDLE = 3 << 13  # ioprio: the idle class
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}


class Taker(Protocol):
    """Something that the role does."""

    async def __call__(self) -> bool:
        """Do one of what waits; whether there was one."""


def lowest_priority() -> None:
    """This process and all that it starts get what the service leaves: the lowest processor priority, the disk when idle."""
    os.nice(19)
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True).syscall(number, 1, 0, _IDLE)


async def keep_taking(takers: Sequence[Taker], listener: Listener) -> None:
    """Take for ever what waits, the first takers first. A database that is away is waited for; what fails does not end the role."""
    while True:
        try:
            for take in takers:
                if await take():
                    break
            else:
                await listener.wait(TRAINER, POLL)
        except Exception as error:
            if faults.passes(error):
                log.warning("%s; trying again", faults.told(error))
                await asyncio.sleep(POLL)
                continue
            log.error("%s\n%s", faults.told(error), "".join(traceback.format_tb(error.__traceback__)))
            await asyncio.sleep(POLL)


def once(work: Callable[[], Awaitable[None]]) -> Taker:
    """Something to do before all else, again and again until it went well."""
    done = False

    async def take() -> bool:
        nonlocal done
        if not done:
            await work()
            done = True
        return False

    return take


class Trainings:
    """Takes trainings. `conductor`: builds what trains and compares, from a report and a halt."""

    def __init__(
        self,
        project: Project,
        database: Database,
        codec: Codec,
        listener: Listener,
        clock: Clock,
        conductor: Callable[[Callable[[str, float, Mapping[str, Any]], None], Halt], Conductor],
    ) -> None:
        self._project = project
        self._db = database
        self._codec = codec
        self._listener = listener
        self._clock = clock
        self._make = conductor
        self._runs = Runs(database)

    async def take(self) -> bool:
        """One training, if one waits."""
        run = await self._runs.claim(self._clock.now())
        if run is None:
            return False
        log.info("training %s: begun, try %s", run.id, run.attempts)
        halt, state = Halt(), _State()
        beating = asyncio.create_task(self._beat(run, halt, state))
        try:
            await self._do(run, halt, state)
        except asyncio.CancelledError:
            halt.stop()
            beating.cancel()
            with contextlib.suppress(Exception):
                await self._runs.give_back(run, self._clock.now())
            raise
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        return True

    async def _do(self, run: Run, halt: Halt, state: _State) -> None:
        runs, now = self._runs, self._clock.now
        try:
            outcome = await self._conduct(run, halt, state)
        except Stopped:
            log.info("training %s: stopped", run.id)
            await runs.stopped(run, now())
        except Explained as error:
            log.info("training %s: failed (%s)", run.id, type(error).__name__)
            await runs.fail(run, now(), error.what, error.remedy)
        except Exception as error:  # a defect of ours: said, never with a stack trace to a trainer
            log.error(
                "training %s: %s\n%s", run.id, type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
            )
            what = f"L’entraînement s’est arrêté sur une erreur de Planton ({type(error).__name__})."
            await runs.fail(
                run, now(), what, "Relancez un essai ; si cela se répète, prévenez la personne qui gère Planton."
            )
        else:
            comparison = outcome.comparison
            await runs.finish(
                run,
                now(),
                current=outcome.current,
                candidate=outcome.candidate,
                result=None if comparison is None else comparison.to_json(),
                summary={} if comparison is None else summary(comparison),
                stages=outcome.seconds,
                memory=outcome.memory,
            )
            log.info("training %s: done", run.id)

    async def _conduct(self, run: Run, halt: Halt, state: _State) -> Outcome:
        found = await asyncio.to_thread(inputs, self._project)
        await self._runs.stands_for(run, found.commit, found.diff)
        confirmed = await self._confirmed()
        order = Order(
            self._project,
            run.author,
            self._clock.now().isoformat(),
            [
                Case(one.words, one.intent, one.second or "", policy_of(one.intent).route)
                for one in confirmed
                if one.words.strip()
            ],
            [one.event for one in confirmed if one.words.strip()],
            run.id,
            waiting=functools.partial(self._waiting, asyncio.get_running_loop()),
        )
        conductor = self._make(state.report, halt)
        # A thread of its own: the kernel ends its processes with it, and it is waited for.
        return await _in_thread(lambda: conductor.run(order), halt)

    def _waiting(self, loop: asyncio.AbstractEventLoop) -> Collection[str] | None:
        """The candidates of open proposals and publications, for the training's thread; None while the database is away."""
        try:
            return asyncio.run_coroutine_threadsafe(Publications(self._db).awaited(), loop).result()
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            log.log(faults.level(error), "candidates that are waited for: %s", faults.told(error))
            return None

    async def _confirmed(self) -> Sequence[readings.Confirmed]:
        async with self._db.begin() as connection:
            return await readings.confirmed(connection, self._codec, self._clock.now() - SINCE)

    async def _beat(self, run: Run, halt: Halt, state: _State) -> None:
        """Lengthen the lease, say how far it is, hear whether it shall end."""
        told: tuple[str, int, int] = ("", -1, -1)
        while True:
            step = state.step()
            # Also now and then in between: what is left is told by the clock alone.
            now = (step.stage, int(step.share * 20), int(time.monotonic() / TELL))
            try:
                if not await self._runs.beat(run, self._clock.now(), step, now != told):
                    halt.stop()
                    return
                told = now
            except (SQLAlchemyError, OSError, TimeoutError) as error:
                log.log(faults.level(error), "training %s: %s", run.id, faults.told(error))
            await self._listener.wait(TRAINER, BEAT)


class _State:
    """Where a run is, written by its thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stage, self._share, self._since = "copying", 0.0, time.monotonic()
        self._stages: dict[str, float] = {}

    def report(self, stage: str, share: float, _more: Mapping[str, Any]) -> None:
        with self._lock:
            if stage != self._stage:
                now = time.monotonic()
                self._stages[self._stage] = round(now - self._since, 1)
                self._stage, self._since = stage, now
            self._share = share

    def step(self) -> Step:
        with self._lock:
            state = MEASURING if self._stage in ("candidate", "current", ANSWERS, "comparing") else TRAINING
            return Step(state, self._stage, self._share, dict(self._stages))


async def _in_thread(work: Callable[[], Outcome], halt: Halt) -> Outcome:
    """The result of blocking work; when we are cancelled, it is ended and waited for."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        halt.stop()
        await asyncio.gather(task, return_exceptions=True)
        raise


async def comparison_of(database: Database, candidate: str) -> Comparison | None:
    """The last comparison of a candidate, by its hash; None when it was never compared."""
    runs = Runs(database)
    run = await runs.of_candidate(candidate)
    kept = await runs.result(run.id) if run else None
    return Comparison.from_json(kept) if kept else None


def summary(comparison: Comparison) -> dict[str, Any]:
    """What the list of trainings shows of a comparison."""
    return {
        each.name: {
            "gains": each.test.gains,
            "losses": each.test.losses,
            "p": each.test.p,
            "verdict": each.test.verdict,
            "before": each.current.shares["accuracy"] if each.current else None,
            "after": each.candidate.shares["accuracy"] if each.candidate else None,
        }
        for each in comparison.sets
        if each.candidate
    }


def conductor_of(
    python: Path,
    environ: Mapping[str, str],
    measure: Measure,
    frugal: bool = True,
    var: Path | None = None,
    wall: Callable[[], Wall] = lambda: OPEN,
    words: MeasureWords | None = None,
    answers: MeasureAnswers | None = None,
) -> Any:
    """What `Trainings` builds its conductors with."""
    return lambda report, halt: Conductor(python, environ, measure, report, halt, frugal, var, wall, words, answers)
