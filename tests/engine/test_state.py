"""State comes back from a database: it may be old, foreign or broken, and never makes a turn fail."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest

from tests.engine.conftest import EngineProcess

OFFICER = '/recrutement_conditions{"corps": "officier"}'


@pytest.fixture
def state(engine: EngineProcess) -> dict[str, Any]:
    """After one turn about officers."""
    return dict(engine.turn("", None, OFFICER)["state"])


def answers(engine: EngineProcess, state: Any) -> dict[str, Any]:
    """A turn with this state answers."""
    turn = engine.turn("comment porter plainte", state)
    assert turn["understanding"]["intent"] == "plainte_comment"
    assert turn["replies"]
    return dict(turn)


def test_shape(state: dict[str, Any]) -> None:
    assert state["v"] == 1
    assert abs(state["at"] - time.time()) < 60
    assert state["slots"]["corps"] == "officier"
    assert state["loop"] is None
    assert state["misses"] == 0
    message, subject = ["u", "recrutement_conditions", ["corps"]], ["s", "sujet", "recrutement_conditions"]
    assert state["events"].index(message) < state["events"].index(subject)


def test_slots_are_what_the_state_says(engine: EngineProcess, state: dict[str, Any]) -> None:
    state["slots"]["corps"] = "commissaire"
    assert answers(engine, state)["state"]["slots"]["corps"] == "commissaire"
    del state["slots"]["corps"]
    assert "corps" not in answers(engine, state)["state"]["slots"]


@pytest.mark.parametrize(
    "event",
    [
        ["u", "an_intent_of_last_year", []],
        ["u", "salutation", ["an_entity_of_last_year"]],
        ["a", "action_of_last_year", True],
        ["s", "slot_of_last_year", "x"],
        ["l", "form_of_last_year"],
        ["r", "form_of_last_year"],
    ],
)
def test_what_the_domain_no_longer_knows_is_left_out(
    engine: EngineProcess, state: dict[str, Any], event: list[Any]
) -> None:
    for place in (0, len(state["events"])):
        old = copy.deepcopy(state)
        old["events"].insert(place, event)
        after = answers(engine, old)["state"]
        assert "last_year" not in json.dumps(after)
        assert after["slots"]["corps"] == "officier"


def test_unknown_slot_and_form(engine: EngineProcess, state: dict[str, Any]) -> None:
    state["slots"]["slot_of_last_year"] = "x"
    state["loop"] = "form_of_last_year"
    state["question"] = {"slot": "slot_of_last_year", "at": time.time()}
    after = answers(engine, state)["state"]
    assert after["loop"] is None
    assert "last_year" not in json.dumps(after)


@pytest.mark.parametrize(
    "garbage",
    [
        "x",
        7,
        [],
        {},
        {"v": 1},
        {"v": 2, "slots": {"corps": "officier"}, "events": []},
        {"v": "1", "slots": {}, "events": []},
        {"v": 1, "slots": [], "events": {}},
        {
            "v": 1,
            "slots": {},
            "events": [None, 3, "u", [], [None], [1, 2, 3], ["u"], ["u", 1, 2], ["a", [], {}], {"a": 1}],
        },
        {"v": 1, "slots": {"corps": {"deep": [[[]]]}, "incompris": "many", "ville": 3}, "events": [["s", [], []]]},
        {"v": 1, "slots": {}, "events": [["s", "corps", {"a": 1}], ["l", 3], ["i", "x"], ["r", None]], "loop": [1]},
        {"v": 1, "slots": {}, "events": [["a", "action_listen", True]] * 5_000},
        {"v": 1, "slots": {}, "events": [["u", "salutation", [[], {}, 3]]], "at": "yesterday", "question": "what"},
        {"v": 1, "slots": {}, "events": [], "question": {"at": True}, "at": None, "misses": "many"},
        {"v": 1, "slots": {}, "events": [["w"], ["x"], ["z"], ["w"], ["w"]]},
        {"v": 1, "slots": {}, "events": [], "told": {"lieu": "x", "date": [[], {}], "heure": [1, 2], "x": ["y", 1]}},
        {"v": 1, "slots": {}, "events": [], "told": ["lieu"]},
        {"v": 1, "slots": {"x" * 10_000: "y"}, "events": [["u", "x" * 10_000, []]]},
    ],
)
def test_garbage_is_dropped(engine: EngineProcess, garbage: Any) -> None:
    answers(engine, garbage)


def test_a_long_slot_value_is_cut(engine: EngineProcess, state: dict[str, Any]) -> None:
    state["slots"]["ville"] = "y" * 50_000
    assert len(answers(engine, state)["state"]["slots"]["ville"]) == 500


def test_an_open_question_is_answered_on_the_same_day_only(engine: EngineProcess) -> None:
    asked = engine.turn("", None, "/commissariat_contact_horaires")["state"]
    assert asked["question"]["slot"] == "commissariat_contact_horaires"
    answered = engine.turn("Lyon", asked)
    assert answered["clarify"] is False
    late = {**asked, "question": {**asked["question"], "at": time.time() - 25 * 3600}}
    assert engine.turn("zzz qsdf wxcv", asked)["clarify"] is False
    assert engine.turn("zzz qsdf wxcv", late)["clarify"] is True


def test_misunderstandings_insults_and_age_are_forgotten_after_a_day(engine: EngineProcess) -> None:
    """One miss last month and one today are no two in a row."""
    slots = {"incompris": 1.0, "insultes": 2.0, "age": "32"}
    fresh = {"v": 1, "at": time.time() - 3600, "slots": slots, "events": []}
    old = {**fresh, "at": time.time() - 30 * 24 * 3600}
    assert engine.turn("zzz qsdf wxcv", fresh)["handoff"] is not None
    missed = engine.turn("zzz qsdf wxcv", old)
    assert missed["handoff"] is None
    assert missed["clarify"] is True
    assert missed["state"]["slots"]["incompris"] == 1.0
    assert "age" not in missed["state"]["slots"]
    assert engine.turn("bande de connards", fresh)["silence"] is True
    insulted = engine.turn("bande de connards", old)
    assert insulted["silence"] is False
    assert insulted["replies"]


def test_what_was_told_is_kept_for_a_day(engine: EngineProcess) -> None:
    first = engine.turn("comment porter plainte pour un vol d'hier place bellecour ?", None)["state"]
    assert {name: row[0] for name, row in first["told"].items()} == {"date": "hier", "lieu": "place bellecour"}
    asked = engine.turn("je veux parler à un agent", first)
    # The worker hands the place over: it knows whether a newer one was told since.
    assert "lieu" not in asked["handoff"]["slots"]
    assert asked["state"]["told"]["lieu"] == first["told"]["lieu"]
    assert "ce que vous m’avez dit" in asked["replies"][0]["text"]
    told = {name: [row[0], row[1] - 25 * 3600] for name, row in first["told"].items()}
    later = engine.turn("je veux parler à un agent", {**first, "at": first["at"] - 25 * 3600, "told": told})
    assert "ce que vous m’avez dit" not in later["replies"][0]["text"]
    assert later["state"]["told"] == {}


def test_a_button_tells_nothing(engine: EngineProcess) -> None:
    assert engine.turn("place bellecour", None, OFFICER)["state"]["told"] == {}


@pytest.mark.parametrize("at", [1_768_471_200.5, 4_102_444_800])
def test_the_state_is_dated_by_the_clock_of_who_asks(engine: EngineProcess, at: float) -> None:
    """Engines on two machines never compare their own clocks: docs/decisions/clocks.md."""
    answer = engine.post("/turn", {"sender": "s", "text": "bonjour", "state": None, "payload": None, "at": at})
    assert (answer.status, answer.body["state"]["at"]) == (200, at)


@pytest.mark.parametrize("at", [None, True, "demain", -1, 10**400])
def test_a_turn_with_no_good_date_is_dated_by_the_engine(engine: EngineProcess, at: Any) -> None:
    answer = engine.post("/turn", {"sender": "s", "text": "bonjour", "state": None, "payload": None, "at": at})
    assert answer.status == 200
    assert abs(answer.body["state"]["at"] - time.time()) < 600
