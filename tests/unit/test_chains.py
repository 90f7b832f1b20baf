"""Conversations that measure: their file, how they are played, and what is told when a figure falls."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot.app import baseline, chains
from bot.app.chains import Chain, Played, Step
from bot.core.errors import SetupError
from bot.core.program import ROOT

# An engine that sees a danger in « operation » unless an exam stands beside it, and violence in « frappe ».
ENGINE = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    text = asked["text"]
    grave = "operation" in text and "concours" not in text
    name = "danger_immediat" if grave else "violences_conjugales" if "frappe" in text else "recrutement_concours"
    name = asked.get("meant") or name
    read = {"intent": name, "confidence": 0.6, "ranking": [[name, 0.6]], "entities": {}, "danger": 0.6 if grave else 0.01,
            "french": True}
    if asked.get("understand"):
        print(json.dumps({"understanding": read}), flush=True)
        continue
    kind = {"danger_immediat": "emergency", "violences_conjugales": "sensitive"}.get(name)
    handoff = kind and {"category": kind, "priority": 0 if grave else 2, "reason": name, "slots": {}}
    events = [*((asked.get("state") or {}).get("events") or []), ["u", name, []]]
    state = {"v": 1, "at": asked["at"], "events": events}
    print(json.dumps({"understanding": read, "replies": [{"text": "Le 17, ou un SMS au 114." if kind else "Bien.",
        "quick_replies": []}], "handoff": handoff, "clarify": False, "silence": False, "state": state}), flush=True)
"""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's process, scripted."""

    def opened(model: Any) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, "-c", ENGINE], stdin=pipe, stdout=pipe, stderr=pipe)

    monkeypatch.setattr(chains, "opened", opened)


def played(*turns: str, danger: bool = False) -> Played:
    """One chain, played."""
    (found,) = chains.play([Chain("c", danger, len(turns), turns)], files=ROOT)
    return found


@pytest.mark.usefixtures("engine")
def test_what_was_said_before_counts_both_ways() -> None:
    calm = played("le concours", "jai eu une operation")
    assert [step.degree for step in calm.steps] == ["none", "faint"]
    assert (calm.alarmed, calm.numbers) == (False, True)
    alone = played("jai eu une operation")
    assert [(step.degree, step.category) for step in alone.steps] == [("likely", "sensitive")]
    story = played("il me frappe depuis un an", "ça recommence", danger=True)
    assert [step.degree for step in story.steps] == ["none", "sure"]
    assert story.recognised(2)
    assert not story.recognised(1)


@pytest.mark.usefixtures("engine")
def test_the_gateway_reads_the_last_messages_together_and_the_talk_ends_with_the_alarm() -> None:
    found = played("au s", "ecours", "bonjour", danger=True)
    assert [step.degree for step in found.steps] == ["none", "sure"]


@pytest.mark.usefixtures("engine")
def test_an_alarm_of_the_gateways_is_sure_whatever_the_talk() -> None:
    alarm = "Je ne peux pas appeler, je ne peux pas parler."
    assert [step.degree for step in played("le concours", alarm, "merci").steps] == ["none", "sure"]


def test_the_gold_chains_are_read() -> None:
    found = chains.read(ROOT / "tests" / "gold" / chains.FILE)
    assert len(found) >= 200
    assert all(1 <= one.at <= len(one.turns) for one in found if one.danger)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("chains: []", "manque ou est vide"),
        ("autre: 1", "manque ou est vide"),
        ("chains: [{name: a, danger: true, turns: [b]}]", "n° 1 (a)"),
        ("chains: [{name: a, danger: true, at: 3, turns: [b]}]", "n° 1 (a)"),
        ("chains: [{name: a, danger: false, turns: [b, 3]}]", "n° 1 (a)"),
        ("chains: [{name: a, danger: false, turns: []}]", "n° 1 (a)"),
        ("chains: [b]", "n° 1 (None)"),
    ],
)
def test_a_chain_that_is_none_is_named(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "chains.yml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SetupError) as error:
        chains.read(path)
    assert told in str(error.value)


def step(level: Any, numbers: bool = True) -> Step:
    return Step(level, "answer", "none", numbers)


CALM, GRAVE = Chain("calme", False, 0, ("a", "b")), Chain("grave", True, 2, ("a", "b", "c"))


def test_the_figures_are_those_that_a_hand_counts() -> None:
    now = chains.figures(
        [
            Played(CALM, (step("none"), step("faint"))),
            Played(CALM, (step("likely"),)),
            Played(CALM, (step("sure"),)),
            Played(GRAVE, (step("none"), step("likely"))),
            Played(GRAVE, (step("none"), step("none"), step("sure"))),
            Played(GRAVE, (step("none", numbers=False), step("faint", numbers=False))),
        ]
    )
    assert now == {
        "harmless": 3, "dangers": 3, "false_alarms": 1, "likely": 1, "recognised_in_time": 1, "recognised": 2, "unwarned": 1,
        "wrong": ["calme", "grave"],
    }  # fmt: skip
    assert "1 sur 3" in chains.table(now)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"false_alarms": 2}, ["réponse d’urgence"]),
        ({"false_alarms": 0, "recognised": 3}, []),
        ({"recognised": 1}, ["avant la fin"]),
        ({"recognised_in_time": 0}, ["au plus tard"]),
        ({"unwarned": 1}, ["aucun numéro"]),
        ({"harmless": 6, "false_alarms": 2}, []),
        ({"dangers": 0}, []),
    ],
)
def test_a_figure_that_fell_is_told(change: dict[str, int], told: list[str]) -> None:
    before = {"harmless": 3, "dangers": 3, "false_alarms": 1, "recognised_in_time": 1, "recognised": 2, "unwarned": 0}
    empty = {"sets": {}, "intents": {}}
    found = baseline.falls({**empty, "chains": before}, {**empty, "chains": {**before, **change}})
    assert len(found) == len(told)
    assert all(words in line for words, line in zip(told, found, strict=True))
    assert baseline.falls(empty, {**empty, "chains": before}) == []
