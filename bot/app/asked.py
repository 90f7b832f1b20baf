"""The catalogue of questions as it went with the model in service, and how often each question came, for pages that name them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime

from bot.app.places import PROJECT
from bot.console.question_counts import QuestionCount
from bot.core import catalogue
from bot.core.catalogue import Catalogue
from bot.core.errors import SetupError
from bot.store.db import Database
from bot.store.steering import Steering, figures
from bot.trainer.candidates import Model

log = logging.getLogger("planton")


def catalogue_of(in_service: Callable[[], Model | None]) -> Catalogue:
    """The catalogue beside the model that answers now (the project's before the first training); empty where it does not read.

    Blocks: a second for a new catalogue, hardly at all for files that were read before.
    """
    try:
        model = in_service()
        return catalogue.read(model.files if model else PROJECT)
    except SetupError as error:
        log.error("catalogue not read: %s", error.what)
        return Catalogue()


async def counts(database: Database, since: datetime) -> Mapping[str, QuestionCount]:
    """How often each question came from then on, with its thumbs."""
    found = figures(await Steering(database).counts(since, database.clock.now(), hourly=()))
    return {one.question: QuestionCount(one.asked, one.up, one.down) for one in found.questions}
