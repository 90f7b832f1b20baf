"""A tiny catalogue, learnt, saved, read back and asked, in the engine's own environment (numpy and scipy live there alone)."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from bot.app.route import ENGINE_PYTHON
from bot.core.program import ROOT

# Three intents of two questions, six examples each, and six messages of each intent that no question answers. A meaning is its
# question's direction and some noise, near its intent's others; of the words, one is the question's own, one the intent's.
LEARN = """
import json, sys
from pathlib import Path
import numpy as np
from scipy.sparse import csr_matrix
from bot.engine.questions import ENOUGH, MOST, Examples, Message, Questions, learn

WIDTH, COLUMNS, OWN = 24, 40, 30  # from column OWN on, words say nothing
dice = np.random.default_rng(3)
intents = ["armes", "contravention", "procuration"]
names = [f"{intent}/{key}" for intent in intents for key in ("a", "b")]
subjects, topics = dice.normal(size=(len(names), WIDTH)), dice.normal(size=(len(intents), WIDTH))

def meaning(intent, question):
    own = 0 if question is None else subjects[question]
    return topics[intent] + own + dice.normal(size=WIDTH) * (0.5 if question is not None else 1.5)

def row(intent, question):
    found = np.zeros(COLUMNS)
    found[6 + intent] = 1
    if question is not None:
        found[question] = 1
    found[dice.integers(OWN, COLUMNS, 2)] = 1
    return found

def chance(intent):
    return np.where(np.arange(len(intents)) == intent, 0.9, 0.05)

def texts(count):
    for intent, name in enumerate(intents):
        for question in (2 * intent, 2 * intent + 1, None):
            for _ in range(count):
                label = f"{name}/aucune" if question is None else names[question]
                yield label, row(intent, question), meaning(intent, question), chance(intent)

def columns(found):
    return [list(one) for one in zip(*found)]

labels, rows, meanings, chances = columns(texts(6))
order = dice.permutation(len(labels))  # as it comes
labels, rows, meanings, chances = ([part[i] for i in order] for part in (labels, rows, meanings, chances))
own = csr_matrix(np.eye(len(names), COLUMNS, dtype=np.float32))
classes = sorted(set(labels))
answers = own[[names.index(one) if one in names else 0 for one in classes]].multiply(
    np.array([[one in names] for one in classes])  # nothing is said where there is no answer
).tocsr()
examples = Examples(
    labels, csr_matrix(np.array(rows, np.float32)), np.array(meanings, np.float32), np.array(chances), intents,
    np.ones(len(labels), bool), answers,
)
learnt = learn(examples)
folder = Path(sys.argv[1])
none = Questions.read(folder)
learnt.save(folder)
back = Questions.read(folder)

def ask(book, found, meant, likely):
    at = np.flatnonzero(found)
    return book.rank(at, found[at].astype(np.float32), meant.astype(np.float32), dict(zip(intents, likely)))

asked = [(label, ask(learnt, *rest), ask(back, *rest)) for label, *rest in texts(10)]

def message(label, found, meant, likely, right):
    at = np.flatnonzero(found)
    likely = dict(zip(intents, map(float, likely)))
    return Message(at, found[at].astype(np.float32), meant.astype(np.float32), likely, frozenset(right))

def measured(count, right):
    # What is believed once messages were judged; `right` says of a label what answers its messages.
    book = Questions.read(folder)
    book.measure_by(message(label, *rest, right(label)) for label, *rest in texts(count))
    book.save(folder)
    return [(label, ask(Questions.read(folder), *rest)) for label, *rest in later]

later = list(texts(10))
true = lambda label: [] if label.endswith("/aucune") else [label]
plain = [(label, ask(back, *rest)) for label, *rest in later]
few = measured(2, lambda label: [] if label == names[0] else true(label))
gone = measured(60, lambda label: ["armes/partie"] if not label.endswith("/aucune") else [])
# Of the first question's messages none is answered, say those who labelled; another's are.
judged = measured(60, lambda label: [] if label == names[0] else true(label))
alone = learn(Examples(
    [label for label in labels if not label.endswith("/aucune")],
    *(part[[not label.endswith("/aucune") for label in labels]] for part in (examples.rows, examples.meanings, examples.chances)),
    intents, np.ones(36, bool), own,
))
print(json.dumps({
    "none": none is None, "names": back.names, "most": MOST, "asked": asked,
    "alone": [(label, ask(alone, *rest)[0][0]) for label, *rest in texts(2)],
    "plain": plain, "few": few, "gone": gone, "judged": judged, "first": names[0], "enough": ENOUGH,
    "files": sorted(path.name for path in folder.iterdir()),
}))
"""


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the catalogue makes of messages that it has not learnt from: (label, ranks, ranks once it is read back)."""
    folder = tmp_path_factory.mktemp("catalogue")
    done = subprocess.run(
        [str(ENGINE_PYTHON), "-c", LEARN, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def answered(learnt: dict[str, Any]) -> list[Any]:
    """Messages that a question answers."""
    return [one for one in learnt["asked"] if not one[0].endswith("/aucune")]


def test_a_model_without_a_catalogue_has_none(learnt: dict[str, Any]) -> None:
    assert learnt["none"] is True
    assert learnt["files"] == ["questions.json", "questions.npz"]


def test_what_is_read_back_ranks_as_what_was_learnt(learnt: dict[str, Any]) -> None:
    assert learnt["names"] == sorted({label for label, *_ in learnt["asked"]})
    for _, before, after in learnt["asked"]:
        assert [name for name, _ in after] == [name for name, _ in before]
        assert [chance for _, chance in after] == pytest.approx([chance for _, chance in before], abs=0.01)


def test_the_right_question_comes_first_and_the_chances_fall(learnt: dict[str, Any]) -> None:
    assert sum(ranks[0][0] == label for label, _, ranks in answered(learnt)) >= 0.95 * len(answered(learnt))
    for _, _, ranks in learnt["asked"]:
        assert len(ranks) == learnt["most"]
        assert not any(name.endswith("/aucune") for name, _ in ranks)  # they are no question
        chances = [chance for _, chance in ranks]
        assert chances == sorted(chances, reverse=True)
        assert 0 <= chances[-1] <= chances[0] <= 1


def test_a_message_that_no_question_answers_is_less_sure(learnt: dict[str, Any]) -> None:
    sure = sorted(ranks[0][1] for _, _, ranks in answered(learnt))
    unsure = sorted(ranks[0][1] for label, _, ranks in learnt["asked"] if label.endswith("/aucune"))
    assert sure[len(sure) // 2] > 2 * unsure[len(unsure) // 2]
    assert sure[len(sure) // 10] > unsure[len(unsure) // 2]


def test_a_catalogue_without_unanswered_messages_is_learnt_too(learnt: dict[str, Any]) -> None:
    found = [(label, best) for label, best in learnt["alone"] if not label.endswith("/aucune")]
    assert sum(label == best for label, best in found) >= 0.9 * len(found)


def chances(found: list[Any], label: str) -> list[float]:
    """How far the best question is believed of the messages of a label."""
    return sorted(ranks[0][1] for one, ranks in found if one == label)


def test_messages_that_nothing_learnt_from_say_how_far_a_question_is_believed(learnt: dict[str, Any]) -> None:
    assert [[name for name, _ in ranks] for _, ranks in learnt["judged"]] == [
        [name for name, _ in ranks] for _, ranks in learnt["plain"]
    ]  # the order stays
    first = learnt["first"]
    assert max(chances(learnt["judged"], first)) < min(chances(learnt["plain"], first))
    other = next(label for label, _ in learnt["plain"] if label not in (first, f"{first.split('/')[0]}/aucune"))
    assert chances(learnt["judged"], other)[5] > 0.5


def test_few_messages_and_those_of_questions_that_are_gone_say_nothing(learnt: dict[str, Any]) -> None:
    assert learnt["few"] == learnt["plain"]
    assert learnt["gone"] == learnt["plain"]
