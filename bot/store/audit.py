"""The audit: who saw, took, wrote, validated, exported or changed what, and when. It only grows (a trigger sees to it).

`record` is the one way in; it belongs in the transaction of what it tells, so that neither exists without the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

SPAN = timedelta(minutes=5)  # what a page shows again within that time after a line is told by that line

# Every action there is. The console has French words for each (`audit_words.ACTIONS`, a test compares).
ACTIONS = frozenset(
    {
        # the door and accounts
        "login",
        "logout",
        "login_refused",
        "second_factor_set",
        "second_factor_removed",
        "recovery_code_used",
        "identity_linked",
        "identity_unlinked",
        "password_changed",
        "user_added",
        "user_changed",
        "user_disabled",
        "user_enabled",
        "user_reset",
        "sessions_ended",
        "team_added",
        "team_changed",
        "team_archived",
        # conversations
        "view",
        "queue_viewed",
        "attachment_viewed",
        "take",
        "assign",
        "transfer",
        "reply",
        "suggestion_used",
        "subject_corrected",
        "note",
        "give_back",
        "close",
        "reopen",
        "snooze",
        "wake",
        "spam",
        "not_spam",
        "block",
        "unblock",
        "alarm_confirmed",
        "alarm_taken_back",
        "alarm_put_back",
        "search",
        # canned replies
        "canned_added",
        "canned_changed",
        "canned_archived",
        # validation
        "drafts_viewed",
        "submit",
        "confirm",
        "withdraw",
        "approve",
        "amend",
        "refuse",
        "expire",
        "rule_changed",
        # crisis
        "crisis_written",
        "crisis_validated",
        "crisis_opened",
        "crisis_closed",
        "group_reply_written",
        "group_reply_validated",
        "group_started",
        "group_stopped",
        "group_member_removed",
        "group_member_admitted",
        "groups_viewed",
        "group_viewed",
        # the workbench
        "reading_viewed",
        "reading_decided",
        "reading_undone",
        "example_added",
        "example_removed",
        "example_moved",
        "example_edited",
        "correction_undone",
        "file_discarded",
        "intent_added",
        "intent_removed",
        "reply_changed",
        "reply_undone",
        "drift_viewed",
        "model_published",
        "model_rolled_back",
        "gate_overridden",
        "publication_proposed",
        "publication_approved",
        "publication_refused",
        "publication_withdrawn",
        "talk_read",
        "story_added",
        "training_asked",
        "training_stopped",
        "story_undone",
        # retention
        "hold_placed",
        "hold_lifted",
        "purge",
        "person_exported",
        "person_erased",
        # steering and audit
        "deadline_changed",
        "export",
        "audit_read",
    }
)

# Of what shows words again and again, a line tells for SPAN; every other line of something that happened once.
REPEATED = frozenset(
    {
        "view",
        "queue_viewed",
        "attachment_viewed",
        "drafts_viewed",
        "groups_viewed",
        "group_viewed",
        "reading_viewed",
        "drift_viewed",
        "talk_read",
    }
)

_INSERT = text("""
    INSERT INTO audit (at, user_id, action, conversation_id, subject_id, conversations, detail)
    VALUES (:at, :user, :action, :conversation, :subject, CAST(:seen AS bigint[]), CAST(:detail AS jsonb))
""")


async def record(
    connection: AsyncConnection,
    at: datetime,
    user_id: int | None,
    action: str,
    conversation_id: int | None = None,
    subject_id: int | None = None,
    seen: Sequence[int] = (),
    **detail: Any,
) -> None:
    """One line of the audit. `subject_id`: the account acted upon; `seen`: conversations of which words were shown
    in a list; `detail`: JSON types, never a citizen's words.

    Raises ValueError for an action that is not in ACTIONS.
    """
    if action not in ACTIONS:
        raise ValueError(f"no such action: {action}")
    await connection.execute(
        _INSERT,
        {
            "at": at,
            "user": user_id,
            "action": action,
            "conversation": conversation_id,
            "subject": subject_id,
            "seen": sorted(set(seen)) or None,
            "detail": json.dumps(detail),
        },
    )


_RECENT = text("""
    SELECT EXISTS (SELECT FROM audit WHERE user_id = :user AND action = :action AND conversation_id = :conversation
        AND at > :after AND at <= :at AND detail = CAST(:detail AS jsonb))
""")


async def record_once(
    connection: AsyncConnection, at: datetime, user_id: int, action: str, conversation_id: int, **detail: Any
) -> None:
    """As `record`, unless the same user did the same to that conversation within SPAN before: that line tells of it.

    Lists are told by `bot.store.sightings`.
    """
    values = {
        "user": user_id,
        "action": action,
        "conversation": conversation_id,
        "at": at,
        "after": at - SPAN,
        "detail": json.dumps(detail),
    }
    if not await connection.scalar(_RECENT, values):
        await record(connection, at, user_id, action, conversation_id, **detail)
