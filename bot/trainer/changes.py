"""What has changed in the trainers' files since the last commit: each line, with the intent, reply or question that it is about."""

from __future__ import annotations

import bisect
import functools
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bot.core import catalogue
from bot.core.yaml_text import Damaged
from bot.trainer.corpus import BACKGROUND, NLU, read_file, short
from bot.trainer.errors import BadFile, Changed, TrainerError
from bot.trainer.project import RECORDED, Project

MOST = 400  # lines of a file that are shown
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_REPLY = re.compile(r"  (\w+):\s*$")

Sign = Literal["+", "-"]


@dataclass(frozen=True)
class Line:
    """One line that came (`+`, its number now) or went (`-`, its number in the last commit).

    `about`: the intent, list or reply it belongs to, "" if none. `example`: what it says as an example of an intent, "" otherwise;
    `before`: of one that went, the example that stood before it.
    """

    sign: Sign
    number: int
    text: str
    about: str = ""
    example: str = ""
    before: str = ""


@dataclass(frozen=True)
class ChangedFile:
    """A file that is not as it was committed. `lines`: the first ones; `plus`, `minus`: how many in all.

    `new`: git does not know it yet; `gone`: it was deleted; `seen`: a name of the text as it now stands; `damaged`: why it cannot
    be read.
    """

    name: str
    lines: tuple[Line, ...]
    plus: int
    minus: int
    seen: str
    new: bool = False
    gone: bool = False
    damaged: BadFile | None = None


def changes(project: Project) -> list[ChangedFile]:
    """The changed files, those of examples first. Blocks. Raises NoGit."""
    told = project.git("diff", "--no-color", "--no-ext-diff", "--no-renames", "--name-only", "HEAD", "--", *RECORDED)
    fresh = project.git("ls-files", "--others", "--exclude-standard", "--", *RECORDED)
    names = [*dict.fromkeys((*told.splitlines(), *fresh.splitlines()))]
    names.sort(key=lambda name: (name != NLU, not name.startswith(BACKGROUND), name))
    return [_changed(project, name, name in fresh.splitlines()) for name in names]


@dataclass(frozen=True)
class Discarded:
    """A file that went back. `kept`: git's id of what it held, "" of a deleted one; `before`, `after`: its bytes."""

    name: str
    kept: str
    before: bytes | None
    after: bytes


def discard(project: Project, name: str, seen: str) -> Discarded:
    """A file as it was committed last; what it held is kept in git's store for some weeks. Blocks.

    `seen`: `ChangedFile.seen` of what was shown. Raises Changed when it is not so any more, TrainerError.
    """
    with project.lock():
        found = next((one for one in changes(project) if one.name == name), None)
        if found is None:
            raise Changed(
                f"{short(name) or 'Ce fichier'} est déjà comme à la dernière publication.",
                "Il n’y a rien à abandonner.",
            )
        if found.new:
            raise TrainerError(
                f"{name} n’a jamais été publié\u00a0: il n’a pas d’état où revenir.", "Retirez-le à la main."
            )
        if found.seen != seen:
            raise Changed(
                f"{name} a encore changé depuis que cette page est ouverte. Rien n’a été abandonné.",
                "Relisez ses changements.",
            )
        kept = "" if found.gone else project.git("hash-object", "-w", "--", name).strip()
        before = None if found.gone else project.path(name).read_bytes()
        project.git("checkout", "HEAD", "--", name)
        return Discarded(name, kept, before, project.path(name).read_bytes())


def put_back(project: Project, done: Discarded) -> None:
    """A file as it was before `discard`, if nobody has changed it since. Blocks."""
    with project.lock():
        place = project.path(done.name)
        if place.is_file() and place.read_bytes() == done.after:
            if done.before is None:
                place.unlink()
            else:
                project.replace(done.name, done.before)


def _changed(project: Project, name: str, new: bool) -> ChangedFile:
    place = project.path(name)
    raw = place.read_bytes() if place.is_file() else None
    seen = hashlib.sha256(raw or b"").hexdigest()[:16]
    text, damaged = "", None
    if raw is not None:
        try:
            text = project.read(name)
            if name == NLU or name.startswith(BACKGROUND):
                read_file(name, text)
            elif name.startswith(f"{catalogue.FOLDER}/"):
                catalogue.parse(name, text)
        except Damaged as error:
            damaged = BadFile(name, error.what, error.remedy, error.line, error.column)
        except BadFile as error:
            damaged = error
    if new:
        raws = [("+", number, line) for number, line in enumerate(text.split("\n")[:-1], 1)]
        old = ""
    else:
        told = project.git("diff", "--no-color", "--no-ext-diff", "--no-renames", "-U0", "HEAD", "--", name)
        raws = list(_lines(told))
        old = project.git("show", f"HEAD:{name}")
    about = {"+": _places(name, text), "-": _places(name, old)}
    lines = [_line(sign, number, line, about[sign]) for sign, number, line in raws[:MOST]]
    plus = sum(sign == "+" for sign, _, _ in raws)
    return ChangedFile(name, tuple(lines), plus, len(raws) - plus, seen, new, raw is None, damaged)


def _lines(diff: str) -> Iterator[tuple[str, int, str]]:
    """(sign, line number, text) of each changed line of one file's diff."""
    old = new = 0
    begun = False
    for line in diff.split("\n"):
        hunk = _HUNK.match(line)
        if hunk:
            begun, old, new = True, int(hunk[1]), int(hunk[2])
        elif begun and line.startswith("-"):
            yield "-", old, line[1:]
            old += 1
        elif begun and line.startswith("+"):
            yield "+", new, line[1:]
            new += 1


@dataclass(frozen=True)
class _Places:
    """What the lines of a text are about: where each thing begins and ends, in the order of lines."""

    starts: tuple[int, ...] = ()
    names: tuple[tuple[str, str, int, tuple[str, ...]], ...] = ()  # kind, name, first example's line, examples


@functools.lru_cache(maxsize=16)
def _places(name: str, text: str) -> _Places:
    if name == NLU or name.startswith(BACKGROUND):
        try:
            blocks = read_file(name, text).blocks
        except BadFile:
            return _Places()
        return _Places(tuple(b.line for b in blocks), tuple((b.kind, b.name, b.first, b.items) for b in blocks))
    if name.startswith(f"{catalogue.FOLDER}/"):
        return _questions(name, text)
    if name != "domain.yml":
        return _Places()
    found = [(number, match[1]) for number, line in enumerate(text.split("\n"), 1) if (match := _REPLY.match(line))]
    return _Places(tuple(number for number, _ in found), tuple(("reply", reply, 0, ()) for _, reply in found))


def _questions(name: str, text: str) -> _Places:
    """The examples and the answer of each question, both under its name."""
    try:
        questions = catalogue.parse(name, text).questions if text else ()
    except Damaged:
        return _Places()
    found = sorted((line, one.id) for one in questions for line in (one.line, one.answer_line))
    return _Places(tuple(line for line, _ in found), tuple(("answer", id_, 0, ()) for _, id_ in found))


def _line(sign: str, number: int, text: str, places: _Places) -> Line:
    which = bisect.bisect_right(places.starts, number) - 1
    mark: Sign = "+" if sign == "+" else "-"
    if which < 0:
        return Line(mark, number, text)
    kind, about, first, items = places.names[which]
    place = number - first
    if kind != "intent" or not 0 <= place < len(items):
        return Line(mark, number, text, about)
    return Line(mark, number, text, about, items[place], items[place - 1] if place else "")
