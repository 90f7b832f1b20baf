"""The catalogue of questions as it went with the model in service, for pages that name its questions."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bot.app.places import PROJECT
from bot.core import catalogue
from bot.core.catalogue import Catalogue
from bot.core.errors import SetupError
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
