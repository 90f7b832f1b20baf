"""How a human's message comes to leave, whoever let it go: its author, a validator, or a group's reply."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clean import clean
from bot.core.dialogue import Reply
from bot.policy import window
from bot.store import outbox
from bot.store.desk import submissions
from bot.store.desk.access import AGENT_PRIORITY, Conversation, Desk
from bot.store.desk.errors import BadReply, NeedsValidation

REPLY_AT_MOST = 10_000
_VARIABLE = re.compile(r"\{\{[^{}\n]{0,40}\}\}")  # of a canned reply, still to be filled


def checked(written: str) -> str:
    """The cleaned text. Raises BadReply when it is empty to the eye or too long, or holds an unfilled variable."""
    words = clean(written)
    if not words or not any(c.isprintable() and not c.isspace() for c in words):
        raise BadReply("Votre message est vide.", "Écrivez quelques mots, puis envoyez.")
    if len(words) > REPLY_AT_MOST:
        raise BadReply(
            f"Votre message compte {len(words)} caractères.",
            f"Gardez-en {REPLY_AT_MOST} au plus, ou envoyez-le en plusieurs fois.",
        )
    unfilled = _VARIABLE.search(words)
    if unfilled:
        raise BadReply(
            f"Il reste une partie à remplir\u00a0: {unfilled[0]}. Rien n’a été envoyé.",
            "Remplacez-la par le mot juste, ou retirez-la. Votre brouillon est gardé.",
        )
    return words


def form_name(user_id: int, key: str, words: str) -> str:
    """The outbox name of a form sent by that user: the same one twice is one message.

    The text is part of it: a form gone back to and changed is another message.
    """
    return "agent:" + hashlib.sha256(f"{user_id}\x00{key}\x00{words}".encode()).hexdigest()[:32]


async def stands(connection: AsyncConnection, conversation_id: int, dedup: str) -> bool:
    """Whether a message of that name is in the outbox already, or was submitted to validation."""
    return bool(
        await connection.scalar(
            text("""
                SELECT EXISTS (SELECT FROM outbox WHERE conversation_id = :id AND dedup = :dedup)
                    OR EXISTS (SELECT FROM submissions WHERE conversation_id = :id AND dedup = :dedup)
            """),
            {"id": conversation_id, "dedup": dedup},
        )
    )


async def rule(connection: AsyncConnection, conversation: Conversation) -> tuple[str, ...]:
    """Who has to agree to a reply, in order (`service`, `cabinet`), by the open hand-off's category; () when nobody."""
    handoff = conversation.handoff
    category = handoff.category if handoff and handoff.closed_at is None else "none"
    steps = await connection.scalar(
        text("SELECT steps FROM validation_rules WHERE category = :category"), {"category": category}
    )
    return tuple(steps or ())


async def must_need_no_validation(connection: AsyncConnection, conversation: Conversation) -> None:
    """Raises NeedsValidation when the rule of the open hand-off's category asks for somebody's agreement."""
    steps = await rule(connection, conversation)
    if steps:
        raise NeedsValidation(steps)


async def queue(
    connection: AsyncConnection,
    desk: Desk,
    conversation: Conversation,
    author_id: int,
    words: str,
    dedup: str,
    now: datetime,
    owner_version: int | None = None,
) -> int | None:
    """Put a human's message into the outbox; its id, None when one of that name stands there.

    `owner_version`: it leaves only while the conversation has that version, so that nobody has taken it since.

    The sender asks for the window again, and for the tag. The caller holds the conversation's lock, has judged who may,
    and records what was done. Raises window.WindowClosed.
    """
    window.tag("agent", conversation.last_person_at, now)
    new = outbox.NewRow(
        conversation.id,
        "agent",
        "agent",
        Reply(words),
        now,
        priority=AGENT_PRIORITY,
        owner_version=owner_version,
        user_id=author_id,
        dedup=dedup,
    )
    row = await outbox.add(connection, desk.codec, new)
    if row is None:
        return None
    await connection.execute(
        text("UPDATE conversations SET last_agent_at = :now WHERE id = :id"), {"now": now, "id": conversation.id}
    )
    await connection.execute(
        text("""
            UPDATE handoffs SET replied_at = coalesce(replied_at, :now), user_id = :user
            WHERE conversation_id = :id AND closed_at IS NULL
        """),
        {"now": now, "user": author_id, "id": conversation.id},
    )
    # A draft that still waits there was written before this: its author takes it up again or not.
    await submissions.conversation_over(connection, conversation.id, author_id, "replied", now)
    return row
