"""What `planton eval` shows: tables for people; JSON, list of errors and plots in a folder."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bot.app import noise
from bot.app.child import ROOT
from bot.app.route import ENGINE_PYTHON
from bot.core.errors import SetupError
from bot.trainer.figures import Judged, matrix

PAIRS = 20
LINES = 30

Figures = dict[str, Any]

LABELS = {
    "accuracy": "intention juste",
    "route_accuracy": "route juste",
    "answer_precision": "précision de ce que Planton répond seul",
    "answer_coverage": "couverture : répondu, de ce qu’il doit répondre",
    "sensitive_recall": "cas sensibles remis à un humain",
    "emergency_recall": "urgences reconnues",
    "alarm_recall": "urgences qui reçoivent la réponse d’urgence",
    "false_alarm_rate": "fausses alertes",
    "second_net": "second filet : urgences manquées, 17 et 114 dits",
    "unwarned_rate": "urgences sans alerte ni numéros",
    "net_cost": "coût du filet : sans danger, 17 et 114 dits",
}
_MISSED = {
    "missed_emergencies": "Urgences manquées",
    "unwarned_emergencies": "Urgences sans alerte ni numéros",
    "false_alarms": "Fausses alertes",
    "missed_sensitive": "Cas sensibles restés sans humain",
}


def percent(value: float | None) -> str:
    """A share for people, a dash when there is nothing to count."""
    return "—" if value is None else f"{value * 100:.1f}\u00a0%".replace(".", ",")


def between(ends: Sequence[float] | None) -> str:
    """Bounds for people: « 78,1 à 83,4 % », a dash when there is nothing to count."""
    return "—" if ends is None else f"{ends[0] * 100:.1f} à {ends[1] * 100:.1f}\u00a0%".replace(".", ",")


def points(value: float) -> str:
    """A change in percentage points, with its sign."""
    return f"{value * 100:+.1f} pt".replace(".", ",").replace("-", "−")


def table(figures: Figures) -> str:
    """All figures for people."""
    parts = [_main(figures), _routes(figures), _intents(figures), _confusion(figures), _calibration(figures)]
    parts += [_missed(figures), _noise(figures)]
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part)))


def _main(figures: Figures) -> Iterator[str]:
    yield f"{'messages':<50}{figures['n']:>9}{'entre (95 %)':>20}"
    for key, label in LABELS.items():
        yield f"{label:<50}{percent(figures[key]):>9}{between(figures['intervals'][key]):>20}"


def _routes(figures: Figures) -> Iterator[str]:
    yield f"{'route':<14}{'messages':>10}{'rappel':>10}{'choisie':>10}{'précision':>11}"
    for route, row in figures["routes"].items():
        shares = f"{percent(row['recall']):>10}{row['taken']:>10}{percent(row['precision']):>11}"
        yield f"{route:<14}{row['n']:>10}{shares}"


def _intents(figures: Figures) -> Iterator[str]:
    yield f"{'intention':<34}{'messages':>9}{'juste':>9}{'rappel':>9}{'précision':>10}{'route':>9}"
    for intent, row in figures["per_intent"].items():
        shares = f"{percent(row['accuracy']):>9}{percent(row['recall']):>9}{percent(row['precision']):>10}"
        yield f"{intent:<34}{row['n']:>9}{shares}{percent(row['route_accuracy']):>9}"


def _confusion(figures: Figures) -> Iterator[str]:
    pairs = figures["confusion"]
    if not pairs:
        return
    yield "Confusions les plus fréquentes :" if len(pairs) > PAIRS else "Confusions :"
    for pair in pairs[:PAIRS]:
        yield f"{pair['n']:>5}  {pair['intent']} lu comme {pair['read_as'] or 'rien'}"
    if len(pairs) > PAIRS:
        yield f"       et {len(pairs) - PAIRS} autres paires."


def _calibration(figures: Figures) -> Iterator[str]:
    if not figures["calibration"]:
        return
    yield f"{'confiance':<14}{'messages':>10}{'moyenne':>10}{'juste':>10}"
    for row in figures["calibration"]:
        between = f"{row['from'] * 100:.0f} à {row['to'] * 100:.0f} %"
        yield f"{between:<14}{row['n']:>10}{percent(row['confidence']):>10}{percent(row['accuracy']):>10}"
    brier = f"{figures['brier']:.3f}".replace(".", ",")
    yield f"erreur de calibration (ECE) : {percent(figures['ece'])} ; score de Brier : {brier}"


def _missed(figures: Figures) -> Iterator[str]:
    for key, label in _MISSED.items():
        if lines := figures[key]:
            more = f" et {len(lines) - LINES} autres" if len(lines) > LINES else ""
            yield f"{label}, lignes : {', '.join(map(str, lines[:LINES]))}{more}"


def _noise(figures: Figures) -> Iterator[str]:
    if "noise" not in figures:
        return
    heads = (f"{'écart':>11}", f"{'intention':>11}", f"{'urgences manquées':>19}", f"{'fausses alertes':>17}")
    yield f"{'bruit':<16}{'route':>9}{''.join(heads)}"
    for name, row in (("", figures), *figures["noise"].items()):
        change = points(row["route_change"]) if name else ""
        missed, alarms = len(row["missed_emergencies"]), percent(row["false_alarm_rate"])
        shown = f"{percent(row['route_accuracy']):>9}{change:>11}{percent(row['accuracy']):>11}{missed:>19}{alarms:>17}"
        yield f"{noise.LABELS[name]:<16}{shown}"


def prepare(folder: Path) -> Path:
    """The folder, made before the long reading begins. Raises SetupError when nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise SetupError(f"{folder} n’est pas un dossier où écrire.", "Choisissez-en un autre.") from None
    if not os.access(folder, os.W_OK):
        raise SetupError(f"{folder} ne peut pas être écrit.", "Choisissez un autre dossier.")
    return folder


def write(folder: Path, name: str, figures: Figures, judged: Sequence[Judged]) -> list[Path]:
    """`resultat.json`, `erreurs.tsv` and the plots of the file as it is; the paths written."""
    return [*write_errors(folder, figures, _errors(judged)), *draw(folder, name, figures, judged)]


def write_errors(folder: Path, figures: Figures, lines: Iterable[str]) -> list[Path]:
    """`resultat.json` and `erreurs.tsv`, whose lines are given with their head; the paths written. Raises SetupError."""
    result, errors = folder / "resultat.json", folder / "erreurs.tsv"
    try:
        result.write_text(json.dumps(figures, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        errors.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError:
        raise SetupError(f"{folder} ne peut pas être écrit.", "Vérifiez droits et place.") from None
    return [result, errors]


def _errors(judged: Sequence[Judged]) -> Iterator[str]:
    yield "\t".join(("line", "text", "intent", "read_as", "route", "chosen", "confidence"))
    for j in judged:
        if not j.right or j.route != j.case.route:
            cells = (
                j.case.line,
                j.case.text,
                j.case.intent,
                j.intent or "",
                j.case.route,
                j.route,
                f"{j.confidence:.2f}",
            )
            yield "\t".join(map(str, cells))


def draw(folder: Path, name: str, figures: Figures, judged: Sequence[Judged]) -> list[Path]:
    """The plots, drawn in the engine's environment: Rasa brings matplotlib, what faces people need not carry it."""
    labels, counts = matrix(judged)
    plots = {
        "name": name,
        "n": figures["n"],
        "accuracy": figures["accuracy"],
        "labels": labels,
        "counts": counts,
        "calibration": figures["calibration"],
        "ece": figures["ece"],
    }
    done = subprocess.run(
        [str(ENGINE_PYTHON), "-m", "bot.engine.plots", str(folder.resolve())],
        cwd=ROOT,
        input=json.dumps(plots).encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise SetupError("Les figures n’ont pas pu être dessinées.", said[-1] if said else "Faites : make install")
    return [folder / line for line in done.stdout.decode().splitlines()]
