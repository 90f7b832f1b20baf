"""Which language a message is in: short messages of many languages, and French as citizens write it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from bot.core import yaml_text
from bot.policy.language import FRENCH, OTHER, SPOKEN, is_french, language

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
ROWS = list(csv.DictReader((HERE / "languages.tsv").open(encoding="utf-8"), delimiter="\t"))
# Messages of the gold sets that are not French at all.
FOREIGN = re.compile(
    r"[\u0400-\u06ff\u4e00-\u9fff]"
    r"|\b(?:please|someone|husband|knife|they took|want to die|my roommate|ayuda|robando|vivir|stanno|picchiando|voglio"
    r"|hilfe|mein mann|ich will|socorro|aguento|ajutor|yardım|er is iemand|flatmate|officers|avisar|wohin|letzten monat"
    r"|minhas|buongiorno|porozmawiać)\b",
    re.IGNORECASE,
)


def _gold() -> list[str]:
    files = [ROOT / "tests" / "gold" / f"{name}.tsv" for name in ("intents", "emergency")]
    return [row["text"] for path in files for row in csv.DictReader(path.open(encoding="utf-8"), delimiter="\t")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["text"])
def test_short_messages(row: dict[str, str]) -> None:
    assert language(row["text"]) == row["language"]


def test_each_language_is_tried() -> None:
    assert {row["language"] for row in ROWS} == {*SPOKEN, OTHER}


def test_no_french_line_of_the_gold_sets_is_taken_for_another_language() -> None:
    french = [text for text in _gold() if not FOREIGN.search(text)]
    assert len(french) > 1200
    assert [text for text in french if not is_french(text)] == []


def test_what_is_not_french_in_the_gold_sets_is_seen() -> None:
    foreign = [text for text in _gold() if FOREIGN.search(text)]
    assert len(foreign) >= 25
    assert [text for text in foreign if is_french(text)] == []


def test_hardly_any_french_example_is_taken_for_another_language() -> None:
    """The examples hold some 250 messages in other languages; what is added must not be French."""
    texts = []
    for path in (ROOT / "data" / "nlu.yml", *sorted((ROOT / "data" / "fonds").glob("*.yml"))):
        for block in yaml_text.values(path.read_text(encoding="utf-8"))["nlu"]:
            texts += [line[2:] for line in block["examples"].splitlines() if "intent" in block]
    wrong = [text for text in texts if not is_french(text) and re.search(r"\b(est|je|vous|pas|les|mon|chez)\b", text)]
    assert len(wrong) <= len(texts) / 2000


@pytest.mark.parametrize(
    "text",
    [
        "slt koman on fé pr porté plinte", "jveu savoir ki garde lé papié", "help j'ai oublié mon mot de passe", "hello",
        "thanks", "ok", "", "😀😀", "123", "biloute té va bin ?", "mi vé pi viv, mi sava zet amwin dan la ravine",
        "mersi la polis zot lé gayar", "Ô rage ô désespoir ô vieillesse ennemie", "envie de me pendre", "game over",
        "est ce que le DAEU est accepté comme équivalence", "le mec de fast and furious il est mort", "GPX date concours",
        "vla t'y pas qu'ils ont fauché mon biclou", "wesh c quoi les bails pour la plainte", "fan de tennis",
    ],
)  # fmt: skip
def test_french_as_people_write_it(text: str) -> None:
    assert language(text) == FRENCH


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hello i lost my passport in nice yesterday, consulate say police paper needed, comment obtenir", "en"),
        ("Ｉ ｌｏｓｔ ｍｙ ｐａｓｓｐｏｒｔ", "en"),
        ("ok спасибо", "ru"),
        ("ナイフ", OTHER),
        ("ᚠᚢᚦ", OTHER),
    ],
)
def test_mixed_and_rare(text: str, code: str) -> None:
    assert language(text) == code
