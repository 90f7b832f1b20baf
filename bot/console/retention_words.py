"""The words of retention."""

from __future__ import annotations

from bot.policy.retention import PSEUDONYMISED, Class, Limits

NB = "\u00a0"
CLASSES = {
    Class.EVERYDAY: "Conversations courantes",
    Class.COMPLAINTS: "Réclamations",
    Class.SENSITIVE: "Sensibles, urgentes, témoignages",
    Class.EMERGENCIES: "Urgences",
    Class.RAW: "Webhooks bruts",
    Class.AUDIT: "Journal des actions",
    Class.STATISTICS: "Statistiques",
}
WAYS = {"erased": "effacé", "pseudonymised": "pseudonymisé", "trimmed": "anciens messages effacés"}
ORIGINS = {"nightly": "purge de nuit", "command": "planton purge", "person": "demande d’une personne"}


def days(limits: Limits, of: Class) -> str:
    """« 180 jours »."""
    value = limits.days(of)
    return "sans limite" if value is None else f"{value}{NB}jours"


def then(of: Class) -> str:
    """What becomes of it."""
    return "pseudonymisé, puis effacé avec le journal" if of in PSEUDONYMISED else "effacé"


def of_class(name: str) -> str:
    """A class as the register names it."""
    return CLASSES[Class(name)]


def number(value: int) -> str:
    """« 1 234 »."""
    return f"{value:,}".replace(",", "\u202f")
