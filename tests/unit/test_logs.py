"""Logs: JSON or lines as the site says, our own modules alone at their finest, and the message that they are about."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from bot.app.logs import configure
from bot.app.role import main as role_main
from bot.core.trace import Trace, about, begin, current, stored, trace_id
from bot.settings import Settings


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The loggers as they were."""
    names = (
        "",
        "planton",
        "bot",
        "psycopg",
        "sanic.access",
        "sanic.root",
        "sanic.server",
        "sqlalchemy",
        "asyncio",
        "alembic",
    )
    before = {name: logging.getLogger(name).level for name in (*names, "aiohttp.access")}
    handlers = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


class Terminal(io.StringIO):
    """Standard error, as a terminal or not."""

    def __init__(self, people: bool) -> None:
        super().__init__()
        self._people = people

    def isatty(self) -> bool:
        return self._people


def said(monkeypatch: pytest.MonkeyPatch, form: str | None, people: bool, level: str = "info") -> str:
    error = Terminal(people)
    monkeypatch.setattr(sys, "stderr", error)
    configure("worker", form, level)
    with about(Trace("ab" * 16, None, (("conversation", 12),))):
        logging.getLogger("planton.worker").info("hello")
        logging.getLogger("planton.worker").debug("finer")
        logging.getLogger("some.library").debug("words")
        logging.getLogger("psycopg").warning("words")
    return error.getvalue()


@pytest.mark.parametrize(
    ("form", "people", "is_json"),
    [(None, False, True), (None, True, False), ("json", True, True), ("texte", False, False)],
)
def test_the_form_is_the_sites_or_the_terminals(
    monkeypatch: pytest.MonkeyPatch, form: str | None, people: bool, is_json: bool
) -> None:
    line = said(monkeypatch, form, people)
    assert line.startswith("{") is is_json
    if is_json:
        entry = json.loads(line)
        assert (entry["role"], entry["level"], entry["message"]) == ("worker", "info", "hello")
        assert (entry["trace"], entry["conversation"]) == ("ab" * 16, 12)
    else:
        assert f"trace={'ab' * 16} conversation=12" in line


def test_finer_means_our_own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "finer" not in said(monkeypatch, "json", False)
    text = said(monkeypatch, "json", False, "debug")
    assert "finer" in text
    assert "words" not in text


def test_a_wrong_setting_ends_the_role_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("LOG_FORMAT", "xml"), ("LOG_LEVEL", "tout")):
        assert role_main("worker", Settings({f"PLANTON_{name}": value})) == 2
        assert f"PLANTON_{name}" in capsys.readouterr().err


async def test_a_task_keeps_its_own_message() -> None:
    async def one(name: str) -> str:
        begin(Trace(trace_id("messenger", "1", name)))
        await asyncio.sleep(0)
        found = current()
        assert found is not None
        return found.id

    first, second = await asyncio.gather(one("a"), one("b"))
    assert first == trace_id("messenger", "1", "a") != second
    assert len(first) == 32
    assert current() is None
    assert stored() == {}


def test_half_a_character_in_an_id_is_no_reason_to_fail() -> None:
    assert trace_id("messenger", "1", "\ud83d") != trace_id("messenger", "1", "\ud83e")
