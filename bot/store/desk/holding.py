"""Who holds a conversation, and how it changes hands: what every action of an agent is built on.

All of these run in the caller's transaction, which holds the conversation's lock (`Desk.access`).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy.closing import untaken_emergency
from bot.policy.rights import Capability
from bot.store import handoffs, outbox
from bot.store.accounts import User
from bot.store.codec import Codec
from bot.store.desk import submissions
from bot.store.desk.access import Conversation, last_seen
from bot.store.desk.errors import Conflict, Overtaken, Stale, UntakenEmergency


def must_hold(conversation: Conversation, user: User, verb: str, or_free: bool = False) -> None:
    """Raises Conflict unless this user has the conversation (`or_free`: or may free what another has)."""
    if conversation.held_by(user) or (or_free and user.may(Capability.FREE) and conversation.owner == "agent"):
        return
    if conversation.owner == "agent":
        raise Conflict(
            f"{conversation.agent} a pris cette conversation\u00a0: vous ne pouvez pas {verb}.",
            "Prenez-la d’abord si vous vous êtes entendu avec cette personne. Votre brouillon est gardé.",
        )
    raise Conflict(
        f"Cette conversation n’est pas à vous\u00a0: vous ne pouvez pas {verb}.",
        "Prenez-la d’abord. Votre brouillon est gardé.",
    )


def may_put_aside(conversation: Conversation, user: User, verb: str) -> None:
    """Raises Conflict when another agent has it, or when it is a danger that nobody has taken."""
    if conversation.owner == "agent":
        must_hold(conversation, user, verb, or_free=True)
        return
    handoff = conversation.handoff
    if handoff is not None and handoff.closed_at is None and untaken_emergency(handoff.category, conversation.owner):
        raise UntakenEmergency(f"vous ne pouvez pas {verb}")


async def last_sent(connection: AsyncConnection, conversation_id: int) -> int:
    """The id of the last message that an agent sent there; 0 when there is none."""
    found = await connection.scalar(
        text("SELECT max(id) FROM outbox WHERE conversation_id = :id AND author = 'agent'"), {"id": conversation_id}
    )
    return int(found or 0)


async def must_be_fresh(
    connection: AsyncConnection, conversation_id: int, user: User, seen: int, seen_sent: int | None
) -> None:
    """Raises Stale when the person wrote since the page was shown, Overtaken when a colleague did.

    `seen`, `seen_sent`: the last thing of the person, and of an agent, that the page showed (None: it did not say).
    """
    if await last_seen(connection, conversation_id) > seen:
        raise Stale
    if seen_sent is None:
        return
    name = await connection.scalar(
        text("""
            SELECT coalesce(u.name, 'Un collègue') FROM outbox o LEFT JOIN users u ON u.id = o.user_id
            WHERE o.conversation_id = :id AND o.author = 'agent' AND o.id > :seen AND o.user_id IS DISTINCT FROM :user
            ORDER BY o.id DESC LIMIT 1
        """),
        {"id": conversation_id, "seen": seen_sent, "user": user.id},
    )
    if name is not None:
        raise Overtaken(str(name))


async def must_have_read(connection: AsyncConnection, conversation_id: int, seen: int | None, undone: str) -> None:
    """Raises Stale when the person wrote since the page was shown: what nobody has read is not set aside with the rest.

    `seen`: the last thing of the person that the page showed (None: there was no page); `undone`: what is not done.
    """
    if seen is not None and await last_seen(connection, conversation_id) > seen:
        raise Stale(undone)


async def settle_pending(connection: AsyncConnection, conversation_id: int, reason: str, now: datetime) -> None:
    """What waits for the bot is in front of a human now. Echoes stay the worker's: they say who else writes."""
    await connection.execute(
        text("""
            UPDATE events SET disposition = 'to_agent', reason = :reason, settled_at = :now, waiting = NULL
            WHERE conversation_id = :id AND disposition IS NULL AND kind <> 'echo'
        """),
        {"id": conversation_id, "reason": reason, "now": now},
    )


async def close_handoff(
    connection: AsyncConnection, conversation_id: int, user: User, outcome: str, reason: str | None, now: datetime
) -> int | None:
    """Close the open hand-off; its id, None when there is none. A draft that waits for validation is withdrawn."""
    await submissions.conversation_over(connection, conversation_id, user.id, outcome, now)
    closed = await connection.scalar(
        text("""
            UPDATE handoffs SET closed_at = :now, outcome = :outcome, close_reason = :reason, snoozed_until = NULL,
                user_id = coalesce(user_id, :user)
            WHERE conversation_id = :id AND closed_at IS NULL RETURNING id
        """),
        {"now": now, "outcome": outcome, "reason": reason, "user": user.id, "id": conversation_id},
    )
    return None if closed is None else int(closed)


async def open_handoff(
    connection: AsyncConnection, codec: Codec, conversation: Conversation, now: datetime
) -> tuple[int, str]:
    """(id, category) of the open hand-off; one is opened if there is none."""
    handoff = conversation.handoff
    if handoff is not None and handoff.closed_at is None:
        return handoff.id, handoff.category
    # The category says which validation a reply needs: closing and taking again does not change it.
    category = handoff.category if handoff else "request"
    opened, _ = await handoffs.open_(connection, codec, handoffs.NewHandoff(conversation.id, category, "agent"), now)
    return opened, category


async def release(connection: AsyncConnection, conversation_id: int, owner: str) -> None:
    """The conversation is the bot's, or closed; the dialogue begins afresh."""
    await connection.execute(
        text("""
            UPDATE conversations SET owner = :owner, agent_id = NULL, owner_version = owner_version + 1,
                owner_until = NULL, category = 'none', state = NULL WHERE id = :id
        """),
        {"owner": owner, "id": conversation_id},
    )


async def end(
    connection: AsyncConnection, conversation_id: int, user: User, outcome: str, reason: str | None, now: datetime
) -> int | None:
    """Close the hand-off and the conversation; what waited is settled, what was to be said is withdrawn."""
    handoff = await close_handoff(connection, conversation_id, user, outcome, reason, now)
    await release(connection, conversation_id, "closed")
    await outbox.cancel_unsent(connection, conversation_id, "closed", now, ("bot", "system"))
    await settle_pending(connection, conversation_id, "closed", now)
    return handoff


async def give_to(
    connection: AsyncConnection, conversation_id: int, handoff_id: int, category: str, user_id: int, now: datetime
) -> None:
    """That agent has the conversation from now on; the bot's unsent words are withdrawn."""
    await connection.execute(
        text("""
            UPDATE conversations SET owner = 'agent', agent_id = :user, owner_version = owner_version + 1,
                owner_until = NULL, category = :category WHERE id = :id
        """),
        {"user": user_id, "category": category, "id": conversation_id},
    )
    await connection.execute(
        text("""
            UPDATE handoffs SET taken_at = coalesce(taken_at, :now), user_id = :user, assignee_id = :user,
                snoozed_until = NULL
            WHERE id = :id
        """),
        {"now": now, "user": user_id, "id": handoff_id},
    )
    await outbox.cancel_unsent(connection, conversation_id, "agent_took", now, ("bot", "system"))
    await settle_pending(connection, conversation_id, "agent", now)
