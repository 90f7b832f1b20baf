"""What can never be stored as it came: kept as failed, so that it is not sent again for ever; its person waits for an agent."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.messages import Edit, Event, Message, Postback, Unknown, body_to_json
from bot.policy.emergency import TOO_OLD, Detection
from bot.store import alarms, handoffs
from bot.store.codec import Codec
from bot.store.conversations import BODY
from bot.store.db import CONSOLE, Database, notify
from bot.store.faults import Fault, fault_of, told

log = logging.getLogger(__name__)


async def keep(
    database: Database,
    codec: Codec,
    event: Event,
    ours: bool,
    state: str,
    now: datetime,
    detection: Detection | None = None,
) -> None:
    """Keep that it came, with disposition `failed`. Its words are not kept: something of it is what cannot be stored.

    `ours`: it belongs to a conversation of ours; who wrote it waits for an agent then. `state`: SQL state, may be empty.
    `detection`: the danger that it tells of, if any: it is an emergency then. May be called again with the same event.
    Raises what the database raises when not even this can be written.
    """
    ways = [True, False] if ours and event.person and isinstance(event.body, Message | Postback | Edit) else [False]
    for handed in ways:
        try:
            async with database.begin() as connection:
                await _keep(connection, codec, event, handed, state, now, detection)
            return
        except DBAPIError as error:
            if handed != ways[-1] and fault_of(error) is Fault.DEFECT:
                log.error("an event that cannot be stored has no conversation either: %s", told(error))
                continue
            raise


async def _keep(
    connection: AsyncConnection,
    codec: Codec,
    event: Event,
    handed: bool,
    state: str,
    now: datetime,
    detection: Detection | None,
) -> None:
    conversation = await _conversation(connection, event, now) if handed else None
    platform, account = event.platform.value, _clean(event.account)
    key = "failed:" + hashlib.sha256("\0".join((platform, event.account, event.key)).encode()).hexdigest()
    new = await connection.scalar(
        text("""
            INSERT INTO events (conversation_id, platform, account, key, kind, channel, at, received_at, body, disposition, reason,
                settled_at)
            VALUES (:conversation, :platform, :account, :key, 'unknown', :channel, :now, :now, :body, 'failed', :reason, :now)
            ON CONFLICT (platform, account, key) DO NOTHING RETURNING id
        """),
        {
            "conversation": conversation,
            "platform": platform,
            "account": account,
            "key": key,
            "channel": event.channel.value,
            "now": now,
            "body": codec.seal_json(
                body_to_json(Unknown(handoffs.UNSTORABLE)), BODY, conversation, platform, account, key
            ),
            "reason": f"{handoffs.UNSTORABLE} {state}".strip(),
        },
    )
    if new is not None and conversation is not None:
        category, intent = ("request", None) if detection is None else ("emergency", detection.intent)
        old = detection is not None and now - event.at > TOO_OLD
        before = None if detection is None else await alarms.ahead(connection, conversation)
        request = handoffs.NewHandoff(conversation, category, handoffs.UNSTORABLE, intent, old)
        handoff, _ = await handoffs.open_(connection, codec, request, now)
        if detection is not None and before is not None:  # without its words
            await alarms.keep(connection, codec, conversation, detection, before, handoff, (), now)
        await notify(connection, CONSOLE, str(conversation))


async def _conversation(connection: AsyncConnection, event: Event, now: datetime) -> int:
    found: Sequence[int] = (
        await connection.scalars(
            text("""
                INSERT INTO conversations AS c (platform, account, person, last_person_at)
                VALUES (:platform, :account, :person, :now)
                ON CONFLICT (platform, account, person)
                DO UPDATE SET last_person_at = greatest(c.last_person_at, :now) RETURNING id
            """),
            {"platform": event.platform.value, "account": event.account, "person": event.person, "now": now},
        )
    ).all()
    return found[0]


def _clean(name: str) -> str:
    return name.replace("\0", "")[:200]
