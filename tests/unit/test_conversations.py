"""Conversations that measure the catalogue: their file, and what is counted of their turns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.app import conversations
from bot.app.chains import Chain, Played, Step
from bot.app.conversations import figures, read, table
from bot.core.errors import SetupError
from bot.core.program import ROOT
from bot.trainer import gold_conversations
from bot.trainer.gold_conversations import Conversation, Expected
from tests.fakes.asked import LATE, LICENCE, ONLINE, small
from tests.fakes.catalogue import catalogue as other_catalogue


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three questions of `tests.fakes.asked`."""
    monkeypatch.setattr(conversations.catalogue, "read", lambda _root: small())


# -- The file --------------------------------------------------------------------------------------------------------------


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "talks.yml"
    path.write_text(
        f"conversations:\n- nom: deux\n  tours:\n  - texte: 'et la chasse ?'\n    questions: [{LICENCE}]\n"
        f"  - texte: les deux\n    questions: [{ONLINE}, {LATE}]\n    toutes: true\n  - texte: merci\n    questions: []\n",
        encoding="utf-8",
    )
    turns = (
        Expected("et la chasse ?", (LICENCE,)),
        Expected("les deux", (ONLINE, LATE), True),
        Expected("merci", ()),
    )
    assert read(path) == [Conversation("deux", turns)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("conversations: []", "manque ou est vide"),
        ("autre: 1", "manque ou est vide"),
        ("- un", "manque ou est vide"),
        ("conversations: [rien]", "n° 1 : attendu « nom » et « tours »"),
        ("conversations: [{tours: [a]}]", "n° 1 : attendu « nom » et « tours »"),
        ("conversations: [{nom: a, tours: []}]", "n° 1 : attendu « nom » et « tours »"),
        ("conversations: [{nom: a, tours: texte}]", r"n° 1 \(a\) : un tour a « texte » et « questions »"),
        ("conversations: [{nom: a, tours: [{texte: b}]}]", r"n° 1 \(a\) : un tour a"),
        (f"conversations: [{{nom: a, tours: [{{texte: b, questions: {LATE}}}]}}]", r"n° 1 \(a\) : un tour a"),
        ("conversations: [{nom: a, tours: [{texte: 3, questions: []}]}]", r"n° 1 \(a\) : un tour a"),
        ("conversations: [{nom: a, tours: [{texte: ' ', questions: []}]}]", r"n° 1 \(a\) : un tour a"),
        ("conversations: [{nom: a, tours: [{texte: b, questions: [{c: d}]}]}]", r"n° 1 \(a\) : un tour a"),
        ("conversations: [{nom: a, tours: [{texte: b, questions: [armes/arc]}]}]", "question inconnue « armes/arc »"),
        ("conversations: [", "ligne 1, colonne 17 : ce n’est pas du YAML correct"),
    ],
)
def test_a_file_of_another_form_is_told_with_the_conversation(tmp_path: Path, content: str, told: str) -> None:
    path = tmp_path / "talks.yml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SetupError, match=told):
        read(path)


def test_an_absent_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="ne se lit pas"):
        read(tmp_path / "absent.yml")


def test_the_conversations_of_the_project_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    found = read(ROOT / "tests" / "gold" / gold_conversations.FILE)
    assert len({one.name for one in found}) == len(found) >= 50
    assert all(len(one.turns) >= 2 for one in found)


# -- Their turns -----------------------------------------------------------------------------------------------------------


def step(question: str | None = None, *offers: str, said: str = "") -> Step:
    """An ordinary turn's outcome."""
    return Step("none", "answer", "none", False, None, question, tuple(f"/{name}" for name in offers), said)


def counted(monkeypatch: pytest.MonkeyPatch, *turns: tuple[Expected, Step | None]) -> dict[str, Any]:
    """The figures of one conversation; None for a turn that an emergency reply left unplayed."""
    steps = tuple(found for _, found in turns if found is not None)

    def play(chains: Sequence[Chain], *_: object, **__: object) -> list[Played]:
        return [Played(chain, steps) for chain in chains]

    monkeypatch.setattr(conversations, "play", play)
    return figures([Conversation("c", tuple(turn for turn, _ in turns))])


CHASE = Expected("la chasse", (LICENCE,))
NOTHING = Expected("merci", ())


def test_turns_are_right_reachable_or_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    found = counted(
        monkeypatch,
        (CHASE, step(LICENCE)),
        (Expected("l’un ou l’autre", (LICENCE, LATE)), step(LATE)),
        (CHASE, step(None, ONLINE, LICENCE)),
        (CHASE, step(ONLINE)),
        (CHASE, step(None, ONLINE)),
        (NOTHING, step(None, LICENCE)),
        (NOTHING, step(LICENCE)),
    )
    assert [found[key] for key in ("turns", "right", "reachable", "wrong")] == [7, 3, 4, 2]
    assert found["lines"] == [
        {"name": "c", "turn": 3, "answered": None},
        {"name": "c", "turn": 4, "answered": ONLINE},
        {"name": "c", "turn": 5, "answered": None},
        {"name": "c", "turn": 7, "answered": LICENCE},
    ]
    assert "réponse exacte : 3 sur 7" in table(found)


def test_a_turn_behind_an_emergency_reply_is_counted_and_is_not_right(monkeypatch: pytest.MonkeyPatch) -> None:
    found = counted(monkeypatch, (CHASE, step(LICENCE)), (CHASE, step()), (NOTHING, None))
    assert [found[key] for key in ("turns", "right", "reachable", "wrong")] == [3, 1, 1, 0]
    assert [line["turn"] for line in found["lines"]] == [2, 3]


BOTH = "procuration/en_ligne", "procuration/etranger"
FIRST, SECOND = (other_catalogue().questions[name].answer.text for name in BOTH)


@pytest.mark.parametrize(
    ("played", "right", "reachable", "wrong"),
    [
        (step(BOTH[0], said=f"{FIRST}\n{SECOND}"), 1, 1, 0),
        (step(BOTH[0], BOTH[1], said=FIRST), 0, 1, 0),  # the other is one tap away
        (step(BOTH[0], said=FIRST), 0, 0, 0),  # half an answer is none to another question
        (step(None, *BOTH), 0, 1, 0),
        (step(None, BOTH[0]), 0, 0, 0),
        (step("salutation/robot", said="Je suis un assistant automatique."), 0, 0, 1),
    ],
)
def test_two_questions_want_two_answers(
    monkeypatch: pytest.MonkeyPatch, played: Step, right: int, reachable: int, wrong: int
) -> None:
    monkeypatch.setattr(conversations.catalogue, "read", lambda _root: other_catalogue())
    found = counted(monkeypatch, (Expected("en ligne ? et de l’étranger ?", BOTH, True), played))
    assert [found[key] for key in ("right", "reachable", "wrong")] == [right, reachable, wrong]
