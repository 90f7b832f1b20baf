"""The checks of training examples and measuring sets find what they are for, in every file, and name the line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from bot.trainer.checks.doubles import plain_words
from bot.trainer.neighbours import SAME, Neighbours, sounded
from scripts import check_frames, check_gold
from scripts.examples import Example, examples, files

HEAD = "text\tintent\tsecond\troute\n"


def written(path: Path, **intents: list[str]) -> Path:
    """A file of training examples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["nlu:"]
    for intent, texts in intents.items():
        lines += [f"  - intent: {intent}", "    examples: |", *(f"      - {text}" for text in texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two training files and one measuring set, as in the project."""
    written(tmp_path / "data" / "nlu.yml", animaux=["j’ai perdu mon gros chat roux hier", "un chien aboie"])
    written(tmp_path / "data" / "fonds" / "un.yml", animaux=["le lapin du voisin est chez moi"], armes=["un obus"])
    (tmp_path / "tests" / "gold").mkdir(parents=True)
    return tmp_path


def gold(folder: Path, *rows: str) -> None:
    (folder / "tests" / "gold" / "jeu.tsv").write_text(HEAD + "".join(row + "\n" for row in rows), encoding="utf-8")


class Done(NamedTuple):
    """What a check said."""

    returncode: int
    stdout: str


Run = Callable[..., Done]


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a check in the folder, as `make check` does in the project."""
    monkeypatch.chdir(folder)

    def check(script: ModuleType, *arguments: str) -> Done:
        code = script.main(arguments)
        return Done(code, capsys.readouterr().out)

    return check


def test_examples_are_read_from_every_file_with_their_line(folder: Path) -> None:
    (folder / "data" / "nlu.yml").write_text(
        "nlu:\n"
        "  - intent: vol\n"
        "    examples: |\n"
        "      - ma [clio](objet) grise\n"
        '      - ma [bm]{"entity": "objet", "value": "bmw"}\n'
        "  - synonym: voiture\n"
        "    examples: |\n"
        "      - bagnole\n"
        "  - lookup: ville\n"
        "    examples: |\n"
        "      - Lyon\n",
        encoding="utf-8",
    )
    found = [(e.file.name, e.line, e.intent, e.text) for e in examples(files(folder / "data"))]
    assert found == [
        ("nlu.yml", 4, "vol", "ma clio grise"),
        ("nlu.yml", 5, "vol", "ma bm"),
        ("un.yml", 4, "animaux", "le lapin du voisin est chez moi"),
        ("un.yml", 7, "armes", "un obus"),
    ]


def test_frames_shared_by_two_files_are_found(folder: Path, run: Run) -> None:
    written(folder / "data" / "fonds" / "deux.yml", animaux=["bonjour J AI PERDU MON GROS CHAT noir"])
    done = run(check_frames)
    assert done.returncode == 1
    assert "data/nlu.yml:4, data/fonds/deux.yml:4 (animaux) : « j ai perdu mon gros chat »" in done.stdout.splitlines()
    assert "5 exemples, 1 doublons" in done.stdout


def test_a_sentence_twice_is_found_under_two_intents(folder: Path, run: Run) -> None:
    written(folder / "data" / "fonds" / "deux.yml", animaux=["Un obus !"])
    done = run(check_frames)
    assert "data/fonds/deux.yml:4, data/fonds/un.yml:7 (animaux / armes) : « un obus », en double" in done.stdout


def test_a_frame_of_two_intents_is_none(folder: Path, run: Run) -> None:
    written(folder / "data" / "fonds" / "deux.yml", armes=["j’ai perdu mon gros chat blanc"])
    assert run(check_frames).returncode == 0


def test_removing_what_frames_lists_settles_it(folder: Path, run: Run) -> None:
    frame = "je voudrais savoir comment on fait pour"
    written(
        folder / "data" / "fonds" / "deux.yml",
        animaux=[f"{frame} un chat", f"{frame} un chien", f"bonjour {frame} un chat", "Un obus"],
    )
    listed = json.loads(run(check_frames, "--json").stdout)
    assert {(row["line"], row["why"]) for row in listed if row["file"].endswith("deux.yml")} == {
        (5, "frame"),
        (6, "frame"),
    }
    for path in files(folder / "data"):
        relative = str(path.relative_to(folder))
        gone = {row["line"] for row in listed if row["file"] == relative}
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join(line for n, line in enumerate(lines, 1) if n not in gone), encoding="utf-8")
    assert run(check_frames).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "J'AI PERDU MON GROS CHAT ROUX",  # one word fewer
        "jai perdu mon gro cha rou hier 😿",  # as it sounds
        "g perdu mon gros chat roux hier",  # phone spelling
        "un chien aboi",  # short: the whole sentence
        "Le lapin du voisin est resté chez moi",  # of another file
    ],
)
def test_a_message_near_an_example_is_refused(folder: Path, run: Run, text: str) -> None:
    gold(folder, f"{text}\tanimaux\t\tanswer")
    done = run(check_gold)
    assert done.returncode == 1
    assert f"tests/gold/jeu.tsv:2 : « {text} » est déjà en data/" in done.stdout


@pytest.mark.parametrize(
    "text", ["mon chien s'est sauvé du parc", "un chien mord", "ma perruche verte a disparu du balcon"]
)
def test_a_message_of_its_own_passes(folder: Path, run: Run, text: str) -> None:
    gold(folder, f"{text}\tanimaux\t\tanswer")
    done = run(check_gold)
    assert done.returncode == 0, done.stdout
    assert "jeu.tsv 1 ; 4 exemples d’entraînement ; 0 lignes à reprendre." in done.stdout


def test_every_training_line_near_the_sets_is_listed(folder: Path, run: Run) -> None:
    written(folder / "data" / "fonds" / "deux.yml", armes=["UN CHIEN ABOIE"])
    gold(folder, "un chien aboie 🐕\tanimaux\t\tanswer", "un obus\tarmes\t\tanswer")
    listed = json.loads(run(check_gold, "--json").stdout)
    assert [(row["file"], row["line"], row["gold"]) for row in listed] == [
        ("data/nlu.yml", 5, "tests/gold/jeu.tsv:2"),
        ("data/fonds/deux.yml", 4, "tests/gold/jeu.tsv:2"),
        ("data/fonds/un.yml", 7, "tests/gold/jeu.tsv:3"),
    ]


def test_a_message_twice_in_the_sets_is_refused(folder: Path, run: Run) -> None:
    gold(folder, "ma perruche est partie\tanimaux\t\tanswer", "Ma péruche est parti\tanimaux\t\tanswer")
    assert "tests/gold/jeu.tsv:3 : « Ma péruche est parti » est déjà en tests/gold/jeu.tsv:2" in run(check_gold).stdout


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("le texte\tanimal\t\tanswer", "intention inconnue « animal »"),
        ("le texte\tanimaux\tanimal\tanswer", "seconde intention inconnue ou redite « animal »"),
        ("le texte\tanimaux\t\thandoff", "route « handoff », la table dit « answer »"),
        ("le texte\tdanger_immediat\tanimaux\temergency", "un danger n’admet pas « animaux »"),
        ("le texte\tanimaux\tanswer", "3 colonnes au lieu de 4"),
        ("\tanimaux\t\tanswer", "texte vide"),
    ],
)
def test_a_row_against_the_table_is_named(folder: Path, run: Run, row: str, told: str) -> None:
    gold(folder, row)
    done = run(check_gold)
    assert done.returncode == 1
    assert "tests/gold/jeu.tsv:2" in done.stdout
    assert told in done.stdout


def test_nothing_to_compare_is_no_success(folder: Path, run: Run) -> None:
    shutil.rmtree(folder / "tests")
    assert run(check_gold).returncode == 1


def test_near_is_exact_whatever_is_looked_up() -> None:
    """The short cut through rare words finds what comparing with every sentence finds."""
    texts = [
        f"le chat {a} mange {b} dans {c}" for a in ("roux", "noir") for b in ("tout", "peu") for c in ("lit", "bol")
    ]
    sentences = [Example(Path("x"), n, "i", text) for n, text in enumerate(texts)]
    words = {s.line: sounded(s.text).words for s in sentences}
    index = Neighbours(sentences)
    for one in sentences:
        ours = words[one.line]
        slow = {n for n, theirs in words.items() if len(ours & theirs) >= SAME * len(ours | theirs)}
        assert {s.line for s in index.doubles(one.text)} == slow
    assert plain_words("Déjà L’École") == ("deja", "l", "ecole")


def test_a_damaged_file_is_one_line(folder: Path, run: Run) -> None:
    (folder / "data" / "fonds" / "un.yml").write_text("nlu:\n  - intent: [", encoding="utf-8")
    for script in (check_frames, check_gold):
        done = run(script)
        assert done.returncode == 1
        assert done.stdout.startswith("data/fonds/un.yml:2 : ce n’est pas du YAML correct")
        assert done.stdout.count("\n") == 1
