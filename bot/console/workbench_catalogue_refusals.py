"""Why a form of the catalogue is refused: all that is wrong with it at once, so that nobody saves five times to hear five faults.

The checks of a form each raise their own error; `raised_by` collects them, `together` makes one error of them, and the page lists
the `points` of whatever was raised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from bot.console import workbench_catalogue_words as says
from bot.console.workbench_pseudonyms import Personal
from bot.core.errors import Explained
from bot.trainer.errors import Changed, TrainerError
from bot.trainer.pseudonyms import Replacement
from bot.trainer.reply_checks import BadReply


@dataclass(frozen=True)
class Point:
    """One thing that is wrong, in French."""

    what: str
    remedy: str


class Unreadable(TrainerError):
    """A date of the form cannot be read."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "Rien n’a été enregistré.")


class Several(TrainerError):
    """A form with several faults; `errors`: each of them."""

    def __init__(self, errors: Sequence[TrainerError]) -> None:
        super().__init__(f"{len(errors)} points sont à corriger.", "Rien n’a été enregistré.")
        self.errors = tuple(errors)


async def raised_by(check: Awaitable[object]) -> list[TrainerError]:
    """What a check refuses, if anything. Raises Changed: what the form is about is no longer as it was shown."""
    try:
        await check
    except Changed:
        raise
    except TrainerError as error:
        return [error]
    return []


def together(errors: Sequence[TrainerError]) -> TrainerError:
    """One error of at least one."""
    return errors[0] if len(errors) == 1 else Several(errors)


def points(error: Explained, id_: str = "") -> list[Point]:
    """Everything that an error tells. `id_`: the question that the form is about, whose name need not be said."""
    if isinstance(error, Several):
        dates = any(isinstance(one, Unreadable) for one in error.errors)
        return [point for one in error.errors for point in _points(one, id_, dates)]
    return _points(error, id_)


def personal(error: Explained | None) -> Sequence[Replacement]:
    """What is personal in the form, for the trainer to confirm or to replace."""
    errors = error.errors if isinstance(error, Several) else (error,)
    return [piece for one in errors if isinstance(one, Personal) for piece in one.found]


def _points(error: Explained, id_: str, dates: bool = False) -> list[Point]:
    """`dates`: that a date cannot be read has been told already."""
    if not isinstance(error, BadReply):
        return [Point(says.typeset(error.what), says.typeset(error.remedy))]
    return [
        Point(says.sentence(one.what.removeprefix(f"{id_} : ")), says.typeset(one.remedy))
        for one in error.findings
        if not (dates and one.code == "answer-review")
    ]
