"""What the engine writes when something goes wrong in somebody else's code."""

from __future__ import annotations

import logging
import sys

from bot.engine.quiet import Aside, SafeFormatter

WORDS = "mon voisin crie"


def record(logger: str, *, failing: bool = False) -> str:
    """A log line of `logger` that quotes a citizen, formatted."""
    error = None
    if failing:
        try:
            raise ValueError(WORDS)
        except ValueError:
            error = sys.exc_info()
    made = logging.getLogger(logger).makeRecord(
        logger, logging.ERROR, __file__, 7, "failed on '%s'", (WORDS,), error, func="handle"
    )
    return SafeFormatter().format(made)


def test_our_own_lines_are_whole() -> None:
    assert WORDS in record("bot.engine")


def test_others_are_reduced_to_their_origin() -> None:
    line = record("rasa.core.processor", failing=True)
    assert WORDS not in line
    assert "rasa.core.processor" in line
    assert "handle:7" in line
    assert "builtins.ValueError" in line
    assert "test_quiet.py" in line


def test_a_name_that_only_begins_like_ours_is_not_ours() -> None:
    assert WORDS not in record("botanique")


def test_an_exception_in_our_lines_is_reduced_too() -> None:
    made = logging.getLogger("bot.engine").makeRecord("bot.engine", logging.ERROR, __file__, 7, "failed", (), None)
    try:
        raise ValueError(WORDS)
    except ValueError:
        made.exc_info = sys.exc_info()
    assert WORDS not in SafeFormatter().format(made)


def test_the_tail_leaves_progress_bars_out(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "log"
    path.write_text("Loading\nrules: 10%| 1it/s\rrules: 20%| 2it/s\n\nBad rule\n")
    assert Aside(path).tail() == "Loading\nBad rule"
