"""What each key of domain.yml, config.yml, the rules and the stories holds: told before anything takes one for another."""

from __future__ import annotations

from bot.core.examples import NAME, bad_name
from bot.core.yaml_text import Damaged, Mapping, Node, Scalar, Sequence

_LISTS = ("intents", "entities", "actions", "pipeline", "policies", "rules", "stories", "nlu")
_KEYS = ("slots", "forms", "responses", "session_config")
_NOTHING = ("", "null", "~")


def must_have_shape(root: Node) -> None:
    """Raises Damaged for a key that holds something else than its kind, an intent's name that is none, a story without steps."""
    if not isinstance(root, Mapping):
        return  # each reader says what it wants
    for key, value in root.entries:
        empty = isinstance(value, Scalar) and value.value in _NOTHING
        if key.value in _LISTS and not empty and not isinstance(value, Sequence):
            raise _otherwise(value, key, "une liste, un tiret par élément")
        if key.value in _KEYS and not empty and not isinstance(value, Mapping):
            raise _otherwise(value, key, "une ligne « nom : » par élément")
        if isinstance(value, Sequence) and key.value == "intents":
            _must_be_names(value)
        if isinstance(value, Sequence) and key.value in ("rules", "stories"):
            _must_have_steps(value)


def _otherwise(node: Node, key: Scalar, wanted: str) -> Damaged:
    return Damaged(
        node.line,
        node.column,
        f"« {key.value} » n’a pas la forme attendue.",
        f"Il y faut {wanted}, sous le mot lui-même.",
    )


def _must_be_names(intents: Sequence) -> None:
    for item in intents.items:
        name = item.entries[0][0] if isinstance(item, Mapping) and item.entries else item
        if not isinstance(name, Scalar) or not name.value.strip():
            raise Damaged(item.line, item.column, "cette intention n’a pas de nom.", "Retirez ce tiret, ou nommez-la.")
        if not NAME.fullmatch(name.value):
            raise Damaged(name.line, name.column, *bad_name(name.value))


def _must_have_steps(blocks: Sequence) -> None:
    for block in blocks.items:
        steps = block.get("steps") if isinstance(block, Mapping) else None
        if not isinstance(steps, Sequence):
            place = block if steps is None else steps
            raise Damaged(
                place.line,
                place.column,
                "cette règle ou histoire n’a pas d’étapes.",
                "Écrivez « steps: », puis un tiret par étape.",
            )
        for step in steps.items:
            if not isinstance(step, Mapping):
                raise Damaged(
                    step.line,
                    step.column,
                    "cette étape n’a pas de nature.",
                    "Écrivez « - intent: … » ou « - action: … ».",
                )
            named = step.get("intent") or step.get("action")
            if named is not None and not isinstance(named, Scalar):
                raise Damaged(
                    named.line, named.column, "un seul nom est attendu ici.", "Retirez crochets et accolades."
                )
