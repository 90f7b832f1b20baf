"""`planton check`: everything that is wrong with the trainers' files, each with its place and its remedy."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from bot.app.say import say, typeset
from bot.settings import Settings
from bot.trainer.checks import families
from bot.trainer.checks.all import Progress, check_all
from bot.trainer.checks.finding import Finding
from bot.trainer.project import Project
from bot.trainer.wall import AUTO

SHOWN = 8  # warnings of one kind, unless everything is asked for; errors are all shown


def main(parsed: argparse.Namespace) -> int:
    """Print the findings: 1 when there is an error, 0 with warnings only."""
    from bot.app.places import PROJECT

    settings = Settings()
    today, told = datetime.now(UTC).astimezone(settings.zone).date(), _tell(parsed.json)
    with_rasa = not parsed.sans_rasa
    way = settings.engine_wall if with_rasa else AUTO
    found = check_all(Project(PROJECT), today=today, with_rasa=with_rasa, progress=told, way=way)
    if parsed.json:
        print(json.dumps(as_json(found), ensure_ascii=False, indent=2))
    else:
        print(typeset("\n".join(lines(found, everything=parsed.tout))))
    return 1 if any(one.is_error for one in found) else 0


def as_json(found: Sequence[Finding]) -> dict[str, object]:
    """`{ok, errors, warnings, findings: [{severity, code, file, line, what, remedy, intent}]}`."""
    errors = sum(one.is_error for one in found)
    return {
        "ok": not errors,
        "errors": errors,
        "warnings": len(found) - errors,
        "findings": [one.as_json() for one in found],
    }


def lines(found: Sequence[Finding], everything: bool = False) -> Iterator[str]:
    """One line a finding, errors first; of warnings of one kind the first ones, then how many there are."""
    left = Counter(one.code for one in found if not one.is_error)
    for family in families.FAMILIES:
        yield from (f"erreur : {_line(one)}" for one in found if one.is_error and families.of(one.code) is family)
    for family in families.FAMILIES:
        for code in dict.fromkeys(one.code for one in found if families.of(one.code) is family):
            warnings = [one for one in found if one.code == code and not one.is_error]
            shown = warnings if everything or len(warnings) <= SHOWN + 1 else warnings[:SHOWN]
            yield from (_line(one) for one in shown)
            if hidden := left[code] - len(shown):
                yield f"… et {hidden} autres du même genre ({family.label.lower()}) : planton check --tout"
    errors = sum(one.is_error for one in found)
    yield f"{_count(errors, 'erreur')}, {_count(len(found) - errors, 'avertissement')}."


def _line(one: Finding) -> str:
    return f"{one.where} : {one.what} {one.remedy}"


def _count(number: int, what: str) -> str:
    return f"{number or 'aucun' + ('e' if what == 'erreur' else '')} {what}{'s' if number > 1 else ''}"


def _tell(quiet: bool) -> Progress:
    """Says on a terminal what takes so long; nothing in a pipe."""

    def tell(step: str) -> None:
        if not quiet and sys.stderr.isatty():
            say(f"{step}…")

    return tell
