"""What the lists of data/nlu.yml read in a sentence, longest words first as the engine reads them."""

from __future__ import annotations

import re
import unicodedata

import pytest

from tests.unit.test_domain import DOMAIN, _lines, _yaml

ROWS = _yaml("data/nlu.yml")["nlu"]


def words(text: str) -> tuple[str, ...]:
    """Folded words: no accents, no capitals, no plural."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))
    return tuple(w[:-1] if len(w) > 3 and w[-1] in "sx" else w for w in re.findall(r"[^\W_]+", plain))


VALUES = {words(word): row["synonym"] for row in ROWS if "synonym" in row for word in _lines(row)}
TABLE = {
    words(word): (row["lookup"], VALUES.get(words(word), word))
    for row in ROWS
    if "lookup" in row
    for word in _lines(row)
}


def read(text: str) -> set[tuple[str, str]]:
    """The (entity, value) pairs that the domain knows, towns left out."""
    said, found = words(text), set()
    at = 0
    while at < len(said):
        size = next((size for size in range(8, 0, -1) if said[at : at + size] in TABLE), 0)
        if size:
            found.add(TABLE[said[at : at + size]])
        at += size or 1
    return {(entity, value) for entity, value in found if entity in DOMAIN["entities"] and entity != "ville"}


LOST, STOLEN = ("circonstance", "perdu"), ("circonstance", "vole")
PASSPORT, ASSISTANT = ("document", "passeport"), ("corps", "policier_adjoint")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("j’ai perdu mon passeport, j’ai un vol demain", {PASSPORT, LOST}),
        ("passeport perdu et mon vol de retour est ce soir", {PASSPORT, LOST}),
        ("déclarer le vol de mon passeport", {PASSPORT, STOLEN}),
        ("vol du passeport dans le train", {PASSPORT, STOLEN}),
        ("victime d’un vol, plus de passeport", {PASSPORT, STOLEN}),
        ("on me l’a arraché, mon passeport", {PASSPORT, STOLEN}),
        ("inscrite à Cap emploi", set()),
        ("j’ai un CAP", {("diplome", "aucun")}),
        ("les PA sont payés combien", {ASSISTANT}),
        ("concours PA 2026", {ASSISTANT}),
        ("âge pour PA ?", {ASSISTANT}),
        ("jé pa compris", set()),
        ("c pa moi", set()),
    ],
)
def test_the_lists_read(text: str, found: set[tuple[str, str]]) -> None:
    assert read(text) == found
