"""Draws the figures of a measurement, in the engine's environment: `draw.py rates|crisis FILE.svg < figures.json`."""

import json
import sys

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter

# The same figures give the same file; text stays text.
plt.rcParams.update({"svg.hashsalt": "planton", "svg.fonttype": "none", "font.family": "sans-serif"})

INK, BLUE, RED, GREY, PALE = "#1b1b1f", "#1f5fa8", "#b3261e", "#d8d8de", "#9db8d6"
CURRENT = "#e8a33d"


def french(value):
    """A rate as the French write it."""
    return f"{value:.1f}".replace(".", ",") if value < 100 else f"{value:.0f}"


def rates(figures, path):
    """Messages a second, one bar a system and latency, on a scale of powers of ten."""
    rows = [row for row in figures["rows"] if row["rate"] > 0][::-1]
    labels = [
        row["system"] + (f", Graph {row['latency'] * 1000:.0f} ms" if row["latency"] is not None else "")
        for row in rows
    ]
    figure, axes = plt.subplots(figsize=(8.4, 0.42 * len(rows) + 1.3))
    colours = [BLUE if row["system"] == "Planton" else RED if "Facebook" in row["system"] else PALE for row in rows]
    axes.barh(labels, [row["rate"] for row in rows], color=colours)
    for place, row in enumerate(rows):
        axes.text(row["rate"] * 1.08, place, french(row["rate"]), va="center", fontsize=9, color=INK)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(0.5, max(row["rate"] for row in rows) * 3)
    axes.set_xlabel("messages par seconde soutenus (échelle logarithmique)")
    _finish(figure, axes, path)


def crisis(figures, path):
    """What comes in and what waits, above; how long each person in danger waited, below."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(8.4, 5.6), sharex=True)
    above.fill_between(
        range(len(figures["rates"])), figures["rates"], color=PALE, step="post", label="reçus par seconde"
    )
    above.set_ylabel("messages reçus par seconde")
    waits = above.twinx()
    waits.plot(
        [at for at, _ in figures["waiting"]], [n for _, n in figures["waiting"]], color=CURRENT, label="en attente"
    )
    waits.set_ylabel("messages en attente")
    waits.set_ylim(bottom=0)
    waits.spines["top"].set_visible(False)
    handles = [*above.get_legend_handles_labels()[0], *waits.get_legend_handles_labels()[0]]
    above.legend(
        handles, ["reçus par seconde", "en attente"], loc="lower left", bbox_to_anchor=(0, 1), ncol=2, frameon=False
    )
    above.set_ylim(bottom=0)
    below.scatter([at for at, _ in figures["dangers"]], [s for _, s in figures["dangers"]], s=10, color=RED)
    below.axhline(1.0, color=INK, linewidth=0.8, linestyle="--")
    below.set_ylim(bottom=0)
    below.set_ylabel("réponse aux personnes\nen danger (s)")
    below.set_xlabel("secondes depuis le début")
    _finish(figure, above, None)
    _finish(figure, below, path)


def _finish(figure, axes, path):
    axes.grid(color=GREY, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines["top"].set_visible(False)
    axes.spines["right"].set_visible(False)
    if path is not None:
        figure.savefig(path, format="svg", bbox_inches="tight", facecolor="white", metadata={"Date": None})
        plt.close(figure)


if __name__ == "__main__":
    {"rates": rates, "crisis": crisis}[sys.argv[1]](json.load(sys.stdin), sys.argv[2])
