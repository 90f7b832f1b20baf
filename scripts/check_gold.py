"""Checks that the measuring sets measure: no message of `tests/gold/`, or of the calibration (data/etalonnage.tsv), stands, or
nearly stands, in the training data or twice in the sets, and every row's intents and route are those of the table.

    python scripts/check_gold.py [--json] [--gold tests/gold] [FILE …]
                                  without a file: data/nlu.yml and data/fonds/*.yml; data/scripts.yml and data/answers/
                                  in any case

Two messages are compared by how their words sound, SMS spelling undone, so that « koman porté plinte » is « comment porter
plainte ». `--json` lists instead, as one JSON array, every training line that is too near a message of the sets.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bot.core.errors import SetupError
from bot.trainer.checks import gold
from bot.trainer.neighbours import Neighbours
from scripts.examples import asked, examples, files, script_examples


def report(paths: Sequence[Path], folder: Path, scripts: Path) -> tuple[list[str], list[dict[str, object]], str]:
    """What is wrong, one line each; the training lines that are too near; what was read."""
    wrong: list[str] = []
    learned, kept = Neighbours([*examples(paths), *script_examples(scripts), *asked()]), list[gold.Kept]()
    calibration = scripts.with_name(Path(gold.CALIBRATION).name)
    for path in [*sorted(folder.glob("*.tsv")), *([calibration] if calibration.exists() else [])]:
        for each in gold.rows(str(path), path.read_text(encoding="utf-8")):
            if isinstance(each, gold.Finding):
                wrong.append(f"{each.where} : {each.what}")
            else:
                kept.append(each)
    wrong += [f"{row.where} : {problem}" for row in kept if (problem := gold.misplaced(row))]
    found = sorted(gold.leaks(learned, Neighbours(kept)), key=lambda pair: kept.index(pair[1]))
    doubles = [(row, example.where, example.text) for example, row in found]
    for row, where, text in [*doubles, *((row, twin.where, twin.text) for row, twin in gold.twins(kept))]:
        wrong.append(f"{row.where} : « {row.text} » est déjà en {where} : « {text} »")
    close = [
        {"file": str(e.file), "line": e.line, "text": e.text, "gold": row.where, "gold_text": row.text}
        for e, row in found
    ]
    counts = Counter(Path(row.file).name for row in kept)
    told = ", ".join(f"{name} {count}" for name, count in counts.items()) or f"{folder} ne contient aucun jeu"
    if not counts or not len(learned):
        wrong.append(f"Rien à comparer : {told}, {len(learned)} exemples d’entraînement")
    return wrong, close, f"{told} ; {len(learned)} exemples d’entraînement ; {len(wrong)} lignes à reprendre."


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong; 1 when something is, or when a set is empty."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--gold", type=Path, default=Path("tests/gold"))
    parser.add_argument("--scripts", type=Path, default=Path("data/scripts.yml"))
    parser.add_argument("files", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    try:
        wrong, close, read = report(options.files or files(), options.gold, options.scripts)
    except SetupError as error:
        print(error)
        return 1
    print(json.dumps(close, ensure_ascii=False, indent=1) if options.json else "\n".join([*wrong, read]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
