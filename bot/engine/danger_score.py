"""Learns the weights of the linear danger score, chooses its thresholds, and measures the gateway's two detectors.

Runs in the engine's environment (scikit-learn, numpy):
    python -m bot.engine.danger_score [data/nlu.yml data/fonds/*.yml …] [--lexicon data/danger.yml] [--out FILE]
(without files: all that training learns from) prints what the lexicon alone, the score alone and both find and raise by
mistake. Thresholds and figures come from cross-validation: each example is judged by a model that has not seen it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Optional

import numpy as np
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from scipy.sparse import csr_matrix, diags
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from bot.core.errors import Explained, SetupError
from bot.engine.bags import bag_of
from bot.policy.intents import is_danger
from bot.policy.lexicon import Lexicon
from bot.policy.score import SHORT, VERSION, message_features, pack, runs, scale_of, tells, windows, word_features

ROOT = Path(__file__).resolve().parents[2]
LEXICON = ROOT / "data" / "danger.yml"
BUCKETS = 1 << 17
LONGEST = 5
FOLDS = 5
FEWEST = 20  # examples of a kind below which folds say nothing
STRENGTH = 4.0  # inverse of the regularisation, chosen by cross-validation
NEAR = 0.01  # where the fit may stop
POSITIVE_WEIGHT = 2.0
# What the score may raise by itself, of the harmless examples: a third of them were written to resemble a danger or tell of
# violence, and err two to six times as often. Of the others, which are what most people write, it is 0.003.
SCORE_FALSE_ALARMS = 0.0045
CONFIRMED_FALSE_ALARMS = {
    "confirm_short": 0.001,
    "confirm": 0.0005,
}  # and what it may confirm of the lexicon's, besides
DISTRESS_PRECISION = 0.9  # of the alarms that get the words about wanting to die
DISTRESS = "detresse_suicide"

Example = tuple[str, str]  # a text, and its intent
Row = tuple[str, ...]  # the words of a window
Scale = tuple[float, float]  # slope and shift of margins


def read_nlu(path: Path) -> list[Example]:
    """The examples of a Rasa NLU file as (text, intent), entity marks removed. Raises SetupError when it is none."""
    data = _read_yaml(path)
    blocks = data.get("nlu") if isinstance(data, Mapping) else None
    if not isinstance(blocks, Sequence) or isinstance(blocks, str) or not all(isinstance(b, Mapping) for b in blocks):
        told = (
            " C’est un lexique : donnez-le après --lexicon." if isinstance(data, Mapping) and "entrees" in data else ""
        )
        raise SetupError(
            f"{path} n’est pas un fichier d’exemples : il n’y a pas de liste « nlu: ».{told}",
            "Exemple : python -m bot.engine.danger_score data/nlu.yml --lexicon data/danger.yml",
        )
    examples: list[Example] = []
    for block in blocks:
        for line in str(block.get("examples", "") if "intent" in block else "").splitlines():
            text = line.strip()[2:].strip() if line.strip().startswith("- ") else ""
            if text:
                examples.append((re.sub(r"\[([^\]]+)\](?:\([^)]*\)|\{[^}]*\})", r"\1", text), str(block["intent"])))
    return examples


def read_lexicon(path: Path = LEXICON) -> Lexicon:
    """The lexicon that trainers write. Raises SetupError with what is wrong in it, in French."""
    try:
        return Lexicon.from_mapping(_read_yaml(path))
    except ValueError as error:
        raise SetupError(
            f"{path} : {error}.", "La forme du lexique est expliquée en tête de data/danger.yml."
        ) from None


def _read_yaml(path: Path) -> Any:
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SetupError(f"{path} ne se lit pas ({error.strerror}).", "Vérifiez le chemin.") from None
    except UnicodeDecodeError:
        raise SetupError(f"{path} n’est pas en UTF-8.", "Enregistrez-le en UTF-8.") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", ligne {mark.line + 1}" if mark else ""
        raise SetupError(f"{path}{where} : ce n’est pas du YAML correct.", "Vérifiez retraits et guillemets.") from None


@dataclass(frozen=True)
class Sample:
    """Examples as matrices: a row for each window, `owner` the example that it belongs to."""

    rows: Any
    owner: np.ndarray
    danger: np.ndarray
    distress: np.ndarray
    hit: np.ndarray  # the lexicon's alarm
    sure: np.ndarray  # and one that needs no confirmation, or of too few words for the score
    short: np.ndarray

    @property
    def size(self) -> int:
        """How many examples."""
        return len(self.danger)


def sample(examples: Sequence[Example], lexicon: Lexicon) -> Sample:
    """Every example as the score will see it: windows, what the lexicon meets, marks."""
    cuts: list[Row] = []
    whole: list[Mapping[int, float]] = []
    owner: list[int] = []
    hits: list[bool] = []
    sure: list[bool] = []
    short: list[bool] = []
    for number, (text, _) in enumerate(examples):
        entries = lexicon.entries_in(text)
        cut = list(windows(text))
        told = [window for window in cut if tells(window)]
        short.append(sum(map(len, cut)) < SHORT)
        hits.append(bool(entries))
        sure.append(any(entry.sure or not told for entry in entries))
        whole.append(message_features(text, (entry.entry for entry in entries), BUCKETS))
        cuts += told
        owner += [number] * len(told)
    intents = [intent for _, intent in examples]
    return Sample(
        window_rows(cuts) + _matrix(whole)[owner],
        np.array(owner),
        np.array([is_danger(intent) for intent in intents]),
        np.array([intent.startswith(DISTRESS) for intent in intents]),
        np.array(hits),
        np.array(sure),
        np.array(short),
    )


def window_rows(cuts: Sequence[Row]) -> Any:
    """(windows, BUCKETS): `bot.policy.score.features` of each; the buckets of a word are looked for once."""
    bag = bag_of(map(dict.fromkeys, cuts))
    words = _ones([word_features(word, BUCKETS, LONGEST) for word in bag.words])
    heard = _ones([[run % BUCKETS for run in runs(cut)] for cut in cuts])
    scales = np.array([scale_of(len(set(cut))) for cut in cuts])
    return csr_matrix(diags(scales) @ (bag.counts.astype(float) @ words + heard))


def _ones(found: Sequence[Sequence[int]]) -> Any:
    """(rows, BUCKETS): how often each bucket is named."""
    ends = np.cumsum([0, *map(len, found)])
    buckets = np.fromiter(itertools.chain.from_iterable(found), np.int32, int(ends[-1]))
    return csr_matrix((np.ones(len(buckets)), buckets, ends), shape=(len(found), BUCKETS))


def _matrix(found: Sequence[Mapping[int, float]]) -> Any:
    ends = np.cumsum([0, *map(len, found)])
    indices = np.array([bucket for row in found for bucket in row], np.int32)
    values = np.array([value for row in found for value in row.values()], float)
    return csr_matrix((values, indices, ends), shape=(len(found), BUCKETS))


@dataclass(frozen=True)
class Line:
    """A linear model: margin = bias + weights · row."""

    bias: float
    weights: np.ndarray

    def margins(self, rows: Any) -> np.ndarray:
        """The margin of each row."""
        return np.asarray(rows @ self.weights) + self.bias

    def scaled(self, by: float, shift: float) -> Line:
        """The same line, its margins multiplied and moved."""
        return Line(self.bias * by + shift, self.weights * by)


def learn(rows: Any, labels: np.ndarray, weight: float = POSITIVE_WEIGHT) -> Line:
    """Logistic regression."""
    model = LogisticRegression(
        C=STRENGTH, class_weight={False: 1.0, True: weight}, solver="liblinear", random_state=0, tol=NEAR
    )
    model.fit(rows, labels)
    return Line(float(model.intercept_[0]), model.coef_[0])


def fit(data: Sample, seen: np.ndarray) -> tuple[Line, Line]:
    """Danger (of either kind) against all else, and distress against all else, from the examples `seen`.

    Every window of a harmless text is harmless. Of an alarming text only the worst window is surely alarming: a first
    model points it out.
    """
    rows = np.flatnonzero(np.isin(data.owner, seen))
    labels = data.danger[data.owner[rows]]
    first = learn(data.rows[rows], labels)
    worst = _worst(data, rows[labels], first.margins(data.rows[rows[labels]]))
    kept = np.concatenate([rows[~labels], worst])
    owners = data.owner[kept]
    return learn(data.rows[kept], data.danger[owners]), learn(data.rows[kept], data.distress[owners])


def _worst(data: Sample, rows: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Of each example's rows the one with the highest margin."""
    best: dict[int, int] = {}
    for at in np.argsort(margins):
        best[int(data.owner[rows[at]])] = int(rows[at])
    return np.array(sorted(best.values()), dtype=int)


def judge(data: Sample, lines: tuple[Line, Line], which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Danger and distress margins of the examples `which`, at the worst window; minus infinity where nothing tells."""
    danger, distress = np.full(data.size, -np.inf), np.full(data.size, -np.inf)
    rows = np.flatnonzero(np.isin(data.owner, which))
    margins, kinds = (line.margins(data.rows[rows]) for line in lines)
    for at in np.argsort(margins):
        danger[data.owner[rows[at]]], distress[data.owner[rows[at]]] = margins[at], kinds[at]
    return danger[which], distress[which]


@dataclass(frozen=True)
class Unseen:
    """Calibrated probabilities of each example by a model that has not seen it."""

    danger: np.ndarray
    distress: np.ndarray


@dataclass(frozen=True)
class Learnt:
    """Both lines on the scale of long messages, and what makes short ones believable: (slope, shift) of each line's margin."""

    danger: Line
    distress: Line
    short: tuple[Scale, Scale]


def out_of_fold(data: Sample) -> tuple[Unseen, Learnt]:
    """Cross-validation, then Platt's calibration on its margins, of short and of long messages apart; and the lines of all
    examples, on the same scales."""
    margins = np.zeros((2, data.size))
    kinds = data.danger.astype(int) + data.distress

    def fold(parts: tuple[np.ndarray, np.ndarray]) -> None:
        seen, unseen = parts
        margins[:, unseen] = judge(data, fit(data, seen), unseen)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # liblinear works without Python's lock
        whole = pool.submit(fit, data, np.arange(data.size))
        list(pool.map(fold, StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(kinds, kinds)))
        lines = whole.result()
    chances, scaled, short = [], [], []
    for line, found, truth in zip(lines, margins, (data.danger, data.distress), strict=True):
        slope, shift = _calibrate(found, truth, ~data.short)
        few, few_shift = _calibrate(found, truth, data.short)
        chances.append(_sigmoid(np.where(data.short, found * few + few_shift, found * slope + shift)))
        scaled.append(line.scaled(slope, shift))
        short.append((few / slope, few_shift - shift * few / slope))
    return Unseen(*chances), Learnt(*scaled, (short[0], short[1]))


def _calibrate(margins: np.ndarray, truth: np.ndarray, those: np.ndarray) -> Scale:
    """Of `those` messages; of all, where too few of them are dangers to tell."""
    known = np.isfinite(margins)
    if FEWEST <= int(truth[known & those].sum()) <= int((known & those).sum()) - FEWEST:
        known &= those
    model = LogisticRegression(C=1e6).fit(margins[known].reshape(-1, 1), truth[known])
    return float(model.coef_[0][0]), float(model.intercept_[0])


def _sigmoid(margins: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(margins, -60.0, 60.0))))


Limits = dict[str, float]


def choose(data: Sample, unseen: Unseen) -> Limits:
    """The lowest limits that keep false alarms within bounds.

    The engine looks at each message too: the score need not find everything at the price of crying wolf.
    """
    harmless = ~data.danger
    total = int(harmless.sum())
    limits = {"threshold": _lowest(unseen.danger[harmless], int(total * SCORE_FALSE_ALARMS))}
    alone = (unseen.danger >= limits["threshold"]) | data.sure
    for name, share in CONFIRMED_FALSE_ALARMS.items():
        asked = harmless & data.hit & ~alone & (data.short == (name == "confirm_short"))
        limits[name] = min(limits["threshold"], _lowest(unseen.danger[asked], int(total * share)))
    alarms = alarmed(data, unseen, limits)
    return {**limits, "distress_from": _sure_of(unseen.distress[alarms], data.distress[alarms])}


def alarmed(data: Sample, unseen: Unseen, limits: Limits) -> np.ndarray:
    """The gateway's alarms: the score's, the lexicon's that are sure, and those that the score confirms."""
    confirm = np.where(data.short, limits["confirm_short"], limits["confirm"])
    return np.asarray(
        (unseen.danger >= limits["threshold"]) | data.sure | (data.hit & (unseen.danger >= confirm)), dtype=bool
    )


def _lowest(harmless: np.ndarray, most: int) -> float:
    """The lowest limit that at most `most` of these reach."""
    order = np.sort(harmless)[::-1]
    above = order[most] if most < len(order) else 0.0
    return float(min(0.99, max(0.001, np.floor(above * 1000 + 1) / 1000)))


def _sure_of(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The lowest limit above which the wanted share is true."""
    for limit in np.arange(0.3, 0.99, 0.01):
        reached = truth[probabilities >= limit]
        if len(reached) == 0 or reached.mean() >= DISTRESS_PRECISION:
            return round(float(limit), 2)
    return 0.99


def _exported(line: Line) -> dict[str, Any]:
    unit = float(np.abs(line.weights).max()) / 32767 or 1.0
    whole = np.rint(line.weights / unit).astype(int)
    return {"bias": round(line.bias, 6), "unit": unit, "weights": pack([int(weight) for weight in whole])}


def export(learnt: Learnt, limits: Limits) -> dict[str, Any]:
    """What `LinearScore.from_mapping` reads."""
    return {
        "version": VERSION,
        "buckets": BUCKETS,
        "longest": LONGEST,
        **limits,
        "danger": _exported(learnt.danger),
        "distress": _exported(learnt.distress),
        "short": learnt.short,
    }


def train(
    examples: Sequence[Example],
    out: Path,
    lexicon: Optional[Lexicon] = None,
    scripts: Optional[Mapping[str, Any]] = None,
) -> dict[str, Any]:
    """Learn from all examples, choose the limits by cross-validation, write the JSON; returns what was measured.

    `scripts`: what was learnt about the words that an emergency calls for (`bot.engine.script_learning`); it goes into the file.
    """
    data = sample(examples, lexicon or read_lexicon())
    unseen, learnt = out_of_fold(data)
    limits = choose(data, unseen)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".part")
    exported = export(learnt, limits) | ({"scripts": scripts} if scripts else {})
    partial.write_text(json.dumps(exported, separators=(",", ":")), encoding="utf-8")
    partial.replace(out)  # a reader never sees half a file
    report = measure(data, unseen, limits)
    both = report["rows"][BOTH]
    print(
        f"Score d’urgence : seuil {limits['threshold']:.3f} ; avec le lexique, rappel "
        f"{both['rappel']:.1%}, fausses alertes {both['fausses alertes']:.2%} ({FOLDS} plis, {data.size} exemples)"
    )
    return report


ALONE, SCORE, BOTH = "lexique seul", "score seul", "lexique confirmé ou score"
BINS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.01)


def measure(data: Sample, unseen: Unseen, limits: Limits) -> dict[str, Any]:
    """What each detector finds, and raises by mistake; and whether the score's probabilities can be believed."""
    scored = unseen.danger >= limits["threshold"]
    both = alarmed(data, unseen, limits)
    dangers = data.danger & ~data.distress
    judged = np.isin(np.arange(data.size), data.owner)
    told = both & (unseen.distress >= limits["distress_from"])
    return {
        "limits": limits,
        "examples": data.size,
        "dangers": int(data.danger.sum()),
        "rows": {
            name: {
                "rappel": float(alarm[data.danger].mean()),
                "dangers": float(alarm[dangers].mean()),
                "détresses": float(alarm[data.distress].mean()),
                "fausses alertes": float(alarm[~data.danger].mean()),
            }
            for name, alarm in ((ALONE, data.hit), (SCORE, scored), (BOTH, both))
        },
        "distress": {
            "precision": float(data.distress[told].mean()) if told.any() else 1.0,
            "recall": float((told & data.distress).sum() / max(1, (both & data.distress).sum())),
        },
        "reliability": [
            (
                low,
                min(high, 1.0),
                int(inside.sum()),
                float(unseen.danger[inside].mean()),
                float(data.danger[inside].mean()),
            )
            for low, high in pairwise(BINS)
            if (inside := judged & (unseen.danger >= low) & (unseen.danger < high)).any()
        ],
    }


def show(report: Mapping[str, Any]) -> None:
    """Print what was measured, as tables."""
    limits = ", ".join(f"{name} {value:.3f}" for name, value in report["limits"].items())
    print(f"{report['examples']} exemples dont {report['dangers']} urgences, {FOLDS} plis ; {limits}\n")
    print("| détecteur | rappel | dont dangers | dont détresses | fausses alertes |")
    print("|---|---|---|---|---|")
    for name, row in report["rows"].items():
        print(
            f"| {name} | {row['rappel']:.1%} | {row['dangers']:.1%} | {row['détresses']:.1%} "
            f"| {row['fausses alertes']:.2%} |"
        )
    kind = report["distress"]
    print(f"\ndétresse nommée par le score : précision {kind['precision']:.1%}, rappel {kind['recall']:.1%}\n")
    print("| probabilité annoncée | messages | moyenne annoncée | urgences en fait |")
    print("|---|---|---|---|")
    for low, high, count, said, true in report["reliability"]:
        print(f"| {low:.2f} – {high:.2f} | {count} | {said:.1%} | {true:.1%} |")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Print the tables; with `--out`, also write the weights. Exit codes: 0 done, 2 something to correct (in French)."""
    parser = argparse.ArgumentParser(prog="bot.engine.danger_score", description="Mesure les détecteurs d’urgence.")
    parser.add_argument("nlu", type=Path, nargs="*", help="exemples (sinon data/nlu.yml et data/fonds/*.yml)")
    parser.add_argument("--lexicon", type=Path, default=LEXICON, help="lexique (data/danger.yml)")
    parser.add_argument("--out", type=Path, help="écrire aussi les poids du score dans ce fichier")
    chosen = parser.parse_args(arguments)
    try:
        _run(chosen)
    except Explained as error:
        print(f"{error.what}\n{error.remedy}".strip(), file=sys.stderr)
        return 2
    return 0


def _run(chosen: argparse.Namespace) -> None:
    paths = chosen.nlu or [ROOT / "data" / "nlu.yml", *sorted((ROOT / "data" / "fonds").glob("*.yml"))]
    examples = [example for path in paths for example in read_nlu(path)]
    lexicon = read_lexicon(chosen.lexicon)
    _check_enough(examples)
    if chosen.out:
        show(train(examples, chosen.out, lexicon))
        return
    data = sample(examples, lexicon)
    unseen, _ = out_of_fold(data)
    show(measure(data, unseen, choose(data, unseen)))


def check_kinds(examples: Sequence[Example]) -> None:
    """Nothing is learnt of a kind with fewer examples than folds. Raises SetupError."""
    dangers = [intent for _, intent in examples if is_danger(intent)]
    distress = sum(intent.startswith(DISTRESS) for intent in dangers)
    for name, count in (("danger_immediat", len(dangers) - distress), (DISTRESS, distress)):
        if count < FOLDS:
            raise SetupError(
                f"Trop peu d’exemples de {name} : {count}, il en faut au moins {FOLDS} pour apprendre à voir un danger.",
                "Remettez-en dans data/nlu.yml.",
            )


def _check_enough(examples: Sequence[Example]) -> None:
    """Every part of the cross-validation needs examples of each kind, and these a few words each."""
    dangers = [intent for _, intent in examples if is_danger(intent)]
    distress = sum(intent.startswith(DISTRESS) for intent in dangers)
    if min(len(examples) - len(dangers), len(dangers) - distress, distress) < FEWEST:
        raise SetupError(
            f"Trop peu d’exemples pour mesurer : il en faut au moins {FEWEST} de danger, autant de détresse et d’autres.",
            "Sans nommer de fichier, tous les exemples sont lus.",
        )


if __name__ == "__main__":
    sys.exit(main())
