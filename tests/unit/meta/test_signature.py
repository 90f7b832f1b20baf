import hashlib
import hmac

import pytest

from bot.core.errors import BadSignature
from bot.meta.signature import sign, verify

RAW = b'{"object":"page","text":"\\u00e9\\/"}'


def test_the_header_is_the_hmac_of_the_raw_bytes() -> None:
    assert sign("s3cret", RAW) == "sha256=" + hmac.new(b"s3cret", RAW, hashlib.sha256).hexdigest()


def test_a_right_signature_passes() -> None:
    verify(["s3cret"], RAW, sign("s3cret", RAW))


@pytest.mark.parametrize("used", ["old", "new"])
def test_both_secrets_of_a_rotation_pass(used: str) -> None:
    verify(["new", "old"], RAW, sign(used, RAW))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        "sha256=00",
        sign("other", RAW),
        sign("s3cret", RAW + b" "),
        sign("s3cret", RAW).removeprefix("sha256="),
        sign("s3cret", RAW).replace("sha256", "sha1"),
        "sha256=é\ud800",
    ],
)
def test_anything_else_is_refused(header: str | None) -> None:
    with pytest.raises(BadSignature):
        verify(["s3cret"], RAW, header)


@pytest.mark.parametrize("secrets", [[], [""]])
def test_without_a_secret_nothing_passes(secrets: list[str]) -> None:
    with pytest.raises(BadSignature):
        verify(secrets, RAW, sign("", RAW))
