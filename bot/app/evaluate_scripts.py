"""`planton eval` on a set of scripts (text, script, second): whose words each message gets, as a new person's first by day."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bot.app import policy as policies
from bot.app.policy import Policy
from bot.app.report import between, percent, write_errors
from bot.app.route import decision, turns, when
from bot.core.clean import clean
from bot.core.dialogue import Turn
from bot.policy.intents import EMERGENCY
from bot.policy.scripts import GENERAL, choose, spoken_to
from bot.settings import Settings
from bot.trainer.candidates import Model
from bot.trainer.gold import ScriptCase
from bot.trainer.script_figures import ScriptJudged, measure

PAIRS = 30
SENSITIVE = ("emergency", "urgent", "sensitive")
_MAIN = {
    "right": "mots justes, tels que Planton reconnaît",
    "right_if_recognised": "mots justes, si tout danger était reconnu",
}
_HARM = {
    "harmful": "mots nuisibles",
    "harmful_if_recognised": "mots nuisibles, si tout danger était reconnu",
    "unheard": "détresses sans le 3114",
}


def judge(
    cases: Sequence[ScriptCase],
    model: Model | None = None,
    started: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> list[ScriptJudged]:
    """Ask the engine and the policy about each message. `model`: another one than that in service; `started` is given the engine's
    process. Raises SetupError."""
    settings = Settings({})
    policy, at = policies.build(settings, model), when(None, settings)
    heard = turns([case.text for case in cases], model, started)
    return [judge_one(policy, case, turn, at) for case, turn in zip(cases, heard, strict=True)]


def judge_one(policy: Policy, case: ScriptCase, turn: Turn | None, at: datetime) -> ScriptJudged:
    """The words that a message gets at a moment; `turn`: what the engine made of it."""
    found = decision(policy, case.text, turn, at)
    sent = found.script or spoken_to(found.intent if found.route != EMERGENCY else None)
    chances = policy.chances(clean(case.text), meant=turn.understanding.scripts if turn else {})
    alarmed = found.script if found.route == EMERGENCY else None
    chosen = alarmed or (choose(chances) if chances else GENERAL["danger"])
    listens = any("3114" in reply.text for reply in found.replies)
    return ScriptJudged(case, sent, found.category in SENSITIVE, chosen, listens)


def show(path: Path, judged: Sequence[ScriptJudged], as_json: bool) -> str:
    """The figures as tables, the wrong ones line by line; or as one JSON object."""
    figures = measure(judged)
    return json.dumps(figures, ensure_ascii=False) if as_json else "\n".join(_table(path.name, figures, judged))


def write(folder: Path, judged: Sequence[ScriptJudged]) -> list[Path]:
    """`resultat.json` and `erreurs.tsv`; the paths written. Raises SetupError."""
    rows = ["\t".join(("line", "text", "script", "sent", "if_recognised", "harmful"))]
    rows += [
        "\t".join((str(one.case.line), one.case.text, one.case.script, one.sent, one.chosen, "oui" * one.harmful))
        for one in judged
        if not one.right
    ]
    return write_errors(folder, measure(judged), rows)


def _table(name: str, figures: Mapping[str, Any], judged: Sequence[ScriptJudged]) -> Iterator[str]:
    yield f"{f'{name}, messages':<50}{figures['n']:>9}{'entre (95 %)':>20}"
    for key, label in _MAIN.items():
        yield f"{label:<50}{percent(figures[key]):>9}{between(figures['intervals'][key]):>20}"
    for key, label in _HARM.items():
        yield f"{label:<50}{figures[key]:>9}"
    yield ""
    yield f"{'réponse':<20}{'messages':>10}{'justes':>9}{'si reconnus':>13}"
    for script, row in figures["per_script"].items():
        known = "—" if row["right_if_recognised"] is None else row["right_if_recognised"]
        yield f"{script:<20}{row['n']:>10}{row['right']:>9}{known:>13}"
    if pairs := figures["confusion"]:
        yield ""
        yield "Confusions :"
    for pair in pairs[:PAIRS]:
        yield f"{pair['n']:>5}  {pair['script']} : mots de {pair['sent']}"
    if harmed := [one for one in judged if one.harmful]:
        yield ""
        yield "Mots nuisibles :"
    for one in harmed:
        yield f"  ligne {one.case.line} ({one.case.script}, mots de {one.sent}) : {one.case.text}"
