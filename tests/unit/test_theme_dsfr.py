"""The State's theme: nothing is fetched before its terms are accepted, nothing is installed whose terms are others."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot.console import dsfr
from scripts import theme_dsfr

ROOT = Path(__file__).resolve().parents[2]
TEXT = "les conditions d’un essai"


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An npm that brings a package of empty files; the file tells whether it ran."""
    ran, tools = tmp_path / "npm-ran", tmp_path / "tools"
    tools.mkdir()
    files = " ".join(f"dist/{name}" for name in dsfr.FILES)
    script = f"""#!/bin/sh
        echo "$@" >> {ran}
        test -f package-lock.json || exit 1
        mkdir -p node_modules/@gouvfr/dsfr && cd node_modules/@gouvfr/dsfr
        for f in {files} LICENSE.md; do mkdir -p "$(dirname "$f")"; echo x > "$f"; done
        mkdir -p doc/legal && printf %s "{TEXT}" > doc/legal/cgu.md
    """
    (tools / "npm").write_text(script, encoding="utf-8")
    (tools / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PLANTON_VAR_DIR", str(tmp_path / "var"))
    return ran


@pytest.fixture
def same_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package's terms are those that were shown."""
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    monkeypatch.setattr(theme_dsfr, "TERMS", digest)
    monkeypatch.setattr(dsfr, "TERMS", digest)


def test_without_anybody_to_accept_nothing_is_fetched(npm: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "scripts.theme_dsfr"], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert said.returncode == 1
    assert "ne doit pas être utilisé par des entités extérieures" in said.stdout
    assert "Personne n’est là pour accepter." in said.stderr
    assert not npm.exists()


def test_an_answer_that_is_no_yes_fetches_nothing(npm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: "oui bien sûr")
    assert theme_dsfr.main([]) == 1
    assert not npm.exists()


@pytest.mark.usefixtures("same_terms")
def test_accepted_it_is_recorded_and_installed_and_can_be_taken_away(
    npm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["J'accepte", "Nadia Ben, service numérique"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    folder = tmp_path / "var" / "theme-dsfr"
    assert dsfr.accepted(folder) is None
    assert theme_dsfr.main([]) == 0
    found = dsfr.accepted(folder)
    assert found is not None
    assert found.by.startswith("Nadia Ben, service numérique (")
    assert "--ignore-scripts" in npm.read_text()
    (folder / dsfr.STYLES[0]).unlink()
    assert dsfr.accepted(folder) is None
    assert theme_dsfr.main(["--accepter", "--par", "X"]) == 0
    assert dsfr.accepted(folder) is not None
    kept = (folder / dsfr.RECORD).read_text()
    other_terms, other_version = kept.replace(dsfr.TERMS, "0" * 64), kept.replace(dsfr.VERSION, "1.0.0")
    for broken in ("", "[]", '{"par": "x"}', kept.replace('"X"', '" "'), other_terms, other_version):
        (folder / dsfr.RECORD).write_text(broken)
        assert dsfr.accepted(folder) is None
    assert theme_dsfr.main(["--retirer"]) == 0
    assert not folder.exists()


def test_other_terms_than_those_shown_install_nothing(npm: Path, tmp_path: Path) -> None:
    assert theme_dsfr.main(["--accepter"]) == 1
    assert npm.exists()
    assert not (tmp_path / "var" / "theme-dsfr").exists()


def test_the_summary_speaks_of_the_version_that_the_lock_brings() -> None:
    folder = ROOT / "themes" / "dsfr"
    assert f"version {dsfr.VERSION}" in (folder / "conditions.txt").read_text(encoding="utf-8")
    assert f'"@gouvfr/dsfr": "{dsfr.VERSION}"' in (folder / "package.json").read_text(encoding="utf-8")
    lock = (folder / "package-lock.json").read_text(encoding="utf-8")
    assert f'"version": "{dsfr.VERSION}"' in lock
    assert "resolved" not in lock
    assert "gouvfr" not in (ROOT / "package-lock.json").read_text(encoding="utf-8")
