"""Learns the weights of the linear danger score, and measures the emergency detectors.

Runs in the engine's environment (scikit-learn, numpy):
    python -m bot.engine.danger_score data/nlu.yml data/danger.yml
prints what the lexicon alone, the score alone and both find and raise by mistake.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from ruamel.yaml import YAML
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from bot.policy.intents import DANGER_INTENTS
from bot.policy.lexicon import Lexicon
from bot.policy.score import VERSION, LinearScore, features, windows

BUCKETS = 1 << 16
LONGEST = 5
FOLDS = 5
STRENGTH = 4.0  # inverse of the regularisation, chosen by cross-validation
POSITIVE_WEIGHT = 2.0
WANTED_RECALL = 0.98
MOST_FALSE_ALARMS = 0.01
LOWEST_THRESHOLD = 0.05
DISTRESS = "detresse_suicide"

# A text, and its intent; a bare True or False says danger or not without saying which kind.
Example = tuple[str, Union[str, bool]]
Row = tuple[str, ...]  # the words of a window
_Learnt = tuple[float, dict[str, float]]  # bias, and weight by bucket


def read_nlu(path: Path) -> list[tuple[str, str]]:
    """The examples of a Rasa NLU file as (text, intent), entity marks removed."""
    data = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    examples: list[tuple[str, str]] = []
    for block in data["nlu"]:
        for line in str(block.get("examples", "") if "intent" in block else "").splitlines():
            text = line.strip()[2:].strip() if line.strip().startswith("- ") else ""
            if text:
                examples.append((re.sub(r"\[([^\]]+)\](?:\([^)]*\)|\{[^}]*\})", r"\1", text), block["intent"]))
    return examples


def is_danger(label: Union[str, bool]) -> bool:
    """Whether an example's label is one of the emergency intents."""
    return (
        label
        if isinstance(label, bool)
        else label in DANGER_INTENTS or label.startswith(tuple(f"{name}_" for name in DANGER_INTENTS))
    )


def _matrix(rows: Sequence[Row]) -> Any:
    indices: list[int] = []
    values: list[float] = []
    ends = [0]
    for row in rows:
        found = features(row, BUCKETS, LONGEST)
        indices.extend(found)
        values.extend(found.values())
        ends.append(len(indices))
    return csr_matrix((np.array(values), np.array(indices), np.array(ends)), shape=(len(rows), BUCKETS))


def _learn(rows: Sequence[Row], labels: Sequence[bool], weight: float) -> _Learnt:
    model = LogisticRegression(C=STRENGTH, class_weight={False: 1.0, True: weight}, solver="liblinear", random_state=0)
    model.fit(_matrix(rows), np.array(labels))
    weights = {str(i): round(float(w), 4) for i, w in enumerate(model.coef_[0]) if abs(w) >= 0.0005}
    return round(float(model.intercept_[0]), 4), weights


def fit(
    texts: Sequence[str], labels: Sequence[bool], distress: Sequence[Optional[bool]], threshold: float
) -> dict[str, Any]:
    """Both linear models, as the mapping that `LinearScore.from_mapping` reads.

    Every window of a harmless text is harmless. Of an alarming text only the worst window is surely alarming: a first
    model, learnt on the short texts' single windows too, points it out.
    """
    cut = [list(windows(text)) or [()] for text in texts]
    learnt = _learn(*_flat(cut, labels), POSITIVE_WEIGHT)
    if any(label and len(own) > 1 for own, label in zip(cut, labels, strict=True)):
        first = LinearScore.from_mapping(_mapping(learnt, (0.0, {}), threshold))
        cut = [[max(own, key=first.margin)] if label else own for own, label in zip(cut, labels, strict=True)]
        learnt = _learn(*_flat(cut, labels), POSITIVE_WEIGHT)
    known = [
        (own[0], kind) for own, label, kind in zip(cut, labels, distress, strict=True) if label and kind is not None
    ]
    other: _Learnt = (0.0, {})
    if len({kind for _, kind in known}) == 2:
        other = _learn([row for row, _ in known], [bool(kind) for _, kind in known], 1.0)
    return _mapping(learnt, other, threshold)


def _flat(cut: Sequence[Sequence[Row]], labels: Sequence[bool]) -> tuple[list[Row], list[bool]]:
    rows = [row for own in cut for row in own]
    return rows, [label for own, label in zip(cut, labels, strict=True) for _ in own]


def _mapping(danger: _Learnt, distress: _Learnt, threshold: float) -> dict[str, Any]:
    return {
        "version": VERSION,
        "buckets": BUCKETS,
        "longest": LONGEST,
        "threshold": threshold,
        "bias": danger[0],
        "weights": danger[1],
        "distress_bias": distress[0],
        "distress_weights": distress[1],
    }


def out_of_fold(examples: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
    """Danger and distress probabilities of each example by a model that has not seen it."""
    texts, labels, distress = _columns(examples)
    danger_p, distress_p = np.zeros(len(texts)), np.zeros(len(texts))
    for seen, unseen in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(texts, labels):
        part = fit([texts[i] for i in seen], [labels[i] for i in seen], [distress[i] for i in seen], 0.5)
        score = LinearScore.from_mapping(part)
        for i in unseen:
            found = score.assess(texts[i])
            danger_p[i], distress_p[i] = found.danger, found.distress
    return danger_p, distress_p


def _columns(examples: Sequence[Example]) -> tuple[list[str], list[bool], list[Optional[bool]]]:
    texts = [text for text, _ in examples]
    labels = [is_danger(label) for _, label in examples]
    distress = [None if isinstance(label, bool) else label.startswith(DISTRESS) for _, label in examples]
    return texts, labels, distress


def choose_threshold(probabilities: np.ndarray, labels: Sequence[bool]) -> float:
    """The threshold that finds the wanted share of the dangers, or the lowest one whose false alarms stay bearable.

    The lexicon and the engine look at each message too: the score need not find everything at the price of crying wolf.
    """
    truth = np.array(labels)
    found, harmless = np.sort(probabilities[truth]), np.sort(probabilities[~truth])
    enough = found[int(len(found) * (1.0 - WANTED_RECALL))]
    bearable = harmless[int(len(harmless) * (1.0 - MOST_FALSE_ALARMS))]
    return float(min(0.99, max(LOWEST_THRESHOLD, np.ceil(max(enough, bearable) * 1000) / 1000)))


def train(examples: Sequence[Example], out: Path) -> dict[str, Any]:
    """Learn from all examples, choose the threshold by cross-validation, write the JSON; returns what was measured."""
    texts, labels, distress = _columns(examples)
    probabilities, _ = out_of_fold(examples)
    threshold = choose_threshold(probabilities, labels)
    out.parent.mkdir(parents=True, exist_ok=True)
    body = json.dumps(fit(texts, labels, distress, threshold), separators=(",", ":"))
    partial = out.with_name(out.name + ".part")
    partial.write_text(body, encoding="utf-8")
    partial.replace(out)  # a reader never sees half a file
    truth, alarms = np.array(labels), probabilities >= threshold
    report = {
        "threshold": threshold,
        "recall": round(float(alarms[truth].mean()), 4),
        "false_alarm_rate": round(float(alarms[~truth].mean()), 4),
        "examples": len(texts),
        "dangers": int(truth.sum()),
    }
    print(
        f"Score d’urgence : seuil {threshold:.3f}, rappel {report['recall']:.1%}, "
        f"fausses alertes {report['false_alarm_rate']:.2%} ({FOLDS} plis, {len(texts)} exemples)"
    )
    return report


def measure(examples: Sequence[Example], lexicon: Lexicon) -> dict[str, Any]:
    """What each detector finds, and raises by mistake; the score by cross-validation."""
    texts, labels, distress = _columns(examples)
    truth = np.array(labels)
    danger_p, _ = out_of_fold(examples)
    threshold = choose_threshold(danger_p, labels)
    hits = [lexicon.find(text) for text in texts]
    lexical = np.array([hit is not None for hit in hits])
    scored = danger_p >= threshold
    kinds = {"dangers": np.array([bool(x) and not d for x, d in zip(labels, distress, strict=True)])}
    kinds["détresses"] = truth & ~kinds["dangers"]
    rows = {"lexique seul": lexical, "score seul": scored, "lexique ou score": lexical | scored}
    return {
        "threshold": threshold,
        "examples": len(texts),
        "rows": {
            name: {
                "rappel": float(alarm[truth].mean()),
                **{kind: float(alarm[mask].mean()) for kind, mask in kinds.items()},
                "fausses alertes": float(alarm[~truth].mean()),
            }
            for name, alarm in rows.items()
        },
    }


def _print(report: Mapping[str, Any]) -> None:
    print(
        f"{report['examples']} exemples, score en validation croisée à {FOLDS} plis, seuil {report['threshold']:.3f}\n"
    )
    print("| détecteur | rappel | dont dangers | dont détresses | fausses alertes |")
    print("|---|---|---|---|---|")
    for name, row in report["rows"].items():
        print(
            f"| {name} | {row['rappel']:.1%} | {row['dangers']:.1%} | {row['détresses']:.1%} "
            f"| {row['fausses alertes']:.2%} |"
        )


def main(arguments: Optional[Sequence[str]] = None) -> None:
    """Print the table; with `--out`, also write the weights."""
    parser = argparse.ArgumentParser(prog="bot.engine.danger_score", description="Mesure les détecteurs d’urgence.")
    parser.add_argument("nlu", type=Path, help="exemples (data/nlu.yml)")
    parser.add_argument("lexicon", type=Path, help="lexique (data/danger.yml)")
    parser.add_argument("--out", type=Path, help="écrire aussi les poids du score dans ce fichier")
    chosen = parser.parse_args(arguments)
    examples = read_nlu(chosen.nlu)
    lexicon = Lexicon.from_mapping(YAML(typ="safe").load(chosen.lexicon.read_text(encoding="utf-8")))
    _print(measure(examples, lexicon))
    if chosen.out:
        train(examples, chosen.out)


if __name__ == "__main__":
    main()
