"""Only our own key makes a mark that verifies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.meta.limits import METADATA_CHARACTERS
from bot.meta.metadata import Mark, make, make_ref, unrowed_ref, verify

KEY = b"k" * 32


@given(st.integers(0, 2**63 - 1), st.integers(0, 50))
def test_round_trip(outbox_id: int, part: int) -> None:
    mark = make(KEY, outbox_id, part)
    assert mark.startswith("pl1.")
    assert len(mark) <= METADATA_CHARACTERS
    found = verify(KEY, mark)
    assert found is not None
    assert (found.outbox_id, found.part) == (outbox_id, part)
    assert verify(b"other", mark) is None


def test_without_a_row() -> None:
    ref = unrowed_ref("m_1")
    assert verify(KEY, make_ref(KEY, ref)) == Mark(ref)
    assert ref != unrowed_ref("m_2")


@pytest.mark.parametrize("text", [None, "", "pl1", "pl1.", "pl1..", "pl1.5", "pl1.5.", "pl2.5.abc", "é.é.é", "pl1.5.é"])
def test_anything_else_is_none(text: str | None) -> None:
    assert verify(KEY, text) is None


@given(st.text())
def test_never_raises(text: str) -> None:
    assert verify(KEY, "pl1." + text) is None


def test_a_changed_mark_does_not_verify() -> None:
    mark = make(KEY, 12)
    assert verify(KEY, mark.replace("12", "13")) is None
    assert verify(KEY, mark[:-1]) is None
