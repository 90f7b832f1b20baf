"""Where the program lies. The trainers' files may lie in a folder of their own, without it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def of(files: Path) -> Path:
    """The folder of the program that goes with a folder of trainers' files: the same one where it holds the program, else ours."""
    return files if (files / "bot").exists() else ROOT
