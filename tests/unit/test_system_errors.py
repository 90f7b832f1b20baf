"""What the operating system refuses reaches people in French."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from bot.app.cli import main
from bot.core.errors import SettingsError
from bot.core.system_errors import reason
from bot.settings import Settings

ENGLISH = ("No such", "Is a directory", "Not a directory", "codec")


@pytest.mark.parametrize(
    ("place", "words"),
    [("absent.age", "n’existe pas"), (".", "c’est un dossier"), ("file/below.age", "n’est pas un dossier")],
)
def test_a_back_up_that_cannot_be_read(
    place: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PLANTON_VAR_DIR", str(tmp_path))
    monkeypatch.setenv("PLANTON_DATA_KEY", base64.b64encode(bytes(32)).decode())
    assert main(["restore", str(tmp_path / place)]) == 2
    said = capsys.readouterr().err
    assert words in said and not any(word in said for word in ENGLISH)


@pytest.mark.parametrize(("content", "words"), [(None, "n’existe pas"), (b"\xff\xfe", "texte UTF-8")])
def test_a_file_of_pages_that_cannot_be_read(content: bytes | None, words: str, tmp_path: Path) -> None:
    pages = tmp_path / "pages.toml"
    if content is not None:
        pages.write_bytes(content)
    with pytest.raises(SettingsError) as told:
        Settings({"PLANTON_ACCOUNTS": str(pages)}).accounts()
    assert words in str(told.value) and not any(word in str(told.value) for word in ENGLISH)


def test_a_rare_cause_keeps_the_words_of_the_system() -> None:
    assert reason(OSError(9999, "Odd")) == "Odd"
    assert reason(OSError("without a number")) == "OSError"
