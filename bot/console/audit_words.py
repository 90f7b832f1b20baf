"""The audit in French: families of actions for the filter, and what the details of a line say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from bot.console import labels, retention_words, search_words, steering_words, words, work_words
from bot.store import audit
from bot.store.audit_log import Line

NB = "\u00a0"

# In the filter: family → (its words, its actions).
_FAMILIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "consultation": (
        "Consultations",
        ("view", "attachment_viewed", "group_viewed", "talk_read", "search", "audit_read"),
    ),
    "suivi": (
        "Suivi des conversations",
        (
            "take",
            "assign",
            "transfer",
            "give_back",
            "close",
            "reopen",
            "snooze",
            "wake",
            "spam",
            "not_spam",
            "block",
            "unblock",
        ),
    ),
    "ecriture": ("Réponses et notes", ("reply", "suggestion_used", "note", "subject_corrected")),
    "validation": (
        "Validation",
        ("submit", "confirm", "withdraw", "approve", "amend", "refuse", "expire", "rule_changed"),
    ),
    "crise": (
        "Crise",
        (
            "crisis_written",
            "crisis_validated",
            "crisis_opened",
            "crisis_closed",
            "group_reply_written",
            "group_reply_validated",
            "group_started",
            "group_stopped",
            "group_member_removed",
            "group_member_admitted",
        ),
    ),
    "atelier": (
        "Atelier",
        (
            "reading_viewed",
            "reading_decided",
            "reading_undone",
            "example_added",
            "example_removed",
            "example_moved",
            "example_edited",
            "correction_undone",
            "file_discarded",
            "intent_added",
            "intent_removed",
            "story_added",
            "story_undone",
            "training_asked",
            "training_stopped",
            "reply_changed",
            "reply_undone",
            "drift_viewed",
            "model_published",
            "model_rolled_back",
            "gate_overridden",
        ),
    ),
    "reglages": ("Réponses types et délais", ("canned_added", "canned_changed", "canned_archived", "deadline_changed")),
    "conservation": ("Conservation et effacement", ("hold_placed", "hold_lifted", "purge")),
    "export": ("Exports", ("export",)),
    "acces": (
        "Connexions et accès",
        (
            "login",
            "logout",
            "login_refused",
            "second_factor_set",
            "second_factor_removed",
            "recovery_code_used",
            "identity_linked",
            "identity_unlinked",
            "password_changed",
            "sessions_ended",
        ),
    ),
    "comptes": (
        "Comptes et équipes",
        (
            "user_added",
            "user_changed",
            "user_disabled",
            "user_enabled",
            "user_reset",
            "team_added",
            "team_changed",
            "team_archived",
        ),
    ),
}

_PLACED = {action for _, actions in _FAMILIES.values() for action in actions}
_OTHERS = tuple(sorted(audit.ACTIONS - _PLACED))
# With what no family claims, so that every action can be looked for.
FAMILIES = {**_FAMILIES, **({"autres": ("Autres actions", _OTHERS)} if _OTHERS else {})}

# What a detail is called; one that is not here keeps its own name.
_KEYS = {
    "actions": "actions cherchées",
    "after": "après",
    "alert_before": "alerte avant (min)",
    "alert_before_was": "alerte d’avant (min)",
    "author": "écrits par",
    "before": "avant",
    "by": "par",
    "by_link": "par un lien",
    "canned": "réponse type n°",
    "category": "catégorie",
    "change": "changement n°",
    "characters": "caractères",
    "commit": "enregistrement",
    "correction": "correction n°",
    "conversations": "conversations",
    "count": "nombre",
    "crisis": "crise n°",
    "decision": "décision n°",
    "download": "téléchargée",
    "event": "message n°",
    "file": "fichier",
    "further": "page suivante",
    "group": "groupe n°",
    "groups": "groupes de messages",
    "handoff": "demande n°",
    "held_by": "tenue jusque-là par le compte n°",
    "intent": "sujet",
    "intents": "sujets",
    "issuer": "fournisseur d’identité",
    "kept": "copie gardée par git",
    "kind": "sorte",
    "left": "partie",
    "level": "niveau",
    "members": "membres (comptes n°)",
    "messages": "messages",
    "method": "moyen",
    "model": "modèle",
    "name": "nom",
    "names": "noms trouvés",
    "note": "avec une note",
    "number": "pièce",
    "origin": "par",
    "outbox": "envoi n°",
    "people": "personnes",
    "person": "compte cherché n°",
    "previous": "avant",
    "print": "empreinte du registre",
    "priority": "priorité",
    "reason": "motif",
    "recovery_codes": "codes de secours",
    "released": "conversations remises dans la file",
    "replaces": "remplace la crise n°",
    "replies": "réponses",
    "results": "résultats",
    "role": "rôle",
    "rows": "lignes",
    "sent": "déjà envoyés",
    "shortcut": "raccourci",
    "since": "depuis",
    "sought_conversation": "conversation cherchée n°",
    "step": "étape",
    "story": "histoire ou test n°",
    "submission": "soumission n°",
    "system": "actions du système",
    "tag": "étiquette de Meta",
    "taken_back": "messages repris avant envoi",
    "team": "équipe n°",
    "teams": "équipes n°",
    "training": "essai n°",
    "until": "jusqu’à",
    "was": "avant",
    "way": "moyen",
    "what": "objet",
    "why": "raison",
    "withdrawn": "brouillons retirés",
    "within": "délai (min)",
    "within_was": "délai d’avant (min)",
}
_VALUES: Mapping[str, Mapping[str, str]] = {
    "actions": labels.ACTIONS,
    "after": labels.LEVELS,
    "author": {**search_words.AUTHORS, "tous": "tous"},
    "before": labels.LEVELS,
    "category": labels.CATEGORIES,
    "level": labels.LEVELS,
    "method": {"password": "mot de passe", "link": "lien", "oidc": "fournisseur d’identité"},
    "origin": retention_words.ORIGINS,
    "priority": {str(number): name for number, name in steering_words.PRIORITIES.items()},
    "reason": {**work_words.CLOSE, **work_words.BLOCK},
    "role": labels.ROLES,
    "step": {"0": "première", "1": "seconde"},
    "what": {
        "password": "mot de passe",
        "journal": "journal",
        "pilotage": "pilotage",
        "suivi": "suivi de la compréhension",
    },
    "way": {"link": "lien", "password": "mot de passe provisoire"},
    "by": {"time": "l’heure venue", "message": "un nouveau message", "agent": "un agent"},
    "why": {
        "password": "mauvais mot de passe",
        "code": "mauvais code à usage unique",
        "identity": "identité inconnue",
        "disabled": "compte désactivé",
        "throttled": "trop d’essais",
        "unknown": "nom inconnu",
        "temporary": "mot de passe provisoire périmé",
        "current": "mauvais mot de passe actuel",
        "author": "par son auteur",
        "holder": "par qui suit la conversation",
        "closed": "conversation close",
        "given_back": "conversation rendue à l’assistant",
        "spam": "conversation indésirable",
        "blocked": "personne bloquée",
        "replied": "un autre message est parti",
    },
}


def action(name: str) -> str:
    """« Conversation ouverte »."""
    words = labels.ACTIONS.get(name, name)
    return words[:1].upper() + words[1:]


def who(line: Line) -> str:
    """Who did it. Before the door nobody is known yet."""
    return line.who or ("Personne non connectée" if line.action == "login_refused" else "Planton")


def details(line: Line, zone: ZoneInfo) -> Sequence[str]:
    """What a line's details say: « demande n° 3 », « motif : doublon »."""
    return [
        _said(_KEYS.get(key, key), _value(key, value, zone))
        for key, value in line.detail.items()
        if value not in (None, "")
    ]


def _said(name: str, value: str) -> str:
    return f"{name}{NB}{value}" if name.endswith("n°") else f"{name}{NB}: {value}"


def detail(line: Line, zone: ZoneInfo) -> str:
    """The details in one line of text."""
    return " · ".join(details(line, zone))


def _value(key: str, value: Any, zone: ZoneInfo) -> str:
    if isinstance(value, bool):
        return "oui" if value else "non"
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(key, one, zone) for one in value) or "aucun"
    if isinstance(value, dict):
        return ", ".join(f"{_KEYS.get(k, k)} {_value(k, v, zone)}" for k, v in value.items() if v is not None)
    if key in ("since", "until"):
        return _moment(str(value), zone)
    return _VALUES.get(key, {}).get(str(value), str(value))


def _moment(stored: str, zone: ZoneInfo) -> str:
    """A day, or a moment where the audit keeps one."""
    at = datetime.fromisoformat(stored)
    return words.full_time(at, zone) if at.tzinfo else at.strftime("%d/%m/%Y")
