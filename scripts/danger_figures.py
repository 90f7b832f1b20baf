"""Recall and false alarms of each danger detector, of the gateway's two and of all three, on the gold sets.

    .venv/bin/python scripts/danger_figures.py [--passerelle] [tests/gold/emergency.tsv …]

As the files are and under each noise. The second net is measured apart: of the emergencies that no detector saw, the share
whose reply still gives the 17 and the 114 (`planton eval` calls it `second_net`), and what it costs: the harmless messages
whose answer gives them too. `--passerelle` leaves the engine out: lexicon and score only, in seconds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.app import noise  # noqa: E402
from bot.app import policy as policies  # noqa: E402
from bot.app.evaluate import judge_one  # noqa: E402
from bot.app.policy import Policy  # noqa: E402
from bot.app.report import percent  # noqa: E402
from bot.app.route import turns, when  # noqa: E402
from bot.app.say import typeset  # noqa: E402
from bot.core.clean import clean  # noqa: E402
from bot.core.dialogue import Turn  # noqa: E402
from bot.policy import degree  # noqa: E402
from bot.policy.intents import EMERGENCY  # noqa: E402
from bot.settings import Settings  # noqa: E402
from bot.trainer.figures import Judged  # noqa: E402
from bot.trainer.figures import measure as measured  # noqa: E402
from bot.trainer.gold import Case, read  # noqa: E402

FILES = [ROOT / "tests" / "gold" / name for name in ("emergency.tsv", "intents.tsv")]
GATEWAY = ("lexique, sans confirmation", "score", "passerelle (lexique confirmé ou score)")
ENGINE = ("moteur, dès 0,3", "les trois, réponse d’urgence", "les trois, avec le probable")


@dataclass(frozen=True)
class Seen:
    """One message: which detectors raised the alarm, and what was decided if the engine was asked."""

    case: Case
    by: dict[str, bool]
    judged: Judged | None = None


def look(policy: Policy, case: Case, text: str, turn: Turn | None, engine: bool) -> Seen:
    """What each detector makes of a message."""
    words = clean(text)
    hits = policy.lexicon.entries_in(words)
    scored = policy.score is not None and policy.score.alarms(words, [hit.entry for hit in hits])
    seen = dict(zip(GATEWAY, (bool(hits), scored, policy.triage(words) is not None), strict=True))
    if not engine:
        return Seen(case, seen)
    judged = judge_one(policy, case, text, turn, when(None, Settings({})))
    heard = turn is not None and turn.understanding.danger >= degree.ALONE_LIKELY
    return Seen(case, seen | dict(zip(ENGINE, (heard, judged.alarm, judged.recognised), strict=True)), judged)


def measure(policy: Policy, files: Sequence[Path], engine: bool) -> dict[tuple[Path, str], list[Seen]]:
    """Every file under every noise, judged by one start of the engine."""
    asked = [
        (path, kind, case, noise.apply(kind, case.text) if kind else case.text)
        for path in files
        for kind in ("", *noise.KINDS)
        for case in read(path)
    ]
    heard = turns([text for *_, text in asked]) if engine else iter([None] * len(asked))
    found: dict[tuple[Path, str], list[Seen]] = {}
    for (path, kind, case, text), turn in zip(asked, heard, strict=True):
        found.setdefault((path, kind), []).append(look(policy, case, text, turn, engine))
    return found


def table(name: str, rows: Sequence[Seen]) -> str:
    """Recall and false alarms, a line a detector, then the second net: a Markdown table for docs/urgences.md."""
    dangers = [row for row in rows if row.case.route == EMERGENCY]
    others = [row for row in rows if row.case.route != EMERGENCY]
    lines = [f"{name} : {len(dangers)} urgences, {len(others)} autres", ""]
    lines += ["| détecteur | rappel | fausses alertes |", "|---|---|---|"]
    for detector in rows[0].by:
        right, wrong = (sum(row.by[detector] for row in some) for some in (dangers, others))
        lines.append(f"| {detector} | {_share(right, dangers)} ({right}) | {_share(wrong, others)} ({wrong}) |")
    judged = [row.judged for row in rows if row.judged is not None]
    if judged:
        figures = measured(judged)
        missed, left = len(figures["missed_emergencies"]), len(figures["unwarned_emergencies"])
        caught = f"{percent(figures['second_net'])} ({missed - left} des {missed} urgences manquées)"
        lines.append(f"| second filet | {caught} | coût : {percent(figures['net_cost'])} des messages sans danger |")
    return "\n".join([*lines, ""])


def _share(count: int, rows: Sequence[Seen]) -> str:
    return percent(count / len(rows) if rows else None)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*", default=FILES)
    parser.add_argument("--passerelle", action="store_true", help="lexique et score seulement, sans démarrer le moteur")
    options = parser.parse_args()
    policy = policies.build(Settings({}))
    for (path, kind), rows in measure(policy, options.files, not options.passerelle).items():
        print(typeset(table(f"{path.name}, {noise.LABELS[kind]}", rows)), flush=True)


if __name__ == "__main__":
    main()
