"""What the engine tells of a danger that only it saw goes with the alarm, and never holds it up."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from bot.core.dialogue import Explanation, Piece, Understanding, Why
from bot.core.errors import EngineDown
from bot.policy.emergency import Detection
from bot.worker import reasons

SEEN = Detection("danger", "engine", evidence=("du score",))
WORDS = "Bonjour, il REVIENT ce soir"


def why(intent: str, *pieces: tuple[str, float]) -> Why:
    return Why(intent, 0.5, tuple(Piece(text, "words", weight) for text, weight in pieces), (), 0.0, 0.0, 0.0)


class Engine:
    """Explains as told, fails, or says nothing for ever."""

    def __init__(self, *whys: Why, error: Exception | None = None, hangs: bool = False) -> None:
        self.whys, self.error, self.hangs, self.asked = whys, error, hangs, 0

    async def explain(self, text: str) -> Explanation:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return Explanation(Understanding("danger_immediat", 0.5), self.whys)


async def test_the_engines_own_words_for_what_it_alone_saw() -> None:
    engine = Engine(why("salutation", ("bonjour", 3.0)), why("danger_immediat", ("revient", 2.0), ("ce soir", 0.1)))
    found = await reasons.engines_own(cast("Any", engine), SEEN, WORDS)
    assert (found.by, found.evidence) == ("engine", ("REVIENT",))


@pytest.mark.parametrize(
    "engine",
    [
        Engine(error=EngineDown("away")),
        Engine(error=RuntimeError(WORDS)),
        Engine(hangs=True),
        Engine(),  # a model that tells no reasons
        Engine(why("danger_immediat", ("jamais", 1.0))),
    ],
)
async def test_without_them_the_alarm_is_as_it_was(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reasons, "WITHIN", 0.01)
    caplog.set_level("INFO")
    assert await reasons.engines_own(cast("Any", engine), SEEN, WORDS) is SEEN
    assert "REVIENT" not in caplog.text


async def test_what_another_detector_saw_asks_nobody() -> None:
    engine = Engine()
    for detection in (Detection("danger", "lexicon"), Detection("danger", "score")):
        assert await reasons.engines_own(cast("Any", engine), detection, WORDS) is detection
    assert await reasons.engines_own(cast("Any", engine), SEEN, "") is SEEN
    assert engine.asked == 0
