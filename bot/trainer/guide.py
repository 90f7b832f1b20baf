"""What the trainers' guide says of each intent: the sentence that defines it, shown wherever an intent is chosen."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from bot.trainer.errors import BadFile
from bot.trainer.project import Project

GUIDE = "docs/guide-formateur.md"
# « #### name », then the paragraph below it; what it says stands in bold first.
_SECTION = re.compile(r"^#### (\w+)\n+((?:(?!\n\n|^#).)+)", re.MULTILINE | re.DOTALL)
_BOLD = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)


def definitions(project: Project) -> Mapping[str, str]:
    """Intent → what it is about, in one sentence; nothing for intents that the guide does not name. Blocks.

    A guide that is missing or damaged defines nothing: choosing goes on without it.
    """
    try:
        return _definitions(project.read(GUIDE))
    except BadFile:
        return {}


@functools.lru_cache(maxsize=2)
def _definitions(guide: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, paragraph in _SECTION.findall(guide):
        bold = _BOLD.match(paragraph.strip())
        if bold:
            found.setdefault(name, " ".join(bold[1].split()))
    return found
