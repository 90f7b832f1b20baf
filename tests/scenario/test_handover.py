"""One engine hands over to another in real processes; the models are small files, the launcher and the server are the real ones."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from bot.app import model
from bot.core.errors import EngineDown, SetupError
from bot.dialogue.client import EngineClient
from bot.trainer import engines
from tests.fakes.ports import free_port
from tests.scenario.processes import ROOT, until

NEVER = 1000.0


class Engines:
    """A launcher that looks after engines, and a client that asks them."""

    def __init__(self, folder: Path, ports: list[int], patience: float, *more: str) -> None:
        self.folder, self.patience, self.more = folder, patience, more
        self.models, self.var = folder / "models", folder / "var"
        self.models.mkdir(exist_ok=True)
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.process: subprocess.Popen[bytes] | None = None
        self.program = ""  # what starts an engine, Python itself if empty
        self._clock = 1_000_000.0

    def model(self, name: str, **how: Any) -> str:
        """A model that answers with its name; the newest."""
        archive = self.models / f"{name}.tar.gz"
        archive.write_text(json.dumps({"word": name, **how}))
        self._clock += 10
        os.utime(archive, (self._clock, self._clock))
        return archive.name

    def start(self) -> None:
        """Start the launcher; the engines are ready a little later."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("PLANTON_")}
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.fakes.launcher_process",
                    str(self.models),
                    str(self.patience),
                    *self.more,
                ],
                cwd=ROOT,
                env={
                    **ours,
                    "PLANTON_VAR_DIR": str(self.var),
                    "PLANTON_ENGINE_URL": ",".join(self.urls),
                    **({"ENGINE_PROGRAM": self.program} if self.program else {}),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def said(self) -> str:
        return (self.folder / "output").read_text(errors="replace").replace("\u00a0", " ")

    def pids(self) -> list[int]:
        assert self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            children = psutil.Process(self.process.pid).children(recursive=True)
            return [one.pid for one in children if one.status() != psutil.STATUS_ZOMBIE]
        return []

    async def serve(self, *models: str) -> None:
        """Wait until exactly these models serve."""
        await until(lambda: engines.status(self.var).models == set(models), 30, f"{models} serve: {self.said}")

    async def want(self, model: str) -> engines.Status:
        """Ask for a model and wait for what becomes of it."""
        wish = engines.ask(self.var, model)

        def ended() -> bool:
            status = engines.status(self.var)
            return status.wanted == wish.id and status.state != engines.SWITCHING

        await until(ended, 30, f"{model} is dealt with: {self.said}")
        return engines.status(self.var)

    def wait_longer(self) -> None:
        """Whoever was not to become ready was given up: a busy machine needs more for the next one."""
        assert self.process is not None
        self.process.send_signal(signal.SIGUSR2)

    def kill(self) -> None:
        """End the launcher as a crash does; its engines go with it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is None:
            return
        pids = self.pids()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.asynccontextmanager
async def started(folder: Path, seats: int = 1, patience: float = 30.0) -> AsyncIterator[Engines]:
    one = Engines(folder, [free_port() for _ in range(seats)], patience)
    one.model("ancien", slow=1.0)
    one.start()
    try:
        await one.serve("ancien.tar.gz")
        yield one
    finally:
        one.stop()


class Flow:
    """Somebody who asks all the time."""

    def __init__(self, urls: list[str]) -> None:
        self.client = EngineClient(urls)
        self.said: list[str | None] = []
        self.failed: list[str] = []
        self.pause = 0.02  # seconds between questions, of which no more than 32 wait at once
        self._tasks: set[asyncio.Task[None]] = set()
        self._going: asyncio.Task[None] | None = None

    async def _ask(self, number: int) -> None:
        try:
            self.said.append((await self.client.understand(f"bonjour {number}")).intent)
        except Exception as error:
            self.failed.append(repr(error))

    async def _go(self) -> None:
        number = 0
        while True:
            while len(self._tasks) >= 32:
                await asyncio.sleep(self.pause)
            number += 1
            task = asyncio.create_task(self._ask(number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(self.pause)

    async def __aenter__(self) -> Flow:
        self._going = asyncio.create_task(self._go())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._going is not None
        self._going.cancel()
        await asyncio.gather(*self._tasks)
        await self.client.close()


async def test_a_new_model_takes_over_under_a_flow_of_messages_and_none_is_refused(tmp_path: Path) -> None:
    async with started(tmp_path) as there:
        (old,) = there.pids()
        async with Flow(there.urls) as flow:
            await until(lambda: len(flow.said) > 20, 30, "messages flow")
            slow = asyncio.create_task(flow.client.understand("slow"))  # a turn that the old engine has to finish
            status = await there.want(there.model("nouveau", load=0.5))
            assert (await slow).intent == "ancien"
            await until(lambda: flow.said[-1] == "nouveau", 30, "the new model answers")
        assert flow.failed == []
        assert set(flow.said) == {"ancien", "nouveau"}
        assert (status.state, status.failure, status.models) == (engines.DONE, "", {"nouveau.tar.gz"})
        await until(lambda: old not in there.pids(), 30, "the old engine has left")
        assert len(there.pids()) == 1
        assert "Traceback" not in there.said


async def test_a_model_that_does_not_load_leaves_the_old_one_in_service(tmp_path: Path) -> None:
    async with started(tmp_path) as there:
        async with Flow(there.urls) as flow:
            status = await there.want(there.model("mauvais", fail=True))
        assert status.state == engines.FAILED
        assert "mauvais.tar.gz ne convient pas" in status.failure
        assert status.models == {"ancien.tar.gz"}
        assert (flow.failed, set(flow.said)) == ([], {"ancien"})
        again = await there.want("absent.tar.gz")
        assert "absent.tar.gz n’est pas dans models/" in again.failure
        assert len(there.pids()) == 1


async def test_a_model_that_is_never_ready_is_given_up(tmp_path: Path) -> None:
    async with started(tmp_path, patience=1.0) as there:
        status = await there.want(there.model("lent", load=NEVER))
        assert "n’était pas prêt" in status.failure
        await until(lambda: len(there.pids()) == 1, 30, "the slow one is gone")
        there.wait_longer()
        assert (await there.want(there.model("vif"))).models == {"vif.tar.gz"}


async def test_while_an_engine_is_away_it_is_said_at_once_and_it_comes_back_with_its_model(tmp_path: Path) -> None:
    async with started(tmp_path) as there:
        (pid,) = there.pids()
        there.model("plus-recent")  # was trained, and not published
        os.kill(pid, signal.SIGSTOP)  # what it will never answer is asked now
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=9)) as session:
            waits = asyncio.create_task(session.get(f"{there.urls[0]}/healthz"))
            await asyncio.sleep(0.1)
            os.kill(pid, signal.SIGKILL)
            answer = await waits  # from the queue that nobody emptied
            assert (answer.status, await answer.json()) == (503, {"error": "starting"})
        client = EngineClient(there.urls)
        with contextlib.suppress(EngineDown):
            await client.understand("bonjour")
        await until(lambda: there.pids() not in ([], [pid]), 30, "another one starts")
        await until(client.ready, 30, "ready again", every=0.1)
        assert (await client.understand("bonjour")).intent == "ancien"
        await client.close()


async def test_an_engine_that_dies_during_the_hand_over_is_replaced_by_the_new_one(tmp_path: Path) -> None:
    async with started(tmp_path) as there:
        (old,) = there.pids()
        wish = engines.ask(there.var, there.model("nouveau", load=0.5))
        await until(lambda: len(there.pids()) == 2, 30, "the second engine starts")
        os.kill(old, signal.SIGKILL)
        await until(lambda: engines.status(there.var).state == engines.DONE, 30, "it took over")
        assert engines.status(there.var).wanted == wish.id
        await there.serve("nouveau.tar.gz")
        await until(lambda: len(there.pids()) == 1, 30, "one engine is left")


async def test_several_engines_change_one_after_the_other(tmp_path: Path) -> None:
    async with started(tmp_path, seats=2) as there:
        await until(lambda: len(engines.status(there.var).engines) == 2, 30, "both serve")
        async with Flow(there.urls) as flow:
            task = asyncio.create_task(there.want(there.model("nouveau", load=0.3)))
            most = 2
            while not task.done():
                most = max(
                    most, len([one for one in engines.status(there.var).engines if one.model == "ancien.tar.gz"])
                )
                await asyncio.sleep(0.02)
            assert (await task).models == {"nouveau.tar.gz"}
        assert flow.failed == []
        assert len(engines.status(there.var).engines) == most == 2


async def test_killed_with_its_launcher_and_started_again_with_what_was_published(tmp_path: Path) -> None:
    async with started(tmp_path) as there:
        await there.want(there.model("nouveau"))
        engines.ask(there.var, there.model("suivant", load=NEVER))
        await until(lambda: len(there.pids()) == 2, 30, "a hand-over is under way")
        pids = there.pids()
        assert engines.held(there.var)
        assert there.process is not None
        there.process.kill()
        there.process.wait()
        await until(lambda: not any(psutil.pid_exists(pid) for pid in pids), 30, "every engine is gone")
        assert not engines.held(there.var)
        (there.models / "suivant.tar.gz").unlink()  # publishing puts it back
        there.start()
        client = EngineClient(there.urls)
        await until(client.ready, 30, "ready again", every=0.1)
        await there.serve("nouveau.tar.gz")
        assert (await client.understand("bonjour")).intent == "nouveau"
        await client.close()


@pytest.mark.parametrize("works", [True, False])
async def test_a_hand_over_that_a_restart_cut_short_is_done_anew_and_answered(tmp_path: Path, works: bool) -> None:
    """The engine starts with what served before, so that a model that does not load costs nothing."""
    async with started(tmp_path) as there:
        wish = engines.ask(there.var, there.model("nouveau", load=1.0, fail=not works))
        await until(
            lambda: engines.status(there.var).state == engines.SWITCHING, 10, "the hand-over begins", every=0.02
        )
        there.kill()
        assert engines.status(there.var).wanted == wish.id
        there.start()
        await until(lambda: engines.status(there.var).wanted != wish.id, 30, "the launcher is back", every=0.02)
        assert engines.in_service(there.models, there.var) == there.models / "ancien.tar.gz"
        await there.serve("ancien.tar.gz")
        await until(
            lambda: (
                engines.status(there.var).wanted == wish.id and engines.status(there.var).state != engines.SWITCHING
            ),
            20,
            "the wish is answered",
        )
        status = engines.status(there.var)
        assert status.state == (engines.DONE if works else engines.FAILED)
        assert status.models == {"nouveau.tar.gz" if works else "ancien.tar.gz"}
        assert ("nouveau.tar.gz ne convient pas" in status.failure) is not works


async def test_a_wish_that_a_restart_outlived_is_answered_too(tmp_path: Path) -> None:
    async with started(tmp_path) as there:
        wish = engines.ask(there.var, there.model("nouveau", load=NEVER))
        await until(lambda: engines.status(there.var).state == engines.SWITCHING, 30, "the hand-over begins")
        there.kill()
        there.model("ensuite")  # somebody went back, or trained, meanwhile
        there.start()
        await there.serve("ensuite.tar.gz")
        status = engines.status(there.var)
        assert (status.wanted, status.state) == (wish.id, engines.FAILED)
        assert "redémarré" in status.failure
        assert (await there.want(there.model("enfin"))).models == {"enfin.tar.gz"}


async def test_an_engine_that_starts_with_the_wanted_model_and_never_gets_ready_is_no_answer_for_ever(
    tmp_path: Path,
) -> None:
    there = Engines(tmp_path, [free_port()], 1.0)
    slow = there.model("lent", load=NEVER)
    there.start()
    try:
        await until(lambda: engines.held(there.var) and there.pids(), 30, "the launcher runs")
        assert "n’était pas prêt" in (await there.want(slow)).failure
        there.wait_longer()
        assert (await there.want(there.model("vif"))).models == {"vif.tar.gz"}
    finally:
        there.stop()


async def test_engines_that_cannot_be_started_end_nothing_and_are_tried_again(tmp_path: Path) -> None:
    """As when the machine has no process or no memory left."""
    program = tmp_path / "moteur"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    program.chmod(0o755)
    there = Engines(tmp_path, [free_port()], 30.0)
    there.program = str(program)
    there.model("ancien")
    there.start()
    client = EngineClient(there.urls)
    try:
        await there.serve("ancien.tar.gz")
        program.chmod(0o644)
        status = await there.want(there.model("nouveau"))
        assert status.state == engines.FAILED
        assert "un second moteur ne démarre pas" in status.failure
        assert status.models == {"ancien.tar.gz"}
        assert (await client.understand("bonjour")).intent == "ancien"
        (pid,) = there.pids()
        os.kill(pid, signal.SIGKILL)  # and now the first one neither
        await until(lambda: "moteur : ne démarre pas" in there.said, 30, "it is tried")
        assert engines.status(there.var).models == set()
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=9)) as session,
            session.get(f"{there.urls[0]}/healthz") as answer,
        ):
            assert (answer.status, await answer.json()) == (503, {"error": "starting"})
        program.chmod(0o755)
        await there.serve("ancien.tar.gz")
        assert (await client.understand("bonjour")).intent == "ancien"
        assert "Traceback" not in there.said
    finally:
        await client.close()
        there.stop()


@pytest.mark.parametrize("word", ["{", "[]", '{"id": 1, "model": "x"}', '{"id": "a", "model": "../x.tar.gz"}'])
async def test_a_damaged_wish_is_none(tmp_path: Path, word: str) -> None:
    (tmp_path / engines.WANTED).write_text(word)
    (tmp_path / engines.STATUS).write_text(word)
    assert engines.wanted(tmp_path) is None
    assert engines.status(tmp_path) == engines.Status()


async def test_a_machine_without_workbench_changes_its_model_by_a_command(tmp_path: Path) -> None:
    async with started(tmp_path, seats=2) as one:
        one.model("nouveau")
        os.utime(one.models / "nouveau.tar.gz", (1, 1))  # as a copy that did not keep its date
        async with Flow(one.urls) as flow:
            await asyncio.to_thread(model.change, one.var, model.wanted(one.models, "nouveau"), 30.0)
            await one.serve("nouveau.tar.gz")
            await until(lambda: flow.said[-1:] == ["nouveau"], 30, "the new model answers")
        assert flow.failed == []
        assert engines.newest(one.models) == one.models / "nouveau.tar.gz", "the next start takes it too"
        one.model("mauvais", fail=True)  # the newest
        with pytest.raises(SetupError, match="Le modèle n’a pas changé"):
            await asyncio.to_thread(model.change, one.var, one.models / "mauvais.tar.gz", 30.0)
        assert engines.status(one.var).models == {"nouveau.tar.gz"}
        assert engines.newest(one.models) == one.models / "nouveau.tar.gz", "the next start does not try the bad one"


def test_the_command_needs_a_launcher_and_a_model(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="aucun modèle"):
        model.wanted(tmp_path, None)
    (tmp_path / "a.tar.gz").touch()
    assert model.wanted(tmp_path, None) == model.wanted(tmp_path, "a") == model.wanted(tmp_path, "a.tar.gz")
    for name in ("b", "../a", ""):
        with pytest.raises(SetupError, match="n’est pas dans models/"):
            model.wanted(tmp_path, name)
    with pytest.raises(SetupError, match="Aucun moteur ne tourne"):
        model.change(tmp_path, tmp_path / "a.tar.gz")
