"""Which readings of the engine are worth a trainer's look, why, and which first. Pure.

A reading's weight is the sum of what its reasons weigh; 0: nothing about it is doubtful. What may cost a life weighs most.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from bot.core.dialogue import Understanding
from bot.policy.intents import DANGER_INTENTS, EMERGENCY, is_grave
from bot.policy.route import NET_CONFIDENCE, NET_DANGER

OUTSIDE = "hors_perimetre"
FALSE_ALARM = "false_alarm"
# Reason → weight, the heaviest first. The workbench has words for each.
WEIGHTS: dict[str, int] = {
    "danger": 100,  # near the alarm's threshold, on either side
    FALSE_ALARM: 80,  # an agent took the alarm back
    "sensitive": 50,  # violence, a disappearance …: not surely read
    "corrected": 40,  # an agent gave it another subject
    "answered": 25,  # an agent answered otherwise than was suggested
    "clarified": 20,  # the person was asked again
    "low": 15,
    "close": 10,
    "outside": 8,  # a subject of another service, or of nobody here: perhaps a subject that we lack
    "unusual": 6,
}
SURE_DANGER = 0.9  # from here an alarm is no doubtful one
CLOSE = 0.15  # between the first and the second intent
SURE = 0.8  # of a sensitive subject
UNUSUAL, UNUSUAL_SHARE = 2, 0.3  # words that nobody ever wrote to us: at least so many, and such a part of the message


def reasons(understanding: Understanding, route: Optional[str], clarified: bool, words: int) -> tuple[str, ...]:
    """Why a reading is worth a look, in the order of WEIGHTS; () when it is not.

    `route`: the one that the message took; `words`: how many it has. What is not French has its own way: of it only a danger
    that is near counts.
    """
    found = set()
    if _near_danger(understanding, route):
        found.add("danger")
    if understanding.french:
        found |= _doubts(understanding, clarified, words)
    return tuple(reason for reason in WEIGHTS if reason in found)


def weight(found: Iterable[str]) -> int:
    """The sum of what these reasons weigh; a reason that is not ours weighs nothing."""
    return sum(WEIGHTS.get(reason, 0) for reason in found)


def _near_danger(understanding: Understanding, route: Optional[str]) -> bool:
    if route == EMERGENCY:  # the words or the score raised the alarm, and the engine hardly saw it
        return understanding.danger < SURE_DANGER
    return understanding.danger >= NET_DANGER


def _doubts(understanding: Understanding, clarified: bool, words: int) -> set[str]:
    chances = [chance for _, chance in understanding.ranking[:2]]
    found = set()
    if _sensitive(understanding):
        found.add("sensitive")
    if clarified:
        found.add("clarified")
    if understanding.confidence < NET_CONFIDENCE:
        found.add("low")
    if len(chances) == 2 and chances[0] - chances[1] < CLOSE:
        found.add("close")
    if understanding.intent == OUTSIDE:
        found.add("outside")
    if understanding.unknown >= UNUSUAL and understanding.unknown >= UNUSUAL_SHARE * words:
        found.add("unusual")
    return found


def _sensitive(understanding: Understanding) -> bool:
    """A grave subject that is not sure, or that stands second with some right."""
    return any(
        name not in DANGER_INTENTS and is_grave(name) and NET_DANGER < chance < SURE
        for name, chance in understanding.ranking[:2]
    )
