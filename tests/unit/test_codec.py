"""Stored values that nobody sealed so: the operator is told, and nothing else comes of them."""

from __future__ import annotations

import pytest

from bot.core.errors import SettingsError
from bot.store.codec import Codec

COLUMN = "events.body"


def test_what_was_sealed_opens(codec: Codec) -> None:
    assert codec.open(codec.seal(b"bonjour", COLUMN), COLUMN) == b"bonjour"


@pytest.mark.parametrize("length", [0, 1, 5, 12, 13, 17, 28, 35, 39])
def test_a_value_that_was_cut_is_told(codec: Codec, length: int) -> None:
    with pytest.raises(SettingsError):
        codec.open(codec.seal(b"bonjour", COLUMN)[:length], COLUMN)


@pytest.mark.parametrize("place", range(1 + 4 + 12 + 7 + 16))
def test_a_changed_byte_anywhere_is_told(codec: Codec, place: int) -> None:
    sealed = bytearray(codec.seal(b"bonjour", COLUMN))
    sealed[place] ^= 1
    with pytest.raises(SettingsError):
        codec.open(bytes(sealed), COLUMN)


def test_another_columns_value_is_told(codec: Codec) -> None:
    with pytest.raises(SettingsError):
        codec.open(codec.seal(b"bonjour", COLUMN), "outbox.body")
