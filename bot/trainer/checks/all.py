"""Every check over the whole project, and those of one example."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import Optional

from bot.core.catalogue import AnswersFile
from bot.trainer.checks import doubles, examples, gold, intents, lists, rasa, scripts, stories
from bot.trainer.checks.context import Context
from bot.trainer.checks.files import CONFIG, DANGER, PRECISIONS, RULES, STORIES, Domain, Files
from bot.trainer.checks.finding import Finding, error, ordered
from bot.trainer.corpus import NLU, Example, without_marks
from bot.trainer.errors import BadFile
from bot.trainer.neighbours import Neighbours
from bot.trainer.project import Project
from bot.trainer.wall import AUTO

Progress = Callable[[str], None]


def check_example(context: Context, intent: str, marked: str, instead: Optional[Example] = None) -> list[Finding]:
    """What is wrong with an example that is about to be written: milliseconds. Errors first; `line` is None.

    `instead`: the example that it replaces (an edit) or that it is (a look at one that stands), which is no double of it.
    """
    example = Example(intent, without_marks(marked), marked, NLU, 0)
    return ordered(_of_one(context, example, instead))


def _of_one(context: Context, example: Example, instead: Optional[Example]) -> Iterator[Finding]:
    if not example.text.strip(" -"):
        yield error("empty", NLU, None, "l’exemple est vide.", "Écrivez un message, comme une personne l’écrirait.")
        return
    yield from examples.length(example)
    yield from examples.marks(example, context.entities)
    yield from examples.personal(example)
    for row in context.gold.doubles(example.text)[:1]:
        yield gold.leak(example, row)
    kin = context.of_intent(example.intent)
    yield from doubles.of_one(example, context.neighbours, kin, lambda other: other == instead)


def check_all(
    project: Project,
    *,
    today: Optional[date] = None,
    with_rasa: bool = False,
    progress: Progress = lambda step: None,
    way: str = AUTO,
) -> list[Finding]:
    """Every finding, errors first. Some seconds, ten more `with_rasa`, behind the wall of that `way` (ENGINE_WALL). Blocks;
    `progress` hears what is being done, in French.

    A damaged file is one finding; what needs it is left out, everything else goes on.
    """
    files = Files(project)
    progress("lecture des fichiers")
    corpus, domain = files.corpus(), files.domain()
    catalogue = files.answers()
    rules, told = files.tree(RULES), files.tree(STORIES)
    for name in (PRECISIONS, DANGER, CONFIG):
        files.tree(name)
    found: list[Finding] = []
    progress("intentions, règles et histoires")
    found += stories.check(rules, told, domain)
    found += lists.check(corpus.lists)
    if domain is not None:
        found += intents.check(corpus, domain)
        found += intents.complete(domain, rules, files.text(intents.GUIDE))
        found += stories.slots(files.tree("domain.yml"), domain)
    progress("exemples")
    known = frozenset(domain.entities) if domain else None
    found += examples.check(corpus.examples, known, examples.recorded(project, corpus))
    progress("ressemblances")
    neighbours = Neighbours.of(corpus)
    found += doubles.check(corpus.examples, neighbours)
    progress("jeux de mesure")
    sets = [*gold.read(project)]
    found += gold.check(sets, neighbours)
    kept = [row for row in sets if not isinstance(row, Finding)]
    if (words := files.scripts()) is not None:
        progress("choix des mots d’une urgence")
        found += scripts.check(words, kept, scripts.recorded(project))
    progress("réponses")
    found += _replies(files, today or date.today(), found)  # noqa: DTZ011
    if catalogue:
        progress("catalogue des questions")
        found += _answers(catalogue, project, domain, today or date.today(), neighbours, kept)  # noqa: DTZ011
    if with_rasa and not files.found:
        progress("vérification par Rasa")
        found += rasa.check(project, found, way)
    return ordered([*files.found, *found])


def _replies(files: Files, today: date, known: list[Finding]) -> Iterator[Finding]:
    from bot.trainer import reply_checks  # it needs the findings of this package

    missing = {f"utter_{one.intent} " for one in known if one.code == "no-reply"}
    try:
        for one in reply_checks.check(files.project, today):
            if one.code != "reply-missing" or not any(one.what.startswith(name) for name in missing):
                yield one
    except BadFile as bad:
        files.tell(bad)


def _answers(
    catalogue: Sequence[AnswersFile],
    project: Project,
    domain: Optional[Domain],
    today: date,
    neighbours: Neighbours[Example],
    kept: Sequence[gold.Kept],
) -> Iterator[Finding]:
    from bot.trainer.checks import answer_examples, answers  # the rules of replies need the findings of this package

    yield from answers.check(catalogue, domain, today)
    yield from gold.outdated(kept, {one.id for file in catalogue for one in file.questions})
    yield from answer_examples.check(catalogue, neighbours, kept, answer_examples.recorded(project, catalogue))
