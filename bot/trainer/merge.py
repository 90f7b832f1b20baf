"""Two people's changes to a file of examples become one: git's merge driver for `data/nlu.yml` and `data/fonds/*.yml`.

The examples of a block are a heap: each side's additions and removals are applied by text, wherever the lines stand, so that two
branches which both add to the same intent never conflict. Everything else (comments, headings, blocks) is merged line by line by
git itself, on the file with its examples taken out. What one side moved and the other one corrected is moved and corrected
(`bot.trainer.reconcile`). What remains a conflict is one in substance: one example rewritten in two ways or moved to two
intents, one text given two intents or marked in two ways, or a block that one side removed while the other changed it.
"""

from __future__ import annotations

import itertools
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.core import yaml_text
from bot.core.examples import Block, blocks, without_marks
from bot.trainer.corpus import ExamplesFile, read_file, short
from bot.trainer.errors import BadFile, TrainerError
from bot.trainer.reconcile import Dispute, Key, Place, reconcile

OURS, MIDDLE, THEIRS = "<<<<<<< ici", "=======", ">>>>>>> l’autre branche"
_HEAP = "\x1a"  # stands for a block's examples while the rest is merged; no file of ours may hold it


@dataclass(frozen=True)
class Merged:
    """The merged text. `conflicts`: what a person has to decide, in French; the text then holds git's usual conflict marks."""

    text: str
    conflicts: tuple[str, ...]


def merge(base: str, ours: str, theirs: str, name: str = "data/nlu.yml") -> Merged:
    """The three-way merge of a file's texts. Raises BadFile when one of them is damaged."""
    files = [
        _named(name, side, text)
        for side, text in (("l’origine", base), ("votre branche", ours), ("l’autre branche", theirs))
    ]
    heaps = [_heaps(file) for file in files]
    joined = reconcile(*heaps)
    heaps[1:] = [joined.ours, joined.theirs]
    skeleton = _merged_lines(*(_skeleton(file) for file in files))
    kept = {key for key in _keys(skeleton)}
    merged = {key: _merged_items(*(side.get(key, ()) for side in heaps)) for key in kept}
    conflicts = [*_lost_blocks(heaps, kept), *_twice(skeleton)]
    if any(line.startswith("<<<<<<< ") for line in skeleton):
        conflicts.append("Les deux branches ont changé la même ligne (commentaire, titre ou nouveau bloc).")
    disputed: dict[Place, bool] = {}  # True: ours
    for dispute in joined.disputes:
        if {dispute.ours.key, dispute.theirs.key} <= kept:  # else the lost block says it
            disputed.update({dispute.ours: True, dispute.theirs: False})
            conflicts.append(_contradiction(dispute))
    conflicts.extend(_twice_given(merged, heaps, disputed))
    text = "\n".join(_filled(skeleton, merged, disputed, _indents(files)))
    if not conflicts:
        read_file(name, text)
    return Merged(text, tuple(conflicts))


def drive(base: Path, ours: Path, theirs: Path) -> tuple[str, ...]:
    """As git calls it: merge three files into `ours`; the conflicts. A damaged file is merged line by line, as git would."""
    texts = []
    for path in (base, ours, theirs):
        try:
            texts.append(yaml_text.decode(path.read_bytes()))
        except yaml_text.Damaged as error:
            raise TrainerError(f"Une des branches est illisible\u00a0: {error.what}", error.remedy) from None
    try:
        merged = merge(texts[0], texts[1], texts[2])
    except BadFile as error:
        lines = _merged_lines(*(text.split("\n") for text in texts))
        ours.write_text("\n".join(lines), encoding="utf-8", newline="")
        return (f"{error.what} {error.remedy}",)
    ours.write_text(merged.text, encoding="utf-8", newline="")
    return merged.conflicts


# -- Taken apart -----------------------------------------------------------------------------------------------------------


def _named(name: str, side: str, text: str) -> ExamplesFile:
    try:
        return ExamplesFile(name, text, blocks(text) if text.strip() else ())
    except yaml_text.Damaged as error:
        raise BadFile(f"{name} ({side})", error.what, error.remedy, error.line, error.column) from None


def _keyed(file: ExamplesFile) -> Iterator[tuple[Key, Block]]:
    met: Counter[tuple[str, str]] = Counter()
    for block in file.blocks:
        yield (block.kind, block.name, met[block.kind, block.name]), block
        met[block.kind, block.name] += 1


def _heaps(file: ExamplesFile) -> dict[Key, tuple[str, ...]]:
    return {key: block.items for key, block in _keyed(file)}


def _skeleton(file: ExamplesFile) -> list[str]:
    """The file's lines with one line in place of each block's examples."""
    lines = file.text.split("\n")
    for key, block in reversed(list(_keyed(file))):
        lines[block.first - 1 : block.first - 1 + len(block.items)] = [_line_of(key)]
    return lines


def _line_of(key: Key) -> str:
    return _HEAP + _HEAP.join((key[0], key[1], str(key[2])))


def _key_of(line: str) -> Key | None:
    if not line.startswith(_HEAP):
        return None
    kind, name, number = line[1:].split(_HEAP)
    return kind, name, int(number)


def _keys(skeleton: list[str]) -> list[Key]:
    return [key for key in map(_key_of, skeleton) if key is not None]


def _indents(files: list[ExamplesFile]) -> dict[Key, str]:
    """How a block's examples are indented; ours before theirs."""
    found: dict[Key, str] = {}
    for file in files:
        lines = file.text.split("\n")
        for key, block in _keyed(file):
            if block.items:
                line = lines[block.first - 1]
                found[key] = line[: len(line) - len(line.lstrip(" "))]
    return found


# -- Merged ----------------------------------------------------------------------------------------------------------------


def _merged_lines(base: list[str], ours: list[str], theirs: list[str]) -> list[str]:
    """Git's own merge of lines, with its conflict marks."""
    if base in (ours, theirs) or ours == theirs:
        return theirs if ours == base else ours
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for name, lines in (("ours", ours), ("base", base), ("theirs", theirs)):
            path = Path(folder) / name
            path.write_text("\n".join(lines), encoding="utf-8", newline="")
            paths.append(str(path))
        labels = [OURS[8:], "origine", THEIRS[8:]]
        named = [part for label in labels for part in ("-L", label)]
        done = subprocess.run(
            ["git", "merge-file", "-p", *named, *paths], capture_output=True, stdin=subprocess.DEVNULL, timeout=60
        )
    if done.returncode >= 128:
        raise TrainerError("git merge-file a échoué.", "Fusionnez ce fichier à la main.")
    return done.stdout.decode("utf-8").split("\n")


def _merged_items(base: tuple[str, ...], ours: tuple[str, ...], theirs: tuple[str, ...]) -> list[str]:
    """Ours, with what they removed taken out and what they added put after the neighbour that it has there."""
    added, removed = Counter(theirs) - Counter(base), Counter(base) - Counter(theirs)
    missing = Counter(base) - Counter(ours)  # what we removed: theirs to keep out
    items = list(ours)
    for item, times in removed.items():
        for _ in range(max(0, times - missing[item])):
            if item in items:
                items.remove(item)
    for place, item in enumerate(theirs):
        if added[item] > 0:
            added[item] -= 1
            if item not in items:  # both added it: once is enough
                items.insert(_after(items, theirs[:place]), item)
    return items


def _after(items: list[str], before: tuple[str, ...]) -> int:
    for neighbour in reversed(before):
        if neighbour in items:
            return items.index(neighbour) + 1
    return 0


def _lost_blocks(heaps: list[dict[Key, tuple[str, ...]]], kept: set[Key]) -> Iterator[str]:
    """Blocks that one side removed while the other changed their examples."""
    base, ours, theirs = heaps
    for key in base.keys() - kept:
        for side, who in ((ours, "votre branche"), (theirs, "l’autre branche")):
            if key in side and Counter(side[key]) != Counter(base[key]):
                yield f"Le bloc «\u00a0{key[1]}\u00a0» a été retiré d’un côté\u00a0; {who} a changé ses exemples."


def _twice(skeleton: list[str]) -> Iterator[str]:
    """Blocks that both sides added, at two places."""
    for key, times in Counter(_keys(skeleton)).items():
        if times > 1 and not any(line.startswith("<<<<<<< ") for line in skeleton):
            yield f"Le bloc «\u00a0{key[1]}\u00a0» a été ajouté des deux côtés, à deux endroits\u00a0: réunissez-les."


def _contradiction(dispute: Dispute) -> str:
    """What two people did to one example."""
    old, ours, theirs = dispute.base, dispute.ours, dispute.theirs
    begun = f"«\u00a0{short(without_marks(old.item))}\u00a0» ({old.key[1]})"
    if ours.key == theirs.key and without_marks(ours.item) == without_marks(theirs.item):
        return f"{begun} est marqué de deux façons\u00a0: gardez-en une."
    here, there = (
        f"«\u00a0{short(without_marks(now.item))}\u00a0»"
        + ("" if now.key == old.key else f" dans «\u00a0{now.key[1]}\u00a0»")
        for now in (ours, theirs)
    )
    return f"{begun} a été changé de deux façons\u00a0: {here} ici, {there} dans l’autre branche. Gardez-en une."


def _twice_given(
    merged: Mapping[Key, list[str]], heaps: list[dict[Key, tuple[str, ...]]], disputed: dict[Place, bool]
) -> Iterator[str]:
    """Texts that the two sides gave to two intents, or marked in two ways: put into `disputed`, with the words for it."""
    base, ours, theirs = heaps
    holders: dict[str, list[Place]] = {}
    for key, items in merged.items():
        if key[0] == "intent":
            for item in items:
                holders.setdefault(without_marks(item), []).append(Place(key, item))
    for text, places in holders.items():
        if len(set(places)) < 2 or all(place in disputed for place in places):
            continue
        mine = [place for place in places if _new(place, base, ours)]
        other = [place for place in places if _new(place, base, theirs) and place not in mine]
        if not mine or not other:
            continue  # it stood so before, or one side alone wanted both: no conflict of two people
        disputed.update({**dict.fromkeys(other, False), **dict.fromkeys(mine, True)})
        if mine[0].key == other[0].key:
            yield f"«\u00a0{short(text)}\u00a0» ({mine[0].key[1]}) est marqué de deux façons\u00a0: gardez-en une."
        else:
            yield (
                f"«\u00a0{short(text)}\u00a0» a reçu deux intentions\u00a0: «\u00a0{mine[0].key[1]}\u00a0» ici, "
                f"«\u00a0{other[0].key[1]}\u00a0» dans l’autre branche. Gardez-en une."
            )


def _new(place: Place, base: Mapping[Key, tuple[str, ...]], side: Mapping[Key, tuple[str, ...]]) -> bool:
    """Whether that side put the example there."""
    return place.item in side.get(place.key, ()) and place.item not in base.get(place.key, ())


# -- Put together ----------------------------------------------------------------------------------------------------------


def _filled(
    skeleton: list[str], merged: Mapping[Key, list[str]], disputed: Mapping[Place, bool], indents: Mapping[Key, str]
) -> Iterator[str]:
    for line in skeleton:
        key = _key_of(line)
        if key is None:
            yield line
            continue
        written = [(disputed.get(Place(key, item)), f"{indents[key]}- {item}") for item in merged[key]]
        for undisputed, together in itertools.groupby(written, lambda one: one[0] is None):
            lines = [*together]
            if undisputed:
                yield from (line for _, line in lines)
            else:  # git's own marks: every editor and every person who merges knows them
                ours, theirs = ([line for mine, line in lines if mine is side] for side in (True, False))
                yield from (OURS, *ours, MIDDLE, *theirs, THEIRS)
