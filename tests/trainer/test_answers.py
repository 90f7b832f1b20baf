"""The catalogue of questions is checked, published, compared for a second person and shown among the changes."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest

from bot.core import served
from bot.engine.check import BadInput, check
from bot.trainer import changes, conduct, grave, record
from bot.trainer.candidates import Model
from bot.trainer.checks import answer_facts, check_all, families
from bot.trainer.checks.finding import Finding
from bot.trainer.project import Project
from tests.fakes.answered import CATALOGUE, FILE, answer, question, with_answers
from tests.fakes.checked import PLACES, THINGS, clean
from tests.fakes.project import AUTHOR

DAY = date(2026, 1, 15)
PAGE = "https://www.service-public.gouv.fr/particuliers/vosdroits/F1"
WORDS = "    - mon chat a disparu cave"
WALK = "    - mordue pendant une balade forêt"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A sound project with a sound catalogue."""
    return with_answers(clean(tmp_path / "projet"))


def found(project: Project, today: date = DAY) -> list[Finding]:
    return [one for one in check_all(project, today=today) if not one.code.startswith("reply-")]


def put(project: Project, old: str, new: str, name: str = FILE) -> None:
    text = project.read(name)
    assert old in text
    project.write(name, text.replace(old, new, 1))


def line_of(project: Project, part: str) -> int:
    return next(n for n, line in enumerate(project.read(FILE).split("\n"), 1) if part in line)


def test_a_sound_catalogue_has_no_finding(project: Project) -> None:
    assert found(project) == []


# What stands there, what stands there then → code, the line that has this, part of the sentence
Wrong = tuple[str, str, str, str, str]
TEXT = "  - text: |-"
WRONG: tuple[Wrong, ...] = (
    (f"      source: '{PAGE}'\n", "", "answer-source", "utter_animaux/chat", "pas de source"),
    ("source: 'https://www", "source: 'www", "answer-source", "utter_animaux/chat", "n’est pas une adresse"),
    ("seen: '26/03/2024'", "seen: ''", "answer-source", "utter_animaux/chat", "« seen »"),
    (f"link: '{PAGE}'", "link: 'https://www.cnil.fr/'", "answer-link", TEXT, "page d’accueil"),
    ("link: 'https://www", "link: 'http://www", "answer-link", TEXT, "n’est pas une adresse https"),
    ("link: 'https://www.service-public.gouv.fr", "link: 'https://www.exemple.fr", "answer-link", TEXT, "ne nomme www.exemple.fr"),
    ("      link_title: 'La fiche'\n", "", "answer-link", TEXT, "vont ensemble"),
    ("link_title: 'La fiche'", "link_title: 'La fiche de la page exacte'", "answer-link", TEXT, "26 caractères"),
    ("Elle garde", "Appelez le 0 806 606 606. Elle garde", "answer-number", TEXT, "0 806 606 606"),
    ("Elle garde", "Écrivez à fourriere@exemple.fr. Elle garde", "answer-number", TEXT, "fourriere@exemple.fr"),
    ("Elle garde", "Voyez fourriere-exemple.fr. Elle garde", "answer-site", TEXT, "fourriere-exemple.fr"),
    ("Elle garde", "Voyez https://www.cnil.fr/a. Elle garde", "answer-address", TEXT, "https://www.cnil.fr/a"),
    ("Elle garde", "Voyez cnil.fr/une-page-dont-personne-ne-tape-le-nom. Elle garde", "answer-address", TEXT, "longue à taper"),
    ("Elle garde", "Tu peux venir. Elle garde", "answer-words", TEXT, "tutoyée : « Tu »"),
    (WORDS, "    - - mon chat a disparu cave", "answer-dash", "- - mon", "un second tiret commence 1 de ses 8 exemples"),
    ("review_by: '2027-11-01'", "review_by: '2026-01-14'", "answer-review", TEXT, "relue le 14/01/2026"),
    ("review_by: '2027-11-01'", "review_by: 'bientôt'", "answer-review", TEXT, "« bientôt » n’est pas une date"),
    ("      review_by: '2027-11-01'\n", "", "answer-review", TEXT, "pas de date de relecture"),
    ("checked: null", "checked: '2026-02-01'", "answer-review", TEXT, "n’est pas un jour passé"),
    ("Elle garde", f"{'Elle attend. ' * 50}Elle garde", "answer-long", TEXT, "plus de 600"),
    ("title: 'Chat perdu'", "title: 'Chat perdu dans la rue'", "answer-title", "utter_animaux/chat", "22 caractères"),
    ("      title: 'Chat perdu'\n", "", "answer-title", "utter_animaux/chat", "pas de titre"),
    ("title: 'Morsure'", "title: 'chat perdu'", "answer-title", "utter_animaux/morsure", "déjà celui de animaux/chat_perdu"),
    ("question: 'Que faire, chat perdu\u202f?'", "question: ''", "answer-title", "utter_animaux/chat", "« question » est vide"),
    ("    - mon chat a disparu garage\n", "", "answer-thin", "- intent: animaux/chat", "que 7 exemples"),
    ("utter_animaux/morsure:", "utter_animaux/griffe:", "answer-missing", "- intent: animaux/morsure", "n’a pas de réponse"),
    ("utter_animaux/morsure:", "utter_animaux/griffe:", "answer-missing", "utter_animaux/griffe", "n’a pas d’exemples"),
    ("['animaux/morsure']", "['animaux/griffe']", "answer-related", "utter_animaux/chat", "« animaux/griffe » n’existe pas"),
    ("- intent: animaux/morsure", "- intent: dragons/morsure", "answer-missing", "dragons/morsure", "pas de réponse"),
    (WALK, "    - Mon chat a disparu, garage !", "answer-double", "garage !", "animaux/chat_perdu"),
    (WORDS, "    - Mon chat a disparu, GARAGE", "answer-double", "GARAGE", f"déjà un exemple ({FILE}:5)"),
    (WORDS, "    - Vote depuis garage", "answer-elsewhere", "Vote depuis", "exemple de procuration (data/nlu.yml:"),
    (WORDS, "    - qui vote a ma place si je pars en voyage", "leak", "qui vote", "tests/gold/jeu.tsv:2"),
    (WORDS, "    - chat perdu, le 06 12 34 56 78", "personal", "chat perdu, le", "un numéro de téléphone"),
)  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong[2]}-{wrong[4][:24]}")
def test_each_fault_is_an_error_at_its_place(project: Project, wrong: Wrong) -> None:
    old, new, code, at, told = wrong
    put(project, old, new)
    (one,) = [one for one in found(project) if one.code == code and told in one.what]
    assert (one.severity, one.file, one.line, one.intent) == ("error", FILE, line_of(project, at), None)
    assert one.remedy[:1].isupper()
    assert families.of(one.code) is not families.OTHER
    if code.startswith("answer-"):
        assert families.of(code).label == "Catalogue des questions"


def test_a_reason_makes_a_long_answer_right_and_home_ok_a_home_page(project: Project) -> None:
    put(project, "Elle garde", f"{'Elle attend. ' * 50}Elle garde")
    put(project, "title: 'Chat", "reason: 'Toutes les étapes comptent.'\n      title: 'Chat")
    put(
        project,
        f"link: '{PAGE}'",
        "home_ok: true\n      link: 'https://www.cnil.fr'",
    )
    assert found(project) == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("corps", "cadet", ""),
        ("corps", "dragon", "n’a jamais la valeur « dragon »"),
        ("metier", "cadet", "« metier » n’existe pas"),
    ],
)
def test_a_condition_names_a_slot_and_a_value_that_exist(project: Project, name: str, value: str, told: str) -> None:
    put(project, "  ville:\n", "  corps:\n    type: text\n    mappings: []\n  ville:\n", "domain.yml")
    variant = f"  - condition:\n    - type: slot\n      name: {name}\n      value: {value}\n    text: Demandez-lui.\n"
    project.write(FILE, CATALOGUE + variant)
    assert [told in one.what for one in found(project) if one.code.startswith("answer-")] == ([True] if told else [])


def test_the_first_wording_is_for_everybody(project: Project) -> None:
    put(project, TEXT, "  - condition:\n    - type: slot\n      name: ville\n      value: Lyon\n    text: |-")
    assert ["sans condition" in one.what for one in found(project)] == [True]


def test_an_intent_must_exist_answer_and_have_its_own_file(project: Project) -> None:
    put(project, "- procuration\n", "- procuration\n- disparition\n", "domain.yml")
    project.write(FILE, CATALOGUE.replace("animaux/", "disparition/"))
    told = [one for one in found(project) if one.code.startswith("answer-")]
    assert {one.code for one in told} == {"answer-intent", "answer-route"}
    project.write(
        "data/answers/disparition.yml", project.read(FILE).replace("title:", "for_agents: true\n      title:")
    )
    project.path(FILE).unlink()
    assert [one for one in found(project) if one.code.startswith("answer-")] == []
    project.write("data/answers/dragons.yml", CATALOGUE.replace("animaux/", "dragons/"))
    assert "« dragons » n’existe pas dans domain.yml" in " ".join(one.what for one in found(project))


def test_a_question_without_answer_never_reaches_the_training(project: Project) -> None:
    check(project.root)
    put(project, "  utter_animaux/morsure:", "  utter_animaux/griffure:")
    with pytest.raises(BadInput, match="« animaux/morsure » n’a pas de réponse"):
        check(project.root)


GATES = ["square", "rivière", "quai", "pont", "tunnel", "gare", "stade", "école"]


def test_two_questions_that_cannot_be_told_apart(project: Project) -> None:
    half = [*(f"mon chat a disparu {place}" for place in GATES[:4]), *(f"griffure {place}" for place in GATES[4:])]
    text = CATALOGUE.replace("responses:\n", question("animaux/griffure", half) + "responses:\n")
    project.write(FILE, text + answer("animaux/griffure", "Griffure", "animaux/morsure"))
    (one,) = [one for one in found(project) if one.code == "answer-near"]
    assert one.severity == "warning"
    assert "animaux/griffure : 4 de ses 8 exemples sont plus proches de animaux/chat_perdu" in one.what
    for place in GATES[4:]:
        put(project, f"    - griffure {place}\n", f"    - mon chat a disparu {place}\n")
    one, *_ = [one for one in found(project) if one.code == "answer-alike"]
    assert one.severity == "error"
    assert "exemples sont plus proches de animaux/" in one.what
    put(project, "title: 'Griffure'", "apart: ['animaux/chat_perdu']\n      title: 'Griffure'")
    put(project, "title: 'Chat", "apart: ['animaux/griffure']\n      title: 'Chat")
    assert [one for one in found(project) if one.code.startswith("answer-")] == []


def test_quoted_words_are_not_ours_and_that_somebody_comes_is_worth_a_look(project: Project) -> None:
    put(project, "Elle garde", "« Tu paies ou je te… » : gardez ce message. Elle garde")
    assert found(project) == []
    put(project, "Elle garde", "Une patrouille arrive. Elle garde")
    assert [(one.severity, one.code) for one in found(project)] == [("warning", "answer-words")]


def test_a_damaged_file_is_one_finding_and_the_others_are_checked(project: Project) -> None:
    project.write("data/answers/procuration.yml", "nlu:\n- intent: *a\n")
    put(project, "seen: '26/03/2024'", "seen: ''")
    told = found(project)
    assert [(one.code, one.file) for one in told if one.code != "answer-source"] == [
        ("file", "data/answers/procuration.yml")
    ]
    assert len(told) == 2


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Le 17, le 112, le 39 19, le 3919 ou le 116 006.", []),
        ("De 3000 à 3500 euros, à 17 ans, article 115-3, cerfa 15013*02, 110 km/h.", []),
        ("Au 3949, gratuit.", ["3949"]), ("Le 01.23.45.67.89 ou le +33 1 23 45 67 88", ["+33 1 23 45 67 88", "01.23.45.67.89"]),
        ("Rappel 3949 ; 0-806-606-606", ["0-806-606-606", "3949"]), ("Le 3949 ou le 3919", ["3949"]),
        ("Le 01 99 99 99 99 à 9 h", ["01 99 99 99 99"]), ("Au 3949 24 h sur 24", ["3949"]), ("Au 3949 7 jours", ["3949"]),
    ],
)  # fmt: skip
def test_numbers_that_somebody_would_call(text: str, numbers: list[str]) -> None:
    assert answer_facts.numbers(text) == numbers


def test_a_whole_catalogue_is_checked_in_seconds(project: Project) -> None:
    things, places = THINGS.split(), PLACES.split()
    ids = [f"animaux/q{n}" for n in range(800)]
    asked = [
        question(id_, [f"{things[n % 60]} {places[n // 60]}{n} {places[k]} {things[k]}" for k in range(12)])
        for n, id_ in enumerate(ids)
    ]
    told = [answer(id_, f"Titre {n}", "animaux/q0").replace("q0'", f"q{(n + 1) % 800}'") for n, id_ in enumerate(ids)]
    with_answers(project, 'version: "3.1"\nnlu:\n' + "".join(asked) + "responses:\n" + "".join(told))
    began = time.process_time()
    assert [one for one in found(project) if one.code.startswith("answer-")] == []
    assert time.process_time() - began < 30  # three on a quiet machine, seven on a slow one; without care, minutes


# -- published with the rest -----------------------------------------------------------------------------------------------


def test_the_catalogue_goes_with_a_model(project: Project) -> None:
    archive = project.root / "models" / "abc.tar.gz"
    archive.parent.mkdir()
    served.keep(archive, served.read(project.root))
    put(project, "la mairie", "votre mairie")
    copy = Model(archive, project.root).files
    assert FILE in served.names(copy)
    assert (copy / FILE).read_text(encoding="utf-8") == CATALOGUE
    assert conduct.recorded(project)[FILE].decode() == CATALOGUE
    served.mend(archive, served.read(project.root))
    assert "votre mairie" in (copy / FILE).read_text(encoding="utf-8")


def test_what_victims_read_of_it_is_read_by_a_second_person(project: Project) -> None:
    grim = CATALOGUE.replace("animaux/", "disparition/")
    before = {FILE: CATALOGUE.encode(), "data/answers/disparition.yml": grim.encode()}
    plain = {**before, FILE: CATALOGUE.replace("la mairie", "le maire").encode()}
    assert grave.found(before, plain) == ()
    (one,) = grave.found(before, {**before, FILE: CATALOGUE.replace("la mairie", "le 17", 1).encode()})
    assert (one.kind, one.name) == ("answer", "animaux/chat_perdu")
    (one,) = grave.found(
        before, {**before, "data/answers/disparition.yml": grim.replace("la mairie", "le maire", 1).encode()}
    )
    assert one.name == "disparition/chat_perdu"
    assert "Appelez la mairie" in one.before
    assert [one.kind for one in grave.found(before, {**before, FILE: b"nlu: ["})] == ["unreadable"]
    assert len(grave.found({}, before)) == 2


def test_a_publication_records_it_and_takes_it_back(project: Project) -> None:
    project.write("data/answers/procuration.yml", CATALOGUE.replace("animaux/", "procuration/"))
    put(project, "la mairie", "votre mairie")
    (changed, fresh) = changes.changes(project)
    assert (changed.name, fresh.name, fresh.new) == (FILE, "data/answers/procuration.yml", True)
    assert {line.about for line in changed.lines} == {"animaux/chat_perdu"}
    assert {line.example for line in changed.lines} == {""}
    assert fresh.lines[3].about == "procuration/chat_perdu"
    done = record.commit(project, AUTHOR, "Publication")
    assert changes.changes(project) == []
    record.take_back(project, [done], AUTHOR, "Retour")
    assert project.read(FILE) == CATALOGUE
    assert not project.path("data/answers/procuration.yml").exists()


def test_a_damaged_catalogue_is_shown_among_the_changes(project: Project) -> None:
    put(project, "- intent: animaux/morsure", "- intent: animaux")
    (one,) = changes.changes(project)
    assert one.damaged is not None
    assert (one.damaged.path, one.damaged.line) == (FILE, 13)
    changes.discard(project, FILE, one.seen)
    assert project.read(FILE) == CATALOGUE
