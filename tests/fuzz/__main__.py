"""`python -m tests.fuzz`: every engine on every target, one process after the other, and a table of what was seen.

Exit status 1 when an input raised, took too long or too much memory; the input stays where the last lines say.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.targets import ROOT, TARGETS

FOLDER = ROOT / "test-artefacts" / "fuzz"
COVERAGE = "atheris" if importlib.util.find_spec("atheris") else "seeds"
HYPOTHESIS = 0.005  # of the inputs: it takes milliseconds to make one
HEAD = f"{'cible':<10} {'moteur':<11} {'entrées':>9} {'secondes':>9} {'processeur':>11} {'la plus lente':>22} {'mémoire':>16}"


@dataclass(frozen=True)
class Run:
    """One engine on one target."""

    engine: str
    target: str
    runs: int

    @property
    def folder(self) -> Path:
        """Corpus, figures, and what failed."""
        return FOLDER / f"{self.target}-{self.engine}"

    def go(self) -> str | None:
        """None when nothing was found, else what the child said last."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in (*self.folder.glob("failed*"), *self.folder.glob("figures*")):
            old.unlink()
        command = [sys.executable, "-m", "tests.fuzz.child", self.engine, self.target, str(self.runs), str(self.folder)]
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
        )
        lines = [line for line in done.stderr.splitlines() if not line.startswith(("INFO", "WARNING", "Done "))]
        return "\n".join(lines[-25:]) or f"code {done.returncode}" if done.returncode else None

    def figures(self) -> dict[str, Any]:
        """The child's, or none when it ended before its first ones."""
        path = self.folder / "figures.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def plan(inputs: int, only: str | None) -> list[Run]:
    """What runs, in order: the payload parser first, as it gets the most."""
    runs = [Run(COVERAGE, name, max(100, round(inputs * target.share))) for name, target in TARGETS.items()]
    runs += [Run("hypothesis", name, max(50, round(inputs * HYPOTHESIS))) for name in ("payload", "gateway")]
    runs += [Run("large", name, 0) for name in ("payload", "gateway")]
    return [run for run in runs if only in (None, run.target)]


def row(run: Run, told: dict[str, Any]) -> str:
    """A line of the table."""
    if not told:
        return f"{run.target:<10} {run.engine:<11} {'—':>9}"
    slowest = f"{told['slowest'] * 1000:.1f} ms, {told['slowest_bytes']} o"
    memory = f"{told['peak'] / 1e6:.0f} Mo (+{told['grown'] / 1e6:.0f})"
    return (
        f"{run.target:<10} {run.engine:<11} {told['inputs']:>9} {told['seconds']:>9.0f} {told['processor']:>11.0f} "
        f"{slowest:>22} {memory:>16}"
    )


def main() -> int:
    """Run the plan."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Entrées engendrées contre ce qui lit.")
    options.add_argument(
        "--entrees", type=int, default=1_000_000, help="pour l’analyse des charges utiles ; les autres à proportion"
    )
    options.add_argument("--cible", choices=sorted(TARGETS), help="une seule cible")
    options.add_argument("--neuf", action="store_true", help="sans le corpus des fois précédentes")
    asked = options.parse_args()
    if COVERAGE == "seeds":
        print("Atheris n’est pas installé (Linux x86-64 seulement) : les entrées ne suivent pas la couverture du code.")
    if asked.neuf:
        shutil.rmtree(FOLDER, ignore_errors=True)
    print(HEAD)
    failed = []
    for run in plan(asked.entrees, asked.cible):
        said = run.go()
        print(row(run, run.figures()), flush=True)
        if said is not None:
            failed.append((run, said))
    for run, said in failed:
        kept = next(iter(run.folder.glob("failed*")), None)
        print(f"\nDéfaut : {run.target}, {run.engine}\n{said[-2000:]}")
        if kept is not None:
            print(f"L’entrée : {kept.relative_to(ROOT)}. Pour la rejouer :")
            print(f"  .venv/bin/python -m tests.fuzz.child replay {run.target} 1 /tmp {kept.relative_to(ROOT)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
