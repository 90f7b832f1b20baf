"""The page of checks over HTTP, with real files and a real run in its own process; and `planton check`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

from bot.app import check, cli
from bot.core.clock import FrozenClock
from bot.store.codec import Codec
from bot.store.db import Database
from bot.trainer.project import Project
from tests.fakes.checked import clean
from tests.fakes.console import Browser, RunningConsole, running_console

PATH = "/atelier/verifications"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A sound project but for one example that stands twice, and one short intent."""
    project = clean(tmp_path / "project")
    text = project.read("data/nlu.yml")
    project.write("data/nlu.yml", text.replace("      - un furet trouvé\n", "      - UN LYNX TROUVÉ !\n"))
    return project


async def inside(console: RunningConsole, name: str, role: str) -> Browser:
    await console.user(name, role)
    browser = Browser(console)
    await browser.log_in(name)
    return browser


async def ended(browser: Browser, address: str = PATH) -> str:
    """The page, once the run that it began has ended."""
    for _ in range(1200):
        page = (await browser.get(address)).page
        if "checks-when" in page and ">en cours<" not in page:
            return plain(page)
        await asyncio.sleep(0.2)
    raise AssertionError(page)


def plain(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", re.sub(r"[\u00a0\u202f]", " ", page))))


async def test_opening_the_page_checks_and_shows_what_is_wrong(console: RunningConsole, project: Project) -> None:
    async with await inside(console, "Inès", "trainer") as browser:
        first = await browser.get(PATH)
        assert first.status == 200
        assert "Première vérification en cours…" in plain(first.page)
        page = await ended(browser)
        assert "« un lynx trouvé » est déjà un exemple (data/nlu.yml:5)." in page or "UN LYNX TROUVÉ" in page
        assert "Doublons et ressemblances" in page
        assert "Dernière vérification" in page
        raw = (await browser.get(PATH)).page
        there = re.search(r'href="(/atelier/exemples/animaux\?modifier=\w+)#ex-\w+" data-testid="checks-open"', raw)
        assert there is not None
        shown = await browser.get(there[1])
        assert shown.status == 200
        assert "lynx" in shown.page.lower()


async def test_filters_narrow_and_an_empty_one_says_so(console: RunningConsole) -> None:
    async with await inside(console, "Inès", "trainer") as browser:
        await ended(browser)
        only = plain((await browser.get(f"{PATH}?gravite=erreurs&famille=doublons")).page)
        assert "LYNX" in only.upper()
        assert "Un vote." not in only
        assert 'data-testid="checks-row"' not in (await browser.get(f"{PATH}?famille=listes")).page
        none = plain((await browser.get(f"{PATH}?famille=listes")).page)
        assert "Rien ne correspond à ces filtres." in none
        intent = (await browser.get(f"{PATH}?intention=procuration&famille=doublons")).page
        assert "LYNX" not in intent.upper()
        assert (await browser.get(f"{PATH}?gravite=x&famille=%3Cb%3E&intention={'é' * 500}&de=abc")).status == 200


async def test_changed_files_are_told_and_checked_again_on_demand(
    console: RunningConsole, project: Project, wall: FrozenClock
) -> None:
    async with await inside(console, "Inès", "trainer") as browser:
        await ended(browser)
        text = project.read("data/nlu.yml")
        project.write("data/nlu.yml", text.replace("UN LYNX TROUVÉ !", "jai croisé un sanglier énorme"))
        assert "Des fichiers ont changé depuis." in plain((await browser.get(PATH)).page)
        csrf = (await browser.get(PATH)).hidden("csrf")
        answer = await browser.post(f"{PATH}/lancer", csrf=csrf)
        assert (answer.status, answer.headers["location"]) == (303, PATH)
        page = await ended(browser)
        assert "lynx" not in page.lower()
        assert "Des fichiers ont changé" not in page


async def test_a_reader_sees_and_may_not_run(console: RunningConsole) -> None:
    async with await inside(console, "Odile", "auditor") as browser:
        page = (await browser.get(PATH)).page
        assert "checks-run" not in page
        csrf = (await browser.get(PATH)).hidden("csrf")
        assert (await browser.post(f"{PATH}/lancer", csrf=csrf)).status == 403
    async with await inside(console, "Claire", "agent") as browser:
        assert (await browser.get(PATH)).status == 403


async def test_a_damaged_file_is_one_line_and_the_rest_is_checked(console: RunningConsole, project: Project) -> None:
    project.path("data/rules.yml").write_bytes(b"rules:\n- rule: \xe9t\xe9\n")
    async with await inside(console, "Inès", "trainer") as browser:
        page = await ended(browser)
        assert "Fichiers illisibles" in page
        assert "data/rules.yml, ligne 2" in page
        assert "UTF-8" in page
        assert "Doublons et ressemblances" in page


async def test_without_a_project_the_page_says_so(
    database: Database, database_url: str, codec: Codec, frozen_clock: FrozenClock, wall: FrozenClock
) -> None:
    async with (
        running_console(database, database_url, codec, frozen_clock, wall) as running,
        await inside(running, "Inès", "trainer") as browser,
    ):
        answer = await browser.get(PATH)
        assert answer.status == 503
        assert "n’est pas sur cette machine" in answer.page
        assert (await browser.post(f"{PATH}/lancer", csrf=answer.hidden("csrf"))).status == 503


# -- the command -----------------------------------------------------------------------------------------------------------


def run(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    monkeypatch.setattr("bot.app.places.PROJECT", project.root)
    code = cli.main(["check", "--sans-rasa", *arguments])
    return code, capsys.readouterr().out


def test_the_command_names_file_line_and_remedy_errors_first(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(project, monkeypatch, capsys)
    lines = said.replace("\u00a0", " ").splitlines()
    assert code == 1
    errors = [line for line in lines if line.startswith("erreur : ")]
    assert lines[: len(errors)] == errors
    (double,) = [line for line in errors if "LYNX" in line.upper()]
    assert re.match(
        r"erreur : data/nlu\.yml:\d+ : « .+ » est déjà un exemple \(data/nlu\.yml:\d+\)\. Retirez l’un des deux\.",
        double,
    )
    assert re.search(r"\d+ erreurs?, (\d+|aucun) avertissements?\.$", lines[-1])


def test_the_command_as_json(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = run(project, monkeypatch, capsys, "--json")
    told = json.loads(said)
    assert code == 1
    assert told["ok"] is False
    (double,) = [one for one in told["findings"] if one["code"] == "duplicate"]
    assert set(double) == {"severity", "code", "file", "line", "what", "remedy", "intent"}
    assert (double["severity"], double["file"], double["intent"]) == ("error", "data/nlu.yml", "animaux")
    assert told["errors"] + told["warnings"] == len(told["findings"])


def test_warnings_alone_are_no_failure_and_many_are_gathered(capsys: pytest.CaptureFixture[str]) -> None:
    from bot.trainer.checks.finding import warning

    found = [warning("thin", "data/nlu.yml", n, f"peu {n}.", "Ajoutez-en.") for n in range(1, 21)]
    told = list(check.lines(found))
    assert len(told) == check.SHOWN + 2
    assert told[-2] == "… et 12 autres du même genre (intentions) : planton check --tout"
    assert told[-1] == "aucune erreur, 20 avertissements."
    assert len(list(check.lines(found, everything=True))) == 21
    assert check.as_json(found)["ok"] is True


def test_the_real_project_has_no_error() -> None:
    """As an operator types it, in a process of its own. (Rasa's part is tried in tests/engine.)"""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PLANTON_")}
    done = subprocess.run(
        [sys.executable, "-m", "bot", "check", "--json", "--sans-rasa"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[:3000] + done.stderr
    told = json.loads(done.stdout)
    assert told["errors"] == 0
    assert told["warnings"] < 400  # useful, not thousands
