"""The dialogue state that travels with each request, and the tracker rebuilt from it.

State is JSON of version 1:

    {"v": 1, "at": 1763000000.0,             when the person last wrote
     "slots": {"corps": "gardien de la paix"},  what counts; a value changed here changes the dialogue
     "loop": "…_form" | null,                 the active form
     "question": {"slot": "corps", "at": …} | null,   what is asked, by a form or by the slot `question`, and since when;
                                              open for a day
     "misses": 0,                             misunderstandings in a row
     "told": {"date": ["hier soir", at], …},  places, dates … that were written, and when: kept for a day (bot/policy/told.py)
     "events": [["u", intent, [entity names]], ["a", action, hidden], ["s", slot, value], …]}

No other text of a citizen or of ours is in it: policies look at intents, entity names, slots and actions only. It comes
back from a database that may be older than the present model, so that everything is checked on arrival.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Optional

from rasa.shared.core.constants import (
    ACTION_LISTEN_NAME,
    ACTION_SESSION_START_NAME,
    REQUESTED_SLOT,
)
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import (
    ActionExecuted,
    ActionExecutionRejected,
    ActionReverted,
    ActiveLoop,
    AllSlotsReset,
    Event,
    LoopInterrupted,
    Restarted,
    SessionStarted,
    SlotSet,
    UserUtteranceReverted,
    UserUttered,
)
from rasa.shared.core.trackers import DialogueStateTracker

from bot.engine.turn_tracker import TurnTracker
from bot.policy.intents import FALLBACK
from bot.policy.told import keep

VERSION = 1
MAX_EVENTS = 30  # about ten turns: rules and stories look back four
MAX_VALUE = 500  # characters of a slot's value
QUESTIONS = (REQUESTED_SLOT, "question")  # slots that say what was asked
SUBJECT = "sujet"  # no policy looks at it; an action must know whether it is newer than the message before
QUESTION_OPEN = 24 * 3600.0  # seconds
# What a message a day later no longer speaks of; a trade, a diploma and a town stay known.
OF_THE_DAY = (
    "sujet",
    "aspect",
    "repondu",
    "document",
    "circonstance",
    "pays",
    "infraction",
    "relance",
    "age",
    "incompris",
    "insultes",
    "precisions",
)

State = dict[str, Any]


def dump(tracker: DialogueStateTracker, received: Any = None, now: Optional[float] = None, words: str = "") -> State:
    """The state to store after a turn about `words`.

    `received` is what came in: a question that was open then keeps its time, and so does what was told.
    """
    now = time.time() if now is None else now
    events = _this_session(list(tracker.events))
    cut = _cut(events, tracker)
    before = _replay(events[:cut], tracker)
    compact = [["s", name, value] for name, value in _set_slots(before).items() if _counts(name, before)]
    if before.active_loop_name:
        compact.append(["l", before.active_loop_name])
    compact += [packed for event in events[cut:] if (packed := _pack(event, tracker))]
    asked = next((value for name in QUESTIONS if (value := _slot(tracker, name))), None)
    return {
        "v": VERSION,
        "at": now,
        "slots": _set_slots(tracker),
        "loop": tracker.active_loop_name,
        "question": {"slot": asked, "at": _asked_at(tracker, asked, received, now)} if asked else None,
        "misses": _misses(events),
        "told": keep(received, words, now),
        "events": compact,
    }


def load(state: Any, request_id: str, domain: Domain, now: Optional[float] = None) -> DialogueStateTracker:
    """The tracker of a turn that starts; of what `state` says, what the domain does not know is left out."""
    now = time.time() if now is None else now
    tracker = TurnTracker(request_id, domain.slots)
    for event in (ActionExecuted(ACTION_SESSION_START_NAME), SessionStarted()):
        tracker.update(event, domain)
    if _is_state(state):
        if not _expired(state, domain, now):
            _restore(state, tracker, domain, now)
        elif domain.session_config.carry_over_slots:
            _restore_slots(state, tracker, domain, but=REQUESTED_SLOT)
        at = state.get("at")
        if not _is_number(at) or now - at > QUESTION_OPEN:
            for name in OF_THE_DAY:
                _forget(tracker, name, domain)
    if tracker.latest_action_name != ACTION_LISTEN_NAME:
        tracker.update(ActionExecuted(ACTION_LISTEN_NAME), domain)
    return tracker


# What goes out -------------------------------------------------------------------------------------------------------


def _asked_at(tracker: DialogueStateTracker, asked: Any, received: Any, now: float) -> float:
    """Since when a question is open: asked once more after an interruption, it is as old as before."""
    question = received.get("question") if isinstance(received, dict) else None
    known = isinstance(question, dict) and question.get("slot") == asked and not _closed(received, now)
    return float(question["at"]) if known and not _asked_now(tracker, asked) else now  # type: ignore[index]


def _asked_now(tracker: DialogueStateTracker, asked: Any) -> bool:
    """Asked in this turn, and not only again."""
    if _slot(tracker, "relance") == asked:
        return False
    for event in reversed(tracker.events):
        if isinstance(event, UserUttered):
            return False
        if isinstance(event, SlotSet) and event.key in QUESTIONS and event.value == asked:
            return True
    return False


def _this_session(events: list[Event]) -> list[Event]:
    for index in range(len(events) - 1, -1, -1):
        if isinstance(events[index], (SessionStarted, Restarted)):
            return events[index + 1 :]
    return events


def _cut(events: list[Event], tracker: DialogueStateTracker) -> int:
    """Where the kept part starts: a person's message, so that no turn is torn."""
    counted = [index for index, event in enumerate(events) if _pack(event, tracker)]
    if len(counted) <= MAX_EVENTS:
        return 0
    earliest = counted[-MAX_EVENTS]
    starts = [index for index, event in enumerate(events) if isinstance(event, UserUttered) and index >= earliest]
    return starts[0] if starts else len(events)


def _replay(events: list[Event], like: DialogueStateTracker) -> DialogueStateTracker:
    tracker = DialogueStateTracker("replay", [slot for slot in like.slots.values()])
    for slot in tracker.slots.values():
        slot.reset()
    for event in events:
        tracker.update(event)
    return tracker


def _set_slots(tracker: DialogueStateTracker) -> dict[str, Any]:
    values = {name: _value(slot.value) for name, slot in tracker.slots.items() if slot.value != slot.initial_value}
    values.pop("session_started_metadata", None)
    return values


def _slot(tracker: DialogueStateTracker, name: str) -> Any:
    return tracker.slots[name].value if name in tracker.slots else None


def _misses(events: list[Event]) -> int:
    count = 0
    for event in reversed(events):
        if isinstance(event, UserUttered):
            if event.intent_name != FALLBACK:
                break
            count += 1
    return count


def _names(entities: list[dict[str, Any]]) -> list[str]:
    return sorted({str(entity["entity"]) for entity in entities if entity.get("entity")})


_PACK: dict[type, Callable[[Any], list[Any]]] = {
    UserUttered: lambda e: ["u", e.intent_name, _names(e.entities)],
    ActionExecuted: lambda e: ["a", e.action_name, bool(e.hide_rule_turn)],
    SlotSet: lambda e: ["s", e.key, _value(e.value)],
    ActiveLoop: lambda e: ["l", e.name],
    LoopInterrupted: lambda e: ["i", bool(e.is_interrupted)],
    ActionExecutionRejected: lambda e: ["r", e.action_name],
    UserUtteranceReverted: lambda e: ["w"],
    ActionReverted: lambda e: ["x"],
    AllSlotsReset: lambda e: ["z"],
}


def _pack(event: Event, tracker: DialogueStateTracker) -> Optional[list[Any]]:
    """Compact form of an event whose place among the others counts; None for bot messages and most slots of actions."""
    if isinstance(event, SlotSet) and not _counts(event.key, tracker):
        return None
    pack = _PACK.get(type(event))
    return pack(event) if pack else None


def _counts(name: str, tracker: DialogueStateTracker) -> bool:
    return name in tracker.slots and (name == SUBJECT or tracker.slots[name].has_features())


# What comes in -------------------------------------------------------------------------------------------------------


def _is_state(state: Any) -> bool:
    return (
        isinstance(state, dict)
        and state.get("v") == VERSION
        and isinstance(state.get("slots"), dict)
        and isinstance(state.get("events"), list)
    )


def _expired(state: State, domain: Domain, now: float) -> bool:
    """A question asked in an earlier session is no longer open; Rasa's own check needs the person's last message."""
    at = state.get("at")
    if not domain.session_config.are_sessions_enabled():
        return False
    return not _is_number(at) or now - at > domain.session_config.session_expiration_time * 60


def _restore(state: State, tracker: DialogueStateTracker, domain: Domain, now: float) -> None:
    for event in _events(state["events"], domain):
        tracker.update(event, domain)
    _restore_slots(state, tracker, domain)
    closed = _closed(state, now)
    loop = None if closed else _known(state.get("loop"), domain.form_names)
    if loop != tracker.active_loop_name:
        tracker.update(ActiveLoop(loop), domain)
    if closed or not loop or _known(_slot(tracker, REQUESTED_SLOT), tracker.slots) is None:
        _forget(tracker, REQUESTED_SLOT, domain)
    if closed:
        _forget(tracker, "question", domain)


def _closed(state: State, now: float) -> bool:
    """A question is open for a day: what comes later is no answer to it."""
    question = state.get("question")
    asked = question.get("at") if isinstance(question, dict) else None
    return question is not None and (not _is_number(asked) or now - asked > QUESTION_OPEN)


def _forget(tracker: DialogueStateTracker, name: str, domain: Domain) -> None:
    """Back to what the slot holds at the beginning: a count starts at 0 again."""
    initial = tracker.slots[name].initial_value if name in tracker.slots else None
    if _slot(tracker, name) != initial:
        tracker.update(SlotSet(name, initial), domain)


def _restore_slots(state: State, tracker: DialogueStateTracker, domain: Domain, but: Optional[str] = None) -> None:
    """Make the slots what `state["slots"]` says, whatever the events left."""
    told = {name: _value(value) for name, value in state["slots"].items() if name in tracker.slots and name != but}
    for name, slot in list(tracker.slots.items()):
        wanted = told.get(name, slot.initial_value)
        if slot.value != wanted:
            tracker.update(SlotSet(name, wanted), domain)


def _events(packed: list[Any], domain: Domain) -> Iterator[Event]:
    """Rasa's events, from the first turn after the last thing that the domain does not know."""
    kept: list[Event] = []
    torn = False  # between something unknown and the next message of the person
    for item in packed[-4 * MAX_EVENTS :]:
        event = _unpack(item, domain)
        if event is None:
            kept, torn = [e for e in kept if isinstance(e, SlotSet)], True
            continue
        if isinstance(event, UserUttered):
            if not kept or not isinstance(kept[-1], ActionExecuted):
                kept.append(ActionExecuted(ACTION_LISTEN_NAME))
            torn = False
        if not torn or isinstance(event, SlotSet):
            kept.append(event)
    return iter(kept)


def _unpack(item: Any, domain: Domain) -> Optional[Event]:
    if not isinstance(item, list) or not item or not isinstance(item[0], str):
        return None
    unpack = _UNPACK.get((item[0], len(item)))
    return unpack(item, domain) if unpack else None


def _unpack_user(item: list[Any], domain: Domain) -> Optional[Event]:
    intent = item[1] if item[1] == FALLBACK else _known(item[1], domain.intents)
    if intent is None or not isinstance(item[2], list):
        return None
    entities = [{"entity": name} for name in item[2] if _known(name, domain.entities)]
    return UserUttered(None, {"name": intent, "confidence": 1.0}, entities)


def _unpack_action(item: list[Any], domain: Domain) -> Optional[Event]:
    name = _known(item[1], domain.action_names_or_texts)
    return ActionExecuted(name, hide_rule_turn=item[2] is True) if name else None


def _unpack_slot(item: list[Any], domain: Domain) -> Optional[Event]:
    """An unknown slot is no reason to forget the turn: the event becomes one without effect."""
    name = _known(item[1], [slot.name for slot in domain.slots])
    return SlotSet(name, _value(item[2])) if name else LoopInterrupted(False)


def _unpack_loop(item: list[Any], domain: Domain) -> Optional[Event]:
    if item[1] is None:
        return ActiveLoop(None)
    name = _known(item[1], domain.form_names)
    return ActiveLoop(name) if name else None


def _unpack_rejection(item: list[Any], domain: Domain) -> Optional[Event]:
    name = _known(item[1], domain.action_names_or_texts)
    return ActionExecutionRejected(name) if name else None


_UNPACK: dict[tuple[str, int], Callable[[list[Any], Domain], Optional[Event]]] = {
    ("u", 3): _unpack_user,
    ("a", 3): _unpack_action,
    ("s", 3): _unpack_slot,
    ("l", 2): _unpack_loop,
    ("i", 2): lambda item, domain: LoopInterrupted(item[1] is True),
    ("r", 2): _unpack_rejection,
    ("w", 1): lambda item, domain: UserUtteranceReverted(),
    ("x", 1): lambda item, domain: ActionReverted(),
    ("z", 1): lambda item, domain: AllSlotsReset(),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _known(name: Any, names: Any) -> Optional[str]:
    return name if isinstance(name, str) and name in names else None


def _value(value: Any) -> Any:
    """A slot's value as short JSON: scalars and flat lists of them."""
    if isinstance(value, str):
        return value[:MAX_VALUE]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_value(v) for v in value[:20] if not isinstance(v, (list, tuple, dict))]
    return None
