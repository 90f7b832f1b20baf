"""The measuring sets (`tests/gold/*.tsv`) measure, and so does what questions are believed by (`data/etalonnage.tsv`): no message
of theirs stands, or nearly stands, in the training data or twice in the sets, and each row's intents and route are those of the
table."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from bot.core.labelled import ANSWER_COLUMNS, NO_QUESTION
from bot.policy.intents import DANGER_INTENTS, INTENTS
from bot.trainer.checks.finding import Finding, damaged, error, warning
from bot.trainer.corpus import Example, short
from bot.trainer.errors import BadFile
from bot.trainer.gold import SCRIPT_COLUMNS, SCRIPT_NAMES
from bot.trainer.neighbours import Neighbours, Told
from bot.trainer.project import Project

FOLDER = "tests/gold"
CALIBRATION = "data/etalonnage.tsv"  # nothing learns from it but how far a question that was found is believed
T = TypeVar("T", bound=Told)
COLUMNS = ["text", "intent", "second", "route"]
SCRIPTS = SCRIPT_NAMES


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a measuring set. `second`: another acceptable intent, or empty."""

    text: str
    intent: str
    second: str
    route: str
    file: str
    line: int

    @property
    def where(self) -> str:
        """As editors open it."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Script:
    """A line of the set of scripts. `second`: another one of SCRIPTS that a careful reader would accept too, or empty."""

    text: str
    script: str
    second: str
    file: str
    line: int
    intent: ClassVar[None] = None

    @property
    def where(self) -> str:
        """As editors open it."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A line of the set of answers: the questions of the catalogue that answer it, apart by spaces (`bot.trainer.gold`)."""

    text: str
    questions: str
    file: str
    line: int
    intent: ClassVar[None] = None

    @property
    def where(self) -> str:
        """As editors open it."""
        return f"{self.file}:{self.line}"


Kept = Row | Script | Answer


def rows(file: str, text: str) -> Iterator[Kept | Finding]:
    """The rows of a set, by its first line of one kind or the other; what is not a row is told instead."""
    lines = text.rstrip("\n").split("\n")
    head = lines[0].split("\t")
    columns = next((known for known in (SCRIPT_COLUMNS, ANSWER_COLUMNS) if head == known), COLUMNS)
    if head != columns:
        yield error(
            "gold-row",
            file,
            1,
            f"l’en-tête n’est ni {' '.join(COLUMNS)}, ni {' '.join(SCRIPT_COLUMNS)}, ni {' '.join(ANSWER_COLUMNS)}.",
            "La première ligne nomme les colonnes, séparées par des tabulations.",
        )
    for number, line in enumerate(lines[1:], 2):
        cells = line.split("\t")
        if len(cells) != len(columns) or not cells[0].strip():
            yield error(
                "gold-row",
                file,
                number,
                f"{len(cells)} colonnes au lieu de {len(columns)}, ou texte vide.",
                f"Séparez {', '.join(columns)} par des tabulations ; second peut rester vide.",
            )
        elif columns is SCRIPT_COLUMNS:
            yield Script(cells[0], cells[1], cells[2], file, number)
        elif columns is ANSWER_COLUMNS:
            yield Answer(cells[0], cells[1], file, number)
        else:
            yield Row(cells[0], cells[1], cells[2], cells[3], file, number)


def misplaced(row: Kept) -> str | None:
    """What contradicts the table of intents or of scripts, or None."""
    if isinstance(row, Script):
        if row.script not in SCRIPTS:
            return f"réponse inconnue « {row.script} »"
        if row.second and (row.second not in SCRIPTS or row.second == row.script):
            return f"seconde réponse inconnue ou redite « {row.second} »"
        return None
    if isinstance(row, Answer):
        return None  # its questions are those of the catalogue: read by `bot.trainer.gold.read_answers`
    if row.intent not in INTENTS:
        return f"intention inconnue « {row.intent} »"
    if row.second and (row.second not in INTENTS or row.second == row.intent):
        return f"seconde intention inconnue ou redite « {row.second} »"
    if row.route != (right := INTENTS[row.intent].route):
        return f"route « {row.route} », la table dit « {right} »"
    if row.intent in DANGER_INTENTS and row.second and row.second not in DANGER_INTENTS:
        return f"un danger n’admet pas « {row.second} » : il passerait pour compris sans urgence"
    return None


def read(project: Project) -> Iterator[Kept | Finding]:
    """The rows of all sets, and what is wrong with their files. Blocks."""
    files = names(project)
    if not any(file.startswith(FOLDER) for file in files):
        yield error(
            "gold-row", FOLDER, None, "il n’y a aucun jeu de mesure.", "Rétablissez le dossier tests/gold depuis git."
        )
    for file in files:
        try:
            yield from rows(file, project.read(file))
        except BadFile as bad:
            yield damaged(bad)


def names(project: Project) -> list[str]:
    """The files of the sets, the calibration's last; a project of before has none."""
    gold = sorted(path.name for path in project.path(FOLDER).glob("*.tsv"))
    return [*(f"{FOLDER}/{name}" for name in gold), *([CALIBRATION] if project.path(CALIBRATION).exists() else [])]


def index(project: Project) -> Neighbours[Kept]:
    """The rows of all sets by their words; read anew only when a file has changed. Blocks."""
    told = ((name, project.path(name).stat()) for name in names(project))
    stamps = tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in told)
    return _index(project, stamps)


@functools.lru_cache(maxsize=4)
def _index(project: Project, stamps: tuple[tuple[str, int, int], ...]) -> Neighbours[Kept]:
    return Neighbours(each for each in read(project) if not isinstance(each, Finding))


def check(found: Iterable[Kept | Finding], learned: Neighbours[Example]) -> Iterator[Finding]:
    """What contradicts the table, and what stands twice: in the sets, or in the sets and the training data."""
    kept: list[Kept] = []
    for each in found:
        if isinstance(each, Finding):
            yield each
            continue
        kept.append(each)
        if problem := misplaced(each):
            yield error("gold-row", each.file, each.line, f"{problem}.", "Corrigez la ligne.", intent=each.intent)
    for row, twin in twins(kept):
        yield error(
            "gold-row",
            row.file,
            row.line,
            f"« {short(row.text)} » est déjà en {twin.where} : « {short(twin.text)} ».",
            "Gardez l’un des deux : ce qui est mesuré deux fois compte double.",
            intent=row.intent,
        )
    for example, row in leaks(learned, Neighbours(kept)):
        yield leak(example, row)


def outdated(kept: Iterable[Kept], questions: Collection[str]) -> Iterator[Finding]:
    """Lines of the calibration that name only questions that are no longer there: they say nothing."""
    for row in kept:
        if isinstance(row, Answer) and row.file == CALIBRATION and row.questions != NO_QUESTION:
            gone = [name for name in row.questions.split() if name not in questions]
            if len(gone) == len(row.questions.split()):
                what = (
                    f"« {short(row.text)} » : {', '.join(gone)} n’est plus dans le catalogue ; la ligne ne sert plus."
                )
                remedy = "Nommez la question qui répond à ce message, ou « - » s’il n’y en a plus."
                yield warning("gold-row", row.file, row.line, what, remedy, text=row.text)


def leaks(learned: Neighbours[T], kept: Neighbours[Kept]) -> Iterator[tuple[T, Kept]]:
    """Each training example that says what a row asks. (Looked up in the sets, which are small: a third of a second.)"""
    for example, one in learned.sounded():
        for row in kept.doubles_of(one):
            yield example, row


def twins(kept: Iterable[Kept]) -> Iterator[tuple[Kept, Kept]]:
    """(row, an earlier one that says the same)."""
    seen: Neighbours[Kept] = Neighbours()
    for row in kept:
        for twin in seen.doubles(row.text)[:1]:
            yield row, twin
        seen.add(row)


def leak(example: Example, row: Kept) -> Finding:
    """An example that says what a measuring set asks."""
    return error(
        "leak",
        example.file,
        example.line or None,
        f"« {short(example.text)} » redit un message du jeu de mesure ({row.where}) : « {short(row.text)} ».",
        "Retirez l’exemple : mesurer sur ce qui a été appris ne mesure rien.",
        intent=example.intent,
        text=example.text,
    )
