"""The catalogue's files under change: only the lines that a change is about, all or nothing, undone to the byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from bot.core.catalogue import Question, Value, read
from bot.trainer.errors import Changed, TrainerError
from bot.trainer.project import Project
from bot.trainer.question_checks import gate
from bot.trainer.question_moves import blank, created, joined, moved, reworded, split, taught, unlearned
from bot.trainer.questions import Book, Wanted, change, undo
from bot.trainer.reply_checks import BadReply
from tests.fakes.answered import CATALOGUE, FILE, answer, question, with_answers
from tests.fakes.checked import clean

CAT, BITE = "animaux/chat_perdu", "animaux/morsure"
TODAY = date(2026, 11, 30)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A small project with two questions."""
    return with_answers(clean(tmp_path / "project"))


def diff(project: Project) -> list[str]:
    """The changed lines of the catalogue."""
    told = project.git("diff", "-U0", "--", "data/answers").split("\n")
    return [line for line in told if line and line[0] in "+-" and line[:3] not in ("+++", "---")]


def told(one: Question, **metadata: Value) -> Question:
    """The question with other metadata."""
    variant = one.variants[0]
    merged: Mapping[str, Value] = {**variant.metadata, **metadata}
    return replace(one, variants=(replace(variant, metadata=merged), *one.variants[1:]))


def test_a_field_is_a_line(project: Project) -> None:
    moves = change(
        project, lambda book: Wanted({CAT: told(book.questions[CAT], title="L'égaré", checked="2026-11-29")})
    )
    assert diff(project) == [
        "-      title: 'Chat perdu'",
        "+      title: 'L''égaré'",
        "-      checked: null",
        "+      checked: '2026-11-29'",
    ]
    assert read(project.root).questions[CAT].title == "L'égaré"
    undo(project, moves)
    assert diff(project) == []


def test_comments_and_style_stay(project: Project) -> None:
    odd = CATALOGUE.replace("- intent: animaux/morsure", "\n# Les morsures.\n- intent: animaux/morsure").replace(
        "  utter_animaux/morsure:\n  - text: |-\n", "  # À relire.\n  utter_animaux/morsure:\n    - text: |-\n"
    )
    odd = odd.replace("      title: 'Morsure'", '      # Court.\n      title: "Morsure"  # à voir')
    block = odd.index("    - text")
    odd = odd[:block] + "\n".join("  " + line if line else line for line in odd[block:].split("\n")).removeprefix(
        "  "
    ).rstrip(" ")
    project.write(FILE, odd)
    project.git("commit", "-qam", "Autrement", author="a <a@localhost>")
    change(project, lambda book: Wanted({BITE: told(book.questions[BITE], seen="01/02/2026", reason="Il le faut.")}))
    assert [line.strip("+- ") for line in diff(project)] == [
        "seen: '26/03/2024'", "seen: '01/02/2026'", "reason: 'Il le faut.'",
    ]  # fmt: skip
    change(project, lambda book: Wanted({CAT: None}))
    assert not [line for line in diff(project) if line.startswith("+") and "seen" not in line and "reason" not in line]
    assert "# Les morsures." in project.read(FILE)
    assert "# À relire." in project.read(FILE)


def test_a_new_question_a_new_file_and_back(project: Project) -> None:
    new = blank("procuration/delai", [f"vote {n}" for n in "abcdefgh"], "Un an.\n\nPuis rien.", {"title": "Délai"})
    moves = change(project, lambda book: created(book, new))
    name = "data/answers/procuration.yml"
    assert read(project.root).questions["procuration/delai"].answer.text == "Un an.\n\nPuis rien."
    undo(project, moves)
    assert not project.path(name).exists()


def test_examples_are_a_heap(project: Project) -> None:
    change(project, lambda book: taught(book, CAT, ["minou n'est pas rentré", "# perdu : [mon] chat"]))
    assert sorted(diff(project)) == ["+    - # perdu : [mon] chat", "+    - minou n'est pas rentré"]
    change(project, lambda book: unlearned(book, CAT, "minou n'est pas rentré"))
    with pytest.raises(Changed, match="n’est plus"):
        change(project, lambda book: unlearned(book, CAT, "minou n'est pas rentré"))
    with pytest.raises(Changed, match="déjà"):
        change(project, lambda book: taught(book, CAT, ["# perdu : [mon] chat"]))


def test_an_example_moves_in_one_go(project: Project) -> None:
    text = "mon chat a disparu cave"
    moves = change(project, lambda book: moved(book, CAT, text, BITE))
    assert len(diff(project)) == 2
    assert [move.name for move in moves] == [CAT, BITE]
    undo(project, moves)
    assert diff(project) == []


def test_joined_and_back_to_the_byte(project: Project) -> None:
    third = CATALOGUE.replace("responses:\n", question("animaux/chien", ["un chien"]) + "responses:\n", 1)
    project.write(FILE, third + answer("animaux/chien", "Chien", CAT))
    project.git("commit", "-qam", "Trois", author="a <a@localhost>")
    seen = Book.read(project).seen(CAT)
    moves = change(project, lambda book: joined(book, CAT, seen, BITE))
    found = read(project.root).questions
    assert list(found) == [BITE, "animaux/chien"]
    assert len(found[BITE].examples) == 16
    assert found[BITE].related == ()
    assert found["animaux/chien"].related == (BITE,)
    undo(project, moves)
    assert diff(project) == []


def test_split_in_two(project: Project) -> None:
    book = Book.read(project)
    new = blank("animaux/chat_cave", ["mon chat a disparu cave", "dans la cave"], "Cherchez.", {"title": "Cave"})
    moves = change(
        project, lambda book: split(book, CAT, book.seen(CAT), new, ["mon chat a disparu cave"], ["minou parti"])
    )
    found = read(project.root).questions
    assert list(found) == [CAT, "animaux/chat_cave", BITE]
    assert "animaux/chat_cave" in found[CAT].related
    assert found["animaux/chat_cave"].related == (CAT,)
    assert "minou parti" in found[CAT].examples
    assert Book.read(project).said(BITE) == book.said(BITE)
    undo(project, moves)
    assert diff(project) == []


def test_somebody_was_faster(project: Project) -> None:
    seen = Book.read(project).seen(CAT)
    moves = change(project, lambda book: taught(book, CAT, ["minou parti"]))
    with pytest.raises(Changed, match="Quelqu’un d’autre"):
        change(project, lambda book: reworded(book, CAT, seen, book.questions[CAT].variants))
    change(project, lambda book: unlearned(book, CAT, "mon chat a disparu cave"))
    with pytest.raises(Changed, match="encore changé"):
        undo(project, moves)


@pytest.mark.parametrize("text", ["", "a\tb", "a\x00b", "a\u2028b"])
def test_what_cannot_be_written_changes_nothing(project: Project, text: str) -> None:
    def make(book: Book) -> Wanted:
        one = book.questions[CAT]
        return Wanted({CAT: replace(one, variants=(replace(one.variants[0], text=text),))})

    with pytest.raises(TrainerError):
        change(project, make)
    assert diff(project) == []


TRICKS = (
    "x\n- intent: pirate/x",
    "- - x",
    "{{ 7*7 }}",
    "*a",
    "&a x",
    "!!python/object x",
    "a: b",
    "'",
    "''",
    "|-",
    "%YAML",
    "---",
)


@pytest.mark.parametrize("trick", TRICKS)
def test_a_text_is_no_yaml(project: Project, trick: str) -> None:
    def make(book: Book) -> Wanted:
        one = told(book.questions[CAT], title=trick, link=trick)
        return Wanted(
            {CAT: replace(one, variants=(replace(one.variants[0], text=trick),), examples=(*one.examples, trick))}
        )

    before = Book.read(project)
    try:
        change(project, make)
    except TrainerError:
        assert diff(project) == []
    assert list(read(project.root).questions) == [CAT, BITE]
    assert Book.read(project).said(BITE) == before.said(BITE)


def test_a_new_error_is_refused_and_an_old_one_keeps_nobody(project: Project) -> None:
    project.write(FILE, CATALOGUE.replace("review_by: '2027-11-01'", "review_by: '2025-01-01'", 1))
    allow = gate(project, [CAT], TODAY)
    change(project, lambda book: taught(book, CAT, ["minou introuvable depuis le déménagement"]), allow)
    before = project.read(FILE)
    for wanted in (
        lambda book: Wanted({CAT: told(book.questions[CAT], title="Un titre beaucoup trop long")}),
        lambda book: Wanted({CAT: told(book.questions[CAT], source=None)}),
        lambda book: Wanted({CAT: replace(book.questions[CAT], examples=book.questions[CAT].examples[:7])}),
        lambda book: taught(book, CAT, [book.questions[BITE].examples[0]]),
        lambda book: taught(book, CAT, ["vote depuis garage"]),
    ):
        with pytest.raises(BadReply):
            change(project, wanted, allow)
    assert project.read(FILE) == before


def test_questions_of_a_file_that_cannot_be_read(project: Project) -> None:
    project.write(FILE, CATALOGUE + "  oups\n")
    with pytest.raises(TrainerError, match="ligne"):
        Book.read(project)
