"""Which question of the catalogue (`data/answers`) a message asks, and how sure that is.

A message is compared with every example of every question, by its meaning (the sentence encoder) and by its words, letters and
sounds (`Features`), and with the words of its answer; a ridge regression over meaning and words votes besides, in which leaving
one example out costs nothing: what each of these is worth is set on examples that were judged by the others alone. Of each intent
one class is no question: what is asked about it in general, or beside the catalogue (NO_ANSWER); where it is the likeliest,
nothing is sure. How far the best question is to be believed is learnt from messages that nothing else learns from
(`data/etalonnage.tsv`), since many ask something that no catalogue holds; without enough of them, from the examples, with and
without the right question among the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, diags
from scipy.special import expit, log_softmax, softmax

from bot.core.examples import NO_ANSWER
from bot.policy.questions import intent_of

STIFFNESS = 0.6  # of the ridge: how little one example counts
WORDS = 0.6  # of the ridge: the words' share, against the meaning's
BUCKETS = 4096  # that words are put into for the ridge
NEAREST = 3  # examples of a question that speak for it together
LEAST_CHANCE = 1e-4  # of an intent: below this all are alike
MOST = 4  # questions named
BESIDE = 0.3  # the most that a question is believed where the message is likelier none of the catalogue's
LOOKED_AT = 48  # questions that are weighed: those whose nearest example is nearest
CLOSELY = 192  # questions whose examples are compared at all: those whose mean is nearest
BROADLY = 64  # questions whose words are compared at all: those that are nearest by meaning
JUDGED = 2000  # examples that the scales are set on, at most
OFTEN = 4096  # columns that are multiplied as a dense matrix
AT_ONCE = 8192  # rows of it at a time: a gigabyte less at the peak
NEARER = 0.05  # what the intent's chance (its logarithm) adds to a likeness
ABSENT = 0.15  # weight of an example that is judged as if its question were not there
ENOUGH = 200  # messages from which the examples say nothing of how far a question is to be believed
RESTRAINT = 1.0  # how little each of the pieces of evidence is worth without many messages that say so
_FILE, _NAMES = "questions.npz", "questions.json"

Ranked = list[tuple[str, float]]


@dataclass(frozen=True)
class Scale:
    """How signals become chances. `mix`: (signals,) what each adds to a question's logit; `believe`: (evidence,) what
    each piece of `_evidence` says for the best one."""

    mix: np.ndarray
    believe: np.ndarray


class Questions:
    """The examples by question, and what was learnt from them. `names`: the questions in the order of the columns; `starts`:
    (questions,) where the examples of each begin; `meanings`: (examples, width) of length one around `centre`; `words`:
    (examples, columns) of length one; `answers`: (questions, columns), the words of each question's title and answer; `votes`:
    (questions, width + BUCKETS)."""

    def __init__(
        self,
        names: Sequence[str],
        starts: np.ndarray,
        centre: np.ndarray,
        meanings: np.ndarray,
        words: csr_matrix,
        answers: csr_matrix,
        votes: np.ndarray,
        scale: Scale,
    ) -> None:
        self.names = list(names)
        self._starts = starts
        self._ends = np.append(starts[1:], len(meanings))
        self._centre = centre
        self._meanings = meanings
        self._words = words
        self._answers = answers
        self._votes = votes
        self._means = np.add.reduceat(meanings, starts) / (self._ends - starts)[:, None]
        self._buckets, self._signs = _hash(words.shape[1])
        self._scale = scale
        self._intents = [intent_of(name) for name in self.names]
        self._answered = np.array([not name.endswith(NO_ANSWER) for name in self.names])
        self._kinds = _kinds(self.names)

    def rank(
        self, columns: np.ndarray, values: np.ndarray, meaning: np.ndarray, chances: Mapping[str, float]
    ) -> Ranked:
        """The best questions of a text that have an answer and their chances, the likeliest first. `columns`, `values`: its row of
        `Features`; `meaning`: (width,) by the encoder; `chances`: of each intent."""
        weighed = self._weigh(columns, values, meaning, chances)
        looked_at, shares = weighed.questions[0], weighed.shares[0]
        sure = float(_certainty(weighed, self._scale.believe)[0])
        top = int(shares.argmax())
        most = 1.0 if self._answered[looked_at[top]] else BESIDE
        order = [i for i in np.argsort(-shares) if self._answered[looked_at[i]]][:MOST]
        return [(self.names[looked_at[i]], round(min(sure * float(shares[i] / shares[top]), most), 6)) for i in order]

    def measure_by(self, messages: Iterable[Message]) -> None:
        """Learn how far the best question is to be believed from messages that nothing else learnt from; nothing if they are few.

        Those for which none is the best say nothing, nor do those whose questions the catalogue no longer has."""
        names, evidence, truth = frozenset(self.names), [], []
        for message in messages:
            weighed = self._weigh(message.columns, message.values, message.meaning, message.chances)
            best = int(weighed.questions[0, weighed.shares[0].argmax()])
            if self._answered[best] and (not message.right or message.right & names):
                evidence.append(_evidence(weighed)[0])
                truth.append(self.names[best] in message.right)
        if len(truth) >= ENOUGH and 0 < sum(truth) < len(truth):
            believe = _believe(np.array(evidence), np.array(truth, float), np.ones(len(truth)))
            self._scale = Scale(self._scale.mix, believe)

    def _weigh(
        self, columns: np.ndarray, values: np.ndarray, meaning: np.ndarray, chances: Mapping[str, float]
    ) -> Weighed:
        """What speaks for each of the questions that are nearest to a text."""
        direction = _directions(meaning[None] - self._centre)[0]
        likely = np.log([max(chances.get(intent, 0.0), LEAST_CHANCE) for intent in self._intents])
        length = max(float(np.linalg.norm(values)), 1e-9)
        said = np.zeros(self._words.shape[1], np.float32)
        said[columns] = values / length
        nearest = np.full((2, len(self.names)), -np.inf)
        by_meaning, by_words = {}, {}
        for question in np.argsort(-(self._means @ direction + NEARER * likely))[:CLOSELY]:
            by_meaning[question] = self._meanings[self._starts[question] : self._ends[question]] @ direction
            nearest[0, question] = by_meaning[question].max()
        broadly = np.argsort(-(nearest[0] + NEARER * likely))[:BROADLY]
        for question, likeness in zip(broadly, self._by_words(broadly, said), strict=True):
            by_words[question] = likeness
            nearest[1, question] = likeness.max()
        looked_at = _nearest(nearest[:, None], likely[None])[0]
        buckets = np.bincount(
            self._buckets[columns], values * self._signs[columns] * (WORDS**0.5 / length), minlength=BUCKETS
        )
        votes = self._votes[looked_at] @ np.concatenate([direction, buckets])
        three = [[_of_three(one[i]) for i in looked_at] for one in (by_meaning, by_words)]
        signals = np.column_stack(
            [
                votes,
                nearest[0, looked_at],
                three[0],
                nearest[1, looked_at],
                three[1],
                self._answers[looked_at] @ said,
                likely[looked_at],
            ]
        )
        shares = softmax(signals @ self._scale.mix)
        return Weighed(looked_at[None], signals[None], shares[None], np.array([len(columns)]), self._kinds)

    def _by_words(self, questions: np.ndarray, said: np.ndarray) -> list[np.ndarray]:
        """The likeness of each example of these questions with the words `said`, (columns,) of length one."""
        firsts, lasts = self._starts[questions], self._ends[questions]
        rows = np.concatenate([np.arange(first, last) for first, last in zip(firsts, lasts, strict=True)])
        found = np.asarray(self._words[rows] @ said)
        return np.split(found, np.cumsum(lasts - firsts)[:-1])

    def save(self, folder: Path) -> None:
        """Arrays and names: nothing that runs code when it is read back."""
        np.savez(
            folder / _FILE,
            starts=self._starts,
            centre=self._centre,
            meanings=self._meanings.astype(np.float16),
            votes=self._votes.astype(np.float16),
            **_packed("words", self._words),
            **_packed("answers", self._answers),
            mix=self._scale.mix,
            believe=self._scale.believe,
        )
        (folder / _NAMES).write_text(json.dumps(self.names), "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Questions | None:
        """The inverse of `save`; None for a model without a catalogue."""
        if not (folder / _FILE).exists():
            return None
        with np.load(folder / _FILE, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
        words, answers = _unpacked("words", found), _unpacked("answers", found)
        if words.shape[0] != len(found["meanings"]):  # a model of an earlier version keeps them the other way round
            words, answers = csr_matrix(words.T), csr_matrix(answers.T)
        return cls(
            json.loads((folder / _NAMES).read_text("utf-8")),
            found["starts"],
            found["centre"],
            found["meanings"].astype(np.float32),
            words,
            answers,
            found["votes"].astype(np.float32),
            Scale(found["mix"], _of_today(found["believe"])),
        )


@dataclass(frozen=True)
class Kinds:
    """Of the questions. `intents`: (questions,) a number for each intent; `beside`: (questions,) whether it is no question."""

    intents: np.ndarray
    beside: np.ndarray


def _kinds(names: Sequence[str]) -> Kinds:
    _, intents = np.unique([intent_of(name) for name in names], return_inverse=True)
    return Kinds(intents, np.array([name.endswith(NO_ANSWER) for name in names]))


@dataclass(frozen=True)
class Weighed:
    """Of texts. `questions`: (texts, LOOKED_AT) those that are weighed; `signals`: (texts, LOOKED_AT, 7) what speaks for each;
    `shares`: (texts, LOOKED_AT) what follows; `lengths`: (texts,) columns of a text's row."""

    questions: np.ndarray
    signals: np.ndarray
    shares: np.ndarray
    lengths: np.ndarray
    kinds: Kinds


@dataclass(frozen=True)
class Message:
    """One that nothing learnt from. `columns`, `values`: its row of `Features`; `meaning`: (width,) by the encoder; `chances`: of
    each intent; `right`: the questions that answer it, none where none does."""

    columns: np.ndarray
    values: np.ndarray
    meaning: np.ndarray
    chances: Mapping[str, float]
    right: frozenset[str]


@dataclass(frozen=True)
class Examples:
    """What is learnt from, all in one order. `labels`: the questions; `rows`: those of `Features`; `meanings`: by the encoder;
    `chances`: (examples, intents) in the order of `intents`, by models that had not seen them; `judged`: (examples,) whether the
    encoder had not learnt from them either: the scales are set on those alone. `answers`: (questions, columns), in the order of
    their names, the rows of their titles and answers, nothing for those that end with NO_ANSWER."""

    labels: Sequence[str]
    rows: csr_matrix
    meanings: np.ndarray
    chances: np.ndarray
    intents: Sequence[str]
    judged: np.ndarray
    answers: csr_matrix


def _packed(name: str, matrix: csr_matrix) -> dict[str, np.ndarray]:
    """A sparse matrix as arrays for a file."""
    parts = {"data": matrix.data.astype(np.float16), "indices": matrix.indices, "indptr": matrix.indptr}
    return {f"{name}.{key}": value for key, value in {**parts, "shape": np.array(matrix.shape)}.items()}


def _unpacked(name: str, arrays: Mapping[str, np.ndarray]) -> csr_matrix:
    data = arrays[f"{name}.data"].astype(np.float32)
    shape = tuple(arrays[f"{name}.shape"])
    return csr_matrix((data, arrays[f"{name}.indices"], arrays[f"{name}.indptr"]), shape=shape)


def learn(examples: Examples) -> Questions:
    """Votes and scales from examples."""
    order = np.argsort(np.array(examples.labels), kind="stable")
    labels = [examples.labels[i] for i in order]
    names = sorted(set(labels))
    owners = np.searchsorted(names, labels)
    starts = np.searchsorted(owners, np.arange(len(names)))
    centre = examples.meanings[order].mean(axis=0)
    meant = _directions(examples.meanings[order] - centre).astype(np.float32)
    words = _of_length_one(examples.rows[order])
    answers = _of_length_one(examples.answers)
    judged = _some(np.flatnonzero(examples.judged[order]))
    votes, unseen = _ridge(np.hstack([meant, _bucketed(words)]), owners, len(names), judged)
    found = _Likenesses(
        unseen,
        meant[judged] @ meant.T,
        _products(words[judged], words),
        _products(words[judged], answers),
        _likely(examples.chances[order][judged], examples.intents, names),
    )
    for likeness in (found.by_meaning, found.by_words):
        likeness[np.arange(len(judged)), judged] = -1  # an example is no likeness of itself
    looked_at, signals, right = _signals(found, starts, owners[judged])
    lengths = np.diff(examples.rows[order].indptr)[judged]
    scale = _scale(looked_at, signals, right, lengths, _kinds(names))
    return Questions(names, starts, centre, meant, words, answers, votes, scale)


def _some(numbers: np.ndarray) -> np.ndarray:
    """Enough of them to set a dozen scales on."""
    return np.sort(np.random.default_rng(7).permutation(numbers)[:JUDGED])


def _dense(matrix: csr_matrix) -> np.ndarray:
    return np.asarray(matrix.todense(), dtype=np.float32)


def _products(left: csr_matrix, right: csr_matrix) -> np.ndarray:
    """(left, right): the product of each pair of rows. Columns that many rows have are multiplied as a dense matrix, which is a
    dozen times as fast for them; the others as what they are."""
    often = np.zeros(right.shape[1], bool)
    often[np.argsort(-np.bincount(right.indices, minlength=right.shape[1]), kind="stable")[:OFTEN]] = True
    common = np.flatnonzero(often)
    near = _dense(left[:, common])
    rest = csr_matrix(left @ diags((~often).astype(np.float32)))
    rest.eliminate_zeros()
    found = np.empty((left.shape[0], right.shape[0]), np.float32)
    for start in range(0, right.shape[0], AT_ONCE):
        part = right[start : start + AT_ONCE]
        found[:, start : start + AT_ONCE] = near @ _dense(part[:, common]).T + _dense(rest @ csr_matrix(part.T))
    return found


def _directions(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9))


def _of_length_one(rows: csr_matrix) -> csr_matrix:
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return csr_matrix(diags(1 / np.maximum(lengths, 1e-9)) @ rows)


def _of_three(likeness: np.ndarray) -> float:
    """The mean of the nearest three examples of a question; those that are wanting count nothing."""
    return float(np.maximum(np.sort(likeness)[-NEAREST:], 0).sum() / NEAREST)


def _nearest(nearest: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """(texts, LOOKED_AT): the questions that are weighed. `nearest`: (2, texts, questions) by meaning and by words."""
    near = nearest[0] + nearest[1] + NEARER * likely
    most = min(LOOKED_AT, near.shape[1])
    return np.asarray(np.argpartition(-near, most - 1, axis=1)[:, :most])


def _hash(columns: int) -> tuple[np.ndarray, np.ndarray]:
    """(columns,): the bucket of each column of `Features`, and its sign. The same in every process."""
    dice = np.random.default_rng(7)
    return dice.integers(0, BUCKETS, columns), dice.choice(np.array([-1.0, 1.0], np.float32), columns)


def _bucketed(words: csr_matrix) -> np.ndarray:
    """(texts, BUCKETS): the words of rows, whose products are about those of the rows themselves times WORDS."""
    buckets, signs = _hash(words.shape[1])
    sketch = csr_matrix((signs * WORDS**0.5, (np.arange(words.shape[1]), buckets)), shape=(words.shape[1], BUCKETS))
    return _dense(words @ sketch)


def _ridge(seen: np.ndarray, owners: np.ndarray, count: int, judged: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(questions, columns) votes of what is `seen` (examples, columns), and (judged, questions) their sums for each example that is
    `judged` by the votes of the others."""
    targets = np.zeros((len(owners), count), np.float32)
    targets[np.arange(len(owners)), owners] = 1
    squares = seen.T @ seen
    squares[np.diag_indices_from(squares)] += STIFFNESS
    factor = cho_factor(squares, lower=True, overwrite_a=True)
    votes = np.asarray(cho_solve(factor, seen.T @ targets), dtype=np.float32)
    own = seen[judged]
    weight = np.einsum("ec,ce->e", own, cho_solve(factor, own.T))[:, None]
    return np.ascontiguousarray(votes.T), (own @ votes - weight * targets[judged]) / np.maximum(1 - weight, 1e-3)


def _likely(chances: np.ndarray, intents: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """(examples, questions): the logarithm of the chance of each question's intent."""
    places = {intent: i for i, intent in enumerate(intents)}
    columns = [places[intent_of(name)] for name in names]
    return np.asarray(np.log(np.maximum(chances[:, columns], LEAST_CHANCE)))


@dataclass(frozen=True)
class _Likenesses:
    """Of texts. `votes`, `by_answer`, `likely`: (texts, questions); `by_meaning`, `by_words`: (texts, examples)."""

    votes: np.ndarray
    by_meaning: np.ndarray
    by_words: np.ndarray
    by_answer: np.ndarray
    likely: np.ndarray


def _signals(told: _Likenesses, starts: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(texts, LOOKED_AT): the questions that are weighed; (texts, LOOKED_AT, 7): what speaks for each; (texts,) the place of the
    right one among them, which is one of them in any case."""
    nearest, three = [], []
    for likeness in (told.by_meaning, told.by_words):
        nearest.append(np.maximum.reduceat(likeness, starts, axis=1))
        ends = np.append(starts[1:], likeness.shape[1])
        sums = [
            np.maximum(np.sort(likeness[:, start:end], axis=1)[:, -NEAREST:], 0).sum(axis=1)
            for start, end in zip(starts, ends, strict=True)
        ]
        three.append(np.stack(sums, axis=1) / NEAREST)
    looked_at = _nearest(np.stack(nearest), told.likely)
    lost = ~(looked_at == owners[:, None]).any(axis=1)
    looked_at[lost, -1] = owners[lost]
    right = (looked_at == owners[:, None]).argmax(axis=1)
    found = [told.votes, nearest[0], three[0], nearest[1], three[1], told.by_answer, told.likely]
    signals = np.stack([np.take_along_axis(one, looked_at, axis=1) for one in found], axis=2)
    return looked_at, signals, right


def _scale(looked_at: np.ndarray, signals: np.ndarray, owners: np.ndarray, lengths: np.ndarray, kinds: Kinds) -> Scale:
    """What each signal is worth, and how far the best question is to be believed. `owners`: (texts,) the right one's place."""
    count = len(owners)

    def loss(mix: np.ndarray) -> tuple[float, np.ndarray]:
        logs = log_softmax(signals @ mix, axis=1)
        excess = np.exp(logs)
        excess[np.arange(count), owners] -= 1
        slope = np.einsum("tq,tqs->s", excess, signals) / count
        return float(-logs[np.arange(count), owners].mean()) + 1e-3 * float(mix @ mix), slope + 2e-3 * mix

    start = np.array([8.0, 4.0, 4.0, 4.0, 4.0, 4.0, 0.5])
    mix = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(start)).x
    shares = softmax(signals @ mix, axis=1)
    right = shares.argmax(axis=1) == owners
    without = shares.copy()
    without[np.arange(count), owners] = 0
    without /= np.maximum(without.sum(axis=1, keepdims=True), 1e-9)
    both = [Weighed(looked_at, signals, one, lengths, kinds) for one in (shares, without)]
    truth = np.concatenate([right, np.zeros(count)])
    weights = np.concatenate([np.ones(count), np.full(count, ABSENT)])
    return Scale(mix, _believe(np.concatenate([_evidence(one) for one in both]), truth, weights))


def _believe(evidence: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(evidence,): what each piece of evidence says for the best question. `truth`: (texts,) whether it was the right one."""
    centre, spread = evidence[:, 1:].mean(axis=0), np.maximum(evidence[:, 1:].std(axis=0), 1e-6)
    told = np.column_stack([np.ones(len(evidence)), (evidence[:, 1:] - centre) / spread])
    restraint = np.append(0.0, np.full(len(centre), RESTRAINT))

    def surprise(believe: np.ndarray) -> tuple[float, np.ndarray]:
        chance = expit(told @ believe)
        kept = np.clip(chance, 1e-9, 1 - 1e-9)
        lost = -(weights * (truth * np.log(kept) + (1 - truth) * np.log(1 - kept))).sum()
        held = (restraint * believe**2).sum() / 2
        return float(lost + held), told.T @ (weights * (chance - truth)) + restraint * believe

    found = minimize(surprise, np.zeros(told.shape[1]), jac=True, method="L-BFGS-B").x
    worth = found[1:] / spread
    return np.append(found[0] - worth @ centre, worth)


def _evidence(weighed: Weighed) -> np.ndarray:
    """(texts, 15): what tells whether the best question is the right one: how far it is ahead, what speaks for it, whether the
    next one is of its subject, what speaks for no question at all, and how much was said."""
    shares, signals, kinds = weighed.shares, weighed.signals, weighed.kinds
    lines = np.arange(len(shares))
    order = np.argsort(-shares, axis=1)
    best, second = order[:, 0], order[:, min(1, shares.shape[1] - 1)]
    top = np.clip(shares[lines, best], 1e-6, 1 - 1e-6)
    intents = kinds.intents[weighed.questions]
    beside = kinds.beside[weighed.questions]
    at_best = signals[lines, best]
    nothing = np.where(beside, shares, 0).max(axis=1)
    like_nothing = np.where(beside, signals[:, :, 1], 0).max(axis=1)
    return np.column_stack(
        [
            np.ones(len(shares)),
            np.log(top / (1 - top)),
            top - shares[lines, second] * (second != best),
            at_best,
            intents[lines, best] == intents[lines, second],
            np.exp(at_best[:, 6]),
            np.log(np.maximum(nothing, 1e-6)),
            at_best[:, 1] - like_nothing,
            np.log(np.maximum(weighed.lengths, 1)),
        ]
    )


# The places of the seven pieces that a model of an earlier version was learnt with; the others say nothing there.
_FORMER = [0, 1, 2, 3, 4, 6, 9]
_PIECES = 15


def _of_today(believe: np.ndarray) -> np.ndarray:
    """What each piece of `_evidence` says, of a model of an earlier version too."""
    if len(believe) != len(_FORMER):
        return believe
    found = np.zeros(_PIECES)
    found[_FORMER] = believe
    return found


def _certainty(weighed: Weighed, believe: np.ndarray) -> np.ndarray:
    return np.asarray(expit(_evidence(weighed) @ believe))
