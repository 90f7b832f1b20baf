"""The intent classifier: a linear model over words, letters, sounds and word vectors, and a sentence encoder beside it.

Both scores are blended into probabilities by weights set on examples that neither had seen (cross-validation of the linear
model; data/nlu.yml for the encoder), so that a confidence of 0.6 is right about six times in ten.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Optional

import numpy as np
from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import log_softmax, softmax
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from bot.core.labelled import read_answers
from bot.engine import believed, questions, script_learning
from bot.engine.encoder import adaptation, kept
from bot.engine.encoder.kept import Kept
from bot.engine.encoder.sentences import Encoder
from bot.engine.features import Features
from bot.engine.questions import Questions, Ranked
from bot.engine.repair import Repair
from bot.engine.script_head import ScriptHead
from bot.policy.intents import STATEMENT, is_danger, is_grave

ENCODER = "encoder.onnx"
CROSS_VALIDATION = "folds.json"  # each judged example with what was made of it unseen; `planton compare` reads it
GUESS = 0.2  # of the scores, when no word of a text is known: hardly more than a guess


FOLDS = 3
AT_ONCE = os.cpu_count() or 1  # separators learnt side by side; each needs memory of its own
KEPT: Optional[Path] = None  # the file of meanings that an earlier training had made; none is read or written without
OF_QUESTIONS = 5  # of so many examples of questions one is read as ordinary talk
AT_A_TIME = 2000  # texts that the encoder reads in one go, beside others
NEAR = 0.05  # where the separator may stop moving: nothing measurable is lost, a fifth of the time is gained


def fit(rows: Any, labels: np.ndarray, strength: float) -> LinearSVC:
    """One linear separator an intent; rare intents count as much as frequent ones."""
    return LinearSVC(C=strength, class_weight="balanced", random_state=7, tol=NEAR).fit(rows, labels)


def learn(
    features: Features, rows: csr_matrix, labels: np.ndarray, judged: np.ndarray, strength: float
) -> tuple[LinearSVC, np.ndarray]:
    """The model of all examples, whose `rows` are those of `features`, and (judged, intents) scores of the examples numbered
    `judged`, each by a model that had not seen it."""
    scores = np.zeros((len(judged), len(set(labels))))
    everyone = np.arange(rows.shape[0])

    def fold(unseen: np.ndarray) -> None:
        seen = np.setdiff1d(everyone, judged[unseen])
        known = features.forgetting(rows, seen)
        scores[unseen] = fit(known[seen], labels[seen], strength).decision_function(known[judged[unseen]])

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=7).split(judged, labels[judged])
    with ThreadPoolExecutor(AT_ONCE) as pool:  # liblinear works without Python's lock
        whole = pool.submit(fit, rows, labels, strength)
        list(pool.map(fold, [unseen for _, unseen in folds]))
        return whole.result(), scores


@dataclass(frozen=True)
class Inside:
    """What was added up for a text. `items`: (view, item) of each column, None for the meaning's; `values`: (columns,);
    `weights`: (columns, intents); `encoder`, `base`: (intents,), what the encoder adds and what each intent begins with."""

    text: str
    names: list[str]
    chances: np.ndarray
    items: list[Any]
    values: np.ndarray
    weights: np.ndarray
    encoder: np.ndarray
    base: np.ndarray


@dataclass(frozen=True)
class Look:
    """What was made of a text: all intents, the nearest questions of the catalogue, and whose words it calls for if it is an
    emergency (`bot.policy.scripts`), with their chances, the likeliest first; `called`: the chance that it is one of any kind."""

    intents: tuple[tuple[str, float], ...]
    questions: tuple[tuple[str, float], ...] = ()
    scripts: tuple[tuple[str, float], ...] = ()
    called: float = 0.0


@dataclass(frozen=True)
class Blend:
    """How scores become logits: `slopes` × linear score + `trust` × encoder's score + `shifts`, for each intent."""

    slopes: np.ndarray
    shifts: np.ndarray
    trust: float


def calibrate(scores: np.ndarray, meant: np.ndarray, labels: np.ndarray, restraint: float = 0.01) -> Blend:
    """The blend that makes the right intents likeliest. `scores`, `meant`: (examples, intents), the latter zero without
    encoder; `labels`: numbers of intents."""
    count, width = scores.shape
    rows = np.arange(count)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slopes, shifts, trust = np.exp(parameters[:width]), parameters[width:-1], parameters[-1]
        apart = parameters[:width] - parameters[:width].mean()
        logs = log_softmax(scores * slopes + trust * meant + shifts, axis=1)
        excess = np.exp(logs)
        excess[rows, labels] -= 1
        gradient = [
            (excess * scores * slopes).mean(axis=0) + restraint * apart,
            excess.mean(axis=0) + restraint * shifts,
            [float((excess * meant).sum() / count)],
        ]
        held = restraint / 2 * float((apart**2).sum() + (shifts**2).sum())
        return float(-logs[rows, labels].mean()) + held, np.concatenate(gradient)

    start = np.concatenate([np.full(width, np.log(3.0)), np.zeros(width), [0.5]])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    return Blend(np.exp(best[:width]), best[width:-1], float(best[-1]))


def unseen(chances: np.ndarray, names: list[str], judged: list[tuple[str, str]]) -> list[list[Any]]:
    """(text, intent, best guess, confidence) of each judged example, by a model that had not learnt it.

    The guess is honest; the confidence flatters a little, since the blend was set on these very scores.
    """
    best = chances.argmax(axis=1)
    return [
        [text, intent, names[guess], round(float(row[guess]), 4)]
        for (text, intent), guess, row in zip(judged, best, chances, strict=True)
    ]


@DefaultV1Recipe.register(DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, is_trainable=True)
class FrenchIntentClassifier(GraphComponent, IntentClassifier):
    """The component of the pipeline."""

    @classmethod
    def required_components(cls) -> list[type]:
        """None: it reads the text itself."""
        return []

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """`strength`: how closely the examples are followed; `vectors`: weight of word vectors; `encoder`: whether the
        sentence encoder has a say; `calibration`: a file of messages with the questions that answer them, from the project's
        folder, by which the catalogue's questions are believed; `scripts`: one of messages with whose words they call for."""
        return {"strength": 0.2, "vectors": 2.0, "encoder": True, "calibration": None, "scripts": None}

    def __init__(self, config: dict[str, Any], storage: ModelStorage, resource: Resource) -> None:
        self._config = config
        self._storage = storage
        self._resource = resource
        self._names: list[str] = []
        self._scales = np.array([believed.AS_IT_IS, believed.AS_IT_IS])
        self._questions: Optional[Questions] = None
        self._scripts: Optional[ScriptHead] = None

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
        """Learn from the examples, then save. Raises SetupError if the encoder's weights are missing."""
        taught, catalogue = examples(training_data)
        texts, labels = [text for text, _ in taught], np.array([intent for _, intent in taught])
        strength, weight = float(self._config["strength"]), float(self._config["vectors"])
        names = sorted(set(labels))
        with self._storage.write_to(self._resource) as folder:
            encoder = Encoder.make(folder / ENCODER) if self._config["encoder"] else None
            judged = np.array([i for i, text in enumerate(texts) if encoder is None or not encoder.learnt(text)])
            with ThreadPoolExecutor(AT_ONCE) as pool:  # onnxruntime works without Python's lock
                kinds = self._script_lines() if encoder else []
                spoken = statements(texts, labels, judged) if kinds else []
                reading = [texts[i] for i in judged] + [text for text, _ in (*catalogue, *kinds)] + spoken
                known = _Known(encoder, folder / ENCODER, reading)
                new = known.missing
                parts = [new[start : start + AT_A_TIME] for start in range(0, len(new), AT_A_TIME)]
                read = pool.map(partial(_meanings, encoder), parts)
                # The catalogue's words are known, and teach no intent: they would say how often each is asked about.
                features = Features(weight)
                both = features.fit_rows([*texts, *(text for text, _ in catalogue)])
                taught_rows, rows = both[: len(texts)], both[len(texts) :] if catalogue else None
                del both
                model, scores = learn(features, taught_rows, labels, judged, strength)
                ends = np.cumsum([len(judged), len(catalogue), len(kinds)])
                of_judged, of_questions, of_scripts, of_spoken = np.split(known.together(list(read)), ends)
            meant = _meant(encoder, of_judged, names)
            blend = calibrate(scores, meant, np.searchsorted(names, labels[judged]))
            chances = softmax(scores * blend.slopes + blend.trust * meant + blend.shifts, axis=1)
            told = unseen(chances, names, [(texts[i], str(labels[i])) for i in judged])
            dangers = np.array([is_danger(str(labels[i])) for i in judged])
            self._scales = believed.learn(names, chances, [texts[i] for i in judged], dangers)
            (folder / CROSS_VALIDATION).write_text(json.dumps(told, ensure_ascii=False), "utf-8")
            # The slope is folded into the weights: a message costs one product.
            self._set(
                features, names, model.coef_.T * blend.slopes, model.intercept_ * blend.slopes + blend.shifts, encoder
            )
            self._trust = blend.trust
            features.save(folder)
            if encoder is not None and kinds:
                apart = np.array([adaptation.left_out(text) for text, _ in kinds])
                plain = np.array([not is_grave(str(labels[i])) for i in judged])
                ordinary = np.concatenate([of_spoken, of_judged[plain], of_questions[::OF_QUESTIONS]])
                script_learning.learn_by_meaning([name for _, name in kinds], of_scripts, apart, ordinary).save(folder)
            if rows is not None:
                answered = features.rows(answers(training_data, [name for _, name in catalogue]))
                with threadpool_limits(AT_ONCE):  # one thread is for those who answer messages
                    learnt = questions.learn(self._asked(catalogue, rows, of_questions, answered))
                if (calibration := Path(self._config["calibration"] or "")).is_file():
                    learnt.measure_by(self._messages(calibration))
                learnt.save(folder)
            (folder / "names.json").write_text(json.dumps(names), "utf-8")
            trust = np.array(blend.trust)
            np.savez(folder / "weights.npz", weights=self._weights, bias=self._bias, trust=trust, danger=self._scales)
        return self._resource

    def _script_lines(self) -> Sequence[tuple[str, str]]:
        """(message, script) of the file that the configuration names; none where there is none."""
        found = script_learning.read(Path(self._config["scripts"])) if self._config["scripts"] else None
        return found.lines if found else ()

    def _asked(
        self, catalogue: Sequence[tuple[str, str]], rows: csr_matrix, meanings: np.ndarray, answered: csr_matrix
    ) -> questions.Examples:
        """What the questions are learnt from: the catalogue's examples as this model reads them, which has learnt none."""
        scores = (
            np.asarray(rows @ self._weights) + self._bias + self._trust * _meant(self._encoder, meanings, self._names)
        )
        judged = np.array([self._encoder is None or not self._encoder.learnt(text) for text, _ in catalogue])
        labels = [name for _, name in catalogue]
        return questions.Examples(labels, rows, meanings, softmax(scores, axis=1), self._names, judged, answered)

    def _messages(self, path: Path) -> Iterator[questions.Message]:
        """Those of the calibration's file, as this model reads them."""
        labelled = read_answers(path, None)
        texts = [self._repair(one.text) for one in labelled]
        for one, text, meaning in zip(labelled, texts, _meanings(self._encoder, texts), strict=True):
            columns, values = self._features.row(text)
            chances = self._chances(text, columns, values, self._share(meaning[None]))
            named = dict(zip(self._names, map(float, chances), strict=True))
            yield questions.Message(columns, values, meaning, named, frozenset(one.questions))

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
            encoder = Encoder(folder / ENCODER) if (folder / ENCODER).exists() else None
            self._set(features, names, arrays["weights"], arrays["bias"], encoder)
            self._trust = float(arrays["trust"])
            self._questions, self._scripts = Questions.read(folder), ScriptHead.read(folder)
            if "danger" in arrays:  # a model of an earlier version has none
                self._scales = arrays["danger"]
        return self

    def _set(
        self, features: Features, names: list[str], weights: np.ndarray, bias: np.ndarray, encoder: Encoder | None
    ) -> None:
        self._features = features
        self._names = names
        self._weights = np.ascontiguousarray(weights, dtype=np.float32)
        self._bias = bias
        self._encoder = encoder
        self._repair = Repair(features.seen)

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        """Nothing after this component learns from predicted intents."""
        return training_data

    def process(self, messages: list[Message]) -> list[Message]:
        """Set intent, whole ranking and the nearest questions of the catalogue of each message."""
        for message in messages:
            found = self.look(message.get("text") or "")
            ranking = _rows(found.intents)
            message.set("intent", dict(ranking[0]), add_to_output=True)
            message.set("intent_ranking", ranking, add_to_output=True)
            message.set("questions", _rows(found.questions), add_to_output=True)
            message.set("scripts", dict(found.scripts), add_to_output=True)
            message.set("called", found.called, add_to_output=True)
        return messages

    def knows(self, text: str) -> bool:
        """Whether any word was seen while training, by its spelling or by its sound."""
        return self._features.knows(text)

    def look(self, text: str) -> Look:
        """All intents and the nearest questions, the likeliest first."""
        text = self._repair(text)
        columns, values = self._features.row(text)
        meaning = _meanings(self._encoder, [text])
        chances = self._chances(text, columns, values, self._share(meaning))
        intents = tuple((self._names[i], float(chances[i])) for i in np.argsort(-chances))
        scripts, called = ((), 0.0) if self._scripts is None else self._scripts.look(meaning[0])
        return Look(intents, tuple(self._nearest(columns, values, meaning[0], intents)), scripts, called)

    def _nearest(self, columns: np.ndarray, values: np.ndarray, meaning: np.ndarray, intents: Any) -> Ranked:
        """Questions of the catalogue; none where there is none."""
        return [] if self._questions is None else self._questions.rank(columns, values, meaning, dict(intents))

    def inside(self, text: str) -> Inside:
        """What `look` adds up, for `bot.engine.explain`."""
        text = self._repair(text)
        columns, values = self._features.row(text)
        share = self._share(_meanings(self._encoder, [text]))
        chances = self._chances(text, columns, values, share)
        items = self._features.items(columns)
        return Inside(text, self._names, chances, items, values, self._weights[columns], share, self._bias)

    def _share(self, meaning: np.ndarray) -> np.ndarray:
        """What the encoder adds; zeros without one. `meaning`: (1, width)."""
        if self._encoder is None:
            return np.zeros(len(self._names))
        return self._trust * _meant(self._encoder, meaning, self._names)[0]

    def _chances(self, text: str, columns: np.ndarray, values: np.ndarray, share: np.ndarray) -> np.ndarray:
        chances = softmax(self._scores(text, columns, values, share))
        return believed.apply(self._scales, self._names, chances, text)

    def _scores(self, text: str, columns: np.ndarray, values: np.ndarray, share: np.ndarray) -> np.ndarray:
        scores = values @ self._weights[columns] + self._bias
        if self._encoder is None and not self._features.knows(text):
            return scores * GUESS
        return scores + share


def _rows(ranked: tuple[tuple[str, float], ...]) -> list[dict[str, Any]]:
    return [{"name": name, "confidence": chance} for name, chance in ranked]


def statements(texts: list[str], labels: np.ndarray, judged: np.ndarray) -> list[str]:
    """Those that ask nothing, without those of `judged`, which are read anyway."""
    others = np.setdiff1d(np.flatnonzero(labels == STATEMENT), judged)
    return [texts[i] for i in others]


def _meanings(encoder: Encoder | None, texts: list[str]) -> np.ndarray:
    """(texts, width) by the encoder; no column without one."""
    return np.zeros((len(texts), 0)) if encoder is None else encoder.meanings(texts)


class _Known:
    """The meanings of the texts of a training. `missing`: the distinct texts that are still to be read."""

    def __init__(self, encoder: Encoder | None, network: Path, texts: list[str]) -> None:
        self._count, self.missing = len(texts), texts if encoder is None else []
        self._kept: Optional[Kept] = None
        if encoder is not None:
            self._kept = Kept(KEPT, kept.key(network))
            self._marks = kept.marks(encoder, texts)
            self._places = self._kept.missing(self._marks)
            self.missing = [texts[place] for place in self._places]

    def together(self, parts: list[np.ndarray]) -> np.ndarray:
        """(texts, width) of all, which are kept for the next training. `parts`: what was made of the missing ones."""
        if self._kept is None:
            return np.concatenate(parts) if parts else np.zeros((self._count, 0))
        found = self._kept.together(self._marks, self._places, [row for part in parts for row in part])
        self._kept.write(self._marks)
        return found


def _meant(encoder: Encoder | None, meanings: np.ndarray, names: list[str]) -> np.ndarray:
    """(texts, intents): the encoder's scores as logarithms of chances; zero for intents that it does not know."""
    meant = np.zeros((len(meanings), len(names)))
    if encoder is not None:
        known = [(i, encoder.names.index(name)) for i, name in enumerate(names) if name in encoder.names]
        ours, theirs = map(list, zip(*known, strict=True))
        for row, meaning in enumerate(meanings):
            meant[row, ours] = encoder.scores(meaning)[theirs]
    return meant


def answers(training_data: TrainingData, asked: Sequence[str]) -> list[str]:
    """What each question of the catalogue and its answer say, in the order of their names; nothing where there is no answer.
    `asked`: the examples' questions."""
    found = []
    for name in sorted(set(asked)):
        response = (training_data.responses.get(f"utter_{name}") or [{}])[0]
        about = response.get("metadata") or {}
        found.append(f"{about.get('question') or ''} {about.get('title') or ''} {response.get('text') or ''}")
    return found


def examples(training_data: TrainingData) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(text, intent) of the examples, and (text, question) of the catalogue's."""
    found = [e for e in training_data.intent_examples if e.get("text")]
    taught = [(e.get("text"), e.get("intent")) for e in found if not e.get("intent_response_key")]
    return taught, [(e.get("text"), e.get("intent_response_key")) for e in found if e.get("intent_response_key")]
