"""A new intent, complete at once: its examples, its entry and reply in domain.yml, its rule, its part of the guide.

It belongs to an intent of the table (`armes_chasse` to `armes`), whose route, category and priority it has; it begins with that
one's reply, to be rewritten on the page of replies. All files are written, or none; what cannot be trained is never written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.core import yaml_text
from bot.core.examples import NAME, bad_name
from bot.core.yaml_text import Damaged, Mapping, Node, Scalar
from bot.policy.intents import EMERGENCY, HANDOFF, INTENTS
from bot.trainer.corpus import DOMAIN, NLU, Applied, Draft, Operation, check_operation, entity_names, read_file, tidy
from bot.trainer.errors import BadFile, TrainerError
from bot.trainer.guide import GUIDE
from bot.trainer.project import Project

RULES = "data/rules.yml"
FEWEST_NEW = 10  # examples of a new intent; sixty are wanted
LONGEST_NAME = 60
PARENTS = tuple(name for name, policy in INTENTS.items() if policy.route != EMERGENCY)


@dataclass(frozen=True)
class Wanted:
    """What a trainer wants. `name`: the whole one; `definition`: one sentence; `borders`: where it stops, may be empty."""

    parent: str
    name: str
    definition: str
    examples: Sequence[str]
    borders: str = ""


@dataclass(frozen=True)
class Created:
    """`applied`: what was done to examples; `before`, `after`: the texts of each file, to be put back if need be."""

    applied: Applied
    before: dict[str, str]
    after: dict[str, str]


def create(project: Project, wanted: Wanted) -> Created:
    """Write the new intent into all files as they are now. Blocks. Raises TrainerError, BadFile, Changed.

    An example that another intent of data/nlu.yml has is moved from there.
    """
    with project.lock():
        examples = list(dict.fromkeys(line for line in map(tidy, wanted.examples) if line.strip(" -")))
        _must_be_whole(wanted, examples)
        before = {name: project.read(name) for name in (DOMAIN, RULES, NLU)}
        if project.path(GUIDE).is_file():
            before[GUIDE] = project.read(GUIDE)
        after = {DOMAIN: _domain(before[DOMAIN], wanted), RULES: _rules(before[RULES], wanted)}
        if GUIDE in before:
            after[GUIDE] = _guide(before[GUIDE], wanted, examples)
        after[NLU], applied = _examples(project, before[NLU], wanted, examples)
        # The examples last: until they stand, nothing trains on half of it.
        for name in (DOMAIN, RULES, GUIDE, NLU):
            if name in after:
                project.write(name, after[name])
        return Created(applied, before, after)


class Rewritten(Protocol):
    """Files that were written together: their texts before and after."""

    @property
    def before(self) -> dict[str, str]: ...

    @property
    def after(self) -> dict[str, str]: ...


def take_back(project: Project, done: Rewritten) -> None:
    """Put the files back that are still as they were left. Blocks."""
    with project.lock():
        for name, text in done.after.items():
            if project.read(name) == text:
                project.write(name, done.before[name])


def _must_be_whole(wanted: Wanted, examples: Sequence[str]) -> None:
    if wanted.parent not in INTENTS:
        raise TrainerError("Choisissez l’intention dont celle-ci est un cas particulier.")
    if wanted.parent not in PARENTS:
        raise TrainerError(
            "Une intention de danger ne se dédouble pas ici\u00a0: l’alerte dépend de son nom.",
            "Demandez à l’équipe technique\u00a0; en attendant, ajoutez les exemples à l’intention de danger elle-même.",
        )
    if not NAME.fullmatch(wanted.name):
        raise TrainerError(*bad_name(wanted.name))
    if not wanted.name.startswith(wanted.parent + "_") or len(wanted.name) > LONGEST_NAME:
        raise TrainerError(
            f"Le nom doit commencer par «\u00a0{wanted.parent}_\u00a0» et ne pas dépasser {LONGEST_NAME} caractères.",
            "C’est ce début qui donne à l’intention sa route et sa priorité.",
        )
    if not tidy(wanted.definition):
        raise TrainerError("La définition manque.", "Dites en une phrase de quoi parlent ces messages.")
    if len(examples) < FEWEST_NEW:
        raise TrainerError(
            f"{len(examples)} exemple{'s' if len(examples) > 1 else ''}\u00a0: il en faut {FEWEST_NEW} au moins, tous différents.",
            "Un par ligne\u00a0; soixante conviennent. Ceux d’une autre intention seront déplacés.",
        )


# -- domain.yml ------------------------------------------------------------------------------------------------------------


def _domain(text: str, wanted: Wanted) -> str:
    root = read_mapping(DOMAIN, text)
    intents, responses = root.get("intents"), root.get("responses")
    listed = intents.items if isinstance(intents, yaml_text.Sequence) else ()
    names = {named(item): item for item in listed}
    if wanted.name in names:
        raise TrainerError(f"L’intention «\u00a0{wanted.name}\u00a0» existe déjà.", "Ajoutez-lui des exemples.")
    parent, utter = names.get(wanted.parent), f"utter_{wanted.parent}"
    if not isinstance(responses, Mapping) or responses.key(utter) is None or not isinstance(parent, Scalar):
        raise TrainerError(
            f"domain.yml ne nomme pas simplement «\u00a0{wanted.parent}\u00a0» et sa réponse.",
            f"Ajoutez-y à la main «\u00a0- {wanted.name}\u00a0» sous intents, «\u00a0utter_{wanted.name}\u00a0» sous responses.",
        )
    if responses.key(f"utter_{wanted.name}") is not None:
        raise TrainerError(
            f"«\u00a0utter_{wanted.name}\u00a0» est déjà le nom d’une réponse.",
            "Choisissez un autre nom pour l’intention.",
        )
    lines = text.split("\n")
    start, end = extent(responses, utter, lines)
    block = [lines[start - 1].replace(f"{utter}:", f"utter_{wanted.name}:", 1), *lines[start:end]]
    last = max(
        item.line for name, item in names.items() if name == wanted.parent or name.startswith(wanted.parent + "_")
    )
    entry = lines[parent.line - 1].replace(wanted.parent, wanted.name, 1)
    for place, added in sorted(((end, block), (last, [entry])), reverse=True):
        lines[place:place] = added
    after = "\n".join(lines)
    made = read_mapping(DOMAIN, after)
    new, kept = made.get("responses"), made.get("intents")
    written = isinstance(new, Mapping) and new.get(f"utter_{wanted.name}") is not None
    if not written or not isinstance(kept, yaml_text.Sequence) or wanted.name not in map(named, kept.items):
        raise _unwritten(DOMAIN)
    return after


def extent(mapping: Mapping, key: str, lines: Sequence[str]) -> tuple[int, int]:
    """(first, last) line of an entry, without blank lines and comments after it."""
    starts = [name.line for name, _ in mapping.entries]
    start = next(name.line for name, _ in mapping.entries if name.value == key)
    later = [line for line in starts if line > start]
    end = min(later) - 1 if later else len(lines)
    return start, trimmed(lines, start, end)


def trimmed(lines: Sequence[str], start: int, end: int) -> int:
    """The last line of something, without blank lines and comments after it."""
    while end > start and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


# -- data/rules.yml --------------------------------------------------------------------------------------------------------


def _rules(text: str, wanted: Wanted) -> str:
    rules = read_mapping(RULES, text).get("rules")
    items = rules.items if isinstance(rules, yaml_text.Sequence) else ()
    place = next((n for n, rule in enumerate(items) if first_intent(rule) == wanted.parent), None)
    if place is None:
        raise TrainerError(
            f"data/rules.yml n’a pas de règle pour «\u00a0{wanted.parent}\u00a0».",
            "Ajoutez-la à la main, puis recommencez.",
        )
    lines = text.split("\n")
    start = items[place].line
    end = items[place + 1].line - 1 if place + 1 < len(items) else len(lines)
    end = trimmed(lines, start, end)
    indent = lines[start - 1][: len(lines[start - 1]) - len(lines[start - 1].lstrip(" "))]
    action = "action_handoff" if INTENTS[wanted.parent].route == HANDOFF else "action_repondre"
    lines[end:end] = [
        "",
        f"{indent}- rule: {wanted.name}",
        f"{indent}  steps:",
        f"{indent}  - intent: {wanted.name}",
        f"{indent}  - action: {action}",
    ]
    after = "\n".join(lines)
    made = read_mapping(RULES, after).get("rules")
    if not isinstance(made, yaml_text.Sequence) or [first_intent(rule) for rule in made.items].count(wanted.name) != 1:
        raise _unwritten(RULES)
    return after


def first_intent(rule: Node) -> str | None:
    """The intent that a rule begins with."""
    steps = rule.get("steps") if isinstance(rule, Mapping) else None
    first = steps.items[0] if isinstance(steps, yaml_text.Sequence) and steps.items else None
    intent = first.get("intent") if isinstance(first, Mapping) else None
    return intent.value if isinstance(intent, Scalar) else None


# -- data/nlu.yml, the guide -----------------------------------------------------------------------------------------------


def _examples(project: Project, text: str, wanted: Wanted, examples: Sequence[str]) -> tuple[str, Applied]:
    file = read_file(NLU, text)
    blocks = {block.name: block for block in file.blocks if block.kind == "intent"}
    if wanted.name in blocks or wanted.parent not in blocks:
        raise TrainerError(
            f"data/nlu.yml a déjà un bloc «\u00a0{wanted.name}\u00a0», ou n’en a pas pour «\u00a0{wanted.parent}\u00a0».",
            "Corrigez-le à la main, puis recommencez.",
        )
    lines, parent = text.split("\n"), blocks[wanted.parent]
    head = lines[parent.line - 1 : parent.first - 1]
    end = parent.first - 1 + len(parent.items)
    lines[end:end] = [head[0].replace(wanted.parent, wanted.name, 1), *head[1:]]
    draft = Draft(read_file(NLU, "\n".join(lines)))
    holders = {example.text: example for example in file.examples}
    known = entity_names(project)
    done: list[Operation] = []
    undoing: list[Operation] = []
    for marked in examples:
        operation = check_operation(Operation("add", wanted.name, marked), known)
        standing = holders.get(operation.text)
        if standing is not None:
            operation = Operation("move", standing.intent, standing.marked, wanted.name)
        undoing.insert(0, draft.change(operation))
        done.append(operation)
    return draft.text(), Applied(tuple(done), tuple(undoing))


def _guide(text: str, wanted: Wanted, examples: Sequence[str]) -> str:
    """The guide with a part of the new intent after its parent's; as it is, when the parent has none."""
    found = re.search(rf"^#### {re.escape(wanted.parent)}\n.*?(?=^#{{2,4}} |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        return text
    definition = tidy(wanted.definition).replace("*", "").rstrip(".")
    borders = tidy(wanted.borders) or f"le reste\u00a0: `{wanted.parent}`."
    quoted = "".join(f"- « {example} »\n" for example in examples[:3])
    part = f"#### {wanted.name}\n**{definition}.**\n{quoted}\nFrontières : {borders}\n\n"
    before, after = text[: found.end()], text[found.end() :]
    return before.rstrip("\n") + "\n\n" + part + after


def named(item: Node) -> str:
    """`- intent` or `- intent: {options}`."""
    if isinstance(item, Scalar):
        return item.value
    return item.entries[0][0].value if isinstance(item, Mapping) and item.entries else ""


def read_mapping(name: str, text: str) -> Mapping:
    """A file's keys. Raises BadFile."""
    try:
        root = yaml_text.read(text)
    except Damaged as error:
        raise BadFile(name, error.what, error.remedy, error.line, error.column) from None
    if not isinstance(root, Mapping):
        raise BadFile(name, "le fichier n’a pas la forme attendue.", "Rétablissez-le depuis git.", 1, 1)
    return root


def _unwritten(name: str) -> TrainerError:
    return TrainerError(
        f"L’intention ne s’ajoute pas d’elle-même à {name}. Rien n’a été changé.", "Ajoutez-la à la main."
    )
