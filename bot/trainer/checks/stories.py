"""Rules and stories: each step names what exists, and no two of them want something else at the same moment."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Optional

from bot.core.yaml_text import Mapping, Node, Scalar, Sequence
from bot.policy.intents import FALLBACK
from bot.trainer.checks.files import DOMAIN, RULES, STORIES, Domain, scalar
from bot.trainer.checks.finding import Finding, error, warning

HISTORY = 4  # turns that the engine looks back (MemoizationPolicy, config.yml)
# Rasa's own; none of ours.
BUILT_IN = frozenset(
    (
        "action_listen",
        "action_restart",
        "action_session_start",
        "action_default_fallback",
        "action_deactivate_loop",
        "action_revert_fallback_events",
        "action_default_ask_affirmation",
        "action_default_ask_rephrase",
        "action_two_stage_fallback",
        "action_back",
        "action_unlikely_intent",
        "action_extract_slots",
    )
)
LISTEN = "action_listen"


@dataclass(frozen=True)
class Step:
    """`kind`: intent, action or other; `entities`: names, of an intent; of « slot_was_set » those of the slots."""

    kind: str
    name: str
    line: int
    entities: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """A rule or a story. `plain`: without conditions, hence always true."""

    name: str
    line: int
    steps: tuple[Step, ...]
    plain: bool = True


def steps(root: Optional[Mapping], key: str) -> list[Told]:
    """The rules (`rules`) or stories (`stories`) of a file."""
    blocks = root.get(key) if root is not None else None
    return [
        _told(block) for block in (blocks.items if isinstance(blocks, Sequence) else ()) if isinstance(block, Mapping)
    ]


def _told(block: Mapping) -> Told:
    listed = block.get("steps")
    name = scalar(block.get("rule")) or scalar(block.get("story")) or ""
    found = tuple(step for item in (listed.items if isinstance(listed, Sequence) else ()) for step in _step(item))
    return Told(name, block.line, found, block.get("condition") is None)


def _step(item: Node) -> Iterator[Step]:
    if not isinstance(item, Mapping):
        return
    if (intent := scalar(item.get("intent"))) is not None:
        yield Step("intent", intent.split("/")[0], item.line, tuple(sorted(_entities(item.get("entities")))))
    elif (action := scalar(item.get("action"))) is not None:
        yield Step("action", action, item.line)
    elif item.entries:
        key, value = item.entries[0]
        slots = tuple(_entities(value)) if key.value == "slot_was_set" else ()
        yield Step("other", f"{key.value}={_flat(value)}", item.line, slots)


def _entities(node: Optional[Node]) -> Iterator[str]:
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Scalar):
            yield item.value
        elif isinstance(item, Mapping) and item.entries:
            yield item.entries[0][0].value


def _flat(node: Node) -> str:
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return ",".join(_flat(item) for item in node.items)
    return ",".join(f"{key.value}={_flat(value)}" for key, value in node.entries)


# -- Findings --------------------------------------------------------------------------------------------------------------


def check(rules: Optional[Mapping], stories: Optional[Mapping], domain: Optional[Domain]) -> Iterator[Finding]:
    """Everything; a file that is None could not be read."""
    kept, told = steps(rules, "rules"), steps(stories, "stories")
    for file, root, key, found in ((RULES, rules, "rules", kept), (STORIES, stories, "stories", told)):
        if root is not None and not found:
            yield error(
                "story-form",
                file,
                1,
                f"la liste « {key}: » manque, ou est vide.",
                "Rétablissez le fichier depuis git.",
            )
        yield from _twice(file, found)
        if domain is not None:
            yield from _unknown(file, found, domain)
    actions = yield from _rules(kept)
    yield from _against_rules(told, actions)
    yield from _against_each_other(told)


def _twice(file: str, found: list[Told]) -> Iterator[Finding]:
    names: dict[str, int] = {}
    for one in found:
        if not one.name or not one.steps:
            yield error(
                "story-form",
                file,
                one.line,
                "ce bloc n’a pas de nom, ou pas d’étapes.",
                "Il commence par « - rule: nom » ou « - story: nom », puis « steps: » et une étape par tiret.",
            )
        elif names.setdefault(one.name, one.line) != one.line:
            yield warning(
                "story-name",
                file,
                one.line,
                f"« {one.name} » est déjà le nom du bloc de la ligne {names[one.name]}.",
                "Donnez à chacun son nom.",
            )


def _unknown(file: str, found: list[Told], domain: Domain) -> Iterator[Finding]:
    intents = domain.intents.keys() | {FALLBACK}
    actions = domain.actions.keys() | domain.responses.keys() | BUILT_IN
    for step in (step for one in found for step in one.steps):
        if step.kind == "intent" and step.name not in intents:
            yield error(
                "step-unknown",
                file,
                step.line,
                f"l’intention « {step.name} » n’existe pas dans domain.yml.",
                "Corrigez son nom, ou ajoutez-la à la liste « intents » de domain.yml.",
                intent=step.name,
            )
        if step.kind == "action" and step.name not in actions:
            yield error(
                "step-unknown",
                file,
                step.line,
                f"l’action ou la réponse « {step.name} » n’existe pas dans domain.yml.",
                "Corrigez son nom, ou ajoutez-la sous « responses » ou « actions » de domain.yml.",
            )
        if step.kind == "other":
            yield from _unknown_slots(file, step, domain)
            continue
        for entity in step.entities:
            if entity not in domain.entities:
                yield error(
                    "step-unknown",
                    file,
                    step.line,
                    f"l’entité « {entity} » n’existe pas dans domain.yml.",
                    f"Choisissez parmi : {', '.join(domain.entities)}.",
                )


def _unknown_slots(file: str, step: Step, domain: Domain) -> Iterator[Finding]:
    for slot in step.entities:
        if slot not in domain.slots:
            yield error(
                "step-unknown",
                file,
                step.line,
                f"l’emplacement « {slot} » n’existe pas dans domain.yml.",
                "Corrigez son nom, ou ajoutez-le sous « slots » de domain.yml.",
            )


def _rules(kept: list[Told]) -> Generator[Finding, None, dict[str, tuple[str, int]]]:
    """Two rules for one intent; returns what each intent's rule does."""
    actions: dict[str, tuple[str, int]] = {}
    for rule in kept:
        if not (rule.plain and [step.kind for step in rule.steps] == ["intent", "action"]):
            continue
        intent, action = rule.steps
        known, line = actions.setdefault(intent.name, (action.name, rule.line))
        if line != rule.line:
            yield error(
                "contradiction",
                RULES,
                action.line,
                f"la règle « {rule.name} » fait {action.name} pour « {intent.name} », la règle de la ligne {line} fait {known}."
                if known != action.name
                else f"la règle « {rule.name} » redit celle de la ligne {line} pour « {intent.name} ».",
                "Gardez une règle par intention.",
                intent=intent.name,
            )
    return actions


def _against_rules(told: list[Told], actions: dict[str, tuple[str, int]]) -> Iterator[Finding]:
    for story in told:
        for said, done in zip(story.steps, story.steps[1:], strict=False):
            known, line = actions.get(said.name, (done.name, 0)) if said.kind == "intent" else (done.name, 0)
            if done.kind == "action" and known != done.name:
                yield error(
                    "contradiction",
                    STORIES,
                    done.line,
                    f"l’histoire « {story.name} » fait {done.name} après « {said.name} », la règle ({RULES}:{line}) fait {known}.",
                    f"Écrivez {known} ici, ou changez la règle.",
                    intent=said.name,
                )


def _against_each_other(told: list[Told]) -> Iterator[Finding]:
    """As MemoizationPolicy learns: the last turns decide what comes next, so they may not be followed by two things."""
    first: dict[tuple[Step | str, ...], tuple[str, Told]] = {}
    for story in told:
        for memory, step in _forks(story):
            action, other = first.setdefault(memory, (step.name, story))
            if action != step.name:
                yield error(
                    "contradiction",
                    STORIES,
                    step.line,
                    f"l’histoire « {story.name} » fait {step.name} au moment où « {other.name} » ({STORIES}:{other.line}) fait "
                    f"{action}.",
                    "Corrigez l’une des deux : les mêmes messages doivent avoir la même suite.",
                )


def _forks(story: Told) -> Iterator[tuple[tuple[str, ...], Step]]:
    """(what the engine remembers, what is done next) of each action of a story."""
    states: list[str] = []
    before, said = LISTEN, ""
    for step in story.steps:
        if step.kind == "intent":
            before, said = LISTEN, f"{step.name}({','.join(step.entities)})"
        elif step.kind == "action":
            states.append(f"{before}>{said}")
            yield tuple(states[-HISTORY:]), step
            before = step.name
        else:
            states.append(step.name)


def slots(root: Optional[Mapping], domain: Domain) -> Iterator[Finding]:
    """Slots that wait for an entity which does not exist: Rasa would leave them empty without a word."""
    listed = root.get("slots") if root is not None else None
    for name, slot in listed.entries if isinstance(listed, Mapping) else ():
        mappings = slot.get("mappings") if isinstance(slot, Mapping) else None
        for mapping in mappings.items if isinstance(mappings, Sequence) else ():
            entity = scalar(mapping.get("entity")) if isinstance(mapping, Mapping) else None
            if entity is not None and entity not in domain.entities:
                yield error(
                    "slot",
                    DOMAIN,
                    mapping.line,
                    f"l’emplacement « {name.value} » attend l’entité « {entity} », qui n’existe pas.",
                    "Corrigez son nom, ou ajoutez-la à la liste « entities ».",
                )
