"""Putting together what people say the same: sketches of what waits for an agent, and the groups that form around them.

Works on what waits, in three steps that each may be repeated at any time: sketch what has none → say which members of
a group may no longer be answered in it → put the others together. A crash between two steps loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.policy import window
from bot.policy.crisis import LOOKED_AT, NEVER_GROUPED, grave, shared_intent
from bot.policy.likeness import Leaders, bands
from bot.store import news, places
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.desk.access import SPOKEN
from bot.store.desk.said import said_of

BATCH = 500  # conversations sketched in one transaction
SAME_WORDS, SAME_INTENT = "same_words", "same_intent"
INTENT_AT_LEAST = 3  # people, for a group that shares an intent and no words
TOPIC = "groups"  # the news of groups; `groups:12` is that of one
LIVING = ("waiting", "held", "queued", "withdrawn")  # statuses of a member who may still be answered in the group

# What waits for an agent there: what the person said since a human last wrote, and the bot left to agents.
_WORDS = text(f"""
    SELECT e.conversation_id, e.id, e.kind, e.body, e.intent, e.confidence, {places.event("e")}
    FROM events e JOIN conversations c ON c.id = e.conversation_id
    WHERE e.conversation_id = ANY(:ids) AND e.kind = ANY(:kinds)
      AND (e.disposition IN ('handed_off', 'to_agent') OR e.disposition IS NULL OR e.kind IN ('edit', 'unsend'))
      AND (c.last_agent_at IS NULL OR e.received_at > c.last_agent_at)
    ORDER BY e.at, e.id
""")  # noqa: S608 (names of ours)
_UNSKETCHED = text("""
    SELECT c.id, h.category, h.opened_at, c.last_person_at,
        (SELECT max(e.id) FROM events e WHERE e.conversation_id = c.id AND e.kind = ANY(:kinds)) AS last
    FROM handoffs h JOIN conversations c ON c.id = h.conversation_id
    LEFT JOIN likenesses l ON l.conversation_id = c.id
    WHERE h.closed_at IS NULL AND h.snoozed_until IS NULL AND c.owner = 'waiting' AND c.last_person_at > :since
      AND (l.event_id IS NULL OR l.at < c.last_person_at OR l.asked_at < h.opened_at)
    ORDER BY h.opened_at, h.id LIMIT :limit
""")


@dataclass
class _Waiting:
    """What waits in one conversation, as it is read."""

    conversation: int
    last: int
    at: datetime
    asked_at: datetime
    category: str
    words: list[str] = field(default_factory=list)
    intents: list[tuple[str | None, float | None]] = field(default_factory=list)
    held: str | None = None

    def read(self, codec: Codec, row: Row[Any]) -> None:
        said = said_of(codec, row.kind, row.body, row.place)
        if row.kind in ("edit", "unsend") or said.withdrawn:
            self.held = self.held or "edited"
        elif row.kind not in ("text", "quick_reply", "postback") or said.attachments:
            self.held = self.held or "attachments"
        if said.text and row.kind != "edit":
            self.words.append(said.text)
        self.intents.append((row.intent, row.confidence))

    @property
    def why_held(self) -> str | None:
        """Why a human reads it before any group's reply; sensitive before all else."""
        if self.category in LOOKED_AT or any(grave(*understood) for understood in self.intents):
            return "sensitive"
        return self.held

    @property
    def intent(self) -> str | None:
        """What all of it wants, where that is one thing and sure."""
        wanted = {shared_intent(*understood) for understood in self.intents}
        return wanted.pop() if len(wanted) == 1 else None


class Grouping:
    """The store's side of it. Its steps are idempotent; callers see to it that one process runs them at a time."""

    def __init__(self, database: Database, codec: Codec) -> None:
        self._db = database
        self._codec = codec
        self._key = codec.key("likeness")

    async def sketch(self, now: datetime) -> int:
        """Sketch what waits for an agent and has no sketch of its present words; returns how many conversations."""
        done = 0
        while True:
            count = await self._sketch_some(now)
            done += count
            if count < BATCH:
                return done

    async def _sketch_some(self, now: datetime) -> int:
        async with self._db.begin(durable=False) as connection:
            rows = (
                await connection.execute(
                    _UNSKETCHED, {"kinds": list(SPOKEN), "limit": BATCH, "since": now - window.STANDARD}
                )
            ).all()
            found = {
                row.id: _Waiting(row.id, row.last, row.last_person_at, row.opened_at, row.category)
                for row in rows
                if row.last is not None
            }
            if not found:
                return 0
            said = (await connection.execute(_WORDS, {"ids": list(found), "kinds": list(SPOKEN)})).all()
            sketches = await asyncio.to_thread(self._sketches, found, said)
            await self._keep(connection, list(found.values()), sketches)
        return len(found)

    def _sketches(self, found: Mapping[int, _Waiting], said: Sequence[Row[Any]]) -> list[tuple[int, ...]]:
        for row in said:
            found[row.conversation_id].read(self._codec, row)
        return [bands("\n".join(one.words), self._key) for one in found.values()]

    @staticmethod
    async def _keep(
        connection: AsyncConnection, found: Sequence[_Waiting], sketches: Sequence[tuple[int, ...]]
    ) -> None:
        await connection.execute(
            text("""
                INSERT INTO likenesses AS l (event_id, conversation_id, at, bands, held, intent, asked_at)
                SELECT event, conversation, at, CAST(bands AS bigint[]), held, intent, asked FROM unnest(
                    CAST(:events AS bigint[]), CAST(:conversations AS bigint[]), CAST(:ats AS timestamptz[]),
                    CAST(:bands AS text[]), CAST(:held AS text[]), CAST(:intents AS text[]), CAST(:asked AS timestamptz[])
                ) AS i(event, conversation, at, bands, held, intent, asked)
                ON CONFLICT (conversation_id) DO UPDATE SET event_id = EXCLUDED.event_id, at = EXCLUDED.at,
                    bands = EXCLUDED.bands, held = EXCLUDED.held, intent = EXCLUDED.intent, asked_at = EXCLUDED.asked_at
            """),
            {
                "events": [one.last for one in found],
                "conversations": [one.conversation for one in found],
                "ats": [one.at for one in found],
                "bands": ["{" + ",".join(map(str, sketch)) + "}" for sketch in sketches],
                "held": [one.why_held for one in found],
                "intents": [one.intent for one in found],
                "asked": [one.asked_at for one in found],
            },
        )

    async def refresh(self, now: datetime) -> int:
        """Say of each member who may no longer be answered in the group why not; returns how many changed."""
        async with self._db.begin() as connection:
            rows = (
                await connection.execute(
                    _REFRESH,
                    {
                        "now": now,
                        "standard": window.STANDARD,
                        "kinds": list(SPOKEN),
                        "never": list(NEVER_GROUPED),
                        "looked_at": list(LOOKED_AT),
                    },
                )
            ).all()
            await _tell(connection, {row.group_id for row in rows})
        return len(rows)

    async def group(self, crisis_id: int, now: datetime) -> int:
        """Put together what says the same and stands in no group yet; returns how many people joined one."""
        async with self._db.begin() as connection:
            if not await connection.scalar(_STILL_OPEN, {"id": crisis_id}):
                return 0
            groups = (await connection.execute(_GROUPS, {"crisis": crisis_id})).all()
            rows = (
                await connection.execute(
                    _UNGROUPED, {"since": now - window.STANDARD, "never": list(NEVER_GROUPED), "living": list(LIVING)}
                )
            ).all()
            if not rows:
                return 0
            joins, clusters = await asyncio.to_thread(_cluster, groups, rows)
            for cluster in clusters:
                joins[await self._found(connection, crisis_id, cluster, now)] = cluster.members
            joined = await self._join(connection, joins, now)
            await _tell(connection, set(joined))
        return len(joined)

    @staticmethod
    async def _found(connection: AsyncConnection, crisis_id: int, cluster: _Cluster, now: datetime) -> int:
        sample = cluster.members[0]
        number = await connection.scalar(
            text("""
                INSERT INTO message_groups (crisis_id, kind, intent, sample_id, created_at, bands)
                VALUES (:crisis, :kind, :intent, :sample, :now, CAST(:bands AS bigint[])) RETURNING id
            """),
            {
                "crisis": crisis_id,
                "kind": cluster.kind,
                "intent": cluster.intent,
                "sample": sample.event_id,
                "now": now,
                "bands": list(sample.bands) if cluster.kind == SAME_WORDS else [],
            },
        )
        return int(number)

    @staticmethod
    async def _join(connection: AsyncConnection, joins: Mapping[int, Sequence[Row[Any]]], now: datetime) -> list[int]:
        """Returns the group of each who joined; whoever had its reply, or was left out of it, does not come back."""
        pairs = [(number, row) for number, members in joins.items() for row in members]
        if not pairs:
            return []
        # Who wrote again and still says much the same adds something: a human reads it before any reply.
        rows = await connection.execute(
            text("""
                INSERT INTO group_members AS m
                    (group_id, conversation_id, handoff_id, seen, status, why, joined_at, at)
                SELECT g, c, h, s, CASE WHEN w IS NULL THEN 'waiting' ELSE 'held' END, w, :now, :now FROM unnest(
                    CAST(:groups AS bigint[]), CAST(:conversations AS bigint[]), CAST(:handoffs AS bigint[]),
                    CAST(:seen AS bigint[]), CAST(:why AS text[])) AS i(g, c, h, s, w)
                ON CONFLICT (group_id, conversation_id) DO UPDATE SET handoff_id = EXCLUDED.handoff_id,
                    seen = EXCLUDED.seen, status = 'held', why = coalesce(EXCLUDED.why, 'wrote_since'),
                    joined_at = EXCLUDED.joined_at, at = EXCLUDED.at, admitted_by = NULL, admitted_at = NULL
                WHERE m.status = 'skipped' RETURNING m.group_id
            """),
            {
                "groups": [number for number, _ in pairs],
                "conversations": [row.conversation_id for _, row in pairs],
                "handoffs": [row.handoff_id for _, row in pairs],
                "seen": [row.event_id for _, row in pairs],
                "why": [row.held for _, row in pairs],
                "now": now,
            },
        )
        return [row.group_id for row in rows]


@dataclass
class _Cluster:
    """A group to be: its members as rows of _UNGROUPED, the first of which stands for it."""

    kind: str
    members: list[Row[Any]]
    intent: str | None = None


_STILL_OPEN = text("SELECT true FROM crises WHERE id = :id AND closed_at IS NULL FOR SHARE")
_GROUPS = text("""
    SELECT id, kind, intent, bands FROM message_groups WHERE crisis_id = :crisis ORDER BY id
""")
# Whoever was in a group with these very words is not put into another one.
_UNGROUPED = text("""
    SELECT l.event_id, l.conversation_id, l.bands, l.held, l.intent, h.id AS handoff_id
    FROM handoffs h JOIN conversations c ON c.id = h.conversation_id JOIN likenesses l ON l.conversation_id = c.id
    WHERE h.closed_at IS NULL AND h.snoozed_until IS NULL AND h.replied_at IS NULL AND h.assignee_id IS NULL
      AND h.category <> ALL(CAST(:never AS text[])) AND c.owner = 'waiting' AND NOT c.standby
      AND c.last_person_at > :since AND l.at >= c.last_person_at
      AND NOT EXISTS (SELECT FROM group_members m WHERE m.conversation_id = c.id
          AND (m.seen >= l.event_id AND m.why IS DISTINCT FROM 'crisis_closed' OR m.status = ANY(CAST(:living AS text[]))))
    ORDER BY h.opened_at, h.id
""")

# Why a member may no longer be answered in the group, the weightiest reason first; None: they still may.
WHY = """
    CASE WHEN h.id IS NULL OR h.closed_at IS NOT NULL OR h.id <> m.handoff_id THEN 'closed'
         WHEN h.category = ANY(CAST(:never AS text[])) THEN 'sensitive'
         WHEN EXISTS (SELECT FROM events e WHERE e.conversation_id = c.id AND e.id > m.seen
             AND (e.kind = ANY(CAST(:kinds AS text[])) OR e.kind = 'echo' AND e.reason = 'inbox_reply')) THEN 'wrote_since'
         WHEN c.owner <> 'waiting' OR c.standby OR h.assignee_id IS NOT NULL OR h.snoozed_until IS NOT NULL THEN 'taken'
         WHEN h.replied_at IS NOT NULL THEN 'answered'
         WHEN EXISTS (SELECT FROM submissions s WHERE s.conversation_id = c.id AND s.status = 'waiting') THEN 'taken'
         WHEN EXISTS (SELECT FROM blocks b WHERE b.conversation_id = c.id AND b.lifted_at IS NULL) THEN 'blocked'
         WHEN c.last_person_at IS NULL OR c.last_person_at <= CAST(:now AS timestamptz) - CAST(:standard AS interval)
             THEN 'window_closed' END
"""
_REFRESH = text(f"""
    UPDATE group_members u SET status = CASE WHEN w.why IS NULL THEN 'held' ELSE 'skipped' END,
        why = coalesce(w.why, 'sensitive'), at = :now
    FROM (
        SELECT m.group_id, m.conversation_id, {WHY} AS why,
            m.status <> 'held' AND m.admitted_at IS NULL AND h.category = ANY(CAST(:looked_at AS text[])) AS to_read
        FROM group_members m JOIN conversations c ON c.id = m.conversation_id
        LEFT JOIN handoffs h ON h.conversation_id = c.id AND h.closed_at IS NULL
        WHERE m.status IN ('waiting', 'held', 'withdrawn')) w
    WHERE u.group_id = w.group_id AND u.conversation_id = w.conversation_id AND (w.why IS NOT NULL OR w.to_read)
    RETURNING u.group_id
""")  # noqa: S608


def _cluster(groups: Sequence[Row[Any]], rows: Sequence[Row[Any]]) -> tuple[dict[int, list[Row[Any]]], list[_Cluster]]:
    """(group → who joins it, groups to be). What a human has to read first joins a group, and never begins one."""
    leaders: Leaders[tuple[str, int]] = Leaders()
    for group in groups:
        leaders.add(("group", group.id), group.bands)
    by_intent = {group.intent: group.id for group in groups if group.kind == SAME_INTENT}
    joins: dict[int, list[Row[Any]]] = {}
    begun: dict[int, _Cluster] = {}
    for row in sorted(rows, key=lambda r: r.held is not None):
        found = leaders.nearest(row.bands)
        if found is not None and found[0] == "group":
            joins.setdefault(found[1], []).append(row)
        elif found is not None:
            begun[found[1]].members.append(row)
        elif row.held is None:
            begun[row.event_id] = _Cluster(SAME_WORDS, [row])
            leaders.add(("row", row.event_id), row.bands)
    wants: dict[str, list[Row[Any]]] = {}
    for cluster in begun.values():
        if len(cluster.members) == 1 and (intent := cluster.members[0].intent) is not None:
            wants.setdefault(intent, []).append(cluster.members[0])
    new = [cluster for cluster in begun.values() if len(cluster.members) > 1]
    for intent, alone in wants.items():
        if intent in by_intent:
            joins.setdefault(by_intent[intent], []).extend(alone)
        elif len(alone) >= INTENT_AT_LEAST:
            new.append(_Cluster(SAME_INTENT, alone, intent))
    return joins, new


async def _tell(connection: AsyncConnection, groups: set[int]) -> None:
    if groups:
        await news.topic(connection, TOPIC)
    for number in sorted(groups)[:50]:
        await news.topic(connection, TOPIC, number)
