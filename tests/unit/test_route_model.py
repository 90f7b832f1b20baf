"""`planton route --modele`: which archive is meant, and a decision that is not the first of a conversation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.app import policy as policies
from bot.app.cli import parser
from bot.app.route import decision, model_of
from bot.core.dialogue import Reply, Turn, Understanding
from bot.core.errors import SetupError
from bot.settings import Settings

NOON = datetime(2026, 1, 15, 11, 0, tzinfo=UTC)


def test_the_archive_is_named_on_the_command_line(tmp_path: Path) -> None:
    archive = tmp_path / "0123456789abcdef.tar.gz"
    archive.write_bytes(b"")
    model = model_of(parser().parse_args(["route", "--modele", str(archive)]).modele)
    assert model is not None
    assert (model.archive, model.hash) == (archive, "0123456789abcdef")
    assert model_of(parser().parse_args(["route"]).modele) is None


@pytest.mark.parametrize("name", ["absent.tar.gz", "notes.txt", "."])
def test_what_is_no_model_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(SetupError, match="n’est pas un modèle") as refused:
        model_of(str(tmp_path / name))
    assert "models/candidates" in refused.value.remedy


def test_later_in_a_conversation_the_assistant_is_not_introduced_again() -> None:
    policy = policies.build(Settings({}))
    meant = Understanding("procuration", 0.95, (("procuration", 0.95),), danger=0.0)
    turn = Turn(meant, (Reply("Voici la marche à suivre."),))
    first, second = (decision(policy, "pour voter", turn, NOON, introduced=begun) for begun in (False, True))
    assert "assistant automatique" in first.replies[0].text
    assert second.replies == turn.replies
    assert (second.route, second.by) == ("answer", None)
    danger = decision(policy, "au secours il a un couteau il veut me tuer", turn, NOON)
    assert (danger.route, danger.by is not None) == ("emergency", True)
