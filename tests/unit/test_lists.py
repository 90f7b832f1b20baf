"""The lists of data/nlu.yml: one word, one value; what a wrong file is told; and what agents read of the values."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bot.console import labels
from bot.engine.check import BadInput, check
from bot.engine.inputs import sources
from bot.engine.surfaces import key_of
from bot.trainer.reply_uses import values
from tests.unit.test_domain import DOMAIN, ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The trainers' files, to be spoilt."""
    for path in sources(ROOT):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    # Thousands of examples take half a minute to parse; the lists stand at the end.
    shutil.rmtree(tmp_path / "data" / "fonds")
    nlu = tmp_path / "data" / "nlu.yml"
    head, lists = nlu.read_text("utf-8").split("  # --- Listes", 1)
    nlu.write_text(head[: head.index("nlu:")] + "nlu:\n  # --- Listes" + lists, "utf-8")
    return tmp_path


def test_the_lists_are_accepted(project: Path) -> None:
    check(project)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            "  - synonym: officier\n    examples: |\n      - brigadier\n      - Cambriolées\n",
            "« Cambriolées » veut déjà dire « cambriolage »",
        ),
        (
            "  - lookup: corps\n    examples: |\n      - brigadier\n      - espagne\n",
            "« espagne » est déjà dans la liste « pays »",
        ),
    ],
)
def test_a_word_with_two_values_is_refused_with_its_line(project: Path, block: str, message: str) -> None:
    path = project / "data" / "nlu.yml"
    text = path.read_text("utf-8")
    path.write_text(text + block, "utf-8")
    line = text.count("\n") + 4
    with pytest.raises(BadInput) as caught:
        check(project)
    said = str(caught.value)
    assert f"data/nlu.yml, ligne {line}\u00a0: {message}" in said.replace(" :", "\u00a0:")
    first = int(said.split("(data/nlu.yml, ligne ")[1].split(")")[0])
    assert key_of(text.splitlines()[first - 1]) == key_of(block.rsplit("- ", 1)[1]), "the earlier line is named too"


def test_the_same_word_twice_for_the_same_value_is_no_fault(project: Path) -> None:
    path = project / "data" / "nlu.yml"
    path.write_text(
        path.read_text("utf-8") + "  - synonym: cambriolage\n    examples: |\n      - cambriolée\n", "utf-8"
    )
    check(project)


def test_no_french_town_lies_abroad(project: Path) -> None:
    rows = YAML(typ="safe").load((project / "data" / "nlu.yml").read_text("utf-8"))["nlu"]
    words = {row["lookup"]: {key_of(word) for word in row["examples"].splitlines()} for row in rows if "lookup" in row}
    assert len(words["pays"]) > 100
    assert not words["pays"] & words["ville"]


def test_agents_read_french() -> None:
    for name in set(DOMAIN["entities"]) - {"theme"}:
        assert name in labels.SLOTS
    for name in ("document", "circonstance", "pays", "infraction"):
        for value in values(name):
            said = labels.value(name, value)
            assert "_" not in said
            assert said not in ("vole", "etranger", "harcelement", "degradation", "stupefiants")
    assert labels.value("document", "passeport, carte_bancaire") == "passeport, carte bancaire"
    assert labels.value("lieu", "rue de la vole_e, 3") == "rue de la vole_e, 3"
