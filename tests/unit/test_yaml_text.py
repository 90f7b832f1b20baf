"""Two parsers, one outcome: what the quick one reads, the other reads alike, word for word and line for line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.core import yaml_text
from bot.core.yaml_text import Damaged

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    [ROOT / "domain.yml", ROOT / "config.yml", *(ROOT / "data").glob("*.yml"), *(ROOT / "data").glob("*/*.yml")]
)
# What our files are made of, and what people break them with.
PIECES = st.sampled_from(
    [
        *(
            "nlu:",
            "- intent: armes",
            "  examples: |",
            "    - un sabre",
            "  - text: |-",
            "metadata:",
            "title: Où ?",
            "[a, b]",
        ),
        *(
            "{a: b}",
            "'c’est'",
            '"dit \\" oui"',
            '"',
            "'",
            "#",
            " #",
            "# fin",
            ": ",
            ":",
            "?",
            "? ",
            "- ",
            "-",
            "|",
            "|-",
            "|2",
            ">",
        ),
        *(
            "&a ",
            "*a",
            "!t ",
            "%",
            "@",
            "`",
            "---",
            "...",
            "[",
            "]",
            "{",
            "}",
            ",",
            "null",
            "~",
            "é",
            "😀",
            "\u00a0",
            "\t",
            "\\x",
        ),
        *("\n", "\n", "\n", "\n  ", "\n    ", "\n      ", "  ", " "),
    ]
)


def by_the_last_word(text: str) -> object:
    """The nodes; None of what is refused."""
    try:
        return yaml_text.slowly(text)
    except Damaged:
        return None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_of_ours_is_read_alike_and_nearly_all_quickly(path: Path) -> None:
    text = path.read_text("utf-8")
    found = yaml_text.quickly(text)
    assert found == (yaml_text.slowly(text) if found else None)
    assert found or path.name == "config.yml"


@settings(max_examples=1500)
@given(st.lists(PIECES, max_size=25).map("".join))
@example("a: |-#\n  b")
@example("question:\nlink: x")
@example("- on a\tvu")
@example("t: |\n \n  ")
@example("t: |\n \n  a")
@example("t: |\n#")
@example("- marqué ?:\n- non")
def test_whatever_is_written_is_read_alike(text: str) -> None:
    try:
        yaml_text.must_be_plain(text)
    except Damaged:
        return
    found = yaml_text.quickly(text)
    assert found is None or found == by_the_last_word(text)


def test_what_is_wrong_is_told_by_the_last_word() -> None:
    assert yaml_text.quickly("nlu:\n- intent: armes\n   examples: non") is None
    with pytest.raises(Damaged) as told:
        yaml_text.read("nlu:\n- intent: armes\n   examples: non")
    assert (told.value.line, "deux-points" in told.value.what) == (3, True)
