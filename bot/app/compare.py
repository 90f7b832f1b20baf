"""`planton compare`: trains the present files aside and compares the candidate with the model in service, in the terminal."""

from __future__ import annotations

import argparse
import asyncio
import functools
import getpass
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from bot.app import evaluate_answers
from bot.app.access import reach
from bot.app.launcher import engine_environ, engine_python
from bot.app.places import PROJECT
from bot.app.report import LABELS, percent, points
from bot.app.say import say, typeset
from bot.app.wall import wall
from bot.app.workbench import answers, measure, words
from bot.core.errors import Explained, SetupError
from bot.policy.intents import policy_of
from bot.settings import Settings
from bot.store.codec import Codec
from bot.store.db import Database
from bot.store.embedded import Embedded
from bot.store.workbench import readings
from bot.store.workbench.publications import Publications
from bot.trainer.answer_comparison import (
    BECAME,
    MESSAGES,
    TURNS,
    WRONG,
    AnswerChange,
    AnswersCompared,
    TopicCompared,
)
from bot.trainer.comparison import (
    CONFIRMED,
    EMERGENCY,
    FOLDS,
    INTENTS,
    SETS,
    Comparison,
    Judgement,
    SetComparison,
    Words,
)
from bot.trainer.conduct import Conductor, Order, Outcome
from bot.trainer.gold import Case
from bot.trainer.project import Project
from bot.trainer.runs import SINCE

LOSSES = 15  # messages that the terminal shows of a set
NAMES = {
    EMERGENCY: "Urgences",
    INTENTS: "Toutes les intentions",
    CONFIRMED: "Messages confirmés du dernier mois",
    FOLDS: "Validation croisée",
}
STAGES = {
    "copying": "copie des fichiers",
    "checking": "vérification",
    "reading": "lecture des exemples et des règles",
    "learning": "apprentissage des intentions",
    "danger": "apprentissage du score de danger",
    "candidate": "mesure du candidat",
    "current": "mesure du modèle en service",
    "answers": "mesure des réponses du catalogue",
    "comparing": "comparaison",
}
ANSWERS = {MESSAGES: "Réponses du catalogue, messages", TURNS: "Réponses du catalogue, conversations"}
VERDICTS = {"same": "identiques", "noise": "dans le bruit", "progress": "progrès", "decline": "recul"}


def main(parsed: argparse.Namespace) -> int:
    """Train if needed, compare, print; the exit code. Raises Explained."""
    if not engine_python().exists():
        raise SetupError("Le moteur n’est pas installé.", "Faites : make install")
    settings = Settings()
    confirmed, why = _confirmed(settings)
    order = Order(
        Project(PROJECT),
        getpass.getuser(),
        datetime.now(UTC).isoformat(),
        [Case(one.words, one.intent, one.second or "", policy_of(one.intent).route) for one in confirmed],
        [one.event for one in confirmed],
        no_confirmed=why,
        waiting=functools.partial(_waiting, settings),
    )
    conductor = Conductor(
        engine_python(),
        engine_environ(os.environ),
        measure,
        _progress(),
        frugal=parsed.frugal,
        var=settings.engines_dir,
        wall=functools.partial(wall, settings),
        words=words,
        answers=answers,
    )
    outcome = conductor.run(order)
    if parsed.json:
        kept = None if outcome.comparison is None else outcome.comparison.to_json()
        print(json.dumps({"candidate": outcome.candidate, "current": outcome.current, "comparison": kept}))
    else:
        print(typeset("\n".join(_told(outcome))))
    return 0


def _progress() -> Any:
    """Says each stage once, on standard error."""
    seen: set[str] = set()

    def report(stage: str, _share: float, _more: Mapping[str, Any]) -> None:
        if stage not in seen:
            seen.add(stage)
            say(f"{STAGES[stage]}…")

    return report


def _confirmed(settings: Settings) -> tuple[Sequence[readings.Confirmed], str]:
    """The last month's confirmed messages, in memory; without a database, why there are none."""
    try:
        with reach(settings, create=False) as url:
            found = asyncio.run(_read(url, Codec(settings.secret("DATA_KEY"))))
    except (Explained, psycopg.Error, SQLAlchemyError, OSError) as error:
        return [], error.what.rstrip(".") if isinstance(error, Explained) else "la base de données ne répond pas"
    return [one for one in found if one.words.strip()], "aucun message confirmé ce dernier mois"


def _waiting(settings: Settings) -> frozenset[str] | None:
    """The candidates that somebody waits for: nobody where there never was a database; None where it does not answer."""
    try:
        with reach(settings, create=False) as url:
            return asyncio.run(_awaited(url))
    except (Explained, psycopg.Error, SQLAlchemyError, OSError):
        return frozenset() if not settings.database_url and not Embedded(settings.var_dir).exists else None


async def _awaited(url: str) -> frozenset[str]:
    database = Database(url, size=1, name="planton-compare")
    try:
        return await Publications(database).awaited()
    finally:
        await database.close()


async def _read(url: str, codec: Codec) -> Sequence[readings.Confirmed]:
    database = Database(url, size=1, name="planton-compare")
    try:
        async with database.begin() as connection:
            return await readings.confirmed(connection, codec, database.clock.now() - SINCE)
    finally:
        await database.close()


def _told(outcome: Outcome) -> Iterator[str]:
    if outcome.comparison is None:
        yield f"Rien n’a changé : le modèle en service ({outcome.current}) a été entraîné avec ces mêmes fichiers."
        return
    yield from table(outcome.comparison)


def table(comparison: Comparison) -> Iterator[str]:
    """All of a comparison for people: the sets, then each with its figures, its intents, and what was lost."""
    yield f"candidat {comparison.candidate}, en service {comparison.current or '(aucun modèle)'}"
    yield ""
    yield f"{'jeu':<38}{'messages':>9}{'service':>10}{'candidat':>10}{'gains':>7}{'pertes':>8}  verdict"
    for name in SETS:
        yield _line(comparison.set(name))
    for name in SETS:
        each = comparison.set(name)
        if each.candidate:
            yield ""
            yield from _figures(each)
    if comparison.words is not None:
        yield ""
        yield from _words(comparison.words_before, comparison.words)
    for one in comparison.answers:
        yield ""
        yield from _answers(one)
    for note in comparison.notes:
        yield ""
        yield note


def _answers(one: AnswersCompared) -> Iterator[str]:
    yield f"{f'{ANSWERS[one.name]} ({one.candidate.n})':<50}{'service':>9}{'candidat':>10}{'écart':>10}"
    for name, label in evaluate_answers.LABELS.items():
        before, after = one.current.share(name) if one.current else None, one.candidate.share(name)
        yield f"{label:<50}{percent(before):>9}{percent(after):>10}{_change(before, after):>10}"
    yield from _topics(one.topics)
    for title, rows, n in (("moins bien", one.losses, one.worse), ("mieux", one.gains, one.better)):
        if rows:
            yield f"{title}, {n} :"
        for row in rows:
            yield f"  {row.text}\n      {_asked(one, row)}"
            yield f"      en service {_became(one, row.was, row.before)}, candidat {_became(one, row.now, row.after)}"
        if n > len(rows):
            yield f"  … et {n - len(rows)} autres"


def _topics(topics: Sequence[TopicCompared]) -> Iterator[str]:
    """Each topic, both models' shares in one column a figure."""
    if topics:
        yield f"{'par sujet, service → candidat':<34}{'messages':>9}{'exactes':>18}{'à un bouton':>18}{'autres':>18}"
    for each in topics:
        shares = (
            f"{percent(each.current.share(name) if each.current else None)} → {percent(each.candidate.share(name))}"
            for name in evaluate_answers.LABELS
        )
        yield f"  {each.topic:<32}{each.candidate.n:>9}" + "".join(f"{both:>18}" for both in shares)


def _asked(one: AnswersCompared, row: AnswerChange) -> str:
    titles = " ou ".join(f"« {one.title(question)} »" for question in row.questions)
    return titles or "aucune question du catalogue n’y répond"


def _became(one: AnswersCompared, became: str, question: str | None) -> str:
    return f"{BECAME[became]} (« {one.title(question)} »)" if became == WRONG and question else BECAME[became]


def _words(before: Words | None, after: Words) -> Iterator[str]:
    yield f"{'Mots des urgences':<50}{'service':>9}{'candidat':>10}"
    yield f"{'mots justes':<50}{percent(before.right if before else None):>9}{percent(after.right):>10}"
    for label, name in (("mots nuisibles", "harmful"), ("détresses sans le 3114", "unheard")):
        yield f"{label:<50}{getattr(before, name) if before else '—':>9}{getattr(after, name):>10}"


def _line(each: SetComparison) -> str:
    name = NAMES[each.name]
    if each.candidate is None:
        return f"{name:<38}{each.missing}"
    before = percent(each.current.shares["accuracy"]) if each.current else "—"
    after = percent(each.candidate.shares["accuracy"])
    verdict = f"{VERDICTS[each.test.verdict]} (p = {each.test.p:.3f})" if each.current else each.missing
    verdict += f" : {said}" if (said := each.plainly) else ""
    return f"{name:<38}{each.candidate.n:>9}{before:>10}{after:>10}{each.test.gains:>7}{each.test.losses:>8}  {verdict}"


def _figures(each: SetComparison) -> Iterator[str]:
    assert each.candidate is not None
    yield f"{NAMES[each.name]:<50}{'service':>9}{'candidat':>10}{'écart':>10}"
    for name, label in {**LABELS, "ece": "erreur de calibration (ECE)"}.items():
        before = each.current.shares[name] if each.current else None
        after = each.candidate.shares[name]
        if before is not None or after is not None:
            yield f"{label:<50}{percent(before):>9}{percent(after):>10}{_change(before, after):>10}"
    for name, both in each.intents.items():
        before = both.before.accuracy if both.before else None
        after = both.after.accuracy if both.after else None
        if before != after:
            yield f"  {name:<48}{percent(before):>9}{percent(after):>10}{_change(before, after):>10}"
    for title, rows in (("pertes", each.losses), ("gains", each.gains)):
        yield from _messages(title, rows)


def _messages(title: str, rows: Sequence[Judgement]) -> Iterator[str]:
    if rows:
        yield f"{title} :"
    for row in rows[:LOSSES]:
        words = f"message {row.event}" if row.event is not None else row.text
        yield f"  {words}\n      {row.wanted} ; en service {_seen(row.before)}, candidat {_seen(row.after)}"
    if len(rows) > LOSSES:
        yield f"  … et {len(rows) - LOSSES} autres (tous avec --json)"


def _seen(reading: Any) -> str:
    return f"{reading.intent or 'rien'}{f' ({reading.route})' if reading.route else ''}"


def _change(before: float | None, after: float | None) -> str:
    return "" if before is None or after is None else points(after - before)
