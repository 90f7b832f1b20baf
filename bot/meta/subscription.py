"""The webhook subscription of a page: which fields Meta sends to our app, and asking for those that are missing.

An Instagram account linked to a page has no subscription of its own on graph.facebook.com: its messages come as long as
the page is subscribed (its fields are chosen in the app's dashboard). On graph.instagram.com it has its own edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from bot.meta.send_api import SendApi, quoted

FIELDS = (
    "messages",
    "messaging_postbacks",
    "message_echoes",
    "message_edits",
    "message_reactions",
    "message_reads",
    "message_deliveries",
    "messaging_handovers",
    "standby",
    "messaging_policy_enforcement",
)
INSTAGRAM_FIELDS = (
    "messages",
    "messaging_postbacks",
    "message_reactions",
    "messaging_seen",
    "messaging_handover",
    "standby",
)


def asked_of(page: str, account: str, graph_url: str) -> tuple[str, tuple[str, ...]]:
    """The node whose subscription carries this account's webhooks, and the fields that it should have."""
    if account != page and urlsplit(graph_url).hostname == "graph.instagram.com":
        return account, INSTAGRAM_FIELDS
    return page, FIELDS


async def subscribed(api: SendApi, node: str, app_id: str | None) -> frozenset[str]:
    """The fields that our app is subscribed to; none when it is not subscribed. Raises SendError.

    Without `app_id`, of whichever app: the edge shows a page's token all of them."""
    data = await api.get(f"{quoted(node)}/subscribed_apps", {"fields": "id,name,subscribed_fields"})
    return frozenset(
        str(field)
        for app in _list(data.get("data") if isinstance(data, dict) else None)
        if isinstance(app, dict) and app_id in (None, str(app.get("id")))
        for field in _list(app.get("subscribed_fields"))
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def missing(found: frozenset[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The fields that are not subscribed, in the documented order."""
    return tuple(field for field in wanted if field not in found)


async def subscribe(api: SendApi, node: str, fields: Sequence[str]) -> None:
    """Subscribe our app to these fields. Meta replaces the former list, so give all of them. Raises SendError."""
    await api.post(f"{quoted(node)}/subscribed_apps", {"subscribed_fields": ",".join(fields)})
