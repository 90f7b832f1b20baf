"""Which question of the catalogue is answered, measured: a set is read, judged by engine and policy, counted, held against the
reference."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.app import baseline, conversations, evaluate_answers, workbench
from bot.app.chains import Chain, Played, Step
from bot.app.cli import main
from bot.app.evaluate_answers import show, write
from bot.app.policy import build
from bot.core.dialogue import QuickReply, Reply, Turn, Understanding
from bot.core.errors import SetupError
from bot.core.labelled import AnswerCase, names_answers, read_answers
from bot.core.program import ROOT
from bot.settings import Settings
from bot.trainer.answer_comparison import Answered, AnswerGold
from bot.trainer.answer_figures import AnswerJudged, measure
from bot.trainer.candidates import Model
from bot.trainer.checks import gold
from bot.trainer.checks.gold import Answer, Finding
from bot.trainer.corpus import Example
from bot.trainer.gold import answer_sets, script_sets, sets
from bot.trainer.gold_conversations import Conversation, Expected
from bot.trainer.neighbours import Neighbours

HEAD = "text\tquestions\n"
ONLINE, ABROAD, PAY = "procuration/en_ligne", "procuration/etranger", "contravention/payer"
KNOWN = frozenset({ONLINE, ABROAD, PAY})


# -- A set is read ---------------------------------------------------------------------------------------------------------


def put(folder: Path, text: str) -> Path:
    """A set of answers."""
    path = folder / "reponses.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_set_names_one_question_or_several_or_none(tmp_path: Path) -> None:
    path = put(tmp_path, f"\ufeff{HEAD}procu ?\t{ONLINE}\r\n\nvoter\t{ONLINE} {ABROAD}\nmdr\t-\n")
    assert read_answers(path, KNOWN) == [
        AnswerCase("procu ?", (ONLINE,), 2),
        AnswerCase("voter", (ONLINE, ABROAD), 4),
        AnswerCase("mdr", (), 5),
    ]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("x\tprocuration/hier\n", "ligne 2 : question inconnue « procuration/hier »"),
        (f" \t{ONLINE}\n", "ligne 2 : le message est vide"),
        ("x\n", "ligne 2 : il faut un message, une tabulation"),
        ("x\t \n", "ligne 2 : il faut un message, une tabulation"),
        (f"x\t{ONLINE}\t{PAY}\n", "ligne 2 : il faut un message, une tabulation"),
        (f"x\t- {ONLINE}\n", "ligne 2 : il faut un message, une tabulation"),  # an answer, or none?
        ("x\trien/du_tout\n" * 7, "… et 2 autres lignes"),
        ("", "ne contient aucun message"),
    ],
)
def test_what_is_no_row_of_answers_is_told_with_its_line(tmp_path: Path, lines: str, told: str) -> None:
    with pytest.raises(SetupError, match=told):
        read_answers(put(tmp_path, HEAD + lines), KNOWN)


def test_a_set_of_another_kind_is_refused_and_its_first_line_is_not_skipped(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="ligne 1 : ce n’est pas un jeu de réponses"):
        read_answers(put(tmp_path, f"procu ?\t{ONLINE}\nvoter\t{ABROAD}\n"), KNOWN)


def test_sets_are_told_apart_by_their_first_line(tmp_path: Path) -> None:
    answers = put(tmp_path, HEAD)
    (tmp_path / "intents.tsv").write_text("text\tintent\tsecond\troute\n", encoding="utf-8")
    (tmp_path / "mots.tsv").write_text("text\tscript\tsecond\n", encoding="utf-8")
    assert names_answers(answers)
    assert not names_answers(tmp_path / "intents.tsv")
    found = [[path.name for path in of(tmp_path)] for of in (sets, script_sets, answer_sets)]
    assert found == [["intents.tsv"], ["mots.tsv"], ["reponses.tsv"]]
    with pytest.raises(SetupError, match="n’existe pas"):
        names_answers(tmp_path / "absent.tsv")


def test_the_set_of_the_project_names_questions_of_the_catalogue() -> None:
    [path] = answer_sets(ROOT / "tests" / "gold")
    found = read_answers(path, evaluate_answers.questions())
    assert len(found) >= 1000
    assert sum(not case.questions for case in found) >= 100  # what no catalogue holds is asked, too


# -- Figures ---------------------------------------------------------------------------------------------------------------


def judged(asked: tuple[str, ...], answered: str | None, *offered: str, line: int = 2) -> AnswerJudged:
    return AnswerJudged(AnswerCase("votre procu", asked, line), answered, offered)


EXACT = judged((ONLINE, ABROAD), ABROAD)
NEAR = judged((PAY,), None, ONLINE, PAY, line=3)
WRONG = judged((ONLINE,), PAY, line=4)
WRONG_BUT_NEAR = judged((ONLINE,), PAY, ONLINE, line=5)
LOST = judged((ONLINE,), None, line=6)
RIGHTLY_NOTHING = judged((), None, PAY, line=7)
WRONGLY_SOMETHING = judged((), PAY, PAY, line=8)
ALL = [EXACT, NEAR, WRONG, WRONG_BUT_NEAR, LOST, RIGHTLY_NOTHING, WRONGLY_SOMETHING]


def test_exact_reachable_and_wrong() -> None:
    assert [one.exact for one in ALL] == [True, False, False, False, False, True, False]
    assert [one.reachable for one in ALL] == [True, True, False, True, False, True, False]
    assert [one.wrong for one in ALL] == [False, False, True, True, False, False, True]


def test_figures_by_topic_and_what_is_taken_for_what() -> None:
    figures = measure(ALL)
    assert (figures["n"], figures["exact"], figures["reachable"], figures["wrong"]) == (7, 0.2857, 0.5714, 0.4286)
    none = figures["per_topic"]["(aucune)"]
    assert (none["n"], none["exact"], none["reachable"], none["wrong"]) == (2, 0.5, 0.5, 0.5)
    assert figures["per_topic"]["procuration"]["n"] == 4
    assert figures["confusion"] == [
        {"question": ONLINE, "answered": PAY, "n": 2},
        {"question": "(aucune)", "answered": PAY, "n": 1},
    ]
    assert figures["wrong_lines"] == [4, 5, 8]


def test_answers_under_their_question_are_counted_apart() -> None:
    figures = measure([replace(EXACT, supposed=True), EXACT, replace(WRONG, supposed=True), NEAR])
    assert (figures["exact"], figures["exact_supposed"]) == (0.5, 0.25)
    assert (figures["wrong"], figures["wrong_supposed"]) == (0.25, 0.25)


def test_figures_are_shown_as_tables_or_as_one_object() -> None:
    assert json.loads(show(Path("jeu.tsv"), ALL, True)) == measure(ALL)
    rows = [" ".join(line.split()) for line in show(Path("jeu.tsv"), ALL, False).replace("\u00a0", " ").split("\n")]
    assert rows[:6] == [
        "jeu.tsv, messages 7 entre (95 %)",
        "réponse exacte 28,6 % 0,0 à 63,6 %",
        "dont sous « Vous demandez peut-être » 0,0 %",
        "exacte, ou à un bouton 57,1 % 16,7 à 100,0 %",
        "réponse à une autre question 42,9 % 0,0 à 83,3 %",
        "dont sous « Vous demandez peut-être » 0,0 %",
    ]
    assert "contravention 1 0,0 % 100,0 % 0,0 %" in rows
    assert f"2 {ONLINE} : réponse de {PAY}" in rows
    assert "Réponses à une autre question :" not in show(Path("jeu.tsv"), [EXACT], False)


def test_what_is_not_exact_is_written_beside_the_figures(tmp_path: Path) -> None:
    result, errors = write(tmp_path, ALL)
    assert json.loads(result.read_text(encoding="utf-8")) == measure(ALL)
    assert errors.read_text(encoding="utf-8").split("\n")[:4] == [
        "line\ttext\tquestions\tanswered\toffered",
        f"3\tvotre procu\t{PAY}\t-\t{ONLINE} {PAY}",
        f"4\tvotre procu\t{ONLINE}\t{PAY}\t",
        f"5\tvotre procu\t{ONLINE}\t{PAY}\t{ONLINE}",
    ]
    with pytest.raises(SetupError, match="ne peut pas être écrit"):
        write(tmp_path / "absent", ALL)


# -- The command -----------------------------------------------------------------------------------------------------------


def test_a_set_of_answers_is_judged_by_what_goes_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine that answers the first message, and offers the other question under the second."""
    monkeypatch.setattr(evaluate_answers, "questions", lambda: KNOWN)
    first, second = ONLINE, ABROAD
    path = put(tmp_path, f"{HEAD}ma procu en ligne\t{first}\nvoter de loin\t{second}\n")
    buttons = (QuickReply("Depuis l’étranger", f"/{second}"), QuickReply("Parler à un agent", "/parler_humain"))
    told = [("Voici.", (), first), ("Tout sur la procuration.", buttons, None)]

    def turns(texts: Iterable[str], *_: object) -> Iterator[Turn]:
        read = Understanding("procuration", 0.9, (("procuration", 0.9),), {}, 0.0)
        for _text, (text, offered, answered) in zip(texts, told, strict=True):
            yield Turn(read, (Reply(text, offered),), question=answered)

    monkeypatch.setattr(evaluate_answers, "turns", turns)
    assert main(["eval", str(path), "--dossier", str(tmp_path / "ici")]) == 0
    assert "exacte, ou à un bouton" in capsys.readouterr().out
    figures = json.loads((tmp_path / "ici" / "resultat.json").read_text(encoding="utf-8"))
    assert (figures["n"], figures["exact"], figures["reachable"], figures["wrong"]) == (2, 0.5, 1.0, 0.0)
    errors = (tmp_path / "ici" / "erreurs.tsv").read_text(encoding="utf-8")
    assert errors.endswith(f"3\tvoter de loin\t{second}\t-\t{second}\n")
    assert main(["eval", str(path), "--bruit", "sms"]) == 2


def test_a_comparison_judges_messages_and_turns_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that answers every message with one question, and offers another in conversations."""
    read = Understanding("procuration", 0.9, (("procuration", 0.9),), {}, 0.0)
    engines: list[object] = []

    def turns(texts: Iterable[str], _model: object, started: Callable[[object], None]) -> Iterator[Turn]:
        started("messages")
        yield from (Turn(read, (Reply("Voici."),), question=ONLINE) for _ in texts)

    def play(chains: Iterable[Chain], _model: object, started: Callable[[object], None]) -> list[Played]:
        started("turns")
        step = Step("none", "answer", "none", False, None, None, (f"/{ABROAD}",))
        return [Played(chain, (step,) * len(chain.turns)) for chain in chains]

    monkeypatch.setattr(evaluate_answers, "turns", turns)
    monkeypatch.setattr(conversations, "play", play)
    talk = Conversation("deux", (Expected("de loin", (ABROAD,)), Expected("merci", ())))
    asked = AnswerGold([AnswerCase("procu", (ONLINE,)), AnswerCase("mdr", ())], [talk])
    model = Model(ROOT / "models" / "none.tar.gz", ROOT)
    monkeypatch.setattr(evaluate_answers.policies, "build", lambda *_: build(Settings({})))
    assert workbench.answers(asked, model, engines.append) == [
        Answered(ONLINE, True, True, False),
        Answered(ONLINE, False, False, True),
        Answered(None, False, True, False),
        Answered(None, True, True, False),
    ]
    assert engines == ["messages", "turns"]


# -- Trainers' checks ------------------------------------------------------------------------------------------------------


def test_trainers_checks_know_a_set_of_answers() -> None:
    text = f"{HEAD}qui vote à ma place\t{ONLINE}\nQUI VOTE A MA PLACE\t-\n\t-\nseul\nun\t-\ttrop\n"
    found = list(gold.rows("tests/gold/reponses.tsv", text))
    assert found[0] == Answer("qui vote à ma place", ONLINE, "tests/gold/reponses.tsv", 2)
    wrong = [one for one in found if isinstance(one, Finding)]
    assert [one.line for one in wrong] == [4, 5, 6]
    assert all("text, questions" in one.remedy for one in wrong)
    learned: Neighbours[Example] = Neighbours()
    [twin] = gold.check(found[:2], learned)
    assert "est déjà en tests/gold/reponses.tsv:2" in twin.what
    learned.add(Example("procuration", "qui vote à ma place ?", "qui vote à ma place ?", "data/nlu.yml", 7))
    [leak] = gold.check(found[:1], learned)
    assert (leak.code, leak.file, leak.line) == ("leak", "data/nlu.yml", 7)
    assert "(tests/gold/reponses.tsv:2)" in leak.what


def test_a_first_line_that_is_none_is_told_with_the_three_that_are() -> None:
    [wrong] = gold.rows("tests/gold/reponses.tsv", "text\tquestion\n")
    assert "ni text questions" in wrong.what  # type: ignore[union-attr]


# -- The reference ---------------------------------------------------------------------------------------------------------


def made(exact: int, near: int = 0, wrong: int = 0) -> baseline.Baseline:
    """The figures of a set."""
    return baseline.snapshot({}, None, {"reponses.tsv": [*[EXACT] * exact, *[NEAR] * near, *[WRONG] * wrong]})


def talks(turns: int, right: int, reachable: int, wrong: int) -> baseline.Baseline:
    """The figures of the conversations."""
    counts = {"turns": turns, "right": right, "reachable": reachable, "wrong": wrong}
    return {**baseline.snapshot({}), "conversations": counts}


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (made(97, 3), made(95, 5), []),  # two points exactly
        (made(97, 3), made(94, 6), []),  # three messages: chance
        (
            made(97, 3),
            made(89, 11),
            [f"reponses.tsv : réponse exacte, 97,0\u00a0% → 89,0\u00a0% : {baseline.NO_CHANCE}"],
        ),
        (made(94, 6), made(97, 3), []),
        (
            made(97, 0, 3),
            made(97, 3, 0),
            [],
        ),
        (
            made(92, 8, 0),
            made(92, 0, 8),
            [
                f"reponses.tsv : exacte, ou à un bouton, 100,0\u00a0% → 92,0\u00a0% : {baseline.NO_CHANCE}",
                f"reponses.tsv : réponse à une autre question, 0,0\u00a0% → 8,0\u00a0% : {baseline.MORE_NO_CHANCE}",
            ],
        ),
        (made(3), baseline.snapshot({}), ["reponses.tsv : n’est plus mesuré"]),
        (baseline.snapshot({}), made(0, 0, 3), []),
        (talks(100, 60, 80, 5), talks(200, 116, 156, 14), []),  # shares are compared
        (
            talks(100, 60, 80, 5),
            talks(100, 57, 80, 8),
            [
                "conversations.yml : réponse exacte, 60,0\u00a0% → 57,0\u00a0%",
                "conversations.yml : réponse à une autre question, 5,0\u00a0% → 8,0\u00a0%",
            ],
        ),
        (talks(100, 60, 80, 5), baseline.snapshot({}), ["conversations.yml : n’est plus mesuré"]),
        (baseline.snapshot({}), talks(100, 0, 0, 100), []),
    ],
)
def test_answers_may_lose_two_points_and_wrong_ones_gain_two(
    before: baseline.Baseline, now: baseline.Baseline, told: list[str]
) -> None:
    assert baseline.falls(before, now) == told


def test_sets_that_the_reference_lacks_are_noted() -> None:
    now = {**made(3), "conversations": talks(3, 1, 2, 0)["conversations"]}
    assert baseline.notes(baseline.snapshot({}), now) == [
        "reponses.tsv : pas encore dans la référence",
        "conversations.yml : pas encore dans la référence",
    ]
    assert baseline.notes(now, now) == []


def test_the_table_tells_answers_and_conversations() -> None:
    told = baseline.table({**made(1, 1), "conversations": talks(3, 1, 2, 0)["conversations"]}).replace("\u00a0", " ")
    assert (
        "reponses.tsv (2) : réponse exacte 50,0 % (0,0–100,0), exacte, ou à un bouton 100,0 % (100,0–100,0), "
        "réponse à une autre question 0,0 % (0,0–0,0)" in told
    )
    assert "conversations.yml (3 tours)" in told
    assert "exacte, ou à un bouton : 2 sur 3" in told
