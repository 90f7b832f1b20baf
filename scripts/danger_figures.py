"""Recall and false alarms of each danger detector, and of all together, on the gold sets.

.venv/bin/python scripts/danger_figures.py [tests/gold/emergency.tsv …]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bot.app import policy as policies  # noqa: E402
from bot.app.gold import read  # noqa: E402
from bot.app.route import turns  # noqa: E402
from bot.policy.intents import EMERGENCY  # noqa: E402
from bot.settings import Settings  # noqa: E402

Seen = tuple[bool, bool, bool, float]  # emergency, lexicon, score, the engine's probability


def main(files: list[str]) -> None:
    """Print one table a file."""
    policy = policies.build(Settings({}))
    score = policy.score
    for file in files or [str(ROOT / "tests" / "gold" / name) for name in ("emergency.tsv", "intents.tsv")]:
        cases = read(Path(file))
        rows: list[Seen] = [
            (
                case.route == EMERGENCY,
                policy.lexicon.find(case.text) is not None,
                score is not None and score.alarms(case.text),
                turn.understanding.danger if turn else 0.0,
            )
            for case, turn in zip(cases, turns([c.text for c in cases]), strict=True)
        ]
        print(f"{file} : {sum(r[0] for r in rows)} urgences, {sum(not r[0] for r in rows)} autres")
        _line("lexique seul", rows, lambda r: r[1])
        _line("score seul", rows, lambda r: r[2])
        _line("lexique ou score", rows, lambda r: r[1] or r[2])
        for threshold in (0.2, policies.ENGINE_THRESHOLD, 0.5):
            _line(f"moteur seul, seuil {threshold}", rows, lambda r, t=threshold: r[3] >= t)
            _line(f"les trois, seuil {threshold}", rows, lambda r, t=threshold: r[1] or r[2] or r[3] >= t)


def _line(name: str, rows: list[Seen], found: Callable[[Seen], bool]) -> None:
    alarms = [r for r in rows if r[0]]
    others = [r for r in rows if not r[0]]
    recall, false = sum(map(found, alarms)) / len(alarms), sum(map(found, others)) / len(others)
    print(f"  {name:<28} rappel {recall * 100:5.1f} %   fausses alertes {false * 100:5.1f} %".replace(".", ","))


if __name__ == "__main__":
    main(sys.argv[1:])
