"""Words about alarms: by which detector, what said so, what an agent said of it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.console import words
from bot.console.words import NB
from bot.store.alarms import LIKELY, TAKEN_BACK, Alarm

# As it stands after the quotes, in parentheses.
DETECTORS = {
    "lexicon": "lexique",
    "score": "score de danger",
    "engine": "assistant",
    "other": "sans détecteur",
}
KINDS = {"danger": "Danger", "distress": "Détresse"}
LIKELY_KINDS = {"danger": "Danger probable", "distress": "Détresse probable"}


def kind(alarm: Alarm) -> str:
    """« Danger », « Détresse probable »."""
    return (LIKELY_KINDS if alarm.degree == LIKELY else KINDS).get(alarm.kind, "Alerte")


def in_queue(alarm: Alarm) -> str:
    """What stands before the words on its line of the queue."""
    return kind(alarm) if alarm.degree == LIKELY else "Alerte"


def shown(alarms: Sequence[Alarm], sure: bool) -> list[Alarm]:
    """Those that were not taken back, each once, the newest first; sure ones before likely ones, and of a request that is no
    emergency (`sure` False) likely ones alone."""
    found = [one for one in alarms if one.verdict != TAKEN_BACK and (sure or one.degree == LIKELY)]
    return sorted(once_each(found), key=lambda one: one.degree == LIKELY)


def detector(alarm: Alarm) -> str:
    """« lexique »."""
    return DETECTORS.get(alarm.detector, alarm.detector)


def quoted(quotes: Sequence[str]) -> list[str]:
    """Each quote on one line between its marks."""
    return [f"«{NB}{words.plain(quote)}{NB}»" for quote in quotes]


def once_each(alarms: Sequence[Alarm]) -> list[Alarm]:
    """Without those that say the same as a newer one: a person who repeats a cry raises the alarm each time."""
    found: dict[tuple[str, str, tuple[str, ...]], Alarm] = {}
    for alarm in alarms:
        found.setdefault((alarm.degree, alarm.detector, alarm.evidence), alarm)
    return list(found.values())
