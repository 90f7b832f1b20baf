"""`planton eval` on a set of answers (text, questions): whether each message gets the answer to its question, as a new person's
first by day."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.app import policy as policies
from bot.app.places import PROJECT
from bot.app.report import between, percent, write_errors
from bot.app.route import decision, turns, when
from bot.core import catalogue
from bot.core.labelled import AnswerCase
from bot.policy.questions import offered
from bot.settings import Settings
from bot.trainer.answer_figures import AnswerJudged, measure
from bot.trainer.candidates import Model

PAIRS = 40
LABELS = {"exact": "réponse exacte", "reachable": "exacte, ou à un bouton", "wrong": "réponse à une autre question"}


def questions() -> frozenset[str]:
    """The catalogue's questions. Raises SetupError for a damaged file."""
    return frozenset(catalogue.read(PROJECT).questions)


def judge(
    cases: Sequence[AnswerCase],
    model: Model | None = None,
    started: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> list[AnswerJudged]:
    """Ask the engine and the policy about each message. `model`: another one than that in service; `started` is given the engine's
    process. Raises SetupError."""
    settings = Settings({})
    policy, at = policies.build(settings, model), when(None, settings)
    judged = []
    for case, turn in zip(cases, turns([case.text for case in cases], model, started), strict=True):
        found = decision(policy, case.text, turn, at)
        supposed = found.question is not None and turn is not None and turn.supposed
        judged.append(AnswerJudged(case, found.question, offered(found.replies), supposed))
    return judged


def show(path: Path, judged: Sequence[AnswerJudged], as_json: bool) -> str:
    """The figures as tables, the wrong ones line by line; or as one JSON object."""
    figures = measure(judged)
    return json.dumps(figures, ensure_ascii=False) if as_json else "\n".join(_table(path.name, figures, judged))


def write(folder: Path, judged: Sequence[AnswerJudged]) -> list[Path]:
    """`resultat.json` and `erreurs.tsv`; the paths written. Raises SetupError."""
    rows = ["\t".join(("line", "text", "questions", "answered", "offered"))]
    rows += [
        "\t".join(
            (str(j.case.line), j.case.text, " ".join(j.case.questions) or "-", j.answered or "-", " ".join(j.offered))
        )
        for j in judged
        if not j.exact
    ]
    return write_errors(folder, measure(judged), rows)


def _table(name: str, figures: Mapping[str, Any], judged: Sequence[AnswerJudged]) -> Iterator[str]:
    yield f"{f'{name}, messages':<50}{figures['n']:>9}{'entre (95 %)':>20}"
    for key, label in LABELS.items():
        yield f"{label:<50}{percent(figures[key]):>9}{between(figures['intervals'][key]):>20}"
        if (part := figures.get(f"{key}_supposed")) is not None:
            yield f"{'  dont sous « Vous demandez peut-être »':<50}{percent(part):>9}"
    yield ""
    yield f"{'sujet':<34}{'messages':>10}{'exactes':>10}{'à un bouton':>13}{'autres':>9}"
    for topic, row in figures["per_topic"].items():
        shares = "".join(
            f"{percent(row[key]):>{wide}}" for key, wide in (("exact", 10), ("reachable", 13), ("wrong", 9))
        )
        yield f"{topic:<34}{row['n']:>10}{shares}"
    if pairs := figures["confusion"]:
        yield ""
        yield "Réponses à une autre question :"
    for pair in pairs[:PAIRS]:
        yield f"{pair['n']:>5}  {pair['question']} : réponse de {pair['answered']}"
