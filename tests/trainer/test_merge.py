"""Two people's changes to the examples become one, through git; what is a conflict in substance is told in French."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.trainer.corpus import NLU, Corpus, Operation, apply, read_file
from bot.trainer.errors import BadFile
from bot.trainer.merge import merge
from bot.trainer.project import Project
from tests.fakes.project import AUTHOR, ROOT

BASE = """# En tête.
nlu:
  - intent: procuration
    examples: |
      - qui peut voter pour moi ?
      - proc de vote
      - je vote à Lyon dimanche
  # Entre deux.
  - intent: armes
    examples: |
      - un obus
      - une grenade
      - un fusil
  - synonym: Paris
    examples: |
      - paname
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A repository that knows the driver, with one commit."""
    (tmp_path / "data").mkdir()
    (tmp_path / NLU).write_text(BASE, encoding="utf-8")
    (tmp_path / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    (tmp_path / "bot").symlink_to(ROOT / "bot")
    (tmp_path / ".gitignore").write_text("/bot\n/models\n")
    project = Project(tmp_path)
    project.git("init", "--quiet", "--initial-branch=main")
    project.git("config", "merge.planton-nlu.driver", f"{sys.executable} -m bot _merge-nlu %O %A %B")
    project.git("config", "user.name", "Épreuve")
    project.git("config", "user.email", "epreuve@localhost")
    project.git("add", ".")
    project.git("commit", "--quiet", "-m", "Début", author=AUTHOR)
    return project


def branch(project: Project, name: str, *operations: Operation) -> None:
    """A branch from main with some changes."""
    project.git("checkout", "--quiet", "-b", name, "main")
    apply(project, operations)
    project.git("commit", "--quiet", "-a", "-m", name, author=AUTHOR)


def merged(project: Project, name: str) -> subprocess.CompletedProcess[str]:
    """What `git merge` says."""
    return subprocess.run(["git", "merge", "--no-edit", name], cwd=project.root, capture_output=True, text=True)


def texts(project: Project, intent: str) -> list[str]:
    return [e.text for e in Corpus.read(project).of(intent)]


def test_two_branches_that_add_to_one_intent_merge(project: Project) -> None:
    # Both at the very same place, which git alone calls a conflict.
    branch(project, "claire", Operation("add", "armes", "un sabre", after="un fusil"))
    branch(project, "yanis", Operation("add", "armes", "une arbalète", after="un fusil"))
    done = merged(project, "claire")
    assert done.returncode == 0, done.stdout + done.stderr
    assert texts(project, "armes") == ["un obus", "une grenade", "un fusil", "un sabre", "une arbalète"]
    assert project.read(NLU).startswith("# En tête.\n")
    assert "  # Entre deux.\n" in project.read(NLU)


def test_without_the_driver_git_sees_a_conflict_there(project: Project) -> None:
    project.git("config", "--unset", "merge.planton-nlu.driver")
    branch(project, "claire", Operation("add", "armes", "un sabre", after="un fusil"))
    branch(project, "yanis", Operation("add", "armes", "une arbalète", after="un fusil"))
    assert merged(project, "claire").returncode == 1


def test_changes_of_every_kind_meet(project: Project) -> None:
    branch(
        project,
        "claire",
        Operation("remove", "armes", "un obus"),
        Operation("edit", "procuration", "proc de vote", to_marked="procuration de vote"),
        Operation("add", "armes", "un sabre"),
    )
    branch(
        project,
        "yanis",
        Operation("move", "armes", "une grenade", "procuration"),
        Operation("add", "armes", "un sabre"),
        Operation("add", "armes", "un couteau"),
    )
    done = merged(project, "claire")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(texts(project, "armes")) == ["un couteau", "un fusil", "un sabre"]
    assert sorted(texts(project, "procuration")) == [
        "je vote à Lyon dimanche",
        "procuration de vote",
        "qui peut voter pour moi ?",
        "une grenade",
    ]


def test_one_text_with_two_intents_is_a_conflict_told_in_french(project: Project) -> None:
    branch(project, "claire", Operation("add", "armes", "mon permis de chasse"))
    branch(project, "yanis", Operation("add", "procuration", "mon permis de chasse"))
    done = merged(project, "claire")
    assert done.returncode == 1
    said = " ".join(done.stderr.split())
    assert (
        "« mon permis de chasse » a reçu deux intentions : « procuration » ici, « armes » dans l’autre branche." in said
    )
    with pytest.raises(BadFile):  # nothing is trained from it before somebody has decided
        Corpus.read(project)
    project.git("checkout", "--theirs", NLU, check=False)
    text = (project.root / NLU).read_text("utf-8")
    assert "<<<<<<<" not in text


def test_the_conflict_marks_are_solved_by_taking_one_side() -> None:
    ours = BASE.replace("      - proc de vote\n", "      - proc de vote\n      - un doute\n")
    theirs = BASE.replace("      - un obus\n", "      - un obus\n      - un doute\n")
    text = merge(BASE, ours, theirs).text
    assert taken(text, mine=True) == ours
    assert taken(text, mine=False) == theirs


def taken(text: str, mine: bool) -> str:
    """A text whose conflicts were all decided for one side."""
    out, side = [], None
    for line in text.split("\n"):
        if line.startswith(("<<<<<<< ", "=======", ">>>>>>> ")):
            side = {"<": True, "=": False, ">": None}[line[0]]
        elif side in (None, mine):
            out.append(line)
    return "\n".join(out)


def test_a_block_that_both_changed_and_one_removed_is_a_conflict() -> None:
    gone = BASE.replace("  - synonym: Paris\n    examples: |\n      - paname\n", "")
    more = BASE.replace("      - paname\n", "      - paname\n      - Panam\n")
    assert merge(BASE, gone, BASE).conflicts == merge(BASE, BASE, gone).conflicts == ()
    assert merge(BASE, BASE, gone).text == gone
    (said,) = merge(BASE, more, gone).conflicts
    assert "Le bloc «\u00a0Paris\u00a0» a été retiré d’un côté" in said


def test_comments_and_new_blocks_come_along() -> None:
    ours = BASE.replace("# En tête.", "# En tête, relu.").replace(
        "      - un fusil\n", "      - un fusil\n      - un sabre\n"
    )
    theirs = BASE + "  - lookup: ville\n    examples: |\n      - Lyon\n"
    done = merge(BASE, ours, theirs)
    assert done.conflicts == ()
    assert done.text == ours + "  - lookup: ville\n    examples: |\n      - Lyon\n"


def test_one_example_marked_in_two_ways_is_a_conflict() -> None:
    ours = BASE.replace("à Lyon", "à [Lyon](ville)")
    theirs = BASE.replace("à Lyon", "à [Lyon](lieu)")
    (said,) = merge(BASE, ours, theirs).conflicts
    assert "est marqué de deux façons" in said
    assert merge(BASE, ours, BASE).text == ours


def test_a_damaged_side_is_merged_as_git_would_and_told(project: Project) -> None:
    branch(project, "claire", Operation("add", "armes", "un sabre"))
    project.git("checkout", "--quiet", "-b", "yanis", "main")
    project.write(NLU, BASE.replace("      - proc de vote\n", "      proc de vote\n"))
    project.git("commit", "--quiet", "-a", "-m", "cassé", author=AUTHOR)
    done = merged(project, "claire")
    assert done.returncode == 1
    assert "il lui manque son tiret" in done.stderr
    assert "un sabre" in (project.root / NLU).read_text("utf-8")


def test_the_real_file_merges_with_itself() -> None:
    real = (ROOT / NLU).read_text("utf-8")
    assert merge(real, real, real).text == real


@pytest.mark.parametrize("turned", [False, True])
def test_what_one_moves_and_the_other_corrects_is_moved_and_corrected(turned: bool) -> None:
    moved = BASE.replace("      - proc de vote\n", "").replace("- un obus\n", "- un obus\n      - proc de vote\n")
    fixed = BASE.replace("- proc de vote", "- procu de vote")
    done = merge(BASE, fixed, moved) if turned else merge(BASE, moved, fixed)
    assert done.conflicts == ()
    assert done.text == moved.replace("- proc de vote", "- procu de vote")


def test_one_moves_and_corrects_what_the_other_moves() -> None:
    moved = BASE.replace("      - proc de vote\n", "").replace("- un obus\n", "- un obus\n      - proc de vote\n")
    both = moved.replace("- proc de vote", "- procu de vote")
    assert merge(BASE, moved, both).text == merge(BASE, both, moved).text == both


def test_one_line_changed_in_two_ways_is_a_conflict(project: Project) -> None:
    branch(project, "claire", Operation("edit", "procuration", "proc de vote", to_marked="procuration de vote"))
    branch(project, "yanis", Operation("edit", "procuration", "proc de vote", to_marked="proc pour le vote"))
    done = merged(project, "claire")
    assert done.returncode == 1
    assert (
        "« proc de vote » (procuration) a été changé de deux façons : « proc pour le vote » ici, « procuration de vote » "
        "dans l’autre branche. Gardez-en une."
    ) in " ".join(done.stderr.split())
    text = (project.root / NLU).read_text("utf-8")
    assert taken(text, mine=True) == BASE.replace("- proc de vote", "- proc pour le vote")
    assert taken(text, mine=False) == BASE.replace("- proc de vote", "- procuration de vote")
    with pytest.raises(BadFile, match=r"ligne 6, colonne 1 : deux branches se contredisent ici") as told:
        Corpus.read(project)
    assert "gardez l’une des deux versions" in told.value.remedy


def test_the_same_change_on_both_sides_stays_one() -> None:
    fixed = BASE.replace("- proc de vote", "- procuration de vote")
    done = merge(BASE, fixed, fixed)
    assert (done.text, done.conflicts) == (fixed, ())


def test_two_people_move_one_example_to_two_intents() -> None:
    base = BASE.replace("  - synonym", "  - intent: chasse\n    examples: |\n      - un permis\n  - synonym")
    out = base.replace("      - un fusil\n", "")
    ours = out.replace("- un permis\n", "- un permis\n      - un fusil\n")
    theirs = out.replace("- proc de vote\n", "- proc de vote\n      - un fusil\n")
    done = merge(base, ours, theirs)
    assert done.conflicts == (
        "«\u00a0un fusil\u00a0» (armes) a été changé de deux façons\u00a0: «\u00a0un fusil\u00a0» dans «\u00a0chasse\u00a0» "
        "ici, «\u00a0un fusil\u00a0» dans «\u00a0procuration\u00a0» dans l’autre branche. Gardez-en une.",
    )
    assert (taken(done.text, mine=True), taken(done.text, mine=False)) == (ours, theirs)


def test_another_example_in_the_same_words_is_not_taken_for_a_correction() -> None:
    # One side replaces an example by another one far from it; the other moves the first: nobody can tell, so a person decides.
    ours = BASE.replace("      - un obus\n", "").replace("      - un fusil\n", "      - un fusil\n      - un obus vu\n")
    theirs = BASE.replace("      - un obus\n", "").replace("- proc de vote\n", "- proc de vote\n      - un obus\n")
    done = merge(BASE, ours, theirs)
    (said,) = done.conflicts
    assert "a été changé de deux façons" in said
    assert (taken(done.text, mine=True), taken(done.text, mine=False)) == (ours, theirs)


def test_a_removed_block_whose_examples_were_moved_takes_the_correction_along() -> None:
    gone = BASE.replace("  # Entre deux.\n  - intent: armes\n    examples: |\n", "")
    fixed = BASE.replace("- une grenade", "- une grenade rouillée")
    done = merge(BASE, gone, fixed)
    assert done.conflicts == ()
    assert done.text == gone.replace("- une grenade", "- une grenade rouillée")


_ITEMS = st.lists(st.sampled_from([f"texte {n}" for n in range(9)]), unique=True, max_size=9)


@settings(max_examples=40, deadline=None)
@given(_ITEMS, _ITEMS, _ITEMS)
def test_what_each_side_did_is_in_the_merge(base: list[str], ours: list[str], theirs: list[str]) -> None:
    def file(items: list[str]) -> str:
        return "nlu:\n  - intent: a\n    examples: |\n" + "".join(f"      - {item}\n" for item in ["reste", *items])

    done = merge(file(base), file(ours), file(theirs))
    wanted = (set(base) & set(ours) & set(theirs)) | (set(ours) - set(base)) | (set(theirs) - set(base))
    lines = [line for line in done.text.split("\n") if not line.startswith(("<<<<<<<", "=======", ">>>>>>>"))]
    found = Counter(e.text for e in read_file(NLU, "\n".join(lines)).examples)
    assert found == Counter({"reste": 1, **dict.fromkeys(wanted, 1)}), "nothing is lost, conflict or not"
    assert bool(done.conflicts) == ("<<<<<<<" in done.text)
    if not set(base) - set(ours) or not set(base) - set(theirs):
        assert done.conflicts == (), "one of them only added"
    assert merge(file(base), file(ours), file(base)).text == file(ours)


UNLIKE = ["un obus", "proc de vote", "mon chat miaule", "wifi du train", "perdu papiers"]
ALIKE = [f"texte numéro {n}" for n in range(5)]


def _held(texts: list[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.dictionaries(st.sampled_from(texts), st.sampled_from("abc"))


_SIDES = st.sampled_from([UNLIKE, ALIKE]).flatmap(lambda texts: st.tuples(*[_held(texts)] * 3))


@settings(max_examples=60, deadline=None)
@given(_SIDES)
def test_moves_never_lose_an_example_nor_double_one(sides: tuple[dict[str, str], ...]) -> None:
    base, ours, theirs = sides
    alike = any(text in ALIKE for side in sides for text in side)

    def file(held: dict[str, str]) -> str:
        blocks = {name: [text for text, intent in held.items() if intent == name] for name in "abc"}
        return "nlu:\n" + "".join(
            f"  - intent: {name}\n    examples: |\n      - {name}\n" + "".join(f"      - {text}\n" for text in texts)
            for name, texts in blocks.items()
        )

    done = merge(file(base), file(ours), file(theirs))
    for mine, side, other in ((True, ours, theirs), (False, theirs, ours)):
        examples = [e for e in read_file(NLU, taken(done.text, mine)).examples if len(e.text) > 1]
        found = {e.text: e.intent for e in examples}
        assert len(found) == len(examples), "twice"
        for text, intent in side.items():
            if base.get(text) != intent and other.get(text) == base.get(text):
                # One that looks like another one rewritten may have gone where the other side moved that.
                assert found.get(text) == intent or alike
    assert merge(file(base), file(ours), file(base)).text == file(ours)
