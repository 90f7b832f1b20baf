"""A candidate's engine that is scripted, and a project with candidates that it may be started with."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from typing import Any

from bot.app import policy as policies
from bot.app.trial import judge
from bot.core.clock import SystemClock
from bot.core.dialogue import Turn
from bot.settings import Settings
from bot.trainer.candidates import Model
from bot.trainer.project import Project
from bot.trainer.trial import READY, STARTING, Judge, State, Taken, TrialError
from tests.fakes.engine import ScriptedEngine


@dataclass
class ScriptedCandidate:
    """Implements `bot.trainer.trial.Candidate`; ready at once unless `slow`. `full`: why there is no memory."""

    engine: ScriptedEngine = field(default_factory=ScriptedEngine)
    state: State = field(default_factory=State)
    slow: bool = False
    full: str = ""

    async def start(self, model: Model, who: str, replace: bool = False) -> None:
        """As the real one."""
        if self.state.lives and self.state.who != who and not replace:
            raise Taken(f"{self.state.who} essaie déjà un autre candidat.", "Demandez-lui, ou remplacez-le.")
        if self.full:
            raise TrialError(self.full, "Réessayez un peu plus tard.")
        self.state = State(STARTING if self.slow else READY, model, who)

    async def stop(self) -> None:
        """End it."""
        self.state = State()

    async def turn(self, text: str, state: dict[str, Any] | None, payload: str | None = None) -> Turn:
        """As the scripted engine."""
        if self.state.phase != READY:
            raise TrialError("Le candidat n’est pas prêt.", "Attendez qu’il ait démarré.")
        return await self.engine.turn("essai", text, state, payload)


@functools.cache
def scripted_judge() -> Judge:
    """The real policy by day, whatever the model."""
    settings, clock = Settings({}), SystemClock()
    policy = policies.build(Settings({"PLANTON_NIGHT_START": "00:00", "PLANTON_NIGHT_END": "00:00"}))

    def decide(text: str, turn: Turn, model: Model | None, *, begun: bool, handed: bool) -> Any:
        return judge(settings, clock.now, lambda: policy, text, turn, None, begun=begun, handed=handed)

    return decide


def candidate(
    project: Project, name: str, author: str = "Inès Roux", made_at: str = "2026-03-03T14:05:00+01:00"
) -> Model:
    """A file that stands for a candidate, with its card."""
    folder = project.path("models/candidates")
    folder.mkdir(parents=True, exist_ok=True)
    model = Model(folder / f"{name}.tar.gz", project.root)
    model.archive.write_bytes(b"no real model")
    model.card.write_text(json.dumps({"hash": name, "author": author, "made_at": made_at}))
    return model
