"""What the console's templates ask of its modules of words exists: a name that is gone would be an error page."""

from __future__ import annotations

import importlib
from pathlib import Path

from jinja2 import Environment, nodes

from bot.console import alarm_words, labels, words

CONSOLE = Path(__file__).parents[2] / "bot" / "console"
SHARED = {"words": words, "labels": labels, "alarm_says": alarm_words}  # by the same name in every template


def test_every_name_that_a_template_takes_from_a_module_is_there() -> None:
    said = [importlib.import_module(f"bot.console.{path.stem}") for path in sorted(CONSOLE.glob("*_words.py"))]
    environment, asked, missing = Environment(), 0, []
    for path in sorted((CONSOLE / "templates").rglob("*.html")):
        tree = environment.parse(path.read_text(encoding="utf-8"))
        for taken in tree.find_all(nodes.Getattr):
            name = taken.node.name if isinstance(taken.node, nodes.Name) else ""
            modules = [SHARED[name]] if name in SHARED else said if name == "says" else []
            asked += bool(modules)
            if modules and not any(hasattr(module, taken.attr) for module in modules):
                missing.append(f"{path.name}: {name}.{taken.attr}")
    assert asked > 300
    assert missing == []
