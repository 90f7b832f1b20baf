"""The audit in French: families of actions for the filter, and what the details of a line say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.console import labels, retention_words, search_words, steering_words, words, work_words
from bot.store.audit import REPEATED, SPAN
from bot.store.audit_log import Line

NB = "\u00a0"
MINUTES = SPAN // timedelta(minutes=1)

# Every action that the audit records (`bot.store.audit.ACTIONS`, a test compares):
# family of the filter → (its words, action → its words).
_FAMILIES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "consultation": (
        "Consultations",
        {
            "view": "conversation ouverte",
            "queue_viewed": "file d’attente vue",
            "drafts_viewed": "liste des réponses à valider vue",
            "groups_viewed": "liste des groupes vue",
            "attachment_viewed": "pièce jointe ouverte",
            "group_viewed": "groupe ouvert",
            "talk_read": "conversation lue dans l’atelier",
            "search": "recherche",
            "audit_read": "journal consulté",
        },
    ),
    "suivi": (
        "Suivi des conversations",
        {
            "take": "conversation prise",
            "assign": "conversation attribuée",
            "transfer": "conversation transférée",
            "give_back": "conversation rendue à l’assistant",
            "close": "conversation close",
            "reopen": "conversation rouverte",
            "snooze": "conversation mise en attente",
            "wake": "conversation réveillée",
            "spam": "signalée comme indésirable",
            "not_spam": "n’est plus indésirable",
            "block": "personne bloquée",
            "unblock": "personne débloquée",
            "alarm_confirmed": "danger confirmé",
            "alarm_taken_back": "fausse alerte retirée",
            "alarm_put_back": "alerte remise",
        },
    ),
    "ecriture": (
        "Réponses et notes",
        {
            "reply": "réponse écrite",
            "suggestion_used": "suggestion reprise",
            "note": "note écrite",
            "subject_corrected": "sujet corrigé",
        },
    ),
    "validation": (
        "Validation",
        {
            "submit": "réponse soumise à validation",
            "confirm": "réponse confirmée après un nouveau message",
            "withdraw": "réponse retirée de la validation",
            "approve": "réponse approuvée",
            "amend": "réponse amendée",
            "refuse": "réponse refusée",
            "expire": "réponse périmée avant validation",
            "rule_changed": "règle de validation changée",
        },
    ),
    "crise": (
        "Crise",
        {
            "crisis_written": "message de crise écrit",
            "crisis_validated": "message de crise validé",
            "crisis_opened": "mode crise ouvert",
            "crisis_closed": "mode crise fermé",
            "group_reply_written": "réponse de groupe écrite",
            "group_reply_validated": "réponse de groupe validée",
            "group_started": "envoi au groupe lancé",
            "group_stopped": "envoi au groupe arrêté",
            "group_member_removed": "personne retirée d’un groupe",
            "group_member_admitted": "personne admise dans un groupe après lecture",
        },
    ),
    "atelier": (
        "Atelier",
        {
            "reading_viewed": "messages lus dans l’atelier",
            "reading_decided": "sens d’un message décidé",
            "reading_undone": "décision sur un message annulée",
            "example_added": "exemple ajouté",
            "example_removed": "exemple retiré",
            "example_moved": "exemple déplacé",
            "example_edited": "exemple modifié",
            "correction_undone": "correction d’un exemple annulée",
            "file_discarded": "changements d’un fichier abandonnés",
            "intent_added": "intention créée",
            "intent_removed": "intention retirée",
            "story_added": "histoire ou test tiré d’une conversation",
            "story_undone": "histoire ou test annulé",
            "training_asked": "essai demandé",
            "training_stopped": "essai arrêté",
            "reply_changed": "réponse automatique modifiée",
            "reply_undone": "modification de réponse annulée",
            "drift_viewed": "suivi de la compréhension consulté",
            "model_published": "modèle publié",
            "model_rolled_back": "retour à un modèle d’avant",
            "gate_overridden": "contrôle outrepassé avant publication",
            "publication_proposed": "publication soumise à une seconde personne",
            "publication_approved": "publication approuvée par une seconde personne",
            "publication_refused": "publication refusée par une seconde personne",
            "publication_withdrawn": "publication retirée avant sa relecture",
        },
    ),
    "reglages": (
        "Réponses types et délais",
        {
            "canned_added": "réponse type créée",
            "canned_changed": "réponse type modifiée",
            "canned_archived": "réponse type archivée",
            "deadline_changed": "délai changé",
        },
    ),
    "conservation": (
        "Conservation et effacement",
        {
            "hold_placed": "conservation légale posée",
            "hold_lifted": "conservation légale levée",
            "purge": "effacement des données dont la durée est passée",
            "person_exported": "données d’une personne exportées à sa demande",
            "person_erased": "données d’une personne effacées à sa demande",
        },
    ),
    "export": (
        "Exports",
        {
            "export": "export",
        },
    ),
    "acces": (
        "Connexions et accès",
        {
            "login": "connexion",
            "logout": "déconnexion",
            "login_refused": "connexion refusée",
            "second_factor_set": "code à usage unique mis en place",
            "second_factor_removed": "code à usage unique retiré",
            "recovery_code_used": "code de secours utilisé",
            "identity_linked": "identité externe rattachée",
            "identity_unlinked": "identité externe détachée",
            "password_changed": "mot de passe changé",
            "sessions_ended": "sessions fermées",
        },
    ),
    "comptes": (
        "Comptes et équipes",
        {
            "user_added": "compte créé",
            "user_changed": "compte modifié",
            "user_disabled": "compte désactivé",
            "user_enabled": "compte réactivé",
            "user_reset": "accès réinitialisé",
            "team_added": "équipe créée",
            "team_changed": "équipe modifiée",
            "team_archived": "équipe archivée",
        },
    ),
}
ACTIONS = {action: said for _, actions in _FAMILIES.values() for action, said in actions.items()}
FAMILIES = {key: (said, tuple(actions)) for key, (said, actions) in _FAMILIES.items()}

# What a detail is called; one that is not here keeps its own name.
_KEYS = {
    "actions": "actions cherchées",
    "after": "après",
    "alarms": "alertes",
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
    "closed": "demande close",
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
    "operator": "par l’exploitant",
    "origin": "par",
    "outbox": "envoi n°",
    "page": "dans",
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
    "undone": "clôture annulée",
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
    "actions": ACTIONS,
    "after": labels.LEVELS,
    "author": {**search_words.AUTHORS, "tous": "tous"},
    "before": labels.LEVELS,
    "category": labels.CATEGORIES,
    "level": labels.LEVELS,
    "method": {"password": "mot de passe", "link": "lien", "oidc": "fournisseur d’identité"},
    "origin": retention_words.ORIGINS,
    "page": {
        "file": "la file",
        "alertes": "les alertes au-dessus d’une page",
        "validation": "la page de validation",
        "reponses-types": "les réponses types proposées",
        "suggestion": "la réponse suggérée",
    },
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
    words = ACTIONS.get(name, name)
    return words[:1].upper() + words[1:]


def conversations(line: Line) -> str:
    """The numbers of those that the line is about: « 12, 15 », "" when it is about none."""
    return ", ".join(str(one) for one in ((line.conversation,) if line.conversation else line.conversations))


def until(line: Line) -> datetime | None:
    """Until when the line tells of what was shown again; None for what happened once (docs/decisions/audit.md)."""
    return line.at + SPAN if line.action in REPEATED else None


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
