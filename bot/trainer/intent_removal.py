"""A new intent taken back as a whole, as long as nothing of it was ever recorded: what `bot.trainer.intents.create` wrote, and what
was added to it since. Examples that came from another intent return there. All files are written, or none.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bot.core import catalogue, yaml_text
from bot.core.examples import Block
from bot.core.yaml_text import Mapping
from bot.policy.intents import INTENTS
from bot.store.workbench.corrections import Correction
from bot.trainer.corpus import DOMAIN, NLU, Draft, ExamplesFile, Operation, read_file, without_marks
from bot.trainer.errors import BadFile, Changed, TrainerError
from bot.trainer.guide import GUIDE
from bot.trainer.intents import RULES, extent, first_intent, named, read_mapping, trimmed
from bot.trainer.project import Project

# What may name an intent or its reply, beside the files that are changed.
OTHERS = ("data/stories.yml", "data/precisions.yml", "config.yml")


@dataclass(frozen=True)
class Origin:
    """Where an example was before: its intent, how it stood there, and after which one (None: unknown)."""

    intent: str
    marked: str
    after: str | None


@dataclass(frozen=True)
class Removed:
    """The texts of each file before and after. `kept`: git's id of what data/nlu.yml held."""

    before: dict[str, str]
    after: dict[str, str]
    kept: str


def removable(project: Project, name: str) -> str:
    """What tells this state of a new intent from a later one; "" of one that stays: recorded, of the table, or unknown. Blocks."""
    if name in INTENTS or any(_names(name).search(_recorded(project, file)) for file in (DOMAIN, RULES, NLU)):
        return ""
    try:
        return _seen(project.read(DOMAIN), read_file(NLU, project.read(NLU)), name)
    except TrainerError:
        return ""


def remove(project: Project, name: str, seen: str, origin: Callable[[str], Origin | None]) -> Removed:
    """Take a new intent out of all files. `seen`: `removable` as it was shown; `origin`: of an example as it stands. Blocks.

    Raises Changed when it is not as it was shown, BadFile, TrainerError when something else names it.
    """
    with project.lock():
        now = removable(project, name)
        if not now:
            raise Changed(
                f"«\u00a0{name}\u00a0» ne se retire pas d’ici\u00a0: elle a déjà été publiée, ou n’existe plus.",
                "Rechargez la page\u00a0; une intention publiée se retire à la main, avec sa règle et sa réponse.",
            )
        if now != seen:
            raise Changed(
                f"«\u00a0{name}\u00a0» a changé depuis que cette page est ouverte. Rien n’a été retiré.",
                "Relisez ses exemples et sa réponse, puis recommencez.",
            )
        before = {file: project.read(file) for file in (NLU, RULES, DOMAIN)}
        if project.path(GUIDE).is_file():
            before[GUIDE] = project.read(GUIDE)
        after = {
            NLU: _without_examples(before[NLU], name, origin, _committed(project)),
            RULES: _without_rule(before[RULES], name),
            DOMAIN: _without_entry(before[DOMAIN], name),
        }
        if GUIDE in before:
            after[GUIDE] = _section(name).sub("", before[GUIDE])
        _must_be_free(project, name, after)
        kept = project.git("hash-object", "-w", "--", NLU).strip()
        # The examples first: none of them is left without its intent.
        for file, text in after.items():
            project.write(file, text)
        return Removed(before, after, kept)


def origin_of(standing: Iterable[Correction], name: str, marked: str) -> Origin | None:
    """Where an example of an intent came from, by the standing corrections (newest first); None if it was written for it."""
    for one in standing:
        if one.kind == "remove" or (one.target, one.result) != (name, marked):
            continue
        if one.kind == "add":
            return None
        if one.intent != name:
            return Origin(one.intent, one.marked, one.before)
        marked = one.marked
    return None


# -- What is there ---------------------------------------------------------------------------------------------------------


def _names(name: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:utter_)?{re.escape(name)}\b")


def _section(name: str) -> re.Pattern[str]:
    return re.compile(rf"^#### {re.escape(name)}\n.*?(?=^#{{2,4}} |\Z)", re.MULTILINE | re.DOTALL)


def _recorded(project: Project, file: str) -> str:
    return project.git("show", f"HEAD:{file}", check=False)


def _committed(project: Project) -> ExamplesFile | None:
    try:
        return read_file(NLU, _recorded(project, NLU))
    except BadFile:
        return None


def _block(file: ExamplesFile, name: str) -> Block:
    for block in file.blocks:
        if (block.kind, block.name) == ("intent", name):
            return block
    raise Changed(f"«\u00a0{name}\u00a0» n’a plus d’exemples dans data/nlu.yml.", "Rechargez la page.")


def _seen(domain: str, file: ExamplesFile, name: str) -> str:
    told = "\n".join([*_reply(domain, name), *_block(file, name).items])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _reply(domain: str, name: str) -> list[str]:
    responses, lines = read_mapping(DOMAIN, domain).get("responses"), domain.split("\n")
    if not isinstance(responses, Mapping) or responses.key(f"utter_{name}") is None:
        return []
    start, end = extent(responses, f"utter_{name}", lines)
    return lines[start - 1 : end]


def _must_be_free(project: Project, name: str, after: dict[str, str]) -> None:
    texts = {file: project.read(file) for file in OTHERS if project.path(file).is_file()}
    texts |= {file: text for file, text in after.items() if file != GUIDE}
    for file in catalogue.names(project.root):
        if re.search(rf"\b{re.escape(name)}/", project.read(file)):
            raise TrainerError(
                f"{file} a encore une question de «\u00a0{name}\u00a0», ou en cite une. Rien n’a été retiré.",
                "Retirez d’abord ces questions du catalogue.",
            )
    for file, text in texts.items():
        for number, line in enumerate(text.split("\n"), 1):
            if _names(name).search(line.partition("#")[0]) and not (file == NLU and line.lstrip().startswith("- ")):
                raise TrainerError(
                    f"{file}, ligne {number}, emploie encore «\u00a0{name}\u00a0» ou sa réponse. Rien n’a été retiré.",
                    "Retirez d’abord cette ligne, ou l’histoire dont elle fait partie.",
                )


# -- Without it ------------------------------------------------------------------------------------------------------------


def _without_examples(
    text: str, name: str, origin: Callable[[str], Origin | None], committed: ExamplesFile | None
) -> str:
    block = _block(read_file(NLU, text), name)
    lines = text.split("\n")
    del lines[block.line - 1 : block.first - 1 + len(block.items)]
    draft = Draft(read_file(NLU, "\n".join(lines)))
    for marked in block.items:
        came = origin(marked) or _before(committed, marked)
        if came is not None:
            with contextlib.suppress(Changed):  # its intent has it again, or is gone itself
                draft.change(Operation("add", came.intent, came.marked, after=came.after))
    return draft.text()


def _before(committed: ExamplesFile | None, marked: str) -> Origin | None:
    """Where the last commit has the example: somebody moved it by hand."""
    for block in committed.blocks if committed is not None else ():
        if block.kind == "intent":
            for place, item in enumerate(block.items):
                if without_marks(item) == without_marks(marked):
                    return Origin(block.name, item, block.items[place - 1] if place else "")
    return None


def _without_rule(text: str, name: str) -> str:
    rules = read_mapping(RULES, text).get("rules")
    items = rules.items if isinstance(rules, yaml_text.Sequence) else ()
    lines = text.split("\n")
    for place, rule in reversed([*enumerate(items)]):
        if first_intent(rule) == name:
            end = items[place + 1].line - 1 if place + 1 < len(items) else len(lines)
            start, end = rule.line - 1, trimmed(lines, rule.line, end)
            start -= start > 0 and not lines[start - 1].strip()  # the blank line over it
            del lines[start:end]
    return "\n".join(lines)


def _without_entry(text: str, name: str) -> str:
    root, lines = read_mapping(DOMAIN, text), text.split("\n")
    intents, responses = root.get("intents"), root.get("responses")
    spans: list[tuple[int, int]] = []
    if isinstance(responses, Mapping) and responses.key(f"utter_{name}") is not None:
        start, end = extent(responses, f"utter_{name}", lines)
        spans.append((start - 1, end))
    for item in intents.items if isinstance(intents, yaml_text.Sequence) else ():
        if named(item) == name:
            spans.append((item.line - 1, item.line))
    for start, end in sorted(spans, reverse=True):
        del lines[start:end]
    return "\n".join(lines)
