"""What docs/securite.md and docs/asvs.md call proven is proven by tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for name in ("securite.md", "asvs.md") if (path := ROOT / "docs" / name).exists()]
NAMED = re.compile(r"tests/[\w/]+\.py(?:::\w+)?")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_is_named_exists(page: Path) -> None:
    named = set(NAMED.findall(page.read_text(encoding="utf-8")))
    assert named
    missing = []
    for one in sorted(named):
        file, _, name = one.partition("::")
        path = ROOT / file
        if not path.exists() or (name and not re.search(rf"def {name}\(", path.read_text(encoding="utf-8"))):
            missing.append(one)
    assert missing == []


CANNOT = re.compile(r"\bne peu(?:t|vent)\b|\bimpossible|\bjamais\b")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_whatever_cannot_be_names_its_test(page: Path) -> None:
    """« Ne peut pas » without a test is a hope. What is known to be open says what can be, not what cannot."""
    said = page.read_text(encoding="utf-8").partition("\n## Ce que nous savons")[0].splitlines()
    assert [line for line in said if CANNOT.search(line) and not NAMED.search(line)] == []


# -- ASVS 5.0.0 ---------------------------------------------------------------------------------------------------

ASVS = ROOT / "docs" / "asvs.md"
# How many requirements of levels 1 and 2 each section has; they come first in it, numbered from 1.
SECTIONS = {
    1: (2, 9, 11, 3, 2),
    2: (3, 3, 4, 1),
    3: (0, 2, 4, 6, 5, 0, 2),
    4: (3, 1, 2, 4),
    5: (1, 3, 2, 3),
    6: (3, 12, 4, 4, 5, 3, 0, 4),
    7: (3, 4, 2, 5, 2, 2),
    8: (2, 3, 1, 1),
    9: (3, 4),
    10: (2, 2, 4, 11, 5, 2, 3),
    11: (2, 3, 3, 4, 1, 1),
    12: (3, 2, 4),
    13: (1, 5, 2, 5),
    14: (2, 4, 3),
    15: (3, 3, 7),
    16: (1, 5, 4, 3, 3),
    17: (1, 4, 2),
}
STATES = ("oui", "en partie", "non", "exploitant", "sans objet")


def _rows() -> list[tuple[str, str, str, str]]:
    lines = ASVS.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| V")]
    assert {len(row) for row in cells} == {4}
    return [(row[0], row[1], row[2], row[3]) for row in cells]


def test_every_requirement_of_asvs_level_2_stands_there_once() -> None:
    asked = [
        f"V{chapter}.{section}.{number}"
        for chapter, sections in SECTIONS.items()
        for section, most in enumerate(sections, 1)
        for number in range(1, most + 1)
    ]
    assert len(asked) == 253
    assert [name for name, *_ in _rows()] == asked


def test_the_counts_at_the_head_are_those_of_the_tables() -> None:
    head = ASVS.read_text(encoding="utf-8").partition("\n## ")[0]
    told = {state: int(n) for state, n in re.findall(r"^\| ([a-z ]+) \| [^|]+ \| (\d+) \|$", head, re.MULTILINE)}
    assert tuple(told) == STATES
    assert told == {state: sum(row[2] == state for row in _rows()) for state in STATES}


def test_what_is_called_kept_names_a_test_or_a_place() -> None:
    """A « oui » without proof is an opinion."""
    lone = [name for name, _, state, proof in _rows() if state == "oui" and not re.search(r"`|\.md|»", proof)]
    assert lone == []
    assert all(proof for *_, proof in _rows())


def test_the_code_and_pages_that_are_named_exist() -> None:
    text = ASVS.read_text(encoding="utf-8")
    code = {one for one in re.findall(r"`((?:bot|tests|requirements)/[\w/.-]+)`", text)}
    pages = {f"docs/{one}" for one in re.findall(r"\b(?:decisions/)?[a-z][a-z-]*\.md\b", text)}
    assert [one for one in sorted(code | pages) if not (ROOT / one).exists()] == []
