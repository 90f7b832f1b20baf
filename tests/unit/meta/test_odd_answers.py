"""Answers of Meta that no documentation announces, found by fuzzing: each is an answer like another, or a SendError."""

from __future__ import annotations

import json

import pytest

from bot.meta.send_api import quoted, usage
from tests.fuzz import targets


def answer(body: object, usage: object = "", status: int = 200) -> bytes:
    return json.dumps({"status": status, "usage": usage, "retry": 17, "body": body}).encode()


@pytest.mark.parametrize(
    "raw",
    [
        answer("[" * 100_000),
        answer({"message_id": "m_1"}, "[" * 100_000),
        answer({"message_id": "m_1"}, {"1": [{"estimated_time_to_regain_access": 10**39}]}),
        answer({"message_id": "m_1"}, {"1": [{"estimated_time_to_regain_access": -(10**39)}]}),
        answer({"data": [{"id": "4", "subscribed_fields": 17}]}),
        answer({"data": [{"id": "4", "subscribed_fields": {"a": 1}}]}),
        answer({"data": 17}),
    ],
)
def test_the_client_reads_any_answer(raw: bytes) -> None:
    assert targets.graph(raw) in ("read", "refused")


def test_a_wait_that_meta_cannot_mean_is_a_day() -> None:
    told = json.dumps({"1": [{"estimated_time_to_regain_access": 10**39}]})
    assert usage({"X-Business-Use-Case-Usage": told}).regain.days == 1


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-01-15", "x", 17])
def test_a_time_without_utc_costs_the_catch_up_nothing(at: object) -> None:
    message = {"id": "m_1", "created_time": at, "from": {"id": "2"}, "message": "bonjour"}
    raw = json.dumps({"data": [{"id": "t_1", "updated_time": at, "messages": {"data": [message]}}]})
    assert targets.threads(raw.encode()) == "threads"


def test_half_a_character_in_an_id_can_be_asked_for() -> None:
    raw = json.dumps({"data": [{"id": "t_\ud83d", "messages": {"data": [{"id": "\ud83d"}]}}]})
    assert targets.threads(raw.encode()) == "threads"
    assert quoted("\ud83d/") == "%3F%2F"
