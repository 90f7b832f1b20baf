"""Where the trainers' files lie: with the program, unless PROJECT_DIR names a folder of their own."""

from __future__ import annotations

from bot.settings import Settings

PROJECT = Settings().project_dir
MODELS = PROJECT / "models"
