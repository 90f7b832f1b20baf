"""Groups of people who say the same: what a human sees of them, and what a human decides.

One writes the reply, another validates it, an administrator lets it go and may stop it at once; anyone who answers may
leave a person out, or read a message that was held back and let it in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.messages import Attachment, Platform
from bot.policy.rights import LEVELS, Capability, reaches
from bot.store import audit, places
from bot.store.conversations import PROFILE
from bot.store.desk import release
from bot.store.desk.access import SPOKEN, Desk
from bot.store.desk.errors import Conflict, DeskError, NotAllowed
from bot.store.desk.grouping import SAME_INTENT, SAME_WORDS
from bot.store.desk.replies import checked
from bot.store.desk.said import Said, said_of
from bot.store.user import User

PAGE = 50  # members a page
GROUPS = 20  # groups a page
STATUSES = ("waiting", "held", "queued", "sent", "failed", "withdrawn", "skipped", "removed")
SHOWN_MESSAGES = 10  # of one person


class NoSuchGroup(DeskError):
    """There is none of that number."""

    def __init__(self) -> None:
        super().__init__("Ce groupe n’existe pas.", "Revenez à la page de crise pour choisir un groupe.")


@dataclass(frozen=True)
class Counts:
    """Members by status, and by status and reason; and how many joined since the reply was last let go."""

    by_status: Mapping[str, int] = field(default_factory=dict)
    by_why: Mapping[tuple[str, str], int] = field(default_factory=dict)
    late: int = 0
    latest: datetime | None = None  # when somebody last joined

    def __getitem__(self, status: str) -> int:
        return self.by_status.get(status, 0)

    @property
    def total(self) -> int:
        """Everybody who was ever put into the group."""
        return sum(self.by_status.values())

    @property
    def to_go(self) -> int:
        """Whom the reply is still to reach."""
        return self["waiting"] + self["queued"] + self["withdrawn"]

    @property
    def handled(self) -> int:
        """Of those whom the reply was for, how many are behind us."""
        return self["sent"] + self["failed"]


@dataclass(frozen=True)
class Group:
    """A group. Names are those of users; `words`: what the message that stands for it says."""

    id: int
    kind: str
    intent: str | None
    created_at: datetime
    words: Said | None
    words_of: int | None  # the conversation that they come from
    reply: str | None
    reply_by: str | None
    reply_by_id: int | None
    reply_at: datetime | None
    validated_by: str | None
    validated_at: datetime | None
    validated_level: str | None
    started_by: str | None
    started_at: datetime | None
    upto: datetime | None  # who had joined by then is answered
    stopped_by: str | None
    stopped_at: datetime | None
    done_at: datetime | None
    is_current: bool  # of the crisis that is open
    counts: Counts = field(default_factory=Counts)

    @property
    def state(self) -> str:
        """new, written, validated, running, stopped, done."""
        if self.started_at is not None:
            return "stopped" if self.stopped_at else "done" if self.done_at else "running"
        return "validated" if self.validated_at else "written" if self.reply else "new"


@dataclass(frozen=True)
class Member:
    """A person in a group, with what they say."""

    conversation_id: int
    platform: Platform
    name: str | None
    category: str | None
    status: str
    why: str | None
    error: str | None  # why the sender could not deliver, in French
    at: datetime | None
    last_person_at: datetime | None
    admitted_by: str | None
    words: tuple[Said, ...]

    @property
    def text(self) -> str:
        """All their words."""
        return "\n".join(said.text for said in self.words if said.text)

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """All that they sent besides words."""
        return tuple(item for said in self.words for item in said.attachments)


@dataclass(frozen=True)
class GroupPage:
    """A group with a page of its members. `needs`: the level whose word the reply needs, by the rules of validation."""

    group: Group
    members: tuple[Member, ...]
    following: int | None  # conversation after which the next page begins
    needs: str | None


_GROUP = f"""
    SELECT g.*, r.name AS reply_by_name, v.name AS validated_by_name, s.name AS started_by_name, x.name AS stopped_by_name,
        e.kind AS sample_kind, e.body AS sample, {places.event("e", "sample_place")}, e.conversation_id AS sample_of,
        EXISTS (SELECT FROM crises c WHERE c.id = g.crisis_id AND c.opened_at IS NOT NULL AND c.closed_at IS NULL) AS is_current
    FROM message_groups g LEFT JOIN users r ON r.id = g.reply_by LEFT JOIN users v ON v.id = g.validated_by
    LEFT JOIN users s ON s.id = g.started_by LEFT JOIN users x ON x.id = g.stopped_by
    LEFT JOIN events e ON e.id = g.sample_id
"""  # noqa: S608 (names of ours)
_COUNTS = text("""
    SELECT m.group_id, m.status, m.why, count(*) AS n,
        count(*) FILTER (WHERE m.status = 'waiting' AND m.joined_at > g.upto) AS late, max(m.joined_at) AS latest
    FROM group_members m JOIN message_groups g ON g.id = m.group_id
    WHERE m.group_id = ANY(:ids) GROUP BY m.group_id, m.status, m.why
""")
_MEMBERS = text("""
    SELECT m.conversation_id, m.status, m.why, m.at, m.seen, c.platform, c.profile, c.last_person_at, c.last_agent_at,
        h.category, a.name AS admitted_by, o.error_remedy
    FROM group_members m JOIN conversations c ON c.id = m.conversation_id
    LEFT JOIN handoffs h ON h.id = m.handoff_id LEFT JOIN users a ON a.id = m.admitted_by
    LEFT JOIN outbox o ON o.id = m.outbox_id
    WHERE m.group_id = :group AND m.status = ANY(CAST(:statuses AS text[])) AND m.conversation_id > :after
    ORDER BY m.conversation_id LIMIT :limit
""")
# What the person said until they joined, the newest SHOWN_MESSAGES of it.
_SAID = text(f"""
    SELECT m.conversation_id, e.id, e.kind, e.body, e.place
    FROM group_members m CROSS JOIN LATERAL (
        SELECT e.id, e.kind, e.body, e.at, {places.event("e")} FROM events e
        WHERE e.conversation_id = m.conversation_id AND e.id <= m.seen AND e.kind = ANY(CAST(:kinds AS text[]))
          AND (e.disposition IS NULL OR e.disposition IN ('handed_off', 'to_agent') OR e.kind IN ('edit', 'unsend'))
          AND e.at > (SELECT at FROM events WHERE id = m.seen) - interval '1 day'
        ORDER BY e.at DESC, e.id DESC LIMIT :most) e
    WHERE m.group_id = :group AND m.conversation_id = ANY(:ids) ORDER BY m.conversation_id, e.at, e.id
""")  # noqa: S608
_ORDER = """ORDER BY (SELECT count(*) FROM group_members m WHERE m.group_id = g.id AND m.status IN ('waiting', 'held', 'withdrawn'))
    DESC, g.id DESC"""


class GroupStore:
    """Each action is one transaction that locks the group's row, audited."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # -- what is seen --------------------------------------------------------------------------------------------

    async def groups(self, user: User, crisis_id: int, now: datetime, skip: int = 0) -> tuple[Sequence[Group], bool]:
        """A page of the groups of a crisis, those with most people waiting first; whether more follow.

        That it was shown is recorded, as in `page`.
        """
        _must(user, Capability.SEE_CRISIS)
        async with self._desk.database.begin() as connection:
            rows = (
                await connection.execute(
                    text(f"{_GROUP} WHERE g.crisis_id = :crisis {_ORDER} LIMIT :limit OFFSET :skip"),
                    {"crisis": crisis_id, "limit": GROUPS + 1, "skip": skip},
                )
            ).all()
            counts = await _counts(connection, [row.id for row in rows])
        shown = [self._group(row, counts) for row in rows[:GROUPS]]
        await self._desk.sightings.record(
            user.id, "groups_viewed", now, (one.words_of for one in shown if one.words_of), crisis=crisis_id
        )
        return shown, len(rows) > GROUPS

    async def totals(self, user: User, crisis_id: int) -> Counts:
        """Members of all groups of a crisis by status."""
        _must(user, Capability.SEE_CRISIS)
        async with self._desk.database.begin() as connection:
            rows = await connection.execute(
                text("""
                    SELECT m.status, count(*) AS n FROM group_members m JOIN message_groups g ON g.id = m.group_id
                    WHERE g.crisis_id = :crisis GROUP BY m.status
                """),
                {"crisis": crisis_id},
            )
            return Counts({row.status: row.n for row in rows})

    async def page(
        self,
        user: User,
        group_id: int,
        now: datetime,
        statuses: Sequence[str] = STATUSES,
        after: int = 0,
        size: int = PAGE,
    ) -> GroupPage:
        """A group with a page of its members; that it was shown is recorded. Raises NotAllowed, NoSuchGroup."""
        _must(user, Capability.SEE_CRISIS)
        async with self._desk.database.begin() as connection:
            group = await self._one(connection, group_id)
            rows = (
                await connection.execute(
                    _MEMBERS, {"group": group_id, "statuses": list(statuses), "after": after, "limit": size + 1}
                )
            ).all()
            said = await self._said(connection, group_id, [row.conversation_id for row in rows[:size]])
            needs = await _needs(connection, group_id)
        members = tuple(self._member(row, said.get(row.conversation_id, [])) for row in rows[:size])
        shown = [member.conversation_id for member in members] + ([group.words_of] if group.words_of else [])
        await self._desk.sightings.record(user.id, "group_viewed", now, shown, group=group_id)
        return GroupPage(group, members, members[-1].conversation_id if len(rows) > size else None, needs)

    async def of_conversation(self, user: User, conversation_id: int) -> tuple[int, str, str | None] | None:
        """(group, status, why) of the group that the person was put into last, while its crisis is open; None: in none."""
        if not user.may(Capability.SEE_CRISIS):
            return None
        async with self._desk.database.begin() as connection:
            row = (
                await connection.execute(
                    text("""
                        SELECT m.group_id, m.status, m.why FROM group_members m JOIN message_groups g ON g.id = m.group_id
                        JOIN crises c ON c.id = g.crisis_id
                        WHERE m.conversation_id = :id AND c.opened_at IS NOT NULL AND c.closed_at IS NULL
                        ORDER BY m.group_id DESC LIMIT 1
                    """),
                    {"id": conversation_id},
                )
            ).one_or_none()
        return None if row is None else (row.group_id, row.status, row.why)

    async def _said(self, connection: AsyncConnection, group_id: int, ids: Sequence[int]) -> dict[int, list[Said]]:
        said: dict[int, list[Said]] = {}
        values = {"group": group_id, "ids": list(ids), "kinds": list(SPOKEN), "most": SHOWN_MESSAGES}
        for row in await connection.execute(_SAID, values):
            said.setdefault(row.conversation_id, []).append(said_of(self._desk.codec, row.kind, row.body, row.place))
        return said

    async def _one(self, connection: AsyncConnection, group_id: int) -> Group:
        row = (await connection.execute(text(f"{_GROUP} WHERE g.id = :id"), {"id": group_id})).one_or_none()
        if row is None:
            raise NoSuchGroup
        return self._group(row, await _counts(connection, [group_id]))

    def _group(self, row: Row[Any], counts: Mapping[int, Counts]) -> Group:
        return Group(
            id=row.id,
            kind=row.kind,
            intent=row.intent,
            created_at=row.created_at,
            words=None
            if row.sample is None
            else said_of(self._desk.codec, row.sample_kind, row.sample, row.sample_place),
            words_of=row.sample_of,
            reply=row.reply,
            reply_by=row.reply_by_name,
            reply_by_id=row.reply_by,
            reply_at=row.reply_at,
            validated_by=row.validated_by_name,
            validated_at=row.validated_at,
            validated_level=row.validated_level,
            started_by=row.started_by_name,
            started_at=row.started_at,
            upto=row.upto,
            stopped_by=row.stopped_by_name,
            stopped_at=row.stopped_at,
            done_at=row.done_at,
            is_current=row.is_current,
            counts=counts.get(row.id, Counts()),
        )

    def _member(self, row: Row[Any], said: Sequence[Said]) -> Member:
        profile = self._desk.codec.readable_json(row.profile, PROFILE, row.conversation_id)
        name = (profile.get("name") or profile.get("username")) if isinstance(profile, dict) else None
        return Member(
            conversation_id=row.conversation_id,
            platform=Platform(row.platform),
            name=str(name) if name else None,
            category=row.category,
            status=row.status,
            why=row.why,
            error=row.error_remedy,
            at=row.at,
            last_person_at=row.last_person_at,
            admitted_by=row.admitted_by,
            words=tuple(said),
        )

    # -- what is decided -----------------------------------------------------------------------------------------

    async def write(self, user: User, group_id: int, written: str, now: datetime) -> None:
        """Propose a reply to the group; the agreement to an earlier text falls. Raises NotAllowed, BadReply, Conflict."""
        _must(user, Capability.ANSWER_GROUP)
        words = checked(written)
        async with self._desk.database.begin() as connection:
            group = await self._current(connection, group_id)
            if group.reply == words and group.reply_by_id == user.id:
                return  # a double click
            if group.state == "running":
                raise Conflict(
                    "Cette réponse est en train de partir\u00a0: son texte n’a pas été changé.",
                    "Arrêtez d’abord l’envoi. Qui l’a déjà reçue ne recevra rien de plus.",
                )
            await connection.execute(
                text("""
                    UPDATE message_groups SET reply = :words, reply_by = :user, reply_at = :now, validated_by = NULL,
                        validated_at = NULL, validated_level = NULL, started_at = NULL, stopped_at = NULL, stopped_by = NULL,
                        done_at = NULL WHERE id = :id
                """),
                {"words": words, "user": user.id, "now": now, "id": group_id},
            )
            await _done(connection, now, user, "group_reply_written", group_id, characters=len(words))

    async def validate(self, user: User, group_id: int, reply_at: str, now: datetime) -> None:
        """Agree to the reply that somebody else wrote; `reply_at`: when it was, as the page showed it.

        Raises NotAllowed (one's own reply, or a level that the rules of validation ask for is missing), Conflict.
        """
        _must(user, Capability.VALIDATE)
        async with self._desk.database.begin() as connection:
            group = await self._current(connection, group_id)
            if group.reply is None or group.reply_at is None or group.reply_at.isoformat() != reply_at:
                raise Conflict("La réponse a changé depuis\u00a0: rien n’a été validé.", "Relisez-la, puis décidez.")
            if group.reply_by_id == user.id:
                raise NotAllowed("Vous avez écrit cette réponse\u00a0: une autre personne la valide.")
            needs = await _needs(connection, group_id)
            if needs is not None and not reaches(user.role, user.level, needs):
                raise NotAllowed(
                    "Une catégorie de ce groupe demande la validation "
                    + ("du cabinet." if needs == "cabinet" else "d’un chef de service.")
                )
            if group.validated_at is not None and (needs is None or reaches(user.role, group.validated_level, needs)):
                return
            await connection.execute(
                text("""
                    UPDATE message_groups SET validated_by = :user, validated_at = :now, validated_level = :level
                    WHERE id = :id
                """),
                {"user": user.id, "now": now, "level": user.level, "id": group_id},
            )
            await _done(connection, now, user, "group_reply_validated", group_id)

    async def start(self, user: User, group_id: int, upto: datetime | None, now: datetime) -> None:
        """Let the validated reply go to whoever had joined by `upto`, as the page showed; who came later waits for
        another press. Raises NotAllowed, Conflict.
        """
        _must(user, Capability.RUN_CRISIS)
        async with self._desk.database.begin() as connection:
            group = await self._current(connection, group_id)
            if upto is None:
                raise Conflict(
                    "Le groupe a changé depuis\u00a0: rien n’est parti.", "Regardez qui en fait partie, puis décidez."
                )
            if group.state == "running" and group.upto is not None and upto <= group.upto:
                return  # a double click
            if group.validated_at is None:
                raise Conflict(
                    "Cette réponse n’est pas encore validée\u00a0: rien n’est parti.",
                    "Demandez à une autre personne que son auteur de la valider.",
                )
            people = await connection.scalar(
                text("""
                    WITH back AS (UPDATE group_members SET status = 'waiting', at = :now
                        WHERE group_id = :id AND status = 'withdrawn' AND joined_at <= :upto RETURNING 1)
                    SELECT count(*) + (SELECT count(*) FROM back) FROM group_members
                    WHERE group_id = :id AND status = 'waiting' AND joined_at <= :upto
                """),
                {"now": now, "id": group_id, "upto": upto},
            )
            if not people:
                return  # nobody is left
            await connection.execute(
                text("""
                    UPDATE message_groups SET started_at = :now, upto = :upto, started_by = :user, stopped_at = NULL,
                        stopped_by = NULL, done_at = NULL WHERE id = :id
                """),
                {"now": now, "upto": upto, "user": user.id, "id": group_id},
            )
            await _done(connection, now, user, "group_started", group_id, people=people)

    async def stop(self, user: User, group_id: int, now: datetime) -> int:
        """Stop at once: what is queued and unsent is taken back. Returns how many. Raises NotAllowed, NoSuchGroup."""
        _must(user, Capability.RUN_CRISIS)
        async with self._desk.database.begin() as connection:
            await _lock(connection, group_id)
            group = await self._one(connection, group_id)
            if group.state != "running":
                return 0
            withdrawn = await release.stop(connection, [group_id], user.id, now)
            await _done(
                connection, now, user, "group_stopped", group_id, taken_back=withdrawn, sent=group.counts["sent"]
            )
            return withdrawn

    async def remove(self, user: User, group_id: int, conversation_id: int, now: datetime) -> None:
        """Leave somebody out of the group: they wait for an agent as before. Raises NotAllowed, Conflict."""
        _must(user, Capability.ANSWER_GROUP)
        await self._decide(user, group_id, conversation_id, "removed", ("waiting", "held", "withdrawn"), now)

    async def admit(self, user: User, group_id: int, conversation_id: int, now: datetime) -> None:
        """Let somebody in whose message was held back and has now been read. Raises NotAllowed, Conflict."""
        _must(user, Capability.ANSWER_GROUP)
        await self._decide(user, group_id, conversation_id, "waiting", ("held",), now)

    async def _decide(
        self,
        user: User,
        group_id: int,
        conversation_id: int,
        status: str,
        among: Sequence[str],
        now: datetime,
    ) -> None:
        async with self._desk.database.begin() as connection:
            await self._current(connection, group_id)
            admits = status == "waiting"
            done = await connection.execute(
                text("""
                    UPDATE group_members SET status = :status, why = CASE WHEN :admits THEN NULL ELSE why END, at = :now,
                        joined_at = CASE WHEN :admits THEN :now ELSE joined_at END,
                        admitted_by = CASE WHEN :admits THEN CAST(:user AS bigint) END,
                        admitted_at = CASE WHEN :admits THEN CAST(:now AS timestamptz) END
                    WHERE group_id = :group AND conversation_id = :conversation AND status = ANY(CAST(:among AS text[]))
                """),
                {
                    "status": status,
                    "admits": admits,
                    "now": now,
                    "user": user.id,
                    "group": group_id,
                    "conversation": conversation_id,
                    "among": list(among),
                },
            )
            if not done.rowcount:
                raise Conflict(
                    "Cette personne n’est plus en attente dans le groupe\u00a0: rien n’a changé.",
                    "Regardez son état ci-dessous.",
                )
            action = "group_member_admitted" if admits else "group_member_removed"
            await audit.record(connection, now, user.id, action, conversation_id, group=group_id)
            await release.tell(connection, group_id)

    async def _current(self, connection: AsyncConnection, group_id: int) -> Group:
        """The locked group. Raises NoSuchGroup, Conflict when its crisis is over."""
        await _lock(connection, group_id)
        group = await self._one(connection, group_id)
        if not group.is_current:
            raise Conflict(
                "Le mode crise est fermé\u00a0: ce groupe ne change plus.",
                "Répondez à ces personnes depuis la file, ou ouvrez de nouveau le mode crise.",
            )
        return group


async def close_all(connection: AsyncConnection, user: User, crisis_id: int, now: datetime) -> int:
    """The mode closes: replies that are leaving stop, and whoever still waits is the queue's. Returns how many stopped."""
    running = (
        await connection.execute(
            text("""
                SELECT id FROM message_groups WHERE crisis_id = :id AND started_at IS NOT NULL AND stopped_at IS NULL
                  AND done_at IS NULL ORDER BY id FOR UPDATE
            """),
            {"id": crisis_id},
        )
    ).all()
    await release.stop(connection, [row.id for row in running], user.id, now)
    await connection.execute(
        text("""
            UPDATE group_members m SET status = 'skipped', why = 'crisis_closed', at = :now
            FROM message_groups g WHERE g.id = m.group_id AND g.crisis_id = :id
              AND m.status IN ('waiting', 'held', 'withdrawn')
        """),
        {"id": crisis_id, "now": now},
    )
    for row in running:
        await audit.record(connection, now, user.id, "group_stopped", group=row.id)
    return len(running)


def _must(user: User, capability: Capability) -> None:
    if not user.may(capability):
        raise NotAllowed()


async def _lock(connection: AsyncConnection, group_id: int) -> None:
    await connection.execute(text("SELECT 1 FROM message_groups WHERE id = :id FOR UPDATE"), {"id": group_id})


async def _needs(connection: AsyncConnection, group_id: int) -> str | None:
    """The highest level that the rules of validation ask for, over the categories of who may still be answered."""
    steps = (
        await connection.execute(
            text("""
                SELECT DISTINCT unnest(r.steps) AS step FROM validation_rules r WHERE r.category IN (
                    SELECT h.category FROM group_members m JOIN handoffs h ON h.id = m.handoff_id
                    WHERE m.group_id = :id AND m.status IN ('waiting', 'withdrawn'))
            """),
            {"id": group_id},
        )
    ).all()
    return max((row.step for row in steps), key=LEVELS.index, default=None)


async def _counts(connection: AsyncConnection, ids: Sequence[int]) -> dict[int, Counts]:
    by_status: dict[int, dict[str, int]] = {}
    by_why: dict[int, dict[tuple[str, str], int]] = {}
    late: dict[int, int] = {}
    latest: dict[int, datetime] = {}
    for row in await connection.execute(_COUNTS, {"ids": list(ids)}):
        statuses = by_status.setdefault(row.group_id, {})
        statuses[row.status] = statuses.get(row.status, 0) + row.n
        latest[row.group_id] = max(row.latest, latest.get(row.group_id, row.latest))
        late[row.group_id] = late.get(row.group_id, 0) + row.late
        if row.why is not None:
            by_why.setdefault(row.group_id, {})[(row.status, row.why)] = row.n
    return {
        number: Counts(by_status[number], by_why.get(number, {}), late[number], latest[number]) for number in by_status
    }


async def _done(
    connection: AsyncConnection, now: datetime, user: User, action: str, group_id: int, **detail: Any
) -> None:
    await audit.record(connection, now, user.id, action, group=group_id, **detail)
    await release.tell(connection, group_id)


__all__ = [
    "SAME_INTENT",
    "SAME_WORDS",
    "STATUSES",
    "Counts",
    "Group",
    "GroupPage",
    "GroupStore",
    "Member",
    "NoSuchGroup",
]
