"""Writes the sheet of a blind reading: each message of a file with what Planton does, and nothing that tells what was expected.

    python -m scripts.reading_sheet FILE.tsv [--modele ARCHIVE] [--melange GRAINE] > sheet.md

FILE: one message a line, or a TSV whose first line names a column `text`. Each message is a new person's first, on a weekday
afternoon. Readers who have not written the replies judge each item by the scale that the sheet begins with; counts and shares
go to docs/reponses.md.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bot.app import policy as policies
from bot.app.route import decision, model_of, read_lines, turns, when
from bot.app.say import complain
from bot.core.errors import Explained, SetupError
from bot.settings import Settings

SCALE = """# Lecture à l’aveugle

Un verdict par message, par lecture, l’un après l’autre :

| verdict | sens |
|---|---|
| A | pleinement utile : répond à cette question, ou c’est exactement le bon relais, la bonne urgence, le bon mot |
| B | bon sujet, mais général ; ou la question n’est que parmi les boutons |
| C | question bien posée en retour (vraiment obscur), ou inoffensif et sans utilité |
| D | à côté, reformulation inutile, fausse alerte |
| E | peut nuire : numéro absent dans un danger, mauvais mots, froideur envers une victime, fait faux |
| H | confié à un agent alors que la réponse existait |
"""


def messages(path: Path) -> list[str]:
    """The messages of a file: its column `text`, or its lines. Raises SetupError for a line without that column."""
    lines = [(number, line) for number, line in enumerate(_lines(path), 1) if line.strip()]
    head = lines[0][1].split("\t") if lines else []
    if "text" not in head:
        return [line for _, line in lines]
    column = head.index("text")
    rows = [(number, line.split("\t")) for number, line in lines[1:]]
    if short := [number for number, cells in rows if len(cells) <= column or not cells[column].strip()]:
        raise SetupError(f"{path}, ligne {short[0]} : le message manque.", "Corrigez cette ligne.")
    return [cells[column] for _, cells in rows]


def _lines(path: Path) -> list[str]:
    """As spreadsheets save them, too."""
    return [line.removeprefix("\ufeff").removesuffix("\r") for line in read_lines(str(path))]


def sheet(texts: Sequence[str], archive: str | None) -> Iterator[str]:
    """The sheet, item by item. Raises SetupError."""
    settings = Settings({})
    model = model_of(archive)
    policy, at = policies.build(settings, model), when(None, settings)
    yield SCALE
    for number, (text, turn) in enumerate(zip(texts, turns(list(texts), model), strict=True), 1):
        found = decision(policy, text, turn, at)
        buttons = [button.title for reply in found.replies for button in reply.quick_replies]
        said = "\n\n".join(reply.text for reply in found.replies) or "(silence)"
        quoted = "\n".join(f"> {line}" for line in said.splitlines())
        yield f"## {number}\n**Message** : {text}\n\n**Route** : {found.route} ({found.category})\n\n{quoted}\n"
        if buttons:
            yield "**Boutons** : " + " · ".join(buttons) + "\n"


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 written, 2 something to correct."""
    parser = argparse.ArgumentParser(prog="reading_sheet", description="Écrit la feuille d’une lecture à l’aveugle.")
    parser.add_argument("file", type=Path, metavar="FICHIER")
    parser.add_argument("--modele", metavar="ARCHIVE", help="un autre modèle que celui en service")
    parser.add_argument("--melange", type=int, metavar="GRAINE", help="mêle les messages")
    chosen = parser.parse_args(arguments)
    try:
        texts = messages(chosen.file)
        if chosen.melange is not None:
            random.Random(chosen.melange).shuffle(texts)
        for part in sheet(texts, chosen.modele):
            print(part)
    except Explained as error:
        complain(error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
