"""`make test-nlu`: measures the gold sets, as they are and under each noise, and compares with the reference.

    python scripts/test_nlu.py [--accepter] [--jeux tests/gold] [--reference tests/gold/baseline.json]

Exit code 1 when a safety figure fell or an intent lost more than two points, each named; `--accepter` makes the present
figures the reference instead, after a decision that stands in the commit's message.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bot.app import baseline, chains, conversations, evaluate_answers, evaluate_scripts, noise
from bot.app.cli import Parser
from bot.app.evaluate import Readings, judge_under
from bot.app.say import complain, typeset
from bot.core.errors import Explained, SetupError
from bot.core.labelled import read_answers
from bot.core.program import ROOT
from bot.trainer import gold_conversations
from bot.trainer.answer_figures import AnswerJudged
from bot.trainer.gold import answer_sets, read, read_scripts, script_sets, sets
from bot.trainer.script_figures import ScriptJudged


def measured(folder: Path) -> dict[str, Readings]:
    """Every set of the folder, judged by one start of the engine."""
    cases_of = {path.name: read(path) for path in sets(folder)}
    if not cases_of:
        raise SetupError(f"{folder} ne contient aucun jeu annoté.")
    together = judge_under([case for cases in cases_of.values() for case in cases], list(noise.KINDS))
    found: dict[str, Readings] = {}
    start = 0
    for name, cases in cases_of.items():
        found[name] = {kind: judged[start : start + len(cases)] for kind, judged in together.items()}
        start += len(cases)
    return found


def scripts_of(folder: Path) -> dict[str, list[ScriptJudged]]:
    """Every set of scripts of the folder, as whose words go out."""
    return {path.name: evaluate_scripts.judge(read_scripts(path)) for path in script_sets(folder)}


def answers_of(folder: Path) -> dict[str, list[AnswerJudged]]:
    """Every set of answers of the folder, as which question is answered."""
    known = evaluate_answers.questions()
    return {path.name: evaluate_answers.judge(read_answers(path, known)) for path in answer_sets(folder)}


def verdict(reference: Path, now: baseline.Baseline, accept: bool) -> int:
    """Print what fell since the reference, or make this the reference."""
    before = baseline.read(reference) if reference.exists() or not accept else None
    fallen = baseline.falls(before, now) if before else []
    for line in baseline.notes(before, now) if before else []:
        print(typeset(f"à noter : {line}"))
    if fallen:
        print(typeset(f"{len(fallen)} chiffres ont baissé depuis {reference} :"))
        for line in fallen:
            print(typeset(f"  {line}"))
    if accept:
        baseline.write(reference, now)
        print(typeset(f"Référence réécrite : {reference}. Dites pourquoi dans le message de commit."))
        return 0
    if fallen:
        print("Corrigez, ou, si c’est voulu, acceptez : make test-nlu ACCEPTER=1")
        return 1
    print("Rien n’a baissé.")
    return 0


def main(arguments: list[str]) -> int:
    """The exit code: 0 nothing fell, 1 something did, 2 something to correct first."""
    parser = Parser(prog="test_nlu", description="Mesure les jeux annotés et compare à la référence.")
    parser.add_argument("--accepter", action="store_true", help="fait de ces chiffres la référence")
    parser.add_argument(
        "--jeux", type=Path, default=ROOT / "tests" / "gold", metavar="DOSSIER", help="les jeux annotés"
    )
    parser.add_argument("--reference", type=Path, metavar="FICHIER", help="sinon baseline.json à côté des jeux")
    options: argparse.Namespace = parser.parse_args(arguments)
    try:
        now = baseline.snapshot(measured(options.jeux), scripts_of(options.jeux), answers_of(options.jeux))
        if (options.jeux / gold_conversations.FILE).exists():
            now["conversations"] = conversations.figures(conversations.read(options.jeux / gold_conversations.FILE))
        if (options.jeux / chains.FILE).exists():
            now["chains"] = chains.figures(chains.play(chains.read(options.jeux / chains.FILE)))
        print(typeset(baseline.table(now)))
        return verdict(options.reference or options.jeux / "baseline.json", now, options.accepter)
    except Explained as error:
        complain(error)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
