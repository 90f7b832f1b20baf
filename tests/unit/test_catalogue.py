"""The catalogue of questions is read whole, or refused with file, line and remedy."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from bot.core import catalogue
from bot.core.errors import SetupError
from scripts import answers_page
from tests.fakes.answered import CATALOGUE, FILE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, CATALOGUE)
    return tmp_path


def put(root: Path, text: str, name: str = FILE) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def test_a_project_without_catalogue_has_no_questions(tmp_path: Path) -> None:
    assert catalogue.read(tmp_path).questions == {}


def test_a_question_has_its_examples_its_answer_and_where_they_stand(root: Path) -> None:
    cadet = CATALOGUE + (
        "  - condition:\n    - type: slot\n      name: corps\n      value: cadet\n    text: |-\n      Pour un cadet.\n"
    )
    put(root, cadet.replace("source: '", "source: 'https://a.fr/b ").replace("- mon chat a", "- mon [chat](bete) a"))
    found = catalogue.read(root)
    one, other = found.of("animaux")
    assert list(found.questions) == ["animaux/chat_perdu", "animaux/morsure"]
    assert found.of("armes") == ()
    assert (one.title, one.question, one.seen) == ("Chat perdu", "Que faire, chat perdu\u202f?", "26/03/2024")
    assert one.source == ("https://a.fr/b", "https://www.service-public.gouv.fr/particuliers/vosdroits/F1")
    assert (one.examples[0], len(one.examples)) == ("mon chat a disparu garage", 8)
    assert (one.checked, one.review_by, one.related) == (None, date(2027, 11, 1), ("animaux/morsure",))
    lines = (root / FILE).read_text(encoding="utf-8").split("\n")
    assert (one.file, lines[one.line - 1]) == (FILE, "- intent: animaux/chat_perdu")
    assert "garage" in lines[one.first - 1]
    assert lines[one.answer_line - 1] == "  utter_animaux/chat_perdu:"
    assert [variant.conditions for variant in other.variants] == [(), (("corps", "cadet"),)]
    assert other.answer.text.startswith("Appelez la mairie")
    assert (one.overdue(date(2027, 11, 1)), one.overdue(date(2027, 11, 2))) == (False, True)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("nlu:", "nlu: &a", "ligne 2, colonne 6"),
        ("- intent: animaux/morsure", "- intent: animaux", "ligne 13, colonne 11 : « animaux » n’est pas le nom"),
        (
            "- intent: animaux/morsure",
            "- intent: animaux/chat_perdu",
            "ligne 13, colonne 3 : « animaux/chat_perdu » a déjà",
        ),
        ("    - mordue pendant une balade forêt", "    mordue pendant", "ligne 17, colonne 5 : cette ligne n’est pas"),
        ("    - mordue pendant une balade forêt", "    -", "ligne 17, colonne 5 : un exemple est vide"),
        ("examples: |\n    - mordue", "examples:\n    - mordue", "ligne 13, colonne 3"),
        ("responses:", "reponses:", "« reponses » n’est pas une clé du fichier"),
        ("utter_animaux/morsure:", "animaux/morsure:", "n’est pas le nom d’une réponse"),
        ("utter_animaux/morsure:", "utter_animaux/griffe:", "ligne 13 : « animaux/morsure » n’a pas de réponse"),
        ("  - text: |-", "  - texte: |-", "n’a pas de texte"),
        ("    metadata:", "    buttons: []\n    metadata:", "« buttons » n’est pas une clé d’une réponse"),
        ("      title: 'Chat perdu'", "      title: {a: b}", "« title » n’est ni un texte ni une liste"),
    ],
)
def test_what_is_damaged_is_refused_at_its_place(root: Path, old: str, new: str, told: str) -> None:
    assert old in CATALOGUE
    put(root, CATALOGUE.replace(old, new, 1))
    with pytest.raises(SetupError) as refused:
        catalogue.read(root)
    assert refused.value.what.startswith(FILE)
    assert told in refused.value.what
    assert refused.value.remedy


def test_an_answer_without_examples_and_a_question_in_two_files_are_refused(root: Path) -> None:
    put(root, CATALOGUE, "data/answers/bis.yml")
    with pytest.raises(
        SetupError, match=r"bis\.yml, ligne 3 : « animaux/chat_perdu » est déjà dans data/answers/animaux\.yml"
    ):
        catalogue.read(root)
    (root / "data/answers/bis.yml").unlink()
    start = CATALOGUE.index("- intent: animaux/morsure")
    put(root, CATALOGUE[:start] + CATALOGUE[CATALOGUE.index("responses:") :])
    with pytest.raises(SetupError, match="« animaux/morsure » n’a pas d’exemples"):
        catalogue.read(root)


def test_a_file_that_is_no_text_is_refused(root: Path) -> None:
    (root / FILE).write_bytes("nlu: é".encode("latin-1"))
    with pytest.raises(SetupError, match="UTF-8"):
        catalogue.read(root)


def test_the_outline_tells_what_is_overdue_and_what_nobody_checked(root: Path) -> None:
    put(root, CATALOGUE.replace("checked: null", "checked: '2026-11-02'", 1))
    page = answers_page.written(catalogue.read(root), date(2027, 12, 1))
    assert "Au 01/12/2027 : 2 réponses énoncées, dont" in page
    assert "1 jamais vérifiées sur leur page, 2 à relire." in page
    assert "## Animaux (2)" in page
    assert "| ⚠ Que faire, chat perdu\u202f? | [service-public.gouv.fr](<https://www.service" in page
    assert "| 02/11/2026, vérifiée | 01/11/2027 |" in page
    assert "| ○ Que faire, morsure\u202f? |" in answers_page.written(catalogue.read(root), date(2027, 1, 1))


def test_the_page_has_the_questions_of_the_catalogue() -> None:
    page = answers_page.PAGE.read_text(encoding="utf-8")
    now = answers_page.written(catalogue.read(answers_page.ROOT), answers_page.day_of(page))
    assert now == page, "python -m scripts.answers_page --write"
