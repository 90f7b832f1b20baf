"""Recall and false alarms of each danger detector, of the gateway's two and of all three, on the gold sets.

    .venv/bin/python scripts/danger_figures.py [--passerelle] [tests/gold/emergency.tsv …]

As the files are and under each noise. The second net is measured apart: of the emergencies that no detector saw, the share
whose reply still gives the 17 and the 114. `--passerelle` leaves the engine out: lexicon and score only, in seconds.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.app import noise  # noqa: E402
from bot.app import policy as policies  # noqa: E402
from bot.app.gold import Case, read  # noqa: E402
from bot.app.policy import Policy  # noqa: E402
from bot.app.route import decide, turns, when  # noqa: E402
from bot.app.say import typeset  # noqa: E402
from bot.core.clean import clean  # noqa: E402
from bot.core.dialogue import Turn  # noqa: E402
from bot.policy.intents import EMERGENCY  # noqa: E402
from bot.settings import Settings  # noqa: E402

FILES = [ROOT / "tests" / "gold" / name for name in ("emergency.tsv", "intents.tsv")]
NUMBERS = (re.compile(r"\b17\b"), re.compile(r"\b114\b"))
GATEWAY = ("lexique, sans confirmation", "score", "passerelle (lexique confirmé ou score)")
ENGINE = ("moteur", "les trois")


@dataclass(frozen=True)
class Seen:
    """One message: whether it is an emergency, which detectors raised the alarm, and whether the reply has the numbers."""

    emergency: bool
    by: dict[str, bool]
    net: bool = False


def look(policy: Policy, case: Case, text: str, turn: Turn | None, engine: bool) -> Seen:
    """What each detector makes of a message."""
    words = clean(text)
    hits = policy.lexicon.entries_in(words)
    scored = policy.score is not None and policy.score.alarms(words, [hit.entry for hit in hits])
    seen = dict(zip(GATEWAY, (bool(hits), scored, policy.triage(words) is not None), strict=True))
    danger = case.route == EMERGENCY
    if not engine:
        return Seen(danger, seen)
    row = decide(policy, text, turn, when(None, Settings({})))
    heard = turn is not None and turn.understanding.danger >= policies.ENGINE_THRESHOLD
    seen |= dict(zip(ENGINE, (heard, row["route"] == EMERGENCY), strict=True))
    said = "\n".join(row["reply"])
    return Seen(danger, seen, all(number.search(said) for number in NUMBERS))


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
    """Recall and false alarms, a line a detector, then the second net."""
    dangers = [row for row in rows if row.emergency]
    others = [row for row in rows if not row.emergency]
    lines = [f"{name} : {len(dangers)} urgences, {len(others)} autres"]
    for detector in rows[0].by:
        right, wrong = (sum(row.by[detector] for row in some) for some in (dangers, others))
        lines.append(
            f"  {detector:<40} rappel {_share(right, dangers)} ({right})   fausses alertes {_share(wrong, others)} ({wrong})"
        )
    if ENGINE[1] in rows[0].by:
        missed = [row for row in dangers if not row.by[ENGINE[1]]]
        caught = sum(row.net for row in missed)
        lines.append(f"  {'second filet':<40} {caught} des {len(missed)} urgences manquées, {_share(caught, missed)}")
    return "\n".join(lines)


def _share(count: int, rows: Sequence[Seen]) -> str:
    return f"{count / len(rows):6.1%}".replace(".", ",") if rows else "     —"


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
