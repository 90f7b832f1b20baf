"""Messages that say the same share their sketch's values; others do not, and nothing is told without the key."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.policy.likeness import ALIKE, BANDS, Leaders, bands

KEY = b"a key of thirty-two bytes, really"
ASKED = "Que se passe-t-il à Paris ? Y a-t-il des blessés ?"


def shared(one: str, other: str) -> int:
    return len(set(bands(one, KEY)) & set(bands(other, KEY)))


@pytest.mark.parametrize(
    "same",
    [
        "que se passe t il a paris ya til des blesses",
        "Bonjour, que se passe-t-il à Paris ? Y a-t-il des blessés SVP ? Merci",
        "QUE SE PASSE T IL À PARIIIS !!! Y A-T-IL DES BLESSÉS 😭😭",
        "que se passe-t-il à\u200b Paris ? y a-t-il des bléssés ?",
    ],
)
def test_the_same_question_in_another_spelling_is_alike(same: str) -> None:
    assert shared(ASKED, same) >= ALIKE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ASKED, "Que se passe-t-il à Lyon ? Y a-t-il des blessés ?"),
        (ASKED, "Comment devenir gardien de la paix ?"),
        ("J’ai vu le tireur rue Oberkampf.", "Je n’ai pas vu le tireur rue Oberkampf."),
        ("Est-ce que la ligne 8 est fermée ce soir ?", "Est-ce que la ligne 9 est fermée ce soir ?"),
    ],
)
def test_what_asks_for_another_answer_is_not_alike(one: str, other: str) -> None:
    assert shared(one, other) < ALIKE


@pytest.mark.parametrize("short", ["", "   ", "au secours", "Bonjour merci", "👍👍", "\ud800"])
def test_what_is_too_short_is_compared_with_nothing(short: str) -> None:
    assert bands(short, KEY) == ()


def test_another_key_has_nothing_in_common() -> None:
    assert not set(bands(ASKED, KEY)) & set(bands(ASKED, b"another key of the same length!!!"))


def test_a_message_joins_the_nearest_leader_and_no_follower() -> None:
    leaders: Leaders[str] = Leaders()
    leaders.add("paris", bands(ASKED, KEY))
    leaders.add("metro", bands("Est-ce que le métro est fermé ce soir dans tout Paris ?", KEY))
    leaders.add("again", bands(ASKED, KEY))
    assert leaders.nearest(bands("que se passe t il a paris, y a til des blessés", KEY)) == "paris"
    assert leaders.nearest(bands("le métro est fermé ce soir dans tout paris ??", KEY)) == "metro"
    assert leaders.nearest(bands("Que se passe-t-il à Lyon ? Y a-t-il des blessés ?", KEY)) is None
    assert leaders.nearest(bands("Je voudrais une procuration pour dimanche", KEY)) is None
    assert leaders.nearest(()) is None


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=300))
def test_whatever_is_written_has_a_sketch_of_one_shape(text: str) -> None:
    sketch = bands(text, KEY)
    assert len(sketch) in (0, BANDS)
    assert all(-(2**63) <= value < 2**63 for value in sketch)
    assert bands(text, KEY) == sketch


def test_a_hundred_thousand_characters_are_read_by_their_ends() -> None:
    story = "il y a du monde dans la rue et je ne sais pas où aller " * 2000
    assert shared(story, story + "\u200b") == BANDS
