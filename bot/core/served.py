"""What is read beside a model in order to decide: replies, emergency lexicon, narrower replies, the catalogue of questions.

The project's own files are the trainers' draft. Each model has a copy of what went with it, named by its hash, hence never changed:

models/<hash>.tar.gz
models/<hash>.files/  domain.yml  data/danger.yml  data/precisions.yml  data/answers/*.yml
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bot.core import catalogue

SUFFIX = ".tar.gz"
NAMES = ("domain.yml", "data/danger.yml", "data/precisions.yml")  # of every project
MEANINGS = "meanings.npz"  # in models/: what an earlier training need not do again (bot/engine/encoder/kept.py)
FOLDERS = (catalogue.FOLDER,)  # of which every file counts; a project may have none


def folder(archive: Path) -> Path:
    """Where the copies of a model stand, if it has some."""
    return archive.with_name(archive.name[: -len(SUFFIX)] + ".files")


def beside(archive: Path, root: Path) -> Path:
    """The folder that holds what `names` says for a model: its own copies, `root` without them."""
    own = folder(archive)
    return own if own.is_dir() else root


def names(root: Path) -> list[str]:
    """What a folder should hold and what it holds of `FOLDERS`, each named from it."""
    return [*NAMES, *catalogue.names(root)]


def read(root: Path) -> dict[str, bytes]:
    """The files of a folder, by name; those that are not there are left out. Raises OSError."""
    return {name: (root / name).read_bytes() for name in names(root) if (root / name).is_file()}


def keep(archive: Path, files: Mapping[str, bytes]) -> None:
    """Leave the copies of a model, whole or not at all; those that stand there already are the same. Raises OSError."""
    own = folder(archive)
    if own.is_dir():
        return
    draft = Path(tempfile.mkdtemp(dir=archive.parent, prefix=".files-"))
    try:
        for name, content in files.items():
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
        draft.chmod(0o755)
        _take_place(draft, own)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def mend(archive: Path, files: Mapping[str, bytes]) -> None:
    """As `keep`, for whoever knows that these very files belong to the hash: copies that were damaged are made anew."""
    if read(folder(archive)) != files:
        forget(archive)
    keep(archive, files)


def follow(archive: Path, to: Path) -> None:
    """Leave the copies of a model in another folder of models as well. Raises OSError."""
    own = folder(archive)
    if own.is_dir():
        keep(to / archive.name, read(own))


def forget(archive: Path) -> None:
    """Remove the copies of a model."""
    shutil.rmtree(folder(archive), ignore_errors=True)


def _take_place(draft: Path, own: Path) -> None:
    """Rename, unless somebody was faster."""
    try:
        os.rename(draft, own)
    except OSError:
        if not own.is_dir():
            raise
