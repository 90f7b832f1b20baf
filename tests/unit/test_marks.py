"""The blocks of pages that programs write."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.errors import SetupError
from scripts import machines, plan
from scripts.marks import around


def test_what_stands_around_is_given_back_with_the_marks() -> None:
    assert around("a<x>b<y>c<x>d<y>", "<x>", "<y>") == ("a<x>", "b", "<y>c<x>d<y>")


@pytest.mark.parametrize("text", ["", "a<x>b", "b<y>c", "b<y>c<x>"])
def test_both_marks_must_be_there_in_order(text: str) -> None:
    with pytest.raises(LookupError, match="no marks <x> … <y>"):
        around(text, "<x>", "<y>")


def test_a_page_without_a_place_is_named_and_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- fin pannes -->\n<!-- pannes -->\n")
    monkeypatch.setattr(machines, "PAGE_MD", page)
    with pytest.raises(SetupError, match=r"page\.md n’a pas de place pour « pannes »"):
        machines.put("pannes", "a  b", "so")
    assert page.read_text() == "<!-- fin pannes -->\n<!-- pannes -->\n"
    with pytest.raises(SystemExit, match=r"passage-a-l-echelle\.md: no marks <!-- cpu --> … <!-- fin cpu -->"):
        plan.written(
            plan.PAGE.read_text(encoding="utf-8").replace("<!-- fin cpu -->", ""),
            plan.BENCHMARKS.read_text(encoding="utf-8"),
        )
