"""A role's policy, read again after a publication and exchanged between two messages.

What cannot be read changes nothing: the older policy goes on, and `planton doctor` and the page of models say why.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from bot.app import policy as policies
from bot.app.policy import Policy
from bot.core.clock import Clock
from bot.core.dialogue import QuickReply
from bot.core.errors import Explained, SetupError
from bot.policy.emergency import Detection
from bot.settings import Settings
from bot.store import facts
from bot.store.db import Database, Listener
from bot.store.emergencies import EmergencyPlan, Seen
from bot.store.workbench.publications import MODELS, RELOADED, reloaded
from bot.trainer.candidates import Model

log = logging.getLogger("planton.reload")

LOOK = 60.0  # seconds between looks when no news comes
AGAIN = 2.0  # seconds before what could not be written down is tried again
T = TypeVar("T")


class Follows(Protocol):
    """What `following` keeps up to date. `model`: the hash of what it read; `fault`: French, why it could not."""

    model: str
    fault: str

    def in_service(self) -> Model | None:
        """The model that answers now."""
        ...

    async def reload(self) -> None:
        """Read again."""
        ...


class Live:
    """The present policy of a process. Each call uses one policy from beginning to end."""

    def __init__(self, settings: Settings, build: Callable[..., Policy] = policies.build) -> None:
        """`build`: as `policy.build`. Raises SettingsError or SetupError."""
        self._settings, self._build = settings, build
        self.fault = ""
        model = self.in_service()
        self.model, self.policy = _name(model), self._first(model)
        self.texts: Mapping[str, str] = _Latest(lambda: self.policy.texts)
        self.buttons: Mapping[str, Sequence[QuickReply]] = _Latest(lambda: self.policy.buttons)
        self._users: list[Callable[[Policy], None]] = []

    def tell(self, use: Callable[[Policy], None]) -> None:
        """Call `use` with each new policy."""
        self._users.append(use)

    def triage(self, words: str) -> Detection | None:
        """As Policy.triage."""
        return self.policy.triage(words)

    def tapped(self, tap: str, at: datetime, now: datetime, seen: Seen, late: bool) -> EmergencyPlan | None:
        """As Policy.tapped."""
        return self.policy.tapped(tap, at, now, seen, late)

    def suspect(self, words: str) -> bool:
        """As Policy.suspect."""
        return self.policy.suspect(words)

    def plan(
        self, detection: Detection | None, words: str, at: datetime, now: datetime, seen: Seen
    ) -> EmergencyPlan | None:
        """As Policy.plan."""
        return self.policy.plan(detection, words, at, now, seen)

    def in_service(self) -> Model | None:
        """The model that answers now."""
        return policies.in_service(self._settings.engines_dir)

    def _first(self, model: Model | None) -> Policy:
        try:
            return self._build(self._settings, model)
        except SetupError as error:
            if model is None or model.files == model.root:
                raise
            # What went with the model suits another version of the program: better the present files than no answer to anybody.
            self.fault = f"{error.what} {error.remedy} En attendant, ce rôle lit les fichiers présents."
            log.error("policy of the model not read: %s", self.fault)
            return self._build(self._settings, model, model.root)

    async def reload(self) -> None:
        """Read in a thread what goes with the model in service; keep what we have when it cannot be read."""
        try:
            model, policy = await asyncio.to_thread(self._fresh)
        except Explained as error:
            self.fault = f"{error.what} {error.remedy}".strip()
        except Exception as error:  # whatever it is, messages go on with what there is
            self.fault = f"Les réponses, le lexique ou le score ne se lisent pas ({type(error).__name__})."
        else:
            self.policy, self.model, self.fault = policy, _name(model), ""
            for use in self._users:
                use(policy)
        if self.fault:
            self.fault = f"{self.fault} L’ancienne version y reste en usage."
            log.error("policy not read again: %s", self.fault)

    def _fresh(self) -> tuple[Model | None, Policy]:
        policies.lexicon.cache_clear()
        model = self.in_service()  # once: name and files are of one model
        return model, self._build(self._settings, model)


class _Latest(Mapping[str, T]):
    """A mapping that is looked up anew at each use."""

    def __init__(self, now: Callable[[], Mapping[str, T]]) -> None:
        self._now = now

    def __getitem__(self, key: str) -> T:
        return self._now()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __len__(self) -> int:
        return len(self._now())


def _name(model: Model | None) -> str:
    """A model's hash; empty without one."""
    return "" if model is None else model.hash


@contextlib.asynccontextmanager
async def following(
    live: Follows, role: str, database: Database, listener: Listener, clock: Clock
) -> AsyncIterator[None]:
    """While inside, the policy follows publications. `listener` listens on the channel MODELS."""
    task = asyncio.create_task(_follow(live, role, database, listener, clock), name="reload")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow(live: Follows, role: str, database: Database, listener: Listener, clock: Clock) -> None:
    """Say with what we decide, then read again at each publication, also when the news of it was missed, and when the engines
    were started with another model."""
    seen: str | None = None
    while True:
        said = await _asked(database)
        moved = _name(await asyncio.to_thread(live.in_service)) != live.model
        if said is not None and (moved or seen not in (None, said)):
            await live.reload()
        if said is not None and (moved or said != seen):
            seen = said
            await _say(live, role, database, clock)
        await listener.wait(MODELS, LOOK)


async def _asked(database: Database) -> str | None:
    """Which reading is asked for last; None while the database is away."""
    try:
        async with database.begin() as connection:
            return str(await facts.get(connection, RELOADED))
    except Exception as error:
        log.info("no look at publications (%s)", type(error).__name__)
        return None


async def _say(live: Follows, role: str, database: Database, clock: Clock) -> None:
    host = socket.gethostname()
    while True:
        try:
            async with database.begin() as connection:
                await reloaded(connection, role, host, clock.now(), live.model, live.fault)
            return
        except Exception as error:  # the database is away: it is told when it is back
            log.info("reload not written down (%s)", type(error).__name__)
            await asyncio.sleep(AGAIN)
