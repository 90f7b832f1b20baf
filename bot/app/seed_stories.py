"""Invented conversations as rows of the database: who wrote what when, what the bot said, what agents did.

One generator draws everything, so that the same seed at the same moment makes the same stories (ciphertexts differ:
each has a nonce of its own).
"""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot.app import seed_words
from bot.app.seed_words import Words
from bot.core.dialogue import Understanding
from bot.core.messages import Attachment, Message, Platform, body_to_json
from bot.policy import doubt
from bot.policy import search as terms
from bot.policy.intents import PRIORITY, policy_of
from bot.policy.likeness import Leaders
from bot.store import search
from bot.store.codec import Codec
from bot.store.workbench import readings

SPREAD = timedelta(days=400)  # how far back the stories reach
PEAK_BEFORE = timedelta(days=200)  # one hour in which a share of all people wrote
PEAK_SHARE = 0.03
OPEN_SHARE = 0.12  # conversations that wait, are snoozed or are being answered
# Messages by hour of the day, Paris time; and how often which kind of hand-off is asked for.
_BY_HOUR = (3, 2, 1, 1, 1, 2, 4, 8, 12, 14, 15, 14, 13, 14, 14, 13, 14, 16, 17, 16, 14, 11, 8, 5)
_KINDS = {
    "none": 58.0, "request": 11.0, "complaint": 7.0, "thanks": 8.0, "witness": 6.0, "sensitive": 5.0, "urgent": 2.0,
    "emergency": 3.0,
}  # fmt: skip
_OPEN_KINDS = {**_KINDS, "none": 0.0, "request": 45.0, "urgent": 0.6, "emergency": 0.05}  # dangers do not wait
LOOKED_AT_AFTER = timedelta(days=30)  # what was doubtful before that, a trainer has looked at
MODEL = "invente"
CLOSE_REASONS = ("repondu", "repondu", "repondu", "transmis", "sans_suite", "hors_perimetre", "doublon", "autre")

TABLES: dict[str, tuple[str, ...]] = {
    "conversations": (
        "id", "platform", "account", "person", "created_at", "profile", "profile_at", "owner", "owner_version", "category",
        "agent_id", "last_person_at", "last_agent_at", "introduced_at",
    ),
    "outbox": (
        "id", "conversation_id", "lane", "author", "user_id", "message", "status", "created_at", "due_at", "mids", "sent_at",
        "delivered_at", "read_at", "error_slug", "error_remedy",
    ),
    "events": (
        "id", "conversation_id", "platform", "account", "key", "kind", "channel", "mid", "at", "received_at", "body",
        "disposition", "reason", "settled_at", "intent", "confidence", "route", "outbox_id",
    ),
    "reading_decisions": ("id", "at", "user_id", "kind", "intent", "messages"),
    "readings": (
        "event_id", "conversation_id", "platform", "at", "read_at", "words", "ranking", "intent", "confidence", "danger", "route",
        "clarified", "model", "unknown", "reasons", "weight", "group_id", "bands", "decision_id",
    ),
    "handoffs": (
        "id", "conversation_id", "category", "priority", "intent", "reason", "opened_at", "raised_at", "taken_at", "replied_at",
        "closed_at", "outcome", "user_id", "slots", "platform", "due_at", "assignee_id", "team_id", "snoozed_until",
        "snoozed_by", "close_reason",
    ),
    "alarms": (
        "id", "conversation_id", "handoff_id", "platform", "events", "at", "kind", "detector", "evidence", "verdict",
        "verdict_at", "verdict_by",
    ),
    "notes": ("id", "conversation_id", "user_id", "at", "body"),
    "satisfaction": ("id", "conversation_id", "handoff_id", "asked_at", "answered_at", "answer"),
    "search_documents": ("kind", "ref", "conversation_id", "at", "tokens"),
}  # fmt: skip


@dataclass(frozen=True)
class Desk:
    """What the stories take place in. `first`: the first free id of each table; `within`: deadline by priority."""

    agents: Sequence[int]
    teams: Sequence[int]
    within: Mapping[int, timedelta]
    first: Mapping[str, int]
    accounts: Mapping[Platform, str]
    trainer: int | None = None  # who has decided about what was doubtful long ago


@dataclass
class _Story:
    """One conversation while it is told."""

    id: int
    platform: Platform
    at: datetime
    left: int  # messages still to be written
    intent: str = "salutation"
    last_person: datetime | None = None
    last_agent: datetime | None = None
    handoff: dict[str, Any] | None = None
    agent: int | None = None
    said: tuple[int, str] = (0, "")  # the person's last message: event, words
    rows: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class Stories:
    """Tells `conversations` stories of `messages` messages in all, up to `now`."""

    def __init__(
        self,
        codec: Codec,
        desk: Desk,
        words: Words,
        intents: Sequence[str],
        rng: random.Random,
        now: datetime,
    ) -> None:
        self._codec = codec
        self._desk = desk
        self._words = words
        self._rng = rng
        self._thumbed = 0  # thumbs that were given: one in five is down
        self._now = now
        self._free = dict(desk.first)
        self._by_category: dict[str, list[str]] = {}
        for intent in intents:
            self._by_category.setdefault(policy_of(intent).category, []).append(intent)
        self._body = body_to_json(Message())
        self._tokens = functools.lru_cache(maxsize=200_000)(self._stems)
        self._intents = list(intents)
        self._leaders: dict[str, Leaders[int]] = {}
        self._sketch = functools.lru_cache(maxsize=20_000)(lambda words: readings.sketch_of(codec, words))

    def tell(self, conversations: int, messages: int) -> Iterator[list[tuple[str, tuple[Any, ...]]]]:
        """The rows of one conversation after the other, as (table, values in the order of TABLES)."""
        counts = self._counts(conversations, messages)
        for (at, fate), count in zip(self._moments(conversations), counts, strict=True):
            story = self._story(at, fate, count)
            yield [(table, tuple(row.get(name) for name in TABLES[table])) for table, row in story.rows]

    # -- how much, and when ---------------------------------------------------------------------------------------

    def _counts(self, conversations: int, messages: int) -> list[int]:
        """Messages of each conversation: most are short, a few very long; their sum is exact."""
        weights = [self._rng.lognormvariate(0, 0.9) for _ in range(conversations)]
        scale = (messages - conversations) / sum(weights)
        counts = [1 + int(weight * scale) for weight in weights]
        for at in range(messages - sum(counts)):
            counts[at % conversations] += 1
        return counts

    def _moments(self, conversations: int) -> list[tuple[datetime, str]]:
        """(when its last matter began, what became of it) of each conversation, oldest first."""
        rng, moments = self._rng, []
        for _ in range(conversations):
            drawn = rng.random()
            if drawn < OPEN_SHARE:
                fate = rng.choices(("waiting", "assigned", "taken", "snoozed"), (60, 10, 22, 8))[0]
                age = timedelta(minutes=min(rng.lognormvariate(6, 1.6), 9 * 24 * 60))
                moments.append((self._now - age, fate))
            elif drawn < OPEN_SHARE + PEAK_SHARE:
                moments.append((self._now - PEAK_BEFORE + timedelta(seconds=rng.uniform(0, 3600)), "past"))
            else:
                day = self._now - SPREAD * rng.random() ** 1.4 - timedelta(days=1)
                hour = rng.choices(range(24), _BY_HOUR)[0]
                at = day.replace(hour=hour, minute=rng.randrange(60), second=rng.randrange(60))
                moments.append((at, "past"))
        return sorted(moments)

    # -- one story --------------------------------------------------------------------------------------------------

    def _story(self, at: datetime, fate: str, count: int) -> _Story:
        rng = self._rng
        platform = Platform.MESSENGER if rng.random() < 0.68 else Platform.INSTAGRAM
        story = _Story(self._id("conversations"), platform, at, count)
        earlier = min(count // 6, rng.choice((0, 0, 0, 1, 1, 2)))
        story.at = at - sum((timedelta(days=rng.uniform(1, 60)) for _ in range(earlier)), timedelta())
        begun = story.at
        for left in range(earlier, 0, -1):
            self._matter(story, "past", count // (earlier + 1))
            story.at = max(story.at + timedelta(hours=2), at - timedelta(days=20 * (left - 1)))
            story.at = min(story.at, at) if left > 1 else at
        self._matter(story, fate, story.left)
        self._conversation(story, begun, fate)
        return story

    def _matter(self, story: _Story, fate: str, count: int) -> None:
        """One thing that somebody writes about, in `count` messages."""
        rng = self._rng
        kinds = _KINDS if fate == "past" else _OPEN_KINDS
        category = rng.choices(list(kinds), list(kinds.values()))[0]
        story.intent = rng.choice(self._by_category.get(category) or self._by_category["none"])
        story.left, kept = count, story.left - count
        story.handoff = None
        handed = policy_of(story.intent).category != "none" or fate != "past"
        # Nobody answers those who still wait: what they have written at length was with the bot.
        while handed and fate in ("waiting", "assigned", "snoozed") and story.left > 4:
            self._exchange(story)
            self._wait(story, 40, 600)
        self._person(story, self._words.opening(story.intent), "handed_off" if handed else "answered", story.left > 1)
        if story.left:
            self._bot(story, "emergency" if category == "emergency" else "bot")
        if handed:
            self._hand_off(story, fate)
        else:
            while story.left:
                self._exchange(story)
        story.left = kept

    def _exchange(self, story: _Story) -> None:
        """Somebody writes, the bot answers."""
        self._wait(story, 20, 400)
        self._person(story, self._words.more(), "answered", story.left > 1)
        if story.left:
            self._bot(story)

    def _hand_off(self, story: _Story, fate: str) -> None:
        rng, opening = self._rng, story.said
        policy = policy_of(story.intent)
        category = policy.category if policy.category != "none" else "request"
        priority = PRIORITY[category]
        by_hand = policy.category == "none"
        number = self._id("handoffs")
        row: dict[str, Any] = {
            "id": number,
            "conversation_id": story.id,
            "category": category,
            "priority": priority,
            "intent": story.intent,
            "reason": rng.choice(("incompris", "media", "autre_langue")) if by_hand else story.intent,
            "opened_at": story.at,
            "raised_at": story.at,
            "slots": self._codec.seal_json({"ville": rng.choice(seed_words.TOWNS)}, "handoffs.slots", story.id, number),
            "platform": story.platform.value,
            "due_at": story.at + self._desk.within[priority],
            "team_id": rng.choice(self._desk.teams) if rng.random() < 0.3 else None,
        }
        if category == "emergency":
            row["reason"] = rng.choice(("emergency_lexicon", "emergency_score", "emergency_engine"))
        story.handoff = row
        story.agent = rng.choice(self._desk.agents)
        if fate in ("past", "taken"):
            self._answered(story, row, fate)
        while story.left:
            self._wait(story, 30, 3000)
            self._person(story, self._words.more(), "handed_off")
        if fate == "assigned":
            row["assignee_id"] = story.agent
        if fate == "snoozed":
            row["snoozed_until"] = self._now + timedelta(hours=rng.uniform(1, 48))
            row["snoozed_by"] = row["assignee_id"] = story.agent
        story.rows.append(("handoffs", row))
        if category == "emergency":
            self._alarm(story, row, opening)
        if rng.random() < 0.15:
            self._note(story)
        if row.get("outcome") == "closed" and row.get("replied_at") and rng.random() < 0.4:
            self._thumbs(story, row)

    def _alarm(self, story: _Story, handoff: dict[str, Any], opening: tuple[int, str]) -> None:
        """What raised it: the first words of the message. One in five of those that were closed was false."""
        rng, number = self._rng, self._id("alarms")
        judged = handoff.get("closed_at")
        quotes = [" ".join(opening[1].split()[:6])]
        row = {
            "id": number,
            "conversation_id": story.id,
            "handoff_id": handoff["id"],
            "platform": story.platform.value,
            "events": [opening[0]],
            "at": handoff["opened_at"],
            "kind": "distress" if story.intent == "detresse_suicide" else "danger",
            "detector": handoff["reason"].removeprefix("emergency_"),
            "evidence": self._codec.seal_json(quotes, "alarms.evidence", story.id, number),
            "verdict": rng.choice(("confirmed",) * 4 + ("taken_back",)) if judged else None,
            "verdict_at": judged,
            "verdict_by": story.agent if judged else None,
        }
        story.rows.append(("alarms", row))

    def _answered(self, story: _Story, row: dict[str, Any], fate: str) -> None:
        """An agent takes it, writes to and fro, and closes it if it is over."""
        rng = self._rng
        waits = self._desk.within[row["priority"]].total_seconds()
        self._wait(story, 30, waits * rng.choice((0.3, 0.6, 0.9, 1.4)))
        row.update(taken_at=story.at, user_id=story.agent, assignee_id=story.agent)
        while story.left:
            self._wait(story, 60, 1800)
            self._agent(story)
            row.setdefault("replied_at", story.at)
            if story.left and rng.random() < 0.7:
                self._wait(story, 60, 4000)
                self._person(story, self._words.more(), "to_agent")
        if fate == "past":
            self._wait(story, 60, 7200)
            outcome = rng.choices(("closed", "given_back", "spam"), (76, 20, 4))[0]
            reason = rng.choice(CLOSE_REASONS) if outcome == "closed" else None
            row.update(closed_at=story.at, outcome=outcome, close_reason=reason)

    def _wait(self, story: _Story, low: float, high: float) -> None:
        """Time goes by, never past now."""
        at = story.at + timedelta(seconds=self._rng.uniform(low, max(low, high)))
        story.at = at if at < self._now else story.at + (self._now - story.at) / 2

    # -- rows -------------------------------------------------------------------------------------------------------

    def _person(self, story: _Story, said: str, disposition: str, answered: bool = False) -> None:
        rng = self._rng
        number = self._id("events")
        key, account = f"m_seed_{number}", self._desk.accounts[story.platform]
        picture = rng.random() < 0.02
        body = {**self._body, "text": "" if picture else said}
        if picture:
            body["attachments"] = [vars(Attachment("image"))]
        policy = policy_of(story.intent)
        story.said = (number, said)
        if disposition == "answered" and not answered:
            disposition = "ignored"
        story.rows.append(
            (
                "events",
                {
                    "id": number,
                    "conversation_id": story.id,
                    "platform": story.platform.value,
                    "account": account,
                    "key": key,
                    "kind": "attachment" if picture else "text",
                    "channel": "messaging",
                    "mid": f"m_seed_{number}",
                    "at": story.at,
                    "received_at": story.at + timedelta(milliseconds=rng.randrange(80, 900)),
                    "body": self._codec.seal_json(body, "events.body", story.id, story.platform.value, account, key),
                    "disposition": disposition,
                    "reason": {"to_agent": "agent", "ignored": "silence"}.get(disposition),
                    "settled_at": story.at + timedelta(seconds=2),
                    "intent": None if picture else story.intent,
                    "confidence": None if picture else round(rng.betavariate(9, 2), 3),
                    "route": policy.route,
                    "outbox_id": self._free["outbox"] if answered else None,  # the reply is told next
                },
            )
        )
        if not picture:
            self._read(story, number, said, policy.route)
            self._find(search.EVENT, number, story, "person", said)
        story.last_person = story.at
        story.left -= 1

    def _read(self, story: _Story, number: int, said: str, route: str) -> None:
        """What the engine is said to have made of it: mostly right, sometimes in doubt."""
        rng = self._rng
        confidence = round(rng.betavariate(9, 2) if rng.random() < 0.8 else rng.uniform(0.2, 0.6), 4)
        second = rng.choice(self._intents)
        rest = round(min(confidence, 1 - confidence) * rng.uniform(0.2, 0.95), 4)
        danger = round(rng.uniform(0.05, 0.25), 4) if rng.random() < 0.01 else 0.01
        ranking = ((story.intent, confidence), (second, rest))
        words = len(said.split())
        unknown = rng.choice((0, 0, 0, 0, 0, 0, 1, 2, 3)) if words > 3 else 0
        clarified = confidence < 0.3
        found = Understanding(story.intent, confidence, ranking, danger=danger, unknown=unknown)
        reasons = doubt.reasons(found, "clarify" if clarified else route, clarified, words)
        row: dict[str, Any] = {
            "event_id": number,
            "conversation_id": story.id,
            "platform": story.platform.value,
            "at": story.at,
            "read_at": story.at + timedelta(seconds=2),
            "words": self._codec.seal(said.encode(), readings.WORDS, number),
            "ranking": json.dumps(ranking),
            "intent": story.intent,
            "confidence": confidence,
            "danger": danger,
            "route": "clarify" if clarified else route,
            "clarified": clarified,
            "model": MODEL,
            "unknown": unknown,
            "reasons": readings.literal(reasons),
            "weight": doubt.weight(reasons),
            "group_id": number,
        }
        if reasons and story.at < self._now - LOOKED_AT_AFTER and self._desk.trainer is not None:
            row["decision_id"] = self._decided(story)
        elif reasons:
            self._group(row, said)
        story.rows.append(("readings", row))

    def _group(self, row: dict[str, Any], said: str) -> None:
        """Beside what waits and says the same."""
        sketch = self._sketch(said)
        leaders = self._leaders.setdefault(row["intent"], Leaders())
        near = leaders.nearest(sketch)
        if near is None and sketch:
            leaders.add(row["event_id"], sketch)
            row["bands"] = readings.literal(sketch)
        row["group_id"] = near or row["event_id"]

    def _decided(self, story: _Story) -> int:
        number = self._id("reading_decisions")
        decided = {
            "id": number,
            "at": story.at + timedelta(days=1),
            "user_id": self._desk.trainer,
            "kind": "confirmed",
            "intent": story.intent,
            "messages": 1,
        }
        story.rows.append(("reading_decisions", decided))
        return number

    def _id(self, table: str) -> int:
        self._free[table] += 1
        return self._free[table] - 1

    def _bot(self, story: _Story, author: str = "bot") -> None:
        story.at += timedelta(seconds=self._rng.uniform(1, 4))
        lane = "emergency" if author == "emergency" else "reply"
        text = self._words.reply(story.intent)
        if author == "bot" and story.at.hour < 4:
            author = "night"
        self._sent(story, lane, author, None, text)

    def _agent(self, story: _Story) -> None:
        self._sent(story, "agent", "agent", story.agent, self._words.line(seed_words.AGENT))
        story.last_agent = story.at

    def _sent(self, story: _Story, lane: str, author: str, user: int | None, said: str) -> None:
        rng = self._rng
        number = self._id("outbox")
        state = rng.choices(
            ("read", "delivered", "sent", "failed", "cancelled", "queued"),
            (70, 20, 6, 2.2, 1.7, 0.1 if self._now - story.at < timedelta(hours=20) else 0),
        )[0]
        left = story.at + timedelta(seconds=rng.uniform(0.2, 3))
        sent = state in ("read", "delivered", "sent")
        row = {
            "id": number,
            "conversation_id": story.id,
            "lane": lane,
            "author": author,
            "user_id": user,
            "message": self._codec.seal_json({"text": said, "quick_replies": []}, "outbox.message", story.id, number),
            "status": "sent" if sent else state,
            "created_at": story.at,
            "due_at": story.at,
            "mids": f'{{"m_seed_out_{number}"}}' if sent else "{}",
            "sent_at": left if sent else None,
            "delivered_at": left + timedelta(seconds=1) if state in ("read", "delivered") else None,
            "read_at": left + timedelta(seconds=rng.uniform(2, 4000)) if state == "read" else None,
        }
        if state == "failed":
            row["error_slug"] = "window_closed"
            row["error_remedy"] = "Le délai de réponse de Meta est dépassé."
        elif state == "cancelled":
            row["error_slug"] = "agent_took"
        story.rows.append(("outbox", row))
        self._find(search.OUTBOX, number, story, "agent" if author == "agent" else "automatic", said)
        story.left -= 1

    def _note(self, story: _Story) -> None:
        number = self._id("notes")
        said = self._words.line(seed_words.NOTES)
        body = self._codec.seal(said.encode(), "notes.body", story.id, number)
        row = {"id": number, "conversation_id": story.id, "user_id": story.agent, "at": story.at, "body": body}
        story.rows.append(("notes", row))
        self._find(search.NOTE, number, story, "note", said)

    def _thumbs(self, story: _Story, handoff: Mapping[str, Any]) -> None:
        rng = self._rng
        answered = rng.random() < 0.45
        self._thumbed += answered
        row = {
            "id": self._id("satisfaction"),
            "conversation_id": story.id,
            "handoff_id": handoff["id"],
            "asked_at": handoff["closed_at"],
            "answered_at": min(handoff["closed_at"] + timedelta(minutes=rng.uniform(1, 300)), self._now)
            if answered
            else None,
            "answer": ("down" if self._thumbed % 5 == 3 else "up") if answered else None,
        }
        story.rows.append(("satisfaction", row))

    def _conversation(self, story: _Story, begun: datetime, fate: str) -> None:
        rng = self._rng
        name = self._words.name() if rng.random() < 0.8 else None
        row, outcome = story.handoff, (story.handoff or {}).get("outcome")
        owner = {"taken": "agent", "past": "bot"}.get(fate, "waiting")
        if outcome in ("closed", "spam"):
            owner = "closed"
        values = {
            "id": story.id,
            "platform": story.platform.value,
            "account": self._desk.accounts[story.platform],
            "person": f"9{story.id:015d}",
            "created_at": begun,
            "profile": self._codec.seal_json({"name": name}, "conversations.profile", story.id),
            "profile_at": begun,
            "owner": owner,
            "owner_version": rng.randrange(1, 6),
            "category": row["category"] if row is not None and fate != "past" else "none",
            "agent_id": story.agent if fate == "taken" else None,
            "last_person_at": story.last_person,
            "last_agent_at": story.last_agent,
            "introduced_at": begun,
        }
        story.rows.insert(0, ("conversations", values))
        if name:
            story.rows.append(
                ("search_documents", self._document(search.NAME, story.id, story.id, begun, "name", name))
            )

    def _find(self, kind: str, ref: int, story: _Story, author: str, said: str) -> None:
        row = self._document(kind, ref, story.id, story.at, author, said)
        if row["tokens"]:
            story.rows.append(("search_documents", row))

    def _document(self, kind: str, ref: int, conversation: int, at: datetime, author: str, said: str) -> dict[str, Any]:
        """A row of the index, as `search.tokens` would make it; sentences come again, so their words are kept."""
        found = self._tokens(said, kind == search.NAME, search.PURPOSES[author])
        tokens = search.literal([*found, *search.facets(at, author)]) if found else ""
        return {"kind": kind, "ref": ref, "conversation_id": conversation, "at": at, "tokens": tokens}

    def _stems(self, said: str, whole: bool, purpose: str) -> tuple[int, ...]:
        return tuple(search.fingerprint(self._codec, stem, purpose) for stem in sorted(terms.stems(said, whole)))
