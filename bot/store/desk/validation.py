"""Validation: a draft is submitted, approved, amended or refused, and leaves only once everybody asked has agreed.

Each action is one transaction that locks the conversation's row: of two who decide at once, the second finds the draft
as the first left it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.core.clean import clean
from bot.core.errors import SettingsError
from bot.policy import window
from bot.policy.rights import Capability
from bot.policy.validation import RULES, SOON, Bar, Pressure, Steps, after, asked, pressure, to_raise
from bot.store import audit, news, places
from bot.store.accounts import User
from bot.store.desk import drafts, replies
from bot.store.desk.access import SPOKEN, Conversation, Desk
from bot.store.desk.errors import BadReply, Conflict, DeskError, NotAllowed
from bot.store.desk.holding import must_be_fresh, must_hold
from bot.store.desk.submissions import (
    BEFORE,
    BODY,
    OVER,
    TOPIC,
    WORD,
    Submission,
    conversation_of,
    conversation_over,
    end,
    read,
    tell,
)

WORD_AT_MOST = 1_000  # characters of a word to the author


class NotYours(NotAllowed):
    """This draft is not for this person to decide."""

    def __init__(self, why: Bar, step: str = "cabinet") -> None:
        DeskError.__init__(self, *(_NO_LEVEL if why is Bar.LEVEL and step == "service" else _BARS[why]))


class NotFresh(Conflict):
    """The person wrote since the draft was held against what they say."""

    def __init__(self) -> None:
        super().__init__(
            "La personne a écrit depuis\u00a0: rien n’a été envoyé.",
            "Lisez son nouveau message. Si la réponse convient toujours, confirmez-le puis approuvez\u202f; sinon, "
            "amendez-la ou refusez-la.",
        )


class Expired(Conflict):
    """Meta's window closed while the draft waited."""

    def __init__(self) -> None:
        super().__init__(
            "La fenêtre de 7\u00a0jours de Meta s’est fermée pendant l’attente\u00a0: cette réponse ne peut plus partir.",
            "La personne qui l’a écrite est prévenue et garde son texte. Il pourra servir si le citoyen écrit de nouveau.",
        )


_BARS = {
    Bar.ROLE: ("Votre rôle ne permet pas de valider une réponse.", "Demandez à un validateur."),
    Bar.OWN: (
        "Vous avez écrit cette réponse\u00a0: vous ne pouvez pas la valider vous-même.",
        "Une autre personne doit décider.",
    ),
    Bar.TWICE: (
        "Vous avez déjà décidé d’une étape de cette réponse.",
        "L’étape suivante revient à une autre personne.",
    ),
    Bar.LEVEL: (
        "Cette étape revient au cabinet.",
        "Votre niveau de validation ne va pas jusque-là\u00a0: la réponse attend quelqu’un du cabinet.",
    ),
}
_NO_LEVEL = (
    "Votre compte n’a pas de niveau de validation.",
    "Un administrateur peut le lui donner\u202f; d’ici là, la réponse attend le chef de service.",
)
_DONE = {"approved": "approuvé", "amended": "amendé", "refused": "refusé"}


class ValidationStore:
    """What is done to drafts. Times are the desk's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # -- rules ---------------------------------------------------------------------------------------------------

    async def rules(self) -> dict[str, Steps]:
        """Category → steps."""
        async with self._desk.database.begin() as connection:
            rows = await connection.execute(text("SELECT category, steps FROM validation_rules"))
            return {row.category: tuple(row.steps) for row in rows}

    async def set_rules(self, user: User, changes: Mapping[str, tuple[Steps, Steps]], now: datetime) -> int:
        """Set rules: category → (as the page showed it, as it shall be); how many changed.

        Raises Conflict, and changes nothing, when somebody changed one of them meanwhile.
        """
        async with self._desk.database.begin() as connection:
            rows = await connection.execute(
                text("SELECT category, steps FROM validation_rules ORDER BY category FOR UPDATE")
            )
            stand = {row.category: tuple(row.steps) for row in rows}
            wanted = {
                category: new
                for category, (old, new) in changes.items()
                if category in stand and new in RULES and new not in (old, stand[category])
            }
            if any(stand[category] != changes[category][0] for category in wanted):
                raise Conflict(
                    "Quelqu’un vient de changer ces règles\u00a0: rien n’a été enregistré.",
                    "Voici les règles en vigueur\u202f; changez-les de nouveau si besoin.",
                )
            for category, new in wanted.items():
                await connection.execute(
                    text("""
                        UPDATE validation_rules SET steps = :steps, updated_at = :now, updated_by = :user
                        WHERE category = :category
                    """),
                    {"steps": list(new), "now": now, "user": user.id, "category": category},
                )
                was = stand[category]
                await audit.record(
                    connection, now, user.id, "rule_changed", category=category, before=list(was), after=list(new)
                )
            if wanted:
                await news.topic(connection, TOPIC)
            return len(wanted)

    async def levels(self) -> set[str]:
        """The levels that somebody who may log in has."""
        async with self._desk.database.begin() as connection:
            rows = await connection.execute(
                text("SELECT role, validation_level AS level FROM users WHERE disabled_at IS NULL")
            )
            found = {row.level for row in rows if row.level and row.role in ("validator", "administrator")}
        return found | ({"service"} if "cabinet" in found else set())

    async def rule(self, conversation: Conversation) -> Steps:
        """Who has to agree to a reply in this conversation, now."""
        async with self._desk.database.begin() as connection:
            return await replies.rule(connection, conversation)

    # -- the author ----------------------------------------------------------------------------------------------

    async def submit(
        self,
        user: User,
        conversation_id: int,
        written: str,
        seen: int,
        key: str,
        now: datetime,
        seen_sent: int | None = None,
    ) -> int | None:
        """Submit a draft; its number, None when the same form was sent before.

        `seen`, `seen_sent`: ids of the last thing of the person, and of an agent, that the page showed; `key`: the
        form's own name. Raises BadReply, Conflict, Stale, Overtaken, window.WindowClosed.
        """
        words = replies.checked(written)
        dedup = replies.form_name(user.id, key, words)
        async with self._desk.database.begin() as connection:
            conversation = await self._desk.access(connection, user, conversation_id, Capability.WORK)
            if await replies.stands(connection, conversation_id, dedup):
                return None
            must_hold(conversation, user, "répondre")
            await must_be_fresh(connection, conversation_id, user, seen, seen_sent)
            steps = await replies.rule(connection, conversation)
            await _must_be_submittable(connection, conversation_id, steps)
            window.tag("agent", conversation.last_person_at, now)
            number = await self._insert(connection, conversation, user, words, seen, steps, dedup, now)
            await drafts.forget(connection, conversation_id, user.id)
            await self._done(connection, now, user, "submit", conversation_id, number, characters=len(words))
            return number

    async def _insert(
        self,
        connection: AsyncConnection,
        conversation: Conversation,
        user: User,
        words: str,
        seen: int,
        steps: Steps,
        dedup: str,
        now: datetime,
    ) -> int:
        handoff = conversation.handoff
        is_open = handoff is not None and handoff.closed_at is None
        (number,) = await places.numbers(connection, "submissions")
        await connection.execute(
            text("""
                INSERT INTO submissions (id, conversation_id, handoff_id, user_id, body, seen, category, priority, steps,
                    created_at, raised_at, dedup) OVERRIDING SYSTEM VALUE
                VALUES (:id, :conversation, :handoff, :user, :body, :seen, :category, :priority, :steps, :now, :raised, :dedup)
            """),
            {
                "id": number,
                "conversation": conversation.id,
                "handoff": handoff.id if handoff and is_open else None,
                "user": user.id,
                "body": self._desk.codec.seal_json(words, BODY, conversation.id, number),
                "seen": seen,
                "category": handoff.category if handoff and is_open else "none",
                "priority": handoff.priority if handoff and is_open else 9,
                "steps": list(steps),
                "now": now,
                "raised": now if to_raise(conversation.last_person_at, None, now) else None,
                "dedup": dedup,
            },
        )
        return number

    async def withdraw(self, user: User, submission_id: int, now: datetime) -> int:
        """Take a waiting draft back into the composer, by its author or who has the conversation; the conversation.

        Nothing happens to one that no longer waits. Raises NoSuchSubmission, Conflict.
        """
        async with self._desk.database.begin() as connection:
            draft = await self._locked(connection, user, submission_id, Capability.WORK)
            _must_be_concerned(draft, user, "la retirer")
            if draft.waits:
                why = "author" if draft.author_id == user.id else "holder"
                await end(connection, draft.id, "withdrawn", why, user.id, now)
                await self._give_back(connection, draft, user.id, now, asked=True)
                await self._done(connection, now, user, "withdraw", draft.conversation.id, draft.id, why=why)
            return draft.conversation.id

    async def confirm(self, user: User, submission_id: int, seen: int, now: datetime) -> int:
        """The draft holds in spite of what the person wrote since; says its author, or who has the conversation.

        `seen`: id of the last thing of the person that the page showed. Raises NoSuchSubmission, Conflict.
        """
        async with self._desk.database.begin() as connection:
            draft = await self._locked(connection, user, submission_id, Capability.WORK)
            _must_be_concerned(draft, user, "la confirmer")
            _must_wait(draft)
            if draft.last > seen:
                raise NotFresh
            if draft.stale:
                await _saw(connection, draft)
                await self._done(connection, now, user, "confirm", draft.conversation.id, draft.id)
            return draft.conversation.id

    async def take_back(self, user: User, submission_id: int, now: datetime) -> int:
        """The text of a draft that did not leave becomes this agent's own draft; the conversation."""
        async with self._desk.database.begin() as connection:
            draft = await self._locked(connection, user, submission_id, Capability.WORK)
            must_hold(draft.conversation, user, "reprendre ce texte")
            if draft.status not in ("refused", "withdrawn", "expired"):
                raise Conflict("Cette réponse attend encore ou est déjà partie.", "Retirez-la d’abord si elle attend.")
            await self._give_back(connection, draft, user.id, now, asked=True)
            return draft.conversation.id

    # -- validators ----------------------------------------------------------------------------------------------

    async def approve(self, user: User, submission_id: int, step: int, read_: int, now: datetime) -> None:
        """Agree to the text as it stands. `step`: which of the steps the page showed; `read_`: as in `decide`."""
        await self._agree(user, submission_id, step, read_, None, "", now)

    async def amend(
        self, user: User, submission_id: int, step: int, read_: int, written: str, word: str, now: datetime
    ) -> None:
        """Agree to another text. One that changes nothing is an approval. Raises BadReply besides."""
        await self._agree(user, submission_id, step, read_, replies.checked(written), _word(word), now)

    async def _agree(
        self, user: User, submission_id: int, step: int, read_: int, words: str | None, word: str, now: datetime
    ) -> None:
        """`read_`: the last thing of the person that the validator says to have read; needed when the draft is stale.

        Raises NoSuchSubmission, NotYours, Conflict, NotFresh, Expired.
        """
        async with self._desk.database.begin() as connection:
            draft = await self._locked(connection, user, submission_id, Capability.VALIDATE)
            if _did(draft, user, step, ("approved", "amended")):
                return  # a double click
            self._must_decide(draft, user, step)
            ended = await self._too_late(connection, draft, now)
            if ended is None:
                if draft.stale and read_ < draft.last:
                    raise NotFresh
                await self._agreed(connection, draft, user, words, word, now)
        if ended is not None:  # after the commit, so that the end stands
            raise ended

    async def _too_late(self, connection: AsyncConnection, draft: Submission, now: datetime) -> Conflict | None:
        """Ends a draft that can no longer leave, and says why."""
        if draft.conversation.owner in OVER:
            await conversation_over(connection, draft.conversation.id, None, "closed", now)
            return Conflict(
                "Plus personne ne suit cette conversation : la réponse a été retirée, rien n’a été envoyé.",
                "Reprenez la conversation si la personne attend encore.",
            )
        if pressure(draft.conversation.last_person_at, now) is Pressure.CLOSED:
            await self._expire(connection, draft, now)
            return Expired()
        return None

    async def _agreed(
        self, connection: AsyncConnection, draft: Submission, user: User, words: str | None, word: str, now: datetime
    ) -> None:
        amended = words is not None and words != draft.text
        body = words if words is not None and amended else draft.text
        steps = asked(draft.steps, await replies.rule(connection, draft.conversation))
        await self._decided(connection, draft, user, "amended" if amended else "approved", word, now)
        if draft.stale:
            await _saw(connection, draft)
        following = after(steps, draft.step, user.role, user.level, amended)
        await connection.execute(
            text("UPDATE submissions SET body = :body, steps = :steps, step = :step WHERE id = :id"),
            {
                "body": self._desk.codec.seal_json(body, BODY, draft.conversation.id, draft.id),
                "steps": list(steps),
                "step": min(following, len(steps) - 1),
                "id": draft.id,
            },
        )
        leaves = following >= len(steps)
        if leaves:
            await self._leave(connection, draft, body, now)
        tag = window.tag("agent", draft.conversation.last_person_at, now) if leaves else None
        detail = {"step": draft.step, "left": leaves, "tag": tag}
        action = "amend" if amended else "approve"
        await self._done(connection, now, user, action, draft.conversation.id, draft.id, **detail)

    async def _leave(self, connection: AsyncConnection, draft: Submission, body: str, now: datetime) -> None:
        """Everybody agreed. The sender asks for the window and the tag once more."""
        await connection.execute(
            text("UPDATE submissions SET status = 'approved', decided_at = :now WHERE id = :id"),
            {"now": now, "id": draft.id},
        )
        row = await replies.queue(
            connection, self._desk, draft.conversation, draft.author_id, body, f"validated:{draft.id}", now
        )
        await connection.execute(
            text("UPDATE submissions SET outbox_id = :row WHERE id = :id"), {"row": row, "id": draft.id}
        )

    async def refuse(self, user: User, submission_id: int, step: int, word: str, now: datetime) -> None:
        """Send the draft back to its author, with a word. Raises NoSuchSubmission, NotYours, Conflict, BadReply."""
        said = _word(word)
        async with self._desk.database.begin() as connection:
            draft = await self._locked(connection, user, submission_id, Capability.VALIDATE)
            if _did(draft, user, step, ("refused",)):
                return
            self._must_decide(draft, user, step)
            if not said:
                raise BadReply(
                    "Un refus demande un mot\u00a0: l’auteur doit savoir quoi changer.", "Écrivez-le, puis refusez."
                )
            await self._decided(connection, draft, user, "refused", said, now)
            await connection.execute(
                text("UPDATE submissions SET status = 'refused', decided_at = :now WHERE id = :id"),
                {"now": now, "id": draft.id},
            )
            await self._give_back(connection, draft, draft.author_id, now)
            await self._done(connection, now, user, "refuse", draft.conversation.id, draft.id, step=draft.step)

    # -- time ----------------------------------------------------------------------------------------------------

    async def watch(self, now: datetime) -> int:
        """Raise the drafts that are about to miss their window, end those that did and those of conversations that are
        over, tell of those that have become stale; returns how many. Several processes may do it at once."""
        async with self._desk.database.begin() as connection:
            rows = await connection.execute(
                text("""
                    SELECT s.id FROM submissions s JOIN conversations c ON c.id = s.conversation_id
                    WHERE s.status = 'waiting' AND (c.last_person_at IS NULL OR c.last_person_at <= :soon
                        OR c.owner = ANY(:over) OR EXISTS (SELECT FROM events e
                            WHERE e.conversation_id = c.id AND e.id > greatest(s.seen, s.told) AND e.kind = ANY(:spoken)))
                    ORDER BY s.id
                """),
                {"soon": now - window.STANDARD + SOON, "over": list(OVER), "spoken": list(SPOKEN)},
            )
            found = [row.id for row in rows]
        changed = [await self._look(number, now) for number in found]
        return sum(changed)

    async def _look(self, submission_id: int, now: datetime) -> bool:
        async with self._desk.database.begin() as connection:
            number = await connection.scalar(
                text("""
                    SELECT c.id FROM conversations c JOIN submissions s ON s.conversation_id = c.id
                    WHERE s.id = :id FOR UPDATE OF c SKIP LOCKED
                """),
                {"id": submission_id},
            )
            if number is None:
                return False  # somebody is at it
            draft = await read(connection, self._desk, submission_id)
            if not draft.waits:
                return False
            if await self._too_late(connection, draft, now) is not None:
                return True
            raised = to_raise(draft.conversation.last_person_at, draft.raised_at, now)
            changed = await connection.execute(
                text("""
                    UPDATE submissions SET raised_at = CASE WHEN :raised THEN :now ELSE raised_at END,
                        told = CASE WHEN :stale THEN :last ELSE told END
                    WHERE id = :id AND (:raised OR :stale AND told < :last)
                """),
                {"raised": raised, "now": now, "stale": draft.stale, "last": draft.last, "id": draft.id},
            )
            if changed.rowcount:
                await tell(connection, draft.conversation.id)
            return bool(changed.rowcount)

    async def _expire(self, connection: AsyncConnection, draft: Submission, now: datetime) -> None:
        await end(connection, draft.id, "expired", "window_closed", None, now)
        await self._give_back(connection, draft, draft.author_id, now)
        await audit.record(connection, now, None, "expire", draft.conversation.id, submission=draft.id)
        await tell(connection, draft.conversation.id)

    # -- helpers -------------------------------------------------------------------------------------------------

    async def _locked(
        self, connection: AsyncConnection, user: User, submission_id: int, needs: Capability
    ) -> Submission:
        """The draft, its conversation locked. Raises NotAllowed, NoSuchSubmission."""
        if not user.may(needs):
            raise NotAllowed()
        number = await conversation_of(connection, submission_id)
        await self._desk.access(connection, user, number, needs)
        return await read(connection, self._desk, submission_id)

    @staticmethod
    def _must_decide(draft: Submission, user: User, step: int) -> None:
        """Raises NotYours, Conflict."""
        why = draft.bar(user)
        if why is Bar.OWN:
            raise NotYours(why)
        _must_wait(draft)
        if draft.step != step:
            last = draft.decisions[-1] if draft.decisions else None
            what = f"{last.user} vient de décider de cette étape" if last else "Cette étape n’est plus attendue"
            raise Conflict(
                f"{what}\u00a0: votre décision n’a pas été prise.", "Relisez la réponse telle qu’elle est maintenant."
            )
        if why is not None:
            raise NotYours(why, draft.waits_for or "cabinet")

    async def _decided(
        self, connection: AsyncConnection, draft: Submission, user: User, decision: str, word: str, now: datetime
    ) -> None:
        codec = self._desk.codec
        await connection.execute(
            text("""
                INSERT INTO validations (submission_id, step, user_id, decision, before, word, at)
                VALUES (:submission, :step, :user, :decision, :before, :word, :now)
            """),
            {
                "submission": draft.id,
                "step": draft.step,
                "user": user.id,
                "decision": decision,
                "before": codec.seal_json(draft.text, BEFORE, draft.id, draft.step) if decision == "amended" else None,
                "word": codec.seal_json(word, WORD, draft.id, draft.step) if word else None,
                "now": now,
            },
        )

    async def _give_back(
        self, connection: AsyncConnection, draft: Submission, user_id: int, now: datetime, asked: bool = False
    ) -> None:
        """The text stands in that agent's composer again.

        What they have written there meanwhile stays: alone, or below the text when they `asked` for it.
        """
        words, codec = draft.text, self._desk.codec
        row = await connection.scalar(
            text("SELECT body FROM drafts WHERE conversation_id = :id AND user_id = :user FOR UPDATE"),
            {"id": draft.conversation.id, "user": user_id},
        )
        if row is not None:
            written = ""
            with contextlib.suppress(SettingsError):  # what cannot be read gives way
                written = codec.open(row, drafts.COLUMN, draft.conversation.id, user_id).decode()
            if written and (not asked or words in written):
                return
            words = f"{words}\n\n{written}" if written else words
        await connection.execute(
            text("""
                INSERT INTO drafts (conversation_id, user_id, body, seen, updated_at)
                VALUES (:id, :user, :body, :seen, :now)
                ON CONFLICT (conversation_id, user_id) DO UPDATE SET body = :body, updated_at = :now
            """),
            {
                "id": draft.conversation.id,
                "user": user_id,
                "body": codec.seal(words.encode(), drafts.COLUMN, draft.conversation.id, user_id),
                "seen": draft.last,
                "now": now,
            },
        )

    async def _done(
        self,
        connection: AsyncConnection,
        now: datetime,
        user: User,
        action: str,
        conversation_id: int,
        submission_id: int,
        **detail: Any,
    ) -> None:
        await self._desk.done(connection, now, user, action, conversation_id, submission=submission_id, **detail)
        await news.topic(connection, TOPIC)


async def _must_be_submittable(connection: AsyncConnection, conversation_id: int, steps: Steps) -> None:
    if not steps:
        raise Conflict(
            "Dans cette catégorie, une réponse part sans validation : rien n’a été soumis.",
            "Envoyez-la directement. Votre brouillon est gardé.",
        )
    author = await connection.scalar(
        text("""
            SELECT u.name FROM submissions s JOIN users u ON u.id = s.user_id
            WHERE s.conversation_id = :id AND s.status = 'waiting'
        """),
        {"id": conversation_id},
    )
    if author is not None:
        raise Conflict(
            f"Une réponse de {author} attend déjà la validation dans cette conversation : la vôtre n’a pas été soumise.",
            "Attendez la décision, ou retirez la réponse qui attend. Votre brouillon est gardé.",
        )


def _must_be_concerned(draft: Submission, user: User, verb: str) -> None:
    if draft.author_id != user.id and not draft.conversation.held_by(user):
        raise Conflict(
            f"Cette réponse n’est pas à vous : vous ne pouvez pas {verb}.",
            "Seuls la personne qui l’a écrite et l’agent qui suit la conversation le peuvent.",
        )


def _must_wait(draft: Submission) -> None:
    if draft.waits:
        return
    last = draft.decisions[-1] if draft.decisions else None
    if draft.status == "withdrawn":
        what = f"{draft.ended_by} a retiré cette réponse" if draft.ended_by else "Cette réponse a été retirée"
    elif draft.status == "expired" or last is None:
        raise Expired
    else:
        what = f"{last.user} a déjà {_DONE[last.decision]} cette réponse"
    raise Conflict(f"{what} : votre décision n’a pas été prise.", "Voyez ci-dessous où elle en est.")


def _did(draft: Submission, user: User, step: int, decisions: tuple[str, ...]) -> bool:
    return any(d.step == step and d.user_id == user.id and d.decision in decisions for d in draft.decisions)


def _word(written: str) -> str:
    words = clean(written).strip()
    if len(words) > WORD_AT_MOST:
        raise BadReply(
            f"Votre mot compte {len(words)} caractères : c’est trop long.", f"Gardez-en {WORD_AT_MOST} au plus."
        )
    return words if any(c.isprintable() and not c.isspace() for c in words) else ""


async def _saw(connection: AsyncConnection, draft: Submission) -> None:
    """Somebody held the text against what the person wrote since."""
    await connection.execute(
        text("UPDATE submissions SET seen = :last WHERE id = :id"), {"last": draft.last, "id": draft.id}
    )
