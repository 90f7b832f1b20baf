"""Replies read from domain.yml: kept as long as the file is the same, read anew when it is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.core.dialogue import QuickReply
from bot.core.errors import SetupError
from bot.dialogue import texts

ROOT = Path(__file__).resolve().parents[3]
REPLIES = "".join(f"  {name}:\n    - text: Mots.\n" for name in texts.REQUIRED)
BUTTON = "      buttons:\n        - {title: Oui, payload: oui}\n"


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    domain = tmp_path / "domain.yml"
    domain.write_text(f"responses:\n{REPLIES}")
    assert texts.load(domain)["utter_urgence"] == "Mots."
    assert texts.load_buttons(domain) == {}
    domain.write_text(f"responses:\n{REPLIES}  utter_autre:\n    - text: Autre.\n{BUTTON}")
    assert texts.load(domain)["utter_autre"] == "Autre."
    assert texts.load_buttons(domain) == {"utter_autre": (QuickReply("Oui", "oui"),)}


def test_a_caller_keeps_no_hand_on_what_others_read() -> None:
    texts.load(ROOT / "domain.yml").clear()
    assert "utter_urgence" in texts.load(ROOT / "domain.yml")


def test_a_reply_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_text("responses:\n  utter_autre:\n    - text: Autre.\n")
    with pytest.raises(SetupError, match="utter_urgence"):
        texts.load(tmp_path / "domain.yml")
