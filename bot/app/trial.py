"""The trial of a candidate, wired: which engine, how much memory there is, what the policy decides."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bot.app import policy as policies
from bot.app.launcher import engine_environ, engine_python
from bot.app.places import MODELS
from bot.app.policy import Policy
from bot.app.route import decision
from bot.app.wall import wall
from bot.core import served
from bot.core.clock import Clock
from bot.core.dialogue import Turn
from bot.settings import PREFIX, Settings
from bot.store import news
from bot.store.db import Database
from bot.store.workbench.runs import MEASURING, TRAINING, Runs
from bot.trainer import memory
from bot.trainer.candidates import Model
from bot.trainer.trial import CandidateEngine, Decision, Trial

MOST = 6_000_000_000  # bytes that all of Planton may hold on this machine
ENGINE = 1_500_000_000  # bytes of an engine
LEARNING = 3_000_000_000  # bytes of a training, as long as none has told
NEWS = "trial"


def trial(
    settings: Settings, database: Database, clock: Clock, present: Callable[[], Policy]
) -> tuple[Trial, CandidateEngine]:
    """What the console's page works with, and the engine to close at the end. `present`: the policy in service."""

    async def tell() -> None:
        with contextlib.suppress(Exception):  # the database may be away: pages look again by themselves
            async with database.begin() as connection:
                await news.topic(connection, NEWS)

    engine = CandidateEngine(
        lambda address, archive: [
            *(str(engine_python()), "-m", "bot.engine", "serve"),
            *("--unix", str(address), "--model", str(archive)),
        ],
        {**engine_environ(settings.environ), PREFIX + "PDEATHSIG": "1"},
        MODELS,
        functools.partial(room, Runs(database)),
        tell,
        wall=functools.partial(wall, settings),
    )
    return Trial(engine, functools.partial(judge, settings, clock.now, present)), engine


async def room(runs: Runs, starts: bool) -> str | None:
    """Why there is no memory for a candidate, in French; None when there is. It only lacks while a training runs."""
    recent = await runs.recent(20)
    if not any(run.state in (TRAINING, MEASURING) for run in recent):
        return None
    expected = max((run.memory for run in recent if run.memory), default=LEARNING)
    held, learning = await asyncio.to_thread(_held)
    wanted = held + max(0, expected - learning) + (ENGINE if starts else 0)
    if wanted <= MOST:
        return None
    return (
        f"Un entraînement est en cours\u00a0: avec un candidat à l’essai, Planton prendrait {_giga(wanted)} de mémoire, "
        f"plus que les {_giga(MOST)} prévus."
    )


def _giga(size: int) -> str:
    return f"{size / 1e9:.1f}".replace(".", ",") + "\u00a0Go"


def _held() -> tuple[int, int]:
    """(bytes that everything under the launcher holds, bytes of them that the role `trainer` holds)."""
    given = os.environ.get(PREFIX + "PARENT", "")
    top = int(given) if given.isdigit() and int(given) == os.getppid() else os.getpid()
    learning = 0
    with contextlib.suppress(OSError, ValueError):
        for one in Path(f"/proc/{top}/task/{top}/children").read_text().split():
            if b"\0_role\0trainer\0" in Path(f"/proc/{one}/cmdline").read_bytes():
                learning += memory.held(int(one))
    return memory.held(top), learning


def judge(
    settings: Settings,
    now: Callable[[], datetime],
    present: Callable[[], Policy],
    text: str,
    turn: Turn,
    model: Model | None,
    *,
    begun: bool,
    handed: bool,
) -> Decision:
    """As `planton route`, for any message of a conversation and with the score of that model."""
    policy = present() if model is None else _of(settings, model, _age(model))
    found = decision(policy, text, turn, now(), introduced=begun, handoff_open=handed)
    meant = turn.understanding
    return Decision(
        found.intent,
        found.confidence,
        found.route,
        found.category,
        found.replies,
        meant.ranking,
        meant.entities,
        meant.danger,
        found.by,
    )


def _age(model: Model) -> float:
    """When what a policy is made of was last changed."""
    places = (model.score, *(model.files / name for name in served.names(model.files)))
    return max((place.stat().st_mtime for place in places if place.exists()), default=0.0)


@functools.lru_cache(maxsize=2)
def _of(settings: Settings, model: Model, _age: float) -> Policy:
    return policies.build(settings, model)
