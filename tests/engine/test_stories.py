"""Conversations written in YAML, played over HTTP against the trained engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.engine.conftest import EngineProcess

FILES = sorted((Path(__file__).parent / "conversations").glob("*.yml"))


def test_there_are_conversations() -> None:
    assert len(FILES) >= 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_conversation(engine: EngineProcess, path: Path) -> None:
    state: Any = None
    for number, step in enumerate(YAML(typ="safe").load(path.read_text("utf-8")), 1):
        turn = engine.turn(step.get("user", ""), state, step.get("payload"), sender=path.stem)
        state = turn["state"]
        wrong = [problem for key, wanted in step["expect"].items() if (problem := _wrong(key, wanted, turn))]
        assert not wrong, f"step {number} ({step.get('user') or step.get('payload')}): {wrong}"


def _wrong(key: str, wanted: Any, turn: dict[str, Any]) -> str:
    """What differs from the expectation, or nothing."""
    said = "\n".join(reply["text"] for reply in turn["replies"])
    if key == "responses_contain":
        missing = [part for part in wanted if part not in said]
        return f"{missing} not in {said!r}" if missing else ""
    if key == "responses_lack":
        present = [part for part in wanted if part in said]
        return f"{present} in {said!r}" if present else ""
    if key == "handoff" and isinstance(wanted, dict):
        found = {name: (turn["handoff"] or {}).get(name) for name in wanted}
    elif key == "handoff" and wanted is True:  # an agent, whichever way the classifier leans
        found = turn["handoff"] is not None
    elif key == "handoff" and isinstance(wanted, str):
        found = (turn["handoff"] or {}).get("category")
    elif key == "replies":
        found = len(turn["replies"])
    elif key == "quick_replies":
        titles = [button["title"] for button in turn["replies"][-1]["quick_replies"]]
        missing = [title for title in wanted if title not in titles]
        return f"{missing} not in {titles}" if missing else ""
    elif key == "intent":
        found = turn["understanding"]["intent"]
    elif key in ("handoff", "clarify", "silence"):
        found = turn[key]
    else:
        raise ValueError(f"unknown expectation {key}")
    return "" if found == wanted else f"{key}: {found!r} instead of {wanted!r}"
