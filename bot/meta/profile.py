"""The name of a person, when Meta gives it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.core.clean import clean
from bot.core.errors import SendError
from bot.core.messages import Platform
from bot.meta.send_api import SendApi, quoted

_FIELDS = {Platform.MESSENGER: "first_name,last_name,profile_pic", Platform.INSTAGRAM: "name,username,profile_pic"}
_NAME_CHARACTERS = 200


@dataclass(frozen=True)
class Profile:
    """What is known of a person. `picture` is a link that expires: never stored."""

    name: str | None = None
    username: str | None = None
    picture: str | None = None


async def profile(api: SendApi, platform: Platform, person: str) -> Profile | None:
    """The person's profile, or None when it cannot be had: one carries on without a name."""
    try:
        data = await api.get(quoted(person), {"fields": _FIELDS[platform]})
    except SendError:
        return None
    if not isinstance(data, dict):
        return None
    names = (_text(data, "first_name"), _text(data, "last_name"))
    found = Profile(
        _text(data, "name") or " ".join(name for name in names if name) or None,
        _text(data, "username"),
        _text(data, "profile_pic"),
    )
    return found if found != Profile() else None


def _text(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    if not isinstance(value, str):
        return None
    return (value if key == "profile_pic" else clean(value)[:_NAME_CHARACTERS]) or None
