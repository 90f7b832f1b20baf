"""What sends each reply: an intent's rule, an action, other words of `data/precisions.yml`, or another part of the service.

Actions are read in their source: their SDK is not installed where pages and checks run.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bot.core.yaml_text import values as values_of
from bot.policy.intents import INTENTS
from bot.trainer.errors import BadFile
from bot.trainer.project import Project
from bot.trainer.reply_facts import SYSTEM

ACTIONS = Path(__file__).resolve().parents[2] / "actions"
RULES, PRECISIONS = "data/rules.yml", "data/precisions.yml"
# The values that actions know, by entity: (module, constant).
_VALUES = {
    "corps": ("recrutement", "CORPS"),
    "diplome": ("recrutement", "DIPLOMES"),
    "document": ("documents", "DOCUMENTS"),
    "circonstance": ("documents", "CIRCUMSTANCES"),
    "pays": ("documents", "COUNTRIES"),
    "infraction": ("plainte", "OFFENCES"),
    "theme": ("accueil", "THEMES"),
}
_DOCUMENTS = (
    "retrouve", "carte_bancaire", "vole", "circonstance", "perdu", "etranger", "pays", "france", "vole_etranger",
    "retrouve_etranger",
)  # fmt: skip


class Use(NamedTuple):
    """Something that sends a reply. `kind`: intent, action, precision, system; `what`: its name (of a precision: the reply that
    it replaces); `by`: the action that the intent's rule runs, "" where there is none."""

    kind: str
    what: str
    by: str = ""


@functools.cache
def constant(module: str, name: str) -> tuple[str, ...]:
    """The strings of a constant of `actions/<module>.py`. Raises ValueError when there is none."""
    match = re.search(rf"^{name} = \((.*?)\)$", _source(module), re.MULTILINE | re.DOTALL)
    if not match:
        raise ValueError(f"no {name} in actions/{module}.py")
    return tuple(re.findall(r'"(\w+)"', match[1]))


@functools.cache
def values(entity: str) -> frozenset[str]:
    """The values of an entity that the actions answer for."""
    known = frozenset({"autre"}) if entity == "corps" else frozenset()
    return known | frozenset(constant(*_VALUES[entity])) if entity in _VALUES else known


def uses(project: Project) -> Mapping[str, tuple[Use, ...]]:
    """Every reply that something sends, and what does. Blocks. Raises BadFile."""
    rules = rules_of(_rows(project, RULES, "rules"))
    found: dict[str, list[Use]] = {}
    for intent in INTENTS:
        found.setdefault(f"utter_{intent}", []).append(Use("intent", intent, rules.get(intent, "")))
    for name, module in _by_actions():
        if not any(use.kind == "action" and use.what == module for use in found.setdefault(name, [])):
            found[name].append(Use("action", module))
    for row in _rows(project, PRECISIONS, "precisions"):
        for general in row.get("au_lieu_de", []):
            found.setdefault(str(row.get("reponse")), []).append(Use("precision", str(general)))
    for name in SYSTEM:
        found.setdefault(name, []).append(Use("system", ""))
    return {name: tuple(ways) for name, ways in found.items()}


def rules_of(rows: list[Any]) -> dict[str, str]:
    """The action of each intent's rule; a rule of another shape is left to the checks."""
    found = {}
    for row in rows:
        steps = row.get("steps") if isinstance(row, dict) else None
        named = {key: value for step in steps or [] if isinstance(step, dict) for key, value in step.items()}
        if "intent" in named and "action" in named:
            found[str(named["intent"])] = str(named["action"])
    return found


def _by_actions() -> Iterator[tuple[str, str]]:
    """(reply, module) of each reply that an action names or builds."""
    for path in sorted(ACTIONS.glob("*.py")):
        for name in re.findall(r'"(utter_\w+[a-z])"', _source(path.stem)):
            yield name, path.stem
    for theme in constant("accueil", "THEMES"):
        yield f"utter_theme_{theme}", "accueil"
    for diploma in constant("recrutement", "DIPLOMES"):
        yield f"utter_diplome_{diploma}", "recrutement"
    for corps in constant("recrutement", "CORPS"):
        yield f"utter_age_{corps}", "recrutement"
        for topic in constant("recrutement", "ASKS_CORPS"):
            yield f"utter_{topic}_{corps}", "recrutement"
    for topic, some in re.findall(r'^    "(recrutement_\w+)": \((.*?)\),$', _source("recrutement"), re.MULTILINE):
        for corps in re.findall(r'"(\w+)"', some):
            yield f"utter_{topic}_{corps}", "recrutement"
    for value in (*_DOCUMENTS, *(f"perdu_{one}" for one in constant("documents", "LOST"))):
        yield f"utter_perte_vol_documents_{value}", "documents"
    yield "utter_commissariat_contact_horaires_ville", "commissariat"
    for name in ("probable", "proches", "proches_fin", "proches_autre", "aussi"):
        yield f"utter_question_{name}", "catalogue"  # said by the engine's channel, which knows the questions


@functools.cache
def _source(module: str) -> str:
    return (ACTIONS / f"{module}.py").read_text(encoding="utf-8")


def _rows(project: Project, name: str, key: str) -> list[Any]:
    found = _loaded(name, project.read(name))
    rows = found.get(key) if isinstance(found, dict) else None
    if not isinstance(rows, list):
        raise BadFile(name, f"il manque la liste « {key} ».", "Rétablissez le fichier depuis git.", 1)
    return rows


@functools.lru_cache(maxsize=4)
def _loaded(name: str, text: str) -> Any:
    try:
        return values_of(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise BadFile(name, "ce n’est pas du YAML correct.", "Corrigez cette ligne.", line, column) from None
    except (YAMLError, RecursionError):
        raise BadFile(name, "ce n’est pas du YAML correct.", "Rétablissez le fichier depuis git.") from None
