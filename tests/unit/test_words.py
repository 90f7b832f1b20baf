"""The emergency texts as the sender holds them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.app import words
from bot.app.words import EmergencyTexts, read
from bot.core import program
from bot.core.emergency import Answer
from bot.core.errors import SetupError
from bot.policy import emergency
from bot.settings import Settings
from tests.fakes.words import TEXTS

NOW = datetime(2026, 1, 15, 11, tzinfo=UTC)  # by day
FRESH = Answer("danger", NOW, True, (emergency.URGENCE,))
LATE = Answer("danger", NOW - timedelta(hours=2), True, (emergency.URGENCE,))


class Files:
    """What stands in which folder; None: it does not read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, project: str | None = None, own: str | None = None) -> None:
        self.texts = {Path("/project"): project, program.ROOT: own}
        monkeypatch.setattr(words, "PROJECT", Path("/project"))
        monkeypatch.setattr(EmergencyTexts, "in_service", lambda _self: None)

    def load(self, domain: Path) -> Mapping[str, str]:
        said = self.texts[domain.parent]
        if said is None:
            raise SetupError(f"{domain} : illisible.", "Corrigez.")
        return {**TEXTS, emergency.URGENCE: said}


async def said(texts: EmergencyTexts) -> str | None:
    return await texts.reply(FRESH, timedelta(), NOW)


async def test_what_cannot_be_read_is_taken_from_the_next_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files(monkeypatch, project=None, own="du programme")
    texts = EmergencyTexts(Settings({}), files.load)
    await texts.reload()
    assert await said(texts) == "du programme"
    assert "/project/domain.yml" in texts.fault
    files.texts[Path("/project")] = "du projet"
    await texts.reload()
    assert (await said(texts), texts.fault) == ("du projet", "")
    files.texts[Path("/project")] = None  # what was read goes before an older version of the files
    await texts.reload()
    assert await said(texts) == "du projet"
    assert texts.fault


async def test_without_any_texts_what_is_worded_goes_on_leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = EmergencyTexts(Settings({}), Files(monkeypatch).load)
    await texts.reload()
    assert (await texts.leaving("Appelez le 17.", LATE, NOW, NOW)).text == "Appelez le 17."
    assert (await texts.leaving("Appelez le 17.", LATE, NOW, NOW + timedelta(days=1))).text is None
    assert await said(texts) is None


async def test_only_words_that_must_change_wait_for_the_first_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    files, go = Files(monkeypatch, project="Appelez le 17."), threading.Event()

    def slow(domain: Path) -> Mapping[str, str]:
        assert go.wait(60)
        return files.load(domain)

    texts = EmergencyTexts(Settings({}), slow)
    reading = asyncio.create_task(texts.begin(3600.0))
    try:
        assert (await texts.leaving("Appelez.", FRESH, NOW, NOW)).text == "Appelez."
        late = asyncio.create_task(texts.leaving("Appelez.", LATE, NOW, NOW))
        await asyncio.sleep(0)
        assert not late.done()  # it has the reading begin
    finally:
        go.set()
        await reading
    assert (await late).text == f"{TEXTS[emergency.RETARD]}\n\nAppelez le 17."


def test_the_programs_own_texts_are_whole() -> None:
    assert set(read(program.ROOT / "domain.yml")) == set(emergency.TEXT_KEYS)
