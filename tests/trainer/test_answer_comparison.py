"""Two models' answers out of the catalogue: the sets are read, both are counted, what changed is told; each model is asked once."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.app.compare import table
from bot.core.errors import SetupError
from bot.trainer.answer_comparison import (
    EXACT,
    MESSAGES,
    NOTHING,
    OFFERED,
    SHOWN,
    TURNS,
    WRONG,
    AnswerCounts,
    Answered,
    AnswerGold,
    Asked,
    TopicCompared,
    compare_answers,
)
from bot.trainer.candidates import Model
from bot.trainer.comparison import Comparison
from bot.trainer.conduct import Conductor, Order
from bot.trainer.figures import Judged
from bot.trainer.gold import Case
from bot.trainer.project import Project
from tests.fakes.project import AUTHOR, copied
from tests.fakes.training import compared

ONLINE, ABROAD, GONE = "procuration/en_ligne", "procuration/etranger", "procuration/qui_n_est_plus"
RIGHT = Answered(ONLINE, True, True, False)
OTHER = Answered(ABROAD, False, False, True)
SILENT = Answered(None, False, False, False)
BUTTON = Answered(None, False, True, False)
TALK = f"""conversations:
- nom: deux
  tours:
  - texte: 'ma procu ?'
    questions: [{ONLINE}]
  - texte: 'et de loin ?'
    questions: [{ABROAD}, {GONE}]
"""


# -- The sets --------------------------------------------------------------------------------------------------------------


def gold(root: Path, messages: str = f"procu en ligne\t{ONLINE}\nmdr\t-\n", talk: str = TALK) -> Path:
    """A folder with both sets."""
    folder = root / "tests" / "gold"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "answers.tsv").write_text(f"text\tquestions\n{messages}", encoding="utf-8")
    (folder / "conversations.yml").write_text(talk, encoding="utf-8")
    return root


def test_messages_and_turns_are_asked_with_what_was_said_before(tmp_path: Path) -> None:
    assert AnswerGold.read(gold(tmp_path)).asked == [
        Asked(MESSAGES, "procu en ligne", (ONLINE,)),
        Asked(MESSAGES, "mdr", ()),
        Asked(TURNS, "ma procu ?", (ONLINE,)),
        Asked(TURNS, "ma procu ? › et de loin ?", (ABROAD, GONE)),  # a question that is gone refuses nothing
    ]


def test_without_sets_nothing_is_asked_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    assert AnswerGold.read(tmp_path).asked == []
    with pytest.raises(SetupError, match="ligne 2"):
        AnswerGold.read(gold(tmp_path, "sans question\n"))


# -- Side by side ----------------------------------------------------------------------------------------------------------


def test_what_became_of_a_message() -> None:
    assert [one.became for one in (RIGHT, OTHER, SILENT, BUTTON)] == [EXACT, WRONG, NOTHING, OFFERED]
    assert Answered(ABROAD, False, True, True).became == WRONG  # a button does not mend a wrong answer


def test_both_are_counted_and_what_changed_is_named() -> None:
    asked = [Asked(MESSAGES, f"message {place}", (ONLINE,)) for place in range(4)] + [Asked(TURNS, "tour", (GONE,))]
    before, after = [RIGHT, RIGHT, SILENT, OTHER, OTHER], [RIGHT, OTHER, BUTTON, OTHER, SILENT]
    messages, turns = compare_answers(
        asked, before, after, {ONLINE: "En ligne ?", ABROAD: "De l’étranger ?", "x/y": "?"}
    )
    assert (messages.name, messages.current, messages.candidate) == (
        MESSAGES,
        AnswerCounts(4, 2, 2, 1),
        AnswerCounts(4, 1, 2, 2),
    )
    assert messages.candidate.share("wrong") == 0.5
    ((lost,), (gained,)) = messages.losses, messages.gains
    assert (lost.text, lost.was, lost.now, lost.after) == ("message 1", EXACT, WRONG, ABROAD)
    assert (gained.text, gained.was, gained.now) == ("message 2", NOTHING, OFFERED)
    assert messages.titles == {ONLINE: "En ligne ?", ABROAD: "De l’étranger ?"}
    assert (turns.better, turns.worse, turns.title(GONE)) == (1, 0, GONE)


def test_twenty_are_shown_the_worst_first_and_either_side_has_half() -> None:
    asked = [Asked(MESSAGES, str(place), (ONLINE,)) for place in range(60)]
    before = [RIGHT] * 30 + [SILENT] * 30
    (one,) = compare_answers(asked, before, [BUTTON] * 29 + [OTHER] + [RIGHT] * 30)
    assert (one.worse, one.better, len(one.changes)) == (30, 30, SHOWN)
    assert (len(one.losses), len(one.gains), one.losses[0].text) == (10, 10, "29")
    (one,) = compare_answers(asked, before, [SILENT] * 30 + [RIGHT] * 3 + [SILENT] * 27)
    assert (len(one.losses), len(one.gains)) == (17, 3)


def test_each_topic_is_counted_and_what_no_question_answers_apart() -> None:
    asked = [Asked(MESSAGES, "a", (ONLINE,)), Asked(MESSAGES, "b", ("armes/x", ONLINE)), Asked(MESSAGES, "c", ())]
    (one,) = compare_answers([*asked, Asked(MESSAGES, "d", (ABROAD,))], [RIGHT] * 4, [OTHER, RIGHT, SILENT, BUTTON])
    assert one.topics == (
        TopicCompared("(aucune)", AnswerCounts(1, 1, 1, 0), AnswerCounts(1, 0, 0, 0)),
        TopicCompared("armes", AnswerCounts(1, 1, 1, 0), AnswerCounts(1, 1, 1, 0)),
        TopicCompared("procuration", AnswerCounts(2, 2, 2, 0), AnswerCounts(2, 0, 1, 1)),
    )


def test_the_terminal_shows_topics_before_and_after() -> None:
    lines = [" ".join(line.split()) for line in table(compared())]
    assert "par sujet, service → candidat messages exactes à un bouton autres" in lines
    assert "procuration 100 60,0 % → 49,0 % 100,0 % → 88,0 % 0,0 % → 12,0 %" in lines
    assert "(aucune) 1 100,0 % → 100,0 % 100,0 % → 100,0 % 0,0 % → 0,0 %" in lines  # a turn of a conversation


def test_without_a_model_in_service_the_candidate_stands_alone() -> None:
    (one,) = compare_answers([Asked(MESSAGES, "a", (ONLINE,))], None, [RIGHT])
    assert (one.current, one.candidate, one.changes) == (None, AnswerCounts(1, 1, 1, 0), ())
    assert one.topics == (TopicCompared("procuration", None, AnswerCounts(1, 1, 1, 0)),)


def test_it_survives_json_and_one_of_before_has_none() -> None:
    answers = compare_answers([Asked(MESSAGES, "a", (ONLINE,))], [RIGHT], [OTHER], {ABROAD: "De l’étranger ?"})
    whole = Comparison("a" * 16, "b" * 16, (), answers=answers)
    assert Comparison.from_json(json.loads(json.dumps(whole.to_json()))) == whole
    older = {name: value for name, value in whole.to_json().items() if name != "answers"}
    assert Comparison.from_json(older).answers == ()
    without_topics = json.loads(json.dumps(whole.to_json()))
    del without_topics["answers"][0]["topics"]
    assert Comparison.from_json(without_topics).answers[0].topics == ()


# -- A training measures them ----------------------------------------------------------------------------------------------

CURRENT, CANDIDATE = "c" * 16, "d" * 16


@dataclass
class Engine:
    """In the place of the engine: the candidate is trained already, and answers every message with ABROAD; the model in service is
    right. `asked`: the models that were asked for answers; `stages`: what was told."""

    python: Path
    asked: list[str] = field(default_factory=list)
    stages: list[str] = field(default_factory=list)

    def run(self, project: Project) -> Comparison:
        """The comparison that a training comes to."""

        def report(stage: str, *_: object) -> None:
            self.stages.append(stage)

        conductor = Conductor(self.python, {}, _right, report, answers=self._answers)
        found = conductor.run(Order(project, AUTHOR, "2026-01-15T12:00:00+01:00")).comparison
        assert found is not None
        return found

    def _answers(
        self, gold: AnswerGold, model: Model, _started: Callable[[subprocess.Popen[bytes]], None]
    ) -> list[Answered]:
        self.asked.append(model.hash)
        return [OTHER if model.hash == CANDIDATE else RIGHT for _ in gold.asked]


def _right(cases: Sequence[Case], *_: Any) -> list[Judged]:
    return [Judged(case, case.intent, case.route, case.intent, 0.9) for case in cases]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two models of nothing and small sets."""
    project = copied(tmp_path_factory.mktemp("answers") / "projet")
    gold(project.root)
    for folder, name in (("models", CURRENT), ("models/candidates", CANDIDATE)):
        archive = project.root / folder / f"{name}.tar.gz"
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, "w:gz") as made:
            made.addfile(tarfile.TarInfo("nothing"), io.BytesIO())
        Model(archive, project.root).score.write_text("{}")
    return project


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """One that names the present files as the candidate does."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {CANDIDATE}\n")
    python.chmod(0o755)
    return Engine(python)


def test_each_model_is_asked_once_and_again_where_the_sets_changed(project: Project, engine: Engine) -> None:
    found = engine.run(project)
    assert engine.asked == [CANDIDATE, CURRENT]
    assert list(dict.fromkeys(engine.stages))[-3:] == ["current", "answers", "comparing"]
    messages, turns = found.answers
    assert (messages.current, messages.candidate) == (AnswerCounts(2, 2, 2, 0), AnswerCounts(2, 0, 0, 2))
    assert (turns.name, turns.worse) == (TURNS, 2)
    assert ABROAD in messages.titles
    kept = (project.root / "models" / ".measured" / f"{CANDIDATE}.json").read_text()
    assert "procu en ligne" not in kept

    assert engine.run(project).answers == found.answers
    assert engine.asked == [CANDIDATE, CURRENT]
    gold(project.root, f"autrement\t{ONLINE}\nmdr\t-\n")
    engine.run(project)
    assert engine.asked == [CANDIDATE, CURRENT] * 2


def test_a_project_without_such_sets_is_compared_without_them(project: Project, engine: Engine) -> None:
    for name in ("answers.tsv", "conversations.yml"):
        (project.root / "tests" / "gold" / name).unlink()
    found = engine.run(project)
    assert (found.answers, engine.asked) == ((), [])
    assert "answers" not in engine.stages
