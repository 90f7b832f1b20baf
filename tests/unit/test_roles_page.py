"""docs/roles-postgresql.md says what the grants give."""

from __future__ import annotations

from scripts import roles


def test_the_page_has_the_tables_that_follow_from_the_grants() -> None:
    page = roles.PAGE.read_text(encoding="utf-8")
    assert roles.written(page) == page, "python -m scripts.roles --write"
    assert "| `audit` | A | A | A | LA | A | – | L |" in page
    assert "| `users` | – | – | – | LAM | – | – | L |" in page
