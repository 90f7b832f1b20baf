"""The role `trainer`: trainings and publications, one thing at a time, at the lowest priority."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Callable, Sequence

from bot.app import conversations, evaluate_answers, evaluate_scripts
from bot.app.evaluate import judge
from bot.app.launcher import engine_environ, engine_python
from bot.app.places import PROJECT
from bot.app.wall import wall
from bot.app.wiring import store
from bot.core.clock import Clock
from bot.settings import Settings
from bot.store.db import TRAINER, Database
from bot.store.workbench.publications import Publications
from bot.trainer.answer_comparison import Answered, AnswerGold
from bot.trainer.candidates import Model
from bot.trainer.comparison import Comparison
from bot.trainer.figures import Judged
from bot.trainer.gold import Case, ScriptCase
from bot.trainer.project import Project
from bot.trainer.publishing import Publisher
from bot.trainer.runs import Taker, Trainings, comparison_of, conductor_of, keep_taking, lowest_priority, once
from bot.trainer.script_figures import ScriptJudged


async def trainer(settings: Settings, url: str) -> None:
    """Takes what trainers ask for, until cancelled."""
    lowest_priority()
    project = Project(PROJECT)
    async with store(settings, url, "trainer", 4, (TRAINER,)) as opened:
        behind = functools.partial(wall, settings)
        python, environ = engine_python(), engine_environ(os.environ)
        make = conductor_of(
            python, environ, measure, var=settings.engines_dir, wall=behind, words=words, answers=answers
        )
        trainings = Trainings(project, opened.database, opened.codec, opened.listener, opened.clock, make)
        publisher = publisher_of(settings, project, opened.database, opened.clock)
        # Who publishes waits for no training that has not begun.
        takers: Sequence[Taker] = (once(publisher.recover), publisher.work, trainings.take)
        await keep_taking(takers, opened.listener)


def publisher_of(settings: Settings, project: Project, database: Database, clock: Clock) -> Publisher:
    """What puts models into service."""

    async def comparison(candidate: str) -> Comparison | None:
        return await comparison_of(database, candidate)

    second = settings.publication_second
    return Publisher(project, Publications(database), comparison, settings.engines_dir, clock=clock, second=second)


def measure(
    cases: Sequence[Case],
    model: Model,
    started: Callable[[subprocess.Popen[bytes]], None],
    seen: Callable[[int], None],
) -> list[Judged]:
    """What a model makes of cases, as `planton eval` judges."""
    return judge(cases, [case.text for case in cases], model, started, seen)


def words(
    cases: Sequence[ScriptCase], model: Model, started: Callable[[subprocess.Popen[bytes]], None]
) -> list[ScriptJudged]:
    """Whose words a model says to cases, as `planton eval` judges."""
    return evaluate_scripts.judge(cases, model, started)


def answers(gold: AnswerGold, model: Model, started: Callable[[subprocess.Popen[bytes]], None]) -> list[Answered]:
    """What a model answers out of the catalogue, as `planton eval` and `make test-nlu` judge: the messages, then the turns."""
    messages = evaluate_answers.judge(gold.messages, model, started)
    turns = conversations.judge(gold.conversations, model, started) if gold.conversations else []
    return [
        *(Answered(one.answered, one.exact, one.reachable, one.wrong) for one in messages),
        *(Answered(one.answered, one.right, one.reachable, one.wrong) for one in turns),
    ]
