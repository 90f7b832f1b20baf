"""The words of the page of checks, and where each finding leads."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import quote

from bot.console.workbench_examples_words import key, sentence, several, short, title
from bot.core import catalogue
from bot.core.examples import QUESTION
from bot.trainer.checks.finding import Finding
from bot.trainer.corpus import Example

__all__ = ["SEVERITIES", "link", "place", "sentence", "several", "short", "title"]

NB = "\u00a0"
SEVERITIES = {"erreurs": "Erreurs", "avertissements": "Avertissements"}


def place(one: Finding) -> str:
    """« data/nlu.yml, ligne 12 »."""
    return one.file if one.line is None else f"{one.file}, ligne{NB}{one.line}"


def link(
    one: Finding, places: Mapping[tuple[str, int], Example], intents: Collection[str], paths: Collection[str]
) -> tuple[str, str] | None:
    """(address, words) of the page where it is put right; None where there is none, or the intent has no page."""
    example = places.get((one.file, one.line or 0))
    if example is not None and example.intent in intents:
        anchor = key(example)
        return f"/atelier/exemples/{quote(example.intent)}?modifier={anchor}#ex-{anchor}", "Ouvrir l’exemple"
    reply = re.match(r"(utter_\w+) : ", one.what)
    if reply and one.code != "reply-missing" and "/atelier/reponses" in paths:
        return f"/atelier/reponses/{quote(reply[1])}", "Ouvrir la réponse"
    question = QUESTION.match(one.what) if one.file.startswith(f"{catalogue.FOLDER}/") else None
    if question and "/atelier/catalogue" in paths:
        return f"/atelier/catalogue/{question[0]}", "Ouvrir la question"
    if one.intent in intents and "/atelier/exemples" in paths:
        return f"/atelier/exemples/{quote(one.intent or '')}", "Ouvrir l’intention"
    if one.file.startswith("data/") and "/atelier/changements" in paths:
        return "/atelier/changements", "Voir les changements"
    return None
