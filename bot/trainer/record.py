"""git as the record of what trainers publish: one commit a publication, one that takes it back, a branch on the remote.

Only `RECORDED` paths are ever recorded. Taking back keeps what was changed since: later commits stay, what stands uncommitted
in the files is merged; where both touched the same lines nothing at all is done.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bot.trainer.errors import Changed, NoGit
from bot.trainer.project import RECORDED, Project

BRANCH = "planton/atelier"  # on the remote; ours alone, never forced
OLDEST = (2, 40)  # git: `merge-tree --write-tree --merge-base`
CONFLICTS = range(1, 128)  # exit codes of merge-file: how many conflicts; above, an error
SUBJECT = 72  # characters of a commit's first line
_NO_GIT = "Faites-en un dépôt : git init, puis git add . et git commit (le guide du formateur le montre)."

Files = Mapping[str, bytes]


def author(name: str) -> str:
    """« Name <address> » of an account, with an address that nobody can write to."""
    plain = "".join(c for c in name if c.isprintable() and c not in "<>").strip() or "atelier"
    return f"{plain} <atelier@planton.invalid>"


def head(project: Project) -> str:
    """The present commit. Raises NoGit with the remedy when there is none, or when git is too old to take anything back."""
    suits(project.git("--version"))
    try:
        return project.head()
    except NoGit as error:
        if "git init" in error.remedy or "installez" in error.remedy.lower():
            raise
        raise NoGit("Le dossier de Planton n’est pas un dépôt git, ou n’a pas d’enregistrement.", _NO_GIT) from None


def suits(said: str) -> None:
    """Raises NoGit when this git (`git version 2.47.3`) lacks what a publication needs to be taken back."""
    found = re.search(r"(\d+)\.(\d+)(\.\d+)*", said)
    if found and (int(found[1]), int(found[2])) < OLDEST:
        raise NoGit(
            f"git {found[0]} est trop ancien : une publication ne pourrait pas être défaite.",
            f"Installez git {OLDEST[0]}.{OLDEST[1]} ou plus récent (Debian 13 le porte), puis réessayez.",
        )


def commit(project: Project, who: str, message: str) -> str:
    """Record the files as they stand; the new commit, or "" when there was nothing to record. Inside `project.lock()`."""
    before = head(project)
    here = [name for name in RECORDED if (project.root / name).exists()]
    project.git("add", "--update", "--", *here)
    project.git("add", "--", ":(glob)data/**/*.yml")
    project.git(*_COMMIT, f"--message={_said(message)}", "--", *here, author=who, check=False)
    after = project.head()
    if after == before and project.git("status", "--porcelain", "--untracked-files=no", "--", *here).strip():
        raise NoGit("git n’a pas enregistré les fichiers.", "Faites « git status » dans le dossier de Planton.")
    return "" if after == before else after


_COMMIT = ("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--cleanup=whitespace")


def taken_back(project: Project, commits: Sequence[str]) -> str:
    """The tree without these commits, the newest first. Raises Changed when later commits touched the same lines, NoGit when git
    cannot tell."""
    tree = "HEAD^{tree}"
    for one in commits:
        ours = project.git("commit-tree", tree, "-p", "HEAD", "-m", "ours", author=author("atelier")).strip()
        try:
            tree = project.git("merge-tree", "--write-tree", f"--merge-base={one}", ours, f"{one}^").split("\n")[0]
        except NoGit as error:
            if error.code != 1:  # 1: conflicts
                raise
            raise Changed(
                f"L’enregistrement {one[:8]} ne se défait pas : les mêmes lignes ont été changées depuis.",
                "Reprenez ces lignes à la main dans « Exemples », puis faites un nouvel essai ; rien n’a été changé.",
            ) from None
    return tree


def take_back(project: Project, commits: Sequence[str], who: str, message: str, keep_files: bool = False) -> str:
    """One commit that takes these back (newest first); "" when there is nothing to take back. Inside `project.lock()`.

    `keep_files`: the record alone goes back, the files stay as they are, as a draft. Raises Changed, and has done nothing then.
    """
    commits = [one for one in commits if one]
    if not commits:
        return ""
    before = head(project)
    tree = taken_back(project, commits)
    if tree == project.git("rev-parse", "HEAD^{tree}").strip():
        return ""
    writes = {} if keep_files else merged(project, before, tree)
    said = _said(message) + "\n\n" + "\n".join(f"Annule l’enregistrement {one}." for one in commits)
    after = project.git("commit-tree", tree, "-p", before, "-m", said, author=who).strip()
    project.git("update-ref", "-m", "planton", "HEAD", after, before)
    write(project, writes)
    project.git("reset", "--quiet", "--", *RECORDED)
    return after


def merged(project: Project, before: str, after: str) -> dict[str, bytes | None]:
    """What to write so that the files go from one commit or tree to another, with what stands uncommitted kept. None: remove.

    Raises Changed when an uncommitted change touches the same lines.
    """
    old, new = archived(project, before), archived(project, after)
    found: dict[str, bytes | None] = {}
    for name in sorted({*old, *new}):
        was, will = old.get(name), new.get(name)
        if was == will:
            continue
        path = project.path(name)
        stands = path.read_bytes() if path.is_file() else None
        if stands == will:
            continue
        found[name] = will if stands == was else _three(project, name, stands, was, will)
    return found


def _three(project: Project, name: str, stands: bytes | None, was: bytes | None, will: bytes | None) -> bytes:
    refusal = Changed(
        f"{name} porte des changements qui ne sont pas publiés, aux mêmes lignes.",
        "Annulez-les dans « Changements », ou publiez-les d’abord ; rien n’a été changé.",
    )
    if stands is None or was is None or will is None:
        raise refusal
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for label, content in (("stands", stands), ("was", was), ("will", will)):
            paths.append(Path(folder) / label)
            paths[-1].write_bytes(content)
        try:
            project.git("merge-file", "--quiet", *map(str, paths))
        except NoGit as error:
            if error.code not in CONFLICTS:
                raise
            raise refusal from None
        return paths[0].read_bytes()


def write(project: Project, files: Mapping[str, bytes | None]) -> None:
    """Replace or remove files, each at once."""
    for name, content in files.items():
        path = project.path(name)
        if content is None:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.part")
        draft.write_bytes(content)
        os.replace(draft, path)


def archived(project: Project, tree: str) -> Files:
    """The recorded files of a commit or tree, as they are, byte for byte."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "tree.tar"
        held = project.git("ls-tree", "-r", "--name-only", tree, "--", *RECORDED).split("\n")
        known = [name for name in RECORDED if any(one == name or one.startswith(f"{name}/") for one in held)]
        project.git("archive", f"--output={out}", tree, "--", *known)
        found: dict[str, bytes] = {}
        with tarfile.open(fileobj=io.BytesIO(out.read_bytes())) as kept:
            for member in kept:
                content = kept.extractfile(member) if member.isfile() else None
                if content is not None:
                    found[member.name] = content.read()
    return found


def push(project: Project) -> str:
    """Send what is recorded to the remote, if there is one: "" when it was sent or there is none, else why not, with the remedy."""
    remote = "origin"
    try:
        remotes = [name for name in project.git("remote").split("\n") if name]
        if not remotes:
            return ""
        remote = remote if remote in remotes else remotes[0]
        project.git("push", "--quiet", "--no-verify", remote, f"HEAD:refs/heads/{BRANCH}")
    except NoGit as error:
        return (
            f"L’envoi vers « {remote} » n’a pas abouti ({error.what}). Le modèle sert et les données sont enregistrées ici. "
            f"Vérifiez le réseau et les droits, puis faites : git push {remote} HEAD:refs/heads/{BRANCH}"
        )
    return ""


def _said(message: str) -> str:
    """A commit's message: a first line that is not too long, the whole below when it is."""
    lines = [line.rstrip() for line in message.strip().splitlines()] or ["Publication"]
    first = lines[0] or "Publication"
    if len(first) > SUBJECT:
        lines = [first[: SUBJECT - 1] + "…", "", first, *lines[1:]]
    elif len(lines) > 1 and lines[1]:
        lines = [first, "", *lines[1:]]
    return "\n".join(lines)
