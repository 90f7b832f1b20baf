"""Publications without a training: models are small files that carry their true names, the launcher does as the test says.

The project, git, the gate, the record and the database are the real ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from bot.app.launcher import engine_python
from bot.core.clock import Clock
from bot.store.db import Database
from bot.store.user import User
from bot.store.workbench.publications import PUBLISH, ROLLBACK, Asked, Publication, Publications
from bot.store.workbench.runs import Runs
from bot.trainer import engines, yardstick
from bot.trainer.candidates import CANDIDATES, SUFFIX, Card, Model
from bot.trainer.comparison import EMERGENCY, INTENTS, Comparison, SetComparison, Words
from bot.trainer.figures import Judged
from bot.trainer.gold import Case
from bot.trainer.project import Project
from bot.trainer.publishing import Publisher
from bot.trainer.runs import comparison_of
from tests.conftest import of_part
from tests.fakes.project import AUTHOR, ROOT

_NAMES = """
import sys
from pathlib import Path
from bot.engine.inputs import fingerprint
for line in sys.stdin:
    print(fingerprint(Path(line[:-1])), flush=True)
"""
DANGER = Case("au secours il a un couteau", "danger_immediat", "", "emergency", 2)
SENSITIVE = Case("mon mari me frappe", "violences_conjugales", "", "handoff", 3)
THEFT = Case("on m'a volé mon vélo", "plainte_comment", "", "answer", 4)


@functools.cache
def _namer() -> subprocess.Popen[str]:
    """Ends with this process, whose end closes what it reads."""
    return subprocess.Popen(
        [engine_python(), "-c", _NAMES], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def named(project: Project) -> str:
    """As `publishing.fingerprint`, which takes a process, and a quarter of a second, for each name."""
    namer = _namer()
    assert namer.stdin is not None
    assert namer.stdout is not None
    namer.stdin.write(f"{project.root}\n")
    namer.stdin.flush()
    return namer.stdout.readline().strip()


def comparison(current: str, candidate: str, missed: bool = False, fallen: bool = False) -> Comparison:
    """Both gold sets, read alike. `missed`: the candidate misses a danger; `fallen`: it reads an intent worse."""
    cases = [DANGER, SENSITIVE, THEFT]
    before = [Judged(case, case.intent, case.route, case.intent, 0.9) for case in cases]
    after = list(before)
    if missed:
        after[0] = replace(after[0], intent="salutation", route="answer")
    if fallen:
        after[2] = replace(after[2], intent="main_courante", guess="main_courante")
    sets = tuple(SetComparison.of(name, before, after) for name in (EMERGENCY, INTENTS))
    words = Words(3, 1.0, 0, 0)
    return Comparison(current, candidate, sets, words_before=words, words=words)


@dataclass
class Launcher:
    """In the place of `planton run`: answers wishes. `refuses`: models that it cannot start, with why."""

    var: Path
    models: Path
    serving: str
    refuses: dict[str, str] = field(default_factory=dict)
    wished: list[str] = field(default_factory=list)
    hold: asyncio.Event | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Launcher]:
        """While inside, it runs."""
        import os

        held = engines.hold(self.var)
        assert held is not None
        self._tell("", "")
        task = asyncio.create_task(self._work())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            os.close(held)

    async def _work(self) -> None:
        seen = engines.wanted(self.var)
        while True:
            await asyncio.sleep(0.02)
            wish = engines.wanted(self.var)
            if wish is None or wish == seen:
                continue
            seen = wish
            model = wish.model.removesuffix(SUFFIX)
            self.wished.append(model)
            self._tell(wish.id, engines.SWITCHING)
            if self.hold is not None:
                await self.hold.wait()
            why = self.refuses.get(model, "")
            if not why and not (self.models / wish.model).is_file():
                why = f"{wish.model} n’est pas dans models/."
            if not why:
                self.serving = model
            self._tell(wish.id, engines.FAILED if why else engines.DONE, why)

    def _tell(self, wanted: str, state: str, failure: str = "") -> None:
        one = engines.Serving("http://127.0.0.1:5005", self.serving + SUFFIX, 1, 1_768_474_800.0)
        engines.tell(self.var, engines.Status((one,), wanted, state, failure, 1_768_474_800.0))


class World:
    """A project with a model in service and a candidate of what has changed since, and the role that publishes."""

    def __init__(self, project: Project, var: Path, database: Database, clock: Clock) -> None:
        self.project, self.var, self.database, self.clock = project, var, database, clock
        self.models = project.root / "models"
        self.publications = Publications(of_part(database, "trainer"))
        self.wishes = Publications(of_part(database, "console"))
        self.user: User | None = None
        self.alone = False  # the site does without a second person
        self._minutes = 0
        self.first = self._model(self.models, named(project))

    @property
    def serving(self) -> str:
        """The newest archive in models/."""
        newest = engines.newest(self.models)
        return newest.name.removesuffix(SUFFIX) if newest else ""

    @property
    def publisher(self) -> Publisher:
        """The real one."""

        async def compared(candidate: str) -> Comparison | None:
            return await comparison_of(self.database, candidate)

        return Publisher(
            self.project,
            self.publications,
            compared,
            self.var,
            self.clock,
            fingerprint=named,
            patience=20,
            pause=0.001,
            second=not self.alone,
        )

    def _model(self, folder: Path, name: str) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        model = Model(folder / f"{name}{SUFFIX}", self.project.root)
        model.score.write_text(json.dumps({"of": name}))
        Card(name, "Inès", "2026-01-15T12:00:00+01:00", figures={INTENTS: {"accuracy": 0.9}}).write(model.card)
        model.archive.write_text(json.dumps({"word": name}))
        self._minutes += 1
        engines.touch(model.archive, 1_768_000_000 + 60 * self._minutes)
        return name

    def change(self, example: str, intent: str = "armes") -> None:
        """Somebody corrects: one example more."""
        head = f"  - intent: {intent}\n    examples: |\n"
        nlu = self.project.read("data/nlu.yml")
        assert head in nlu
        self.project.write("data/nlu.yml", nlu.replace(head, f"{head}      - {example}\n", 1))

    def reword(self, old: str, new: str, file: str = "domain.yml") -> None:
        """Somebody changes the words of a file."""
        text = self.project.read(file)
        assert old in text
        self.project.write(file, text.replace(old, new, 1))

    async def candidate(self, missed: bool = False, fallen: bool = False) -> str:
        """A training of the files as they stand, compared to the model in service."""
        name = self._model(self.models / CANDIDATES, named(self.project))
        await self.compare(name, missed, fallen)
        return name

    async def compare(self, name: str, missed: bool = False, fallen: bool = False, against: str = "") -> None:
        """Its comparison, as a training leaves it: with the newest model, or another."""
        current = against or self.serving
        runs, now = Runs(self.database), self.clock.now()
        assert self.user is not None
        await runs.ask(now, self.user)
        run = await runs.claim(now)
        assert run is not None
        kept = replace(comparison(current, name, missed, fallen), yardstick=yardstick.digest(self.project.root))
        await runs.finish(
            run, now, current=current, candidate=name, result=kept.to_json(), summary={}, stages={}, memory=0
        )

    async def ask(self, model: str, message: str = "Vélos volés", kind: str = PUBLISH, reason: str = "") -> int:
        """Somebody presses the button."""
        assert self.user is not None
        asked = Asked(kind, model, self.serving, message, reason, [{"intent": "plainte_comment"}] if reason else [])
        return await self.wishes.ask(self.clock.now(), self.user, asked)

    async def publish(self, model: str, message: str = "Vélos volés", reason: str = "") -> Publication:
        """Ask, and have it done."""
        return await self._done(await self.ask(model, message, PUBLISH, reason))

    async def back(self, model: str) -> Publication:
        """Go back, and have it done."""
        return await self._done(await self.ask(model, f"Retour au modèle {model}", ROLLBACK))

    async def _done(self, number: int) -> Publication:
        assert await self.publisher.work()
        found = await self.publications.get(number)
        assert found is not None
        return found

    def recorded(self, count: int = 1) -> list[str]:
        """The first lines of the last commits, newest first."""
        return self.project.git("log", f"-{count}", "--format=%s").splitlines()

    def dirty(self) -> list[str]:
        """What stands uncommitted."""
        return self.project.git("status", "--porcelain").splitlines()

    def by_hand(self, message: str = "à la main") -> None:
        """Somebody commits in a terminal."""
        self.project.git("commit", "--quiet", "--all", "--message", message, author=AUTHOR)
