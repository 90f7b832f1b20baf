"""Who has to agree to what leaves, for `planton doctor`: rules that ask for nobody, and rules that nobody can meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from bot.console.labels import CATEGORIES, LEVELS
from bot.monitor.finding import Problem
from bot.policy.rights import Capability, may, reaches
from bot.policy.validation import highest

_ABLE = """
    SELECT u.role, u.validation_level FROM users u
    WHERE u.disabled_at IS NULL AND (
        u.password_hash IS NOT NULL OR EXISTS (SELECT 1 FROM oidc_identities i WHERE i.user_id = u.id))
"""


def problems(connection: psycopg.Connection[dict[str, Any]]) -> Iterator[Problem]:
    """Nothing while nobody has an account: then no human answers anybody."""
    people = connection.execute("SELECT EXISTS (SELECT 1 FROM users WHERE disabled_at IS NULL) AS any").fetchone()
    if not people or not people["any"]:
        return
    rules = {
        row["category"]: row["steps"] for row in connection.execute("SELECT category, steps FROM validation_rules")
    }
    able = [(row["role"], row["validation_level"]) for row in connection.execute(_ABLE)]
    free = [category for category in CATEGORIES if not rules.get(category)]
    if free:
        yield Problem(
            f"Une seule personne suffit pour répondre ({_named(free)}) : aucune validation n’est demandée.",
            "Si une autre personne doit relire, choisissez qui dans la console, « Règles de validation ».",
            advice=True,
        )
    for level, french in LEVELS.items():
        asks = [category for category in CATEGORIES if highest([rules.get(category, [])]) == level]
        if asks and not any(reaches(role, of, level) for role, of in able):
            yield Problem(
                f"Des réponses attendent un accord que personne ne peut donner ({_named(asks)}) : aucun compte actif n’a le "
                f"niveau « {french} ».",
                "Un administrateur donne ce niveau à un validateur dans « Comptes », ou change la règle dans « Règles de "
                "validation ».",
                key=f"validation:{level}",
            )
    if not any(may(role, Capability.VALIDATE) for role, _ in able):
        yield Problem(
            "Aucun compte actif ne peut valider : le message de crise ne pourrait pas l’être.",
            "Un administrateur crée un validateur dans « Comptes ».",
            advice=True,
        )


def _named(categories: list[str]) -> str:
    return ", ".join(CATEGORIES[category].lower() for category in categories)
