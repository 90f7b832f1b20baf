"""The check of leaks finds what it should."""

from __future__ import annotations

import base64
import gzip
import html
import json
import zlib

import pytest

from tests.fakes.leaks import check, leaks

WORD = "Éléonore d’Été-Marqueur"


@pytest.mark.parametrize(
    "written",
    [
        WORD.encode(),
        WORD.upper().encode(),
        json.dumps({"text": WORD}).encode(),
        repr(WORD.encode()).encode().replace(b"\\x", b"") + WORD.encode().hex().encode(),
        b"\\x" + b"00".join([WORD.encode().hex().encode()]),
        *(base64.b64encode(b"x" * n + f"avant {WORD} après".encode()) for n in range(3)),
        *(base64.urlsafe_b64encode(b"\xff" * n + WORD.encode()) for n in range(3)),
        b"\x00binary" + zlib.compress(WORD.encode()),
        gzip.compress(b"COPY\n" + WORD.encode(), mtime=0),  # the same test in each of the suite's processes
        WORD.encode("utf-16-le"),
        html.escape(WORD).encode(),
    ],
)
def test_a_word_is_found_in_every_form(written: bytes) -> None:
    assert leaks(b"before " + written + b" after", [WORD, "absent"]) == [WORD]
    with pytest.raises(AssertionError, match="Marqueur"):
        check("a log", written, [WORD])


def test_what_is_not_there_is_not_found() -> None:
    check("a log", "tout va bien, vélo, 2026-11-25", [WORD, "vélo rouge"])
