"""Our tracker against Rasa's own, event by event; and what is left out of Rasa's steps serves its debug log alone."""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path

import pytest

from bot.app.route import ENGINE_PYTHON, ROOT

RASA = next((ROOT / ".venv-engine" / "lib").glob("python3.*/site-packages/rasa"))

COMPARE = """
import json, sys
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import *
from rasa.shared.core.trackers import DialogueStateTracker
from bot.engine.turn_tracker import TurnTracker

domain = Domain.from_yaml('''
version: "3.1"
intents: [greet, ask, {pay: {use_entities: [town]}}]
entities: [town, trade]
slots:
  town: {type: text, influence_conversation: true, mappings: [{type: from_entity, entity: town}]}
  trade: {type: text, influence_conversation: false, mappings: [{type: from_entity, entity: trade}]}
  sure: {type: bool, influence_conversation: true, initial_value: true, mappings: [{type: custom}]}
  misses: {type: float, influence_conversation: false, initial_value: 0, mappings: [{type: custom}]}
forms: {town_form: {required_slots: [town]}}
actions: [action_a, action_b]
''')

def said(intent, *entities, text=None):
    parsed = [{"entity": name, "value": "x"} for name in entities]
    return UserUttered(text, {"name": intent, "confidence": 1.0}, parsed, {"text": text, "intent": {"name": intent}})

def events():
    listen = lambda: ActionExecuted("action_listen")
    return [
        ActionExecuted("action_session_start"), SessionStarted(), listen(),
        said("greet", text="bonjour"), ActionExecuted("action_a", hide_rule_turn=True), SlotSet("trade", "officer"),
        BotUttered("bonjour"), listen(), said("pay", "town", "trade", text="où payer"), SlotSet("town", "Lyon"),
        DefinePrevUserUtteredFeaturization(False), ActionExecuted("action_b"), SlotSet("sure", False), listen(),
        said("ask"), ActionExecuted("town_form"), ActiveLoop("town_form"), SlotSet("requested_slot", "town"), listen(),
        said("greet"), ActionExecutionRejected("town_form"), ActionExecuted("action_a"), LoopInterrupted(True),
        ActionExecuted("town_form"), ActiveLoop(None), AllSlotsReset(), listen(), said("ask"), UserUtteranceReverted(),
        listen(), said("pay"), ActionExecuted("action_a"), ActionReverted(), ActionExecuted("action_b"),
        FollowupAction("action_a"), ActionExecuted("action_a"), listen(), said("ask"), Restarted(),
        ActionExecuted("action_session_start"), SessionStarted(), listen(), said("greet"), ActionExecuted("action_a"),
    ]

def inside(tracker):
    slots = {name: (slot.value, slot.has_been_set) for name, slot in tracker.slots.items()}
    loop = vars(tracker.active_loop) if tracker.active_loop else None
    return [
        slots, loop, tracker.followup_action, tracker.latest_action, tracker.is_paused(), list(tracker.events),
        tracker.latest_message, tracker.latest_bot_utterance, tracker.model_id, tracker.assistant_id, tracker.sender_source,
    ]

compared = 0
slots = domain.slots
ours, theirs = TurnTracker("r1", slots), DialogueStateTracker("r1", slots)
ours.model_id = theirs.model_id = "m"
for event in events():
    ours.update(event, domain)
    theirs.update(event, domain)
    if ours.followup_action == "action_a":  # Rasa takes it off before it runs it: no event says so
        ours.clear_followup_action()
        theirs.clear_followup_action()
    assert inside(ours) == inside(theirs), event
    for _ in range(2):
        applied = ours.applied_events()
        assert applied == theirs.applied_events(), event
        applied.clear()
    twin, other = ours.copy(), theirs.copy()
    assert inside(twin) == inside(other), event
    twin.update(SlotSet("town", "Nice"), domain)
    twin.update(ActionExecuted("action_b"), domain)
    assert inside(ours) == inside(theirs), "a copy shares something with the original"
    for options in ({}, {"omit_unset_slots": True}, {"ignore_rule_only_turns": True}):
        rule_only = {"rule_only_slots": ["sure"], "rule_only_loops": ["town_form"]} if options else None
        mine, his = (t.past_states(domain, rule_only_data=rule_only, **options) for t in (ours, theirs))
        assert mine == his, (event, options)
        for state in mine:  # policies change what they are given
            state.get("user", {}).clear()
        assert ours.past_states(domain, rule_only_data=rule_only, **options) == his, (event, options)
        compared += 1
print(json.dumps(compared))
"""

RULES = """
import itertools, json, random
from bot.engine import light
light.lighten()
from rasa.core.policies.rule_policy import RulePolicy
from bot.engine.lean import possible_keys

policy = RulePolicy.__new__(RulePolicy)
theirs = RulePolicy._get_possible_keys  # not yet replaced: nobody called `slim`
assert theirs is not possible_keys
rng = random.Random(11)
INTENTS, ACTIONS = ["ask", "pay", "greet"], ["action_listen", "action_a", "action_b"]

def state(rule):
    found = {}
    if rng.random() < 0.85:
        found["prev_action"] = {"action_name": rng.choice(ACTIONS)}
    if rng.random() < 0.8:
        intent = rng.choice([*INTENTS, "should_not_be_set"] if rule else INTENTS)
        found["user"] = {"intent": intent} if rng.random() < 0.9 else {"text": "x"}
        if rng.random() < 0.2:
            found["user"]["entities"] = ["town"] if rule else ("town",)
    if rng.random() < 0.2:
        found["active_loop"] = {"name": rng.choice(["form", "should_not_be_set"])}
    return found

met = 0
for _ in range(300):
    keys = {json.dumps([state(True) for _ in range(rng.randint(1, 3))], sort_keys=True): "x" for _ in range(30)}
    for _ in range(5):
        states = [state(False) for _ in range(rng.randint(0, 5))]
        ours = possible_keys(policy, keys, states)
        assert ours == theirs(policy, keys, states), (keys, states)
        met += len(ours) > 0 and len(states) > 0
print(met)
"""


def test_copies_and_past_states_are_rasas() -> None:
    ran = subprocess.run([str(ENGINE_PYTHON), "-c", COMPARE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) > 100


def test_rules_that_fit_are_those_that_rasa_finds() -> None:
    ran = subprocess.run([str(ENGINE_PYTHON), "-c", RULES], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout.splitlines()[-1]) > 300


@pytest.mark.parametrize(
    "module", ["core/processor.py", "core/policies/memoization.py", "core/policies/rule_policy.py"]
)
def test_rasa_copies_for_its_debug_log_alone(module: str) -> None:
    tree = ast.parse(Path(RASA, module).read_text("utf-8"))
    logged = [
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "structlogger.debug"
        for inner in ast.walk(node)
    ]
    copies = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "copy"]
    assert copies
    assert all(node in logged for node in copies)


def test_rasa_writes_states_out_for_its_debug_log_alone() -> None:
    uses = [
        (path.name, line.strip())
        for path in RASA.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if "format_tracker_states" in line
    ]
    assert sorted(uses) == [
        ("policy.py", "def format_tracker_states(states: List[Dict]) -> Text:"),
        ("rule_policy.py", "current_states = self.format_tracker_states(states)"),
    ]
    rules = (RASA / "core/policies/rule_policy.py").read_text("utf-8")
    assert rules.count("current_states") == rules.count("current_states=copy.deepcopy(current_states)") + 2
