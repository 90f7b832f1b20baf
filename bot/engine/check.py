"""Says what is wrong with the trainers' files before Rasa reads them: file, line, and what to do, in French."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from bot.core import catalogue, yaml_text
from bot.core.errors import Explained, SetupError
from bot.core.examples import NAME, QUESTION, Block, blocks_of
from bot.core.shapes import must_have_shape
from bot.engine.inputs import ANSWERS, sources
from bot.engine.surfaces import Key, key_of
from bot.policy.intents import FALLBACK

BIGGEST = 20_000_000  # bytes, as the workbench reads (bot.trainer.project)
STEPS = ("data/rules.yml", "data/stories.yml")
PLACED = "rt"  # a way of reading that says where each item stands, and takes longer


class BadInput(Explained):
    """A file that trainers edit is wrong."""


def check(root: Path) -> None:
    """Raises BadInput for the first thing wrong."""
    texts = {path.relative_to(root).as_posix(): path for path in sources(root)}
    steps = {name: _read(texts.pop(name), name, PLACED) for name in STEPS}
    domain = _read(texts.pop("domain.yml"), "domain.yml")
    _read(texts.pop("config.yml"), "config.yml")
    examples = {name: _examples(path, name) for name, path in texts.items()}
    intents = {_name(item) for item in domain.get("intents") or []} | {FALLBACK}
    for where, blocks in examples.items():
        for block in blocks:
            if block.kind == "intent" and block.name.split("/")[0] not in intents:
                raise BadInput(
                    f"{where}, ligne {block.line} : l’intention « {block.name} » n’existe pas dans domain.yml.",
                    "Corrigez son nom ou ajoutez-la à la liste « intents » de domain.yml.",
                )
    _check_answers(root)
    actions = {_name(item) for item in domain.get("actions") or []} | set(domain.get("responses") or {})
    _check_words(examples)
    for where, content in steps.items():
        _check_steps(where, content, intents, actions)


def _check_answers(root: Path) -> None:
    """A question of the catalogue has an answer, and an answer a question: what is asked and not answered would say nothing."""
    try:
        catalogue.read(root)
    except SetupError as error:
        raise BadInput(error.what, error.remedy) from None


def _check_words(files: dict[str, tuple[Block, ...]]) -> None:
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


def _words(blocks: tuple[Block, ...]) -> Iterator[tuple[str, str, int, str]]:
    """(synonym or lookup, its name, line, word) of each word of the lists."""
    for block in blocks:
        if block.kind in ("synonym", "lookup"):
            for line, word in enumerate(block.items, block.first):
                yield block.kind, block.name, line, word


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


def _read(path: Path, where: str, how: str = "safe") -> Any:
    text, _ = _checked(path, where)
    try:
        content = YAML(typ=how).load(text)
    except YAMLError:
        raise BadInput(f"{where} : ce n’est pas du YAML correct.", "Rétablissez-le depuis git.") from None
    if not isinstance(content, dict):
        raise BadInput(f"{where}, ligne 1 : le fichier est vide ou n’a pas la forme attendue.", "Voir le guide.")
    return content


def _examples(path: Path, where: str) -> tuple[Block, ...]:
    text, root = _checked(path, where)
    try:
        return blocks_of(root, text, names=QUESTION if where.startswith(f"data/{ANSWERS}/") else NAME)
    except yaml_text.Damaged as error:
        raise _told(where, error) from None


def _checked(path: Path, where: str) -> tuple[str, yaml_text.Node]:
    """A file's text and nodes, as the workbench reads them: what it refuses never reaches Rasa's reader."""
    try:
        if path.stat().st_size > BIGGEST:
            raise BadInput(f"{where} : le fichier dépasse 20 Mo.", "Rétablissez-le depuis git.")
        text = yaml_text.decode(path.read_bytes())
        root = yaml_text.read(text)
        must_have_shape(root)
        return text, root
    except FileNotFoundError:
        raise BadInput(f"Le fichier {where} manque.", "Rétablissez-le depuis git.") from None
    except yaml_text.Damaged as error:
        raise _told(where, error) from None


def _told(where: str, error: yaml_text.Damaged) -> BadInput:
    return BadInput(f"{where}, ligne {error.line}, colonne {error.column} : {error.what}", error.remedy)


def _name(item: Any) -> str:
    """`- intent` or `- intent: {options}`."""
    return str(next(iter(item)) if isinstance(item, dict) else item)


def _steps(content: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    for kind in ("rules", "stories"):
        for block in content.get(kind) or []:
            steps: list[Any] = block.get("steps") or [] if isinstance(block, dict) else []
            for index, step in enumerate(steps):
                if isinstance(step, dict):
                    yield steps.lc.item(index)[0] + 1, step  # type: ignore[attr-defined]
