"""domain.yml is changed in place: untouched bytes stay, one change is its own lines, damage is told with its place."""

from __future__ import annotations

import difflib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from bot.trainer import replies as files
from bot.trainer.errors import BadFile, Changed, TrainerError
from bot.trainer.project import Project
from bot.trainer.replies import OWN_SOURCE, Button, Replies, Response, Variation

ROOT = Path(__file__).resolve().parents[2]
REAL = Replies.read(Project(ROOT))
SMALL = """version: "3.1"

responses:
  # Ce commentaire reste.
  utter_un:
  - text: |-
      Une ligne.

      Une autre.   # ceci est du texte
    buttons:
    # celui-ci aussi
    - title: 'L''un'
      payload: '/un{"a": "b"}'
    metadata:
      source: "https://a.fr"  # guillemets doubles
      seen: 'x'
      checked: 2025-01-31
  - text: 'Court'

  # --- Suite
  utter_deux:
  - text: >-
      replié sur
      deux lignes
    condition:
    - type: slot
    metadata: {source: 'https://b.fr', seen: 'y', checked: null}

actions:
- action_repondre
"""


def changed_lines(before: str, after: str) -> list[str]:
    """What a diff shows."""
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), n=0, lineterm="")
    return [line for line in found if line[0] in "+-" and line[:3] not in ("+++", "---")]


def with_first(one: Response, **changes: object) -> Response:
    """A reply with something else in its first wording."""
    return replace(one, variations=(replace(one.variations[0], **changes), *one.variations[1:]))  # type: ignore[arg-type]


def test_rewriting_everything_untouched_changes_no_byte() -> None:
    assert REAL.with_(dict(REAL.responses)).text == REAL.text
    small = Replies.parse(SMALL)
    assert small.with_(dict(small.responses)).text == SMALL


def test_writing_everything_afresh_gives_the_style_of_the_file() -> None:
    """So that a new wording looks as if a colleague had typed it."""
    bare = {
        name: replace(one, variations=tuple(replace(v, spans={}) for v in one.variations))
        for name, one in REAL.responses.items()
    }
    lines = REAL.text.splitlines(keepends=True)
    for name, one in bare.items():
        assert "".join(line for v in one.variations for line in files._variation(v, None, lines, "  ")) == one.block, (
            name
        )


@pytest.mark.parametrize("name", list(REAL.responses)[::25])
def test_one_more_line_is_one_line(name: str) -> None:
    one = REAL.responses[name]
    made = REAL.with_({name: with_first(one, text=one.variations[0].text + "\nEncore.")})
    assert changed_lines(REAL.text, made.text) == ["+      Encore."]
    again = Replies.parse(made.text)
    assert again.responses == made.responses
    assert again.spans == made.spans
    assert [r.line for r in again.responses.values()] == [r.line for r in made.responses.values()]


def test_only_the_field_that_changed_is_written() -> None:
    small = Replies.parse(SMALL)
    un = small.responses["utter_un"]
    assert un.variations[0].text == "Une ligne.\n\nUne autre.   # ceci est du texte"
    assert un.variations[0].buttons == (Button("L'un", '/un{"a": "b"}'),)
    assert un.variations[1].source == ""
    made = small.with_({"utter_un": with_first(un, text="Neuf.")})
    assert "# celui-ci aussi" in made.text
    assert "# guillemets doubles" in made.text
    assert "+      Neuf." in changed_lines(SMALL, made.text)
    dated = small.with_({"utter_un": with_first(un, checked=date(2026, 1, 15))})
    assert "      checked: 2026-01-15" in dated.text
    assert "# celui-ci aussi" in dated.text
    both = small.with_({"utter_un": with_first(un, buttons=()), "utter_deux": small.responses["utter_deux"]})
    assert "L''un" not in both.text
    added = small.with_({"utter_un": with_first(un, buttons=(*un.variations[0].buttons, Button("Deux", "/deux")))})
    assert added.responses["utter_un"].variations[0].buttons[-1] == Button("Deux", "/deux")


def test_what_stands_here_but_is_not_changed_here_is_left_alone() -> None:
    small = Replies.parse(SMALL)
    deux = small.responses["utter_deux"]
    with pytest.raises(TrainerError, match="condition"):
        small.with_({"utter_deux": with_first(deux, text="Autre.")})
    with pytest.raises(TrainerError):
        small.with_({"utter_deux": replace(deux, variations=(Variation("Seule."), *deux.variations[1:]))})


@pytest.mark.parametrize("text", ["a\tb", "a\x00b", "a\u2028b", "a\x85b", "\ufeffa", "a\ud800"])
def test_what_yaml_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(TrainerError, match="caractère"):
        REAL.with_({"utter_armes": with_first(REAL.responses["utter_armes"], text=text)})


@pytest.mark.parametrize(
    "text",
    ["- liste", "# titre", "clé : valeur", "'", '"', "|-", "---\n...", "a\n\n\nb", "{{x}}", "é" * 3000, "  a", "&a *b"],
)
def test_any_text_is_read_back_as_it_was_written(text: str) -> None:
    try:
        made = REAL.with_({"utter_armes": with_first(REAL.responses["utter_armes"], text=text)})
    except TrainerError:
        assert text.startswith(" ")  # a text that begins with a space has another indentation
        return
    assert Replies.parse(made.text).responses["utter_armes"].variations[0].text == text


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("  utter_deux:", "\tutter_deux:", 21, "tabulation"),
        ('source: "https', "source: 'https", None, "YAML"),
        ("  utter_deux:", "  utter_un:", 21, "deux fois"),
        ("  - text: 'Court'", "  - texte: 'Court'", 18, "pas de texte"),
        ("  - text: 'Court'", "  - text: &a 'Court'", 18, "renvois"),
        ("  - text: 'Court'", "  - text: *a", 18, "YAML"),
        ("    - title: 'L''un'", "    - titre: 'x'", 12, "titre"),
    ],
)
def test_a_damaged_file_is_told_with_its_place(before: str, after: str, line: int | None, says: str) -> None:
    with pytest.raises(BadFile, match=says) as told:
        Replies.parse(SMALL.replace(before, after, 1))
    assert told.value.line is not None
    assert line is None or told.value.line == line
    assert told.value.remedy


def test_metadata_that_is_missing_or_wrong_is_noted() -> None:
    faults = (
        Replies.parse(SMALL.replace("checked: 2025-01-31", "vu: demain")).responses["utter_un"].variations[0].faults
    )
    assert faults == ("il manque « checked »", "« vu » n’est pas attendu")
    wrong = Replies.parse(SMALL.replace("2025-01-31", "hier")).responses["utter_un"].variations[0]
    assert wrong.checked is None
    assert "2026-01-31" in wrong.faults[0]


def test_saving_undoing_and_two_people(tmp_path: Path) -> None:
    (tmp_path / "domain.yml").write_text(SMALL, "utf-8")
    project = Project(tmp_path)
    un = Replies.read(project).responses["utter_un"]
    wanted = {"utter_un": with_first(un, text="Neuf.")}
    moves = files.change(project, {"utter_un": un.seen}, wanted)
    assert [move.name for move in moves] == ["utter_un"]
    assert "Neuf." in project.read("domain.yml")
    with pytest.raises(Changed):
        files.change(project, {"utter_un": un.seen}, wanted)
    with pytest.raises(Changed, match="n’existe plus"):
        files.change(project, {}, {"utter_trois": Response("utter_trois", (Variation("x", source=OWN_SOURCE),))})
    assert files.undo(project, moves)
    assert project.read("domain.yml") == SMALL
    with pytest.raises(Changed):
        files.undo(project, moves)

    def never(before: Replies, after: Replies) -> None:
        raise TrainerError("Non.")

    with pytest.raises(TrainerError, match="Non"):
        files.change(project, {"utter_un": un.seen}, wanted, never)
    assert project.read("domain.yml") == SMALL
    assert files.change(project, {"utter_un": un.seen}, {"utter_un": un}) == ()


def test_the_file_is_read_alike_by_both_parsers(monkeypatch: pytest.MonkeyPatch) -> None:
    def places(found: Replies) -> object:  # which do not count for equality
        return found.spans, [
            (one.line, one.block, [vars(each) for each in one.variations]) for one in found.responses.values()
        ]

    quick = [Replies.parse(REAL.text), Replies.parse(SMALL)]
    monkeypatch.setattr(files, "quickly", lambda _text: None)
    slow = [Replies.parse(REAL.text), Replies.parse(SMALL)]
    assert quick == slow
    assert list(map(places, quick)) == list(map(places, slow))
