"""The catalogue's files (`data/answers/<intent>.yml`) under change: questions rewritten in place, added, taken away.

    change(project, lambda book: Wanted({id: question}), allow) -> moves    # under the project's lock, all or nothing
    undo(project, moves)                                                    # as long as nobody changed the same since

Only the lines that a change is about are written; every other line keeps its bytes, comments included. What was written is read
back and must say exactly what was meant before it replaces a file. A question is told apart from a later one by `Book.seen`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from bot.core import catalogue
from bot.core.catalogue import Question
from bot.core.system_errors import reason
from bot.core.yaml_text import Damaged
from bot.trainer.corpus import short
from bot.trainer.errors import BadFile, Changed, TrainerError
from bot.trainer.project import Project
from bot.trainer.question_text import Block, File, answered, asked, same
from bot.trainer.replies import Move

FIRST = "-"  # the place before all other questions
_FOLLOWED = re.compile(r"# Elle suivait (\S+)\.\n")
_HEAD = 'version: "3.1"\n\nnlu:\n'


@dataclass(frozen=True)
class Wanted:
    """Questions as they should be, by id; None: taken away. `beside`: by id of a new one, the question that it shall follow
    (FIRST: none); without it, it comes last in its file."""

    questions: Mapping[str, Optional[Question]]
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Book:
    """All files of the catalogue by name, and the questions by id in their order. Of two of one id, the first."""

    files: Mapping[str, File] = field(default_factory=dict)

    @classmethod
    def read(cls, project: Project) -> Book:
        """As it stands; a file that has not changed is not parsed again. Blocks. Raises BadFile."""
        return cls.of({name: project.read(name) for name in catalogue.names(project.root)})

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> Book:
        """Of the files' texts. Raises BadFile."""
        return cls({name: _file(name, text) for name, text in texts.items()})

    @property
    def questions(self) -> dict[str, Question]:
        """By id."""
        found: dict[str, Question] = {}
        for file in self.files.values():
            for one in file.questions.values():
                found.setdefault(one.id, one)
        return found

    def get(self, id_: str) -> Optional[Question]:
        """A question, None where there is none of that name."""
        holder = self._holder(id_)
        return None if holder is None else holder.questions[id_]

    def said(self, id_: str) -> str:
        """The lines of a question, examples and answer, as a small file; "" of one that is not there."""
        holder = self._holder(id_)
        return "" if holder is None else holder.said(id_).text

    def seen(self, id_: str) -> str:
        """What tells this state of a question from a later one."""
        return hashlib.sha256(self.said(id_).encode()).hexdigest()[:16]

    def before(self, id_: str) -> str:
        """The question that stands before one in its file, FIRST if none does."""
        holder = self._holder(id_)
        order = list(holder.questions) if holder else []
        place = order.index(id_) if id_ in order else 0
        return order[place - 1] if place else FIRST

    def with_(self, wanted: Wanted) -> Book:
        """The book with these questions as they should be. Raises TrainerError for what cannot be written."""
        blocks = {id_: self._written(id_, one) for id_, one in wanted.questions.items()}
        made = self.with_blocks(blocks, wanted.beside)
        for id_, one in wanted.questions.items():
            present = made.get(id_)
            if (present is None) != (one is None) or (one and present and not same(present, one)):
                raise TrainerError(
                    f"«\u00a0{id_}\u00a0» ne peut pas s’écrire ainsi. Rien n’a été changé.",
                    "Retirez les caractères inhabituels, puis enregistrez.",
                )
        return made

    def with_blocks(self, blocks: Mapping[str, Optional[Block]], beside: Mapping[str, str]) -> Book:
        """The book with these lines in place of the questions'; None takes one away. Raises BadFile when that is none any more."""
        files = dict(self.files)
        for id_, block in blocks.items():
            holder = self._holder(id_)
            name = holder.name if holder else file_of(id_)
            if name not in files:
                files[name] = File.empty(name, _HEAD)
            # Each change moves the lines below it: the file is read again, which takes a few milliseconds.
            text = files[name].with_block(id_, block, beside.get(id_, ""))
            files[name] = _file(name, text) if text else File.empty(name, _HEAD)
        made = Book({name: file for name, file in files.items() if file.questions or file.others})
        if not all(_spares(file, made.files.get(name), set(blocks)) for name, file in self.files.items()):
            raise TrainerError(
                "Ce changement ne s’écrit pas sans toucher à une autre question. Rien n’a été changé.",
                "Corrigez le fichier à la main.",
            )
        return made

    def _holder(self, id_: str) -> Optional[File]:
        return next((file for file in self.files.values() if id_ in file.questions), None)

    def _written(self, id_: str, wanted: Optional[Question]) -> Optional[Block]:
        if wanted is None:
            return None
        holder = self._holder(id_) or self.files.get(file_of(id_))
        model = holder.model() if holder else None
        old = holder.said(id_) if holder and id_ in holder.questions else None
        present = holder.questions[id_] if holder and old else None
        return Block(asked(wanted, present, old, model), answered(wanted, present, old))


def _spares(before: File, after: Optional[File], changed: Collection[str]) -> bool:
    """Whether a file's other questions keep their lines."""
    if after is before:
        return True
    kept = [id_ for id_ in before.questions if id_ not in changed]
    return all(after is not None and id_ in after.questions and before.said(id_) == after.said(id_) for id_ in kept)


def file_of(id_: str) -> str:
    """The file that a question of that id belongs in."""
    return f"{catalogue.FOLDER}/{id_.partition('/')[0]}.yml"


def _file(name: str, text: str) -> File:
    try:
        return File.of(name, text)
    except Damaged as error:
        raise BadFile(name, error.what, error.remedy, error.line, error.column) from None


# Given the catalogue before and after; refuses by raising TrainerError.
Allow = Callable[[Book, Book], None]


def change(project: Project, make: Callable[[Book], Wanted], allow: Optional[Allow] = None) -> tuple[Move, ...]:
    """Write what `make` wants of the catalogue as it now stands, under the project's lock; what was done to each question.

    Blocks. Raises what `make` and `allow` raise, BadFile, TrainerError; nothing is then written.
    """
    with project.lock():
        present = Book.read(project)
        wanted = make(present)
        made = present.with_(wanted)
        return _save(project, present, made, list(wanted.questions), allow)


def try_out(project: Project, make: Callable[[Book], Wanted], allow: Allow) -> None:
    """Raise what `change` would raise; nothing is written. Blocks."""
    present = Book.read(project)
    allow(present, present.with_(make(present)))


def undo(project: Project, moves: Sequence[Move], allow: Optional[Allow] = None) -> tuple[Move, ...]:
    """Put back the lines that stood there before; refused with Changed where they were changed again since. Blocks."""
    with project.lock():
        present = Book.read(project)
        blocks, beside = {}, {}
        for move in moves:
            followed = _FOLLOWED.fullmatch(move.after)
            if present.said(move.name) != ("" if followed else move.after):
                raise Changed(
                    f"«\u00a0{move.name}\u00a0» a encore changé depuis\u00a0: l’annulation effacerait ce changement.",
                    "Ouvrez la question et corrigez-la.",
                )
            blocks[move.name] = Block.of(move.before)
            if followed:
                beside[move.name] = followed[1]
        made = present.with_blocks(blocks, beside)
        return _save(project, present, made, [move.name for move in moves], allow)


def must_be_seen(book: Book, id_: str, seen: str) -> Question:
    """The question, if it is as it was shown. Raises Changed."""
    present = book.get(id_)
    if present is None:
        raise Changed(
            f"La question «\u00a0{short(id_)}\u00a0» n’existe plus.", "Revenez à la liste\u00a0: elle a pu être réunie."
        )
    if seen != book.seen(id_):
        raise Changed(
            f"Quelqu’un d’autre vient de changer «\u00a0{id_}\u00a0». Rien n’a été changé.",
            "Comparez les deux, puis enregistrez le vôtre ou gardez le sien.",
        )
    return present


def _save(
    project: Project, present: Book, made: Book, names: Sequence[str], allow: Optional[Allow]
) -> tuple[Move, ...]:
    if allow is not None:
        allow(present, made)
    for name in {**present.files, **made.files}:
        old, new = present.files.get(name), made.files.get(name)
        if new is None:
            _remove(project, name)
        elif old is None or old.text != new.text:
            project.path(name).parent.mkdir(exist_ok=True)
            project.write(name, new.text)
    moves = (Move(id_, present.said(id_), made.said(id_) or _place(present, id_)) for id_ in names)
    return tuple(move for move in moves if move.before != move.after)


def _place(present: Book, id_: str) -> str:
    """What is kept of where a question stood that is taken away."""
    return f"# Elle suivait {present.before(id_)}.\n"


def _remove(project: Project, name: str) -> None:
    """A file without questions is no catalogue file."""
    try:
        project.path(name).unlink()
    except OSError as error:
        raise TrainerError(f"{name} ne se retire pas ({reason(error)}).", "Vérifiez les droits du dossier.") from None
