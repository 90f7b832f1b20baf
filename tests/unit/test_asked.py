"""Which catalogue pages name questions by: that of the model in service, and none rather than an error."""

from __future__ import annotations

from pathlib import Path

from bot.app.asked import catalogue_of
from bot.trainer.candidates import Model
from tests.fakes import asked


def test_the_catalogue_goes_with_the_model(tmp_path: Path) -> None:
    project, copies = tmp_path / "data" / "answers", tmp_path / "models" / "m.files" / "data" / "answers"
    model = Model(tmp_path / "models" / "m.tar.gz", tmp_path)
    for folder, name in ((project, asked.LATE), (copies, asked.ONLINE)):
        folder.mkdir(parents=True)
        (folder / "some.yml").write_text(asked.file(name), encoding="utf-8")
    assert list(catalogue_of(lambda: model).questions) == [asked.ONLINE]
    (copies / "some.yml").write_text("nlu: [", encoding="utf-8")
    assert catalogue_of(lambda: model).questions == {}
