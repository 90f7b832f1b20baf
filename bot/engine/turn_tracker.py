"""The tracker of one turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from copy import copy
from typing import Any, Optional

from rasa.shared.core.domain import Domain, State
from rasa.shared.core.events import ActionExecuted, Event, FollowupAction, Restarted
from rasa.shared.core.slots import Slot
from rasa.shared.core.trackers import DialogueStateTracker

_Asked = tuple[int, bool, bool]  # how many events there were, and the options of `past_states`


class TurnTracker(DialogueStateTracker):
    """Rasa's tracker, whose copies and past states cost less: Rasa makes each several times a turn, from all events anew.

    What they hold is the same (tests/engine/test_turn_tracker.py compares them).
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        self._seen: dict[_Asked, list[State]] = {}
        self._applied: tuple[int, list[Event]] = (-1, [])
        super().__init__(*given, **named)

    def copy(self) -> DialogueStateTracker:
        """As if all events were replayed."""
        if self.followup_action or any(isinstance(event, (FollowupAction, Restarted)) for event in self.events):
            return super().copy()  # whether an action is still to follow is in no event
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__, sender_source=None, model_id=None, assistant_id=None)
        twin.events = deque(self.events, self._max_event_history)
        twin.slots = {name: _same(slot) for name, slot in self.slots.items()}
        twin.active_loop = copy(self.active_loop)
        twin._seen = {}
        return twin

    def applied_events(self) -> list[Event]:
        """The events that hold, found once for the same events."""
        if self._max_event_history is not None:  # old events go as new ones come: their number says nothing
            found: list[Event] = super().applied_events()
            return found
        count = len(self.events)
        if self._applied[0] != count:
            self._applied = count, super().applied_events()
        return list(self._applied[1])

    def past_states(
        self,
        domain: Domain,
        omit_unset_slots: bool = False,
        ignore_rule_only_turns: bool = False,
        rule_only_data: Optional[dict[str, Any]] = None,
    ) -> list[State]:
        """What policies look at, made once for the same events; whoever asks may change it."""
        if self._max_event_history is not None:
            states: list[State] = super().past_states(domain, omit_unset_slots, ignore_rule_only_turns, rule_only_data)
            return states
        asked = (len(self.events), omit_unset_slots, ignore_rule_only_turns)
        if asked not in self._seen:
            self._seen[asked] = super().past_states(domain, omit_unset_slots, ignore_rule_only_turns, rule_only_data)
        return _copied(self._seen[asked])

    def generate_all_prior_trackers(self) -> Generator[tuple[DialogueStateTracker, bool], None, None]:
        """The tracker before each action; of its slots only those that a policy can see."""
        seen = [slot for slot in self.slots.values() if slot.has_features()]
        before = _Before(self.sender_id, seen, self._max_event_history, is_rule_tracker=self.is_rule_tracker)
        for event in self.applied_events():
            if isinstance(event, ActionExecuted):
                yield before, event.hide_rule_turn
            before.update(event)
        yield before, False


class _Before(DialogueStateTracker):
    """A tracker that knows some slots only, and is shown events that another has taken already."""

    def update(self, event: Event, domain: Optional[Domain] = None) -> None:
        self.events.append(event)
        event.apply_to(self)

    def _set_slot(self, key: str, value: Any) -> None:
        if key in self.slots:
            self.slots[key].value = value


def _same(slot: Slot) -> Slot:
    twin: Slot = slot.__class__.__new__(slot.__class__)
    twin.__dict__.update(slot.__dict__)
    return twin


def _copied(states: list[State]) -> list[State]:
    """States of their own; parts that were shared stay shared."""
    made: dict[int, dict[str, Any]] = {}

    def part(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if id(value) not in made:
            made[id(value)] = dict(value)
        return made[id(value)]

    return [{name: part(value) for name, value in state.items()} for state in states]
