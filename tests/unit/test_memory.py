"""Where a test run has its temporary files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tests import memory
from tests.memory import roomy, temporary_files


@pytest.fixture(autouse=True)
def nowhere_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a shell; the run itself has its own already."""
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(memory, "ROOM", 0)


def test_temporary_files_are_in_memory_and_go_with_the_run(tmp_path: Path) -> None:
    with temporary_files(tmp_path):
        folder = Path(tempfile.gettempdir())
        assert folder.parent == tmp_path
        assert os.environ["TMPDIR"] == str(folder)
        (folder / "something").write_text("left")
        with temporary_files(tmp_path):  # a run in the run, or beside it, takes nothing away
            assert tempfile.gettempdir() == str(folder)
            assert (folder / "something").exists()
    assert "TMPDIR" not in os.environ
    assert not list(tmp_path.iterdir())


def test_what_a_killed_run_left_goes_at_the_next(tmp_path: Path) -> None:
    left = tmp_path / "planton-tests-killed"
    left.mkdir()
    (left / "base").write_text("much")
    os.utime(left, (0, 0))
    with temporary_files(tmp_path):
        assert not left.exists()


def test_without_room_they_stay_where_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "ROOM", 4_000_000_000)
    scarce = tmp_path / "meminfo"
    scarce.write_text("MemTotal: 8000000 kB\nMemAvailable: 3000000 kB\n")
    assert not roomy(tmp_path, scarce)
    assert not roomy(tmp_path / "absent")
    with temporary_files(tmp_path / "absent"):
        assert "TMPDIR" not in os.environ
