"""Says what is wrong with the trainers' files before Rasa reads them: file, line, and what to do, in French."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from bot.core.errors import Explained
from bot.engine.inputs import sources
from bot.engine.surfaces import Key, key_of

FALLBACK = "nlu_fallback"


class BadInput(Explained):
    """A file that trainers edit is wrong."""


def check(root: Path) -> None:
    """Raises BadInput for the first thing wrong."""
    files = {path.relative_to(root).as_posix(): _read(path, root) for path in sources(root)}
    domain = files["domain.yml"]
    intents = {_name(item) for item in domain.get("intents") or []} | {FALLBACK}
    for where, content in files.items():
        for line, intent in _labelled(content):
            if intent.split("/")[0] not in intents:
                raise BadInput(
                    f"{where}, ligne {line} : l’intention « {intent} » n’existe pas dans domain.yml.",
                    "Corrigez son nom ou ajoutez-la à la liste « intents » de domain.yml.",
                )
    actions = {_name(item) for item in domain.get("actions") or []} | set(domain.get("responses") or {})
    _check_words(files)
    for where in ("data/rules.yml", "data/stories.yml"):
        _check_steps(where, files[where], intents, actions)


def _check_words(files: dict[str, Any]) -> None:
    """A word has one value and stands in one list: of two, one would win in silence."""
    told: dict[str, dict[Key, tuple[str, str]]] = {"synonym": {}, "lookup": {}}
    for where, content in files.items():
        for kind, name, line, word in _words(content):
            key, place = key_of(word), f"{where}, ligne {line}"
            other, first = told[kind].setdefault(key, (name, place))
            if key and other != name:
                raise BadInput(
                    f"{place} : « {word} » veut déjà dire « {other} » ({first}), il ne peut pas aussi vouloir dire « {name} »."
                    if kind == "synonym"
                    else f"{place} : « {word} » est déjà dans la liste « {other} » ({first}), il ne peut pas être dans « {name} ».",
                    "Gardez ce mot à un seul endroit. Accents, majuscules, lettres doublées et pluriels ne font pas un autre mot.",
                )


def _words(content: dict[str, Any]) -> Iterator[tuple[str, str, int, str]]:
    """(synonym or lookup, its name, line, word) of each word of the lists."""
    for block in content.get("nlu") or []:
        if not isinstance(block, CommentedMap) or not isinstance(block.get("examples"), str):
            continue
        kind = next((kind for kind in ("synonym", "lookup") if kind in block), None)
        if kind is None:
            continue
        first = block.lc.value("examples")[0] + 2  # the words begin below « examples: | »
        for number, line in enumerate(block["examples"].splitlines()):
            if line.strip().startswith("-"):
                yield kind, str(block[kind]), first + number, line.strip()[1:].strip()


def _check_steps(where: str, content: Any, intents: set[str], actions: set[str]) -> None:
    for line, step in _steps(content):
        intent, action = step.get("intent"), step.get("action")
        if isinstance(intent, str) and intent.split("/")[0] not in intents:
            raise BadInput(
                f"{where}, ligne {line} : l’intention « {intent} » n’existe pas dans domain.yml.",
                "Corrigez son nom ou ajoutez-la à la liste « intents » de domain.yml.",
            )
        if isinstance(action, str) and action not in actions and not _default_action(action):
            raise BadInput(
                f"{where}, ligne {line} : l’action ou la réponse « {action} » n’existe pas dans domain.yml.",
                "Corrigez son nom, ou ajoutez-la sous « responses » ou « actions » de domain.yml.",
            )


def _default_action(name: str) -> bool:
    from rasa.shared.core.constants import DEFAULT_ACTION_NAMES

    return name in DEFAULT_ACTION_NAMES


def _read(path: Path, root: Path) -> Any:
    where = path.relative_to(root).as_posix()
    try:
        content = YAML(typ="rt").load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise BadInput(f"Le fichier {where} manque.", "Rétablissez-le depuis git.") from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise BadInput(f"{where}, ligne {line} : ce n’est pas de l’UTF-8.", "Enregistrez-le en UTF-8.") from None
    except YAMLError as error:
        raise BadInput(
            f"{where}, {_place(error)} : ce n’est pas du YAML correct.",
            "Vérifiez les retraits, les tirets, les guillemets et les deux-points de cette ligne et de la précédente.",
        ) from None
    if not isinstance(content, CommentedMap):
        raise BadInput(f"{where}, ligne 1 : le fichier est vide ou n’a pas la forme attendue.", "Voir le guide.")
    return content


def _place(error: YAMLError) -> str:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    mark = mark or (error.context_mark if isinstance(error, MarkedYAMLError) else None)
    return f"ligne {mark.line + 1}, colonne {mark.column + 1}" if mark else "ligne inconnue"


def _name(item: Any) -> str:
    """`- intent` or `- intent: {options}`."""
    return str(next(iter(item)) if isinstance(item, dict) else item)


def _labelled(nlu: dict[str, Any]) -> Iterator[tuple[int, str]]:
    blocks = nlu.get("nlu")
    for index, block in enumerate(blocks if isinstance(blocks, CommentedSeq) else []):
        if isinstance(block, dict) and isinstance(block.get("intent"), str):
            yield blocks.lc.item(index)[0] + 1, block["intent"]


def _steps(content: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    for kind in ("rules", "stories"):
        for block in content.get(kind) or []:
            steps: list[Any] = block.get("steps") or [] if isinstance(block, dict) else []
            for index, step in enumerate(steps):
                if isinstance(step, dict):
                    yield steps.lc.item(index)[0] + 1, step  # type: ignore[attr-defined]
