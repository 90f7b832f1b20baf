"""`planton person export|erase`: a person's rights of access and erasure, by the id that their platform gives them here."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment

from bot.app import person_words as words
from bot.app.access import check_key, reach
from bot.app.interrupted import interrupted
from bot.app.say import say, typeset
from bot.core.errors import Explained, SetupError
from bot.gateway import spool
from bot.settings import Settings
from bot.store import binding
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.persons import Erasure, Found, Persons
from bot.store.volumes import RollUp
from bot.store.workbench.drift import Drift

Rows = list[dict[str, Any]]


def main(parsed: argparse.Namespace) -> int:
    """Export or erase; the exit code (1: not confirmed). Raises Explained."""
    settings = Settings()
    if (parsed.id is None) == (parsed.conversation is None):
        raise SetupError(
            "De qui s’agit-il ?", "Donnez un identifiant, ou --conversation et son numéro dans la console."
        )
    codec = Codec(settings.secret("DATA_KEY"))
    files = _files(parsed) if parsed.action == "export" else None
    with reach(settings, create=False) as url:

        async def work() -> int:
            database = Database(url, size=3, name="planton-person")
            try:
                await check_key(database, codec, keeps=parsed.action == "erase" and not parsed.simuler)
                persons = Persons(database, codec)
                who = parsed.id if parsed.id is not None else await persons.behind(parsed.conversation)
                found = await persons.find(who, parsed.plateforme, parsed.compte)
                if parsed.action == "export":
                    return await _export(persons, found, settings, files)
                counting = (RollUp(database), Drift(database, settings.zone))
                async with binding.following(database, codec, settings.var_dir):
                    return await _erase(persons, found, settings, parsed, counting)
            finally:
                await database.close()

        with interrupted("La commande s’est interrompue", "rien n’a été changé."):
            return asyncio.run(work())


def _operator() -> str:
    """Who asks, as the operating system knows them; behind sudo, who typed it."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


# -- export ------------------------------------------------------------------------------------------------------------


def _files(parsed: argparse.Namespace) -> tuple[Path, Path] | None:
    """(JSON, HTML) to write, or None for the standard output. Raises SetupError before anything is read."""
    if parsed.vers is None:
        if sys.stdout.isatty() and not parsed.afficher:
            raise SetupError(
                "L’export contient les mots d’une personne : il ne s’affiche pas par mégarde.",
                "Donnez un fichier avec --vers, ou demandez l’affichage avec --afficher.",
            )
        return None
    target = Path(parsed.vers)
    target = target if target.suffix == ".json" else target.with_name(target.name + ".json")
    both = target, target.with_suffix(".html")
    for path in both:
        if path.exists():
            raise SetupError(f"{path} existe déjà.", "Donnez un autre nom, ou ôtez ce fichier.")
        if not path.parent.is_dir():
            raise SetupError(f"Le dossier {path.parent} n’existe pas.", "Créez-le, ou donnez un autre fichier.")
    return both


async def _export(persons: Persons, found: Found, settings: Settings, files: tuple[Path, Path] | None) -> int:
    now = await persons.now()
    unread = [words.unreadable(found.unreadable, exported=True)] if found.unreadable else []
    opened = await persons.export(found, _operator(), now)
    tables = {name: [_kept(name, row) for row in rows] for name, rows in opened.items()}
    marks = _spooled(settings, found.person)
    if marks:
        tables["emergency.log"] = marks
    document = {
        "personne": found.person,
        "fait_le": now.isoformat(),
        "a_relire": typeset(words.REVIEW),
        "non_communique": [typeset(line) for line in (*words.WITHHELD, *unread)],
        "tables": {
            name: {"titre": typeset(words.TITLES[name][0]), "a_relire": words.TITLES[name][1], "lignes": tables[name]}
            for name in words.TITLES
            if tables.get(name)
        },
    }
    text = json.dumps(document, ensure_ascii=False, indent=1, default=_plain)
    for line in unread:
        say(line)
    if files is None:
        print(text)
        return 0
    _write(files[0], text)
    _write(files[1], _page(found.person, now.astimezone(settings.zone), tables, settings, unread))
    n = sum(len(rows) for rows in tables.values())
    say(f"{n} lignes écrites dans {files[0]} et {files[1]}, lisibles par vous seul. Effacez-les une fois remises.")
    return 0


def _kept(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row less what is not handed over."""
    kept = {name: "un agent" if name in words.AGENTS else value for name, value in row.items() if value is not None}
    if table == "legal_holds":
        kept["reason"] = "non communiqué"
    if table == "audit":  # details name accounts, teams, other conversations
        kept.pop("detail", None)
        kept.pop("conversations", None)
    return kept


def _plain(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _write(path: Path, text: str) -> None:
    """A file that its owner alone reads; never over another."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _lines(value: Any, of: str = "") -> Iterator[str]:
    """JSON types as lines to read: « texte : Bonjour ». What is empty is left out."""
    if isinstance(value, dict):
        for name, one in value.items():
            if name not in words.INSIDE_LEFT_OUT:
                yield from _lines(one, words.INSIDE.get(name) or words.COLUMNS.get(name, str(name)))
    elif isinstance(value, list):
        for one in value:
            yield from _lines(one, of)
    elif value not in (None, "", False):
        plain = "oui" if value is True else _plain(value)
        yield f"{of}\u00a0: {plain}" if of else plain


def _page(
    person: str, made: datetime, tables: Mapping[str, Rows], settings: Settings, unread: Sequence[str] = ()
) -> str:
    """The same for people to read: what is technical alone stays in the JSON."""

    def said(column: str, value: Any) -> str:
        if isinstance(value, datetime):
            return value.astimezone(settings.zone).strftime("%d/%m/%Y %H:%M:%S")
        if isinstance(value, (dict, list)):
            return "\n".join(_lines(value))
        return words.VALUES.get(column, {}).get(value, _plain(value)) if isinstance(value, str) else _plain(value)

    def cells(row: Mapping[str, Any]) -> list[tuple[str, str]]:
        agent = [("par", "un agent")] if any(row.get(name) == "un agent" for name in words.AGENTS) else []
        told = [
            (words.COLUMNS[name], said(name, value))
            for name, value in row.items()
            if name in words.COLUMNS and value not in ("", [], {})
        ]
        return told + agent

    return (
        Environment(autoescape=True)
        .from_string(words.TEMPLATE)
        .render(
            person=person,
            made=made.strftime("%d/%m/%Y à %H:%M"),
            review=typeset(words.REVIEW),
            withheld=[typeset(line) for line in (*words.WITHHELD, *unread)],
            tables=[
                (typeset(title), review, [cells(row) for row in tables[name]])
                for name, (title, review) in words.TITLES.items()
                if tables.get(name)
            ],
        )
    )


# -- the gateway's file of emergencies -----------------------------------------------------------------------------------


def _spooled(settings: Settings, person: str) -> Rows:
    return [
        {"platform": m.platform.value, "account": m.account, "kind": m.danger, "at": m.at, "answered_at": m.answered}
        for m in spool.read(settings.var_dir / "emergency.log")
        if m.person == person
    ]


# -- erasure -----------------------------------------------------------------------------------------------------------


async def _erase(
    persons: Persons,
    found: Found,
    settings: Settings,
    parsed: argparse.Namespace,
    counting: Sequence[RollUp | Drift],
) -> int:
    now = await persons.now()
    would = await persons.preview(found, now, parsed.malgre)
    _tell("Partirait", would)
    marks = len(_spooled(settings, found.person))
    if marks:
        _print(f"  urgences répondues pendant une panne (emergency.log) : {marks}")
    if parsed.simuler:
        if would.blocked:
            _print(f"Pour l’instant, l’effacement serait refusé. {would.blocked}")
        return 0
    if not parsed.oui and not await _confirmed():
        _print("Rien n’a été effacé.")
        return 1
    done = Erasure()
    try:
        with interrupted("L’effacement s’est interrompu", "la même commande finit, rien n’est fait à moitié."):
            for one in counting:  # figures are counted before what they count goes
                await one.catch_up(now)
            await persons.erase(found, _operator(), now, parsed.malgre, into=done)
    except Explained:
        if done.counts.total():
            _tell("Effacé jusque-là", done)
        raise
    spool.drop(settings.var_dir / "emergency.log", found.person)
    _tell("Effacé", done)
    _traces(done)
    return 0


async def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise SetupError(
            "L’effacement ne se défait pas : il faut le confirmer.", "Ajoutez --oui, ou lancez-le d’un terminal."
        )
    answer = await asyncio.to_thread(input, typeset("Effacer tout cela pour toujours ? Écrivez « effacer » : "))
    return answer.strip().casefold() == "effacer"


def _print(line: str) -> None:
    print(typeset(line))


def _tell(title: str, of: Erasure) -> None:
    many = "s" if of.conversations > 1 else ""
    _print(f"{title} : {of.conversations} conversation{many}, {sum(of.counts.values())} lignes.")
    for table, (name, _) in words.TITLES.items():
        if of.counts.get(table):
            _print(f"  {name} : {of.counts[table]}")


def _traces(done: Erasure) -> None:
    """What stays, and where it leads: nowhere."""
    if done.rewritten:
        _print(
            f"Webhooks bruts gardés pour la conservation légale d’une autre personne : {done.rewritten} ; sa part en est ôtée."
        )
    if done.audit:
        _print(
            f"Journal : {done.audit} {'ligne garde' if done.audit == 1 else 'lignes gardent'} le numéro d’une conversation "
            "qui n’existe plus ; aucun nom, aucun mot."
        )
    if done.unreadable:
        _print(words.unreadable(done.unreadable, exported=False))
        _print(
            "  Si vous avez encore la clé d’avant, ajoutez-la à DATA_KEY et relancez ; sinon, la purge efface à leur terme "
            "les webhooks bruts illisibles."
        )
    for kind, file, name in (*done.examples, *done.stories):
        _print(
            f"Reste, public et sans nom : {file}, {name} ({_KINDS[kind]}). Relisez-le dans l’atelier ; le lien est coupé."
        )
    _print("Restent en dehors : les sauvegardes (docs/rgpd.md) et ce que Meta garde.")


_KINDS = {
    "add": "exemple ajouté",
    "remove": "exemple retiré",
    "move": "exemple déplacé",
    "edit": "exemple modifié",
    "story": "histoire",
    "test": "essai",
}
