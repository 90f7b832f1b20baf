"""What Meta says of a page's token (`debug_token`): whether it is valid, when it ends, which permissions it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from bot.meta.send_api import SendApi

MESSENGER, INSTAGRAM = ("pages_messaging",), ("instagram_manage_messages",)


@dataclass(frozen=True)
class TokenState:
    """`expires_at`, `data_expires_at` (access to data ends, whatever the token): None where Meta tells no end."""

    valid: bool
    expires_at: datetime | None = None
    data_expires_at: datetime | None = None
    missing: tuple[str, ...] = ()


async def state(api: SendApi, needed: tuple[str, ...]) -> TokenState | None:
    """Ask; None where the answer says nothing of use. Raises SendError."""
    answer = await api.about_token()
    data: Any = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("is_valid"), bool):
        return None
    scopes = data.get("scopes")
    known = {str(scope) for scope in scopes} if isinstance(scopes, list) else set()
    missing = tuple(name for name in needed if known and name not in known)
    return TokenState(
        data["is_valid"], _moment(data.get("expires_at")), _moment(data.get("data_access_expires_at")), missing
    )


def _moment(value: Any) -> datetime | None:
    """Epoch seconds; 0 is never."""
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        return None
    try:
        return datetime.fromtimestamp(value, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return None
