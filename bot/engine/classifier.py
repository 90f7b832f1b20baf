"""The intent classifier: a linear model over words, letters, sounds and word vectors, with honest probabilities.

Scores become probabilities by a slope and a shift for each intent, set on examples that the model had not seen
(cross-validation while training), so that a confidence of 0.6 is right about six times in ten.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from bot.engine.features import Features

GUESS = 0.2  # of the scores, when no word of a text is known: hardly more than a guess


def fit(rows: Any, labels: np.ndarray, strength: float) -> LinearSVC:
    """One linear separator an intent; rare intents count as much as frequent ones."""
    return LinearSVC(C=strength, class_weight="balanced", random_state=7).fit(rows, labels)


def held_out(texts: list[str], labels: np.ndarray, strength: float, weight: float, folds: int = 5) -> np.ndarray:
    """Scores of each example by a model that had not seen it."""
    names = sorted(set(labels))
    scores = np.zeros((len(texts), len(names)))
    smallest = min(int((labels == name).sum()) for name in names)
    for seen, unseen in StratifiedKFold(min(folds, smallest), shuffle=True, random_state=7).split(texts, labels):
        features = Features(weight).fit([texts[i] for i in seen])
        model = fit(features.rows([texts[i] for i in seen]), labels[seen], strength)
        scores[unseen] = model.decision_function(features.rows([texts[i] for i in unseen]))
    return scores


def calibrate(scores: np.ndarray, labels: np.ndarray, restraint: float = 0.01) -> tuple[np.ndarray, np.ndarray]:
    """Slope and shift of each intent's score that make the right intents likeliest (softmax of slope × score + shift)."""
    count, width = scores.shape
    right = np.searchsorted(sorted(set(labels)), labels)
    rows = np.arange(count)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slopes, shifts = np.exp(parameters[:width]), parameters[width:]
        apart = parameters[:width] - parameters[:width].mean()
        logs = log_softmax(scores * slopes + shifts, axis=1)
        excess = np.exp(logs)
        excess[rows, right] -= 1
        gradient = [
            (excess * scores * slopes).mean(axis=0) + restraint * apart,
            excess.mean(axis=0) + restraint * shifts,
        ]
        held = restraint / 2 * float((apart**2).sum() + (shifts**2).sum())
        return float(-logs[rows, right].mean()) + held, np.concatenate(gradient)

    start = np.concatenate([np.full(width, np.log(5.0)), np.zeros(width)])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    return np.exp(best[:width]), best[width:]


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class FrenchIntentClassifier(GraphComponent, IntentClassifier):
    """The component of the pipeline."""

    @classmethod
    def required_components(cls) -> list[type]:
        """None: it reads the text itself."""
        return []

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """`strength`: how closely the examples are followed; `vectors`: weight of word vectors."""
        return {"strength": 0.1, "vectors": 2.0}

    def __init__(self, config: dict[str, Any], storage: ModelStorage, resource: Resource) -> None:
        self._config = config
        self._storage = storage
        self._resource = resource
        self._names: list[str] = []

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> FrenchIntentClassifier:
        """An untrained component."""
        return cls(config, model_storage, resource)

    def train(self, training_data: TrainingData) -> Resource:
        """Learn from the examples, then save."""
        texts, labels = examples(training_data)
        strength, weight = float(self._config["strength"]), float(self._config["vectors"])
        slopes, shifts = calibrate(held_out(texts, labels, strength, weight), labels)
        features = Features(weight).fit(texts)
        model = fit(features.rows(texts), labels, strength)
        # The slope is folded into the weights: a message costs one product.
        names = [str(name) for name in model.classes_]
        self._set(features, names, model.coef_.T * slopes, model.intercept_ * slopes + shifts)
        with self._storage.write_to(self._resource) as folder:
            features.save(folder)
            (folder / "names.json").write_text(json.dumps(names), "utf-8")
            np.savez(folder / "weights.npz", weights=self._weights, bias=self._bias)
        return self._resource

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **kwargs: Any,
    ) -> FrenchIntentClassifier:
        """A trained component."""
        self = cls(config, model_storage, resource)
        with model_storage.read_from(resource) as folder:
            names = json.loads((folder / "names.json").read_text("utf-8"))
            arrays = np.load(folder / "weights.npz", allow_pickle=False)
            features = Features.read(folder)
            self._set(features, names, arrays["weights"], arrays["bias"])
        return self

    def _set(self, features: Features, names: list[str], weights: np.ndarray, bias: np.ndarray) -> None:
        self._features = features
        self._names = names
        self._weights = np.ascontiguousarray(weights, dtype=np.float32)
        self._bias = bias

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Nothing after this component learns from predicted intents."""
        return training_data

    def process(self, messages: list[Message]) -> list[Message]:
        """Set intent and whole ranking of each message."""
        for message in messages:
            ranking = [{"name": name, "confidence": p} for name, p in self.rank(message.get("text") or "")]
            message.set("intent", dict(ranking[0]), add_to_output=True)
            message.set("intent_ranking", ranking, add_to_output=True)
        return messages

    def rank(self, text: str) -> list[tuple[str, float]]:
        """All intents, the likeliest first."""
        columns, values = self._features.row(text)
        scores = values @ self._weights[columns] + self._bias
        if not self._features.knows(text):
            scores = scores * GUESS
        chances = softmax(scores)
        return [(self._names[i], float(chances[i])) for i in np.argsort(-chances)]


def examples(training_data: TrainingData) -> tuple[list[str], np.ndarray]:
    """Texts and intents of the training data."""
    pairs = [(e.get("text"), e.get("intent")) for e in training_data.intent_examples if e.get("text")]
    return [text for text, _ in pairs], np.array([intent for _, intent in pairs])
