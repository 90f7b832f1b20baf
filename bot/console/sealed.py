"""Words that travel in an address without being read there: history, logs and referrers hold a seal, « Précédent » works.

What somebody looks for is often a person's name, or what a citizen wrote. A form posts it and is answered with an address that
holds it encrypted.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from bot.core.errors import SettingsError
from bot.store.codec import Codec

LONGEST = 4_000  # characters of an address that are looked at


def seal(codec: Codec, values: Mapping[str, str], purpose: str) -> str:
    """Values as they stand in an address: nobody reads them without the key. `purpose`: what alone opens them again."""
    sealed = codec.seal_json({name: value for name, value in values.items() if value}, purpose)
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def unseal(codec: Codec, given: str, purpose: str) -> dict[str, str]:
    """The values of an address. Raises ValueError when it is not one of ours."""
    if len(given) > LONGEST:
        raise ValueError("too long")
    try:
        raw = base64.urlsafe_b64decode(given.encode("ascii") + b"=" * (-len(given) % 4))
        held = codec.open_json(raw, purpose)
    except (binascii.Error, SettingsError) as error:
        raise ValueError("no seal of ours") from error
    return {str(name): str(value) for name, value in held.items()}
