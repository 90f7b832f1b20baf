"""The examples of the catalogue's questions: enough of them, no sentence under two questions or under another intent, each question
nearer to itself than to its neighbours, no message of the measuring sets, nobody's personal data.

Nearness is that of words as they sound, rare ones weighing more: an example against each question's examples taken together
(nearest centroid, the example itself left out; the square root of how many have a word, or the topic that all of them name would
outweigh what sets the question apart). Some hundred thousand additions for a whole catalogue. The order of words counts for
nothing: of « gendarme vers police » and « police vers gendarme » a person says that they are two (`apart`).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from bot.core.catalogue import AnswersFile, Question, listed
from bot.trainer.checks import examples, gold
from bot.trainer.checks.finding import Finding, error, warning
from bot.trainer.corpus import NLU, Example, short
from bot.trainer.errors import NoGit
from bot.trainer.neighbours import Neighbours, Sounded, sounded, sounded_example
from bot.trainer.project import Project

FEWEST = 8  # examples of a question
COMMON = 0.2  # part of all questions above which a word says nothing of one
SUSPECT = 0.34  # part of a question's examples that lie nearer to another one, from which it is told
APART = "apart"  # metadata: questions that somebody has compared with this one
SHOWN = 3


@dataclass(frozen=True)
class _Said:
    """An example with its words as they sound."""

    question: Question
    example: Example
    words: Sounded


def check(
    files: Sequence[AnswersFile], learned: Neighbours[Example], kept: Sequence[gold.Kept], known: Collection[str]
) -> Iterator[Finding]:
    """All that is wrong. `learned`: the other examples; `kept`: the rows of the measuring sets; `known`: what `recorded` gave."""
    questions = [one for file in files for one in file.questions]
    said = _all_said(questions)
    yield from _form(questions)
    yield from _twice(said)
    yield from _elsewhere(said, learned)
    yield from _nearer(questions, said)
    for each in said:
        yield from map(_named, examples.length(each.example))
        yield from map(_named, examples.left_over(each.example, known))
    for example, row in gold.leaks(Neighbours(each.example for each in said), Neighbours(kept)):
        yield _named(gold.leak(example, row))


def of_some(
    questions: Sequence[Question], ids: Collection[str], learned: Neighbours[Example], kept: Neighbours[gold.Kept]
) -> Iterator[Finding]:
    """What is wrong with the examples of some questions among all, for a page: tenths of a second once all were read.

    Personal data apart: whoever writes them has been asked. What stands twice is told of all questions.
    """
    said = _all_said(questions)
    yield from _form([one for one in questions if one.id in ids])
    yield from _twice(said)
    yield from _nearer(questions, said, ids)
    for each in said:
        if each.question.id in ids:
            yield from map(_named, examples.length(each.example))
            yield from map(_named, (gold.leak(each.example, row) for row in kept.doubles(each.example.text)[:1]))
            same = (
                one for one in learned.doubles(each.example.text) if sounded_example(one.text).key == each.words.key
            )
            yield from _under_another(each, same)


def nearest(questions: Sequence[Question], text: str, limit: int) -> list[Question]:
    """The questions whose examples are nearest to a message by their words, the nearest first."""
    distinct = list({one.id: one for one in questions}.values())
    centroids = _Centroids(_all_said(questions), {one.id: number for number, one in enumerate(distinct)})
    return [distinct[number] for number in centroids.ranked(sounded(text).words)[:limit]]


def recorded(project: Project, files: Sequence[AnswersFile]) -> frozenset[str]:
    """The texts of the examples as the last commit has them; none without git. Blocks."""
    try:
        listed = project.git("status", "--porcelain", "--untracked-files=all", "--", "data/answers").splitlines()
        changed = {line[3:].strip('"') for line in listed}
        texts = {text for file in files if file.name not in changed for one in file.questions for text in one.examples}
        for file in files:
            if file.name in changed:
                lines = project.git("show", f"HEAD:./{file.name}", check=False).split("\n")
                texts |= {line.strip()[2:].strip() for line in lines if line.lstrip().startswith("- ")}
        return frozenset(texts)
    except NoGit:
        return frozenset()


def _all_said(questions: Sequence[Question]) -> list[_Said]:
    return [_Said(one, example, sounded_example(example.text)) for one in questions for example in _examples(one)]


def _examples(one: Question) -> Iterator[Example]:
    for line, text in enumerate(one.examples, one.first):
        yield Example(one.intent, text, text, one.file, line)


def _named(found: Finding) -> Finding:
    """Without what would lead to the page of an intent's examples, where it is not put right."""
    return replace(found, intent=None, text=None)


def _form(questions: Sequence[Question]) -> Iterator[Finding]:
    for one in questions:
        count = len(one.examples)
        if count < FEWEST:
            what = f"{one.id} : elle n’a que {count} exemple{'s' if count > 1 else ''}, il en faut {FEWEST}."
            remedy = f"Ajoutez-en {FEWEST - count}, tous tournés autrement."
            yield error("answer-thin", one.file, one.line, what, remedy)
        dashed = [line for line, text in enumerate(one.examples, one.first) if text.startswith("-")]
        if dashed:
            what = (
                f"{one.id} : un second tiret commence {len(dashed)} de ses {count} exemples, dès la ligne {dashed[0]}."
            )
            yield error("answer-dash", one.file, dashed[0], what, "Retirez-le : il serait appris avec la phrase.")


def _twice(said: Sequence[_Said]) -> Iterator[Finding]:
    """The same sentence at two places of the catalogue."""
    told: dict[str, _Said] = {}
    for each in said:
        other = told.setdefault(each.words.key, each)
        if other is each:
            continue
        apart = other.question.id != each.question.id
        where = f"{other.example.file}:{other.example.line}"
        what = f"{each.question.id} : « {short(each.example.text)} » est déjà un exemple"
        yield error(
            "answer-double",
            each.example.file,
            each.example.line,
            f"{what} de {other.question.id} ({where})." if apart else f"{what} ({where}).",
            "Gardez-le sous la question qui convient ; si les deux conviennent, réunissez-les."
            if apart
            else "Retirez l’un des deux.",
        )


def _elsewhere(said: Sequence[_Said], learned: Neighbours[Example]) -> Iterator[Finding]:
    """The same sentence under another intent of the training data."""
    told: dict[str, list[Example]] = defaultdict(list)
    for example, words in learned.sounded():
        told[words.key].append(example)
    for each in said:
        yield from _under_another(each, told.get(each.words.key, ()))


def _under_another(each: _Said, same: Iterable[Example]) -> Iterator[Finding]:
    """The first of the examples that say the same under another intent."""
    for other in same:
        if other.intent != each.question.intent:
            make = error if other.file == NLU else warning
            yield make(
                "answer-elsewhere",
                each.example.file,
                each.example.line,
                f"{each.question.id} : « {short(each.example.text)} » est aussi un exemple de {other.intent} "
                f"({other.file}:{other.line}).",
                "Gardez-le là où il convient, retirez-le de l’autre fichier.",
            )
            break


# -- nearer to another question --------------------------------------------------------------------------------------------


class _Centroids:
    """The words of each question, by word: `counts[word][number]`, of how many examples have it."""

    def __init__(self, said: Sequence[_Said], numbers: Mapping[str, int]) -> None:
        self.counts: dict[str, Counter[int]] = defaultdict(Counter)
        for each in said:
            for word in each.words.words:
                self.counts[word][numbers[each.question.id]] += 1
        most = max(2.0, COMMON * len(numbers))
        self.rare = {
            word: math.log(1 + len(numbers) / len(held)) for word, held in self.counts.items() if len(held) <= most
        }
        self.squares = [0.0] * len(numbers)
        for word, weight in self.rare.items():
            for number, count in self.counts[word].items():
                self.squares[number] += weight * count
        # What a word brings a sentence nearer to each question by.
        self.nearer = {
            word: [
                (number, weight * math.sqrt(count) / math.sqrt(self.squares[number]))
                for number, count in self.counts[word].items()
            ]
            for word, weight in self.rare.items()
        }

    def ranked(self, words: frozenset[str]) -> list[int]:
        """The questions that share any of these words, the nearest first."""
        scores: dict[int, float] = defaultdict(float)
        for word in words & self.nearer.keys():
            for number, part in self.nearer[word]:
                scores[number] += part
        return sorted(scores, key=scores.__getitem__, reverse=True)

    def nearest(self, words: frozenset[str], own: int) -> int | None:
        """The question that these words are nearer to than to their own, without this example; None when there is none."""
        scores: dict[int, float] = defaultdict(float)
        home, square = 0.0, self.squares[own]
        for word in words & self.nearer.keys():
            weight = self.rare[word]
            home += weight * math.sqrt(self.counts[word][own] - 1)
            square -= weight
            for number, part in self.nearer[word]:
                scores[number] += part
        scores.pop(own, None)
        at_home = home / math.sqrt(square) if square > 1e-9 else 0.0
        best = max(scores, key=scores.__getitem__, default=None)
        return None if best is None or scores[best] <= at_home else best


def _nearer(
    questions: Sequence[Question], said: Sequence[_Said], ids: Optional[Collection[str]] = None
) -> Iterator[Finding]:
    """Questions whose examples lie nearer to another one: most of them is an error, a third a warning. `ids`: of which, None:
    of all."""
    distinct = list({one.id: one for one in questions}.values())
    numbers = {one.id: number for number, one in enumerate(distinct)}
    centroids = _Centroids(said, numbers)
    strays: dict[int, dict[int, list[Example]]] = defaultdict(lambda: defaultdict(list))
    for each in said:
        if ids is not None and each.question.id not in ids:
            continue
        own = numbers[each.question.id]
        nearest = centroids.nearest(each.words.words, own)
        if nearest is not None:
            strays[own][nearest].append(each.example)
    for own, found in sorted(strays.items()):
        nearest, near = max(found.items(), key=lambda item: len(item[1]))
        one, other = distinct[own], distinct[nearest]
        share = len(near) / len(one.examples)
        if len(near) < 2 or share < SUSPECT or other.id in listed(one.answer.metadata.get(APART)):
            continue
        most = share > 0.5
        make, code = (error, "answer-alike") if most else (warning, "answer-near")
        quoted = ", ".join(f"« {short(example.text, 60)} »" for example in near[:SHOWN])
        yield make(
            code,
            one.file,
            one.line,
            f"{one.id} : {len(near)} de ses {len(one.examples)} exemples sont plus proches de {other.id} "
            f"({other.file}:{other.line}) : {quoted}{'…' if len(near) > SHOWN else ''}.",
            "Réunissez les deux questions, ou écrivez des exemples où se lit ce qui les sépare ; si l’ordre des mots y suffit, "
            f"dites-le : « {APART}: ['{other.id}'] »."
            if most
            else "Relisez les deux : un exemple dit-il assez ce qui distingue sa question ?",
        )
