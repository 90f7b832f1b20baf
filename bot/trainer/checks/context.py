"""What the checks of examples look things up in, ready for a page: read once, then kept up to date."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.trainer import pseudonyms
from bot.trainer.checks import gold
from bot.trainer.corpus import Corpus, Example, entity_names
from bot.trainer.neighbours import Neighbours
from bot.trainer.project import Project


@dataclass(frozen=True)
class Context:
    """The examples and the measuring sets, with their indexes, and the names of the entities.

    `gold` is empty, or lacks a file, where the sets are missing or damaged: `check_all` says so.
    """

    corpus: Corpus
    neighbours: Neighbours[Example]
    gold: Neighbours[gold.Kept]
    entities: frozenset[str]

    @staticmethod
    def of(project: Project) -> Context:
        """The context of the files as they now stand. Two seconds at first, then milliseconds. Blocks. Raises BadFile."""
        corpus = Corpus.read(project)
        _warm()
        return Context(corpus, Neighbours.of(corpus), gold.index(project), entity_names(project))

    def of_intent(self, intent: str) -> Sequence[Example]:
        """The examples of an intent."""
        return _by_intent(self.corpus).get(intent, ())


@functools.cache
def _warm() -> None:
    """The lists of first names and words take two seconds to read: with the rest, not while somebody types."""
    pseudonyms.leftovers("Monsieur Kevin Delattre, mon voisin, cherche son furet.")


@functools.lru_cache(maxsize=4)
def _by_intent(corpus: Corpus) -> Mapping[str, Sequence[Example]]:
    found: dict[str, list[Example]] = defaultdict(list)
    for example in corpus.examples:
        found[example.intent].append(example)
    return found
