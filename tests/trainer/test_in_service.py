"""What serves: the copies that went with a model, never the draft; the model that engines have, not the newest archive."""

from __future__ import annotations

import asyncio
import fcntl
import functools
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from bot.app import policy as policies
from bot.app.launcher import engine_python
from bot.app.reload import Live
from bot.core import served
from bot.core.clock import FrozenClock
from bot.settings import Settings
from bot.store.accounts import Accounts
from bot.store.db import Database
from bot.store.workbench.publications import PUBLISH, Asked
from bot.trainer import engines, publishing
from bot.trainer.candidates import CANDIDATES, SUFFIX, Model, current
from bot.trainer.project import Project
from tests.fakes import catalogue
from tests.fakes.ports import free_port
from tests.fakes.project import ROOT, copied
from tests.fakes.publishing import Launcher, World
from tests.scenario.processes import until
from tests.scenario.test_handover import Engines, Flow


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that each test copies."""
    return copied(tmp_path_factory.mktemp("service") / "projet", small=True).root


@pytest.fixture
async def world(
    template: Path, tmp_path: Path, database: Database, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> World:
    """A model in service, one example more since; roles read this project."""
    shutil.copytree(template, tmp_path / "projet", symlinks=True)
    made = World(Project(tmp_path / "projet"), tmp_path / "var", database, frozen_clock)
    made.user = await Accounts(database, "secret").add("Inès", "trainer", None)
    made.alone = True
    made.alone = True  # nobody reads what the night is told beside
    made.change("on m'a volé mon vélo électrique")
    monkeypatch.setattr(policies, "PROJECT", made.project.root)
    monkeypatch.setattr(policies, "MODELS", made.models)
    monkeypatch.setattr(policies, "score", lambda _path: None)
    return made


def live(world: World) -> Live:
    """A role that starts."""
    return Live(Settings({"PLANTON_VAR_DIR": str(world.var)}))


def says(world: World, words: str) -> None:
    """Somebody writes another reply for the night, and leaves it in the files."""
    start, block, rest = world.project.read("domain.yml").partition("  utter_nuit:\n")
    assert block
    head, colon, tail = rest.partition("- text: |-\n") if "- text: |-\n" in rest[:200] else rest.partition("- text: ")
    line, newline, after = tail.partition("\n")
    indent = line[: len(line) - len(line.lstrip())]
    world.project.write("domain.yml", f"{start}{block}{head}{colon}{indent}{words}{newline}{after}")
    assert words in world.project.read("domain.yml")


def night(role: Live) -> str:
    return role.texts["utter_nuit"]


async def test_a_draft_saved_while_the_engines_change_is_not_read(world: World) -> None:
    async with Launcher(world.var, world.models, world.first).running() as launcher:
        says(world, "Publiée.")
        candidate = await world.candidate()
        role = live(world)
        launcher.hold = asyncio.Event()
        await world.ask(candidate)
        publishing_ = asyncio.create_task(world.publisher.work())
        while not launcher.wished:
            await asyncio.sleep(0.02)
        says(world, "Brouillon.")
        await role.reload()
        assert role.model == world.first  # the engines have not changed yet
        launcher.hold.set()
        assert await publishing_
        await role.reload()
        assert (role.model, role.fault) == (candidate, "")
        assert night(role).startswith("Publiée.")
        assert night(live(world)).startswith("Publiée.")  # nor at a restart
        assert (world.models / f"{candidate}.files" / "domain.yml").read_text() == world.project.git(
            "show", "HEAD:domain.yml"
        )


async def test_agents_look_into_the_catalogue_of_the_model_in_service(world: World) -> None:
    build = functools.partial(policies.build, with_catalogue=True)
    for path in (world.project.root / "data" / "answers").glob("*.yml"):
        path.unlink()
    world.project.write(catalogue.FILE, catalogue.file(catalogue.ONLINE))
    async with Launcher(world.var, world.models, world.first).running():
        assert (await world.publish(await world.candidate())).state == "done"
        role = Live(Settings({"PLANTON_VAR_DIR": str(world.var)}), build)
        assert list(role.policy.catalogue.questions) == ["procuration/en_ligne"]
        world.project.write(catalogue.FILE, catalogue.file(catalogue.ONLINE, catalogue.ABROAD))
        await role.reload()
        assert list(role.policy.catalogue.questions) == ["procuration/en_ligne"]  # a draft changes nothing
        assert (await world.publish(await world.candidate())).state == "done"
        await role.reload()
        assert list(role.policy.catalogue.questions) == ["procuration/en_ligne", "procuration/etranger"]
        assert not live(world).policy.catalogue.questions  # other roles do without


def test_a_catalogue_that_cannot_be_read_leaves_agents_a_console(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / catalogue.FILE).parent.mkdir(parents=True)
    (tmp_path / catalogue.FILE).write_text("nlu: faux")
    assert not policies.catalogue(tmp_path).questions
    assert "procuration.yml, ligne 1" in caplog.text


async def test_a_return_brings_replies_back_also_those_of_a_model_without_copies(world: World) -> None:
    async with Launcher(world.var, world.models, world.first).running():
        role = live(world)
        before = night(role)
        says(world, "Publiée.")
        assert (await world.publish(await world.candidate())).state == "done"
        assert (await world.back(world.first)).state == "done"
        says(world, "Brouillon.")
        await role.reload()
        assert (role.model, night(role)) == (world.first, before)


async def test_a_publication_that_fails_takes_its_files_along(world: World) -> None:
    async with Launcher(world.var, world.models, world.first).running() as launcher:
        before = night(live(world))
        says(world, "Publiée.")
        candidate = await world.candidate()
        launcher.refuses[candidate] = "mémoire"
        assert (await world.publish(candidate)).state == "failed"
        assert launcher.wished == [candidate, world.first]  # the engines are asked back, whichever had changed
        assert not (world.models / f"{candidate}.files").exists()
        assert (world.models / CANDIDATES / f"{candidate}.files" / "domain.yml").is_file()
        assert "Publiée." in world.project.read("domain.yml")  # as a draft
        assert night(live(world)) == before


async def test_engines_that_had_changed_are_asked_back_by_a_publication_that_is_undone(world: World) -> None:
    """Two real hand-overs: the first engine takes the model, the second cannot."""
    there = Engines(world.project.root, [free_port(), free_port()], 30.0)
    world.var = there.var
    there.start()
    try:
        await until(lambda: len(engines.status(there.var).engines) == 2, 30, "both serve")
        candidate = await world.candidate()
        archive = world.models / CANDIDATES / f"{candidate}{SUFFIX}"
        archive.write_text(json.dumps({"word": candidate, "loads": 1}))
        async with Flow(there.urls) as flow:
            done = await world.publish(candidate)
        assert done.state == "failed"
        assert f"{candidate}{SUFFIX} ne convient pas" in done.failure
        assert [(one.model, one.url) for one in engines.status(there.var).engines] == [
            (f"{world.first}{SUFFIX}", url) for url in there.urls
        ]
        assert there.said.count(f"{candidate}{SUFFIX} répond désormais") == 1
        assert (flow.failed, set(flow.said)) == ([], {world.first, candidate})
        assert live(world).model == world.first
        assert archive.is_file()
        assert " M data/nlu.yml" in world.dirty()  # the work is not lost
    finally:
        there.stop()


async def test_precisions_alone_make_another_model(world: World) -> None:
    """They are published like all the rest."""
    before = publishing.fingerprint(world.project)
    for name in served.NAMES:
        world.project.write(name, world.project.read(name) + "\n# une ligne\n")
        after = publishing.fingerprint(world.project)
        assert after != before
        before = after


async def test_files_of_another_version_of_the_program_do_not_keep_a_role_from_starting(world: World) -> None:
    archive = world.models / f"{world.first}{SUFFIX}"
    files = served.read(world.project.root)
    served.keep(archive, {**files, "domain.yml": b"responses: {}\n"})
    role = live(world)
    assert "domain.yml" in role.fault
    assert "planton train" in role.fault
    assert night(role)
    old = role.policy
    await role.reload()  # but it is no reason to take them later
    assert (role.policy is old, role.fault != "") == (True, True)


def test_copies_are_whole_never_replaced_and_move_and_go_with_their_model(tmp_path: Path) -> None:
    models, aside = tmp_path / "models", tmp_path / "models" / CANDIDATES
    aside.mkdir(parents=True)
    archive = models / f"{'a' * 16}{SUFFIX}"
    archive.write_bytes(b"")
    served.keep(archive, {"domain.yml": b"un", "data/danger.yml": b"deux"})
    served.keep(archive, {"domain.yml": b"autre"})
    assert served.read(served.folder(archive)) == {"domain.yml": b"un", "data/danger.yml": b"deux"}
    served.mend(archive, {"domain.yml": b"un", "data/danger.yml": b"deux"})
    (served.folder(archive) / "domain.yml").unlink()  # a damaged disk
    served.mend(archive, {"domain.yml": b"un", "data/danger.yml": b"deux"})
    assert served.read(served.folder(archive)) == {"domain.yml": b"un", "data/danger.yml": b"deux"}
    publishing.move(Model(archive, tmp_path), aside)
    assert served.beside(archive, tmp_path) == tmp_path
    moved = aside / archive.name
    assert served.beside(moved, tmp_path) == aside / f"{'a' * 16}.files"
    assert [path.name for path in models.iterdir()] == [CANDIDATES]
    for number in range(12):
        one = aside / f"{number:016x}{SUFFIX}"
        one.write_bytes(b"")
        served.keep(one, {"domain.yml": b"x"})
        engines.touch(one, 1000.0 + number)
    publishing.forget(aside, ())
    assert len(list(aside.glob("*.files"))) == len(list(aside.glob(f"*{SUFFIX}"))) == 10


def test_the_engine_reads_the_precisions_that_went_with_its_model(tmp_path: Path) -> None:
    archive = tmp_path / f"{'a' * 16}{SUFFIX}"
    table = "precisions:\n- reponse: utter_zorglub\n  au_lieu_de: [utter_animaux]\n  mots:\n  - zorglub\n"
    served.keep(archive, {"data/precisions.yml": table.encode()})
    code = """if True:
        import sys
        from pathlib import Path
        from actions.precise import narrower
        from bot.engine import precisions_file
        for archive in map(Path, sys.argv[1:]):
            found = precisions_file.follow(archive)
            print(found.find("utter_animaux", "un zorglub"), narrower("utter_animaux", "un zorglub"))"""
    other = tmp_path / f"{'b' * 16}{SUFFIX}"  # without copies: the project's own
    done = subprocess.run(
        [str(engine_python()), "-c", code, str(archive), str(other)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["utter_zorglub utter_zorglub", "None None"]


def test_who_only_asks_whether_a_launcher_is_there_does_not_keep_it_away(tmp_path: Path) -> None:
    first = engines.hold(tmp_path)
    assert first is not None
    assert engines.hold(tmp_path) is None
    os.close(first)
    with (tmp_path / engines.LOCK).open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)  # as `held` does, for a moment
        threading.Timer(0.05, fcntl.flock, (asking.fileno(), fcntl.LOCK_UN)).start()
        second = engines.hold(tmp_path)
    assert second is not None
    os.close(second)


def test_who_may_only_read_the_folder_sees_that_a_launcher_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def reader(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_ACCMODE != os.O_RDONLY:  # root, which runs tests, may write everywhere
            raise PermissionError(path)
        return real(path, flags, mode)

    lock = engines.hold(tmp_path)
    assert lock is not None
    monkeypatch.setattr(os, "open", reader)
    assert engines.held(tmp_path)
    os.close(lock)
    assert not engines.held(tmp_path)


async def test_a_launcher_that_restarts_while_it_is_waited_for_still_answers(world: World) -> None:
    candidate = await world.candidate()
    async with Launcher(world.var, world.models, world.first).running() as first:
        first.hold = asyncio.Event()
        await world.ask(candidate)
        working = asyncio.create_task(world.publisher.work())
        while not first.wished:
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)  # nobody is there
    assert not working.done()
    wish = engines.wanted(world.var)
    assert wish is not None
    again = Launcher(world.var, world.models, world.first)
    async with again.running():
        again._tell(wish.id, engines.FAILED, "mémoire")
        assert await working
    last = await world.publications.last()
    assert last is not None
    assert "mémoire" in last.failure


# -- the model in service ----------------------------------------------------------------------------------------------


async def test_a_model_trained_in_a_terminal_is_not_in_service_while_engines_have_another(world: World) -> None:
    async with Launcher(world.var, world.models, world.first).running() as launcher:
        candidate = await world.candidate()
        by_hand = world._model(world.models, "f" * 16)
        assert world.serving == by_hand  # the newest
        found = current(world.project.root, world.var)
        assert found is not None
        assert found.hash == live(world).model == world.first
        number = await world.wishes.ask(
            world.clock.now(),
            world.user,
            publishing_of(candidate, world.first),  # type: ignore[arg-type]
        )
        assert await world.publisher.work()
        done = await world.publications.get(number)
        assert done is not None
        assert (done.state, done.failure, done.previous) == ("done", "", world.first)
        assert launcher.serving == live(world).model == candidate


async def test_another_model_in_service_than_when_it_was_asked_stops_it(world: World) -> None:
    candidate = await world.candidate()
    asked = publishing_of(candidate, world.first)
    assert world.user is not None
    number = await world.wishes.ask(world.clock.now(), world.user, asked)
    world._model(world.models, "f" * 16)
    async with Launcher(world.var, world.models, "f" * 16).running():  # restarted meanwhile
        assert await world.publisher.work()
    done = await world.publications.get(number)
    assert done is not None
    assert "n’est plus celui auquel ce candidat a été comparé" in done.failure


def publishing_of(model: str, previous: str) -> Asked:
    return Asked(PUBLISH, model, previous, "Vélos volés")


@pytest.mark.parametrize(
    ("said", "wish", "expected"),
    [
        ({"models": ("ancien",)}, None, "ancien"),
        ({"models": ("ancien", "nouveau"), "state": engines.SWITCHING}, "nouveau", "ancien"),
        ({"models": ("nouveau",), "state": engines.SWITCHING}, "nouveau", "nouveau"),
        ({"models": ("nouveau",), "state": engines.DONE}, "nouveau", "nouveau"),
        ({"chosen": ("ancien",)}, None, "ancien"),  # they start
        ({"models": ("parti",)}, None, "main"),  # moved away
        ({}, None, "main"),
    ],
)
def test_the_engines_word(tmp_path: Path, said: dict[str, object], wish: str | None, expected: str) -> None:
    models, var = tmp_path / "models", tmp_path / "var"
    models.mkdir()
    for at, name in enumerate(("ancien", "nouveau", "main"), 1):
        (models / f"{name}{SUFFIX}").write_bytes(b"")
        engines.touch(models / f"{name}{SUFFIX}", at)
    held = engines.hold(var)
    assert held is not None
    if wish:
        engines.ask(var, wish + SUFFIX)
    serving = tuple(engines.Serving("http://x", one + SUFFIX, 1, 1.0) for one in said.get("models", ()))  # type: ignore[attr-defined]
    chosen = tuple(one + SUFFIX for one in said.get("chosen", ()))  # type: ignore[attr-defined]
    engines.tell(var, engines.Status(serving, state=str(said.get("state", "")), chosen=chosen))
    found = engines.in_service(models, var)
    assert found is not None
    assert found.name == expected + SUFFIX
    os.close(held)
    newest = engines.in_service(models, var)  # nobody looks after engines: their last word is out of date
    assert newest is not None
    assert newest.name == f"main{SUFFIX}"
