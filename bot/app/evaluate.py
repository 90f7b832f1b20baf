"""`planton eval`: figures of understanding on a file of labelled messages, as it is and under noise."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.app import evaluate_answers, evaluate_scripts, noise, report
from bot.app import policy as policies
from bot.app.places import PROJECT
from bot.app.policy import Policy
from bot.app.route import decide, turns, when
from bot.app.say import say, typeset
from bot.core.dialogue import Turn
from bot.core.errors import SetupError
from bot.core.labelled import names_answers, read_answers
from bot.policy.route import gives_numbers
from bot.settings import Settings
from bot.trainer.candidates import Model
from bot.trainer.figures import Judged, measure
from bot.trainer.gold import Case, names_scripts, read, read_scripts

Readings = Mapping[str, Sequence[Judged]]  # by noise; "" is the file as it is


def main(arguments: argparse.Namespace) -> int:
    """Print the figures, as tables or as JSON, and write them where asked. Raises SetupError."""
    path = Path(arguments.file)
    if names_scripts(path):
        return _scripts(path, arguments)
    if arguments.reponses or names_answers(path):
        return _answers(path, arguments)
    cases = read(path, PROJECT / "domain.yml")
    folder = report.prepare(Path(arguments.dossier)) if arguments.dossier else None
    readings = judge_under(cases, noise.chosen(arguments.bruit))
    figures = summary(readings)
    print(json.dumps(figures, ensure_ascii=False) if arguments.json else typeset(report.table(figures)))
    sys.stdout.flush()
    if folder is not None:
        for written in report.write(folder, path.name, figures, readings[""]):
            say(f"écrit : {written}")
    return 0


def _scripts(path: Path, arguments: argparse.Namespace) -> int:
    if arguments.bruit:
        raise SetupError("--bruit ne se mesure pas sur un jeu de réponses (text, script, second).", "Retirez --bruit.")
    cases = read_scripts(path)
    folder = report.prepare(Path(arguments.dossier)) if arguments.dossier else None
    judged = evaluate_scripts.judge(cases)
    shown = evaluate_scripts.show(path, judged, arguments.json)
    print(shown if arguments.json else typeset(shown))
    sys.stdout.flush()
    for written in evaluate_scripts.write(folder, judged) if folder is not None else ():
        say(f"écrit : {written}")
    return 0


def _answers(path: Path, arguments: argparse.Namespace) -> int:
    if arguments.bruit:
        raise SetupError("--bruit ne se mesure pas sur un jeu de réponses (text, questions).", "Retirez --bruit.")
    known = evaluate_answers.questions()
    cases = read_answers(path, known)
    folder = report.prepare(Path(arguments.dossier)) if arguments.dossier else None
    judged = evaluate_answers.judge(cases)
    shown = evaluate_answers.show(path, judged, arguments.json)
    print(shown if arguments.json else typeset(shown))
    sys.stdout.flush()
    for written in evaluate_answers.write(folder, judged) if folder is not None else ():
        say(f"écrit : {written}")
    return 0


def summary(readings: Readings) -> dict[str, Any]:
    """The figures of the file as it is and, under `noise`, those of each noise with what it costs."""
    figures = measure(readings[""])
    noisy = {name: measure(judged) for name, judged in readings.items() if name}
    for each in noisy.values():
        each["route_change"] = round(each["route_accuracy"] - figures["route_accuracy"], 4)
    return {**figures, "noise": noisy} if noisy else figures


def judge_under(cases: Sequence[Case], noises: Sequence[str]) -> dict[str, list[Judged]]:
    """The cases as they are and under each noise, judged by one start of the engine."""
    kinds = ["", *noises]
    texts = [noise.apply(kind, case.text) if kind else case.text for kind in kinds for case in cases]
    judged = iter(judge([*cases] * len(kinds), texts))
    return {kind: [next(judged) for _ in cases] for kind in kinds}


def judge(
    cases: Sequence[Case],
    texts: Sequence[str],
    model: Model | None = None,
    started: Callable[[subprocess.Popen[bytes]], None] | None = None,
    seen: Callable[[int], None] | None = None,
) -> list[Judged]:
    """Ask the engine and the policy about each text, as a new person's first message by day.

    `model`: another one than that in service. `started` is given the engine's process; `seen`, now and then, how many are done.
    """
    settings = Settings({})
    policy, at = policies.build(settings, model), when(None, settings)
    judged: list[Judged] = []
    for case, text, turn in zip(cases, texts, turns(texts, model, started), strict=True):
        judged.append(judge_one(policy, case, text, turn, at))
        if seen is not None:
            seen(len(judged))
    return judged


def judge_one(policy: Policy, case: Case, text: str, turn: Turn | None, at: datetime) -> Judged:
    """The decision about one text at a moment, and what the engine (`turn`) believed."""
    row = decide(policy, text, turn, at)
    net = gives_numbers("\n".join(row["reply"]))
    if turn is None:
        return Judged(case, row["intent"], row["route"], None, 0.0, net)
    guess = turn.understanding
    return Judged(case, row["intent"], row["route"], guess.intent, guess.confidence, net, row["degree"])
