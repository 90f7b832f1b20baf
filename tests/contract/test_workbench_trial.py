"""The trial: who may, both models side by side, nothing kept, one candidate at a time."""

from __future__ import annotations

import asyncio
import errno
import functools
import html
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from bot.app import trial as wired
from bot.core.clock import FrozenClock
from bot.core.dialogue import Link, Reply
from bot.store.codec import Codec
from bot.store.db import Database
from bot.trainer.candidates import Model
from bot.trainer.project import Project
from bot.trainer.trial import FAILED, OFF, READY, STARTING, CandidateEngine, State, Taken, Trial, TrialError
from bot.trainer.wall import BWRAP, OPEN, Program, Wall, choose
from tests.fakes.console import Browser, RunningConsole, running_console
from tests.fakes.engine import ScriptedEngine
from tests.fakes.project import ROOT
from tests.fakes.trial import ScriptedCandidate, candidate, scripted_judge
from tests.trainer.test_wall import apart

PAGE = "/atelier/essayer"
NAME = "0123456789abcdef"


@pytest.fixture
def scripted() -> ScriptedCandidate:
    return ScriptedCandidate()


@pytest.fixture
async def console(
    database: Database,
    database_url: str,
    codec: Codec,
    frozen_clock: FrozenClock,
    wall: FrozenClock,
    scripted: ScriptedCandidate,
    tmp_path: Path,
) -> AsyncIterator[RunningConsole]:
    project = Project(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "fedcba9876543210.tar.gz").write_bytes(b"")
    candidate(project, NAME)
    trial = Trial(scripted, scripted_judge())
    async with running_console(
        database, database_url, codec, frozen_clock, wall, project=project, trial=trial, engine=ScriptedEngine()
    ) as running:
        yield running


@pytest.fixture
async def ines(console: RunningConsole) -> AsyncIterator[Browser]:
    await console.user("Inès", "trainer")
    async with Browser(console) as browser:
        await browser.log_in("Inès")
        yield browser


def plain(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


async def started(browser: Browser, **more: str) -> None:
    page = await browser.get(PAGE)
    answer = await browser.post(f"{PAGE}/demarrer", csrf=page.hidden("csrf"), candidat=NAME, **more)
    assert (answer.status, answer.headers["Location"]) == (303, PAGE)


async def say(browser: Browser, page: str, **fields: str) -> str:
    """Send a message with what that page held."""
    held = {name: re.search(rf'name="{name}" value="([^"]*)"', page) for name in ("csrf", "fil")}
    answer = await browser.post(f"{PAGE}/dire", **{k: m[1] if m else "" for k, m in held.items()}, **fields)
    assert answer.status == 200, plain(answer.page)
    return answer.page


@pytest.mark.parametrize(("role", "opens"), [("agent", False), ("auditor", False), ("administrator", True)])
async def test_who_may_try(console: RunningConsole, someone: Browser, role: str, opens: bool) -> None:
    await console.user("X", role)
    await someone.log_in("X")
    assert (await someone.get(PAGE)).status == (200 if opens else 403)


async def test_both_models_answer_and_what_differs_is_marked(
    console: RunningConsole, ines: Browser, scripted: ScriptedCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (await ines.get(PAGE)).page
    assert "03/03 à 14:05, Inès Roux (01234567)" in page
    await started(ines)
    page = (await ines.get(PAGE)).page
    assert 'data-phase="ready"' in page
    page = await say(ines, page, message="je veux porter plainte")
    assert "Même réponse" in page
    assert plain(page).count("plainte_comment n° 1") == 2
    scripted.engine = _Learned()
    page = await say(ines, page, message="ma demande de papiers")
    assert 'data-differs="intent route reply"' in page
    assert "Différent : le sujet, la suite, la réponse" in plain(page)
    now, new = (
        page.rsplit('data-testid="trial-new"', 1)[0].rsplit('data-testid="trial-now"', 1)[1],
        page.rsplit('data-testid="trial-new"', 1)[1],
    )
    assert "demande de reformuler" in plain(now)
    assert "documents perdus ou volés" in plain(new)
    assert page.count('data-testid="trial-exchange"') == 2


async def test_the_page_that_an_answer_names_is_a_button(
    console: RunningConsole, ines: Browser, scripted: ScriptedCandidate
) -> None:
    link = Link("La fiche", "https://www.service-public.gouv.fr/particuliers/vosdroits/F1")
    scripted.engine = ScriptedEngine()
    scripted.engine.questions = {"procuration": (("procuration/en_ligne", 0.9),)}
    scripted.engine.links = {"procuration/en_ligne": (link,)}
    await started(ines)
    page = await say(ines, (await ines.get(PAGE)).page, message="une procuration")
    new = page.rsplit('data-testid="trial-new"', 1)[1]
    assert f'<a href="{link.url}"' in new
    assert link.line not in html.unescape(page)
    assert 'data-testid="page-button"' not in page.rsplit('data-testid="trial-new"', 1)[0]


class _Learned(ScriptedEngine):
    """Knows one more word."""

    def _read(self, text: str) -> object:  # type: ignore[override]
        found = super()._read(text.replace("papiers", "procuration"))
        return replace(found, intent="perte_vol_documents") if found.intent == "procuration" else found


async def test_each_model_keeps_its_own_dialogue(console: RunningConsole, ines: Browser) -> None:
    await started(ines)
    page = await say(ines, (await ines.get(PAGE)).page, message="concours")
    page = await say(ines, page, message="procuration")
    assert plain(page).count("procuration n° 2") == 2
    page = (await ines.get(PAGE)).page  # « Recommencer »
    assert 'data-testid="trial-exchange"' not in page
    page = await say(ines, page, message="procuration")
    assert plain(page).count("procuration n° 1") == 2


async def test_a_quick_reply_can_be_touched_and_no_other_payload(console: RunningConsole, ines: Browser) -> None:
    await started(ines)
    page = await say(ines, (await ines.get(PAGE)).page, message="euh")
    assert 'value="/plainte_comment"' in page
    page = await say(ines, page, touche="/plainte_comment")
    assert plain(page).count("plainte_comment n° 2") == 2
    held = re.search(r'name="fil" value="([^"]*)"', page)
    assert held is not None
    csrf = (await ines.get(PAGE)).hidden("csrf")
    answer = await ines.post(f"{PAGE}/dire", csrf=csrf, fil=held[1], touche="/restart")
    assert answer.status == 422


async def test_a_danger_is_decided_as_the_policy_does(console: RunningConsole, ines: Browser) -> None:
    await started(ines)
    page = await say(ines, (await ines.get(PAGE)).page, message="au secours il a un couteau il veut me tuer")
    said = plain(page)
    assert said.count("réponse d’urgence") == 2
    assert "Danger reconnu" in said
    assert "17" in said


async def test_without_a_candidate_the_one_in_service_answers(console: RunningConsole, ines: Browser) -> None:
    page = await say(ines, (await ines.get(PAGE)).page, message="concours")
    assert "recrutement_concours n° 1" in plain(page)
    assert "Aucun candidat n’est à l’essai." in plain(page)


async def test_while_it_starts_the_page_says_so(
    console: RunningConsole, ines: Browser, scripted: ScriptedCandidate
) -> None:
    scripted.slow = True
    await started(ines)
    live = (await ines.get(PAGE, X_Planton_Live="1")).page
    assert live.lstrip().startswith('<section class="card trial-state" id="candidat" data-live')
    assert "Comptez dix à vingt secondes" in live
    assert "Le candidat démarre encore." in plain(await say(ines, (await ines.get(PAGE)).page, message="concours"))


async def test_an_engine_that_is_away_is_said(
    console: RunningConsole, ines: Browser, scripted: ScriptedCandidate
) -> None:
    await started(ines)
    scripted.engine.down = True
    page = plain(await say(ines, (await ines.get(PAGE)).page, message="concours"))
    assert "Le moteur ne répond pas." in page
    assert "recrutement_concours n° 1" in page


async def test_a_colleagues_candidate_is_replaced_only_on_purpose(
    console: RunningConsole, ines: Browser, scripted: ScriptedCandidate
) -> None:
    await started(ines)
    scripted.state = replace(scripted.state, who="Marc")
    csrf = (await ines.get(PAGE)).hidden("csrf")
    refused = await ines.post(f"{PAGE}/demarrer", csrf=csrf, candidat=NAME)
    assert refused.status == 409
    assert "Marc essaie déjà un autre candidat" in plain(refused.page)
    assert 'name="remplacer"' in refused.page
    await started(ines, remplacer="oui")
    assert scripted.state.who == "Inès"


async def test_what_cannot_be_started_is_refused_in_french(
    console: RunningConsole, ines: Browser, scripted: ScriptedCandidate
) -> None:
    csrf = (await ines.get(PAGE)).hidden("csrf")
    answer = await ines.post(f"{PAGE}/demarrer", csrf=csrf, candidat="../../etc/passwd")
    assert (answer.status, "n’existe pas, ou plus" in plain(answer.page)) == (422, True)
    scripted.full = "Un entraînement est en cours : avec un candidat à l’essai, Planton prendrait 6,4 Go de mémoire."
    answer = await ines.post(f"{PAGE}/demarrer", csrf=csrf, candidat=NAME)
    assert "Un entraînement est en cours" in plain(answer.page)
    assert scripted.state.phase == OFF


async def test_nothing_is_kept(console: RunningConsole, ines: Browser) -> None:
    await started(ines)
    await say(ines, (await ines.get(PAGE)).page, message="un secret procuration")
    tables = [
        row.name for row in await console.rows("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
    ]
    for table in tables:
        rows = await console.rows(f'SELECT t::text AS row FROM "{table}" t')
        assert not any("secret procuration" in row.row for row in rows), table
    assert [action for action, _ in await console.audit()] == ["login"]


@pytest.mark.parametrize("held", ["", "x", "é" * 50, "A" * 300_000])
async def test_a_damaged_exchange_begins_anew(console: RunningConsole, ines: Browser, held: str) -> None:
    csrf = (await ines.get(PAGE)).hidden("csrf")
    answer = await ines.post(f"{PAGE}/dire", csrf=csrf, fil=held, message="concours")
    assert answer.status in (200, 413)
    if answer.status == 200:
        assert answer.page.count('data-testid="trial-exchange"') == 1


async def test_a_long_exchange_fits_the_page_and_goes_on(console: RunningConsole, ines: Browser) -> None:
    await started(ines)
    page = (await ines.get(PAGE)).page
    for n in range(14):
        page = await say(ines, page, message=f"procuration <b>{n}</b> " + "mot " * 400)
    assert page.count('data-testid="trial-exchange"') == 12
    assert "procuration n° 14" in plain(page)
    assert "<b>13" not in page


# -- the process ------------------------------------------------------------------------------------------------------

SERVER = """
import json, sys, time
from http.server import BaseHTTPRequestHandler
from socketserver import UnixStreamServer
time.sleep(float(sys.argv[2]))
if sys.argv[2] == "0.01":
    sys.exit("Le modèle ne convient pas à ce programme.")
class Engine(BaseHTTPRequestHandler):
    def do_GET(self): self.answer({"ready": True, "model": "x"})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer({"understanding": {"intent": "procuration", "confidence": 0.9, "ranking": [["procuration", 0.9]],
            "entities": {}, "danger": 0.0, "french": True}, "replies": [{"text": body["text"], "quick_replies": []}],
            "handoff": None, "clarify": False, "silence": False, "state": {"n": 1}})
    def answer(self, value):
        raw = json.dumps(value).encode()
        self.send_response(200); self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw))); self.end_headers(); self.wfile.write(raw)
    def log_message(self, *a): pass
UnixStreamServer(sys.argv[1], Engine).serve_forever()
"""


@functools.cache
def behind() -> Wall:
    """What holds for a small server as it does for an engine."""
    return choose(BWRAP, Program(Path(sys.executable), [ROOT / "bot"]))


class Machine:
    """A candidate's engine over a small server, with a clock and a memory of the test's own."""

    def __init__(self, folder: Path, delay: str = "0") -> None:
        self.now = 0.0
        self.why: str | None = None
        self.told = 0
        self.model = Model(folder / f"{NAME}.tar.gz", folder)
        self.model.archive.write_bytes(b"")

        async def room(starts: bool) -> str | None:
            return self.why

        async def tell() -> None:
            self.told += 1

        self.engine = CandidateEngine(
            lambda address, archive: [sys.executable, "-c", SERVER, str(address), delay],
            dict(os.environ),
            folder,
            room,
            tell,
            clock=lambda: self.now,
            wall=behind,
        )

    async def becomes(self, phase: str) -> State:
        async with asyncio.timeout(180):
            while self.engine.state.phase != phase:
                await asyncio.sleep(0.05)
        return self.engine.state


@pytest.fixture
async def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    monkeypatch.setattr("bot.trainer.trial.WATCH", 0.05)
    monkeypatch.setattr("bot.trainer.trial.LOOK", 0.05)
    made = Machine(tmp_path)
    yield made
    await made.engine.close()


async def test_it_starts_answers_and_leaves_when_nobody_uses_it(machine: Machine) -> None:
    await machine.engine.start(machine.model, "Inès")
    assert machine.engine.state.phase == STARTING
    with pytest.raises(TrialError):
        await machine.engine.turn("bonjour", None)
    await machine.becomes(READY)
    turn = await machine.engine.turn("bonjour", None)
    assert turn.replies == (Reply("bonjour"),)
    process = machine.engine._process
    assert process is not None
    assert os.getpriority(os.PRIO_PROCESS, process.pid) >= 5
    machine.now = 599.0
    await machine.engine.turn("encore", None)
    machine.now = 1198.0  # ten minutes since the last turn have not passed
    await asyncio.sleep(0.3)
    assert machine.engine.state.phase == READY
    machine.now = 1200.0
    await machine.becomes(OFF)
    for _ in range(1200):  # it is off for people as soon as it is asked to leave
        if process.poll() is not None and machine.told >= 3:
            break
        await asyncio.sleep(0.1)
    assert process.poll() is not None
    assert machine.told >= 3


async def test_the_page_says_what_the_process_has(
    machine: Machine,
    database: Database,
    database_url: str,
    codec: Codec,
    frozen_clock: FrozenClock,
    wall: FrozenClock,
    tmp_path: Path,
) -> None:
    project = Project(tmp_path)
    candidate(project, NAME)
    trial = Trial(machine.engine, scripted_judge())
    async with running_console(
        database, database_url, codec, frozen_clock, wall, project=project, trial=trial, engine=ScriptedEngine()
    ) as console:
        await console.user("Inès", "trainer")
        async with Browser(console) as browser:
            await browser.log_in("Inès")
            assert 'data-testid="trial-wall"' not in (await browser.get(PAGE)).page
            await started(browser)
            await machine.becomes(READY)
            assert "sans réseau, sans secret et sans la base de données" in plain((await browser.get(PAGE)).page)
            assert apart(machine.engine.state, machine.engine._process)
            await machine.engine.stop()
            machine.engine._wall = lambda: OPEN
            await started(browser)
            await machine.becomes(READY)
            assert "Attention : ce moteur n’est pas isolé sur cette machine" in plain((await browser.get(PAGE)).page)


async def test_two_never_run_at_once(machine: Machine, tmp_path: Path) -> None:
    await machine.engine.start(machine.model, "Inès")
    first = machine.engine._process
    second = Machine(tmp_path)  # another console of the same machine
    with pytest.raises(TrialError, match="autre console"):
        await second.engine.start(second.model, "Marc")
    other = Model(tmp_path / "other.tar.gz", tmp_path)
    other.archive.write_bytes(b"")
    with pytest.raises(Taken, match="Inès essaie déjà"):
        await machine.engine.start(other, "Marc")
    await machine.engine.start(other, "Marc", replace=True)
    assert first is not None
    assert first.poll() is not None
    assert machine.engine.state.model == other


async def test_why_it_died_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.trainer.trial.LOOK", 0.05)
    machine = Machine(tmp_path, delay="0.01")
    await machine.engine.start(machine.model, "Inès")
    state = await machine.becomes(FAILED)
    assert "Le modèle ne convient pas" in state.failure
    await machine.engine.start(machine.model, "Inès")  # and it may be tried again
    await machine.engine.close()


async def test_a_training_that_needs_the_memory_goes_first(machine: Machine) -> None:
    machine.why = "Un entraînement est en cours."
    with pytest.raises(TrialError, match="Un entraînement"):
        await machine.engine.start(machine.model, "Inès")
    machine.why = None
    await machine.engine.start(machine.model, "Inès")
    await machine.becomes(READY)
    machine.why = "Un entraînement est en cours."
    assert (await machine.becomes(FAILED)).failure == "Un entraînement est en cours."


async def test_it_dies_with_the_console(tmp_path: Path) -> None:
    script = f"""
import asyncio, os, sys
from pathlib import Path
from tests.contract.test_workbench_trial import Machine
async def main():
    machine = Machine(Path({str(tmp_path)!r}))
    await machine.engine.start(machine.model, "Inès")
    print(machine.engine._process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    async with asyncio.timeout(180):
        while _lives(child):
            await asyncio.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


class _Runs:
    def __init__(self, *recent: object) -> None:
        self._recent = recent

    async def recent(self, limit: int = 50) -> tuple[object, ...]:
        return self._recent


async def test_memory_is_counted_while_a_training_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace as Run

    monkeypatch.setattr(wired, "_held", lambda: (3_000_000_000, 500_000_000))
    learning, done = Run(state="training", memory=0), Run(state="done", memory=2_200_000_000)
    assert await wired.room(_Runs(done), True) is None  # type: ignore[arg-type]
    refused = await wired.room(_Runs(learning, done), True)  # type: ignore[arg-type]
    assert refused is not None
    assert "6,2\u00a0Go" in refused
    assert await wired.room(_Runs(learning, done), False) is None  # type: ignore[arg-type]
    monkeypatch.setattr(wired, "_held", lambda: (4_500_000_000, 500_000_000))  # the candidate runs already
    assert await wired.room(_Runs(learning, done), False) is not None  # type: ignore[arg-type]


@pytest.mark.parametrize("call", ["mkdtemp", "TemporaryFile"])
async def test_a_full_disk_leaves_the_place_free(machine: Machine, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    with monkeypatch.context() as full:
        full.setattr(f"bot.trainer.trial.tempfile.{call}", mock.Mock(side_effect=OSError(errno.ENOSPC, "full")))
        with pytest.raises(TrialError, match="ne démarre pas"):
            await machine.engine.start(machine.model, "Inès")
    await machine.engine.start(machine.model, "Inès")
    assert machine.engine.state.phase == STARTING
