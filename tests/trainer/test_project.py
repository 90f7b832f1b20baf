"""The project's folder: whole writes, one writer at a time, French words for what is wrong."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bot.trainer.errors import BadFile, NoGit, TrainerError
from bot.trainer.project import BIGGEST_FILE, Project
from tests.fakes.project import AUTHOR, copied


def test_a_write_replaces_the_whole_file_and_keeps_its_rights(tmp_path: Path) -> None:
    project = Project(tmp_path)
    (tmp_path / "a.yml").write_text("ancien")
    (tmp_path / "a.yml").chmod(0o640)
    project.write("a.yml", "nouveau\r\n« é »")
    assert project.read("a.yml") == "nouveau\r\n« é »"
    assert [(p.name, p.stat().st_mode & 0o777) for p in tmp_path.iterdir()] == [("a.yml", 0o640)]


def test_a_file_outside_is_never_touched(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside"):
        Project(tmp_path).write("../a.yml", "")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "ne se lit pas"),
        (b"un\ndeux \xff", "ligne 2, colonne 6 : ce n’est pas de l’UTF-8"),
        (b"x" * (BIGGEST_FILE + 1), "20 Mo"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "a.yml").write_bytes(content)
    with pytest.raises(BadFile, match=said):
        Project(tmp_path).read("a.yml")


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    project, order = Project(tmp_path), []

    def second() -> None:
        with project.lock():
            order.append("second")

    with project.lock():
        thread = threading.Thread(target=second)
        thread.start()
        with pytest.raises(TrainerError, match="Quelqu’un d’autre"), Project(tmp_path).lock(patience=0.1):
            order.append("never")
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_what_git_refuses_is_said_in_french(tmp_path: Path) -> None:
    with pytest.raises(NoGit, match="git rev-parse a refusé"):
        Project(tmp_path).head()
    project = copied(tmp_path / "projet")
    assert len(project.head()) == 40
    assert project.git("log", "--format=%an <%ae>").strip() == AUTHOR
    assert project.git("status", "--porcelain") == ""


def test_what_the_last_commit_has_is_read_byte_for_byte(tmp_path: Path) -> None:
    with pytest.raises(NoGit):
        Project(tmp_path).recorded(["a.yml"])
    project = copied(tmp_path / "projet")
    (project.root / "data" / "é è.yml").write_bytes(b"un\r\ndeux \xff")
    (project.root / "data" / "vide.yml").write_bytes(b"")
    project.git("add", ".")
    project.git("commit", "--quiet", "--message", "Octets", author=AUTHOR)
    before = project.path("domain.yml").read_bytes()
    project.write("domain.yml", "autre")
    assert project.recorded(["data/é è.yml", "data", "data/absent.yml", "data/vide.yml", "domain.yml"]) == {
        "data/é è.yml": b"un\r\ndeux \xff",
        "data": None,
        "data/absent.yml": None,
        "data/vide.yml": b"",
        "domain.yml": before,
    }
