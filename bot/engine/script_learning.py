"""Learns which words a message calls for (the scripts) from data/scripts.yml, and measures it.

Runs in the engine's environment (scikit-learn, numpy), a minute:
    python -m bot.engine.script_learning [data/scripts.yml] [--lexicon data/danger.yml] [--jeu SET.tsv] [--into FILE]
prints how often the right words are chosen, and how often harmful ones, by cross-validation: each example is judged by weights that
have not seen it. `--jeu` judges a measuring set as well (as if every message of it had been recognised as an emergency); `--into`
writes the weights into the file of a danger score.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from bot.core.errors import Explained, SetupError
from bot.core.examples import script_blocks, without_marks
from bot.core.yaml_text import Damaged, decode
from bot.engine.danger_score import LEXICON, ROOT, read_lexicon
from bot.engine.script_head import ScriptHead, directions
from bot.policy.lexicon import Lexicon
from bot.policy.normalise import normalise
from bot.policy.script_score import NAMES, ScriptScore, WordGroups, pack, script_features
from bot.policy.script_signs import borne_out
from bot.policy.scripts import INTENTS, MOST_HARM, NONE, choose, harms

FILE = ROOT / "data" / "scripts.yml"
BUCKETS = 1 << 15
LONGEST = 4
FOLDS = 5
STRENGTH = 10.0  # inverse of the regularisation, chosen by cross-validation
BY_MEANING, ROUNDS = 10.0, 200  # the same for meanings, chosen on examples that the encoder has not read; steps at most
RARE = 4.0
LEAST = 1  # of 127: a smaller weight is left out

Groups = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Examples:
    """What data/scripts.yml holds: messages with their script, and the groups of words."""

    lines: tuple[tuple[str, str], ...]
    groups: Groups


def read(path: Path = FILE) -> Optional[Examples]:
    """The examples; None where there is no such file: a project of an earlier version. Raises SetupError (in French)."""
    if not path.exists():
        return None
    try:
        blocks, groups = script_blocks(decode(path.read_bytes()))
    except Damaged as error:
        raise SetupError(f"{path}, ligne {error.line} : {error.what}", error.remedy) from None
    except OSError as error:
        raise SetupError(f"{path} ne se lit pas ({error.strerror}).", "Vérifiez les droits.") from None
    counts = {block.name: len(block.items) for block in blocks}
    if strange := sorted(set(counts) - set(NAMES)):
        raise SetupError(f"{path} : réponse inconnue « {strange[0]} ».", f"Les noms sont : {', '.join(NAMES)}.")
    if short := [name for name in NAMES if counts.get(name, 0) < FOLDS]:
        raise SetupError(f"{path} : il faut au moins {FOLDS} exemples de « {short[0]} ».", "Remettez-en depuis git.")
    return Examples(tuple((text, block.name) for block in blocks for text in block.items), groups)


def taught(found: Optional[Examples], known: Iterable[str]) -> dict[str, list[str]]:
    """What the examples teach of intents: intent → messages, without those whose text, however written, is among `known`."""
    seen = set(map(normalise, known))
    lessons: dict[str, list[str]] = {}
    for text, script in found.lines if found else ():
        words = normalise(text)
        if script in INTENTS and words not in seen and without_marks(text) == text:
            seen.add(words)
            lessons.setdefault(INTENTS[script], []).append(text)
    return lessons


@dataclass(frozen=True)
class Fitted:
    """A multinomial linear model. `weights`: names × buckets; margins = biases + weights · row."""

    biases: np.ndarray
    weights: np.ndarray

    def chances(self, rows: Any) -> np.ndarray:
        """Rows × names; each row sums to 1."""
        margins = np.asarray(rows @ self.weights.T) + self.biases
        powers = np.exp(margins - margins.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def matrix(texts: Iterable[str], lexicon: Lexicon, groups: Groups) -> Any:
    """Messages × buckets, as the policy sees them."""
    known = WordGroups(groups)
    indices: list[int] = []
    values: list[float] = []
    ends = [0]
    for text in texts:
        cues = [hit.entry for hit in lexicon.entries_in(text)]
        row = script_features(text, cues, known, BUCKETS, LONGEST)
        indices.extend(row)
        values.extend(row.values())
        ends.append(len(indices))
    return csr_matrix((np.array(values), np.array(indices), np.array(ends)), shape=(len(ends) - 1, BUCKETS))


def fit(rows: Any, labels: np.ndarray) -> Fitted:
    """Multinomial logistic regression, every name as important whatever its examples' number. `labels`: places in NAMES."""
    model = LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=60, tol=1e-2, random_state=0)
    met = np.unique(rows.indices)  # a bucket without a message keeps the weight 0, and would take its share of the time
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the last steps change nothing that is chosen
        model.fit(rows[:, met], labels)
    weights = np.zeros((len(model.coef_), rows.shape[1]))
    weights[:, met] = model.coef_
    return Fitted(model.intercept_, weights)


def out_of_fold(rows: Any, labels: np.ndarray) -> np.ndarray:
    """The chances of each example by a model that has not seen it."""
    chances = np.zeros((len(labels), len(NAMES)))
    for seen, unseen in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(labels, labels):
        chances[unseen] = fit(rows[seen], labels[seen]).chances(rows[unseen])
    return chances


def calibrated(chances: np.ndarray, labels: np.ndarray) -> float:
    """By what the margins are to be multiplied so that chances are believable: the least mean surprise."""
    logs = np.log(np.clip(chances, 1e-12, 1.0))

    def surprise(by: float) -> float:
        margins = logs * by
        margins -= margins.max(axis=1, keepdims=True)
        norms = np.log(np.exp(margins).sum(axis=1))
        return float((norms - margins[np.arange(len(labels)), labels]).mean())

    return float(min(np.arange(0.4, 3.01, 0.05), key=surprise))


def export(model: Fitted, by: float, groups: Groups) -> dict[str, Any]:
    """What `ScriptScore.from_mapping` reads. Weights of 8 bits, each name with its own unit."""
    weights = model.weights * by
    units = np.maximum(np.abs(weights).max(axis=1), 1e-9) / 127
    whole = np.rint(weights / units[:, None]).astype(int)
    whole[np.abs(whole) < LEAST] = 0
    kept = np.flatnonzero(whole.any(axis=0))
    rows = {int(bucket): [int(weight) for weight in whole[:, bucket]] for bucket in kept}
    return {
        "names": list(NAMES),
        "buckets": BUCKETS,
        "longest": LONGEST,
        "biases": [round(float(bias * by), 5) for bias in model.biases],
        "units": [float(unit) for unit in units],
        "groups": {name: list(words) for name, words in groups.items()},
        "weights": pack(rows, BUCKETS),
    }


def learn_by_meaning(
    scripts: Sequence[str], meanings: np.ndarray, unread: np.ndarray, ordinary: np.ndarray
) -> ScriptHead:
    """From examples, each with its script and its meaning, (examples, width). `unread`: (examples,) whether the encoder has not
    learnt from it: by those the chances are made believable, the head having learnt from the others. `ordinary`: (messages, width),
    meanings of ordinary talk, from which the head learns what calls for no script; it may be empty."""
    labels, rows, ordinary = (
        np.array([NAMES.index(script) for script in scripts]),
        directions(meanings),
        directions(ordinary),
    )
    by = 1.0
    if set(labels[~unread]) == set(labels) and unread.any():
        weights, bias = _fit_meanings(rows[~unread], labels[~unread], ordinary)
        margins = (rows[unread] @ weights + bias)[:, : len(NAMES)]
        by = calibrated(softmax(margins, axis=1), labels[unread])
    weights, bias = _fit_meanings(rows, labels, ordinary)
    return ScriptHead(weights * by, bias * by)


def _fit_meanings(rows: np.ndarray, labels: np.ndarray, ordinary: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(width, names) and (names,); every name as important whatever its examples' number, `ordinary` being one more."""
    model = LogisticRegression(C=BY_MEANING, class_weight="balanced", max_iter=ROUNDS, tol=1e-3)
    with threadpool_limits(1):
        model.fit(np.concatenate([rows, ordinary]), np.concatenate([labels, np.full(len(ordinary), len(NAMES))]))
    return model.coef_.T, model.intercept_


@dataclass(frozen=True)
class Learnt:
    """The weights for the file, and the chances that each example has by others."""

    exported: dict[str, Any]
    unseen: list[dict[str, float]]


def learn(examples: Examples, lexicon: Lexicon) -> Learnt:
    """Weights from all examples, calibrated by cross-validation."""
    rows = matrix((text for text, _ in examples.lines), lexicon, examples.groups)
    rarity = _rarity(rows)  # what few messages have tells more; it is the weights' own in the end
    rows = rows.multiply(rarity).tocsr()
    labels = np.array([NAMES.index(script) for _, script in examples.lines])
    unseen = out_of_fold(rows, labels)
    by = calibrated(unseen, labels)
    sharp = np.power(np.clip(unseen, 1e-12, 1.0), by)
    sharp /= sharp.sum(axis=1, keepdims=True)
    told = [dict(zip(NAMES, map(float, row), strict=True)) for row in sharp]
    model = fit(rows, labels)
    return Learnt(export(Fitted(model.biases, model.weights * rarity), by, examples.groups), told)


def _rarity(rows: Any) -> np.ndarray:
    """(buckets,): how rare a bucket is among the messages, on a scale on which half of them is near nothing."""
    met = np.asarray((rows > 0).sum(axis=0)).ravel()
    return np.asarray(np.log((1 + rows.shape[0]) / (1 + met)) / RARE)


def train(path: Path, lexicon: Lexicon) -> Optional[dict[str, Any]]:
    """What goes into the danger score's file; None for a project without data/scripts.yml. Tells how good it is."""
    examples = read(path)
    if examples is None:
        return None
    learnt = learn(examples, lexicon)
    report = measure(_seen_by_others(examples, learnt))
    told = f"{report['right']:.1%} justes, {report['harmful']} nuisibles ({FOLDS} plis, {report['n']} exemples)"
    print(f"Réponses d’urgence : {told}")
    return learnt.exported


Judged = tuple[str, tuple[str, ...], dict[str, float]]  # text, scripts that are right, the best first, chances


def _seen_by_others(examples: Examples, learnt: Learnt) -> list[Judged]:
    return [(text, (script,), found) for (text, script), found in zip(examples.lines, learnt.unseen, strict=True)]


def measure(judged: Sequence[Judged], most: float = MOST_HARM) -> dict[str, Any]:
    """Of messages that are emergencies: the share with right words, with harmful ones, and each script's; NONE is left out."""
    rows = [
        (text, right, choose(borne_out(chances, text), most)) for text, right, chances in judged if NONE not in right
    ]
    harmful = [row for row in rows if harms(row[2], row[1])]
    per: dict[str, list[bool]] = {}
    for _, right, sent in rows:
        per.setdefault(right[0], []).append(sent in right)
    return {
        "n": len(rows),
        "right": sum(sent in right for _, right, sent in rows) / max(1, len(rows)),
        "harmful": len(harmful),
        "per_script": {name: (len(found), sum(found) / len(found)) for name, found in per.items()},
        "confusion": Counter((right[0], sent) for _, right, sent in rows if sent not in right),
        "harmed": harmful,
    }


def show(title: str, report: Mapping[str, Any]) -> None:
    """Print what was measured."""
    print(f"{title} : {report['n']} urgences, réponse juste {report['right']:.1%}, nuisible {report['harmful']}")
    for name, (count, share) in report["per_script"].items():
        print(f"  {name:<18} {count:>4} {share:>7.1%}")
    pairs = ", ".join(f"{right} → {sent} {n}" for (right, sent), n in report["confusion"].most_common(12))
    print(f"  confusions : {pairs or 'aucune'}")


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Print the figures. Exit codes: 0 done, 2 something to correct (in French)."""
    parser = argparse.ArgumentParser(prog="bot.engine.script_learning", description="Mesure le choix de la réponse.")
    parser.add_argument("file", type=Path, nargs="?", default=FILE, help="exemples (data/scripts.yml)")
    parser.add_argument("--lexicon", type=Path, default=LEXICON, help="lexique (data/danger.yml)")
    parser.add_argument("--jeu", type=Path, help="juger aussi ce jeu (text, script, second)")
    parser.add_argument("--into", type=Path, help="écrire les poids dans ce fichier de score")
    chosen = parser.parse_args(arguments)
    try:
        _run(chosen)
    except Explained as error:
        print(f"{error.what}\n{error.remedy}".strip(), file=sys.stderr)
        return 2
    return 0


def _run(chosen: argparse.Namespace) -> None:
    examples = read(chosen.file)
    if examples is None:
        raise SetupError(f"{chosen.file} n’existe pas.", "Vérifiez le chemin.")
    lexicon = read_lexicon(chosen.lexicon)
    learnt = learn(examples, lexicon)
    show(f"{chosen.file.name}, {FOLDS} plis", measure(_seen_by_others(examples, learnt)))
    if chosen.jeu:
        scorer = ScriptScore.from_mapping(learnt.exported)
        show(chosen.jeu.name, measure([_judge(line, lexicon, scorer) for line in _set(chosen.jeu)]))
    if chosen.into:
        into = json.loads(chosen.into.read_text(encoding="utf-8"))
        partial = chosen.into.with_name(chosen.into.name + ".part")
        partial.write_text(json.dumps({**into, "scripts": learnt.exported}, separators=(",", ":")), encoding="utf-8")
        partial.replace(chosen.into)


def _set(path: Path) -> list[list[str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
    except (OSError, UnicodeDecodeError):
        raise SetupError(f"{path} ne se lit pas.", "Vérifiez le chemin, et que le fichier est en UTF-8.") from None
    rows = [line.split("\t") for line in lines]
    if any(len(row) != 3 or row[1] not in NAMES for row in rows):
        raise SetupError(f"{path} n’a pas les colonnes text, script, second.", "scripts/check_gold.py dit où.")
    return rows


def _judge(row: Sequence[str], lexicon: Lexicon, scorer: ScriptScore) -> Judged:
    text, script, second = row
    chances = scorer.chances(text, [hit.entry for hit in lexicon.entries_in(text)])
    return text, tuple(name for name in (script, second) if name), chances


if __name__ == "__main__":
    sys.exit(main())
