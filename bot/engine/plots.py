"""Draws the plots of `planton eval`: confusion matrix and reliability curve.

    python -m bot.engine.plots FOLDER < plots.json

It runs in the engine's environment, where matplotlib stands already, and prints the names of the files it wrote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap

INK, BLUE, RED, GREY = "#1b1b1f", "#1f5fa8", "#b3261e", "#d8d8de"
# White at nought, so that what never happens stays quiet; a single wrong message must be seen.
_SHADES = LinearSegmentedColormap.from_list("errors", ["#ffffff", "#f8d9d4", RED])
_RIGHT = LinearSegmentedColormap.from_list("right", ["#ffffff", "#cfe0f3", BLUE])


def percent(share: float) -> str:
    """A share as the French write it."""
    return f"{share * 100:.1f}\u00a0%".replace(".", ",")


def confusion(plots: dict[str, Any], path: Path) -> None:
    """Rows: what it is; columns: what it was read as. Colour: share of the row; blue when right, red when wrong."""
    labels, counts = plots["labels"], plots["counts"]
    size = max(6.0, 2.8 + 0.3 * len(labels))
    figure, axes = plt.subplots(figsize=(size, size), dpi=110)
    for row, line in enumerate(counts):
        total = sum(line)
        for column, n in enumerate(line):
            if n:
                _cell(axes, row, column, n, n / total)
    places = range(len(labels))
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xticks(places)
    axes.set_xticklabels(labels, rotation=90, fontsize=8)
    axes.set_yticks(places)
    axes.set_yticklabels([f"{label} ({sum(line)})" for label, line in zip(labels, counts, strict=True)], fontsize=8)
    axes.set_xticks([p - 0.5 for p in places][1:], minor=True)
    axes.set_yticks([p - 0.5 for p in places][1:], minor=True)
    axes.grid(which="minor", color=GREY, linewidth=0.5)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel("Intention lue par Planton", fontsize=11, labelpad=8)
    axes.set_ylabel("Intention annotée (nombre de messages)", fontsize=11, labelpad=8)
    axes.set_title(
        f"Confusions sur {plots['name']} : {plots['n']} messages, {percent(plots['accuracy'])} d’intentions justes\n"
        "bleu : juste (seconde intention admise comprise) ; rouge : confondu",
        fontsize=11,
        pad=12,
    )
    _save(figure, path)


def _cell(axes: Any, row: int, column: int, n: int, share: float) -> None:
    shades = _RIGHT if row == column else _SHADES
    # Even a small share gets a visible tint.
    axes.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=shades(0.25 + 0.75 * share), linewidth=0))
    axes.text(column, row, str(n), ha="center", va="center", fontsize=7.5, color="white" if share > 0.5 else INK)


def reliability(plots: dict[str, Any], path: Path) -> None:
    """Share right against confidence, with the number of messages below."""
    rows = plots["calibration"]
    figure, (curve, numbers) = plt.subplots(
        2, 1, figsize=(6.4, 7.4), dpi=110, sharex=True, gridspec_kw={"height_ratios": [3.2, 1]}
    )
    curve.plot([0, 1], [0, 1], linestyle="--", color="#8a8a93", label="confiance exacte")
    confidence, right = [r["confidence"] for r in rows], [r["accuracy"] for r in rows]
    curve.plot(confidence, right, marker="o", color=BLUE, label="mesuré")
    for row in rows:
        curve.vlines(row["confidence"], row["confidence"], row["accuracy"], color=RED, linewidth=1, alpha=0.6, zorder=1)
    curve.set_ylim(0, 1.02)
    curve.set_ylabel("Part de messages bien compris")
    curve.legend(loc="upper left", frameon=False)
    curve.set_title(
        f"Fiabilité de la confiance sur {plots['name']}\n"
        f"écart moyen (ECE) : {percent(plots['ece'])}. Sous la diagonale, Planton se croit trop sûr.",
        fontsize=10.5,
    )
    numbers.bar(
        [(r["from"] + r["to"]) / 2 for r in rows], [r["n"] for r in rows], width=0.09, color="#9db8d6", edgecolor=BLUE
    )
    tallest = max(r["n"] for r in rows)
    for row in rows:
        numbers.text((row["from"] + row["to"]) / 2, row["n"] + tallest * 0.03, str(row["n"]), ha="center", fontsize=8)
    numbers.set_ylim(0, tallest * 1.2)
    numbers.set_ylabel("Messages")
    numbers.set_xlabel("Confiance annoncée")
    numbers.set_xlim(0, 1)
    for axes in (curve, numbers):
        axes.grid(color=GREY, linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines["top"].set_visible(False)
        axes.spines["right"].set_visible(False)
    ticks = [place / 5 for place in range(6)]
    curve.set_yticks(ticks)
    curve.set_yticklabels([f"{t * 100:.0f} %" for t in ticks])
    numbers.set_xticks(ticks)
    numbers.set_xticklabels([f"{t * 100:.0f} %" for t in ticks])
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, bbox_inches="tight", facecolor="white")
    plt.close(figure)


def main(folder: Path) -> None:
    """Read the figures on standard input, draw what they allow, print the names written."""
    plots = json.load(sys.stdin)
    confusion(plots, folder / "confusion.png")
    print("confusion.png")
    if plots["calibration"]:
        reliability(plots, folder / "fiabilite.png")
        print("fiabilite.png")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except OSError:
        sys.exit(f"{sys.argv[1]} ne peut pas être écrit : vérifiez droits et place.")
