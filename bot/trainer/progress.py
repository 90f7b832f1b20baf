"""How far a training is and how long it still takes, told from how long earlier ones took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bot.trainer.conduct import STAGES

ALMOST = 0.97  # of a stage that takes longer than it used to


@dataclass(frozen=True)
class Progress:
    """`share`: of the whole, 0 to 1. `seconds`: that are probably left."""

    share: float
    seconds: float


def expected(earlier: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Seconds that each stage probably takes: the median of earlier runs, else what it took on a small machine."""
    found = {}
    for stage, otherwise in STAGES.items():
        known = [run[stage] for run in earlier if stage in run]
        found[stage] = max(0.5, median(known)) if known else otherwise
    return found


def progress(stage: str, elapsed: float, share: float, wanted: Mapping[str, float]) -> Progress:
    """Where a run is. `elapsed`: seconds in this stage; `share`: of it that is done for sure, 0 when it does not tell;
    `wanted`: seconds that each stage probably takes."""
    total = sum(wanted.values())
    if stage not in wanted or not total:
        return Progress(0.0, total)
    names = list(wanted)
    before = sum(wanted[name] for name in names[: names.index(stage)])
    after = sum(wanted[name] for name in names[names.index(stage) + 1 :])
    own = wanted[stage]
    if share > 0.05:  # what it tells is better than what others took
        left = elapsed * (1 - share) / share
        done = own * min(share, ALMOST)
    else:
        left = max(own - elapsed, own * (1 - ALMOST))
        done = min(elapsed, own * ALMOST)
    return Progress(round(min(0.99, (before + done) / total), 4), round(left + after, 1))
