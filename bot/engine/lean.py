"""Leaves out what Rasa does at each step to no effect; outcomes stay the same (tests/engine/test_turn_tracker.py).

Three of its modules copy states and events, deeply, and write them out, for a debug log, before the logger is asked whether
it wants them (it does not: bot/engine/quiet.py). Of all rules, most speak of another intent than the message's. And the
class of each event that an action returns is looked for among all subclasses.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Optional

import rasa.core.policies.memoization
import rasa.core.policies.policy
import rasa.core.policies.rule_policy
import rasa.core.processor
from rasa.core.policies.rule_policy import RulePolicy
from rasa.shared.core.constants import PREVIOUS_ACTION, SHOULD_NOT_BE_SET, USER
from rasa.shared.core.domain import State
from rasa.shared.core.events import Event
from rasa.shared.nlu.constants import INTENT

COPYING = (rasa.core.processor, rasa.core.policies.memoization, rasa.core.policies.rule_policy)

Shelves = dict[Optional[str], list[str]]  # the intent that a rule's last step must have (None: any) → rules

Kept = tuple[dict[str, str], int, Shelves]  # a table of rules, how many it had, its shelves


def slim() -> None:
    """Call this once Rasa is imported."""
    for module in COPYING:
        module.copy = _NoCopy  # type: ignore[attr-defined]
    rasa.core.policies.policy.Policy.format_tracker_states = staticmethod(lambda states: "")
    RulePolicy._get_possible_keys = possible_keys  # type: ignore[method-assign]
    if not hasattr(Event.resolve_by_type, "cache_info"):
        Event.resolve_by_type = staticmethod(lru_cache(maxsize=100)(Event.resolve_by_type))  # type: ignore[method-assign]


class _NoCopy:
    """Stands for the module `copy` where what is copied goes to the log."""

    @staticmethod
    def deepcopy(value: Any) -> Any:
        return value


def possible_keys(policy: RulePolicy, lookup: dict[str, str], states: list[State]) -> set[str]:
    """Rasa's `_get_possible_keys`: the rules that fit the last states. Only those that can are looked at."""
    possible = _candidates(policy, lookup, states[-1]) if states else set(lookup)
    for back, state in enumerate(reversed(states)):
        if all(back >= len(policy._rule_key_to_state(key)) for key in possible):
            break  # whatever came before, they fit
        possible = {key for key in possible if policy._is_rule_applicable(key, back, state)}
    return possible


def _candidates(policy: RulePolicy, lookup: dict[str, str], last: State) -> set[str]:
    if not last.get(PREVIOUS_ACTION):
        return set(lookup)
    kept: dict[int, Kept] = policy.__dict__.setdefault("_shelves", {})
    found = kept.get(id(lookup))
    if found is None or found[0] is not lookup or found[1] != len(lookup):  # another table, or one that grew
        found = kept[id(lookup)] = (lookup, len(lookup), _shelves(policy, lookup))
    shelves, intent = found[2], last.get(USER, {}).get(INTENT)
    return {*shelves.get(None, ()), *(shelves.get(intent, ()) if isinstance(intent, str) else ())}


def _shelves(policy: RulePolicy, lookup: dict[str, str]) -> Shelves:
    shelves: Shelves = {}
    for key in lookup:
        wanted = policy._rule_key_to_state(key)[-1].get(USER, {}).get(INTENT)
        demands = isinstance(wanted, str) and wanted and wanted != SHOULD_NOT_BE_SET
        shelves.setdefault(wanted if demands else None, []).append(key)
    return shelves
