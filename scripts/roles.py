"""The tables of docs/roles-postgresql.md: `python -m scripts.roles [--write]`. They follow from `bot.store.grants` alone."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from bot.store.granting import parsed
from bot.store.grants import FUNCTIONS, PARTS, READS_ALL, SEQUENCES, TABLES
from scripts.marks import around

PAGE = Path(__file__).resolve().parents[1] / "docs" / "roles-postgresql.md"
LETTERS = {"SELECT": "L", "INSERT": "A", "UPDATE": "M", "DELETE": "E"}
VERBS = {"SELECT": "lire", "INSERT": "ajouter", "UPDATE": "modifier", "DELETE": "effacer"}


def written(page: str) -> str:
    """The page with the tables that follow from the grants."""
    for name, lines in (("matrice", _matrix()), ("colonnes", _columns()), ("fonctions", _functions())):
        before, _, after = around(page, f"<!-- {name} -->\n", f"<!-- fin {name} -->\n")
        page = before + "".join(f"{line}\n" for line in lines) + after
    return page


def _tables() -> Sequence[str]:
    return sorted({table for tables in TABLES.values() for table in tables})


def _matrix() -> Iterator[str]:
    yield f"| table | {' | '.join(PARTS)} |"
    yield "|---" * (len(PARTS) + 1) + "|"
    for table in _tables():
        yield f"| `{table}` | {' | '.join(_cell(part, table) for part in PARTS)} |"


def _cell(part: str, table: str) -> str:
    grant = TABLES.get(part, {}).get(table, "SELECT" if part in READS_ALL else "")
    granted = dict(parsed(grant))
    found = ""
    for verb, letter in LETTERS.items():
        if verb in granted:
            found += letter.lower() if granted[verb] else letter
    return found or "–"


def _columns() -> Iterator[str]:
    yield "| rôle | table | verbe | colonnes |"
    yield "|---|---|---|---|"
    for part, tables in TABLES.items():
        for table, grant in sorted(tables.items()):
            for verb, columns in parsed(grant):
                if columns:
                    yield f"| {part} | `{table}` | {VERBS[verb]} | {', '.join(sorted(columns))} |"


def _functions() -> Iterator[str]:
    yield "| fonction ou séquence | qui l’emploie |"
    yield "|---|---|"
    for name, parts in sorted({**FUNCTIONS, **SEQUENCES}.items()):
        yield f"| `{name}` | {', '.join(parts)} |"


def main() -> int:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the tables into the page")
    page = written(PAGE.read_text(encoding="utf-8"))
    if parser.parse_args().write:
        PAGE.write_text(page, encoding="utf-8")
    else:
        print(page, end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
