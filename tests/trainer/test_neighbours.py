"""Neighbours: near ones first, kept up to date, and the short cuts find what comparing with everything finds."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

from bot.trainer.corpus import NLU, Corpus, Example, Operation, apply
from bot.trainer.neighbours import LEAST, Neighbours, sounded
from tests.fakes.checked import clean

ROOT = Path(__file__).resolve().parents[2]


def example(text: str, line: int = 1, intent: str = "i") -> Example:
    return Example(intent, text, text, NLU, line)


@pytest.fixture
def some() -> list[Example]:
    """Sentences of a few words, many alike."""
    dice = random.Random(7)
    words = [
        "chat",
        "chien",
        "loup",
        "ours",
        "cygne",
        "vole",
        "court",
        "dort",
        "mange",
        "boit",
        "rouge",
        "bleu",
        "vert",
        "grand",
        "petit",
    ]
    return [example(" ".join(dice.sample(words, dice.randint(1, 6))), line) for line in range(300)]


def slow(index: Neighbours[Example], one: Example, other: Example) -> float:
    """The likeness of two, without any short cut."""
    weigh = {
        word: index._weights.get(word, index._rarest) for word in sounded(one.text).words | sounded(other.text).words
    }
    ours, theirs = sounded(one.text).words, sounded(other.text).words
    return sum(weigh[w] for w in ours & theirs) / sum(weigh[w] for w in ours | theirs)


def test_near_finds_what_comparing_with_all_finds(some: list[Example]) -> None:
    index = Neighbours(some)
    for one in some[:60]:
        wanted = sorted((slow(index, one, other) for other in some), reverse=True)
        found = [near.likeness for near in index.near(one.text, 1_000)]
        assert found == pytest.approx([likeness for likeness in wanted if likeness >= LEAST])
        assert index.near(one.text, 3) == index.near(one.text, 1_000)[:3]


def test_pairs_are_all_pairs(some: list[Example]) -> None:
    index = Neighbours(some)
    wanted = {frozenset((a.line, b.line)) for a, b in itertools.combinations(some, 2) if slow(index, a, b) >= 0.65}
    found = [frozenset((pair.one.line, pair.other.line)) for pair in index.pairs(0.65)]
    assert len(found) == len(set(found))
    assert set(found) == wanted
    assert wanted


def test_spelling_does_not_matter_and_rare_words_weigh_more() -> None:
    texts = ["comment porter plainte", "comment adopter un hérisson", "comment vas tu", "un hérisson"]
    index = Neighbours([example(text, n) for n, text in enumerate(texts)])
    first = index.near("koman porté plinte")[0]
    assert (first.example.text, first.likeness) == ("comment porter plainte", 1.0)
    assert [near.example.text for near in index.near("comment nourrir un hérisson", 2)] == [
        "comment adopter un hérisson",
        "un hérisson",
    ]
    assert index.near("") == index.near("xylophone") == []
    assert index.near("🐕‍🦺") == []
    only = index.near("comment porter plainte", wanted=lambda one: one.line != 0)
    assert all(near.example.line for near in only)


def test_a_hundred_thousand_characters_are_read_like_the_model_reads_them() -> None:
    index = Neighbours([example("comment porter plainte")])
    assert len(index.near("comment porter plainte " * 5_000)) == 1


def test_adding_and_removing_is_as_if_built_so(some: list[Example]) -> None:
    index = Neighbours(some)
    for one in some[::2]:
        assert index.remove(one)
        assert not index.remove(one)
    assert len(index) == len(list(index)) == 150
    assert all(near.example.line % 2 for near in index.near(some[0].text, 1_000))
    assert all(one.line % 2 for one in index.doubles(some[0].text))
    for one in some[::2]:
        index.add(one)
    again = Neighbours(some)
    for one in some[:40]:
        ours = {near.example: round(near.likeness, 9) for near in index.near(one.text, 1_000)}
        assert ours == {near.example: round(near.likeness, 9) for near in again.near(one.text, 1_000)}
    new = example("une girafe", 999)
    index.add(new)
    assert [near.example for near in index.near("UNE GIRAFE !")] == [new]


def test_the_index_of_a_corpus_follows_its_files(tmp_path: Path) -> None:
    project = clean(tmp_path / "project")
    first = Neighbours.of(Corpus.read(project))
    assert Neighbours.of(Corpus.read(project)) is first
    apply(project, [Operation("add", "animaux", "un okapi s’est sauvé du zoo")])
    corpus = Corpus.read(project)
    second = Neighbours.of(corpus)
    assert second is first  # nothing was built again
    assert set(second) == set(corpus.examples)  # each at the line where it stands now
    (near,) = second.near("okapi sauvé du zoo", 1)
    assert near.example in corpus.examples
    apply(project, [Operation("remove", "animaux", "un okapi s’est sauvé du zoo")])
    assert set(Neighbours.of(Corpus.read(project))) == set(Corpus.read(project).examples)
