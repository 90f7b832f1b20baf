"""What the engine itself says speaks for a danger that nobody but the engine saw."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from bot.core.dialogue import Engine
from bot.policy import evidence
from bot.policy.emergency import Detection
from bot.policy.intents import DANGER_INTENTS

log = logging.getLogger("planton.worker")

WITHIN = 1.0  # seconds: the reply to a danger waits for its reasons no longer than that


async def engines_own(engine: Engine, detection: Detection, words: str) -> Detection:
    """The detection with the engine's reasons, where it was the engine's and it tells them in time; else as it was."""
    if detection.by != "engine" or not words:
        return detection
    try:
        async with asyncio.timeout(WITHIN):
            explanation = await engine.explain(words)
        pieces = [
            (piece.text, piece.weight)
            for why in explanation.whys
            if why.intent in DANGER_INTENTS
            for piece in why.pieces_for
        ]
        found = evidence.of_pieces(words, pieces)
    except Exception as error:  # whatever it is, the alarm does not wait for it
        log.info("no reasons of the engine: %s", type(error).__name__)
        return detection
    return replace(detection, evidence=found) if found else detection
