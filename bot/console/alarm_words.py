"""Words about alarms: by which detector, what said so, what an agent said of it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.console import words
from bot.console.words import NB
from bot.store.alarms import Alarm

# As it stands after the quotes, in parentheses.
DETECTORS = {
    "lexicon": "lexique",
    "score": "score de danger",
    "engine": "assistant",
    "other": "sans détecteur",
}
KINDS = {"danger": "Danger", "distress": "Détresse"}


def detector(alarm: Alarm) -> str:
    """« lexique »."""
    return DETECTORS.get(alarm.detector, alarm.detector)


def quoted(quotes: Sequence[str]) -> list[str]:
    """Each quote on one line between its marks."""
    return [f"«{NB}{words.plain(quote)}{NB}»" for quote in quotes]


def once_each(alarms: Sequence[Alarm]) -> list[Alarm]:
    """Without those that say the same as a newer one: a person who repeats a cry raises the alarm each time."""
    found: dict[tuple[str, tuple[str, ...]], Alarm] = {}
    for alarm in alarms:
        found.setdefault((alarm.detector, alarm.evidence), alarm)
    return list(found.values())
