"""Two parsers, one outcome: what the quick one reads, the other reads alike, word for word and line for line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

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


@pytest.mark.parametrize("name", ["config.yml", "domain.yml", "data/precisions.yml", "data/rules.yml"])
def test_the_values_of_what_is_read_for_them_are_those_of_the_last_word(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert yaml_text.values(text) == YAML(typ="safe", pure=True).load(text)


VALUES = st.sampled_from(
    [
        *("0", "1", "-3", "+4", "007", "1_0", "0x1f", "0o7", "0b1", "1.5", "-01.50", ".5", "1e3", "1.", ".inf", "1:30"),
        *("-", "+", ".", "2026-01-15", "<<", "=", "~", "null", "Null", "true", "TRUE", "no", "on", "y", "é", "1 an"),
        *("'1'", '"~"', "[1, a]", "?a", "{a: 1}", "*a", "&a 1", "!!str 1", "@", "%", "«1»", "😀", "|\n  1"),
        *(">-\n  true", "", "-1 jour", "=x", "<a"),
    ]
)
KEYS = st.sampled_from(("a", "b", "1", "true", "~", "<<", "é", "'a'"))


@settings(max_examples=400)
@given(st.lists(st.tuples(KEYS, VALUES), max_size=4), st.booleans())
@example([("a", "1"), ("a", "2")], True)
@example([("1", "0"), ("true", "0")], True)
def test_values_are_read_alike(pairs: list[tuple[str, str]], named: bool) -> None:
    text = "".join(f"{key}: {value}\n" if named else f"- {value}\n" for key, value in pairs)
    assert repr(loaded(yaml_text.values, text)) == repr(loaded(YAML(typ="safe", pure=True).load, text))


def loaded(load: Callable[[str], object], text: str) -> object:
    """The values; the error's kind where there is one."""
    try:
        return load(text)
    except Exception as error:
        return type(error)


def test_what_is_wrong_is_told_by_the_last_word() -> None:
    assert yaml_text.quickly("nlu:\n- intent: armes\n   examples: non") is None
    with pytest.raises(Damaged) as told:
        yaml_text.read("nlu:\n- intent: armes\n   examples: non")
    assert (told.value.line, "deux-points" in told.value.what) == (3, True)
