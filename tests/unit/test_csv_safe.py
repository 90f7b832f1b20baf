"""CSV files: read back as they were, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timedelta, timezone

import pytest

from bot.console import csv_safe


def back(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))


@pytest.mark.parametrize(
    "formula",
    [
        "=1+1", "+33 1", "-2+3", "@SUM(A1)", "|calc", "%x", "\t=1", "\r=1", "\n=1", "  =1", "\u200b=1", "\u202e=1",
        "\ufeff=cmd|'/c calc'!A0", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x", "\x00=1", "\x0b=1", "\u00a0=1",
    ],
)  # fmt: skip
def test_what_could_be_a_formula_is_disarmed(formula: str) -> None:
    assert csv_safe.cell(formula).startswith("'")


@pytest.mark.parametrize(
    "text", ["", "bonjour", "l’agent = Claire", "a;b", 'dit "non"', "ligne\nsuivante", "'=1", "42"]
)
def test_other_text_comes_back_as_it_was(text: str) -> None:
    assert back(csv_safe.lines([[text, "fin"]])) == [[text, "fin"]]


def test_values() -> None:
    paris = timezone(timedelta(hours=1))
    row = (None, -3, 2.5, datetime(2026, 1, 5, 8, 30, 1, 999, tzinfo=paris), "a\x00\ud800b")
    assert back(csv_safe.lines([row])) == [["", "-3", "2,5", "2026-01-05T08:30:01+01:00", "ab"]]
    with pytest.raises(ValueError, match="naive"):
        csv_safe.cell(datetime(2026, 1, 5))


def test_a_cell_cannot_leave_its_quotes() -> None:
    assert csv_safe.lines([['a";=1+1;"', "b"]]) == '"a"";=1+1;""";"b"\r\n'


def test_a_whole_file() -> None:
    answer = csv_safe.file("pilotage", ["Heure", "Volume"], [["8 h", 3]])
    assert answer.body == '\ufeff"Heure";"Volume"\r\n"8 h";"3"\r\n'.encode()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="pilotage.csv"'
    assert answer.content_type == "text/csv; charset=utf-8"


@pytest.mark.parametrize("name", ["", "a/b", 'a"b', "é", "a.csv", "a\r\nb"])
def test_a_file_name_holds_nothing_odd(name: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        csv_safe.headers(name)
