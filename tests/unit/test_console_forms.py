"""Forms of the console: finished though the browser leaves; what is compared letter by letter has a bound."""

from __future__ import annotations

import asyncio
import difflib
from typing import Any

import pytest
from sanic import HTTPResponse, Request
from sanic.response import empty

from bot.console import workbench_replies_form as forms
from bot.console.site import Open, Topic
from bot.trainer.replies import Response, Variation


async def test_a_form_is_finished_though_the_browser_leaves() -> None:
    began, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def write(request: Request) -> HTTPResponse:
        began.set()
        await may_end.wait()
        ended.set()
        return empty()

    topic = Topic("essai")
    topic.form("/essai", write, Open.NOBODY, "write")
    (route,) = topic.blueprint._future_routes
    asked = asyncio.create_task(route.handler(None))
    await began.wait()
    asked.cancel()  # as Sanic does when the connection is lost
    with pytest.raises(asyncio.CancelledError):
        await asked
    may_end.set()
    async with asyncio.timeout(10):
        await ended.wait()


async def test_a_form_that_fails_says_so() -> None:
    async def fail(request: Request) -> HTTPResponse:
        raise ValueError("no")

    topic = Topic("essai")
    topic.form("/essai", fail, Open.NOBODY, "fail")
    (route,) = topic.blueprint._future_routes
    with pytest.raises(ValueError, match="no"):
        await route.handler(None)


def _reply(text: str) -> Response:
    return Response("utter_essai", (Variation(text),))


@pytest.mark.parametrize(("before", "after"), [(5_000, 5_000), (5_000, 10), (10, 5_000)])
def test_long_lines_are_not_compared_letter_by_letter(monkeypatch: pytest.MonkeyPatch, before: int, after: int) -> None:
    monkeypatch.setattr(difflib, "SequenceMatcher", _never)
    (found,) = forms.touched(_reply("a b" * before), _reply("ab " * after))
    assert max(map(len, found)) <= forms.COMPARED + 20


def test_so_many_places_are_shown_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    matcher = difflib.SequenceMatcher

    def counted(junk: None, old: str, new: str, autojunk: bool) -> Any:
        compared.append(old)
        return matcher(junk, old, new, autojunk)

    monkeypatch.setattr(difflib, "SequenceMatcher", counted)
    lines = [f"ligne {n} ?" for n in range(500)]
    found = forms.touched(_reply("\n".join(lines)), _reply("\n".join(lines).replace(" ?", "\u202f?")))
    assert len(found) == forms.TOUCHED_AT_MOST
    assert len(compared) == forms.TOUCHED_AT_MOST


def _never(*given: object, **named: object) -> Any:
    raise AssertionError("compared letter by letter")
