"""One turn of one conversation: everything unhandled is read in order, the policy applied, the outcome written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from bot.core.clean import for_understanding
from bot.core.clock import Clock, plausible
from bot.core.dialogue import Engine, HandoffRequest, Reply, Turn, Understanding
from bot.core.errors import EngineDown, EngineRefused
from bot.core.messages import Attachment, Echo, Edit, Message, Postback, Unknown
from bot.dialogue.past import WITHIN, is_recent, topics
from bot.dialogue.questions import answers
from bot.dialogue.questions import asked as question
from bot.policy import (
    asks_human,
    crisis,
    data_rights,
    degree,
    emergency_taps,
    patience,
    route,
    satisfaction,
    waiting,
    waiting_time,
    window,
)
from bot.policy import owner as owners
from bot.policy.asks_human import HUMAN
from bot.policy.degree import Context
from bot.policy.emergency import Detection
from bot.policy.fields import fields
from bot.policy.intents import CLARIFY, EMERGENCY, HANDOFF, PRIORITY, policy_of
from bot.policy.night import Desk, Night, hour_text
from bot.policy.patience import Outage, Patience, Step
from bot.policy.questions import offered
from bot.policy.told import known
from bot.store import crisis as crises
from bot.store import emergencies, handoffs
from bot.store.conversations import (
    BUNDLE,
    LIVE,
    UNREADABLE,
    Conversation,
    Conversations,
    Emergency,
    Finish,
    Likely,
    OutgoingReply,
    Pending,
    Settlement,
)
from bot.store.emergencies import EmergencyPlanner
from bot.store.workbench.readings import NewReading
from bot.worker import reasons

log = logging.getLogger("planton.worker")

AGENT_RECENT = timedelta(minutes=30)
NIGHT_PRIORITY = 7  # in the outbox, of the night's message and of the morning's answers: after people writing now
# At night, a weak guess of a grave matter is enough to show it to the agents on duty.
GRAVE_AT = 0.25
TOGETHER_WITHIN = 1.0  # seconds for a second reading: a danger waits no longer for it
HEARD_AGAIN = timedelta(minutes=30)  # until who goes on asking for a human is told again that one has the request
ENGINE_AGAIN = timedelta(seconds=5)  # until the engine is asked again at night, when nobody waits for its answer


class Detector(Protocol):
    """The policy's detectors: words, what the engine made of them, what was said before; `only_sure`: nothing less is asked for."""

    def __call__(
        self, words: str, understanding: Understanding, context: Context, only_sure: bool = False
    ) -> Detection | None: ...


@dataclass(frozen=True)
class TurnRules:
    """The policy's settings with its texts. `detect`: words, what the engine made of them and what was said before → a detection,
    of any degree."""

    night: Night
    desk: Desk
    debounce: timedelta
    texts: Mapping[str, str]
    detect: Detector
    plan: EmergencyPlanner
    app_id: str | None
    # (language, words) → the name of a reply with facts in that language, or ""
    facts: Callable[[str, str], str]
    patience: Patience = field(default_factory=Patience)
    # (what the engine made of a message, its words) → whose words take the place of a sensitive intent's own, or None
    # (`bot.policy.scripts`)
    instead: Callable[[Understanding, str], str | None] = lambda _understood, _words: None
    # (words, what the engine made of them, the danger) → whether what is said is to name the 3114 (`bot.policy.distress_line`)
    listens: Callable[[str, Understanding, Detection | None], bool] = lambda _words, _understood, _danger: False


@dataclass(frozen=True)
class Segment:
    """What is read as one utterance: joined texts, or one tap, or attachments without text."""

    events: tuple[int, ...]
    at: datetime
    text: str = ""
    payload: str | None = None
    attachments: tuple[Attachment, ...] = ()

    @property
    def words(self) -> str:
        """What the person wrote: the title of a button is ours."""
        return self.text if self.payload is None else ""


@dataclass
class _Draft:
    """The outcome as it grows."""

    settlements: list[Settlement] = field(default_factory=list)
    waiting: dict[str, list[int]] = field(default_factory=dict)
    understood: dict[int, Understanding] = field(default_factory=dict)
    replies: list[OutgoingReply] = field(default_factory=list)
    notice: OutgoingReply | None = None
    sets: dict[str, Any] = field(default_factory=dict)
    slots: dict[str, str] = field(default_factory=dict)
    before: dict[str, str] = field(default_factory=dict)  # told earlier, by the dialogue's state
    handoff: HandoffRequest | None = None
    handoff_intent: str | None = None
    state: dict[str, Any] | None = None
    emergency: Emergency | None = None
    likely: list[tuple[Likely, str]] = field(default_factory=list)  # with the words
    next_due: datetime | None = None
    next_priority: int = LIVE
    thumbs: list[str] = field(default_factory=list)
    thanks: str | None = None
    edits: dict[int, list[int]] = field(default_factory=dict)  # message → edits of it, which share its fate
    readings: list[NewReading] = field(default_factory=list)

    def settle(self, events: Sequence[int], disposition: str, reason: str | None = None, **more: Any) -> None:
        """Give events their disposition."""
        if events:
            self.settlements.append(Settlement(tuple(events), disposition, reason, **more))

    def hand_off(self, request: HandoffRequest, intent: str | None) -> None:
        """Ask for a human; of several requests the most pressing stays, and what each says."""
        said = {**(self.handoff.slots if self.handoff else {}), **request.slots}
        if self.handoff is None or _ranked(request) < _ranked(self.handoff):
            self.handoff, self.handoff_intent = request, intent
        self.handoff = replace(self.handoff, slots=said)

    def suspect(self, detection: Detection | None, events: Sequence[int], words: str) -> None:
        """Keep what says so with the hand-off, where a danger is likely."""
        if detection is not None and detection.degree == "likely":
            self.likely.append((Likely(detection, tuple(events)), words))

    def read(self, words: str, understanding: Understanding | None) -> None:
        """What words tell agents fills the hand-off that is open or opens now."""
        self.slots.update({**fields(words), **(understanding.entities if understanding else {})})

    def wait(self, why: str, events: Sequence[int], until: datetime, priority: int) -> None:
        """Leave events in flight until a moment; of several the earliest counts, and the most pressing."""
        self.waiting.setdefault(why, []).extend(events)
        first = self.next_due is None
        self.next_due = until if self.next_due is None else min(self.next_due, until)
        self.next_priority = priority if first else min(self.next_priority, priority)

    def finish(self) -> Finish:
        """The frozen outcome."""
        edits = [
            Settlement(tuple(e for event in s.events for e in self.edits.get(event, ())), "ignored", "edit_applied")
            for s in self.settlements
        ]
        waiting = {
            why: tuple(e for event in events for e in (event, *self.edits.get(event, ())))
            for why, events in self.waiting.items()
        }
        return Finish(
            settlements=(*self.settlements, *(s for s in edits if s.events)),
            waiting=waiting,
            understood=self.understood,
            readings=tuple(self.readings),
            replies=tuple(self.replies),
            notice=self.notice,
            emergency=self.emergency,
            likely=tuple(one for one, _ in self.likely),
            handoff=self.handoff,
            handoff_intent=self.handoff_intent,
            handoff_slots=self.slots,
            handoff_before=self.before,
            sets=self.sets,
            state=self.state,
            thumbs=tuple(self.thumbs),
            thanks=None if self.emergency else self.thanks,
            next_due=self.next_due,
            next_priority=self.next_priority,
        )


class TurnTaker:
    """Takes turns. Raises what the engine raises; LeaseLost when the conversation changed meanwhile."""

    def __init__(self, store: Conversations, engine: Engine, clock: Clock, rules: TurnRules) -> None:
        self._store = store
        self._engine = engine
        self._clock = clock
        self._rules = rules

    async def take(self, conversation: Conversation) -> None:
        """Handle all that is pending in a claimed conversation."""
        now = self._clock.now()
        draft = _Draft(before=known(conversation.state, now.timestamp()))
        await self._echoes(conversation, draft, now)
        messages = self._thumbs(conversation, await self._messages(conversation, draft, now), draft)
        if messages and not self._debounced(conversation, messages, draft, now):
            await self._speak(conversation, messages, draft, now)
        elif messages:  # the engine was not asked: an outage goes on counting
            draft.sets["engine_away_since"] = plausible(conversation.engine_away_since, now)
        if "retry" in draft.waiting:
            draft.sets["engine_away_since"] = plausible(conversation.engine_away_since, now) or now
        if draft.emergency is not None:
            words = next((one.words for one in draft.readings if one.route == EMERGENCY), "")
            detection = await reasons.engines_own(self._engine, draft.emergency.detection, words)
            draft.emergency = replace(draft.emergency, detection=detection)
        await self._explain(draft)
        await self._store.finish(conversation, draft.finish(), now)

    async def _explain(self, draft: _Draft) -> None:
        """What the engine itself says speaks for dangers that are likely."""
        told = await asyncio.gather(
            *(reasons.engines_own(self._engine, one.detection, words) for one, words in draft.likely)
        )
        draft.likely = [
            (replace(one, detection=detection), words)
            for (one, words), detection in zip(draft.likely, told, strict=True)
        ]

    async def without_engine(self, conversation: Conversation, again: timedelta) -> None:
        """The engine is away by day: what waits is tried `again` later; its person is told once, then agents get it."""
        now = self._clock.now()
        draft = _Draft(before=known(conversation.state, now.timestamp()))
        await self._echoes(conversation, draft, now)
        messages = self._thumbs(conversation, await self._messages(conversation, draft, now), draft)
        since = plausible(conversation.engine_away_since, now) or now
        may_speak = bool(messages) and self._bot_speaks(conversation, messages, draft, now)
        step = patience.step(Outage(since, now, conversation.engine_told_at, may_speak), self._rules.patience)
        if step is Step.HAND_OVER:
            await self.give_to_human(conversation, judge=True)
            return
        if step is Step.WAIT and not draft.settlements:
            await self._store.release(conversation, now + again, conversation.attempts + 1, "retry", since)
            return
        if step is Step.TELL:
            draft.replies.append(OutgoingReply(Reply(self._rules.texts["utter_panne_attente"]), author="system"))
            draft.sets["engine_told_at"] = now
        draft.sets["engine_away_since"] = since
        for message in messages:
            why = "night" if message.waiting == "night" else "retry"
            draft.wait(why, [message.id], now + again, conversation.due_priority)
        await self._store.finish(conversation, replace(draft.finish(), attempts=conversation.attempts + 1), now)

    def _bot_speaks(
        self, conversation: Conversation, messages: Sequence[Pending], draft: _Draft, now: datetime
    ) -> bool:
        """Whether a word of the bot's own would be in its place now: no human, no night, no block, Meta's window open."""
        return (
            self._bots(conversation, messages, self._owner(conversation, draft, now))
            and not conversation.blocked
            and not self._rules.night.contains(now)
            and self._window_open(conversation, now)
        )

    def _bots(self, conversation: Conversation, messages: Sequence[Pending], owner: str) -> bool:
        """Whether the conversation is the bot's: no other app, no human has it."""
        standby = conversation.standby or any(m.standby for m in messages)
        return owners.bot_has_word(owner, conversation.category, standby, conversation.attended)

    def _owner(self, conversation: Conversation, draft: _Draft, now: datetime) -> str:
        """Who has the conversation now: the human in Meta's inbox gives it back by saying nothing for long."""
        owner: str = draft.sets.get("owner", conversation.owner)
        if owner == "inbox" and "owner" not in draft.sets and owners.inbox_is_over(conversation.owner_until, now):
            # What waits for an agent goes on waiting: the human in the inbox did not close it.
            owner = "bot" if conversation.category == "none" else "waiting"
            draft.sets.update(owner=owner, owner_until=None)
        return owner

    def _given_up(self, conversation: Conversation, now: datetime) -> bool:
        """Whether the engine has been away for so long that agents get what it should have understood."""
        since = plausible(conversation.engine_away_since, now) or now
        return patience.step(Outage(since, now, None, False), self._rules.patience) is Step.HAND_OVER

    # -- what came in --------------------------------------------------------------------------------------------

    async def _echoes(self, conversation: Conversation, draft: _Draft, now: datetime) -> None:
        for event in conversation.pending:
            if not isinstance(event.body, Echo):
                continue
            verdict = await self._whose(conversation, event, event.body, now)
            if verdict is owners.EchoOf.OURS:
                draft.settle([event.id], "ignored", "own_echo")
            elif verdict is owners.EchoOf.AUTOMATION:
                draft.settle([event.id], "ignored", "inbox_automation")
            elif verdict is owners.EchoOf.UNKNOWN_YET:
                draft.wait("echo", [event.id], _judged_again(event, now), LIVE)
            else:
                draft.settle([event.id], "ignored", "inbox_reply")
                _take_over(conversation, event.at, draft, now)

    async def _whose(self, conversation: Conversation, event: Pending, echo: Echo, now: datetime) -> owners.EchoOf:
        day = self._rules.night.local(event.at).replace(hour=0, minute=0, second=0, microsecond=0)
        return owners.whose_echo(
            owners.EchoContext(
                signed=False,  # a signed echo was settled when it came in
                mid_known=event.mid is not None and await self._store.knows_mid(conversation.id, event.mid),
                app_id=echo.app_id,
                our_app_id=self._rules.app_id,
                at=event.at,
                received_at=event.received_at,
                now=now,
                send_in_flight=await self._store.send_in_flight(conversation.id),
                first_message_of_day_at=await self._store.first_message_at(conversation.id, day),
            )
        )

    async def _messages(self, conversation: Conversation, draft: _Draft, now: datetime) -> list[Pending]:
        """The person's messages to handle, edits applied. What cannot be read is an agent's."""
        self._unreadable(conversation, draft)
        messages: dict[str | int, Pending] = {}
        for event in conversation.pending:
            if isinstance(event.body, (Message, Postback)):
                messages[event.mid or event.id] = event
        for event in conversation.pending:
            if isinstance(event.body, Edit):
                await self._edit(conversation, event, event.body, messages, draft)
        return sorted(messages.values(), key=lambda e: (e.at, e.id))

    def _unreadable(self, conversation: Conversation, draft: _Draft) -> None:
        """Not a word is said to it: nobody here knows what it was. The rest of the turn goes on, and watches for danger."""
        lost = [event for event in conversation.pending if event.body == Unknown(UNREADABLE)]
        draft.settle([event.id for event in lost if event.kind == "echo"], "ignored", "unjudged_echo")
        heard = [event.id for event in lost if event.kind != "echo"]
        if conversation.blocked:
            draft.settle(heard, "ignored" if conversation.owner in ("bot", "closed") else "to_agent", "blocked")
        elif heard:
            draft.settle(heard, "to_agent" if conversation.handed else "handed_off", UNREADABLE, route=HANDOFF)
            if not conversation.handed:
                draft.hand_off(HandoffRequest("request", PRIORITY["request"], UNREADABLE), None)

    def _thumbs(self, conversation: Conversation, messages: Sequence[Pending], draft: _Draft) -> list[Pending]:
        """What is left without the taps on the thumbs question, which are kept and open nothing."""
        taps = {m.id: said for m in messages if (said := satisfaction.answer(_payload(m))) is not None}
        draft.settle(list(taps), "ignored", "satisfaction")
        # Under an emergency reply; the gateway had said what was due.
        other = [m.id for m in messages if emergency_taps.tap(_payload(m))]
        draft.settle(other, "ignored", emergency_taps.SETTLED)
        draft.thumbs.extend(taps.values())
        standby = conversation.standby or any(m.standby for m in messages)
        owner = draft.sets.get("owner", conversation.owner)
        if owner in ("bot", "closed") and not standby and not conversation.blocked:  # else a human's is the only voice
            draft.thanks = self._rules.texts[satisfaction.THANKS]
        return [m for m in messages if m.id not in taps and m.id not in other]

    async def _edit(
        self,
        conversation: Conversation,
        event: Pending,
        edit: Edit,
        messages: dict[str | int, Pending],
        draft: _Draft,
    ) -> None:
        target = messages.get(edit.target)
        if target is not None and isinstance(target.body, Message):
            messages[edit.target] = replace(
                target, body=replace(target.body, text=edit.text, quick_reply=None), intent=None
            )  # a tap that was written anew is words
            draft.edits.setdefault(target.id, []).append(event.id)
            return
        handled = await self._store.handled_route(conversation.id, edit.target)
        if handled in (None, CLARIFY):
            # The question that we did not understand, written anew; or a message that never reached us.
            messages[event.id] = replace(event, body=Message(text=edit.text))
        else:
            draft.settle([event.id], "ignored", "edit_after_reply")

    def _debounced(self, conversation: Conversation, messages: Sequence[Pending], draft: _Draft, now: datetime) -> bool:
        """Whether the person may still be typing: looked at too early, because something else was due."""
        fresh = [m for m in messages if m.waiting != "night"]
        if not fresh or not self._rules.debounce:
            return False
        due = min(
            max(m.received_at for m in fresh) + self._rules.debounce,
            min(m.received_at for m in fresh) + 5 * self._rules.debounce,
        )
        if due <= now:
            return False
        draft.wait("debounce", [m.id for m in messages], due, _rank(conversation))
        return True

    # -- who speaks ----------------------------------------------------------------------------------------------

    async def _speak(
        self, conversation: Conversation, messages: Sequence[Pending], draft: _Draft, now: datetime
    ) -> None:
        owner = self._owner(conversation, draft, now)
        standby = conversation.standby or any(m.standby for m in messages)
        if conversation.blocked:
            await self._listen(
                conversation, messages, draft, now, "blocked", quiet=True, aside=owner in ("bot", "closed")
            )
            return
        if owner == "closed":
            owner = "bot"
            draft.sets.update(owner="bot", category="none", state=None)
            draft.before = {}
            conversation = replace(conversation, category="none", state=None)
        if standby:
            await self._listen(conversation, messages, draft, now, "standby", quiet=True)
        elif not owners.bot_has_word(owner, conversation.category, standby, conversation.attended):
            await self._listen(conversation, messages, draft, now, owner, quiet=False)
        elif self._rules.night.contains(now):
            await self._night(conversation, messages, draft, now)
        else:
            await self._answer(conversation, messages, draft, now)

    async def _listen(
        self,
        conversation: Conversation,
        messages: Sequence[Pending],
        draft: _Draft,
        now: datetime,
        reason: str,
        quiet: bool,
        aside: bool = False,
    ) -> None:
        """A human has the conversation: understand silently, fill the hand-off's fields, watch for danger.

        `aside`: the person is blocked and no human has the conversation: what is harmless goes to nobody.
        """
        standby = conversation.standby or any(m.standby for m in messages)
        disposition = "ignored" if aside else "to_agent"
        at_night = not quiet and self._rules.night.contains(now)
        for message in messages:
            understanding = await self._understand(message, draft, may_fail=at_night)
            if understanding is None and _words(message) and not self._given_up(conversation, now):
                draft.wait(
                    "retry", [message.id], now + ENGINE_AGAIN, _rank(conversation)
                )  # the night's message must not wait for it
                continue
            if understanding is None:
                draft.settle([message.id], disposition, reason)
                draft.read(_words(message), None)
                continue
            detection = await self._weigh(conversation, message.at, _words(message), understanding, conversation.state)
            if self._emergency(conversation, [message], _words(message), understanding, detection, draft, now):
                return
            draft.read(_words(message), understanding)
            listens = self._rules.listens(_words(message), understanding, detection)
            reply = await self._numbers(conversation, detection, listens, draft, now, standby, at_night)
            if detection is not None and detection.degree == "likely":
                draft.suspect(detection, [message.id], for_understanding(_words(message)))
                request = self._understood(understanding, detection).handoff
                if request is not None:
                    draft.hand_off(request, understanding.intent)
                told = degree.given(detection.kind, listens and reply is not None)
                draft.settle(
                    [message.id],
                    "handed_off",
                    told,
                    route=HANDOFF,
                    understanding=understanding,
                    reply=reply,
                )
                continue
            why = degree.given(None, listens and reply is not None) or reason
            draft.settle([message.id], disposition, why, understanding=understanding, reply=reply)
        if at_night and not self._told(conversation, now):
            self._say_night(draft, (Reply(self._rules.texts["utter_nuit"]),), now)

    async def _numbers(
        self,
        conversation: Conversation,
        detection: Detection | None,
        listens: bool,
        draft: _Draft,
        now: datetime,
        standby: bool,
        at_night: bool,
    ) -> int | None:
        """Who tells of a likely or faint danger where the bot is silent meets the numbers at once, unless a reply gave them just
        now; by night those of a danger are in the night's message. `listens`: it may be a distress, and the 3114 is one of them.
        The place of the reply; None where none is due."""
        if not listens and (detection is None or (detection.degree == "faint" and conversation.blocked)):
            return None
        owner = draft.sets.get("owner", conversation.owner)
        human = plausible(draft.sets.get("last_agent_at", conversation.last_agent_at), now)
        if not owners.may_give_numbers(owner, standby, human, now) or not self._window_open(conversation, now):
            return None
        likely = detection if detection is not None and detection.degree == "likely" else None
        listens = listens or (likely is not None and likely.kind == "distress")
        if at_night and not self._told(conversation, now) and not listens:
            return None
        replied = await self._store.replied_since(conversation.id, now - degree.NUMBERS_AGAIN)
        replied |= {s.reason for s in draft.settlements if s.reply is not None and s.reason is not None}
        replied |= _told_by_an_emergency(conversation, now)
        kind = likely.kind if likely is not None else None
        if degree.has_numbers(kind, listens, replied):
            return None
        texts = self._rules.texts
        if likely is None or degree.has_numbers(kind, False, replied):  # its own words went out; the 3114 did not
            said = texts["utter_filet"]
        else:
            said = route.likely_words(likely.kind, likely.script, texts)
        [reply] = route.with_distress([Reply(said)], texts) if listens else (Reply(said),)
        draft.replies.append(OutgoingReply(reply))
        return len(draft.replies) - 1

    async def _night(
        self, conversation: Conversation, messages: Sequence[Pending], draft: _Draft, now: datetime
    ) -> None:
        """Everything is understood; what is grave is handed off at once, the rest waits for the morning."""
        told = self._told(conversation, now)
        standing = conversation.crisis
        # A microsecond a second of the night: in the morning, who wrote first is answered first.
        first = min(m.received_at for m in messages)
        end = self._rules.night.ends_at(now)
        morning = end + timedelta(microseconds=max(0.0, (first - end + timedelta(days=1)).total_seconds()))
        for message in messages:
            if message.waiting == "night" and message.intent is not None:
                draft.wait("night", [message.id], morning, BUNDLE)
                continue
            understanding = await self._understand(message, draft, may_fail=True)
            if understanding is None:
                if not told:
                    opening = self._rules.texts["utter_nuit"]
                    # A photo or a voice note is an agent's; words that are not understood yet may be the bot's to answer.
                    opening = route.without_promise(opening) if _words(message) else opening
                    self._say_night(draft, (Reply(opening),), now)
                    told = True
                request = crisis.unread_at_night(standing)
                if _words(message) and not self._given_up(conversation, now):  # understood as soon as it is back
                    draft.wait("retry", [message.id], now + ENGINE_AGAIN, _rank(conversation))
                elif _words(message):  # nobody could tell whether it is grave: the agents on duty look
                    draft.hand_off(HandoffRequest("request", PRIORITY["request"], "moteur"), None)
                    draft.read(_words(message), None)
                    draft.settle([message.id], "handed_off", "moteur", route=HANDOFF)
                elif request is not None:
                    draft.hand_off(request, None)
                    draft.settle([message.id], "handed_off", "night", route=HANDOFF)
                else:
                    draft.wait("night", [message.id], morning, BUNDLE)
                continue
            detection = await self._weigh(conversation, message.at, _words(message), understanding, conversation.state)
            if self._emergency(conversation, [message], _words(message), understanding, detection, draft, now):
                return
            spoken = route.spoken(understanding, _words(message))
            understood = self._understood(understanding, detection)
            uneasy = detection is not None or self._rules.listens(_words(message), understanding, detection)
            understood = route.without_mistaken(understood, data_rights.asks(_words(message)), uneasy)
            instead = self._rules.instead(understanding, _words(message)) if understood.handoff else None
            faint = detection is not None and detection.degree == "faint"
            # Once a turn: what was said in it already gives the numbers.
            faint = faint and not draft.replies
            listens = self._rules.listens(_words(message), understanding, detection)
            listens = listens and not route.gives_distress_number(one.reply for one in draft.replies)
            outcome = route.at_night(understood, told, self._rules.texts, spoken, instead, faint, listens)
            outcome = crisis.at_night(outcome, understood, standing)
            self._say_night(draft, outcome.replies, now, dedup=not told)
            told = True
            if outcome.handoff is not None:
                draft.suspect(detection, [message.id], for_understanding(_words(message)))
                draft.hand_off(outcome.handoff, understanding.intent)
                draft.read(_words(message), understanding)
                said = len(draft.replies) - 1 if outcome.replies else None
                draft.settle(
                    [message.id], "handed_off", "night", reply=said, route=HANDOFF, understanding=understanding
                )
            else:
                draft.wait("night", [message.id], morning, BUNDLE)
        if "retry" not in draft.waiting:  # who may be telling of violence is not told of the crisis
            self._announce(standing, draft)

    def _understood(self, understanding: Understanding, detection: Detection | None = None) -> route.Outcome:
        """The outcome that the message's own understanding calls for (at night no turn is taken). `detection`: of any degree."""
        intent, chance = understanding.intent, understanding.confidence
        if policy_of(intent).route != HANDOFF:  # a question of the catalogue may have taken the place of a weak guess
            intent, chance = route.likeliest_grave(understanding)
        policy = policy_of(intent)
        request = None
        if policy.route == HANDOFF and chance >= GRAVE_AT:
            request = HandoffRequest(policy.category, policy.priority, intent or "", dict(understanding.entities))
        if detection is not None and detection.degree == "likely":
            request = route.likely(detection.kind, understanding, request)
        chosen, category = route.named_route(understanding, False, request)
        return route.Outcome(chosen, category, "waiting", (), request, understanding)

    async def _answer(
        self, conversation: Conversation, messages: Sequence[Pending], draft: _Draft, now: datetime
    ) -> None:
        """By day, and the conversation is the bot's."""
        if not self._window_open(conversation, now):
            await self._too_late(conversation, messages, draft, now)
            return
        if conversation.category != "none" and await self._store.stopped_for_loop(conversation.id):
            await self._listen(conversation, messages, draft, now, waiting.LOOP, quiet=True)
            await self._heard(conversation, messages, draft, now)
            return
        introduced = conversation.introduced_at is not None and conversation.reached
        situation = route.Situation(introduced=introduced, handoff_open=conversation.category != "none")
        standing = conversation.crisis
        state = conversation.state
        category = conversation.category
        priority = NIGHT_PRIORITY if all(m.waiting == "night" for m in messages) else LIVE
        asked = waiting.has_asked(conversation.reason if situation.handoff_open else "")
        parts = segments(messages)
        for i, segment in enumerate(parts):
            if not owners.bot_may_answer("waiting" if category != "none" else "bot", category):
                behind = [message for message in messages if message.id in segment.events]
                await self._listen(
                    conversation, behind, draft, now, "waiting", quiet=True
                )  # the same batch asked for a human
                if draft.emergency is not None:
                    return
                continue
            if owners.in_loop(conversation.said + len(draft.replies)):
                await self._loop(conversation, parts[i:], draft, now)
                if draft.emergency is not None:
                    return
                break
            outcome, state = await self._outcome(conversation, segment, situation, state, draft, now)
            if outcome is None:
                return
            outcome = crisis.by_day(outcome, standing)
            asked = asked or (outcome.handoff is not None and outcome.handoff.reason == HUMAN)
            waits = situation.handoff_open or outcome.handoff is not None
            outcome = waiting.by_day(outcome, waits, asked, self._rules.texts)
            draft.before = known(state, now.timestamp())
            self._record(outcome, segment, draft, priority)
            if outcome.handoff is not None:
                category = outcome.handoff.category
            situation = replace(
                situation,
                introduced=situation.introduced or bool(outcome.replies),
                handoff_open=situation.handoff_open or outcome.handoff is not None,
            )
        draft.state = state
        self._announce(standing, draft)
        if draft.replies and not introduced:
            draft.sets["introduced_at"] = now

    async def _too_late(
        self, conversation: Conversation, messages: Sequence[Pending], draft: _Draft, now: datetime
    ) -> None:
        """The window closed: the bot may say nothing any more, but agents see first what is grave."""
        for message in messages:
            understanding = await self._understand(message, draft, may_fail=False)
            if understanding is None:
                continue
            detection = await self._weigh(conversation, message.at, _words(message), understanding, conversation.state)
            if self._emergency(conversation, [message], _words(message), understanding, detection, draft, now):
                return
            draft.suspect(detection, [message.id], for_understanding(_words(message)))
            draft.read(_words(message), understanding)
            request = self._understood(understanding, detection).handoff
            if request is not None and request.priority < PRIORITY["request"]:
                draft.hand_off(request, understanding.intent)
        draft.hand_off(HandoffRequest("request", PRIORITY["request"], "window_closed"), None)
        draft.settle([m.id for m in messages], "handed_off", "window_closed", route=HANDOFF)

    async def _outcome(
        self,
        conversation: Conversation,
        segment: Segment,
        situation: route.Situation,
        state: dict[str, Any] | None,
        draft: _Draft,
        now: datetime,
    ) -> tuple[route.Outcome | None, dict[str, Any] | None]:
        """What to do about a segment, and the dialogue state after it; None: it was an emergency."""
        texts = self._rules.texts
        if not segment.text and segment.payload is None:
            situation = replace(situation, wait=await self._wait_sentence(now))
            return route.media(segment.attachments, situation, texts), state
        turn = await self._turn(conversation, segment, state)
        events = [m for m in conversation.pending if m.id in segment.events]
        self._keep(segment, turn, draft)
        detection = None
        first = min((m.at for m in events), default=segment.at)
        # The reply to a danger closes what was asked, and answers nothing.
        told = answers(state, turn.state, first.timestamp()) and not route.speaks_of_danger(turn)
        asked = told or degree.fits(question(state, first.timestamp()), turn.understanding, segment.words)
        if segment.payload is None or turn.understanding.danger > 0:
            detection = await self._weigh(conversation, first, segment.words, turn.understanding, state, asked)
        if self._emergency(
            conversation, events, segment.words, turn.understanding, detection, draft, now, segment.events
        ):
            return None, state
        if turn.handoff is not None and segment.payload is None:
            turn = route.with_words(turn, self._rules.instead(turn.understanding, segment.words), texts)
        level, kind, script = (
            ("none", "danger", None) if detection is None else (detection.degree, detection.kind, detection.script)
        )
        again = await self._again(conversation, segment, state, route.again_as(turn, level))
        turn = route.settled(turn, level, kind, script, texts, again)
        if route.is_likely(turn):
            doubted = detection or Detection("danger", "engine")
            draft.suspect(replace(doubted, degree="likely"), segment.events, for_understanding(segment.words))
        spoken = route.spoken(turn.understanding, segment.text)
        wants_human = asks_human.asks(segment.words)
        situation = replace(
            situation,
            spoken=spoken,
            wait="" if turn.handoff is None and not wants_human else await self._wait_sentence(now),
            facts=self._rules.facts(spoken, segment.text),
            answers=asked,
            faint=detection is not None and detection.degree == "faint",
            listens=self._rules.listens(segment.words, turn.understanding, detection),
            rights=data_rights.asks(segment.words),
            wants_human=wants_human,
        )
        return route.by_day(turn, situation, texts), turn.state

    def _keep(self, segment: Segment, turn: Turn, draft: _Draft) -> None:
        """What was made of a person's own words, for trainers to look at."""
        words = for_understanding(segment.words)
        if words:
            chosen, _ = route.named_route(turn.understanding, turn.clarify, turn.handoff)
            reading = NewReading(segment.events, segment.at, words, turn.understanding, chosen, turn.clarify)
            draft.readings.append(reading)

    async def _turn(self, conversation: Conversation, segment: Segment, state: dict[str, Any] | None) -> Turn:
        return await self._engine.turn(
            f"c{conversation.id}", for_understanding(segment.text), state, segment.payload or None
        )

    async def _again(
        self, conversation: Conversation, segment: Segment, state: dict[str, Any] | None, meant: str | None
    ) -> Turn | None:
        """The turn of a message that sounds like a danger and, after what was said before, is none: as its ordinary subject; None
        where it is not to be taken again, or the engine cannot."""
        if meant is None:
            return None
        try:
            return await self._engine.turn(
                f"c{conversation.id}", for_understanding(segment.text), state, segment.payload or None, meant
            )
        except EngineRefused:
            return None

    def _record(self, outcome: route.Outcome, segment: Segment, draft: _Draft, priority: int) -> None:
        first = len(draft.replies)
        draft.replies.extend(OutgoingReply(reply, priority=priority) for reply in outcome.replies)
        silent = not outcome.replies and outcome.disposition == "answered"
        draft.settle(
            segment.events,
            "ignored" if silent else outcome.disposition,
            "declared_silence" if silent else outcome.handoff.reason if outcome.handoff else None,
            reply=first if outcome.replies else None,
            route=outcome.route,
            understanding=outcome.understanding,
            question=outcome.question,
            offers=offered(outcome.replies),
        )
        if outcome.handoff is not None:
            draft.hand_off(outcome.handoff, outcome.understanding.intent if outcome.understanding else None)
        if outcome.understanding is not None:
            # Without a hand-off the dialogue's state keeps them.
            draft.read(segment.words, outcome.understanding)

    async def _loop(self, conversation: Conversation, parts: Sequence[Segment], draft: _Draft, now: datetime) -> None:
        """Enough was said: one sentence and a hand-off; silence until a human is done with it. Who asks for one is heard."""
        asked = listens = grave = False
        for message in (one for part in parts for one in conversation.pending if one.id in part.events):
            found = await self._understand(message, draft, may_fail=True)
            words = _words(message)
            asked |= waiting.is_asked_for(found.intent if found else None, _payload(message))
            draft.read(words, found)
            if found is None:
                continue
            detection = await self._weigh(conversation, message.at, words, found, None)
            if self._emergency(conversation, [message], words, found, detection, draft, now):
                return
            draft.suspect(detection, [message.id], for_understanding(words))
            listens |= self._rules.listens(words, found, detection)
            pressing = self._understood(found, detection).handoff
            if pressing is not None and pressing.priority < PRIORITY["request"]:
                grave = True
                draft.hand_off(pressing, found.intent)
        ids = [event for part in parts for event in part.events]
        draft.settle(ids, "handed_off", waiting.LOOP, reply=len(draft.replies), route=HANDOFF)
        wait = await self._wait_sentence(now) if asked else ""
        draft.replies.append(OutgoingReply(waiting.enough(asked and not grave, wait, listens, self._rules.texts)))
        reason = HUMAN if asked else waiting.LOOP
        draft.hand_off(HandoffRequest("request", PRIORITY["request"], reason), None)

    async def _heard(
        self, conversation: Conversation, messages: Sequence[Pending], draft: _Draft, now: datetime
    ) -> None:
        """Who asks for a human after the bot fell silent is told, once in a while, that one has the request."""
        read = {event: understanding.intent for event, understanding in draft.understood.items()}
        asking = [m.id for m in messages if waiting.is_asked_for(read.get(m.id), _payload(m))]
        said = waiting.again(self._rules.texts)
        if draft.emergency is not None or draft.replies or not asking or said is None:
            return
        if HUMAN in await self._store.replied_since(conversation.id, now - HEARD_AGAIN):
            return
        draft.replies.append(OutgoingReply(said))
        draft.settlements = [
            replace(one, reason=HUMAN, reply=0) if asking[0] in one.events else one for one in draft.settlements
        ]

    async def give_to_human(self, conversation: Conversation, judge: bool = False) -> None:
        """The engine gave nothing usable twice, is away for too long, or we failed: a human takes it from here.

        The person is told so, unless they were told that the engine is away. `judge`: echoes are looked at first. A danger that
        the turn had found before it failed is handed off as one.
        """
        now = self._clock.now()
        draft = _Draft(before=known(conversation.state, now.timestamp()))
        if judge:
            await self._echoes(conversation, draft, now)
        messages = self._thumbs(conversation, await self._messages(conversation, draft, now), draft)
        self._hand_over(conversation, messages, draft, now, judge)
        await self._store.finish(conversation, draft.finish(), now)

    def _hand_over(
        self, conversation: Conversation, messages: Sequence[Pending], draft: _Draft, now: datetime, judge: bool
    ) -> None:
        """Give what waits to a human, and say so where that is due."""
        for message in messages:
            draft.read(_words(message), None)
        ids = [m.id for m in messages]
        owner = self._owner(conversation, draft, now)
        danger = _danger(conversation, draft)
        if conversation.blocked:
            aside = "ignored" if owner in ("bot", "closed") else "to_agent"
            draft.settle(
                ids,
                "handed_off" if danger else aside,
                handoffs.UNSENT if danger else "blocked",
                route=EMERGENCY if danger else None,
            )
        elif messages and self._bots(conversation, messages, owner):
            draft.hand_off(HandoffRequest("request", PRIORITY["request"], "moteur"), None)
            if self._rules.night.contains(now):
                if not self._told(conversation, now):
                    self._say_night(draft, (Reply(self._rules.texts["utter_nuit"]),), now)
            elif self._window_open(conversation, now):
                self._announce(conversation.crisis, draft)
                handed_over = conversation.category != "none"
                told = patience.was_told(conversation.engine_away_since, conversation.engine_told_at, now, handed_over)
                if draft.notice is None and not told:
                    draft.replies.append(OutgoingReply(Reply(self._rules.texts["utter_panne"])))
                    if judge:
                        draft.sets["engine_told_at"] = now
            reply = 0 if draft.replies else None
            why, path = (handoffs.UNSENT, EMERGENCY) if danger else ("moteur", HANDOFF)
            draft.settle(ids, "handed_off", why, reply=reply, route=path)
        elif danger:
            draft.settle(ids, "handed_off", handoffs.UNSENT, route=EMERGENCY)
        else:
            draft.settle(ids, "to_agent", "moteur")
        if not judge:
            rest = [e.id for e in conversation.pending if isinstance(e.body, Echo)]
            draft.settle(rest, "ignored", "unjudged_echo")

    async def give_in_silence(self, conversation: Conversation) -> None:
        """As give_to_human where that failed: not a word to the person, nothing of what was read, only the hand-off."""
        draft = _Draft()
        heard = [event.id for event in conversation.pending if not isinstance(event.body, Echo)]
        if _danger(conversation, draft, named=False):
            draft.settle(heard, "handed_off", handoffs.UNSENT, route=EMERGENCY)
        elif conversation.blocked:
            draft.settle(heard, "ignored" if conversation.owner in ("bot", "closed") else "to_agent", "blocked")
        else:
            draft.settle(heard, "to_agent" if conversation.handed else "handed_off", "moteur")
            if not conversation.handed:
                draft.hand_off(HandoffRequest("request", PRIORITY["request"], "moteur"), None)
        draft.settle([e.id for e in conversation.pending if isinstance(e.body, Echo)], "ignored", "unjudged_echo")
        await self._store.finish(conversation, draft.finish(), self._clock.now())

    # -- pieces --------------------------------------------------------------------------------------------------

    async def _understand(self, message: Pending, draft: _Draft, may_fail: bool) -> Understanding | None:
        """What a message means; None where it has no words, or (`may_fail`) while the engine is away."""
        words = for_understanding(_words(message))
        if not words:
            return None
        try:
            understanding = await self._engine.understand(words)
        except EngineDown:
            if may_fail:
                return None
            raise
        draft.understood[message.id] = understanding
        if _payload(message) is None:  # the title of a button is ours
            chosen = self._understood(understanding).route
            draft.readings.append(NewReading((message.id,), message.at, words, understanding, chosen))
        return understanding

    async def _weigh(
        self,
        conversation: Conversation,
        at: datetime,
        words: str,
        understanding: Understanding,
        state: Mapping[str, Any] | None,
        asked: bool = False,
    ) -> Detection | None:
        """The danger that words show in the light of what was said before. `asked`: they give what a question of ours asked for."""
        past = topics(state, at.timestamp())
        alarm = conversation.emergency_at
        alarmed = alarm is not None and at - alarm < timedelta(seconds=WITHIN)
        recent = is_recent(state, at.timestamp())
        kind, reason = conversation.emergency_kind, conversation.reason
        context = degree.before(past, conversation.category, alarmed, asked, words, recent, kind, reason)
        if not degree.looks_back(understanding, context, words):
            return self._rules.detect(words, understanding, context)
        # What is sure even if all together reads as harmless need not wait for a second reading.
        sure = self._rules.detect(words, understanding, degree.read_together(context, 0.0, words), only_sure=True)
        if sure is not None:
            return sure
        # What an agent has dealt with makes no danger of the « merci » that follows.
        since = max(at - degree.BACK, conversation.last_agent_at or at - degree.BACK)
        said = await self._store.said_before(conversation.id, at, since, degree.BACK_MOST)
        context = degree.with_said(context, said, words)
        context = degree.read_together(context, await self._together(said, words), words)
        return self._rules.detect(words, understanding, context)

    async def _together(self, said: Sequence[str], words: str) -> float | None:
        """The chance of danger in the last messages and this one read as one; None where nothing was said before, or the engine is
        away or slow: the message then speaks for itself."""
        if not said:
            return None
        try:
            async with asyncio.timeout(TOGETHER_WITHIN):
                read = await self._engine.understand(for_understanding(degree.joined(said, words)))
        except (EngineDown, EngineRefused, TimeoutError):
            return None
        return read.danger

    def _emergency(
        self,
        conversation: Conversation,
        messages: Sequence[Pending],
        words: str,
        understanding: Understanding,
        detection: Detection | None,
        draft: _Draft,
        now: datetime,
        events: Sequence[int] | None = None,
    ) -> bool:
        """Whether the words are surely a danger; if so, it replaces everything else of this turn."""
        if detection is None or detection.degree != "sure":
            return False
        conversation.dangers.append(detection)
        standby = conversation.standby or any(m.standby for m in messages)
        seen = emergencies.seen(conversation, standby)
        at = max((m.at for m in messages), default=now)
        plan = self._rules.plan(detection, words, at, now, seen)
        if plan is None:
            conversation.dangers.remove(detection)
            return False
        pending = tuple(m.id for m in conversation.pending if not isinstance(m.body, Echo))
        alarming = {m.id for m in messages}
        draft.readings = [one.routed(EMERGENCY) if alarming & set(one.events) else one for one in draft.readings]
        draft.replies.clear()
        draft.settlements = [s for s in draft.settlements if not set(s.events) & set(pending)]
        held = set(draft.waiting.get("echo", ()))
        draft.waiting.clear()
        draft.handoff, draft.state, draft.next_due = None, None, None
        draft.likely.clear()
        draft.sets = _inbox_part(draft.sets)
        for event in conversation.pending:
            if event.id in held:
                draft.wait("echo", [event.id], _judged_again(event, now), LIVE)
        for event in conversation.pending:
            if isinstance(event.body, Message):
                draft.read(_words(event), None)
        draft.read(words, understanding)
        draft.emergency = Emergency(plan, detection, pending, understanding, dict(draft.slots))
        return True

    def _told(self, conversation: Conversation, now: datetime) -> bool:
        """Whether this night's message is not due: it went out, or an emergency reply did, or an agent is at it."""
        night = self._rules.night
        tonight = night.name(now)
        if conversation.night == tonight:
            return True
        alarm = conversation.emergency_at
        if alarm is not None and night.contains(alarm) and night.name(alarm) == tonight:
            return True
        agent = conversation.last_agent_at
        return agent is not None and now - agent < AGENT_RECENT

    def _say_night(self, draft: _Draft, replies: Sequence[Reply], now: datetime, dedup: bool = True) -> None:
        if not replies:
            return
        tonight = self._rules.night.name(now)
        for reply in replies:
            draft.replies.append(
                OutgoingReply(
                    reply,
                    author="night",
                    bound=False,
                    priority=NIGHT_PRIORITY,
                    dedup=f"night:{tonight.isoformat()}" if dedup else None,
                )
            )
        draft.sets["night"] = tonight

    def _announce(self, standing: crisis.Standing | None, draft: _Draft) -> None:
        """The open crisis's message, once a person, before whatever else is said; never beside an emergency reply."""
        said = crisis.notice(standing, draft.handoff, not draft.replies, self._rules.texts)
        if standing is not None and said is not None:
            draft.notice = OutgoingReply(said, dedup=crises.name(standing.id))

    def _window_open(self, conversation: Conversation, now: datetime) -> bool:
        try:
            window.tag("bot", conversation.last_person_at, now)
        except window.WindowClosed:
            return False
        return True

    async def _wait_sentence(self, now: datetime) -> str:
        is_open = self._rules.desk.open(now)
        median = waiting_time.median(await self._store.waits(now)) if is_open else None
        return route.wait_sentence(is_open, hour_text(self._rules.desk.start), median, self._rules.texts)


def _told_by_an_emergency(conversation: Conversation, now: datetime) -> set[str]:
    """What the last emergency reply says, as the reason of a likely danger of its kind; nothing where it is long ago."""
    at = plausible(conversation.emergency_at, now)
    if at is None or now - at >= degree.NUMBERS_AGAIN:
        return set()
    return {degree.REASONS["distress" if conversation.emergency_kind == "distress" else "danger"]}


def _ranked(request: HandoffRequest) -> tuple[int, int]:
    return degree.rank(request.category, request.reason)


def _danger(conversation: Conversation, draft: _Draft, named: bool = True) -> bool:
    """Whether the turn that failed had found a danger, which is then handed off as one; `named`: with what it is."""
    for detection in conversation.dangers:
        request = HandoffRequest("emergency", PRIORITY["emergency"], handoffs.UNSENT)
        draft.hand_off(request, detection.intent if named else None)
    return bool(conversation.dangers)


def _rank(conversation: Conversation) -> int:
    """How pressing it is while its person writes: looked at too early, it does not fall behind."""
    return min(conversation.due_priority, LIVE)


def _judged_again(echo: Pending, now: datetime) -> datetime:
    """When to look again at an echo that cannot be judged yet."""
    return min(echo.received_at + owners.ECHO_HOLD, now + owners.AUTOMATION_WITHIN)


def _take_over(conversation: Conversation, at: datetime, draft: _Draft, now: datetime) -> None:
    """A human wrote in Meta's inbox at `at`. Echoes come in any order: an older one shortens nothing. By Meta's clock, which may
    be ahead of ours: what came in has been written."""
    at = min(at, now)
    wrote = [at, conversation.last_agent_at, draft.sets.get("last_agent_at")]
    draft.sets["last_agent_at"] = max(moment for moment in wrote if moment is not None)
    ends = [at + owners.INBOX_FOR, conversation.owner_until, draft.sets.get("owner_until")]
    until = max(moment for moment in ends if moment is not None)
    if conversation.owner != "agent" and until > now:
        draft.sets.update(owner="inbox", owner_until=until)


def _inbox_part(sets: Mapping[str, Any]) -> dict[str, Any]:
    """What an echo changed: a danger in the same turn does not undo that a human is at it."""
    names = ["last_agent_at", *(("owner", "owner_until") if sets.get("owner") == "inbox" else ())]
    return {name: sets[name] for name in names if name in sets}


def _words(message: Pending) -> str:
    body = message.body
    return body.title if isinstance(body, Postback) else getattr(body, "text", "")


def _payload(message: Pending) -> str | None:
    body = message.body
    return body.payload if isinstance(body, Postback) else getattr(body, "quick_reply", None)


def segments(messages: Sequence[Pending]) -> list[Segment]:
    """Consecutive texts are one utterance; a tap stands alone; attachments without text stand together.

    A photo beside words is only shown to agents: the words are what is answered.
    """
    parts: list[Segment] = []
    for message in messages:
        body = message.body
        payload = _payload(message)
        attachments = getattr(body, "attachments", ())
        part = Segment((message.id,), message.at, _words(message), payload, attachments)
        last = parts[-1] if parts else None
        if last is not None and payload is None and last.payload is None and bool(last.text) == bool(part.text):
            parts[-1] = Segment(
                last.events + part.events,
                part.at,
                "\n".join(t for t in (last.text, part.text) if t),
                None,
                last.attachments + attachments,
            )
        else:
            parts.append(part)
    return _media_into_words(parts)


def _media_into_words(parts: Sequence[Segment]) -> list[Segment]:
    """Attachments that came together with words are part of what the words say."""
    spoken = [i for i, part in enumerate(parts) if part.text and part.payload is None]
    if not spoken:
        return list(parts)
    joined: list[Segment] = []
    spare: tuple[int, ...] = ()
    for part in parts:
        if not part.text and part.payload is None:
            spare += part.events
        else:
            joined.append(part)
    for i, part in enumerate(joined):
        if part.text and part.payload is None:
            joined[i] = replace(part, events=part.events + spare)
            break
    return joined
