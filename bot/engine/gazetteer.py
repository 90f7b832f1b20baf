"""Finds trades, diplomas, papers, countries, offences and towns by the lookups, synonyms and annotated examples of data/nlu.yml.

Accents, capitals, doubled letters and a plural's last letter do not matter. The value is the synonym's target, else the
lookup's own spelling. A town that no lookup knows is taken from « à Trifouilly », the way people write it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Optional

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot.engine.surfaces import WORD, Key, fold, key_of

_FILE = "gazetteer.json"

Entry = tuple[str, str]  # entity, value


def tabulate(data: TrainingData) -> dict[Key, Entry]:
    """Every known surface. Lookups and examples say which entity, synonyms which value."""
    synonyms = {key_of(alias): value for alias, value in data.entity_synonyms.items()}
    table: dict[Key, Entry] = {}
    kinds: dict[str, str] = {}  # value → entity
    for entity, surface, value in _surfaces(data):
        key = key_of(surface)
        if key and key not in table:
            value = value or synonyms.get(key, surface)
            table[key] = (entity, value)
            kinds.setdefault(value, entity)
    for alias, value in synonyms.items():
        entity = kinds.get(value) or table.get(key_of(value), ("", ""))[0]
        if entity and alias:
            table.setdefault(alias, (entity, value))
    return table


def _surfaces(data: TrainingData) -> Iterator[tuple[str, str, Optional[str]]]:
    for lookup in data.lookup_tables:
        elements = lookup["elements"]
        for element in elements if isinstance(elements, list) else []:
            yield lookup["name"], str(element).strip(), None
    for example in data.entity_examples:
        text = example.get("text") or ""
        for entity in example.get("entities") or []:
            yield entity["entity"], text[entity["start"] : entity["end"]], str(entity["value"])


# « à Lyon », « de Saint-Denis », « sur Le Havre »: a preposition, then words with a capital.
_TOWN = re.compile(
    r"(?<![^\W_])(?i:à|a|de|d['’]|sur|vers|près de|ville de|commissariat de|mairie de)\s*"
    r"((?:(?:Le|La|Les|L['’])\s?)?[A-ZÉÈÂÎÔ][a-zà-ÿ]{2,}(?:[-\s](?:(?:de|du|des|la|le|les|en|sur|sous|lès|l['’]|d['’])[-\s]?)*"
    r"[A-ZÉÈÂÎÔ][\wà-ÿ]+){0,4})"
)
# Capitalised words that follow « à » or « de » and are no towns.
_NO_TOWN_WORDS = """
police gendarmerie france état nationale national bonjour bonsoir monsieur madame messenger instagram facebook whatsapp
snapchat leboncoin vinted paypal ameli noël pâques janvier février mars avril mai juin juillet août septembre octobre
novembre décembre lundi mardi mercredi jeudi vendredi samedi dimanche europe espagne italie belgique suisse allemagne
algérie maroc tunisie internet google tiktok telegram discord poste
"""
_NO_TOWN = frozenset(key_of(word) for word in _NO_TOWN_WORDS.split())
# « le commissariat de trifouilly », « l'hôtel de police de la ferté »: behind these a town needs no capital.
_PLAIN_TOWN = re.compile(
    r"(?<![^\W_])(?i:commissariat|commisariat|comissariat|h[oô]tel de police|poste de police)(?i:\s+(?:de police|central))?"
    r"\s+(?i:de|d['’]|à|a|sur)\s*((?i:(?:la|le|les|saint|sainte|st|ste)[ -])?[^\W\d_]{3,}(?:-[^\W\d_]+){0,4})"
)
_NO_PLAIN_TOWN_WORDS = """
mon ma mes ton votre vos notre nos leur son sa ses cette cet ces chez chaque quel quelle quartier secteur ville village jour nuit
garde proximité permanence proche plus côté rue gare maison place avenue commune région département france police gendarmerie
référence rattachement façon manière nouveau suite cause quoi qui quand partir moi nous vous faire porter déposer pour quelle aller
domicile
zone mairie semaine soir matin midi tout tous lui elle eux celui celle hier aujourd demain paname
"""
_NO_PLAIN_TOWN = _NO_TOWN | frozenset(key_of(word) for word in _NO_PLAIN_TOWN_WORDS.split())


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR, is_trainable=True)
class Gazetteer(GraphComponent, EntityExtractorMixin):
    """The component of the pipeline."""

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """`town`: the entity that a capitalised word after a preposition gives ("" for none)."""
        return {"town": "ville"}

    def __init__(self, config: dict[str, Any], storage: ModelStorage, resource: Resource) -> None:
        self._config = config
        self._storage = storage
        self._resource = resource
        self._table: dict[Key, Entry] = {}
        self._longest = 0

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> Gazetteer:
        """An untrained component."""
        return cls(config, model_storage, resource)

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> Gazetteer:
        """A trained component."""
        self = cls(config, model_storage, resource)
        with model_storage.read_from(resource) as folder:
            rows = json.loads((folder / _FILE).read_text("utf-8"))
        self._set({tuple(key): (entity, value) for key, entity, value in rows})
        return self

    def train(self, training_data: TrainingData) -> Resource:
        """Read lookups, synonyms and annotated examples."""
        self._set(tabulate(training_data))
        rows = [[list(key), entity, value] for key, (entity, value) in self._table.items()]
        with self._storage.write_to(self._resource) as folder:
            (folder / _FILE).write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
        return self._resource

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Nothing after this component learns from entities."""
        return training_data

    def process(self, messages: list[Message]) -> list[Message]:
        """Add the entities found to each message."""
        for message in messages:
            found = list(self.find(message.get("text") or ""))
            message.set("entities", [*(message.get("entities") or []), *found], add_to_output=True)
        return messages

    def find(self, text: str) -> Iterator[dict[str, Any]]:
        """Entities from left to right, longest first, none overlapping."""
        words = list(WORD.finditer(text))
        keys = [fold(word.group()[:60]) for word in words]
        taken: list[tuple[int, int]] = []
        index = 0
        while index < len(words):
            for length in range(min(self._longest, len(words) - index), 0, -1):
                entry = self._table.get(tuple(keys[index : index + length]))
                if entry:
                    start, end = words[index].start(), words[index + length - 1].end()
                    taken.append((start, end))
                    yield self._entity(entry[0], entry[1], start, end)
                    index += length
                    break
            else:
                index += 1
        if self._config.get("town"):
            yield from self._towns(text, taken)

    def _towns(self, text: str, taken: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
        for pattern, excluded in ((_TOWN, _NO_TOWN), (_PLAIN_TOWN, _NO_PLAIN_TOWN)):
            for match in pattern.finditer(text):
                start, end = match.span(1)
                free = all(end <= a or start >= b for a, b in taken)
                if free and not any((fold(w),) in excluded for w in WORD.findall(match.group(1))):
                    taken.append((start, end))
                    # A guess: no list says that there is such a town, nor in which country.
                    yield {**self._entity(self._config["town"], match.group(1), start, end), "confidence_entity": 0.5}

    def _entity(self, entity: str, value: str, start: int, end: int) -> dict[str, Any]:
        return {"entity": entity, "value": value, "start": start, "end": end, "extractor": type(self).__name__}

    def _set(self, table: dict[Key, Entry]) -> None:
        self._table = table
        self._longest = max(map(len, table), default=0)
