"""The outline of the catalogue of questions, docs/reponses.md: `python -m scripts.answers_page [--write] [--at 2027-01-31]`.

By topic each question, its page, of when the copy was that was read, and when it is to be read again. What is overdue is counted on
the day that the page tells, which `--write` sets: the page grows old with the files, not with the calendar.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from bot.console import labels
from bot.core.catalogue import FOLDER, Catalogue, Question, read
from bot.core.errors import SetupError
from bot.policy.intents import INTENTS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reponses.md"
_DAY = re.compile(r"Au (\d\d)/(\d\d)/(\d{4})")


def written(catalogue: Catalogue, at: date) -> str:
    """The whole page."""
    return "\n".join([*_head(catalogue, at), *_topics(catalogue, at)]) + "\n"


def day_of(page: str) -> date:
    """The day on which a page was made. Raises ValueError when it tells none."""
    found = _DAY.search(page)
    if found is None:
        raise ValueError("the page tells no day")
    day, month, year = map(int, found.groups())
    return date(year, month, day)


def _head(catalogue: Catalogue, at: date) -> Iterator[str]:
    questions = catalogue.questions.values()
    unchecked = sum(one.checked is None for one in questions)
    overdue = sum(one.overdue(at) for one in questions)
    yield "# Le catalogue des questions"
    yield ""
    yield f"Fait par `python -m scripts.answers_page --write`, d’après `{FOLDER}/*.yml`. Ne corrigez pas cette page, mais ces"
    yield "fichiers : guide du formateur, « Le catalogue des questions »."
    yield ""
    yield f"Au {at:%d/%m/%Y} : {len(questions)} réponses énoncées, {unchecked} jamais vérifiées sur leur page, {overdue} à relire."
    yield ""
    yield "- **énoncée** : la réponse part telle quelle, d’après la copie de sa page, de la date dite (« s.d. » : sans date) ;"
    yield "- **jamais vérifiée** : personne n’a encore ouvert la page elle-même (`checked: null`), marquée ○ ;"
    yield "- **à relire** : la date de relecture est passée, marquée ⚠."


def _topics(catalogue: Catalogue, at: date) -> Iterator[str]:
    order = {intent: place for place, intent in enumerate(INTENTS)}
    intents = dict.fromkeys(one.intent for one in catalogue.questions.values())
    for intent in sorted(intents, key=lambda name: (order.get(name, len(order)), name)):
        found = catalogue.of(intent)
        yield ""
        title = labels.intent(intent) or intent
        yield f"## {title[:1].upper()}{title[1:]} ({len(found)})"
        yield ""
        yield "| question | page | copie lue | à relire le |"
        yield "|---|---|---|---|"
        yield from (_row(one, at) for one in found)


def _row(one: Question, at: date) -> str:
    mark = "⚠ " if one.overdue(at) else "○ " if one.checked is None else ""
    seen = f"{one.checked:%d/%m/%Y}, vérifiée" if one.checked else one.seen
    review = f"{one.review_by:%d/%m/%Y}" if one.review_by else "–"
    return f"| {mark}{_cell(one.question)} | {_page(one)} | {_cell(seen)} | {review} |"


def _page(one: Question) -> str:
    address = one.link or next(iter(one.source), "")
    host = (urlsplit(address).hostname or "").removeprefix("www.")
    return f"[{host}](<{address}>)" if host and "|" not in address else "–"


def _cell(text: str) -> str:
    return text.replace("|", "\\|") or "–"


def main(arguments: Sequence[str]) -> int:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.answers_page")
    parser.add_argument("--write", action="store_true", help=f"écrit {PAGE.relative_to(ROOT)}")
    parser.add_argument("--at", type=date.fromisoformat, default=datetime.now(UTC).date(), help="le jour du décompte")
    chosen = parser.parse_args(arguments)
    try:
        page = written(read(ROOT), chosen.at)
    except SetupError as error:
        print(f"{error.what} {error.remedy}", file=sys.stderr)
        return 1
    if chosen.write:
        PAGE.write_text(page, encoding="utf-8")
    else:
        print(page, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
