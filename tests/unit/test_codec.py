"""Stored values that nobody sealed so: the operator is told, and nothing else comes of them."""

from __future__ import annotations

import base64

import pytest

from bot.core.errors import SealedElsewhere, SettingsError
from bot.store.codec import Codec

COLUMN = "events.body"


def test_what_was_sealed_opens(codec: Codec) -> None:
    assert codec.open(codec.seal(b"bonjour", COLUMN), COLUMN) == b"bonjour"


@pytest.mark.parametrize("length", [0, 1, 5, 12, 13, 17, 28, 35])
def test_a_value_that_was_cut_is_told(codec: Codec, length: int) -> None:
    with pytest.raises(SettingsError):
        codec.open(codec.seal(b"bonjour", COLUMN)[:length], COLUMN)


@pytest.mark.parametrize("rotating", [False, True])
def test_a_changed_byte_anywhere_is_told(rotating: bool) -> None:
    keys = [base64.b64encode(bytes(range(start, start + 32))).decode() for start in (0, 1)]
    codec = Codec(",".join(keys[: 1 + rotating]))
    whole = codec.seal(b"bonjour", COLUMN)
    assert (
        len(whole) == 1 + 4 * rotating + 12 + 7 + 16
    )  # a rotation alone names the key: released versions read the rest
    for place in range(len(whole)):
        sealed = bytearray(whole)
        sealed[place] ^= 1
        with pytest.raises(SettingsError):
            codec.open(bytes(sealed), COLUMN)


def test_a_changed_byte_of_a_value_that_is_bound_to_its_row_is_told(codec: Codec) -> None:
    whole = codec.seal(b"bonjour", COLUMN, 7, "messenger", "1000", "m_1")
    assert codec.open(whole, COLUMN, "7\x1fmessenger\x1f1000\x1fm_1") == b"bonjour"  # as SQL writes it, in one
    for at in range(len(whole)):
        sealed = bytearray(whole)
        sealed[at] ^= 1
        with pytest.raises(SettingsError):
            codec.open(bytes(sealed), COLUMN, 7, "messenger", "1000", "m_1")
    for other in ((8, "messenger", "1000", "m_1"), (7, "messenger", "1000", "m_2"), (None, "messenger", "1000", "m_1")):
        with pytest.raises(SealedElsewhere, match="pas à sa place"):
            codec.open(whole, COLUMN, *other)


def test_only_a_key_of_ours_makes_an_alarm(codec: Codec) -> None:
    other = Codec(base64.b64encode(bytes(32)).decode())
    with pytest.raises(SettingsError) as raised:
        codec.open(other.seal(b"bonjour", COLUMN, 7), COLUMN, 7)
    assert not isinstance(raised.value, SealedElsewhere) and codec.binding.refused == {}


def test_another_columns_value_is_told(codec: Codec) -> None:
    with pytest.raises(SettingsError):
        codec.open(codec.seal(b"bonjour", COLUMN), "outbox.body")
