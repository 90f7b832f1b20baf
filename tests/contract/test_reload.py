"""A role's policy follows publications: read in a thread, exchanged between two messages, kept when what is new cannot be read."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.app import policy as policies
from bot.app import reload
from bot.app.policy import Policy
from bot.app.reload import Live, following
from bot.core.clock import FrozenClock
from bot.core.errors import SetupError
from bot.settings import Settings
from bot.store.db import Database, Listener
from bot.store.workbench.publications import MODELS, Publications
from bot.trainer import engines
from bot.trainer.candidates import Model
from tests.conftest import of_part
from tests.scenario.processes import until


class Files:
    """What a policy is built from, as the test changes it."""

    def __init__(self, base: Policy) -> None:
        self._base = base
        self.texts = {"utter_nuit": "un"}
        self.broken: Exception | None = None
        self.built = 0

    def build(self, _settings: Settings, _model: Model | None, _files: Path | None = None) -> Policy:
        self.built += 1
        if self.broken is not None:
            raise self.broken
        return dataclasses.replace(self._base, texts=dict(self.texts))


@pytest.fixture(scope="module")
def base() -> Policy:
    return policies.build(Settings({}))


@pytest.fixture
def files(base: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setattr(policies, "MODELS", tmp_path)
    model(tmp_path, "a", 1)
    return Files(base)


def settings(folder: Path) -> Settings:
    """Whose launcher's words are the test's own."""
    return Settings({"PLANTON_VAR_DIR": str(folder / "var")})


def model(folder: Path, name: str, at: float) -> None:
    (folder / f"{name}.tar.gz").write_text(name)
    engines.touch(folder / f"{name}.tar.gz", at)


@pytest.fixture
async def listener(database_url: str) -> AsyncIterator[Listener]:
    one = Listener(database_url, (MODELS,))
    one.start()
    yield one
    await one.close()


async def told(database: Database) -> tuple[str, str]:
    rows = await Publications(of_part(database, "trainer")).reloads()
    return (rows[0].model, rows[0].fault) if rows else ("", "")


def becomes(database: Database, wanted: tuple[str, str]) -> Callable[[], Any]:
    async def there() -> bool:
        return await told(database) == wanted

    return there


async def test_it_follows_a_publication(
    files: Files, database: Database, listener: Listener, frozen_clock: FrozenClock, tmp_path: Path
) -> None:
    live = Live(settings(tmp_path), files.build)
    texts, told_of = live.texts, []
    live.tell(lambda policy: told_of.append(policy.texts["utter_nuit"]))
    async with following(live, "gateway", database, listener, frozen_clock):
        await until(becomes(database, ("a", "")), 30, "it says with what it begins")
        files.texts["utter_nuit"] = "deux"
        assert texts["utter_nuit"] == "un"  # a draft in the files changes nothing
        model(tmp_path, "b", 2)
        await Publications(of_part(database, "trainer")).reload("b")
        await until(becomes(database, ("b", "")), 30, "it has read again")
        assert texts["utter_nuit"] == "deux"
        assert dict(texts) == {"utter_nuit": "deux"}
        assert set(told_of) == {"deux"}  # twice when it looked between the model that was laid there and the news of it


@pytest.mark.parametrize("error", [SetupError("domain.yml, ligne 3 : faux.", "Corrigez."), ValueError("secret")])
async def test_what_cannot_be_read_keeps_the_older_one_and_is_told(
    files: Files, database: Database, listener: Listener, frozen_clock: FrozenClock, tmp_path: Path, error: Exception
) -> None:
    live = Live(settings(tmp_path), files.build)
    before = live.policy
    async with following(live, "worker", database, listener, frozen_clock):
        await until(becomes(database, ("a", "")), 30, "it says with what it begins")
        files.broken = error
        model(tmp_path, "b", 2)
        await Publications(of_part(database, "trainer")).reload("b")

        async def faulty() -> bool:
            return (await told(database))[1] != ""

        await until(faulty, 30, "it is told")
        kept, fault = await told(database)
        assert kept == "a"
        assert ("domain.yml, ligne 3 : faux. Corrigez." in fault) is isinstance(error, SetupError)
        assert "secret" not in fault
        assert fault.endswith("L’ancienne version y reste en usage.")
        assert live.policy is before
        files.broken = None
        await Publications(of_part(database, "trainer")).reload("b")
        await until(becomes(database, ("b", "")), 30, "mended")


async def test_news_that_were_missed_are_made_up_for(
    files: Files,
    database: Database,
    database_url: str,
    frozen_clock: FrozenClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No LISTEN connection at all: the look at the database is enough."""
    monkeypatch.setattr(reload, "LOOK", 0.05)
    deaf = Listener(database_url, (MODELS,))
    live = Live(settings(tmp_path), files.build)
    async with following(live, "console", database, deaf, frozen_clock):
        await until(becomes(database, ("a", "")), 30, "it says with what it begins")
        built = files.built
        await asyncio.sleep(0.3)
        assert files.built == built  # nothing was published, nothing is read
        model(tmp_path, "b", 2)
        await Publications(of_part(database, "trainer")).reload("b")
        await until(becomes(database, ("b", "")), 30, "it has read again")


async def test_what_was_published_while_it_started_counts(
    files: Files, database: Database, listener: Listener, frozen_clock: FrozenClock, tmp_path: Path
) -> None:
    live = Live(settings(tmp_path), files.build)
    model(tmp_path, "b", 2)
    await Publications(of_part(database, "trainer")).reload("b")
    async with following(live, "gateway", database, listener, frozen_clock):
        await until(becomes(database, ("b", "")), 30, "it has read again")
        assert files.built == 2


def test_the_score_is_that_of_the_model_in_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "MODELS", tmp_path)
    for name, at in (("a", 1), ("b", 2)):
        model(tmp_path, name, at)
        (tmp_path / f"{name}.danger.json").write_text("{}")
    engines.touch(tmp_path / "a.tar.gz", 3)
    (tmp_path / "b.danger.json").touch()  # the newest score is not the newest model's
    assert policies.score_of(policies.in_service()) == tmp_path / "a.danger.json"
