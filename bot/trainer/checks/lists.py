"""The lists of words (`lookup`, `synonym`): a word has one value and stands in one list; of two, one would win in silence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bot.engine.surfaces import Key, key_of
from bot.trainer.checks.finding import Finding, error
from bot.trainer.corpus import WordList


def check(lists: Iterable[WordList]) -> Iterator[Finding]:
    """Each word that stands at two places which contradict each other."""
    told: dict[tuple[str, Key], tuple[str, str]] = {}
    for each in lists:
        if each.kind not in ("synonym", "lookup"):
            continue
        for line, word in enumerate(each.words, each.line + 2):  # below « - lookup: … » and « examples: | »
            key = key_of(word)
            other, place = told.setdefault((each.kind, key), (each.name, f"{each.file}:{line}"))
            if key and other != each.name:
                yield error(
                    "two-lists",
                    each.file,
                    line,
                    f"« {word} » veut déjà dire « {other} » ({place}), il ne peut pas aussi vouloir dire « {each.name} »."
                    if each.kind == "synonym"
                    else f"« {word} » est déjà dans la liste « {other} » ({place}), il ne peut pas être dans « {each.name} ».",
                    "Gardez-le à un seul endroit. Accents, majuscules, lettres doublées et pluriels ne font pas un autre mot.",
                )
