"""Files of labelled messages: read and checked line by line, so that a slip is found before it is measured."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.core.errors import SetupError
from bot.core.labelled import SHOWN, lines_of, names_answers
from bot.dialogue.texts import read_yaml
from bot.policy.intents import ANSWER, CLARIFY, EMERGENCY, HANDOFF, INTENTS
from bot.policy.scripts import LEARNT, NONE

DOMAIN = Path(__file__).resolve().parents[2] / "domain.yml"
ROUTES = (ANSWER, HANDOFF, EMERGENCY, CLARIFY)
REQUIRED = ("text", "intent", "route")
OPTIONAL = ("second",)
SCRIPT_COLUMNS = ["text", "script", "second"]  # of a set that says which words a message calls for
SCRIPT_NAMES = (*LEARNT, NONE)


@dataclass(frozen=True)
class Case:
    """One labelled message. `second`: another intent that is acceptable, or empty. `line`: where it stands."""

    text: str
    intent: str
    second: str
    route: str
    line: int = 0


@dataclass(frozen=True)
class ScriptCase:
    """A message and whose words it calls for (`bot.policy.scripts`). `second`: another script that is acceptable, or empty."""

    text: str
    script: str
    second: str
    line: int = 0

    @property
    def right(self) -> tuple[str, ...]:
        """The acceptable scripts, the best first."""
        return (self.script, self.second) if self.second else (self.script,)


@functools.cache
def known_intents(path: Path = DOMAIN) -> frozenset[str]:
    """The table's intents and those that the domain adds."""
    domain = read_yaml(path)
    added = domain.get("intents", []) if isinstance(domain, dict) else []
    return frozenset(INTENTS) | {str(next(iter(each)) if isinstance(each, dict) else each) for each in added}


def read(path: Path, domain: Path = DOMAIN) -> list[Case]:
    """Cases of a TSV file with the columns text, intent, route and, optionally, second. `domain`: names the intents.

    Raises SetupError, with the line's number, for whatever is not of that form.
    """
    lines = lines_of(path)
    header = [name.strip() for name in lines[0].split("\t")]
    _check_header(path, header)
    intents = known_intents(domain)
    cases: list[Case] = []
    wrong: list[str] = []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        case = _case(number, line, header)
        problems = [case] if isinstance(case, str) else list(_problems(case, intents))
        wrong += [f"{path}, ligne {number} : {problem}." for problem in problems]
        if isinstance(case, Case):
            cases.append(case)
    if wrong:
        more = [f"… et {len(wrong) - SHOWN} autres lignes à corriger."] if len(wrong) > SHOWN else []
        raise SetupError("\n".join([*wrong[:SHOWN], *more]))
    if not cases:
        raise SetupError(f"{path} ne contient aucun message.", "Écrivez-en un par ligne, sous les noms des colonnes.")
    return cases


def sets(folder: Path) -> list[Path]:
    """The sets of a folder that name intents: all but those of scripts and of answers."""
    return [path for path in sorted(folder.glob("*.tsv")) if not (names_scripts(path) or names_answers(path))]


def script_sets(folder: Path) -> list[Path]:
    """The sets of a folder that name scripts."""
    return [path for path in sorted(folder.glob("*.tsv")) if names_scripts(path)]


def names_scripts(path: Path) -> bool:
    """Whether a set says which words its messages call for. Raises SetupError when it cannot be read."""
    return lines_of(path)[0].split("\t") == SCRIPT_COLUMNS


def answer_sets(folder: Path) -> list[Path]:
    """The sets of a folder that name questions of the catalogue."""
    return [path for path in sorted(folder.glob("*.tsv")) if names_answers(path)]


def read_scripts(path: Path) -> list[ScriptCase]:
    """Cases of a set of scripts. Raises SetupError, with the line's number, for whatever is not of that form."""
    cases: list[ScriptCase] = []
    wrong: list[str] = []
    for number, line in enumerate(lines_of(path)[1:], 2):
        if not line.strip():
            continue
        text, script, second, *more = [*line.split("\t"), "", ""]
        strange = [name for name in (script, *([second] if second else [])) if name not in SCRIPT_NAMES]
        if not text.strip():
            wrong.append(f"{path}, ligne {number} : le message est vide.")
        elif strange or any(more):
            wrong.append(f"{path}, ligne {number} : réponse inconnue « {strange[0] if strange else more[0]} ».")
        cases.append(ScriptCase(text, script, second, number))
    if wrong:
        more_wrong = [f"… et {len(wrong) - SHOWN} autres lignes à corriger."] if len(wrong) > SHOWN else []
        raise SetupError("\n".join([*wrong[:SHOWN], *more_wrong]), f"Les réponses sont : {', '.join(SCRIPT_NAMES)}.")
    if not cases:
        raise SetupError(f"{path} ne contient aucun message.", "Écrivez-en un par ligne, sous les noms des colonnes.")
    return cases


def _check_header(path: Path, header: list[str]) -> None:
    advice = "La première ligne nomme les colonnes, séparées par des tabulations : text, intent, second, route."
    if missing := [name for name in REQUIRED if name not in header]:
        raise SetupError(f"{path}, ligne 1 : colonnes absentes : {', '.join(missing)}.", advice)
    if doubled := sorted({name for name in (*REQUIRED, *OPTIONAL) if header.count(name) > 1}):
        raise SetupError(f"{path}, ligne 1 : colonnes en double : {', '.join(doubled)}.", advice)


def _case(number: int, line: str, header: list[str]) -> Case | str:
    """The case of a line, or what is wrong with its columns. Tabulations that end a line are easily lost: they may be."""
    cells = line.split("\t")
    if len(cells) > len(header):
        return f"{len(cells)} colonnes au lieu de {len(header)}"
    if absent := [name for name in header[len(cells) :] if name in REQUIRED]:
        return f"{len(cells)} colonnes au lieu de {len(header)} (il manque {', '.join(absent)})"
    row = dict(zip(header, cells, strict=False))
    intent, second, route = (row.get(name, "").strip() for name in ("intent", "second", "route"))
    return Case(row["text"], intent, second, route, number)


def _problems(case: Case, intents: frozenset[str]) -> Iterator[str]:
    if not case.text.strip():
        yield "le message est vide"
    for name, value in (("intention", case.intent), ("seconde intention", case.second)):
        if value not in intents and (value or name == "intention"):
            yield f"{name} inconnue « {value} »" if value else "l’intention manque"
    if case.route not in ROUTES:
        yield f"route inconnue « {case.route} » (choix : {', '.join(ROUTES)})" if case.route else "la route manque"
