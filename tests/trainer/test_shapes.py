"""Files of keys that hold something else than they should are refused with place and remedy, by the training and by the checks."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.engine.check import BadInput, check
from bot.trainer.checks.files import Files
from bot.trainer.errors import BadFile
from bot.trainer.project import Project
from bot.trainer.replies import Replies
from tests.fakes.project import ROOT

ONE = "rules:\n- rule: a\n  steps:\n"
WRONG = (
    ("domain.yml", "intents:\n- mon intention\n", 2, 3, "Écrivez par exemple « mon_intention »."),
    ("domain.yml", "intents:\n- procuré\n", 2, 3, "Écrivez par exemple « procure »."),
    ("domain.yml", "intents:\n- a\n- {}\n", 3, 3, "nommez-la"),
    ("domain.yml", "intents: [a]\nactions: 3\n", 2, 10, "une liste"),
    ("domain.yml", "intents: [a]\nslots: abc\n", 2, 8, "nom : "),
    ("domain.yml", "a: &a [x, x]\nintents: [*a, *a]\n", 1, 4, "Écrivez le texte en entier"),
    ("data/rules.yml", "rules: abc\n", 1, 8, "une liste"),
    ("data/rules.yml", "rules:\n- abc\n", 2, 3, "un tiret par étape"),
    ("data/rules.yml", "rules:\n- rule: a\n  steps: 3\n", 3, 10, "un tiret par étape"),
    ("data/rules.yml", ONE + "  - bonjour\n", 4, 5, "- action: …"),
    (
        "data/stories.yml",
        ONE.replace("rule", "story").replace("storys", "stories") + "  - intent: [a]\n",
        4,
        13,
        "crochets",
    ),
)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Real files, few examples."""
    for name in ("config.yml", "domain.yml", "data/rules.yml", "data/stories.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "data" / "nlu.yml").write_text(
        "nlu:\n  - intent: armes\n    examples: |\n      - un obus\n      - deux\n"
    )
    return Project(tmp_path)


@pytest.mark.parametrize(("name", "content", "line", "column", "remedy"), WRONG)
def test_what_has_not_its_shape_is_refused_with_its_place(
    project: Project, name: str, content: str, line: int, column: int, remedy: str
) -> None:
    project.write(name, content)
    with pytest.raises(BadInput) as refused:
        check(project.root)
    assert refused.value.what.startswith(f"{name}, ligne {line}, colonne {column} : ")
    assert remedy in refused.value.remedy.replace("\u00a0", " ")
    files = Files(project)
    assert files.tree(name) is None
    (found,) = files.found
    assert (found.file, found.line, found.is_error) == (name, line, True)
    assert f"colonne {column} : " in found.what


def test_a_file_without_end_is_not_read(project: Project) -> None:
    check(project.root)  # as they are, they may be trained from
    project.write("domain.yml", project.read("domain.yml") + "# x\n" * 5_000_000)
    with pytest.raises(BadInput, match="dépasse 20 Mo"):
        check(project.root)


def test_the_page_of_replies_tells_a_tab_with_its_column(project: Project) -> None:
    project.write("domain.yml", "responses:\n  utter_a:\n\t- text: a\n")
    with pytest.raises(BadFile, match=r"domain.yml, ligne 3, colonne 1 : la ligne commence par une tabulation"):
        Replies.read(project)
