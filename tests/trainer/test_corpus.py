"""Examples are read with their places and changed line by line; what is damaged is refused with place and remedy."""

from __future__ import annotations

import difflib
import itertools
import os
import re
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.examples import Entity
from bot.trainer.corpus import (
    NLU,
    Corpus,
    Draft,
    Operation,
    apply,
    entities,
    read_file,
    tidy,
    without_marks,
)
from bot.trainer.errors import BadFile, Changed, TrainerError
from bot.trainer.project import Project
from tests.fakes.project import ROOT

REAL = (ROOT / "data" / "nlu.yml").read_text(encoding="utf-8")

SMALL = """# En tête.
version: "3.1"

nlu:
  - intent: procuration   # voter
    examples: |
      - qui peut voter pour moi ?
      - proc de vote
      - je vote à [Lyon](ville) dimanche

  # Entre deux.
  - intent: armes
    examples: |
        - un obus dans la cave
        - "entre guillemets"
        - # dièse
  - lookup: ville
    examples: |
      - Lyon
      - Saint-Lô
  - synonym: Paris
    examples: |
      - paname
  - regex: plaque
    examples: |
      - [A-Z]{2}-[0-9]{3}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two intents, three lists, a file of the background."""
    (tmp_path / "data" / "fonds").mkdir(parents=True)
    (tmp_path / "data" / "nlu.yml").write_text(SMALL, encoding="utf-8")
    (tmp_path / "data" / "fonds" / "un.yml").write_text(
        "nlu:\n  - intent: armes\n    examples: |\n      - une grenade\n", encoding="utf-8"
    )
    (tmp_path / "domain.yml").write_text("intents: [procuration, armes]\nentities:\n- ville\n- corps: {roles: [a]}\n")
    return Project(tmp_path)


def diff(before: str, after: str) -> list[str]:
    """The changed lines."""
    told = difflib.unified_diff(before.split("\n"), after.split("\n"), n=0, lineterm="")
    return [line for line in told if line[0] in "+-" and not line.startswith(("+++", "---"))]


def plain(error: Exception) -> str:
    """What is said, with one kind of space."""
    return re.sub(r"\s+", " ", str(error))


def changed(text: str, *operations: Operation) -> str:
    """A text after operations."""
    draft = Draft(read_file(NLU, text))
    for operation in operations:
        draft.change(operation)
    return draft.text()


# -- Reading ---------------------------------------------------------------------------------------------------------------


def test_examples_have_their_intent_their_text_and_their_line(project: Project) -> None:
    corpus = Corpus.read(project)
    assert [(e.intent, e.text, e.line) for e in corpus.examples] == [
        ("procuration", "qui peut voter pour moi ?", 7),
        ("procuration", "proc de vote", 8),
        ("procuration", "je vote à Lyon dimanche", 9),
        ("armes", "un obus dans la cave", 14),
        ("armes", '"entre guillemets"', 15),
        ("armes", "# dièse", 16),
        ("armes", "une grenade", 4),
    ]
    lines = SMALL.split("\n")
    assert all(lines[e.line - 1].endswith(e.marked) for e in corpus.examples if e.file == NLU)
    assert corpus.intents == ("procuration", "armes")
    assert [(each.kind, each.name, each.words) for each in corpus.lists] == [
        ("lookup", "ville", ("Lyon", "Saint-Lô")),
        ("synonym", "Paris", ("paname",)),
        ("regex", "plaque", ("[A-Z]{2}-[0-9]{3}",)),
    ]


def test_what_has_not_changed_is_not_read_again(project: Project) -> None:
    first = Corpus.read(project)
    assert Corpus.read(project) is first
    apply(project, [Operation("add", "armes", "un couteau trouvé")])
    second = Corpus.read(project)
    assert [e.text for e in second.of("armes")].count("un couteau trouvé") == 1
    assert second.files[1] is first.files[1], "the background was not read again"


@pytest.mark.parametrize(
    ("marked", "text", "found"),
    [
        ("à [Lyon](ville)", "à Lyon", [Entity(2, 6, "ville")]),
        ("[bm](objet:bmw) volée", "bm volée", [Entity(0, 2, "objet", "bmw")]),
        ('ma [bm]{"entity": "objet", "value": "bmw"}', "ma bm", [Entity(3, 5, "objet", "bmw")]),
        ('[a b][{"entity": "x"}, {"entity": "y"}] c', "a b c", [Entity(0, 3, "x"), Entity(0, 3, "y")]),
        ("[Lyon](ville), [Nice](ville)", "Lyon, Nice", [Entity(0, 4, "ville"), Entity(6, 10, "ville")]),
        ("un [crochet] seul", "un [crochet] seul", []),
    ],
)
def test_entity_marks_are_read_as_rasa_reads_them(marked: str, text: str, found: list[Entity]) -> None:
    assert without_marks(marked) == text
    assert entities(marked) == found
    assert all(text[e.start : e.end] for e in found)


def test_the_real_corpus_is_read_whole() -> None:
    corpus = Corpus.read(Project(ROOT))
    told = sum(
        line.startswith("      - ") for line in REAL.split("\n")
    )  # the real file indents every example and every word alike
    assert len(corpus.edited.examples) + sum(len(each.words) for each in corpus.edited.lists) == told
    assert len(corpus.examples) > 20_000
    assert {e.file for e in corpus.examples} == {
        NLU,
        *(f"data/fonds/{p.name}" for p in (ROOT / "data/fonds").glob("*")),
    }


# -- Round trip ------------------------------------------------------------------------------------------------------------


def test_reading_and_writing_the_real_file_changes_nothing() -> None:
    assert changed(REAL) == REAL


@pytest.mark.parametrize(
    ("operation", "lines"),
    [
        (Operation("add", "armes", "- un fusil : # trouvé"), ["+        - - un fusil : # trouvé"]),
        (Operation("add", "procuration", "vote à [Nice](ville)"), ["+      - vote à [Nice](ville)"]),
        (Operation("remove", "procuration", "proc de vote"), ["-      - proc de vote"]),
        (
            Operation("edit", "procuration", "proc de vote", to_marked="[proc](corps) de vote"),
            ["-      - proc de vote", "+      - [proc](corps) de vote"],
        ),
        (
            Operation("move", "armes", "# dièse", "procuration"),
            ["+      - # dièse", "-        - # dièse"],
        ),
    ],
)
def test_a_change_is_a_one_line_diff(project: Project, operation: Operation, lines: list[str]) -> None:
    done = apply(project, [operation])
    after = project.read(NLU)
    assert diff(SMALL, after) == lines
    apply(project, done.undoing)
    assert project.read(NLU) == SMALL, "undone, byte for byte"


def test_in_the_real_file_too() -> None:
    file = read_file(NLU, REAL)
    some = file.examples[1234]
    assert len(diff(REAL, changed(REAL, Operation("add", "animaux", "mon furet a disparu du jardin")))) == 1
    assert len(diff(REAL, changed(REAL, Operation("remove", some.intent, some.marked)))) == 1
    assert (
        len(diff(REAL, changed(REAL, Operation("edit", some.intent, some.marked, to_marked="tout autre chose ici"))))
        == 2
    )
    moved = diff(REAL, changed(REAL, Operation("move", some.intent, some.marked, "au_revoir")))
    assert [line[0] for line in sorted(moved)] == ["+", "-"]


_TEXTS = st.one_of(
    st.text(min_size=1, max_size=60),
    st.sampled_from(
        ["- x", "# y", "&a b", "*z", "! u", "a: b", "| c", "> d", "%e", "@f", "'g", '"h', "[i", "{j", "---", "..."]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_operations_say_what_they_mean_and_are_undone_byte_for_byte(data: st.DataObject) -> None:
    wanted = Counter((e.intent, e.marked) for e in read_file(NLU, SMALL).examples)
    draft, undoing = Draft(read_file(NLU, SMALL)), []
    for _ in range(data.draw(st.integers(1, 8))):
        operation = _drawn(data, sorted(wanted.elements()))
        try:
            undoing.append(draft.change(operation))
        except (Changed, TrainerError):
            draft.text()
            return  # refused: what came before stands
        if operation.kind != "add":
            wanted[operation.intent, operation.marked] -= 1
        if operation.kind != "remove":
            wanted[operation.target, operation.result] += 1
        wanted = +wanted
    after = draft.text()
    file = read_file(NLU, after)
    assert Counter((e.intent, e.marked) for e in file.examples) == wanted
    assert file.lists == tuple(
        replace(each, line=other.line) for each, other in zip(read_file(NLU, SMALL).lists, file.lists, strict=True)
    )
    assert {line for line in SMALL.split("\n") if "- " not in line} <= set(after.split("\n")), "comments and style stay"
    back = Draft(file)
    for operation in reversed(undoing):
        back.change(operation)
    assert back.text() == SMALL


def _drawn(data: st.DataObject, present: list[tuple[str, str]]) -> Operation:
    kind = data.draw(st.sampled_from(["add", "remove", "move", "edit"]))
    words = tidy(data.draw(_TEXTS.filter(lambda text: tidy(text).strip(" -") and "](" not in text)))
    if kind == "add":
        return Operation("add", data.draw(st.sampled_from(["armes", "procuration"])), words)
    intent, marked = data.draw(st.sampled_from(present))
    if kind == "edit":
        return Operation("edit", intent, marked, to_marked=words)
    other = {"armes": "procuration", "procuration": "armes"}[intent]
    return Operation("move", intent, marked, other) if kind == "move" else Operation("remove", intent, marked)


def test_new_examples_spread_over_the_block_so_that_two_people_do_not_meet() -> None:
    texts = [f"un message inventé de plus, le {number}" for number in range(40)]
    after = changed(REAL, *(Operation("add", "animaux", text) for text in texts))
    added = [e.line for e in read_file(NLU, after).examples if e.text in texts]
    assert len(added) == 40
    touching = sum(second == first + 1 for first, second in itertools.pairwise(added))
    assert touching < 25, "some one hundred examples: most new ones have old neighbours"


# -- Changes ---------------------------------------------------------------------------------------------------------------


def test_operations_apply_to_the_file_as_it_is_now(project: Project) -> None:
    shown = Corpus.read(project).of("procuration")[1]
    by_hand = SMALL.replace("      - proc de vote\n", "      - au dessus, à la main\n      - proc de vote\n")
    project.write(NLU, by_hand)
    apply(project, [Operation("edit", "procuration", shown.marked, to_marked="procuration de vote")])
    assert project.read(NLU) == by_hand.replace("proc de vote", "procuration de vote")


def test_a_change_of_what_is_no_longer_there_is_refused_and_nothing_is_written(project: Project) -> None:
    apply(project, [Operation("edit", "procuration", "proc de vote", to_marked="autre")])
    before = project.read(NLU)
    for stale in (
        Operation("edit", "procuration", "proc de vote", to_marked="encore autre"),
        Operation("remove", "procuration", "proc de vote"),
        Operation("move", "procuration", "proc de vote", "armes"),
    ):
        with pytest.raises(Changed, match="n’est plus dans"):
            apply(project, [Operation("add", "armes", "un sabre"), stale])
    assert project.read(NLU) == before


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (Operation("add", "armes", "proc de vote"), "déjà un exemple de « procuration ».*déplacez-le"),
        (Operation("add", "procuration", "proc  de\nvote"), "déjà un exemple de « procuration »"),
        (Operation("edit", "armes", "# dièse", to_marked="un obus dans la cave"), "déjà un exemple de « armes »"),
        (Operation("add", "armes", " \n\ufeff- "), "est vide"),
        (Operation("add", "armes", "x" * 1_000_000), "plus de 2000"),
        (Operation("add", "armes", "à [Lyon](vile)"), "« vile » n’existe pas.*corps, ville"),
        (Operation("add", "armes", 'à [Lyon]{"entité": }'), "mal marquée"),
        (Operation("add", "inconnue", "rien"), "n’a pas d’exemples"),
        (Operation("add", "armes", "rien", file="data/fonds/un.yml"), "fonds ne se corrige pas"),
        (Operation("remove", "armes", "rien", file="data/fonds/../../../etc/hosts"), "n’est pas un fichier d’exemples"),
    ],
)
def test_what_cannot_be_an_example_is_refused(project: Project, operation: Operation, said: str) -> None:
    with pytest.raises(TrainerError) as caught:
        apply(project, [operation])
    assert re.search(said, plain(caught.value))
    assert caught.value.remedy
    assert project.read(NLU) == SMALL


def test_an_intent_keeps_what_training_needs(project: Project) -> None:
    apply(project, [Operation("remove", "armes", "# dièse")])
    for last in (
        Operation("remove", "armes", "un obus dans la cave"),
        Operation("move", "armes", '"entre guillemets"', "procuration"),
    ):
        with pytest.raises(TrainerError, match="n’a plus que 2 exemples"):
            apply(project, [last])


def test_the_background_only_loses_its_errors(project: Project) -> None:
    done = apply(project, [Operation("remove", "armes", "une grenade", file="data/fonds/un.yml")])
    assert [e.text for e in Corpus.read(project).examples if e.file != NLU] == []
    apply(project, done.undoing)
    assert [e.text for e in Corpus.read(project).examples if e.file != NLU] == ["une grenade"]


def test_many_operations_are_one_write(project: Project) -> None:
    texts = [f"un message numéro {number}" for number in range(300)]
    apply(project, [Operation("add", "armes", text) for text in texts])
    assert {e.text for e in Corpus.read(project).of("armes")} >= set(texts)


def test_two_people_at_once_lose_nothing(project: Project) -> None:
    def add(who: str) -> None:
        for number in range(15):
            apply(project, [Operation("add", "armes", f"{who} {number}")])

    people = [threading.Thread(target=add, args=(who,)) for who in ("claire", "denis", "yanis")]
    for each in people:
        each.start()
    for each in people:
        each.join()
    assert len(Corpus.read(project).edited.examples) == 6 + 45


# -- Damaged or hostile ----------------------------------------------------------------------------------------------------

HEAD = "nlu:\n  - intent: armes\n    examples: |\n      - un obus\n      - deux obus\n"
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nnlu: *c\n"


@pytest.mark.parametrize(
    ("content", "line", "column", "said"),
    [
        (HEAD + "      trois obus\n", 6, 7, "il lui manque son tiret"),
        (HEAD + "      - \n      - trois\n", 6, 7, "un exemple est vide"),
        (HEAD + "    trois obus\n  - intent: b\n", 6, 5, "perdu son retrait ou son tiret"),
        (HEAD + "trois: un\n  - intent: b\n", 7, 11, "Regardez aussi la ligne d’avant"),
        (HEAD + "  - intent: armes\n    examples: |\n      - trois\n", 6, 5, "a déjà un bloc ligne 2"),
        (HEAD + "    examples: |\n      - trois\n", 6, 5, "« examples » est déjà écrit ligne 3"),
        (HEAD + "nlu:\n  - intent: b\n", 6, 1, "« nlu » est déjà écrit ligne 1"),
        (HEAD + "\t- trois\n", 6, 1, "tabulation"),
        (HEAD.replace("\n", "\r\n"), 1, 5, "comme sous Windows"),
        (HEAD + "      - a\rb\n", 6, 10, "comme sous Windows"),
        ("\ufeff" + HEAD, 1, 1, "BOM"),
        (HEAD + "      - a\u2028b\n", 6, 10, "U+2028"),
        (HEAD + "      - a\x00b\n", 6, 10, "U+0000"),
        (HEAD + "      - " + "x" * 1_000_000 + "\n", 6, 10_001, "1000008 caractères"),
        (HEAD + "  - intent: vol de vélo\n    examples: |\n      - a\n", 6, 13, "par exemple « vol_de_velo »"),
        (HEAD + "  - intent: Procédure\n    examples: |\n      - a\n", 6, 13, "par exemple « procedure »"),
        (HEAD + "  - intent: b\n    examples:\n      - a\n", 6, 5, "ne sont pas écrits ligne par ligne"),
        (HEAD + "  - intent: b\n    examples: >\n      - a\n", 6, 5, "ne sont pas écrits ligne par ligne"),
        (HEAD + "  - intnet: b\n    examples: |\n      - a\n", 6, 5, "ni une intention, ni une liste"),
        (HEAD + "  - intent: *b\n", 6, 13, "ancre ou un renvoi"),
        (BOMB, 1, 4, "ancre ou un renvoi"),
        (HEAD + "  - intent: !!python/object:os.system b\n", 6, 13, "type YAML"),
        (HEAD + '  - intent: "b\n', 6, 13, "guillemet ouvert"),
        (HEAD + "  - intent: b: c\n", 6, 14, "deux-points"),
        (HEAD + "  - @b\n", 6, 5, "signe réservé"),
        (HEAD + "---\nnlu: []\n", 6, 1, "second document"),
        ("nlu: " + "[" * 5_000, 1, 35, "niveaux"),
        (HEAD + "      - un [obus](arme\n", 6, 12, "entité est mal marquée"),
        ("", 1, 1, "vide"),
        ("nlu:\n", 1, 1, "« nlu: » manque"),
        ("<<<<<<< HEAD\n" + HEAD, 1, 1, "deux branches se contredisent"),
    ],
)
def test_a_damaged_file_is_refused_with_place_cause_and_remedy(
    project: Project, content: str, line: int, column: int, said: str
) -> None:
    (project.root / NLU).write_bytes(content.encode("utf-8", "surrogatepass"))
    for read in (lambda: Corpus.read(project), lambda: apply(project, [Operation("add", "armes", "un sabre")])):
        with pytest.raises(BadFile) as caught:
            read()
        assert said in plain(caught.value)
        assert (caught.value.path, caught.value.line, caught.value.column) == (NLU, line, column), str(caught.value)
        assert caught.value.remedy
    assert (project.root / NLU).read_bytes() == content.encode("utf-8", "surrogatepass"), "it stays as it is"


@pytest.mark.parametrize(
    ("content", "line", "column", "said"),
    [
        (HEAD.encode("utf-16"), 1, 1, "UTF-16"),
        (HEAD.replace("deux", "é").encode("latin-1"), 5, 9, "Windows-1252"),
    ],
)
def test_a_wrong_encoding_is_named(project: Project, content: bytes, line: int, column: int, said: str) -> None:
    (project.root / NLU).write_bytes(content)
    with pytest.raises(BadFile, match=said) as caught:
        Corpus.read(project)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_a_missing_file_is_told(project: Project) -> None:
    os.unlink(project.root / NLU)
    with pytest.raises(BadFile, match="ne se lit pas"):
        Corpus.read(project)


def test_hostile_text_is_read_in_linear_time() -> None:
    for piece in ("[", "[a](", "[a]{", "](", "[a][{", '[a]{"entity": '):
        marked = piece * (2_000 // len(piece))
        without_marks(marked)
        with pytest.raises(ValueError, match=r"crochet|entité|forme"):
            entities(marked + "](")


def test_the_same_words_are_refused_by_the_training(project: Project) -> None:
    from bot.engine.check import BadInput, check

    for name in ("config.yml", "domain.yml", "data/rules.yml", "data/stories.yml"):
        (project.root / name).write_bytes((ROOT / name).read_bytes())
    check(project.root)
    (project.root / NLU).write_text(HEAD + "      trois obus\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"data/nlu\.yml, ligne 6, colonne 7 : cette ligne n’est pas un exemple"):
        check(project.root)
