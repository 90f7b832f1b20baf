"""The engine's answers are read strictly: a wrong shape is refused, never half believed."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from bot.core.dialogue import HandoffRequest, Link, QuickReply, Reply, Turn, Understanding
from bot.core.errors import EngineRefused
from bot.dialogue import answers

UNDERSTANDING: dict[str, Any] = {
    "intent": "plainte_comment",
    "confidence": 0.75,
    "ranking": [["plainte_comment", 0.75], ["suivi_plainte", 0.1]],
    "entities": {"ville": "Lyon"},
    "danger": 0,
    "french": True,
    "questions": [["plainte_comment/en_ligne", 0.6], ["plainte_comment/delai", 0.2]],
}
TURN: dict[str, Any] = {
    "understanding": UNDERSTANDING,
    "replies": [{"text": "Bonjour", "quick_replies": [{"title": "Plainte", "payload": "/plainte_comment"}]}],
    "handoff": {"category": "request", "priority": 4, "reason": "parler_humain", "slots": {"ville": "Lyon"}},
    "clarify": False,
    "silence": False,
    "state": {"v": 1},
}


def test_a_turn() -> None:
    assert answers.turn(TURN) == Turn(
        understanding=Understanding(
            intent="plainte_comment",
            confidence=0.75,
            ranking=(("plainte_comment", 0.75), ("suivi_plainte", 0.1)),
            entities={"ville": "Lyon"},
            danger=0.0,
            french=True,
            questions=(("plainte_comment/en_ligne", 0.6), ("plainte_comment/delai", 0.2)),
        ),
        replies=(Reply("Bonjour", (QuickReply("Plainte", "/plainte_comment"),)),),
        handoff=HandoffRequest("request", 4, "parler_humain", {"ville": "Lyon"}),
        state={"v": 1},
    )


def test_no_intent_is_possible() -> None:
    assert answers.understanding({**UNDERSTANDING, "intent": None, "ranking": []}).intent is None


def test_an_answer_that_is_only_likely_is_told_as_one() -> None:
    found = answers.turn({**TURN, "question": "plainte_comment/delai", "supposed": True})
    assert (found.question, found.supposed) == ("plainte_comment/delai", True)
    assert not answers.turn(TURN).supposed  # an engine of before tells nothing of it


def test_an_engine_of_before_the_catalogue_names_no_questions() -> None:
    assert answers.understanding({k: v for k, v in UNDERSTANDING.items() if k != "questions"}).questions == ()


def test_whose_words_an_emergency_calls_for() -> None:
    found = answers.understanding({**UNDERSTANDING, "scripts": {"partner_minor": 0.9}, "called": 0.97})
    assert (found.scripts, found.called) == ({"partner_minor": 0.9}, 0.97)
    before = answers.understanding(UNDERSTANDING)  # an engine of before tells neither
    assert (before.scripts, before.called) == ({}, 0.0)


def test_the_links_of_a_reply() -> None:
    link = {"title": "La fiche", "url": "https://www.example.fr/"}
    found = answers.turn({**TURN, "replies": [{"text": "Oui", "quick_replies": [], "links": [link]}]})
    assert found.replies == (Reply("Oui", links=(Link("La fiche", "https://www.example.fr/"),)),)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("understanding",), None),
        (("understanding", "intent"), 3),
        (("understanding", "confidence"), "0.7"),
        (("understanding", "confidence"), True),
        (("understanding", "confidence"), 1.5),
        (("understanding", "danger"), -0.1),
        (("understanding", "danger"), float("nan")),
        (("understanding", "called"), 1.2),
        (("understanding", "ranking"), {}),
        (("understanding", "ranking"), [["a"]]),
        (("understanding", "ranking"), [[1, 0.5]]),
        (("understanding", "entities"), []),
        (("understanding", "entities"), {"ville": 3}),
        (("understanding", "french"), None),
        (("understanding", "questions"), None),
        (("understanding", "questions"), [["plainte_comment/en_ligne", 2]]),
        (("replies",), None),
        (("replies",), [{}]),
        (("replies",), ["Bonjour"]),
        (("replies",), [{"text": None, "quick_replies": []}]),
        (("replies",), [{"text": "a", "quick_replies": [{"title": "b"}]}]),
        (("replies",), [{"text": "a", "quick_replies": [], "links": [{"title": "b"}]}]),
        (("replies",), [{"text": "a", "quick_replies": [], "links": None}]),
        (("handoff",), {}),
        (("handoff", "priority"), "4"),
        (("handoff", "priority"), True),
        (("handoff", "slots"), {"ville": None}),
        (("clarify",), 0),
        (("silence",), None),
        (("state",), []),
    ],
)
def test_a_wrong_shape_is_refused(path: tuple[str, ...], value: Any) -> None:
    broken = copy.deepcopy(TURN)
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(EngineRefused):
        answers.turn(broken)


@pytest.mark.parametrize("key", sorted(TURN))
def test_a_missing_key_is_refused(key: str) -> None:
    with pytest.raises(EngineRefused):
        answers.turn({name: value for name, value in TURN.items() if name != key})


@pytest.mark.parametrize("answer", [None, [], "x", 3, {}])
def test_what_is_no_object_is_refused(answer: Any) -> None:
    with pytest.raises(EngineRefused):
        answers.turn(answer)
    with pytest.raises(EngineRefused):
        answers.understanding(answer)


def test_an_outcome_that_says_nothing_is_refused() -> None:
    empty = {**TURN, "replies": [], "handoff": None}
    with pytest.raises(EngineRefused, match="empty outcome"):
        answers.turn(empty)
    assert answers.turn({**empty, "silence": True}).silence
    assert answers.turn({**empty, "clarify": True}).clarify
