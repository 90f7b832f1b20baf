"""The replies that leave without the engine (emergency, night, hand-off), read from domain.yml by name."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from bot.core.dialogue import QuickReply
from bot.core.errors import SetupError
from bot.core.stamps import Stamp, stamp
from bot.core.yaml_text import values
from bot.policy.language import SPOKEN
from bot.policy.precisions import Precisions

REQUIRED = (
    "utter_affluence",
    "utter_anglais_bonjour",
    "utter_anglais_merci",
    "utter_assistant",
    "utter_assistant_revient",
    "utter_agent_arrive",
    "utter_attente_heure",
    "utter_attente_minutes",
    "utter_autre_langue",
    "utter_boucle",
    "utter_detresse",
    "utter_detresse_anglais",
    "utter_filet",
    *(f"utter_langue_{code}" for code in SPOKEN),
    "utter_langue_suite",
    "utter_media_autre",
    "utter_media_coeur",
    "utter_media_ephemere",
    "utter_media_fichier",
    "utter_media_image",
    "utter_media_images",
    "utter_media_lieu",
    "utter_media_partage",
    "utter_media_sticker",
    "utter_media_story",
    "utter_media_video",
    "utter_media_vocal",
    "utter_nuit",
    "utter_nuit_cyber",
    "utter_nuit_disparition",
    "utter_nuit_grave",
    "utter_nuit_sexuelles",
    "utter_nuit_transmis",
    "utter_nuit_violences",
    "utter_panne",
    "utter_panne_attente",
    "utter_satisfaction",
    "utter_satisfaction_merci",
    "utter_urgence",
    "utter_urgence_anglais",
    "utter_urgence_nuit",
    "utter_urgence_rappel",
    "utter_urgence_retard",
)


def read_yaml(path: Path) -> Any:
    """A YAML file as plain Python values. Raises SetupError with line and column, in French."""
    try:
        return values(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{path} ne se lit pas.", str(error)) from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", ligne {mark.line + 1}, colonne {mark.column + 1}" if mark else ""
        raise SetupError(f"{path}{where} : ce n’est pas du YAML correct.", "Corrigez le fichier.") from None


def load_precisions(path: Path) -> Precisions:
    """The narrower replies by words. Raises SetupError naming the entry that is wrong."""
    return _precisions(path, stamp(path))


@functools.lru_cache(maxsize=4)
def _precisions(path: Path, _: Stamp) -> Precisions:
    try:
        return Precisions.from_mapping(read_yaml(path))
    except ValueError as error:
        raise SetupError(f"{path} : {error}.", "Corrigez cette entrée.") from None


def load_buttons(path: Path) -> dict[str, tuple[QuickReply, ...]]:
    """Every reply's quick replies, by name; replies without any are left out."""
    return {
        name: tuple(QuickReply(str(b["title"]), str(b["payload"])) for b in variant["buttons"])
        for name, variant in _first(path, stamp(path)).items()
        if variant.get("buttons")
    }


def load(path: Path) -> dict[str, str]:
    """Every reply's first text, by name. Raises SetupError when a reply that the service needs is missing."""
    first = _first(path, stamp(path))
    texts = {name: str(variant["text"]).strip() for name, variant in first.items() if "text" in variant}
    missing = [name for name in REQUIRED if name not in texts]
    if missing:
        raise SetupError(f"{path} : il manque les réponses {', '.join(missing)}.", "Remettez-les dans responses.")
    return texts


@functools.lru_cache(maxsize=4)
def _first(path: Path, _: Stamp) -> Mapping[str, Mapping[str, Any]]:
    """The first variant of every reply, by name. Kept: a domain takes a quarter of a second to read."""
    domain = read_yaml(path)
    responses = domain.get("responses", {}) if isinstance(domain, dict) else {}
    return {
        name: variants[0]
        for name, variants in responses.items()
        if isinstance(variants, list) and variants and isinstance(variants[0], dict)
    }
