"""git as the record: what a publication commits, what taking it back keeps, what is sent where."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bot.trainer import record
from bot.trainer.errors import Changed, NoGit
from bot.trainer.project import Project

WHO = record.author("claire")
NLU = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\ng: 7\nh: 8\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Four small files in a repository, and a file of code beside them."""
    one = Project(tmp_path / "projet")
    (one.root / "data" / "fonds").mkdir(parents=True)
    for name, text in (
        ("config.yml", "x: 1\n"),
        ("domain.yml", "y: 1\n"),
        ("data/nlu.yml", NLU),
        ("data/fonds/a.yml", "z: 1\n"),
        ("code.py", "1\n"),
    ):
        (one.root / name).write_bytes(text.encode())
    one.git("init", "--quiet", "--initial-branch=main")
    one.git("add", ".")
    one.git("commit", "--quiet", "--message", "Début", author=WHO)
    return one


def changed(project: Project, old: str, new: str, name: str = "data/nlu.yml") -> None:
    text = project.read(name)
    assert old in text
    (project.root / name).write_bytes(text.replace(old, new).encode())


def status(project: Project) -> list[str]:
    return [line for line in project.git("status", "--porcelain").splitlines() if "models" not in line]


def test_a_commit_holds_the_recorded_files_alone_under_the_accounts_name(project: Project) -> None:
    changed(project, "a: 1", "a: un")
    changed(project, "1", "2", "code.py")
    (project.root / "data" / "fonds" / "b.yml").write_text("neuf: 1\n")
    (project.root / "data" / "notes.txt").write_text("à moi\n")
    project.git("add", "code.py")  # somebody prepares a commit of their own
    made = record.commit(project, record.author("claire <x>"), "Vélos volés\nVingt exemples")
    assert made == project.head()
    assert project.git("show", "--format=%an|%ae|%s", "--name-only", made).split() == [
        "claire",
        "x|atelier@planton.invalid|Vélos",
        "volés",
        "data/fonds/b.yml",
        "data/nlu.yml",
    ]
    assert project.git("show", "-s", "--format=%B", made).strip() == "Vélos volés\n\nVingt exemples"
    assert status(project) == ["M  code.py", "?? data/notes.txt"]
    assert record.commit(project, WHO, "rien") == ""


def test_without_a_repository_the_remedy_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(NoGit) as refused:
        record.commit(Project(tmp_path), WHO, "x")
    assert "git init" in refused.value.remedy


def test_taking_back_is_a_commit_and_keeps_what_came_since(project: Project) -> None:
    changed(project, "a: 1", "a: un")
    first = record.commit(project, WHO, "premier")
    changed(project, "e: 5", "e: cinq")
    project.git("commit", "--quiet", "--all", "--message", "à la main", author=WHO)
    changed(project, "h: 8", "h: huit")  # not recorded yet
    back = record.take_back(project, [first], WHO, "Retour")
    assert back == project.head()
    assert project.read("data/nlu.yml") == NLU.replace("e: 5", "e: cinq").replace("h: 8", "h: huit")
    assert project.git("show", "HEAD:data/nlu.yml") == NLU.replace("e: 5", "e: cinq")
    assert f"Annule l’enregistrement {first}." in project.git("show", "-s", "--format=%B", back)
    assert status(project) == [" M data/nlu.yml"]


def test_several_are_taken_back_in_one_commit_and_that_one_as_well(project: Project) -> None:
    made = []
    for old, new in (("a: 1", "a: un"), ("a: un", "a: uno"), ("b: 2", "b: deux")):
        changed(project, old, new)
        made.append(record.commit(project, WHO, new))
    (project.root / "data" / "fonds" / "b.yml").write_text("neuf: 1\n")
    made.append(record.commit(project, WHO, "un fichier de plus"))
    back = record.take_back(project, list(reversed(made)), WHO, "Retour")
    assert project.read("data/nlu.yml") == NLU
    assert not (project.root / "data" / "fonds" / "b.yml").exists()
    assert project.git("rev-parse", f"{back}^").strip() == made[-1]
    assert status(project) == []
    record.take_back(project, [back], WHO, "En avant")
    assert project.read("data/nlu.yml").startswith("a: uno\nb: deux\n")
    assert (project.root / "data" / "fonds" / "b.yml").exists()
    assert status(project) == []


@pytest.mark.parametrize("recorded", [True, False])
def test_the_same_lines_changed_since_stop_it_and_nothing_is_half_done(project: Project, recorded: bool) -> None:
    changed(project, "a: 1", "a: un")
    (project.root / "domain.yml").write_text("y: 2\n")
    first = record.commit(project, WHO, "premier")
    changed(project, "a: un", "a: autre chose")
    if recorded:
        project.git("commit", "--quiet", "--all", "--message", "à la main", author=WHO)
    before = (project.head(), project.read("data/nlu.yml"), project.read("domain.yml"), status(project))
    with pytest.raises(Changed) as refused:
        record.take_back(project, [first], WHO, "Retour")
    assert "rien n’a été changé" in refused.value.remedy
    assert before == (project.head(), project.read("data/nlu.yml"), project.read("domain.yml"), status(project))


def git_says(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    """A git before the real one: it does what the script says, and all else as usual."""
    real, own = shutil.which("git"), folder / "bin"
    own.mkdir()
    (own / "git").write_text(f'#!/bin/sh\n{script}\nexec {real} "$@"\n')
    (own / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{own}:{os.environ['PATH']}")


def test_a_git_that_cannot_take_back_is_refused_before_anything_is_recorded(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(project, "a: 1", "a: un")
    before = (project.head(), status(project))
    git_says(
        monkeypatch,
        tmp_path,
        '[ "$1 $2 $3" = "-c core.quotepath=off --version" ] && { echo git version 2.39.5; exit; }',
    )
    with pytest.raises(NoGit, match=r"git 2\.39\.5 est trop ancien") as refused:
        record.commit(project, WHO, "premier")
    assert "git 2.40 ou plus récent" in refused.value.remedy
    assert before == (project.head(), status(project))


@pytest.mark.parametrize(
    "version", ["git version 2.40.0", "git version 2.39.5 (Apple Git-154)", "git version 3.0", "?"]
)
def test_which_git_suits(version: str) -> None:
    if "2.39" in version:
        with pytest.raises(NoGit):
            record.suits(version)
    else:
        record.suits(version)


@pytest.mark.parametrize("command", ["merge-tree", "merge-file"])
def test_what_git_cannot_do_is_not_told_as_a_conflict(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    changed(project, "a: 1", "a: un")
    first = record.commit(project, WHO, "premier")
    changed(project, "h: 8", "h: huit")  # a draft: merge-file has work to do
    before = (project.head(), project.read("data/nlu.yml"))
    git_says(monkeypatch, tmp_path, f'[ "$3" = {command} ] && {{ echo fatal: index file corrupt >&2; exit 129; }}')
    with pytest.raises(NoGit, match="index file corrupt"):
        record.take_back(project, [first], WHO, "Retour")
    assert before == (project.head(), project.read("data/nlu.yml"))


def test_the_record_alone_goes_back(project: Project) -> None:
    changed(project, "a: 1", "a: un")
    first = record.commit(project, WHO, "premier")
    record.take_back(project, [first], WHO, "Abandon", keep_files=True)
    assert project.read("data/nlu.yml").startswith("a: un\n")
    assert project.git("show", "HEAD:data/nlu.yml") == NLU
    assert status(project) == [" M data/nlu.yml"]


def test_line_ends_and_bytes_stay(project: Project) -> None:
    (project.root / "domain.yml").write_bytes(b"y: 1\r\nz: 2\r\n")
    record.commit(project, WHO, "premier")
    (project.root / "domain.yml").write_bytes(b"y: 1\n")
    second = record.commit(project, WHO, "second")
    record.take_back(project, [second], WHO, "Retour")
    assert (project.root / "domain.yml").read_bytes() == b"y: 1\r\nz: 2\r\n"


def remote(project: Project, folder: Path) -> Path:
    bare = folder / "distant.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(bare)], check=True)
    project.git("remote", "add", "origin", str(bare))
    return bare


def branches(bare: Path) -> list[str]:
    found = subprocess.run(["git", "branch", "--format=%(refname:short)"], cwd=bare, check=True, capture_output=True)
    return found.stdout.decode().split()


def test_it_is_sent_on_a_branch_of_its_own(project: Project, tmp_path: Path) -> None:
    assert record.push(project) == ""  # no remote: nothing to say
    bare = remote(project, tmp_path)
    assert record.push(project) == ""
    assert branches(bare) == ["planton/atelier"]
    changed(project, "a: 1", "a: un")
    record.commit(project, WHO, "premier")
    assert record.push(project) == ""


def test_what_others_sent_meanwhile_is_never_overwritten(project: Project, tmp_path: Path) -> None:
    bare = remote(project, tmp_path)
    record.push(project)
    elsewhere = tmp_path / "ailleurs"
    subprocess.run(["git", "clone", "--quiet", "--branch", record.BRANCH, str(bare), str(elsewhere)], check=True)
    other = Project(elsewhere)
    changed(other, "b: 2", "b: deux")
    other.git("commit", "--quiet", "--all", "--message", "ailleurs", author=WHO)
    other.git("push", "--quiet", "origin", "HEAD")
    changed(project, "a: 1", "a: un")
    record.commit(project, WHO, "premier")
    told = record.push(project)
    assert "n’a pas abouti" in told
    assert "git push origin HEAD:refs/heads/planton/atelier" in told
    kept = subprocess.run(["git", "rev-parse", record.BRANCH], cwd=bare, check=True, capture_output=True).stdout
    assert kept.decode().strip() == other.head()


def test_a_long_first_line_is_cut_and_kept_whole_below(project: Project) -> None:
    changed(project, "a: 1", "a: un")
    words = "mot " * 30
    record.commit(project, WHO, words)
    said = project.git("show", "-s", "--format=%B", "HEAD").strip().splitlines()
    assert len(said[0]) == record.SUBJECT
    assert said[2] == words.strip()
