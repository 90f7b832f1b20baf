"""`planton eval`: figures of understanding on a file of labelled messages."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.app import policy as policies
from bot.app.route import decide, turns, when
from bot.core.errors import SetupError
from bot.policy.intents import ANSWER, EMERGENCY, HANDOFF, policy_of
from bot.settings import Settings


@dataclass(frozen=True)
class Case:
    """One labelled message. `second`: another intent that is acceptable, or empty."""

    text: str
    intent: str
    second: str
    route: str


@dataclass(frozen=True)
class Judged:
    """A case with what Planton made of it."""

    case: Case
    intent: str | None
    route: str
    confidence: float

    @property
    def right(self) -> bool:
        """Whether the intent is the gold one or the second acceptable one."""
        return self.intent is not None and self.intent in (self.case.intent, self.case.second)


def main(arguments: argparse.Namespace) -> int:
    """Print the figures, as a table or as JSON. Raises SetupError for a file that is not of the form."""
    figures = measure(judge(read(Path(arguments.file))))
    print(json.dumps(figures, ensure_ascii=False) if arguments.json else table(figures))
    return 0


def read(path: Path) -> list[Case]:
    """Cases of a TSV file with the columns text, intent, route and, optionally, second."""
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} ne se lit pas ({type(error).__name__}).", "Donnez un fichier TSV en UTF-8.") from None
    rows = csv.DictReader(io.StringIO(content), delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = {"text", "intent", "route"} - set(rows.fieldnames or ())
    if missing:
        raise SetupError(f"{path} : colonnes absentes : {', '.join(sorted(missing))}.", "La première ligne les nomme.")
    cases = []
    for number, row in enumerate(rows, start=2):
        if row["route"] is None:
            raise SetupError(f"{path}, ligne {number} : il manque des colonnes.", "Séparez-les par des tabulations.")
        cases.append(Case(row["text"], row["intent"], row.get("second") or "", row["route"]))
    if not cases:
        raise SetupError(f"{path} ne contient aucun message.", "")
    return cases


def judge(cases: list[Case]) -> list[Judged]:
    """Ask the engine and the policy about each case, as a new person's first message by day."""
    settings = Settings({})
    policy, at = policies.build(settings), when(None, settings)
    judged = []
    for case, turn in zip(cases, turns([c.text for c in cases]), strict=True):
        row = decide(policy, case.text, turn, at)
        judged.append(Judged(case, row["intent"], row["route"], row["confidence"]))
    return judged


def measure(judged: list[Judged]) -> dict[str, Any]:
    """The figures.

    answer_precision: of what the bot answers by itself, the share whose intent is right.
    answer_coverage: of what it should answer by itself, the share that it does.
    sensitive_recall: of sensitive and urgent messages, the share that reaches a human or the emergency reply.
    emergency_recall, false_alarm_rate: of emergencies, and of all others, the share that gets the emergency reply.
    """
    answered = [j for j in judged if j.route == ANSWER]
    should = [j for j in judged if j.case.route == ANSWER]
    sensitive = [j for j in judged if policy_of(j.case.intent).category in ("sensitive", "urgent")]
    alarms = [j for j in judged if j.case.route == EMERGENCY]
    others = [j for j in judged if j.case.route != EMERGENCY]
    by_intent: dict[str, list[Judged]] = defaultdict(list)
    for j in judged:
        by_intent[j.case.intent].append(j)
    confusion = Counter((j.case.intent, j.intent) for j in judged if not j.right)
    return {
        "n": len(judged),
        "accuracy": _share(judged, lambda j: j.right),
        "route_accuracy": _share(judged, lambda j: j.route == j.case.route),
        "answer_precision": _share(answered, lambda j: j.right),
        "answer_coverage": _share(should, lambda j: j.route == ANSWER),
        "sensitive_recall": _share(sensitive, lambda j: j.route in (HANDOFF, EMERGENCY)),
        "emergency_recall": _share(alarms, lambda j: j.route == EMERGENCY),
        "false_alarm_rate": _share(others, lambda j: j.route == EMERGENCY),
        "per_intent": {
            intent: {
                "n": len(some),
                "accuracy": _share(some, lambda j: j.right),
                "route_accuracy": _share(some, lambda j: j.route == j.case.route),
            }
            for intent, some in sorted(by_intent.items())
        },
        "confusion": [{"intent": gold, "read_as": read_as, "n": n} for (gold, read_as), n in confusion.most_common()],
    }


def _share(some: list[Judged], holds: Any) -> float | None:
    return round(sum(1 for j in some if holds(j)) / len(some), 4) if some else None


_LABELS = {
    "n": "messages",
    "accuracy": "intention juste",
    "route_accuracy": "route juste",
    "answer_precision": "précision de ce que l’assistant répond seul",
    "answer_coverage": "part de ce qu’il doit répondre et répond",
    "sensitive_recall": "cas sensibles remis à un humain",
    "emergency_recall": "urgences reconnues",
    "false_alarm_rate": "fausses alertes",
}


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""

    def shown(value: Any) -> str:
        if value is None:
            return "—"
        return str(value) if isinstance(value, int) else f"{value * 100:.1f}\u00a0%".replace(".", ",")

    lines = [f"{label:<44}{shown(figures[key]):>9}" for key, label in _LABELS.items()]
    lines += ["", f"{'intention':<34}{'messages':>9}{'juste':>9}{'route':>9}"]
    for intent, row in figures["per_intent"].items():
        lines.append(f"{intent:<34}{row['n']:>9}{shown(row['accuracy']):>9}{shown(row['route_accuracy']):>9}")
    if figures["confusion"]:
        lines += ["", "Confusions les plus fréquentes :"]
        lines += [f"  {c['intent']} lu comme {c['read_as']} : {c['n']}" for c in figures["confusion"][:15]]
    return "\n".join(lines)
