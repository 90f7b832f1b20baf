"""Messages with the questions of the catalogue that answer them: `tests/gold/answers.tsv`, which measures, and
`data/etalonnage.tsv`, which says how far a question that was found is to be believed. Read and checked line by line."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bot.core.errors import SetupError

ANSWER_COLUMNS = ["text", "questions"]
NO_QUESTION = "-"  # none of the catalogue's answers a message
SHOWN = 5


@dataclass(frozen=True)
class AnswerCase:
    """A message and the questions of the catalogue that answer it, any of which will do; () where none does."""

    text: str
    questions: tuple[str, ...]
    line: int = 0


def names_answers(path: Path) -> bool:
    """Whether a set says which questions answer its messages. Raises SetupError when it cannot be read."""
    return lines_of(path)[0].split("\t") == ANSWER_COLUMNS


def read_answers(path: Path, known: Collection[str] | None) -> list[AnswerCase]:
    """Cases of a set of answers. `known`: the catalogue's questions; None: any name will do. Raises SetupError, with the line's
    number, for whatever is not of that form."""
    if not names_answers(path):
        advice = f"La première ligne nomme les colonnes, séparées par une tabulation : {', '.join(ANSWER_COLUMNS)}."
        raise SetupError(f"{path}, ligne 1 : ce n’est pas un jeu de réponses.", advice)
    cases: list[AnswerCase] = []
    wrong: list[str] = []
    for number, line in enumerate(lines_of(path)[1:], 2):
        if not line.strip():
            continue
        text, told, *more = [*line.split("\t"), ""]
        questions = tuple(told.split())
        strange = [name for name in questions if known is not None and name not in known and name != NO_QUESTION]
        if not text.strip():
            wrong.append(f"{path}, ligne {number} : le message est vide.")
        elif not questions or len(more) > 1 or (NO_QUESTION in questions and len(questions) > 1):
            wrong.append(f"{path}, ligne {number} : il faut un message, une tabulation, puis des questions ou « - ».")
        elif strange:
            wrong.append(f"{path}, ligne {number} : question inconnue « {strange[0]} ».")
        cases.append(AnswerCase(text, () if NO_QUESTION in questions else questions, number))
    if wrong:
        more_wrong = [f"… et {len(wrong) - SHOWN} autres lignes à corriger."] if len(wrong) > SHOWN else []
        raise SetupError("\n".join([*wrong[:SHOWN], *more_wrong]), "Les questions sont celles de data/answers.")
    if not cases:
        raise SetupError(f"{path} ne contient aucun message.", "Écrivez-en un par ligne, sous les noms des colonnes.")
    return cases


def lines_of(path: Path) -> list[str]:
    """Of a file in UTF-8, as editors and spreadsheets save it. Raises SetupError."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path} {_why(error)}.", "Vérifiez le chemin.") from None
    try:
        content = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = raw.count(b"\n", 0, error.start) + 1
        raise SetupError(
            f"{path}, ligne {number} : ce n’est pas de l’UTF-8.", "Enregistrez le fichier en UTF-8."
        ) from None
    return [line.removesuffix("\r") for line in content.split("\n")]


def _why(error: OSError) -> str:
    """What the system reported, in plain French."""
    if isinstance(error, FileNotFoundError):
        return "n’existe pas"
    if isinstance(error, IsADirectoryError):
        return "est un dossier, pas un fichier"
    if isinstance(error, PermissionError):
        return "ne peut pas être lu : les droits manquent"
    return "ne peut pas être lu"
