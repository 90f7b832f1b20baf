"""Decides when a guess is too weak to act on: then the intent becomes `nlu_fallback`, and the person is asked again.

Not all mistakes cost the same. A plain answer must be likely, clearly ahead, and leave little chance that the message is
about violence, a disappearance or danger. A human who reads one message too many costs little: for grave subjects less
certainty is enough.
"""

from __future__ import annotations

from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.nlu.training_data.message import Message

from bot.policy.intents import ANSWER, FALLBACK, is_grave, policy_of


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=False)
class CautiousFallback(GraphComponent, IntentClassifier):
    """The component of the pipeline, after the classifier."""

    @classmethod
    def required_components(cls) -> list[type]:
        """An intent classifier that ranks all intents."""
        return [IntentClassifier]

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """`threshold` and `margin` for an answer to be given, `human_threshold` for an agent to read, `grave_threshold` for an
        agent to read what is grave, and `doubt`: the chance of grave intents from which no plain answer is given."""
        return {"threshold": 0.3, "margin": 0.05, "human_threshold": 0.2, "grave_threshold": 0.2, "doubt": 0.2}

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> CautiousFallback:
        """The component; it learns nothing."""
        return cls(config)

    def process(self, messages: list[Message]) -> list[Message]:
        """Replace the intent where it is too weak; the ranking keeps the named intents below the fallback."""
        for message in messages:
            ranking = message.get("intent_ranking") or []
            if not self.acts(ranking):
                weak = {"name": FALLBACK, "confidence": float(self._config["threshold"])}
                message.set("intent", weak, add_to_output=True)
                message.set("intent_ranking", [weak, *ranking], add_to_output=True)
        return messages

    def acts(self, ranking: list[dict[str, Any]]) -> bool:
        """Whether the first intent of a ranking is certain enough."""
        if not ranking:
            return False
        best, chance = ranking[0]["name"], ranking[0]["confidence"]
        if is_grave(best):
            return bool(chance >= self._config["grave_threshold"])
        if policy_of(best).route != ANSWER:
            return bool(chance >= self._config["human_threshold"])
        second = ranking[1]["confidence"] if len(ranking) > 1 else 0.0
        if chance < self._config["threshold"] or chance - second < self._config["margin"]:
            return False
        return bool(sum(row["confidence"] for row in ranking if is_grave(row["name"])) < self._config["doubt"])
