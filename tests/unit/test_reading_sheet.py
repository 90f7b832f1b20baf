"""The messages of a blind reading, from a list or from a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.errors import SetupError
from scripts.reading_sheet import main, messages


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("procu ?\n\n  \nvoter\tici\n", ["procu ?", "voter\tici"]),
        ("text\tquestions\nprocu ?\t-\n\nvoter\t-\n", ["procu ?", "voter"]),
        ("n\ttext\n1\tprocu ?\n2\tvoter\n", ["procu ?", "voter"]),
        ("\ufeffn\ttext\r\n1\tprocu ?\r\n", ["procu ?"]),  # as spreadsheets save it
        ("\ufeffprocu ?\r\n", ["procu ?"]),
        ("le text est long\nvoter\n", ["le text est long", "voter"]),
        ("text\n", []),
        ("", []),
    ],
)
def test_a_line_or_the_column_text(tmp_path: Path, content: str, found: list[str]) -> None:
    path = tmp_path / "lecture.tsv"
    path.write_bytes(content.encode())
    assert messages(path) == found


@pytest.mark.parametrize("row", ["2", "2\t", "2\t \tx"])
def test_a_row_without_its_message_is_told_with_its_line(
    tmp_path: Path, row: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lecture.tsv"
    path.write_text(f"n\ttext\tsuite\n1\tprocu ?\tx\n\n{row}\n", encoding="utf-8")
    with pytest.raises(SetupError, match="ligne 4 : le message manque"):
        messages(path)
    assert main([str(path)]) == 2
    assert main([str(tmp_path / "absent.tsv")]) == 2
    assert "absent.tsv ne se lit pas" in capsys.readouterr().err
